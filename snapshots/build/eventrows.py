"""Event files in; one table of their rows out, each once, with why it teaches nothing if so.

No loop over rows runs here: blocks of lines become structs, structs columns, and columns rows of a
table in the engine, which keeps numbers only. What cannot be read is refused with file and line, as
`eventfiles` refuses it.

What a row may be used for is decided by the grants that it carries, not by today's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import ibis
import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from decisions import consent
from decisions.events import KEY_FIELDS, RESERVED, SERVED
from decisions.lesson import Learning
from snapshots.build import dialect
from snapshots.build.ahead import given
from snapshots.errors import Malformed
from snapshots.eventfiles import EventFiles, blocks, paths_of, rows_of

BLOCK_BYTES = 8 * 2**20  # of lines that are decoded at once: some 20,000 rows
MIN_ROWS, MAX_TABLES = 20_000, 1_000  # of a statement
US = 1_000_000

# Why a row teaches nothing; the first that applies counts. A row's code is its place here.
REASONS = (
    "",
    "no customer",
    "no grant of personalization",
    "after the moment of the build",
    "too old to weigh anything",
    "event not declared",
    "event without interest to learn",
    "sensitive category without its grant",
    "nothing that interest is known for, or may be learnt for",
    "there before",
    "of somebody erased",
    "of a customer whom no feed names",
)
NO_INTEREST, REPEATED, ERASED, STRANGER = (
    REASONS.index(why)
    for why in (
        "event without interest to learn",
        "there before",
        "of somebody erased",
        "of a customer whom no feed names",
    )
)

Gains = Mapping[str, Mapping[str, float]]  # field → event type → what it adds
OnRows = Callable[[int], None]


class Told(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """As much of a row as interest is made of. visitor, customer: 16 hex digits, or ""."""

    id: str
    type: str
    received: float
    at: float = 0.0
    visitor: str = ""
    customer: str = ""
    grants: tuple[str, ...] = ()
    item: str = ""
    category: str = ""
    brand: str = ""


_TEXT, _BITS = pa.string(), pa.int8()
COLUMNS = {
    "id": _TEXT,
    "type": _TEXT,
    "received": pa.float64(),
    "at": pa.float64(),
    "visitor": _TEXT,
    "customer": _TEXT,
    "grants": _BITS,
    "item": _TEXT,
    "category": _TEXT,
    "brand": _TEXT,
    "place": pa.int64(),
}
HASH = "^(?:[0-9a-f]{16})?$"

_ROWS = msgspec.json.Decoder(Told)


class _Bits(dict[tuple[str, ...], int]):
    """Names of grants → bits; a purpose that is not known here grants nothing here."""

    def __missing__(self, names: tuple[str, ...]) -> int:
        bits = self[names] = consent.mask(name for name in names if name in consent.PURPOSES)
        return bits


class Reading(NamedTuple):
    """How rows are taken. keys: the interests there may be; one's place is its number. gains: what
    each event adds. now_us, oldest_us: what came between counts."""

    learning: Learning
    keys: Sequence[str]
    gains: Gains
    now_us: int
    oldest_us: int


class EventRows(NamedTuple):
    """table: place, code, visitor, customer (64-bit hashes), at (microseconds), kind, and for each
    field of the gains `<field>_key`. kinds: the event types that teach, in the order of their
    numbers. rows: read in all. left_out: code → rows that are not in the table any more."""

    table: Any  # ibis.Table
    kinds: tuple[str, ...]
    rows: int
    left_out: dict[int, int]


def read_events(
    connection: Any, files: EventFiles, reading: Reading, on_rows: OnRows = lambda rows: None
) -> EventRows:
    """The rows of all files. on_rows: is told how many there are so far.

    A row that is there twice counts where it is first. Raises Malformed, StoreUnavailable,
    TooLarge.
    """
    kinds = tuple(sorted({type_ for adds in reading.gains.values() for type_ in adds}))
    given(connection, "interest_keys", _keys(reading))
    nothing = given(connection, "block", _table([], 0))
    taken = _taken(nothing, connection.table("interest_keys"), reading, kinds)
    sql = connection.compile(taken)
    engine = connection.con
    engine.execute(f'CREATE TEMP TABLE "event_rows" AS {sql}')
    rows = served = 0
    for table in _joined(tables(files, from_s=reading.oldest_us / US)):
        rows += table.num_rows
        told = table.filter(pc.not_equal(table["type"], SERVED))
        served += table.num_rows - told.num_rows
        engine.register("block", told)
        engine.execute(f'INSERT INTO "event_rows" {sql}')
        on_rows(rows)
    engine.unregister("block")
    again = 'SELECT * EXCLUDE mark FROM "event_rows" QUALIFY row_number() OVER'
    engine.execute(f'CREATE TEMP TABLE "events" AS {again} (PARTITION BY mark ORDER BY place) = 1')
    engine.execute('DROP TABLE "event_rows"')
    table = connection.table("events", database=("temp", "main"))
    repeated = rows - served - table.count().to_pyarrow().as_py()
    return EventRows(table, kinds, rows, {NO_INTEREST: served, REPEATED: repeated})


def tables(files: EventFiles, *, from_s: float = 0.0) -> Iterator[pa.Table]:
    """The rows of the files as COLUMNS, some thousands at a time, repeats and all. place: their
    order. from_s: files that hold nothing since then are passed over."""
    place = 0
    for path in paths_of(files, from_s=from_s):
        first = 0
        for rows in _decoded(files.read(path), path):
            table = _table(rows, place + first)
            _check_names(table, path, first)
            yield table
            first += len(rows)
        place += first


def _joined(some: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in fewer tables: busy nodes make many small files."""
    held: list[pa.Table] = []
    for table in some:
        held.append(table)
        if sum(map(len, held)) >= MIN_ROWS or len(held) >= MAX_TABLES:
            yield pa.concat_tables(held).combine_chunks()
            held = []
    if held:
        yield pa.concat_tables(held).combine_chunks()


def _decoded(data: bytes, path: str) -> Iterator[list[Told]]:
    """The rows of one file. Raises Malformed."""
    first = 0
    for block in _gathered(blocks(data, path)):
        lines = block.count(b"\n")
        try:
            rows = _ROWS.decode_lines(block)
        except (msgspec.DecodeError, UnicodeDecodeError):
            rows = []
        if len(rows) != lines:  # who reads line by line knows which of them it is
            placed = islice(rows_of(data, path, Told), first, first + lines)
            rows = [one.row for one in placed]
        yield rows
        first += lines


def _gathered(some: Iterator[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for block in some:
        held.append(block)
        size += len(block)
        if size >= BLOCK_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _check_names(table: pa.Table, path: str, first: int) -> None:
    """Raises Malformed unless each row names people by their hashes: who is erased could not be
    told otherwise. first: how many rows of the file came before."""
    for name in ("visitor", "customer"):
        column = table[name]
        place = pc.index(pc.match_substring_regex(column, HASH), False).as_py()
        if place >= 0:
            what = f"expected a hash of 16 hex digits, got {column[place].as_py()[:64]!r}"
            raise Malformed(f"{what} for {name} - at {path}:{first + place + 1}")


def _table(rows: list[Told], place: int) -> pa.Table:
    values: list[Any] = list(zip(*map(msgspec.structs.astuple, rows), strict=True))
    columns = dict(zip(COLUMNS, values or [()] * len(COLUMNS), strict=False))
    columns["grants"] = list(map(_Bits().__getitem__, columns["grants"]))
    columns["place"] = range(place, place + len(rows))
    return pa.table({name: pa.array(columns[name], type_) for name, type_ in COLUMNS.items()})


def _keys(reading: Reading) -> pa.Table:
    tainted = [name in reading.learning.sensitive for name in reading.keys]
    return pa.table(
        {
            "name": pa.array(reading.keys, _TEXT),
            "key": pa.array(range(len(reading.keys)), pa.int32()),
            "tainted": pa.array(tainted, pa.bool_()),
        }
    )


def _taken(block: Any, keys: Any, reading: Reading, kinds: Sequence[str]) -> Any:
    """A block's rows as numbers: what `EventRows.table` has, and `mark`, which repeats share."""
    at = (block["received"] * US).round().try_cast("int64")
    opted = (block["grants"] & consent.SENSITIVE) != 0
    rows = block.mutate(at_us=at, opted=opted, kind=_kind(block["type"], kinds))
    names = {}
    for field, adds in reading.gains.items():
        known = keys.select(
            **{f"{field}_name": keys["name"], f"{field}_at": keys["key"], f"{field}_t": "tainted"}
        )
        joined = rows.left_join(known, [rows[field] == known[f"{field}_name"]])
        may = joined["type"].isin(list(adds)) & (~joined[f"{field}_t"] | joined["opted"])
        key = may.ifelse(joined[f"{field}_at"], ibis.null("int32"))
        rows = joined.mutate(**{f"{field}_key": key})
        names[f"{field}_key"] = f"{field}_key"
    return rows.select(
        "place",
        "kind",
        *names,
        code=_code(rows, reading),
        mark=_mark(rows),
        visitor=_hash(rows["visitor"]),
        customer=_hash(rows["customer"]),
        at="at_us",
    )


def _kind(type_: Any, kinds: Sequence[str]) -> Any:
    branches = [(type_ == name, ibis.literal(n, "int16")) for n, name in enumerate(kinds)]
    return ibis.cases(*branches) if branches else ibis.null("int16")


def _code(rows: Any, reading: Reading) -> Any:
    """The place in REASONS of why a row teaches nothing, 0 if it does."""
    learning = reading.learning
    nothing = ibis.literal(True)
    for field in reading.gains:
        nothing &= rows[f"{field}_key"].isnull()
    withheld = rows["category"].isin(sorted(learning.sensitive)) & ~rows["opted"]
    impossible = [
        rows["customer"] == "",
        (rows["grants"] & consent.PERSONALIZATION) == 0,
        rows["at_us"].isnull() | (rows["at_us"] > reading.now_us),
        rows["at_us"] < reading.oldest_us,
        ~rows["type"].isin(sorted(learning.events | RESERVED)),
        rows["kind"].isnull(),
        withheld,
        nothing,
    ]
    branches = [(case, ibis.literal(n, "int8")) for n, case in enumerate(impossible, 1)]
    return ibis.cases(*branches, else_=ibis.literal(0, "int8"))


def _mark(rows: Any) -> Any:
    """What two copies of a row have in common, as `eventfiles` tells them: visitor and id; without
    an id all that is looked at."""
    told = [rows[name].cast("string") for name in ("received", "at", "type", *KEY_FIELDS)]
    whole = ibis.literal("\n").join([rows["visitor"], *told])
    named = rows["visitor"] + "\n\n" + rows["id"]
    return dialect.md5((rows["id"] == "").ifelse(whole, named))


def _hash(text: Any) -> Any:
    return (ibis.literal("0x") + text.nullif("")).try_cast("uint64")

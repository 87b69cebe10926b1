"""Columns and program in, parts out: rows in the order of their keys, bytes ready for a store.

The record is a part for the builder alone: what the membership was computed from, so that a later
build without data knows whether it may be used again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ibis
import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from decisions import program as programs
from decisions.interest import fade
from decisions.program import Program
from snapshots import membership
from snapshots.build.identity import TRAIT, as_text, visitor_keys
from snapshots.build.interests import landmark_s
from snapshots.build.segments import SCORE, SEGMENT, Definitions, texts
from snapshots.build.sources import Interests
from snapshots.bundle import Packed, pack
from snapshots.census import Interests as InterestColumns
from snapshots.census import Score, Trait, encode_membership
from snapshots.contents import NEWEST, PROGRAM, RECORD
from snapshots.membership import INTERESTS

RECORD_FORMAT = 1
KEY = "key"  # the column of the keys; no name of a segment, trait or score has its like
MOST_PACKED = 65_504.0  # half floats end there; what weighs a thousandth of it reads as 100
SCORE_STEPS = 254  # codes 1 to 255; 0 is no score


class Recommended(msgspec.Struct, frozen=True):
    """How items are recommended: as the playbook says it; brands: of which no item is."""

    window_s: float
    least: int
    keep: int
    brands: tuple[str, ...] = ()


class Record(msgspec.Struct, frozen=True):
    """What a membership was computed from.

    customers, sizes: how many are in it, and in each segment. held: the categories bought. learnt:
    what events taught it, empty if none were read; keys: the interests besides the categories.
    recommended: how, if items are recommended beside it.
    """

    categories: tuple[str, ...]
    segments: dict[str, str]
    scores: dict[str, str]
    traits: tuple[str, ...]
    interests: Interests
    half_life_s: float
    now_s: float
    customers: int = 0
    sizes: dict[str, int] = {}
    held: tuple[str, ...] = ()
    learnt: Mapping[str, Mapping[str, float]] = {}
    keys: tuple[str, ...] = ()
    recommended: Recommended | None = None

    def differences(self, other: Record) -> list[str]:
        """What of `other` could not be taken from a membership with this record, in words."""
        found = []
        for what in ("segments", "scores"):
            mine, theirs = getattr(self, what), getattr(other, what)
            for name in sorted(mine.keys() | theirs.keys()):
                if mine.get(name) != theirs.get(name):
                    state = "is gone" if name not in theirs else "has changed"
                    found.append(f"{what[:-1]} {name} {state if name in mine else 'is new'}")
        for name in sorted(set(self.traits) ^ set(other.traits)):
            found.append(f"trait {name} is {'gone' if name in self.traits else 'new'}")
        if (self.interests, self.half_life_s) != (other.interests, other.half_life_s):
            found.append("interests are weighed in another way")
        if self.learnt and self.learnt != other.learnt:
            found.append("events teach in another way")
        if other.recommended and self.recommended != other.recommended:
            found.append(
                "items are recommended in another way"
                if self.recommended
                else "recommendations are new"
            )
        return found


def record_of(
    definitions: Definitions, interests: Interests, half_life_s: float, now_s: float
) -> Record:
    """The record of what is about to be computed."""
    return Record(
        categories=definitions.categories,
        segments=texts(definitions.segments),
        scores=texts(definitions.scores),
        traits=tuple(sorted(definitions.traits)),
        interests=interests,
        half_life_s=half_life_s,
        now_s=now_s,
    )


def record_for(record: Record, table: pa.Table) -> Record:
    """The record of these customers. table: what `beside` gives."""
    sizes = {name: pc.sum(table[f"{SEGMENT}{name}"]).as_py() or 0 for name in record.segments}
    return msgspec.structs.replace(record, customers=table.num_rows, sizes=sizes)


def beside(answers: Any, strongest: Any) -> Any:
    """The answers of each customer with their strongest interests, two lists side by side.

    strongest: customer, category, rank, weight. Who has none has null, not empty lists.
    """
    lists = strongest.group_by("customer").aggregate(
        interests=strongest["category"].collect(order_by="rank"),
        weights=strongest["weight"].collect(order_by="rank"),
    )
    lists = lists.select("interests", "weights", who=as_text(lists["customer"]))
    joined = answers.left_join(lists, [("customer", "who")])
    return joined.select(*answers.columns, "interests", "weights")


def keyed(table: pa.Table, salt: str) -> pa.Table:
    """The rows in the order of their keys, which are one column more, KEY. table: what `beside`
    gives, in any order. Raises DataRefused when two customers have one key."""
    keys = visitor_keys(salt, table["customer"].to_pylist())
    order = pc.sort_indices(keys)
    return table.take(order).append_column(KEY, keys.take(order))


def membership_of(
    table: pa.Table, record: Record, formats: Mapping[str, int] = NEWEST
) -> dict[str, bytearray]:
    """The membership's raw parts by name. table: what `keyed` gives, its weights as of the
    landmark. formats: part → the one to write it in."""
    built_at_s, weighed_at_s = int(record.now_s), landmark_s(record.now_s, record.half_life_s)
    left = 1.0
    if formats[INTERESTS] == membership.AS_OF_BUILD:
        left = fade(1.0, built_at_s - weighed_at_s, record.half_life_s)
        weighed_at_s = 0
    return encode_membership(
        buffer(table[KEY], 8),
        built_at_s=built_at_s,
        segments=[
            (name, buffer(table[f"{SEGMENT}{name}"].cast(pa.uint8()), 1))
            for name in _names(table, SEGMENT)
        ],
        traits={f"{name}": _trait(table[f"{TRAIT}{name}"]) for name in _names(table, TRAIT)},
        scores={name: _score(table[f"{SCORE}{name}"]) for name in _names(table, SCORE)},
        interests=_interests(
            table,
            (*record.categories, *record.keys),
            record.interests.top if table.num_rows else 0,
            left,
            weighed_at_s,
        ),
        interests_format=formats[INTERESTS],
    )


def membership_parts(
    table: pa.Table, record: Record, formats: Mapping[str, int] = NEWEST
) -> list[Packed]:
    """The same, ready for a store."""
    parts = membership_of(table, record, formats)
    return [pack(name, formats[name], raw) for name, raw in sorted(parts.items())]


def program_part(program: Program) -> Packed:
    """The part that every bundle has."""
    return pack(PROGRAM, programs.FORMAT, program.encode())


def record_part(record: Record) -> Packed:
    """The builder's own part."""
    return pack(RECORD, RECORD_FORMAT, msgspec.json.encode(record, order="deterministic"))


def _names(table: pa.Table, prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in table.column_names if name.startswith(prefix)]


def buffer(column: Any, width: int) -> memoryview:
    """The bytes of a column without nulls, as they lie."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if not len(column):
        return memoryview(b"")
    data = memoryview(column.buffers()[1])
    return data[column.offset * width : (column.offset + len(column)) * width]


def _trait(column: Any) -> Trait:
    values = sorted(value for value in pc.unique(column).to_pylist() if value is not None)
    places = pc.index_in(column, value_set=pa.array(values, pa.string()))
    codes = pc.add(pc.fill_null(places, -1), 1).cast(pa.uint32())
    return Trait([None, *values], buffer(codes, 4))


def _score(column: Any) -> Score:
    """Scores run from 0 to 1 in 255 steps; what lies outside is cut."""
    cut = pc.min_element_wise(
        pc.max_element_wise(column, 0.0, skip_nulls=False), 1.0, skip_nulls=False
    )
    codes = pc.add(pc.round(pc.multiply(cut, float(SCORE_STEPS))), 1.0)
    return Score(buffer(pc.fill_null(codes, 0.0).cast(pa.uint8()), 1))


def _interests(
    table: pa.Table, names: Sequence[str], top: int, left: float, weighed_at_s: int
) -> InterestColumns:
    """Ids and weights of all places, side by side per row. left: of each weight, 0 to 1."""
    ids = pc.fill_null(padded(table["interests"], top).cast(pa.int32()), membership.NO_INTEREST)
    faded = pc.multiply(padded(table["weights"], top), left)
    weights = pc.min_element_wise(pc.fill_null(faded, 0.0), MOST_PACKED).cast(pa.float32())
    return InterestColumns(
        tuple(names),
        top,
        buffer(ids.cast(pa.uint16()), 2),
        buffer(weights.cast(pa.float16()), 2),
        weighed_at_s,
    )


def padded(lists: Any, top: int) -> Any:
    """Every row's list as exactly `top` values, one after another; null where it has fewer."""
    empty = pa.scalar([], lists.type)
    fixed = pc.list_slice(pc.fill_null(lists, empty), 0, top, return_fixed_size_list=True)
    return fixed.combine_chunks().flatten()


def connect(temporary: str, memory: str, threads: int) -> Any:
    """An engine of its own for one build; what does not fit into memory goes to `temporary`."""
    connection = ibis.duckdb.connect(temp_directory=temporary, memory_limit=memory, threads=threads)
    connection.raw_sql("SET enable_progress_bar = false")  # the command draws its own
    return connection

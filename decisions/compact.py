"""The compact profile: claims of the ledger's integers in, a Profile out, and back.

A cookie outlives bundles: names are numbers that are never given twice, and a number that this
edge does not know the name of is carried through (`ledger.UNKNOWN`). Fields are only ever added
at the end, so that older and newer cookies still read.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Annotated, Any, TypeAlias

import msgspec

from decisions.base64url import decode64, encode64
from decisions.errors import ProfileError
from decisions.ledger import Dictionary, Numbering
from decisions.lesson import MAX_WEIGHT
from decisions.marks import bytes_of, marked, rows_of, tallied
from decisions.profile import NO_CART, VIEW_BYTES, Cart, Cells, Line, Measured, Profile, Session
from decisions.runs import age, cells_of, runs
from decisions.tight import loose, tight

WEIGHT_UNIT = 1e-8  # so fine that a weight re-written a hundred times reads the same to 1e-6

_replace = msgspec.structs.replace
_encode = msgspec.json.Encoder().encode
_encode_binary = msgspec.msgpack.Encoder().encode
_EMPTY_ENDS = (b",[]]", b',""]', b",0]")
_MOST = 2**53 - 1  # what JSON carries exactly everywhere
_MOST_MS = 253_402_300_800_000  # the year 10000
_MOST_UNITS = round(MAX_WEIGHT / WEIGHT_UNIT)
Natural: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=_MOST)]
Numbers: TypeAlias = Annotated[list[Natural], msgspec.Meta(max_length=512)]
Weights: TypeAlias = Annotated[
    list[Annotated[int, msgspec.Meta(ge=0, le=_MOST_UNITS)]], msgspec.Meta(max_length=512)
]
Caps: TypeAlias = Annotated[list[Numbers], msgspec.Meta(max_length=128)]
Measures: TypeAlias = Annotated[list[Numbers], msgspec.Meta(max_length=256)]
Things: TypeAlias = Annotated[
    list[Annotated[str, msgspec.Meta(max_length=64)]], msgspec.Meta(max_length=256)
]
Hashes: TypeAlias = Annotated[str, msgspec.Meta(max_length=1_024)]  # base64url


class Packed(msgspec.Struct, frozen=True, array_like=True):
    """A profile as a JSON list. Ages are seconds before `seen_ms`; pairs are flattened."""

    seen_ms: Annotated[int, msgspec.Meta(ge=0, le=_MOST_MS)] = 0
    at_age_ms: Natural = 0
    first_seen_age: Natural = 0
    visits: Natural = 0
    interests: Weights = []  # id, weight in WEIGHT_UNITs, id, ...
    counts: Numbers = []  # id, count, id, ...
    cart: Weights = []  # items, cents, age; or nothing
    session: Numbers = []  # age of its start, age of its last visit; or nothing
    views: Numbers = []  # id, how many items, id, ...
    items: Hashes = ""  # of all views, 3 bytes each
    caps: Caps = []  # [id, age, age, ...]
    recent: Hashes = ""  # event ids, 4 bytes each, big-endian
    customer: Hashes = ""  # 8 bytes, big-endian; "" for nobody
    authenticated_s: Annotated[int, msgspec.Meta(ge=-_MOST, le=_MOST)] = 0  # from seen_ms
    held: Numbers = []  # the rules that hold their slot for the session
    measures: Measures = []  # [id, its key's id + 1 or 0, *cells] as `runs` has them
    preferences: Numbers = []  # id, score, id, ...
    listed: Numbers = []  # id, how many things, id, ...
    things: Things = []  # of all lists
    campaign: Things = []  # of the session; or nothing
    lines: Numbers = []  # of the cart: pieces, cents, pieces, ...
    products: Things = []  # of each line
    tight: Annotated[bytes, msgspec.Meta(max_length=1_024)] = b""  # `tightened`, or nothing
    recognised: Numbers = []  # for how many seconds from seen_ms; or nothing
    distinct: Measures = []  # [id, its key's id + 1 or 0, *how many] as `runs` has cells
    marks: Hashes = ""  # of all of these, 3 bytes each


class _Numbers(msgspec.Struct, frozen=True, array_like=True):
    """What takes less room as bytes. `cart` and `session`, which tell that there is something, stay
    in sight of an edge that knows nothing of this."""

    interests: Weights
    lines: Numbers
    caps: Caps
    measures: Measures


_BINARY = msgspec.msgpack.Decoder(Packed)
# Of one who neither holds, nor was measured, nor said anything: what is empty from `held` on.
_NOTHING = msgspec.to_builtins(Packed())[Packed.__struct_fields__.index("held") :]
_ALL_EMPTY = b"," + _encode(_NOTHING)[1:]


def pack(profile: Profile, names: Dictionary) -> Packed:
    """The claims of a profile, all but the visitor's id. Never raises. What has no number is left
    out. Fractions that the format does not
    carry are rounded; what `unpack` gives packs to the same claims.
    """
    seen_ms = max(0, round(profile.seen_s * 1000))
    base_s = seen_ms // 1000
    numbers, weights = _numbered(profile.interests, names.keys)
    interests = _flat(numbers, [round(weight / WEIGHT_UNIT) for weight in weights])
    counts = _flat(*_numbered(profile.counts, names.counters))
    cart: list[int] = []
    if (full := profile.cart) is not NO_CART and full != NO_CART:
        cart = [full.items, round(full.value * 100), age(base_s, full.updated_at_s)]
    views: list[int] = []
    items = b""
    times: list[int] = []
    held: list[int] = []
    if (session := profile.session) is not None:
        times = [age(base_s, session.started_s), age(base_s, session.last_s)]
        numbers, viewed = _numbered(session.views, names.keys)
        views = _flat(numbers, [len(hashes) // VIEW_BYTES for hashes in viewed])
        items = b"".join(viewed)
        if session.held:
            held, _ = _numbered(dict.fromkeys(session.held), names.rules)
    caps: list[list[int]] = []
    if profile.caps:
        for number, seen in zip(*_numbered(profile.caps, names.rules), strict=True):
            caps.append([number, *[age(base_s, at_s) for at_s in seen]])
    customer, recent = profile.customer, profile.recent
    packed = Packed(
        seen_ms,
        max(0, seen_ms - round(profile.at_s * 1000)),
        age(base_s, profile.first_seen_s),
        profile.visits,
        interests,
        counts,
        cart,
        times,
        views,
        _text(items),
        caps,
        _text(_events_of(len(recent)).pack(*recent)),
        _text(customer.to_bytes(8, "big")) if customer else "",
        profile.authenticated_until_s - base_s if customer else 0,
        held,
        _in_runs(rows_of(profile.measures, names.measures, names.keys), base_s)
        if profile.measures
        else [],
        _flat(*_numbered(profile.preferences, names.keys)) if profile.preferences else [],
        *_packed_lists(profile, names),
        [session.campaign] if session is not None and session.campaign else [],
        [*chain(*full.lines.values())] if full.lines else [],
        [*full.lines] if full.lines else [],
        recognised=[max(0, profile.recognised_until_s - base_s)]
        if customer and profile.recognised_until_s
        else [],
    )
    return _with_marks(packed, profile, names) if profile.distinct else packed


def _with_marks(packed: Packed, profile: Profile, names: Dictionary) -> Packed:
    """The claims with different things; few profiles have any."""
    rows = [*rows_of(profile.distinct, names.distinct, names.keys)]
    tallies = [(ids, tallied(cells)) for ids, cells in rows]
    distinct = _in_runs(tallies, packed.seen_ms // 1000)
    return _replace(packed, distinct=distinct, marks=_text(bytes_of(rows)))


def _packed_lists(profile: Profile, names: Dictionary) -> tuple[list[int], list[str]]:
    if not profile.lists:
        return [], []
    numbers, lists = _numbered(profile.lists, names.lists)
    return _flat(numbers, [len(things) for things in lists]), [*chain(*lists)]


def _in_runs(rows: Iterable[tuple[list[int], Cells]], base_s: int) -> list[list[int]]:
    return [[*ids, *run] for ids, cells in rows for run in runs(cells, base_s)]


def _numbered(keyed: Mapping[str, Any], kind: Numbering) -> tuple[list[int], list[Any]]:
    """The numbers of the names that have one, and their values."""
    numbers = [*map(kind.numbers.get, keyed)]
    if None not in numbers:
        return numbers, [*keyed.values()]  # type: ignore[return-value] # there is no None
    known = {
        number: value for name, value in keyed.items() if (number := kind.number(name)) is not None
    }
    return [*known], [*known.values()]


def _flat(numbers: list[int], values: list[int]) -> list[int]:
    """number, value, number, ..."""
    flat = numbers + values
    flat[::2], flat[1::2] = numbers, values
    return flat


def _text(raw: bytes) -> str:
    return encode64(raw).decode() if raw else ""


def unpack(raw: Packed | list[Any] | bytes, names: Dictionary, visitor: str = "") -> Profile:
    """The profile of these claims. raw: bytes are what `binary` made. Raises ProfileError for
    anything that `pack` would not have made, and nothing else."""
    if not isinstance(raw, Packed):
        try:
            raw = _BINARY.decode(raw) if isinstance(raw, bytes) else msgspec.convert(raw, Packed)
        except ValueError as error:  # msgspec's own, half a surrogate pair, no UTF-8
            raise ProfileError(f"expected a compact profile: {error}") from error
    if raw.tight:
        raw = _loosened(raw)
    base_s = raw.seen_ms // 1000
    customer = _bytes(raw.customer)
    if len(customer) not in (0, 8):
        raise ProfileError(f"expected a customer of 8 bytes, got {len(customer)}")
    profile = Profile(
        visitor=visitor,
        seen_s=raw.seen_ms / 1000,
        at_s=(raw.seen_ms - raw.at_age_ms) / 1000,
        first_seen_s=base_s - raw.first_seen_age,
        visits=raw.visits,
        interests={
            key: weight * WEIGHT_UNIT
            for key, weight in _named(raw.interests[::2], raw.interests[1::2], names.keys).items()
        },
        counts=_pairs(raw.counts, names.counters),
        cart=_cart(raw, base_s) if raw.cart or raw.lines or raw.products else NO_CART,
        session=_session(raw, base_s, names),
        caps=_caps(raw.caps, base_s, names) if raw.caps else {},
        recent=_events(raw.recent),
        customer=int.from_bytes(customer, "big"),
        authenticated_until_s=base_s + raw.authenticated_s if customer else 0,
        measures=_measures(raw.measures, base_s, names.measures, names) if raw.measures else {},
        preferences=_pairs(raw.preferences, names.keys) if raw.preferences else {},
        lists=_lists(raw, names) if raw.listed or raw.things else {},
        recognised_until_s=base_s + raw.recognised[0] if customer and raw.recognised else 0,
    )
    if raw.distinct or raw.marks:
        tallies = _measures(raw.distinct, base_s, names.distinct, names)
        profile = _replace(profile, distinct=marked(tallies, _bytes(raw.marks)))
    return profile


def _cart(raw: Packed, base_s: int) -> Cart:
    if len(raw.cart) != 3:
        raise ProfileError(f"expected a cart of 3 numbers, got {len(raw.cart)}")
    items, cents, age_s = raw.cart
    cart = Cart(items, cents / 100, base_s - age_s)
    if not raw.lines and not raw.products:
        return cart
    pairs = [*zip(raw.lines[::2], raw.lines[1::2])]  # noqa: B905 # looked at below
    lines = {item: Line(*pair) for item, pair in zip(raw.products, pairs)}  # noqa: B905 # the same
    if not len(lines) * 2 == len(raw.lines) == len(raw.products) * 2:
        wanted, got = f"{len(raw.products)} products", f"{len(raw.lines)} numbers"
        raise ProfileError(f"expected two numbers for each of {wanted}, each once, got {got}")
    if sum(raw.lines[::2]) > items or sum(raw.lines[1::2]) > cents:
        raise ProfileError(f"expected lines of at most {items} pieces and {cents} cents, got more")
    return _replace(cart, lines=lines)


def _lists(raw: Packed, names: Dictionary) -> dict[str, tuple[str, ...]]:
    found, start = {}, 0
    for name, count in _named(raw.listed[::2], raw.listed[1::2], names.lists).items():
        found[name] = tuple(raw.things[start : start + count])
        start += count
    if start != len(raw.things):
        raise ProfileError(f"expected {start} things of lists, got {len(raw.things)}")
    return found


def _measures(
    rows: list[list[int]], base_s: int, kind: Numbering, names: Dictionary
) -> dict[str, Measured]:
    found: dict[str, Measured] = {}
    for row in rows:
        if len(row) < 4 or len(row) == 5:
            raise ProfileError(f"expected a measure of 4, or 6 numbers and more, got {len(row)}")
        number, key, *run = row
        keyed = found.setdefault(kind.name(number), {})
        word = names.keys.name(key - 1) if key else ""
        keyed[word] = (*cells_of(run, base_s), *keyed.get(word, ()))
    return found


def _caps(caps: list[list[int]], base_s: int, names: Dictionary) -> dict[str, tuple[int, ...]]:
    if not all(caps):
        raise ProfileError("expected the number of a rule, got an empty list")
    rules, ages = [numbers[0] for numbers in caps], [numbers[1:] for numbers in caps]
    seen = _named(rules, ages, names.rules)
    return {rule: tuple([base_s - age for age in ages]) for rule, ages in seen.items()}


def _session(raw: Packed, base_s: int, names: Dictionary) -> Session | None:
    if not raw.session and not raw.views and not raw.held and not raw.campaign:
        return None
    if len(raw.session) != 2:
        raise ProfileError(f"expected a session of 2 numbers, got {len(raw.session)}")
    items, views, start = _bytes(raw.items), {}, 0
    for key, count in _named(raw.views[::2], raw.views[1::2], names.keys).items():
        views[key] = items[start : start + count * VIEW_BYTES]
        start += count * VIEW_BYTES
    if start != len(items):
        raise ProfileError(f"expected hashes of {start} bytes, got {len(items)}")
    held = tuple(_named(raw.held, raw.held, names.rules)) if raw.held else ()
    campaign = raw.campaign[0] if raw.campaign else ""
    return Session(base_s - raw.session[0], base_s - raw.session[1], views, held, campaign)


def _pairs(flat: list[int], kind: Numbering) -> dict[str, int]:
    return _named(flat[::2], flat[1::2], kind)


def _named(numbers: list[int], values: list[Any], kind: Numbering) -> dict[str, Any]:
    """Values by name, those of unknown numbers under UNKNOWN + number."""
    if len(numbers) != len(values):
        raise ProfileError(f"expected pairs of numbers, got {len(numbers) + len(values)} numbers")
    names = kind.names
    found = {
        names.get(number) or kind.stranger(number): value
        for number, value in zip(numbers, values)  # noqa: B905 # as many of both
    }
    if len(found) != len(numbers):
        twice = next(number for number in numbers if numbers.count(number) > 1)
        raise ProfileError(f"expected each number once, got {twice} twice")
    return found


def _bytes(text: str) -> bytes:
    if not text:
        return b""
    raw = decode64(text.encode()) if text.isascii() else None
    if raw is None:
        raise ProfileError(f"expected base64url, got {text[:16]!r}")
    return raw


def _events(text: str) -> tuple[int, ...]:
    raw = _bytes(text)
    if len(raw) % 4:
        raise ProfileError(f"expected hashes of 4 bytes, got {len(raw)} bytes")
    return _events_of(len(raw) // 4).unpack(raw)


@functools.cache  # a cookie's length bounds how many there are
def _events_of(count: int) -> struct.Struct:
    return struct.Struct(f">{count}I")


def tightened(packed: Packed) -> Packed:
    """The same claims with most of their numbers as bytes: what is written where room is short. An
    edge of before this form reads them without interests, caps, measures and lines."""
    flat, nested = (packed.interests, packed.lines), (packed.caps, packed.measures)
    if not any(flat) and not any(nested):
        return packed
    raw = tight(flat, nested)
    return _replace(packed, interests=[], lines=[], caps=[], measures=[], tight=raw)


def _loosened(raw: Packed) -> Packed:
    if raw.interests or raw.lines or raw.caps or raw.measures:
        raise ProfileError("expected numbers as lists or as bytes, got some of both")
    try:
        flat, nested = loose(raw.tight, 2, 2)
        numbers = msgspec.convert([*flat, *nested], _Numbers)
    except ValueError as error:
        raise ProfileError(f"expected numbers as bytes: {error}") from error
    return _replace(
        raw,
        tight=b"",
        interests=numbers.interests,
        lines=numbers.lines,
        caps=numbers.caps,
        measures=numbers.measures,
    )


def text(packed: Packed) -> bytes:
    """The claims as JSON; what is empty at the end is left out, as in cookies from before."""
    raw = _encode(packed)
    if raw.endswith(_ALL_EMPTY):  # as a rule
        return raw[: -len(_ALL_EMPTY)] + b"]"
    while raw.endswith(_EMPTY_ENDS):
        raw = raw[: raw.rindex(b",")] + b"]"
    return raw


def binary(packed: Packed) -> bytes:
    """The claims as MessagePack, a third less than as JSON; what is sealed."""
    return _encode_binary(packed)

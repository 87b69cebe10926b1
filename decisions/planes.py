"""A plane answers one attribute for every clause of a block: a value in, the clauses it allows out.

Each clause has at most one predicate on a plane (its second predicate on an attribute is on the
attribute's second plane), so what the entries of a set or map say never overlaps and a table may
hold *changes*: clauses to flip from the answer that holds when no entry is in the table. Bit i of
every bitset stands for clause i. A plane knows no rules, no order and no grants.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar, TypeAlias

import msgspec

from decisions.predicates import (
    Member,
    OneOf,
    Predicate,
    Prefix,
    Present,
    Within,
    holds,
)
from decisions.rules.values import ABSENT

PackedPlace: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=65_536)]
# One place; a few; a little-endian bitset.
PackedBits: TypeAlias = PackedPlace | list[PackedPlace] | bytes
Point: TypeAlias = int | float | str


class PackedScale(msgspec.Struct, frozen=True, array_like=True):
    """A `Scale` on the wire: its first region, then what flips before and after each point."""

    start: PackedBits
    nan: PackedBits
    points: list[Point]
    before: list[PackedBits]
    after: list[PackedBits]  # empty: nothing flips after any point


class PackedPlane(msgspec.Struct, frozen=True, array_like=True):
    """A `Plane` on the wire; `kind` is one of KINDS."""

    kind: str
    attribute: str
    tested: PackedBits
    default: PackedBits
    absent: PackedBits
    table: dict[str | bool, PackedBits]
    scales: dict[str, PackedScale]


def pack(bits: int) -> PackedBits:
    """The shorter of the places of the set bits and the bitset's bytes."""
    if bits.bit_count() == 1:
        return bits.bit_length() - 1
    size = (bits.bit_length() + 7) // 8
    if bits.bit_count() * 2 < size:
        return [place for place in range(bits.bit_length()) if bits >> place & 1]
    return bits.to_bytes(size, "little")


def unpack(packed: PackedBits) -> int:
    """What `pack` was given."""
    if isinstance(packed, bytes):
        return int.from_bytes(packed, "little")
    if isinstance(packed, int):
        return 1 << packed
    return sum(1 << place for place in packed)


def _either_side(points: list[Point], value: Any) -> int:
    """Even between points, odd on one."""
    return bisect_left(points, value) + bisect_right(points, value)


class Scale:
    """A line cut at points: for each region between two cuts, and for NaN, a bitset."""

    __slots__ = ("find", "nan", "points", "regions")

    def __init__(
        self, points: list[Point], start: int, nan: int, before: list[int], after: list[int]
    ) -> None:
        """before, after: the bits that flip below and above each point; `after` may be empty."""
        self.points, self.nan = points, nan
        self.regions = [start]
        self.find: Callable[[list[Point], Any], int]
        if not any(after):
            self.find, flips = bisect_right, before
        elif not any(before):
            self.find, flips = bisect_left, after
        else:
            self.find = _either_side
            flips = [bits for pair in zip(before, after, strict=True) for bits in pair]
        for bits in flips:
            # A region that equals the one before it is the same object: half of the memory.
            self.regions.append(self.regions[-1] ^ bits if bits else self.regions[-1])

    def at(self, value: Any) -> int:
        """The bitset of the region that `value` lies in."""
        if value != value:
            return self.nan
        return self.regions[self.find(self.points, value)]

    def pack(self) -> PackedScale:
        """The wire form: flips instead of regions, which are wide where these are sparse."""
        regions = self.regions
        flips = [pack(here ^ there) for here, there in pairwise(regions)]
        none: list[PackedBits] = [pack(0)] * len(self.points)
        before, after = {
            bisect_right: (flips, []),
            bisect_left: (none, flips),
            _either_side: (flips[::2], flips[1::2]),
        }[self.find]
        return PackedScale(pack(regions[0]), pack(self.nan), self.points, before, after)


def open_scale(packed: PackedScale) -> Scale:
    """The scale that was packed. Raises ValueError if its parts do not fit each other."""
    if len(packed.before) != len(packed.points) or len(packed.after) not in {0, len(packed.points)}:
        raise ValueError("a scale whose flips and points are not as many")
    before, after = ([unpack(bits) for bits in side] for side in (packed.before, packed.after))
    return Scale(packed.points, unpack(packed.start), unpack(packed.nan), before, after)


class Plane(ABC):
    """One attribute of one block; `match` is the whole of it.

    tested: the clauses with a predicate here. absent: what is left of all clauses when the
    attribute is absent. default: the same when it is there and no entry of the tables is touched.
    """

    __slots__ = ("absent", "attribute", "default", "scales", "table", "tested")
    kind: ClassVar[str]

    def __init__(
        self,
        attribute: str,
        tested: int,
        default: int,
        absent: int,
        table: dict[str | bool, int],
        scales: dict[str, Scale],
    ) -> None:
        self.attribute, self.tested, self.default, self.absent = attribute, tested, default, absent
        self.table, self.scales = table, scales

    @abstractmethod
    def match(self, value: Any) -> int:
        """The clauses that the attribute's value leaves alive."""

    @property
    def selectivity(self) -> int:
        """The number of clauses that die of a value which the table does not know."""
        return (self.tested & ~self.default).bit_count()

    def pack(self) -> PackedPlane:
        """The wire form."""
        return PackedPlane(
            self.kind,
            self.attribute,
            pack(self.tested),
            pack(self.default),
            pack(self.absent),
            {key: pack(bits) for key, bits in self.table.items()},
            {key: scale.pack() for key, scale in self.scales.items()},
        )


class Values(Plane):
    """Equality and in-lists on strings and bools."""

    __slots__ = ()
    kind = "values"

    def match(self, value: Any) -> int:
        if value is ABSENT:
            return self.absent
        return self.default ^ self.table.get(value, 0)


class Prefixes(Plane):
    """`startsWith`: one look-up for each length that a prefix of the table has."""

    __slots__ = ("lengths",)
    kind = "prefixes"

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.lengths = sorted({len(str(prefix)) for prefix in self.table})

    def match(self, value: Any) -> int:
        if value is ABSENT:
            return self.absent
        bits = self.default
        for length in self.lengths:
            # A string shorter than this finds itself under a shorter length, and only there.
            if length <= len(value):
                bits ^= self.table.get(value[:length], 0)
        return bits


class Members(Plane):
    """Members of a set, or keys of a map."""

    __slots__ = ()
    kind = "members"

    def match(self, value: Any) -> int:
        if value is ABSENT:
            return self.absent
        bits = self.default
        change = self.table.get
        for member in value:
            bits ^= change(member, 0)
        return bits


class Presence(Plane):
    """`has()` and its negation."""

    __slots__ = ()
    kind = "presence"

    def match(self, value: Any) -> int:
        return self.absent if value is ABSENT else self.default


class Numbers(Plane):
    """Thresholds and ranges of one number, timestamp, duration or (by code points) string."""

    __slots__ = ("scale",)
    kind = "numbers"

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.scale = self.scales[""]

    def match(self, value: Any) -> int:
        return self.absent if value is ABSENT else self.scale.at(value)


class Entries(Plane):
    """Thresholds and ranges of the numbers that a map holds under keys."""

    __slots__ = ()
    kind = "entries"

    def match(self, value: Any) -> int:
        if value is ABSENT:
            return self.absent
        bits = self.default
        find = self.scales.get
        for key, number in value.items():
            if (scale := find(key)) is not None:
                bits ^= scale.at(number)
        return bits


KINDS: dict[str, type[Plane]] = {
    plane.kind: plane for plane in (Values, Prefixes, Members, Presence, Numbers, Entries)
}


def open_plane(packed: PackedPlane) -> Plane:
    """The plane that was packed. Raises KeyError for a kind of a newer version, and ValueError."""
    return KINDS[packed.kind](
        packed.attribute,
        unpack(packed.tested),
        unpack(packed.default),
        unpack(packed.absent),
        {key: unpack(bits) for key, bits in packed.table.items()},
        {key: open_scale(scale) for key, scale in packed.scales.items()},
    )


def kind_of(predicate: Predicate) -> type[Plane]:
    """The kind of plane that answers a predicate."""
    if isinstance(predicate, Within):
        return Numbers if predicate.key is None else Entries
    return _KIND_OF[type(predicate)]


_KIND_OF: dict[type[Predicate], type[Plane]] = {
    OneOf: Values,
    Prefix: Prefixes,
    Member: Members,
    Present: Presence,
}


def build_plane(
    kind: type[Plane], attribute: str, predicates: Mapping[int, Predicate], everyone: int
) -> Plane:
    """The plane of one predicate for each place in `predicates`; `everyone` has a bit per clause
    of the block."""
    tested = sum(1 << place for place in predicates)
    indifferent = everyone ^ tested
    absent = default = indifferent
    table: dict[str | bool, int] = {}
    drafts: dict[str, _ScaleDraft] = {}
    for place, predicate in predicates.items():
        bit = 1 << place
        match predicate:
            case Present(_, negated):
                absent, default = absent | bit * negated, default | bit * (not negated)
            case Within(_, key, _, _, zero):
                lacking = zero and holds(predicate, {attribute: {}})
                default |= bit * lacking
                start = indifferent if key is None else 0
                drafts.setdefault(key or "", _ScaleDraft(start)).add(predicate, bit, lacking)
            case _:
                default |= bit * predicate.negated
                for entry in _entries(predicate):
                    table[entry] = table.get(entry, 0) ^ bit
    scales = {key: draft.finish() for key, draft in drafts.items()}
    return kind(attribute, tested, default, absent, table, scales)


def _entries(predicate: OneOf | Member | Prefix) -> Iterable[str | bool]:
    """The table's keys that a predicate stands under, each once, in written order."""
    match predicate:
        case OneOf(_, values):
            return dict.fromkeys(values)
        case Member(_, member):
            return (member,)
    return (predicate.prefix,)


class _ScaleDraft:
    """A scale while predicates are added to it."""

    def __init__(self, start: int) -> None:
        self.start = self.nan = start
        self.flips: dict[Point, list[int]] = {}  # [before, after]

    def add(self, predicate: Within, bit: int, inverted: bool) -> None:
        """Cut the line at the bounds of a predicate's spans; inverted: `bit` says where it is
        false."""
        self.nan ^= bit * (predicate.nan != inverted)
        self.start ^= bit * inverted
        for low, low_in, high, high_in in predicate.spans:
            if low is None:
                self.start ^= bit
            else:
                self.flips.setdefault(low, [0, 0])[not low_in] ^= bit
            if high is not None:
                self.flips.setdefault(high, [0, 0])[high_in] ^= bit

    def finish(self) -> Scale:
        """The scale of everything added."""
        points = sorted(self.flips)
        before, after = ([self.flips[point][side] for point in points] for side in (0, 1))
        return Scale(points, self.start, self.nan, before, after)

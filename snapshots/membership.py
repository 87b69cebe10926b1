"""Membership: visitor key in; segments, traits, scores, interests out. Mapped, never loaded.

Five parts: keys (sorted, 8 bytes each), and per key in the same order a row of segment bits, a row
of codes (one a trait), a row of scores (one byte each) and a row of the strongest interests: a
look-up touches one place in each. A key is found by interpolation and bisection. Opening checks
the frames, not the rows: whatever a row holds, a look-up answers or says None, it never fails.
docs/bundle-format.md has the layout to the byte.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import compress
from typing import TYPE_CHECKING

import msgspec

from snapshots.columns import Frame, numbers, open_frame
from snapshots.errors import Malformed

if TYPE_CHECKING:
    from typing_extensions import Buffer

KEYS, SEGMENTS, TRAITS = "membership/keys", "membership/segments", "membership/traits"
SCORES, INTERESTS = "membership/scores", "membership/interests"
MAGIC = {
    KEYS: b"EW keys\n",
    SEGMENTS: b"EW segm\n",
    TRAITS: b"EW trts\n",
    SCORES: b"EW scor\n",
    INTERESTS: b"EW intr\n",
}
# Every format that is read, and written when a publisher is told to; the newest is written else.
# Interests in format 1 are as of the build, as all were before format 2 gave them a moment.
FORMATS = {
    KEYS: frozenset({1}),
    SEGMENTS: frozenset({1}),
    TRAITS: frozenset({1}),
    SCORES: frozenset({1}),
    INTERESTS: frozenset({1, 2}),
}
AS_OF_BUILD = 1  # of interests
NO_SCORE = 0  # the code of a visitor without this score; 1 to 255 run from low to high
NO_INTEREST = 0xFFFF  # the id of a slot that holds none
MAX_SLOTS = 64  # interests a row; the profile keeps fewer

_CODES = {1: "B", 2: "H", 4: "I"}  # bytes of a trait's code → its letter in `struct`
_Traits = tuple[tuple[str, ...], tuple[tuple[str | None, ...], ...]]  # names, and their values
_Scores = tuple[tuple[str, ...], tuple[tuple[float | None, ...], ...]]


class KeysHead(msgspec.Struct, frozen=True):
    """build: names the keys these parts belong to. built_at_s: the moment the data is built for."""

    build: str
    built_at_s: int


class SegmentsHead(msgspec.Struct, frozen=True):
    """names: the segment of each bit."""

    build: str
    names: tuple[str, ...]


class TraitHead(msgspec.Struct, frozen=True):
    """values: what each code means; null is absent. width: bytes a code, 1, 2 or 4."""

    name: str
    width: int
    values: tuple[str | None, ...]


class TraitsHead(msgspec.Struct, frozen=True):
    """traits: in the order of their codes in a row."""

    build: str
    traits: tuple[TraitHead, ...]


class ScoreHead(msgspec.Struct, frozen=True):
    """Code 1 is low, 255 is high, 0 is absent; low < high."""

    name: str
    low: float
    high: float


class ScoresHead(msgspec.Struct, frozen=True):
    """scores: in the order of their bytes in a row."""

    build: str
    scores: tuple[ScoreHead, ...]


class InterestsHead(msgspec.Struct, frozen=True, omit_defaults=True):
    """names: the interest of each id. slots: how many a row holds. weighed_at_s: the moment that
    the weights stand for; 0, which format 1 does not write, is `built_at_s`."""

    build: str
    names: tuple[str, ...]
    slots: int
    weighed_at_s: int = 0


class Member(msgspec.Struct, frozen=True, eq=False):
    """What the builder knew of one visitor: segments, traits, scores, and interests as weights as
    of `weighed_at_s`, not yet faded.

    Nothing here is granted yet: facts take from it what consent allows. Interests are read only
    when they are asked for, which is once, at sign-in.
    """

    segments: frozenset[str]
    traits: dict[str, str]
    scores: dict[str, float]
    _of: Membership
    _row: int

    @property
    def weighed_at_s(self) -> int:
        """The moment that the weights of its interests stand for."""
        return self._of.weighed_at_s

    @property
    def interests(self) -> dict[str, float]:
        """Name → weight, the strongest ones only."""
        return self._of.interests_of(self._row)


class Membership:
    """All members of a snapshot, over mapped bytes that it keeps alive. Immutable."""

    def __init__(self, parts: Mapping[str, Buffer]) -> None:
        """parts: the raw bytes under the five names; all but the keys may be missing.

        Raises Malformed, Unreadable.
        """
        keys = _open(KEYS, parts[KEYS])
        head = keys.head_as(KeysHead)
        keys.expect(keys.rows * 8)
        self.rows = keys.rows
        self.built_at_s = self.weighed_at_s = head.built_at_s
        self._build = head.build
        self._keys = numbers(keys.body, 8)
        # A hash stands within four standard deviations of its share of the rows; and within four of
        # those from another key whose place is known, as far away as that.
        self._far = 2 * math.isqrt(keys.rows) + 8
        self._near = 4 * math.isqrt(self._far) + 8
        self._bits, self._names = self._open_segments(parts.get(SEGMENTS))
        self._eights = struct.Struct(f"<{-(-len(self._names) // 8)}B")
        self._named = _named_bytes(self._names)
        self._trait_rows, self._traits, self._codes = self._open_traits(parts.get(TRAITS))
        self._score_rows, self._scores, self._score_codes = self._open_scores(parts.get(SCORES))
        self._interests, self._slot_names, self._slots = self._open_interests(parts.get(INTERESTS))

    @classmethod
    def open(cls, parts: Mapping[str, Buffer]) -> Membership:
        """The members in these parts; raises Malformed, Unreadable."""
        return cls(parts)

    @property
    def segments(self) -> tuple[str, ...]:
        """The names of all segments that were built."""
        return self._names

    @property
    def build(self) -> str:
        """Names the keys: what lies in the order of the same keys has the same."""
        return self._build

    def pieces(self) -> list[object]:
        """What it holds most of: each part's rows, unmapped when this was the last to hold them."""
        rows = (self._keys, self._bits, self._trait_rows, self._score_rows, self._interests)
        return [*rows, self._named]

    def keys_at(self, rows: Iterable[int]) -> list[int]:
        """The keys that stand at these rows."""
        return [self._keys[row] for row in rows]

    def row(self, key: int) -> int | None:
        """Where the key stands, or None. Keys are hashes: a guess by proportion, a better one from
        the key that stands there, then bisection around it, and over all rows if that was off."""
        keys, rows = self._keys, self.rows
        guess = key * rows >> 64
        if 0 <= guess < rows:
            guess += (key - keys[guess]) * rows >> 64
            low, high = max(0, guess - self._near), min(rows, guess + self._near)
            row = bisect_left(keys, key, low, high) if low < high else low
            if (low < row or low == 0) and row < high:
                return row if keys[row] == key else None
        row = bisect_left(keys, key)
        return row if row < rows and keys[row] == key else None

    def lookup(self, key: int) -> Member | None:
        """What is known of the visitor with this key, or None for a stranger. Never raises."""
        row = self.row(key)
        if row is None:
            return None
        codes = self._codes.unpack_from(self._trait_rows, row * self._codes.size)
        try:
            traits = {
                name: value
                for name, values, code in zip(*self._traits, codes)  # noqa: B905 # 0.2 µs
                if (value := values[code]) is not None
            }
        except IndexError:
            traits = _within_bounds(self._traits, codes)
        codes = self._score_codes.unpack_from(self._score_rows, row * self._score_codes.size)
        scores = {
            name: score
            for name, steps, code in zip(*self._scores, codes)  # noqa: B905 # the same
            if (score := steps[code]) is not None
        }
        return Member(self._segments_of(row), traits, scores, self, row)

    def interests_of(self, row: int) -> dict[str, float]:
        """The interests of a row as name → weight; ids and weights that mean nothing are left
        out."""
        slots, names, found = self._slots, self._slot_names, {}
        flat = slots.unpack_from(self._interests, row * slots.size)
        for slot in range(0, len(flat), 2):
            if flat[slot] < len(names) and 0.0 < (weight := flat[slot + 1]) < math.inf:
                found[names[flat[slot]]] = weight
        return found

    def _segments_of(self, row: int) -> frozenset[str]:
        bits = self._eights.unpack_from(self._bits, row * self._eights.size)
        found: list[str] = []
        for byte, names in compress(zip(bits, self._named), bits):  # noqa: B905 # the same
            found += names[byte]
        return frozenset(found)

    def _frame(self, name: str, raw: Buffer) -> Frame:
        frame = _open(name, raw)
        if frame.rows != self.rows:
            raise Malformed(f"expected {self.rows} rows, got {frame.rows} - at {name}")
        return frame

    def _same_build(self, build: str, name: str) -> None:
        if build != self._build:
            raise Malformed(f"expected rows of the keys {self._build}, got {build} - at {name}")

    def _open_segments(self, raw: Buffer | None) -> tuple[memoryview, tuple[str, ...]]:
        if raw is None:
            return memoryview(b""), ()
        frame = self._frame(SEGMENTS, raw)
        head = frame.head_as(SegmentsHead)
        self._same_build(head.build, SEGMENTS)
        _each_once(head.names, SEGMENTS)
        frame.expect(self.rows * -(-len(head.names) // 8))
        return frame.body, head.names

    def _open_traits(self, raw: Buffer | None) -> tuple[memoryview, _Traits, struct.Struct]:
        if raw is None:
            return memoryview(b""), ((), ()), struct.Struct("<")
        frame = self._frame(TRAITS, raw)
        head = frame.head_as(TraitsHead)
        self._same_build(head.build, TRAITS)
        _each_once([trait.name for trait in head.traits], TRAITS)
        if not _CODES.keys() >= {trait.width for trait in head.traits}:
            raise Malformed(f"expected codes of 1, 2 or 4 bytes - at {TRAITS}")
        codes = struct.Struct("<" + "".join(_CODES[trait.width] for trait in head.traits))
        frame.expect(self.rows * codes.size)
        names = tuple(trait.name for trait in head.traits)
        return frame.body, (names, tuple(trait.values for trait in head.traits)), codes

    def _open_scores(self, raw: Buffer | None) -> tuple[memoryview, _Scores, struct.Struct]:
        if raw is None:
            return memoryview(b""), ((), ()), struct.Struct("<")
        frame = self._frame(SCORES, raw)
        head = frame.head_as(ScoresHead)
        self._same_build(head.build, SCORES)
        _each_once([score.name for score in head.scores], SCORES)
        if not all(score.low < score.high for score in head.scores):
            raise Malformed(f"expected low < high of every score - at {SCORES}")
        frame.expect(self.rows * len(head.scores))
        steps = tuple(score_values(score.low, score.high) for score in head.scores)
        names = tuple(score.name for score in head.scores)
        return frame.body, (names, steps), struct.Struct(f"<{len(names)}B")

    def _open_interests(
        self, raw: Buffer | None
    ) -> tuple[memoryview, tuple[str, ...], struct.Struct]:
        if raw is None:
            return memoryview(b""), (), struct.Struct("<")
        frame = self._frame(INTERESTS, raw)
        head = frame.head_as(InterestsHead)
        self._same_build(head.build, INTERESTS)
        if not 0 <= head.slots <= MAX_SLOTS:
            raise Malformed(f"expected 0 to {MAX_SLOTS} slots, got {head.slots} - at {INTERESTS}")
        frame.expect(self.rows * head.slots * 4)
        self.weighed_at_s = head.weighed_at_s or self.built_at_s
        return frame.body, head.names, struct.Struct("<" + "He" * head.slots)


def score_values(low: float, high: float) -> tuple[float | None, ...]:
    """What each of the 256 codes of a score means."""
    return (None, *(low + (high - low) * (code - 1) / 254 for code in range(1, 256)))


def _within_bounds(traits: _Traits, codes: tuple[int, ...]) -> dict[str, str]:
    """The traits of a row in which some code has no value: that trait is absent."""
    return {
        name: value
        for name, values, code in zip(*traits, codes, strict=True)
        if code < len(values) and (value := values[code]) is not None
    }


def _named_bytes(names: tuple[str, ...]) -> list[list[tuple[str, ...]]]:
    """For each byte of a row and each value of it, the segments it stands for; bits that have no
    name stand for none."""
    tables = []
    for first in range(0, len(names), 8):
        table: list[tuple[str, ...]] = [()]
        for name in names[first : first + 8]:
            table += [(*held, name) for held in table]
        tables.append(table * (256 // len(table)))
    return tables


def _open(name: str, raw: Buffer) -> Frame:
    return open_frame(name, raw, MAGIC[name], FORMATS[name])


def _each_once(names: tuple[str, ...] | list[str], place: str) -> None:
    if len(set(names)) != len(names):
        raise Malformed(f"expected each name once - at {place}")

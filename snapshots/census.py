"""The census: columns of all visitors in, the membership parts out. The builder's half of it.

It takes what numpy, Arrow or `array` hold, as buffers, and never loops over rows; what comes out
is what `membership` maps. Same columns in, same bytes out.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from snapshots import membership
from snapshots.columns import frame, narrowed, numbers, row_bits
from snapshots.membership import (
    INTERESTS,
    KEYS,
    MAX_SLOTS,
    SCORES,
    SEGMENTS,
    TRAITS,
    InterestsHead,
    KeysHead,
    ScoreHead,
    ScoresHead,
    SegmentsHead,
    TraitHead,
    TraitsHead,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Trait(msgspec.Struct, frozen=True):
    """values: what code i means, None for absent. codes: unsigned, 1, 2, 4 or 8 bytes a row."""

    values: Sequence[str | None]
    codes: Buffer


class Score(msgspec.Struct, frozen=True):
    """codes: one byte a row, 0 absent, 1 is low and 255 is high; `score_code` says which."""

    codes: Buffer
    low: float = 0.0
    high: float = 1.0


class Interests(msgspec.Struct, frozen=True):
    """The strongest interests of each row, `slots` of them side by side.

    names: what id i means, at most 65,535. ids: u16, rows x slots, NO_INTEREST for an empty slot.
    weights: IEEE half floats, rows x slots: within 0.05 % from 0.0001 to 65,504. weighed_at_s: the
    moment they stand for, 0 for the moment of the build.
    """

    names: Sequence[str]
    slots: int
    ids: Buffer
    weights: Buffer
    weighed_at_s: int = 0


def encode_membership(
    keys: Buffer,
    *,
    built_at_s: int,
    segments: Sequence[tuple[str, Buffer]] = (),
    traits: Mapping[str, Trait] | None = None,
    scores: Mapping[str, Score] | None = None,
    interests: Interests | None = None,
    interests_format: int = max(membership.FORMATS[INTERESTS]),
) -> dict[str, bytearray]:
    """The five parts by name. keys: u64 little-endian, strictly ascending; every other buffer has
    its rows in their order. Segments: one byte or one bit a row (`columns.booleans`).
    interests_format: `AS_OF_BUILD` for weights that stand for the moment of the build.

    Raises ValueError for columns that do not fit each other, or the format.
    """
    view = memoryview(keys).cast("B")
    rows = len(view) // 8
    if len(view) != rows * 8 or not _ascending(view):
        raise ValueError("expected keys of 8 bytes, strictly ascending")
    build = build_of(view)
    written = frame(membership.MAGIC[KEYS], 1, KeysHead(build, built_at_s), rows, len(view))
    written.part[written.start :] = view
    return {
        KEYS: written.part,
        SEGMENTS: _segments(sorted(segments, key=operator.itemgetter(0)), rows, build),
        TRAITS: _traits(sorted((traits or {}).items()), rows, build),
        SCORES: _scores(sorted((scores or {}).items()), rows, build),
        INTERESTS: _interests(
            interests or Interests((), 0, b"", b""), rows, build, interests_format
        ),
    }


def build_of(keys: Buffer) -> str:
    """What names these keys in every part that has its rows in their order."""
    return hashlib.sha256(keys).hexdigest()[:16]


def score_code(value: float | None, low: float = 0.0, high: float = 1.0) -> int:
    """The byte of a score: the nearest of 255 steps, so within (high - low) / 508; clamped."""
    if value is None or value != value:
        return membership.NO_SCORE
    return 1 + round(254 * min(max((value - low) / (high - low), 0.0), 1.0))


def _ascending(keys: memoryview) -> bool:
    ordered = numbers(keys, 8)
    return all(map(operator.lt, ordered, islice(ordered, 1, None)))


def _segments(segments: Sequence[tuple[str, Buffer]], rows: int, build: str) -> bytearray:
    head = SegmentsHead(build, tuple(name for name, _ in segments))
    width = -(-len(segments) // 8)
    written = frame(membership.MAGIC[SEGMENTS], 1, head, rows, rows * width)
    for place, column in enumerate(row_bits([column for _, column in segments], rows)):
        written.part[written.start + place :: width] = column
    return written.part


def _traits(traits: Sequence[tuple[str, Trait]], rows: int, build: str) -> bytearray:
    widths = [_width(trait.values) for _, trait in traits]
    heads = tuple(
        TraitHead(name, width, tuple(trait.values))
        for (name, trait), width in zip(traits, widths, strict=True)
    )
    written = frame(membership.MAGIC[TRAITS], 1, TraitsHead(build, heads), rows, rows * sum(widths))
    place, row_bytes = written.start, sum(widths)
    for (name, trait), width in zip(traits, widths, strict=True):
        codes = narrowed(trait.codes, rows, width)
        if rows and max(numbers(memoryview(codes), width)) >= len(trait.values):
            raise ValueError(f"expected codes below {len(trait.values)} for trait {name}")
        for byte in range(width):
            written.part[place + byte :: row_bytes] = codes[byte::width]
        place += width
    return written.part


def _scores(scores: Sequence[tuple[str, Score]], rows: int, build: str) -> bytearray:
    heads = tuple(ScoreHead(name, score.low, score.high) for name, score in scores)
    if not all(head.low < head.high for head in heads):
        raise ValueError("expected low < high of every score")
    written = frame(membership.MAGIC[SCORES], 1, ScoresHead(build, heads), rows, rows * len(scores))
    for place, (name, score) in enumerate(scores):
        codes = memoryview(score.codes).cast("B")
        if len(codes) != rows:
            raise ValueError(f"expected {rows} bytes for score {name}, got {len(codes)}")
        written.part[written.start + place :: len(scores)] = codes
    return written.part


def _interests(interests: Interests, rows: int, build: str, format_: int) -> bytearray:
    slots, cells = interests.slots, rows * interests.slots
    ids, weights = memoryview(interests.ids).cast("B"), memoryview(interests.weights).cast("B")
    if not 0 <= slots <= MAX_SLOTS or len(interests.names) > membership.NO_INTEREST:
        raise ValueError(f"expected at most {MAX_SLOTS} slots and 65,535 names of interests")
    if len(ids) != cells * 2 or len(weights) != cells * 2:
        raise ValueError(f"expected {cells} ids and weights of 2 bytes for interests")
    _check_format(format_, interests.weighed_at_s)
    head = InterestsHead(build, tuple(interests.names), slots, interests.weighed_at_s)
    written = frame(membership.MAGIC[INTERESTS], format_, head, rows, cells * 4)
    for place, column in enumerate((ids[0::2], ids[1::2], weights[0::2], weights[1::2])):
        written.part[written.start + place :: 4] = column.tobytes()
    return written.part


def _check_format(number: int, weighed_at_s: int) -> None:
    if number not in membership.FORMATS[INTERESTS]:
        listed = ", ".join(map(str, sorted(membership.FORMATS[INTERESTS])))
        raise ValueError(f"expected format {listed} of interests, got {number}")
    if number == membership.AS_OF_BUILD and weighed_at_s:
        raise ValueError(f"expected weights as of the build for interests in format {number}")


def _width(values: Sequence[str | None]) -> int:
    return 1 if len(values) <= 2**8 else 2 if len(values) <= 2**16 else 4

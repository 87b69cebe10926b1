"""Patches: two states of one part in, the rows between them out; and back, to the byte. Pure.

A part ends in rows of one width. A patch holds all of the result that stands before its rows, which
rows of the base go, and which rows come, and where; a row that changed goes and comes. The base's
and the result's hashes are in its head: it is refused for any other base, and what it makes is
believed only when the result's hash is right. docs/bundle-format.md has the layout to the byte.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, islice
from typing import TYPE_CHECKING

import msgspec

from snapshots.columns import Frame, frame, open_frame
from snapshots.errors import HashMismatch, Malformed

if TYPE_CHECKING:
    from typing_extensions import Buffer

MAGIC = b"EW ptch\n"
FORMAT = 1
READABLE = frozenset({1})
PIECE_BYTES = 2**20

_PLANES = 4  # bytes of a gap, lowest first, each beside its like: zstd makes nothing of the zeros


class PatchHead(msgspec.Struct, frozen=True, kw_only=True):
    """base, result: SHA-256 of the raw parts, 64 hex digits. width: bytes of a row. base_rows: how
    many end the base. begins: bytes of the result before its rows. removed, added: how many go and
    come."""

    base: str
    result: str
    width: int
    base_rows: int
    begins: int
    removed: int
    added: int


class Rows(msgspec.Struct, frozen=True):
    """A raw part as a patch sees it: `count` rows of `width` bytes, which end it."""

    raw: memoryview
    count: int
    width: int

    @property
    def begins(self) -> int:
        """Where the rows begin."""
        return len(self.raw) - self.count * self.width

    def picked(self, places: Iterable[int]) -> bytes:
        """The rows at these places, one after another."""
        body, width = self.raw[self.begins :], self.width
        return b"".join(body[place * width : (place + 1) * width] for place in places)


class Patch(msgspec.Struct, frozen=True):
    """A patch, opened. rows: of the result. removed: places in the base; added: in the result; both
    strictly ascending. contents: the added rows."""

    head: PatchHead
    rows: int
    beginning: memoryview
    removed: Sequence[int]
    added: Sequence[int]
    contents: memoryview

    @property
    def result_bytes(self) -> int:
        """The size of what it makes."""
        return len(self.beginning) + self.rows * self.head.width


def rows_of(framed: Frame, raw: Buffer) -> Rows:
    """A membership part's rows; raises Malformed for a body of any other shape."""
    width = len(framed.body) // framed.rows if framed.rows else 0
    framed.expect(framed.rows * width)
    return Rows(memoryview(raw).cast("B"), framed.rows, width)


def encode(base: Rows, result: Rows, removed: Sequence[int], added: Sequence[int]) -> bytearray:
    """The patch that makes `result` of `base`. removed: places in the base that go; added: places
    in the result that come; both strictly ascending. Same arguments, same bytes.

    Raises ValueError for rows of two widths or places that do not add up.
    """
    width = result.width if result.count else base.width
    if base.count and base.width != width:
        raise ValueError(f"expected rows of one width, got {base.width} and {result.width}")
    if base.count - len(removed) + len(added) != result.count:
        raise ValueError("expected as many rows as stay and come")
    head = PatchHead(
        base=hashlib.sha256(base.raw).hexdigest(),
        result=hashlib.sha256(result.raw).hexdigest(),
        width=width,
        base_rows=base.count,
        begins=result.begins,
        removed=len(removed),
        added=len(added),
    )
    body = b"".join(
        (result.raw[: result.begins], _packed(removed), _packed(added), result.picked(added))
    )
    written = frame(MAGIC, FORMAT, head, result.count, len(body))
    written.part[written.start :] = body
    return written.part


def decode(raw: Buffer, base: str, result: str) -> Patch:
    """The patch in these bytes, from the part with the SHA-256 `base` to the one with `result`.

    Raises Malformed for whatever is no patch, or is one between other parts; Unreadable for a
    format of the future.
    """
    framed = open_frame("patch", raw, MAGIC, READABLE)
    head = framed.head_as(PatchHead)
    _check(framed, head, memoryview(raw).cast("B"))
    for what, named, expected in (("from", head.base, base), ("to", head.result, result)):
        if named != expected:
            raise Malformed(
                f"expected a patch {what} {expected[:12]}…, got one {what} {named[:12]}…"
            )
    body, at = framed.body, head.begins
    beginning = body[:at]
    removed = _unpacked(body[at : at + head.removed * _PLANES], head.base_rows)
    at += head.removed * _PLANES
    added = _unpacked(body[at : at + head.added * _PLANES], framed.rows)
    contents = body[at + head.added * _PLANES :]
    return Patch(head, framed.rows, beginning, removed, added, contents)


def applied(patch: Patch, base: Buffer) -> Iterator[bytes]:
    """The result, piece by piece; to be believed only when the iterator ends.

    Raises Malformed for a base that is too short, HashMismatch at the end for another base.
    """
    view = memoryview(base).cast("B")
    rows = Rows(view, patch.head.base_rows, patch.head.width)
    if rows.begins < 0:
        raise Malformed(f"expected a base of {rows.count} rows, got {len(view)} bytes")
    digest = hashlib.sha256()
    for piece in _gathered(_runs(patch, rows)):
        digest.update(piece)
        yield piece
    if digest.hexdigest() != patch.head.result:
        raise HashMismatch(f"expected a result of sha256 {patch.head.result[:12]}…, got another")


def _check(framed: Frame, head: PatchHead, raw: memoryview) -> None:
    """The numbers add up, and there is one way to write them."""
    if min(head.width, head.base_rows, head.begins, head.removed, head.added) < 0:
        raise Malformed("expected no number below zero - at patch")
    framed.expect(head.begins + (head.removed + head.added) * _PLANES + head.added * head.width)
    if head.base_rows - head.removed + head.added != framed.rows:
        raise Malformed(
            f"expected {framed.rows} rows, got {head.base_rows} less {head.removed} and "
            f"{head.added} more - at patch"
        )
    written = frame(MAGIC, FORMAT, head, framed.rows, 0)
    if raw[: written.start] != written.part:
        raise Malformed("expected a head as it is written, got another spelling - at patch")


def _packed(places: Sequence[int]) -> bytes:
    """Ascending places as the gaps between them, in planes."""
    gaps = array("I", _gaps(places))
    if sys.byteorder != "little":  # pragma: no cover - no such machine is at hand
        gaps.byteswap()
    flat = gaps.tobytes()
    return b"".join(flat[plane::_PLANES] for plane in range(_PLANES))


def _gaps(places: Iterable[int]) -> Iterator[int]:
    before = -1
    for place in places:
        if place <= before:
            raise ValueError("expected places that ascend strictly")
        yield place - before - 1
        before = place


def _unpacked(planes: memoryview, rows: int) -> Sequence[int]:
    """The places, all below `rows`; raises Malformed. Whatever the bytes are, they ascend."""
    count = len(planes) // _PLANES
    flat = bytearray(len(planes))
    for plane in range(_PLANES):
        flat[plane::_PLANES] = planes[plane * count : (plane + 1) * count]
    gaps = memoryview(flat).cast("I")
    ends = accumulate(gaps, lambda before, gap: before + gap + 1, initial=-1)
    places = array("Q", islice(ends, 1, None))  # a list of them would be five times as large
    if places and places[-1] >= rows:
        raise Malformed(f"expected places below {rows}, got {places[-1]} - at patch")
    return places


def _runs(patch: Patch, base: Rows) -> Iterator[memoryview]:
    """The result in runs: what stands before its rows, rows that stay, rows that come."""
    yield patch.beginning
    width, begins, contents = base.width, base.begins, patch.contents
    stays = _staying(patch.removed, base.count)
    low, high = next(stays, (0, 0))
    done = 0  # rows of the result so far
    for number, place in enumerate(chain(patch.added, (patch.rows,))):
        while done < place:
            if low == high:
                low, high = next(stays)
            count = min(place - done, high - low)
            yield base.raw[begins + low * width : begins + (low + count) * width]
            low, done = low + count, done + count
        yield contents[number * width : (number + 1) * width]  # after the last: nothing
        done = place + 1


def _staying(removed: Sequence[int], rows: int) -> Iterator[tuple[int, int]]:
    """The runs of rows that are not removed, as from and up to."""
    start = 0
    for place in chain(removed, (rows,)):
        if place > start:
            yield start, place
        start = place + 1


def _gathered(runs: Iterable[memoryview]) -> Iterator[bytes]:
    """The same bytes in pieces of about PIECE_BYTES: a run may be a row, or nearly everything."""
    piece = bytearray()
    for run in runs:
        for start in range(0, len(run), PIECE_BYTES):
            piece += run[start : start + PIECE_BYTES]
            if len(piece) >= PIECE_BYTES:
                yield bytes(piece)
                piece.clear()
    if piece:
        yield bytes(piece)

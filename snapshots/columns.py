"""Columns as bytes: the frame that the membership parts share, and packing without a row loop.

A part is a magic, a format number, a head in JSON, and one body of fixed-width rows, so that it is
opened by mapping it. Everything is little-endian. The packing is the builder's: it takes any
contiguous buffer (bytes, array, numpy, Arrow) and moves it by slices; neither side needs numpy.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from snapshots.errors import Malformed, Unreadable

if TYPE_CHECKING:
    from typing_extensions import Buffer

ALIGN = 64  # a body starts on a cache line
MAX_HEAD_BYTES = 64 * 2**20  # a dictionary of a million values fits; nothing honest is longer

_PREFIX = struct.Struct("<8sIIQ")  # magic, format, length of the head, rows
_BIT_OF = tuple(bytes((byte >> bit) & 1 for byte in range(256)) for bit in range(8))
_TRUTH = bytes((0, *(1 for _ in range(255))))
_KINDS: dict[int, Literal["B", "H", "I", "Q"]] = {1: "B", 2: "H", 4: "I", 8: "Q"}

Head = TypeVar("Head", bound=msgspec.Struct)


class Frame(msgspec.Struct, frozen=True):
    """A part whose frame is right: how many rows, its head still in JSON, its body unread."""

    name: str
    rows: int
    head: bytes
    body: memoryview

    def head_as(self, kind: type[Head]) -> Head:
        """The head as a value of `kind`; raises Malformed."""
        try:
            return msgspec.json.decode(self.head, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Malformed(f"expected a readable head: {error} - at {self.name}") from None

    def expect(self, bytes_: int) -> None:
        """Raises Malformed unless the body is exactly that long."""
        if len(self.body) != bytes_:
            raise Malformed(
                f"expected {bytes_} bytes for {self.rows} rows, "
                f"got {len(self.body)} - at {self.name}"
            )


def frame(magic: bytes, format_: int, head: msgspec.Struct, rows: int, body_bytes: int) -> Framed:
    """An empty part: a bytearray with the frame written, and the body's place in it."""
    head_bytes = msgspec.json.encode(head)
    start = _aligned(_PREFIX.size + len(head_bytes))
    part = bytearray(start + body_bytes)
    _PREFIX.pack_into(part, 0, magic, format_, len(head_bytes), rows)
    part[_PREFIX.size : _PREFIX.size + len(head_bytes)] = head_bytes
    return Framed(part, start)


class Framed(msgspec.Struct, frozen=True):
    """A part while it is written: the bytes so far, and where the body starts in them."""

    part: bytearray
    start: int


def open_frame(name: str, raw: Buffer, magic: bytes, formats: frozenset[int]) -> Frame:
    """The frame of a part; raises Malformed, and Unreadable for a format not among `formats`."""
    view = memoryview(raw).cast("B")
    if len(view) < _PREFIX.size:
        raise Malformed(f"expected at least {_PREFIX.size} bytes, got {len(view)} - at {name}")
    found, number, head_bytes, rows = _PREFIX.unpack_from(view)
    if found != magic:
        raise Malformed(f"expected {magic!r} at the start, got {found!r} - at {name}")
    if number not in formats:
        readable = ", ".join(map(str, sorted(formats)))
        raise Unreadable(f"expected format {readable} of {name}, got {number}: upgrade this edge")
    if sys.byteorder != "little":  # pragma: no cover - no such machine is at hand
        raise Unreadable("expected a little-endian machine: columns are mapped as they lie")
    start = _aligned(_PREFIX.size + head_bytes)
    if head_bytes > MAX_HEAD_BYTES or start > len(view):
        raise Malformed(f"expected {start} bytes of head, got {len(view)} in all - at {name}")
    head = bytes(view[_PREFIX.size : _PREFIX.size + head_bytes])
    return Frame(name, rows, head, view[start:])


def row_bits(columns: Sequence[Buffer], rows: int) -> list[bytes]:
    """Up to eight columns a byte: for each eight, one byte a row, bit k of it from column k.

    A column is one byte a row (not zero is true) or one bit a row, lowest first, as Arrow packs
    them. Eight columns at a time are one big integer each, shifted into their bit and joined.
    """
    packed = []
    for first in range(0, len(columns), 8):
        joined = 0
        for bit, column in enumerate(columns[first : first + 8]):
            joined |= int.from_bytes(booleans(column, rows), "little") << bit
        packed.append(joined.to_bytes(rows, "little"))
    return packed


def booleans(column: Buffer, rows: int) -> bytes:
    """One byte a row, 0 or 1, from bytes or from bits, those beyond the last row zero; raises
    ValueError for any other length."""
    view = memoryview(column).cast("B")
    if len(view) == rows:
        return bytes(view).translate(_TRUTH)
    if len(view) != -(-rows // 8):
        raise ValueError(f"expected {rows} rows as bytes or bits, got {len(view)} bytes")
    spread = bytearray(len(view) * 8)
    for bit, table in enumerate(_BIT_OF):
        spread[bit::8] = bytes(view).translate(table)
    return bytes(spread[:rows])


def narrowed(codes: Buffer, rows: int, width: int) -> bytes:
    """Unsigned codes of 1, 2, 4 or 8 bytes a row as codes of `width` bytes.

    Raises ValueError for a code that does not fit.
    """
    view = memoryview(codes).cast("B")
    given = len(view) // rows if rows else width
    if len(view) != rows * given or given not in _KINDS:
        raise ValueError(f"expected {rows} codes of 1, 2, 4 or 8 bytes, got {len(view)} bytes")
    for place in range(width, given):
        if view[place::given].tobytes().count(0) != rows:
            raise ValueError(f"expected codes of at most {width} bytes, got a larger one")
    kept = bytearray(rows * width)
    for place in range(min(width, given)):
        kept[place::width] = view[place::given].tobytes()
    return bytes(kept)


def numbers(view: memoryview, width: int) -> memoryview[int]:
    """The same bytes as unsigned numbers of 1, 2, 4 or 8 bytes."""
    return view.cast(_KINDS[width])


def _aligned(bytes_: int) -> int:
    return -(-bytes_ // ALIGN) * ALIGN

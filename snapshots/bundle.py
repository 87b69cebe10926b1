"""Parts: raw bytes in, compressed bytes with an address out, and back — every byte accounted for.

The address is the SHA-256 of the stored bytes, so a store never rewrites a part, and a cache may
keep it for ever. Nothing is decompressed before its hash is right, and never more of it than the
manifest says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec
import zstandard

from snapshots.errors import HashMismatch, Malformed, TooLarge
from snapshots.manifest import PartRef

LEVEL = 3  # twice as fast as 9 and within a few percent: hashes do not shrink, bitsets do at once
MAX_WINDOW_BYTES = 8 * 2**20  # what a decompressor may be asked to hold; level 3 uses 2 MiB
FEED_BYTES = 2**10  # even if each of its blocks is the largest, 32 MiB come out of one feed

_MAGIC = b"\x28\xb5\x2f\xfd"  # of a frame with content; a skippable one is refused


class Packed(msgspec.Struct, frozen=True):
    """A part ready for a store: what the manifest will say of it, and the bytes to put there."""

    ref: PartRef
    stored: bytes


def sha256(raw: bytes | memoryview) -> str:
    """64 hex digits."""
    return hashlib.sha256(raw).hexdigest()


def pack(name: str, format_: int, raw: bytes | bytearray | memoryview) -> Packed:
    """The part `name` of format number `format_`; same bytes in, same bytes out (with one version
    of zstd)."""
    view = memoryview(raw).cast("B")
    compressor = zstandard.ZstdCompressor(
        level=LEVEL, write_content_size=True, write_checksum=False, write_dict_id=False
    )
    stored = compressor.compress(view)
    ref = PartRef(
        name=name,
        format=format_,
        sha256=sha256(stored),
        bytes=len(stored),
        raw_sha256=sha256(view),
        raw_bytes=len(view),
    )
    return Packed(ref, stored)


def unpack(ref: PartRef, stored: bytes | memoryview) -> bytes:
    """What is inside `stored`; raises HashMismatch, TooLarge, Malformed."""
    return b"".join(unpacked(ref, stored))


def unpacked(ref: PartRef, stored: bytes | memoryview) -> Iterator[bytes]:
    """What is inside `stored`, piece by piece, so that a large part is never held twice.

    The pieces are to be believed only when the iterator ends: it raises HashMismatch, TooLarge or
    Malformed at whatever point it learns better, HashMismatch of the address before the first.
    """
    check_stored(ref, stored)
    digest, size = hashlib.sha256(), 0
    for piece in _decompressed(ref, stored):
        size += len(piece)
        if size > ref.raw_bytes:
            raise TooLarge(f"expected {ref.raw_bytes} bytes inside, got more - at {ref.name}")
        digest.update(piece)
        yield piece
    _same(ref.raw_sha256, digest.hexdigest(), f"{ref.name}, raw")


def check_stored(ref: PartRef, stored: bytes | memoryview) -> None:
    """Raises HashMismatch unless these are the bytes at the part's address, none missing, none
    extra."""
    if len(stored) != ref.bytes:
        raise HashMismatch(f"expected {ref.bytes} bytes, got {len(stored)} - at {ref.name}")
    _same(ref.sha256, sha256(stored), ref.name)


def _decompressed(ref: PartRef, stored: bytes | memoryview) -> Iterator[bytes]:
    view = memoryview(stored)
    if view[:4] != _MAGIC:
        raise Malformed(f"expected a zstd frame, got other bytes - at {ref.name}")
    inflate = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).decompressobj()
    try:
        for start in range(0, len(view), FEED_BYTES):
            if inflate.eof:
                raise Malformed(f"expected one zstd frame, got bytes after it - at {ref.name}")
            if piece := inflate.decompress(view[start : start + FEED_BYTES]):
                yield piece
    except zstandard.ZstdError as error:
        raise Malformed(f"expected a zstd frame: {error} - at {ref.name}") from None
    if not inflate.eof or inflate.unused_data:
        raise Malformed(f"expected one zstd frame, no more, no less - at {ref.name}")


def _same(expected: str, got: str, place: str) -> None:
    if got != expected:
        raise HashMismatch(f"expected sha256 {expected[:12]}…, got {got[:12]}… - at {place}")

from __future__ import annotations

import hashlib
import os

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from snapshots.bundle import Packed, check_stored, pack, unpack
from snapshots.errors import HashMismatch, Malformed, TooLarge, Untrusted
from snapshots.manifest import PartRef

RAW = b"segments of a visitor " * 40
PART = pack("program", 1, RAW)


def claimed(stored: bytes, raw: bytes, **changes: int) -> PartRef:
    """A manifest's word for these stored bytes, as a hostile but trusted publisher gives it."""
    return PartRef(
        name="program",
        format=1,
        sha256=hashlib.sha256(stored).hexdigest(),
        bytes=len(stored),
        raw_sha256=hashlib.sha256(raw).hexdigest(),
        raw_bytes=changes.get("raw_bytes", len(raw)),
    )


@settings(max_examples=50)
@given(st.binary(max_size=100_000))
def test_what_is_packed_is_unpacked_and_packs_to_the_same_bytes(raw: bytes) -> None:
    packed = pack("program", 1, raw)
    assert unpack(packed.ref, packed.stored) == raw
    assert pack("program", 1, memoryview(raw)) == packed


def test_a_part_larger_than_one_feed_comes_out_in_pieces() -> None:
    raw = os.urandom(300_000) + bytes(5_000_000)
    packed = pack("program", 1, raw)
    assert unpack(packed.ref, packed.stored) == raw


def test_every_flipped_byte_of_a_stored_part_is_refused() -> None:
    for place in range(len(PART.stored)):
        broken = bytearray(PART.stored)
        broken[place] ^= 1
        with pytest.raises(HashMismatch, match=r"expected sha256 .* - at program"):
            unpack(PART.ref, bytes(broken))


@pytest.mark.parametrize("stored", [b"", PART.stored[:-1], PART.stored + b"\0"])
def test_missing_and_extraneous_bytes_are_refused(stored: bytes) -> None:
    with pytest.raises(HashMismatch, match=f"expected {len(PART.stored)} bytes, got {len(stored)}"):
        check_stored(PART.ref, stored)


def test_a_bomb_stops_at_the_size_that_the_manifest_names() -> None:
    bomb = zstandard.compress(bytes(200 * 2**20))
    with pytest.raises(TooLarge, match="expected 1000 bytes inside, got more"):
        unpack(claimed(bomb, b"", raw_bytes=1_000), bomb)
    assert len(bomb) < 100_000


@pytest.mark.parametrize(
    ("stored", "raw", "said"),
    [
        (PART.stored + b"extra", RAW, "no more, no less"),
        (PART.stored + bytes(9_000), RAW, "got bytes after it|no more, no less"),
        (PART.stored + PART.stored, RAW, "no more, no less"),
        (PART.stored[:-1], RAW, "no more, no less"),
        (b"no zstd at all", RAW, "expected a zstd frame"),
        (b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip", b"", "zstd frame"),
    ],
)
def test_a_trusted_publishers_broken_frame_is_refused(stored: bytes, raw: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        unpack(claimed(stored, raw), stored)


def test_a_window_larger_than_the_limit_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    stored = compressor.compress(RAW) + compressor.flush()
    with pytest.raises(Malformed, match="expected a zstd frame"):
        unpack(claimed(stored, RAW), stored)


def test_another_content_under_a_right_address_is_refused() -> None:
    other = pack("program", 1, RAW.swapcase())
    mixed: Packed = msgspec.structs.replace(
        other, ref=msgspec.structs.replace(other.ref, raw_sha256=PART.ref.raw_sha256)
    )
    with pytest.raises(HashMismatch, match="at program, raw"):
        unpack(mixed.ref, mixed.stored)


@settings(max_examples=100)
@given(st.binary(max_size=2_000))
def test_no_bytes_whatever_are_taken_for_the_part(stored: bytes) -> None:
    with pytest.raises(Untrusted):
        unpack(PART.ref, stored)
    with pytest.raises(Untrusted):
        unpack(claimed(stored, RAW), stored)

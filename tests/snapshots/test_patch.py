from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.bundle import pack, unpack
from snapshots.errors import HashMismatch, Malformed, TooLarge, Unreadable
from snapshots.patch import FORMAT, MAGIC, PIECE_BYTES, Rows, applied, decode, encode

WIDTH = 3
SPEC = Path(__file__).parent.parent / "spec" / "bundle.json"
VECTOR: dict[str, Any] = json.loads(SPEC.read_text(encoding="utf-8"))["patch"]


def sha256(raw: bytes | memoryview) -> str:
    return hashlib.sha256(raw).hexdigest()


def part_of(rows: Sequence[bytes], beginning: bytes = b"head") -> Rows:
    width = len(rows[0]) if rows else 0
    return Rows(memoryview(beginning + b"".join(rows)), len(rows), width)


def plain(base: Rows, result: Rows, removed: list[int], added: list[int]) -> bytes:
    """What a patch means, in lists: the slow truth."""
    old = [bytes(base.picked([place])) for place in range(base.count)]
    new = iter(result.picked([place]) for place in added)
    stays = iter(row for place, row in enumerate(old) if place not in removed)
    rows = [next(new) if place in added else next(stays) for place in range(result.count)]
    return bytes(result.raw[: result.begins]) + b"".join(rows)


def made(base: Rows, patch: bytes, result: Rows) -> bytes:
    opened = decode(patch, sha256(base.raw), sha256(result.raw))
    assert opened.result_bytes == len(result.raw)
    return b"".join(applied(opened, base.raw))


@st.composite
def changes(draw: st.DrawFn) -> tuple[Rows, Rows, list[int], list[int]]:
    """Any base, any rows that go, any that come anywhere."""
    row = st.binary(min_size=WIDTH, max_size=WIDTH)
    base = draw(st.lists(row, max_size=30))
    removed = sorted(draw(st.sets(st.integers(0, len(base) - 1)))) if base else []
    rows = [one for place, one in enumerate(base) if place not in removed]
    count = len(rows) + draw(st.integers(0, 10))
    places = st.sets(st.integers(0, max(count - 1, 0)), min_size=count - len(rows))
    added = sorted(draw(places))[: count - len(rows)]
    for place in added:
        rows.insert(place, draw(row))
    return part_of(base, draw(st.binary())), part_of(rows, draw(st.binary())), removed, added


@given(changes())
def test_any_change_of_any_base_comes_out_to_the_byte_as_the_plain_lists_say(
    change: tuple[Rows, Rows, list[int], list[int]],
) -> None:
    base, result, removed, added = change
    patch = bytes(encode(base, result, removed, added))
    assert patch == encode(base, result, removed, added)
    assert made(base, patch, result) == result.raw == plain(base, result, removed, added)


BASE = part_of([b"%03d" % number for number in range(100)], b"a head of the base")
RESULT = part_of([b"%03d" % number for number in range(100) if number != 7] + [b"new"], b"head")
PATCH = bytes(encode(BASE, RESULT, [7], [99]))


def test_an_empty_patch_changes_nothing() -> None:
    empty = bytes(encode(BASE, BASE, [], []))
    assert made(BASE, empty, BASE) == BASE.raw
    assert len(empty) < 512


def test_rows_that_are_no_bytes_wide_have_a_patch_too() -> None:
    base, result = Rows(memoryview(b"three"), 3, 0), Rows(memoryview(b"two"), 2, 0)
    assert made(base, bytes(encode(base, result, [1], [])), result) == b"two"


def test_a_large_result_comes_in_pieces() -> None:
    base = part_of([bytes(1_000)] * 3_000)
    patch = decode(encode(base, base, [], []), sha256(base.raw), sha256(base.raw))
    sizes = [len(piece) for piece in applied(patch, base.raw)]
    assert sum(sizes) == len(base.raw)
    assert max(sizes) < 2 * PIECE_BYTES


def test_every_truncated_patch_is_refused() -> None:
    for length in range(len(PATCH)):
        with pytest.raises(Malformed):
            decode(PATCH[:length], sha256(BASE.raw), sha256(RESULT.raw))
    with pytest.raises(Malformed):
        decode(PATCH + b"\0", sha256(BASE.raw), sha256(RESULT.raw))


@pytest.mark.parametrize("bit", [0, 7])
def test_every_flipped_patch_is_refused(bit: int) -> None:
    for place in range(len(PATCH)):
        flipped = bytearray(PATCH)
        flipped[place] ^= 1 << bit
        with pytest.raises((Malformed, Unreadable, HashMismatch)):
            made(BASE, bytes(flipped), RESULT)


def test_every_flipped_or_truncated_stored_patch_is_refused() -> None:
    packed = pack("patch/membership/keys", FORMAT, PATCH)
    for place in range(len(packed.stored)):
        flipped = bytearray(packed.stored)
        flipped[place] ^= 1
        for stored in (bytes(flipped), packed.stored[:place]):
            with pytest.raises((HashMismatch, TooLarge, Malformed)):
                unpack(packed.ref, stored)


def test_a_patch_of_another_base_or_to_another_result_is_refused_by_name() -> None:
    base, result = sha256(BASE.raw), sha256(RESULT.raw)
    with pytest.raises(Malformed, match=f"expected a patch from {result[:12]}…, got one from"):
        decode(PATCH, result, result)
    with pytest.raises(Malformed, match=f"expected a patch to {base[:12]}…, got one to"):
        decode(PATCH, base, base)


def test_another_base_under_the_right_name_is_refused_by_the_result() -> None:
    patch = decode(PATCH, sha256(BASE.raw), sha256(RESULT.raw))
    other = bytearray(BASE.raw)
    other[-1] ^= 1
    with pytest.raises(HashMismatch, match="expected a result of"):
        list(applied(patch, other))
    with pytest.raises(Malformed, match="expected a base of 100 rows, got 10 bytes"):
        list(applied(patch, bytes(10)))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"removed": 2}, "expected"),
        ({"width": -1}, "expected no number below zero"),
        ({"base_rows": 101}, "expected 100 rows, got 101 less 1 and 1 more"),
        ({"base_rows": 7, "added": 94}, "expected"),
    ],
)
def test_numbers_that_do_not_add_up_are_refused(changed: dict[str, int], says: str) -> None:
    size = struct.unpack_from("<I", PATCH, 12)[0]
    head = json.loads(PATCH[24 : 24 + size]) | changed
    text = msgspec.json.encode(head)
    start = -(-(24 + len(text)) // 64) * 64
    raw = PATCH[:12] + struct.pack("<I", len(text)) + PATCH[16:24] + text
    body = PATCH[-(-(24 + size) // 64) * 64 :]
    with pytest.raises(Malformed, match=says):
        decode(raw.ljust(start, b"\0") + body, sha256(BASE.raw), sha256(RESULT.raw))


def test_a_place_beyond_the_rows_is_refused() -> None:
    broken = bytearray(PATCH)
    broken[-WIDTH - 4] = 100  # the one gap of the added rows, its lowest byte
    with pytest.raises(Malformed, match="expected places below 100, got 100"):
        decode(broken, sha256(BASE.raw), sha256(RESULT.raw))


def test_another_spelling_of_a_head_is_refused() -> None:
    size = struct.unpack_from("<I", PATCH, 12)[0]
    spelled = PATCH[:12] + struct.pack("<I", size + 1) + PATCH[16 : 24 + size] + b" "
    with pytest.raises(Malformed, match="another spelling"):
        decode(spelled + PATCH[24 + size + 1 :], sha256(BASE.raw), sha256(RESULT.raw))


def test_a_patch_of_a_future_format_is_told_from_a_broken_one() -> None:
    with pytest.raises(Unreadable, match="expected format 1"):
        decode(MAGIC + b"\2" + PATCH[9:], sha256(BASE.raw), sha256(RESULT.raw))


@pytest.mark.parametrize(
    ("base", "result", "removed", "added"),
    [
        (BASE, part_of([b"four"]), [], []),
        (BASE, RESULT, [7], []),
        (BASE, RESULT, [7, 7], [98, 99]),
        (BASE, RESULT, [7, 6], [98, 99]),
    ],
)
def test_what_does_not_add_up_is_not_written(
    base: Rows, result: Rows, removed: list[int], added: list[int]
) -> None:
    with pytest.raises(ValueError, match="expected"):
        encode(base, result, removed, added)


def test_the_patch_of_the_vectors_is_written_and_applied_as_they_say() -> None:
    base, result = (bytes.fromhex(VECTOR[name]) for name in ("base", "result"))
    old, new = Rows(memoryview(base), 2, 8), Rows(memoryview(result), 2, 8)
    patch = bytes(encode(old, new, VECTOR["removed"], VECTOR["added"]))
    assert patch.hex() == VECTOR["patch"]
    assert made(old, patch, new) == result

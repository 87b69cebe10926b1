from __future__ import annotations

from array import array

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapshots.columns import booleans, frame, narrowed, numbers, open_frame, row_bits
from snapshots.errors import Malformed, Unreadable

MAGIC = b"EW test\n"
FORMATS = frozenset({1})


class Head(msgspec.Struct, frozen=True):
    word: str


def part() -> bytearray:
    framed = frame(MAGIC, 1, Head("w"), rows=2, body_bytes=3)
    framed.part[framed.start :] = b"abc"
    return framed.part


def test_a_frame_comes_back_with_its_head_and_a_body_on_a_cache_line() -> None:
    raw = part()
    opened = open_frame("p", raw, MAGIC, FORMATS)
    assert (opened.rows, opened.head_as(Head), bytes(opened.body)) == (2, Head("w"), b"abc")
    assert (len(raw) - 3) % 64 == 0
    opened.expect(3)
    with pytest.raises(Malformed, match="expected 4 bytes for 2 rows, got 3 - at p"):
        opened.expect(4)


def test_a_frame_of_another_kind_or_length_is_refused() -> None:
    for broken, said in (
        (b"", "expected at least 24 bytes, got 0"),
        (bytes(64), "expected b'EW test"),
        (part()[:30], "bytes of head, got 30 in all"),
        (part()[:12] + b"\xff" * 4 + part()[16:], "bytes of head"),
    ):
        with pytest.raises(Malformed, match=said):
            open_frame("p", broken, MAGIC, FORMATS)


def test_a_format_of_the_future_is_named() -> None:
    framed = frame(MAGIC, 2, Head("w"), rows=0, body_bytes=0)
    with pytest.raises(Unreadable, match="expected format 1 of p, got 2: upgrade"):
        open_frame("p", framed.part, MAGIC, FORMATS)


def test_a_head_of_another_shape_is_refused() -> None:
    class Other(msgspec.Struct):
        number: int

    with pytest.raises(Malformed, match=r"expected a readable head: .* - at p"):
        open_frame("p", part(), MAGIC, FORMATS).head_as(Other)


@settings(max_examples=100)
@given(st.lists(st.booleans(), max_size=70))
def test_bits_and_bytes_of_a_column_mean_the_same(column: list[bool]) -> None:
    packed = bytearray(-(-len(column) // 8))
    for row, value in enumerate(column):
        packed[row // 8] |= value << row % 8
    expected = bytes(column)
    assert booleans(packed, len(column)) == expected
    assert booleans(bytes(255 if value else 0 for value in column), len(column)) == expected


@settings(max_examples=100)
@given(st.data())
def test_row_bits_are_those_of_a_plain_loop(data: st.DataObject) -> None:
    rows = data.draw(st.integers(0, 20))
    column = st.lists(st.booleans(), min_size=rows, max_size=rows)
    columns = data.draw(st.lists(column, max_size=20))
    packed = row_bits([bytes(values) for values in columns], rows)
    assert len(packed) == -(-len(columns) // 8)
    for row in range(rows):
        bits = int.from_bytes(bytes(eight[row] for eight in packed), "little")
        assert [bool(bits >> place & 1) for place in range(len(columns))] == [
            values[row] for values in columns
        ]


def test_a_column_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 9 rows as bytes or bits, got 3 bytes"):
        booleans(b"abc", 9)


@pytest.mark.parametrize("kind", ["B", "H", "I", "Q"])
@pytest.mark.parametrize("width", [1, 2, 4])
def test_codes_are_kept_whatever_width_they_come_in(kind: str, width: int) -> None:
    kept = memoryview(narrowed(array(kind, [0, 1, 255, 7]), 4, width))
    assert numbers(kept, width).tolist() == [0, 1, 255, 7]
    assert narrowed(b"", 0, width) == b""


def test_codes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="expected codes of at most 1 bytes, got a larger one"):
        narrowed(array("H", [256]), 1, 1)
    with pytest.raises(ValueError, match="expected codes of at most 2 bytes"):
        narrowed(array("i", [-1]), 1, 2)
    with pytest.raises(ValueError, match="expected 2 codes of 1, 2, 4 or 8 bytes, got 6 bytes"):
        narrowed(bytes(6), 2, 1)

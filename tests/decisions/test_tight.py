from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.tight import loose, tight

LISTS = st.lists(st.integers(0, 2**63 - 1), max_size=6)


@given(st.lists(LISTS, max_size=3), st.lists(st.lists(LISTS, max_size=4), max_size=3))
def test_lists_come_back_as_they_were(flat: list[list[int]], nested: list[list[list[int]]]) -> None:
    assert loose(tight(flat, nested), len(flat), len(nested)) == (flat, nested)


def test_a_number_takes_a_byte_for_each_seven_bits() -> None:
    assert tight([[0, 127, 128, 2**14]], []) == bytes([4, 0, 127, 128, 1, 128, 128, 1])


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "expected the length of a list of at most 0 numbers, got -1"),
        (b"\x00", "expected the length of a list of at most 1 numbers, got -1"),
        (b"\x05\x01\x00", "expected the length of a list of at most 3 numbers, got 5"),
        (b"\x02\x01", "expected a list of 2 numbers, got 1"),
        (b"\x00\x01\x02\x07", "expected a list of 2 numbers, got 1"),
        (b"\x00\x00\x00", "expected no number after the last list, got more"),
        (b"\x01\x80", "expected whole numbers, got the beginning of one"),
        (b"\xff" * 8 + b"\x81" + b"\x01", "expected a number of at most 9 bytes, got a longer one"),
    ],
)
def test_bytes_that_say_no_lists_are_refused(raw: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        loose(raw, 1, 1)


@given(st.binary(max_size=40), st.integers(0, 2), st.integers(0, 2))
def test_whatever_the_bytes_are_they_say_lists_or_are_refused(
    raw: bytes, flat: int, nested: int
) -> None:
    try:
        lists = loose(raw, flat, nested)
    except ValueError:
        return
    assert loose(tight(*lists), flat, nested) == lists

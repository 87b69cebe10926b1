"""Lists of numbers in, the few bytes that say the same out, and back.

A number takes a byte for each 7 bits (LEB128), where a cookie's JSON takes four thirds of a byte
for each digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

_MORE, _BITS = 0x80, 7
_MOST_SHIFT = 56  # of the last byte of a number: nine of them hold 63 bits


def tight(flat: Iterable[Sequence[int]], nested: Iterable[Sequence[Sequence[int]]]) -> bytes:
    """The bytes of lists of naturals, then of lists of such lists; each begins with its length.
    Never raises."""
    raw = bytearray()
    rows = chain.from_iterable(((len(lists),), *map(_counted, lists)) for lists in nested)
    for number in chain.from_iterable((*map(_counted, flat), *rows)):
        left = number
        while left >= _MORE:
            raw.append(left & (_MORE - 1) | _MORE)
            left >>= _BITS
        raw.append(left)
    return bytes(raw)


def loose(raw: bytes, flat: int, nested: int) -> tuple[list[list[int]], list[list[list[int]]]]:
    """What `tight` was given. flat, nested: how many of each. Raises ValueError for bytes that it
    did not make."""
    numbers = _numbers(raw)
    left = iter(numbers)
    lists = [_next(left, len(numbers)) for _ in range(flat)]
    deeper = []
    for _ in range(nested):
        rows = _length(left, len(numbers))
        deeper.append([_next(left, len(numbers)) for _ in range(rows)])
    if next(left, None) is not None:
        raise ValueError("expected no number after the last list, got more")
    return lists, deeper


def _counted(numbers: Sequence[int]) -> Iterable[int]:
    return (len(numbers), *numbers)


def _numbers(raw: bytes) -> list[int]:
    numbers: list[int] = []
    number = shift = 0
    for byte in raw:
        number |= (byte & (_MORE - 1)) << shift
        if byte < _MORE:
            numbers.append(number)
            number = shift = 0
        elif shift == _MOST_SHIFT:
            raise ValueError("expected a number of at most 9 bytes, got a longer one")
        else:
            shift += _BITS
    if shift:
        raise ValueError("expected whole numbers, got the beginning of one")
    return numbers


def _length(left: Iterator[int], most: int) -> int:
    length = next(left, -1)
    if not 0 <= length <= most:
        raise ValueError(f"expected the length of a list of at most {most} numbers, got {length}")
    return length


def _next(left: Iterator[int], most: int) -> list[int]:
    length = _length(left, most)
    found = [*islice(left, length)]
    if len(found) != length:
        raise ValueError(f"expected a list of {length} numbers, got {len(found)}")
    return found

"""Weekly hours: `{mon-fri: 17:00-22:00}` in, the minutes of the week between which it is open out.

The minutes are those of a clock on the wall (`clock.Calendar.minute`): where clocks are put forward
an hour is skipped, where they are put back one is there twice, for the hours as for everybody.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from decisions.clock import DAYS, WEEK_MIN

# Open from the first to the second, from the third to the fourth, ...; () is always. Ascending.
Edges: TypeAlias = tuple[int, ...]

_DAY_MIN = 1_440
_RANGE = re.compile(r"(\d\d):([0-5]\d)-(\d\d):([0-5]\d)")


def edges_of(written: Mapping[str, str | list[str]]) -> Edges:
    """The edges of days and their hours, in local minutes from Monday 00:00.

    A range that ends before it begins goes on to the next day. Raises ValueError for words that are
    no days or hours, and for a day that is there twice.
    """
    open_ = bytearray(WEEK_MIN)
    taken: set[int] = set()
    for words, ranges in written.items():
        spans = [_span(text) for text in ([ranges] if isinstance(ranges, str) else ranges)]
        for day in _days(words):
            if day in taken:
                raise ValueError(f"expected each day once, got {DAYS[day]} twice")
            taken.add(day)
            for start, length in spans:
                for minute in range(start, start + length):
                    open_[(day * _DAY_MIN + minute) % WEEK_MIN] = 1
    if not any(open_):
        raise ValueError("expected hours of at least one day, got none")
    turns = (minute for minute in range(1, WEEK_MIN) if open_[minute] != open_[minute - 1])
    return (*[0] * open_[0], *turns, *[WEEK_MIN] * open_[-1])


def is_open(edges: Edges, minute: int) -> bool:
    """Whether this minute of the week lies between two edges."""
    return bisect_right(edges, minute) % 2 == 1


def _days(words: str) -> Iterator[int]:
    """`sat`, `mon-fri` or `fri-mon`, which goes over Sunday."""
    first, dash, last = words.partition("-")
    if first not in DAYS or (dash and last not in DAYS):
        raise ValueError(f"expected days such as sat or mon-fri, got {words!r}")
    start = DAYS.index(first)
    for step in range((DAYS.index(last or first) - start) % 7 + 1):
        yield (start + step) % 7


def _span(text: str) -> tuple[int, int]:
    """The first minute of the day, and how many there are."""
    if found := _RANGE.fullmatch(text):
        start, end = (
            int(hour) * 60 + int(minute) for hour, minute in (found.group(1, 2), found.group(3, 4))
        )
        if start < _DAY_MIN and end <= _DAY_MIN and start != end:
            return start, (end - start) % _DAY_MIN or _DAY_MIN
    raise ValueError(f"expected hours such as 17:00-22:00, got {text!r}")

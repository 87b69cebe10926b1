"""Cells of measures as few numbers, and back: those that are steps of one length apart are one run.

A run is the age of its newest cell and that cell's number; or the age, the step, and the number of
each cell, the newest first, 0 where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from decisions.profile import Cells

MAX_GAP = 12  # empty cells between two of a run


def age(base_s: int, at_s: int) -> int:
    """How long before `base_s` a moment was, 0 for one after it."""
    return base_s - at_s if at_s < base_s else 0


def runs(cells: Cells, base_s: int) -> Iterator[list[int]]:
    """The runs of these cells, the newest first. cells: moment and number above 0, ascending."""
    left = [*reversed(cells)]
    while left:
        newest_s, value = left[0]
        step = min([after[0] - before[0] for after, before in pairwise(left)], default=0)
        run, taken = [value], 1
        for at_s, number in left[1:] if step > 0 else ():
            places, rest = divmod(newest_s - at_s, step)
            if rest or places - len(run) > MAX_GAP:
                break
            run += [0] * (places - len(run)) + [number]
            taken += 1
        aged = age(base_s, newest_s)
        yield [aged, step, *run] if taken > 1 else [aged, value]
        del left[:taken]


def cells_of(run: Sequence[int], base_s: int) -> Cells:
    """The cells of a run, the oldest first. run: two numbers, or four and more."""
    newest_s = base_s - run[0]
    step, values = (run[1], run[2:]) if len(run) > 2 else (0, run[1:])
    cells = [(newest_s - step * place, value) for place, value in enumerate(values) if value]
    return tuple(reversed(cells))

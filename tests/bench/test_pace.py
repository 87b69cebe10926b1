"""A slow machine is told from slow code, within bounds."""

from __future__ import annotations

import pytest

from bench import pace
from bench.figures import Answer, Budget

AT_MOST = {"us": Budget("at most", "µs", max=10)}


def answer(figure: float, paced: float) -> Answer:
    return Answer({"us": figure}, 1, "abc", "", paces={"us": paced})


def test_the_piece_of_work_is_the_same_as_ever() -> None:
    assert pace.work() == 1_148


@pytest.mark.parametrize(
    ("taken", "expected"), [(1.0, 1.2), (0.5, 1.0), (1.0, 1.0), (1.7, 1.7), (9.0, pace.SLOWEST)][1:]
)
def test_a_machine_is_never_held_faster_than_the_reference_nor_slower_than_the_limit(
    taken: float, expected: float
) -> None:
    assert pace.pace(taken * pace.REFERENCE_US) == pytest.approx(expected)


def test_a_time_keeps_its_budget_at_the_references_pace() -> None:
    assert answer(14.0, paced=1.5).breaches(AT_MOST) == []
    assert answer(14.0, paced=1.3).breaches(AT_MOST) == ["us"]


def test_a_ratio_is_compared_as_it_is() -> None:
    ratio = {"us": Budget("against another", "%", max=10)}
    assert answer(14.0, paced=1.5).breaches(ratio) == ["us"]


def test_of_two_attempts_the_better_at_its_own_pace_counts() -> None:
    slow, fast = answer(15.0, paced=2.0), answer(12.0, paced=1.0)
    for one, other in ((slow, fast), (fast, slow)):
        kept = one.with_better(other, AT_MOST)
        assert (kept.figures, kept.paces) == ({"us": 15.0}, {"us": 2.0})

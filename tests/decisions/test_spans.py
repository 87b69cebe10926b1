from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.predicates import EVERYWHERE, Within, holds
from decisions.spans import Spans, compared, join, meet, without

NUMBERS = st.sampled_from([-math.inf, -1, -0.0, 0, 0.5, 1, 1.0, 2**53, 2**53 + 1, math.inf])
SPANS = st.lists(
    st.builds(compared, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), NUMBERS), max_size=3
).map(lambda parts: join(*parts))


def inside(spans: Spans, value: float) -> bool:
    return holds(Within("a", None, spans), {"a": value})


@given(SPANS, SPANS, NUMBERS)
def test_spans_are_met_joined_and_left_out_as_sets_of_numbers_are(
    left: Spans, right: Spans, value: float
) -> None:
    one, other = inside(left, value), inside(right, value)
    assert inside(meet(left, right), value) == (one and other)
    assert inside(join(left, right), value) == (one or other)
    assert inside(without(left), value) == (not one)


@given(SPANS)
def test_what_is_joined_again_stays_as_it_is(spans: Spans) -> None:
    assert join(spans, spans) == meet(spans, spans) == spans


def test_the_whole_line_without_nothing_is_the_whole_line() -> None:
    assert without(()) == (EVERYWHERE,)
    assert without((EVERYWHERE,)) == ()
    assert meet(((1, True, 5, False),), ((5, True, 7, True),)) == ()
    assert join(compared("<", 5), compared(">=", 5)) == (EVERYWHERE,)


def test_strings_have_spans_too() -> None:
    assert meet(compared(">=", "2026-11"), compared("<", "2026-12")) == (
        ("2026-11", True, "2026-12", False),
    )


def test_another_operator_is_refused() -> None:
    with pytest.raises(KeyError):
        compared("in", 1)

"""Shadowed rules: only what is proved is reported."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.lowering import lower
from decisions.predicates import Member, OneOf, Prefix, Present, Within, holds
from decisions.rules.checker import check
from decisions.rules.parser import parse
from decisions.schema import schema_of
from decisions.shadows import implies, shadowed

SCHEMA = schema_of(members={"segments": {"a": 4, "b": 4, "c": 20}})
FR = 'geo.country == "FR"'


def found(*whens: str, held: tuple[int, ...] = ()) -> list[tuple[int, tuple[int, ...]]]:
    lowered = [lower(check(parse(when), when, SCHEMA).expr, SCHEMA) for when in whens]
    return list(shadowed((each, place not in held) for place, each in enumerate(lowered)))


@pytest.mark.parametrize(
    ("above", "below"),
    [
        ("true", FR),
        (FR, FR),
        (FR, f'{FR} && "a" in segments'),
        ('"a" in segments', '"b" in segments && "a" in segments'),
        ("cart.items > 0", "cart.items >= 3"),
        ("cart.items > 0", "cart.items > 0 && cart.items < 9"),
        ('interest["x"] >= 40', 'interest["x"] > 40 && ' + FR),
        ('geo.country in ["FR", "DE"]', FR),
        ('geo.country != "US"', 'geo.country in ["FR", "DE"]'),
        ('geo.country != "US"', '!(geo.country in ["US", "CA"])'),
        ('page.path.startsWith("/p")', 'page.path.startsWith("/p/1")'),
        (f'{FR} || "a" in segments', f'"a" in segments && {FR}'),
        (FR, f"{FR} && cart.items % 2 == 1"),
    ],
)
def test_a_rule_that_implies_one_above_is_never_reached(above: str, below: str) -> None:
    assert found(above, below) == [(1, (0,))]


@pytest.mark.parametrize(
    ("above", "below"),
    [
        (FR, "true"),
        (FR, 'geo.country == "DE"'),
        (FR, 'geo.city == "FR"'),
        ("cart.items >= 3", "cart.items > 0"),
        ("cart.items > 0", "cart.items >= 0"),
        ("cart.items < 5", "cart.items <= 5"),
        ("cart.items < 5", "cart.items > 1"),
        ('interest["x"] >= 40', 'interest["y"] >= 40'),
        ('"a" in segments', '!("a" in segments)'),
        ('page.path.startsWith("/p/1")', 'page.path.startsWith("/p")'),
        ('!(page.path.startsWith("/p"))', '!(page.path.startsWith("/p/1"))'),
        (f"{FR} && cart.items % 2 == 1", FR),
        ('geo.country != "FR"', 'geo.country != "DE"'),
    ],
)
def test_a_rule_that_somebody_may_reach_is_not_reported(above: str, below: str) -> None:
    assert found(above, below) == []


def test_two_rules_may_shadow_a_third_between_them() -> None:
    below = 'geo.country in ["FR", "DE"] || "a" in segments'
    assert found('geo.country in ["FR", "DE"]', '"a" in segments', below) == [(2, (0, 1))]


def test_a_rule_that_something_can_hold_back_shadows_nothing() -> None:
    assert found("true", FR, held=(0,)) == []


def test_a_rule_that_never_matches_is_not_called_shadowed() -> None:
    assert found("true", 'geo.country == "FR" && geo.country == "DE"') == []


BOUNDS = st.sampled_from([None, 0, 1, 2, 3])
SPANS = st.tuples(BOUNDS, st.booleans(), BOUNDS, st.booleans()).map(lambda span: (span,))
PREDICATES = st.one_of(
    st.builds(
        OneOf,
        st.just("s"),
        st.lists(st.sampled_from(["", "a", "ab"]), min_size=1, max_size=2).map(tuple),
        st.booleans(),
    ),
    st.builds(Prefix, st.just("s"), st.sampled_from(["", "a", "ab"]), st.booleans()),
    st.builds(Present, st.just("s"), st.booleans()),
    st.builds(Member, st.just("m"), st.sampled_from(["a", "b"]), st.booleans()),
    st.builds(Within, st.just("n"), st.none(), SPANS, st.booleans()),
    st.builds(Within, st.just("m"), st.just("a"), SPANS, st.booleans(), st.booleans()),
)
FACTS: list[dict[str, Any]] = [
    {"s": text, "n": number, "m": entries}
    for text in ("", "a", "ab", "b")
    for number in (-1, 0, 0.5, 1, 2, 2.5, 3, 4, float("nan"))
    for entries in ({}, {"a": 0}, {"a": 1.5}, {"a": float("nan")}, {"b": 1})
]


@settings(max_examples=1_000)
@given(PREDICATES, PREDICATES)
def test_what_implies_is_true_only_where_the_other_is(stronger: Any, weaker: Any) -> None:
    if implies(stronger, weaker):
        assert all(holds(weaker, facts) for facts in FACTS if holds(stronger, facts))

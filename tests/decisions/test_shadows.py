"""Shadowed rules: only what is proved is reported."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.lowering import lower
from decisions.predicates import (
    Clause,
    Lowered,
    Member,
    OneOf,
    Prefix,
    Present,
    Span,
    Within,
    holds,
)
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
        ("cart.items in [1, 2, 3]", "cart.items in [3, 1]"),
        ("cart.items in [1, 2, 3]", "cart.items == 2"),
        ("cart.items >= 0", "cart.items == 2"),
        ('!(page.path.startsWith("/p"))', '!(page.path.startsWith("/p"))'),
        ('has(geo.country) && "a" in segments', f'"a" in segments && has(geo.country) && {FR}'),
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


@pytest.mark.parametrize(
    "when",
    [
        'page.path == "/p/{}"',
        'page.path in ["/p/{}", "/q/{}"] && geo.country == "FR"',
        'page.path.startsWith("/p/{}/")',
        "cart.items == {}",
        'geo.country == "FR" && "a" in segments && cart.items in [{}, -{}]',
    ],
)
def test_rules_that_each_test_a_value_of_their_own_are_not_compared_pair_by_pair(
    when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = 0

    def counting(stronger: Any, weaker: Any) -> bool:
        nonlocal compared
        compared += 1
        return implies(stronger, weaker)

    monkeypatch.setattr("decisions.shadows.implies", counting)
    whens = [when.replace("{}", str(number)) for number in range(1, 301)]
    assert found(*whens, whens[7]) == [(300, (7,))]
    assert compared < 3 * len(whens)


BOUNDS = st.sampled_from([None, 0, 1, 2, 3])


def somewhere(span: Span) -> bool:
    """Whether a span holds anything: lowering makes no others."""
    low, low_in, high, high_in = span
    if low is None or high is None:
        return True
    return low < high or (low == high and low_in and high_in)  # type: ignore[operator]  # numbers


SPANS = (
    st.tuples(BOUNDS, st.booleans(), BOUNDS, st.booleans())
    .filter(somewhere)
    .map(lambda span: (span,))
)
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


CLAUSES = st.lists(PREDICATES, max_size=3).map(lambda found: Clause(tuple(found)))


@settings(max_examples=500)
@given(st.lists(st.lists(CLAUSES, max_size=2).map(lambda c: Lowered(tuple(c))), max_size=6))
def test_every_rule_that_a_comparison_with_all_above_would_report_is_reported(
    rules: list[Lowered],
) -> None:
    def covers(weaker: Clause, clause: Clause) -> bool:
        return all(
            any(implies(p, wanted) for p in clause.predicates) for wanted in weaker.predicates
        )

    reported = dict(shadowed((rule, True) for rule in rules))
    above: list[tuple[int, Clause]] = []
    for place, rule in enumerate(rules):
        by = [next((n for n, w in above if covers(w, clause)), None) for clause in rule.clauses]
        if by and None not in by:
            assert reported.pop(place) == tuple(sorted({n for n in by if n is not None}))
        else:
            above += [(place, clause) for clause in rule.clauses]
    assert not reported

"""Conditions that say the same of everybody are told, and nothing that hangs on the visitor."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from decisions.certain import CONSTANT, IMPOSSIBLE, certainties
from decisions.domains import BOUNDS, WORDS, domain, said
from decisions.facts import Gate
from decisions.predicates import OneOf, Within
from decisions.rules.checker import check
from decisions.rules.evaluator import compile_expr
from decisions.rules.names import KNOWN_WORDS
from decisions.rules.parser import parse
from decisions.schema import Attribute, schema_of

SCHEMA = schema_of(
    [Attribute("scores.propensity", "double"), Attribute("lists.wishes", "set", most=5)],
    members={"counts": {"read": 0}, "segments": {}},
)


def told(text: str) -> list[tuple[str, str, str]]:
    """Code, message and the part of the text that it is about."""
    typed = check(parse(text), text, SCHEMA)
    return [(code, what, text[slice(*at)]) for code, what, at in certainties(typed.expr, SCHEMA)]


@pytest.mark.parametrize(
    ("text", "code", "what"),
    [
        ("1 == 2", CONSTANT, "this is about nobody: it is never true"),
        ("1 + 1 == 2", CONSTANT, "this is about nobody: it is always true"),
        ('"a".startsWith("a")', CONSTANT, "this is about nobody: it is always true"),
        ("1 / 0 == 1", CONSTANT, "this is an error for everybody: divide by zero"),
        (
            "geo.country == geo.country",
            CONSTANT,
            "this compares a thing with itself: it is always true",
        ),
        (
            'interest["tea"] < interest["tea"]',
            CONSTANT,
            "this compares a thing with itself: it is never true",
        ),
        ("time.hour >= 0", CONSTANT, "every time.hour is like this: it is 0 to 23"),
        (
            'time.weekday in ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]',
            CONSTANT,
            "every time.weekday is like this: it is one of mon, tue, wed, thu, fri, sat, sun",
        ),
        ("time.hour > 23", IMPOSSIBLE, "no time.hour is like this: it is 0 to 23"),
        ("24 <= time.hour", IMPOSSIBLE, "no time.hour is like this: it is 0 to 23"),
        ("time.hour in [24, 25]", IMPOSSIBLE, "no time.hour is like this: it is 0 to 23"),
        ("cart.items < 0", IMPOSSIBLE, "no cart.items is like this: it is 0 to 9999"),
        ("cart.value < 0.0", IMPOSSIBLE, "no cart.value is like this: it is 0 or more"),
        ('interest["tea"] > 100', IMPOSSIBLE, 'no interest["tea"] is like this: it is 0 to 100'),
        ("counts.read < 0", IMPOSSIBLE, 'no counts["read"] is like this: it is 0 or more'),
        (
            'session.views["tea"] > 8',
            IMPOSSIBLE,
            'no session.views["tea"] is like this: it is 0 to 8',
        ),
        (
            "size(session.views) > 8",
            IMPOSSIBLE,
            "no size(session.views) is like this: it is 0 to 8",
        ),
        (
            "8 >= session.views.size()",
            CONSTANT,
            "every size(session.views) is like this: it is 0 to 8",
        ),
        ("size(lists.wishes) > 5", IMPOSSIBLE, "no size(lists.wishes) is like this: it is 0 to 5"),
        ("scores.propensity > 1.0", IMPOSSIBLE, "no scores.propensity is like this: it is 0 to 1"),
    ],
)
def test_what_is_certain_is_told(text: str, code: str, what: str) -> None:
    assert told(text) == [(code, what, text)]


@pytest.mark.parametrize(
    "around",
    [
        'geo.country == "FR" && {}',
        '{} || geo.country == "FR"',
        "!({})",
        "{} ? true : cart.items > 0",
        "cart.items > 0 ? {} : cart.value > 9.0",
    ],
)
def test_it_is_found_within_a_condition_and_its_place_is_shown(around: str) -> None:
    assert told(around.format("time.hour > 23")) == [
        (IMPOSSIBLE, "no time.hour is like this: it is 0 to 23", "time.hour > 23")
    ]
    assert told(around.format("1 == 1"))[0][2] == "1 == 1"


@pytest.mark.parametrize("macro", ["exists", "all", "exists_one"])
def test_it_is_found_for_whatever_key_a_macro_takes(macro: str) -> None:
    for body in ("session.views[c] > 8", 'c == "tea" && (c in ["a"] || session.views[c] > 8)'):
        assert told(f"session.views.{macro}(c, {body})") == [
            (IMPOSSIBLE, "no session.views[c] is like this: it is 0 to 8", "session.views[c] > 8")
        ]
    inner = "interest.exists(c, interest[c] > 100.0)"
    assert told(f"session.views.{macro}(c, session.views[c] > 5 && {inner})") == [
        (IMPOSSIBLE, "no interest[c] is like this: it is 0 to 100", "interest[c] > 100.0")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "session.views.exists(c, session.views[c] > 5)",
        "session.views.exists(c, true)",
        'session.views.exists(c, c == "tea")',
        "size(session.views) == 8",
        "size(session.views) in [9]",
        "size(cart.products) > 10",  # the site's server may name more
        'size(page.path + "x") > 3',
        "9 + 1 < size(session.views)",
        "size(segments) > 100",
        "size(session.views) + 1 > 8",
        "size(page.path) > 3",
        "size([1, 2]) > cart.items",
        "counts.exists(c, counts[c] > 8)",
    ],
)
def test_what_hangs_on_the_key_or_on_how_many_there_are_is_not(text: str) -> None:
    assert told(text) == []


def test_a_part_that_is_an_error_for_everybody_is_told() -> None:
    wrong = "this is an error for everybody: "
    assert told("cart.items + 1 > 9223372036854775807 + 1") == [
        (
            CONSTANT,
            f"{wrong}integer overflow: the result does not fit 64 bits",
            "9223372036854775807 + 1",
        )
    ]
    assert told("session.views.exists(c, session.views[c] > 1 / 0)") == [
        (CONSTANT, f"{wrong}divide by zero", "1 / 0")
    ]


def test_a_literal_beside_a_condition_is_one_that_says_nothing() -> None:
    assert [part for _, _, part in told("cart.items > 0 && true || false")] == ["true", "false"]


@pytest.mark.parametrize(
    "text",
    [
        "true",
        "false",
        "cart.items > 0 ? true : false",
        "time.hour > 22",
        "time.hour <= 22",
        "cart.items == 0",
        'interest["tea"] >= 100',
        'interest["tea"] < interest["coffee"]',
        "geo.country == page.category",
        'geo.country < "M"',
        "has(cart.items)",
        "session.views.exists(c, session.views[c] > 5)",
        'now - cart.updated_at >= duration("15m")',
        'device.kind in ["mobile", "tablet", "desktop"]',
        'time.weekday != "sun"',
    ],
)
def test_what_hangs_on_the_visitor_or_says_everybody_is_left_alone(text: str) -> None:
    assert told(text) == []


@given(
    st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    st.integers(-3, 27) | st.floats(-2, 26).map(lambda number: round(number, 1)),
    st.booleans(),
    st.booleans(),
)
def test_of_every_hour_it_says_what_the_evaluator_says_of_all_of_them(
    op: str, number: float, turned: bool, negated: bool
) -> None:
    assume(op not in ("==", "!=") or number == int(number))  # that no hour is 1.5 goes unsaid
    text = f"{number} {op} time.hour" if turned else f"time.hour {op} {number}"
    expr = check(parse(text), text, SCHEMA).expr
    gate = Gate(SCHEMA)
    run = compile_expr(expr, SCHEMA)
    found = {run(gate.facts({"time": {"hour": hour}}, 0, 0.0)) for hour in range(24)}

    verdicts = {
        frozenset({True}): [CONSTANT],
        frozenset({False}): [IMPOSSIBLE],
        frozenset({True, False}): [],
    }
    written = f"!({text})" if negated else text
    assert [code for code, _, _ in told(written)] == verdicts[frozenset(found)]


def test_listed_words_are_the_ones_that_the_checker_lets_pass() -> None:
    for name, words in WORDS.items():
        assert KNOWN_WORDS[name][1].split("|") == list(words)


def test_a_domain_is_said_in_words_or_not_known() -> None:
    assert said("cart.value") == "0 or more"
    assert said("geo.city") == ""
    assert domain(OneOf("geo.city", ("Paris",))) is None
    assert domain(Within("visitor.first_seen", None, ((1.0, True, None, False),))) is None
    assert set(BOUNDS) - set(SCHEMA.attributes) == {
        "purchases.orders", "purchases.lines", "purchases.weeks", "purchases.weekday",
        "interest.category", "interest.item", "interest.brand",
        "size(session.views)",
    }  # fmt: skip

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.consent import AUTHENTICATED, FUNCTIONAL, PERSONALIZATION, SENSITIVE
from decisions.leaves import implied, leaf, needs_of, opposite
from decisions.predicates import Member, OneOf, Predicate, Prefix, Present, Within, holds
from decisions.rules.checker import check
from decisions.rules.parser import parse
from decisions.rules.syntax import Attr, Binary, Call, Expr, ListOf, Literal
from decisions.rules.values import Timestamp
from tests.decisions.expressions import SCHEMA

TIME = "2026-11-21T09:00:00Z"


def checked(text: str) -> Expr:
    return check(parse(text), text, SCHEMA).expr


@pytest.mark.parametrize(
    ("text", "predicate"),
    [
        ('geo.country == "FR"', OneOf("geo.country", ("FR",))),
        ('"FR" != geo.country', OneOf("geo.country", ("FR",), True)),
        ('geo.country in ["FR", "DE"]', OneOf("geo.country", ("FR", "DE"))),
        ("traits.flag", OneOf("traits.flag", (True,))),
        ("traits.flag == false", OneOf("traits.flag", (False,))),
        ("traits.flag in [true]", OneOf("traits.flag", (True,))),
        ("cart.items >= 2", Within("cart.items", None, ((2, True, None, False),))),
        ("2.5 > cart.items", Within("cart.items", None, ((None, False, 2.5, False),))),
        ("cart.items <= -1", Within("cart.items", None, ((None, False, -1, True),))),
        (
            "cart.value != 2.0",
            Within(
                "cart.value", None, ((None, False, 2.0, False), (2.0, False, None, False)), True
            ),
        ),
        (
            "cart.items in [3, 1]",
            Within("cart.items", None, ((1, True, 1, True), (3, True, 3, True))),
        ),
        (
            'time.date < "2027-01-01"',
            Within("time.date", None, ((None, False, "2027-01-01", False),)),
        ),
        ("interest.shoes > 40.0", Within("interest", "shoes", ((40.0, False, None, False),))),
        ('interest["shoes"] in [1.0]', Within("interest", "shoes", ((1.0, True, 1.0, True),))),
        ("counts.read >= 3", Within("counts", "read", ((3, True, None, False),), zero=True)),
        ('"loyal" in segments', Member("segments", "loyal")),
        ('"shoes" in interest', Member("interest", "shoes")),
        ("has(interest.shoes)", Member("interest", "shoes")),
        ("has(geo.country)", Present("geo.country")),
        ('page.path.startsWith("/shop")', Prefix("page.path", "/shop")),
    ],
)
def test_a_comparison_with_a_literal_is_a_predicate(text: str, predicate: Predicate) -> None:
    assert leaf(checked(text), SCHEMA) == predicate


@pytest.mark.parametrize(
    "text",
    [
        "geo.country == page.category",
        'geo.country in ["FR", page.category]',
        "cart.items in [1, visitor.visits]",
        "cart.items + 1 == 2",
        '"a" == "a"',
        '"a" in ["a"]',
        "traits.flag < true",
        "interest == {'shoes': 1.0}",
        "interest in [{'shoes': 1.0}]",
        "segments.exists(s, s == 'loyal')",
        "geo.country in segments",
        "cart.items in [1, 2].map(x, x * 2)",
        "now >= cart.updated_at",
        'now > timestamp("2026-11-" + "21T09:00:00Z")',
        "page.path.startsWith(page.category)",
        "size(geo.country) == 2",
        "(traits.flag ? 1 : 2) == 1",
        "interest[geo.country] > 1.0",
    ],
)
def test_what_is_no_comparison_with_a_literal_is_no_predicate(text: str) -> None:
    assert leaf(checked(text), SCHEMA) is None


@pytest.mark.parametrize(
    "expr",
    [
        Binary("==", Attr("geo.country", "string"), Literal(1)),
        Binary("==", Attr("traits.flag", "bool"), Literal(1)),
        Binary("==", Attr("cart.items", "int"), Literal(True)),
        Binary("==", Attr("cart.items", "int"), Literal("1")),
        Binary("<", Attr("geo.country", "string"), Literal(1)),
        Binary("in", Attr("traits.flag", "bool"), ListOf((Literal(1),))),
        Binary(">", Attr("now", "timestamp"), Call("timestamp", None, (Literal("never"),))),
        Binary(">", Attr("now", "timestamp"), Call("duration", None, (Literal("1s"),))),
        Binary(">", Attr("now", "timestamp"), Literal(1)),
    ],
)
def test_true_and_1_and_other_types_are_never_mixed_up(expr: Expr) -> None:
    assert leaf(expr, SCHEMA) is None


@pytest.mark.parametrize(
    ("predicate", "needs"),
    [
        (Member("segments", "ill"), PERSONALIZATION | SENSITIVE),
        (Within("interest", "pharmacy", ()), PERSONALIZATION | SENSITIVE),
        (Within("interest", "shoes", ()), PERSONALIZATION),
        (OneOf("traits.name", ("Ada",)), PERSONALIZATION | AUTHENTICATED),
        (Present("cart.items"), FUNCTIONAL),
        (Prefix("geo.country", "F"), 0),
    ],
)
def test_a_predicate_needs_what_its_attribute_and_key_need(
    predicate: Predicate, needs: int
) -> None:
    assert needs_of(predicate, SCHEMA) == needs


@given(
    st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    st.sampled_from([TIME, "2026-11-21T09:00:00.000000119Z", "9999-12-31T23:59:59.999999999Z"]),
    st.sampled_from(
        [1_795_251_600.0, 1_795_251_599.9999998, 1_795_251_600.0000002, 253402300799.0]
    ),
)
def test_moments_are_compared_to_the_nanosecond(op: str, written: str, seconds: float) -> None:
    predicate = leaf(checked(f'now {op} timestamp("{written}")'), SCHEMA)
    here, there = Timestamp.of_seconds(seconds), Timestamp.parse(written)
    expected = {
        "==": here == there,
        "!=": here != there,
        "<": here < there,
        "<=": here <= there,
        ">": here > there,
        ">=": here >= there,
    }[op]
    assert predicate is not None
    assert holds(predicate, {"now": seconds}) is expected
    assert holds(opposite(predicate), {"now": seconds}) is not expected


def test_a_duration_is_compared_in_the_seconds_that_facts_carry() -> None:
    predicate = leaf(checked('traits.gap >= duration("15m")'), SCHEMA)
    assert isinstance(predicate, Within)
    assert holds(predicate, {"traits.gap": 900.0})
    assert not holds(predicate, {"traits.gap": 899.999})


@pytest.mark.parametrize(
    ("text", "present", "needs"),
    [
        (
            'now - cart.updated_at >= duration("15m")',
            {Present("cart.updated_at")},
            FUNCTIONAL,
        ),
        (
            'interest["shoes"] + 1.0 > 2.0',
            {Member("interest", "shoes")},
            PERSONALIZATION,
        ),
        ("counts.read + cart.items > 3", set(), PERSONALIZATION | FUNCTIONAL),
        ("size(segments) + size(interest) > 3", set(), PERSONALIZATION),
        ("(traits.flag ? 1 : 2) == 1", set(), 0),
        ("(traits.flag || true) == true", set(), 0),
        ("has(traits.flag) == true", set(), 0),
        ("segments.exists(s, s == 'loyal')", set(), 0),
    ],
)
def test_any_other_leaf_needs_what_its_error_would_come_from(
    text: str, present: set[Predicate], needs: int
) -> None:
    found, found_needs = implied(checked(text), SCHEMA)
    assert (set(found), found_needs) == (present, needs)

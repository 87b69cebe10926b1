"""What a visitor is told of a decision: conditions in plain words, and no name of the site's
own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from decisions.conditions import Weighing
from decisions.engine import Control, Decision
from decisions.facts import Gate
from decisions.plainly import FAILED, FORMS, WORDS, Teller, plainly, words
from decisions.program import Program
from decisions.reasons import Reason, Step
from decisions.rules.syntax import Expr, Unary
from decisions.schema import BUILT_IN
from tests.decisions import expressions
from tests.decisions.written import OFFER, program, rule

NOW = 1_795_000_000.0  # a Wednesday in Paris
KNOWN = ("functional", "personalization")
FACTS: dict[str, Any] = {
    "geo": {"country": "FR"},
    "cart": {"items": 2, "updated_at": NOW - 1200, "lines": 1, "products": ["4711"]},
    "interest": {"shoes": 62.125, "garden": 4.0},
    "session": {"views": {"shoes": 6}},
    "counts": {"article_read": 3},
    "segments": ["loyal"],
    "scores": {"propensity": 0.62},
    "visitor": {"new": True},
    "page": {"path": "/summer"},
}


def said(when: str, nested: dict[str, Any] = FACTS, **more: Any) -> str:
    compiled = program(rules=[rule("secret-rule", when)], segments={"loyal": "true"})
    return told(compiled, nested, **more)


def told(compiled: Program, nested: dict[str, Any] = FACTS, **more: Any) -> str:
    facts = compiled.facts(nested, KNOWN, NOW)
    return plainly(compiled, compiled.decide("hero", facts, **more), facts)


@pytest.mark.parametrize(
    ("when", "why"),
    [
        ("true", "it is for everybody"),
        ("1 == 1", "it is for everybody"),
        ('geo.country == "FR"', 'the country of your request ("FR") is "FR"'),
        ('"DE" != geo.country', 'the country of your request ("FR") is not "DE"'),
        ('!(geo.country == "DE")', 'the country of your request ("FR") is not "DE"'),
        ('geo.country in ["DE", "FR"]',
         'the country of your request ("FR") is one of ["DE", "FR"]'),
        ('!(geo.country in ["DE"])', 'the country of your request ("FR") is none of ["DE"]'),
        ("cart.items > 1", "the number of pieces in your cart (2) is more than 1"),
        ('"4711" in cart.products', "“4711” is in your cart"),
        ('!("4712" in cart.products)', "“4712” is not in your cart"),
        ("cart.lines == 1", "the number of different products in your cart (1) is 1"),
        ("size(cart.products) == 1", "the products in your cart fit"),
        ("3 > cart.items", "the number of pieces in your cart (2) is less than 3"),
        ("!(cart.items >= 3)", "the number of pieces in your cart (2) is less than 3"),
        ('interest["shoes"] >= 40.0', "your interest in “shoes” (62.125) is at least 40"),
        ('interest["shoes"] > interest["garden"]',
         "your interest in “shoes” (62.125) is more than your interest in “garden” (4)"),
        ('session.views["shoes"] > 5',
         "how many things you looked at in “shoes” in this session (6) is more than 5"),
        ("counts.article_read == 3", "how often “article_read” happened (3) is 3"),
        ('"loyal" in segments', "you are in the group “loyal”"),
        ("visitor.new", "this is your first visit"),
        ("scores.propensity <= 1.0", "the site's estimate “propensity” (0.62) is at most 1"),
        ("has(scores.propensity)", "the site's estimate “propensity” is known"),
        ("!has(geo.city)", "the city of your request is not known"),
        ('page.path.startsWith("/sum")',
         'the address of the page ("/summer") starts with "/sum"'),
        ('now - cart.updated_at >= duration("15m")',
         "the time since the last change of your cart (20m) is at least 15m"),
        ('time.weekday == "wed"', 'the day of the week ("wed") is "wed"'),
        ("cart.items * 2 > 3", "the number of pieces in your cart fit"),
        ("size(interest) > 1 ? cart.items == 2 : false",
         "your interests fit and the number of pieces in your cart (2) is 2"),
        ('!interest.exists(c, interest[c] > interest["shoes"])', "your interests fit"),
        ("session.views.exists(c, session.views[c] > 5)",
         "how many things you looked at in “shoes” in this session (6) is more than 5"),
        ('cart.items == 2 && (geo.country == "DE" || visitor.new)',
         "the number of pieces in your cart (2) is 2 and this is your first visit"),
    ],
)  # fmt: skip
def test_a_match_is_told_by_the_conditions_that_settled_it(when: str, why: str) -> None:
    assert said(when) == f"Chosen because {why}."


def test_a_tag_is_told_by_what_it_follows_from_and_one_that_was_given_by_its_name() -> None:
    abandoned = '"cart_abandoner" in tags'
    assert said(abandoned) == (
        "Chosen because the number of pieces in your cart (2) is more than 0 and the time since "
        "the last change of your cart (20m) is at least 15m."
    )
    given_as_fact = {"tags": ["cart_abandoner"]}
    assert said(abandoned, given_as_fact) == ("Chosen because “cart_abandoner” fits you just now.")
    assert said(f"!({abandoned})", {}) == (
        "Chosen because the number of pieces in your cart (0) is at most 0."
    )
    assert said('!("engaged_reader" in tags)', {"counts": {"article_read": 9}, "tags": []}) == (
        "Chosen because “engaged_reader” does not fit you just now."
    )


def test_others_than_a_match_are_told_without_names_too() -> None:
    rules = [rule("secret-rule", "cart.items > 0")]
    compiled = program(rules=rules)
    everybody = "What everybody sees"
    assert told(compiled, {}) == FORMS[Reason.DEFAULT]
    assert told(compiled, control=Control(slots=frozenset({"hero"}))).startswith(
        f"{everybody}: choosing is switched off"
    )
    held_out = program(rules=rules, holdout={"share": 99.99, "skips": "rules"})
    assert told(held_out, unit="v").startswith(f"{everybody}: chance put you among")
    broken = Decision("hero", "hero/welcome", Reason.ERROR, (Step("secret-rule", Reason.ERROR),))
    assert plainly(compiled, broken, compiled.facts({})) == FAILED


def test_an_experiment_is_told_and_its_variant_is_not() -> None:
    compiled = program(rules=[rule("secret-rule", "true", experiment=OFFER | {"traffic": 100})])
    assert told(compiled, unit="v") == (
        "Chosen because it is for everybody; which of several versions it is, chance decided."
    )


def test_what_the_session_holds_is_told_so() -> None:
    compiled = program(rules=[rule("secret-rule", "cart.items > 5", hold="session")])
    assert told(compiled, held=["secret-rule"]) == (
        "Chosen because it was shown earlier in this session."
    )


def test_many_conditions_are_cut() -> None:
    when = " && ".join(f"cart.items != {number}" for number in range(10, 22))
    assert said(when).endswith("is not 17 and 4 more.")


def test_every_attribute_has_words_and_a_sites_own_its_name() -> None:
    for attribute in BUILT_IN:
        assert attribute.name in WORDS or attribute.name.startswith("utm."), attribute.name
    assert words("utm.source") == "the source of the campaign that brought you"
    assert words("page.query.size") == "“size” in the address of the page"
    assert words("traits.tier") == "your “tier”"
    assert words("measures.spent") == "what was counted as “spent”"
    assert words("measures.searched", "shoes") == "what was counted as “searched” for “shoes”"
    assert words("interest.brand", "acme") == "your interests by brand for “acme”"
    assert words("weather") == "“weather”"
    assert words("weather", "today") == "“weather”"


@settings(max_examples=300)
@given(expressions.expressions, expressions.nested_facts, expressions.grants)
def test_whatever_is_true_of_a_visitor_can_be_told(tree: Expr, nested: Any, grants: int) -> None:
    facts = Gate(expressions.SCHEMA).facts(nested, grants, NOW)
    weighing = Weighing(expressions.SCHEMA, facts, str)
    for true in (tree, Unary("!", tree)):
        if weighing.holds(true) is True:
            assert Teller(weighing).why(true)

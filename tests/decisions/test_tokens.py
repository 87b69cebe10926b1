"""Fragments checked: templates that parse, tokens that something can fill."""

from __future__ import annotations

from typing import Any

import pytest

from decisions.consent import AUTHENTICATED, FUNCTIONAL, PERSONALIZATION, SENSITIVE
from tests.decisions.written import (
    complaint,
    program,
    rule,
)

FR = 'geo.country == "FR"'


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"fragments": {"hero/welcome": "{{#a}}"}}, "template", "closing tag for a"),
    ({"fragments": {"hero/welcome": "{{cart.item}}"}}, "unknown-token", "did you mean cart.items?"),
    ({"fragments": {"hero/welcome": "{{counts.signup}}"}}, "unknown-token", "counts.signup"),
    (
        {"fragments": {"hero/welcome": "{{> hero/welcom}}"}},
        "unknown-partial",
        "did you mean hero/welcome?",
    ),
    ({"fragments": {"hero/welcome": "<a href={{geo.country}}>"}}, "token-place", ""),
]


@pytest.mark.parametrize(("changes", "code", "says"), WRONG, ids=lambda value: str(value)[:40])
def test_a_mistake_is_refused_with_what_was_expected_and_what_came(
    changes: dict[str, Any], code: str, says: str
) -> None:
    assert complaint(code, says, **changes)


def test_a_fragment_needs_what_its_tokens_need() -> None:
    compiled = program(fragments={"hero/welcome": '<p title="{{geo.country}}">{{cart.items}}</p>'})
    assert compiled.fragments["hero/welcome"].needs == FUNCTIONAL
    tainted = program(fragments={"hero/welcome": "{{interest.pharmacy}}{{counts.purchase}}"})
    assert tainted.fragments["hero/welcome"].needs == PERSONALIZATION | SENSITIVE


def test_a_fragment_needs_what_only_some_of_its_rules_give_in_its_place() -> None:
    named = {"traits": {"first_name": "you"}}
    rules = [rule("a", FR, **{"with": named}), rule("b", "cart.items > 1")]
    compiled = program(rules=rules, fragments={"hero/loyal": "{{traits.first_name}}"})
    assert compiled.fragments["hero/loyal"].needs == PERSONALIZATION | AUTHENTICATED


def test_the_items_of_what_a_rule_gives_have_names_of_their_own() -> None:
    links = {"links": [{"text": "Shoes"}, {"text": "Socks"}]}
    rules = [rule("a", FR, **{"with": links})]
    compiled = program(rules=rules, fragments={"hero/loyal": "{{#links}}<b>{{text}}</b>{{/links}}"})
    facts = compiled.facts({"geo": {"country": "FR"}})
    decision = compiled.decide("hero", facts)
    assert compiled.render(decision, facts) == "<b>Shoes</b><b>Socks</b>"


def test_a_partial_is_given_what_the_fragments_that_take_it_in_are() -> None:
    rules = [rule("a", FR, **{"with": {"cta": "Go"}})]
    texts = {"hero/loyal": "<p>{{> outer}}</p>", "outer": "{{> inner}}", "inner": "<b>{{cta}}</b>"}
    compiled = program(rules=rules, fragments=texts)
    facts = compiled.facts({"geo": {"country": "FR"}})
    assert compiled.render(compiled.decide("hero", facts), facts) == "<p><b>Go</b></p>"
    assert complaint("unknown-token", "cta", rules=rules, fragments={"alone": "{{cta}}"})

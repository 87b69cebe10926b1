"""Warnings: what is legal and still not meant."""

from __future__ import annotations

from typing import Any

import pytest

from decisions.lint import WARNINGS, warnings
from tests.decisions.written import OFFER, SETTINGS, playbook, rule

FR = 'geo.country == "FR"'
HEARD = ["dairy", "pharmacy", "shoes"]


def codes(catalogue: dict[str, list[str]] | None = None, **changes: Any) -> dict[str, str]:
    found = warnings(playbook(**changes), catalogue)
    assert {problem.severity for problem in found} <= {"warning"}
    assert {problem.code for problem in found} <= WARNINGS.keys()
    return {problem.code: problem.message for problem in found}


USED: dict[str, Any] = {
    "segments": {"loyal": "true"},
    "tags": {"engaged": "counts.article_read > 3"},
    "rules": [
        rule("a", '"loyal" in segments && "engaged" in tags', band="service"),
        rule("b", FR),
    ],
}


def test_a_playbook_that_is_as_meant_has_no_warnings() -> None:
    assert codes(**USED) == {}
    assert codes({"category": HEARD}, **USED) == {}


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        (
            {"rules": [*USED["rules"], rule("c", f'{FR} && geo.country == "DE"')]},
            "never-matches",
            'rule "c" never matches: its conditions contradict each other',
        ),
        (
            {"segments": {"loyal": "true", "lost": "true"}},
            "unused-segment",
            'no rule reads segment "lost"',
        ),
        (
            {"tags": {**USED["tags"], "lost": FR}},
            "unused-tag",
            'no rule reads tag "lost"',
        ),
        ({"fragments": {"hero/lost": ""}}, "unused-fragment", "nothing shows hero/lost"),
        (
            {"fragments": {"hero/loyal": "{{geo.city}} {{counts.article_read}} {{time.hour}}"}},
            "absent-token",
            "geo.city may be absent",
        ),
        (
            {"rules": [*USED["rules"], rule("offer", "cart.items > 2", experiment=OFFER)]}
            | {"fragments": {"hero/cart": "{{cta}}{{#cta}}{{.}}{{/cta}}"}},
            "value-not-given",
            "variant plain of rule offer gives no cta",
        ),
    ],
)
def test_what_was_hardly_meant_is_a_warning(
    changes: dict[str, Any], code: str, message: str
) -> None:
    assert codes(**USED | changes) == {code: message}


def test_a_token_of_a_default_fragment_that_only_rules_give_is_a_warning() -> None:
    rules = [*USED["rules"], rule("c", "cart.items > 2", show="hero/welcome", **{"with": {"x": 1}})]
    found = codes(**USED | {"rules": rules, "fragments": {"hero/welcome": "{{x}}"}})
    assert found == {"value-not-given": "a slot's default gives no x"}


def test_a_token_that_everybody_gives_is_no_warning() -> None:
    rules = [*USED["rules"], rule("c", "cart.items > 2", show="hero/x", **{"with": {"x": 1}})]
    assert codes(**USED | {"rules": rules, "fragments": {"hero/x": "{{x}}"}}) == {}


def test_a_fragment_that_another_takes_in_is_used() -> None:
    fragments = {"hero/welcome": "{{> shared/button}}", "shared/button": "<b>Go</b>"}
    assert codes(**USED | {"fragments": fragments}) == {}


def test_a_set_that_is_read_whole_uses_all_its_members() -> None:
    rules = [rule("a", 'segments.exists(s, s.startsWith("lo")) && "engaged" in tags')]
    assert codes(**USED | {"rules": rules}) == {}


def test_keys_and_values_that_the_data_does_not_hold_are_warnings() -> None:
    tags = {**USED["tags"], "engaged": 'session.views["shoos"] > 1'}
    rules = [*USED["rules"], rule("c", 'interest["dairi"] > 3')]
    found = warnings(
        playbook(**USED | {"tags": tags, "rules": rules}), {"category": ["dairy", "shoes"]}
    )
    assert sorted((problem.code, problem.message) for problem in found) == [
        ("unknown-key", 'the data holds no "dairi", did you mean dairy?'),
        ("unknown-key", 'the data holds no "shoos", did you mean shoes?'),
        (
            "unseen-sensitive-value",
            'the data holds no category "pharmacy", expected one of dairy, shoes',
        ),
    ]


def test_keys_are_not_judged_by_half_of_the_data() -> None:
    branded = [*SETTINGS["signals"], {"on": "liked", "interest": {"key": "brand", "add": 1}}]
    rules = [*USED["rules"], rule("c", 'interest["acme"] > 3')]
    changes = USED | {"rules": rules, "signals": branded}
    assert codes({"category": HEARD}, **changes) == {}
    assert codes({"category": HEARD, "brand": ["acme"]}, **changes) == {}
    assert codes({"category": HEARD, "brand": ["acne"]}, **changes).keys() == {"unknown-key"}


@pytest.mark.parametrize(
    "changes",
    [{"fragments": {"hero/welcome": "{{#a}}"}}, {"timezone": "Mars"}, {"rules": [rule("a", "1")]}],
)
def test_while_there_are_errors_there_are_no_warnings(changes: dict[str, Any]) -> None:
    assert codes(**USED | {"segments": {"loyal": "true", "lost": "true"}} | changes) == {}

"""Sentences: every step says what happened in words."""

from __future__ import annotations

from typing import Any

import pytest

from decisions.engine import Control, Decision
from decisions.explain import SENTENCES, sentences
from decisions.program import Program
from decisions.reasons import Reason, Step
from tests.decisions.written import OFFER, program, rule

NOW = 1_795_000_000.0


def explained(compiled: Program, **more: Any) -> list[str]:
    given: dict[str, Any] = {"grants": {"functional"}, "now": NOW} | more
    decision = compiled.decide("hero", {"cart": {"items": 2}}, explain=True, **given)
    return sentences(compiled, decision)


def test_every_reason_has_a_sentence() -> None:
    assert SENTENCES.keys() == set(Reason)


def test_a_match_says_what_matched() -> None:
    compiled = program(rules=[rule("cart", "cart.items > 0")])
    assert explained(compiled) == [
        "hero shows hero/loyal because rule cart matched: cart.items > 0"
    ]


@pytest.mark.parametrize(
    ("per", "said"), [("24h", "1 d"), ("36h", "36 h"), ("90m", "90 min"), ("90s", "90 s")]
)
def test_what_held_a_rule_back_is_said(per: str, said: str) -> None:
    rules = [
        rule("fr", 'geo.country == "FR"'),
        rule("paused", "cart.items == 2"),
        rule("capped", "cart.items >= 0", cap={"times": 1, "per": per}),
        rule("over", "cart.items > 1", until="2020-01-01"),
        rule("fresh", "cart.items < 9", when_stale="skip"),
        rule("offer", "cart.items < 8", experiment=OFFER | {"traffic": 0}),
        rule("odd", "1 / (cart.items - 2) > 1"),
    ]
    spoken = explained(
        program(rules=rules),
        control=Control(frozenset({"paused"})),
        seen=[("capped", NOW)],
        stale=True,
        unit="v",
    )
    assert spoken[:-2] == [
        "rule fr did not match: geo.country is unknown",
        "rule paused matched, and is paused",
        f"rule capped matched, and was seen as often as its cap allows: 1 in {said}",
        "rule over matched, and is out of schedule",
        "rule fresh matched, and does not serve from a snapshot past its date",
        "rule offer matched, and this visitor is outside its experiment's 0% of traffic",
    ]
    assert spoken[-2].startswith("rule odd could not be decided: ")
    assert spoken[-1] == "hero shows hero/welcome, its default: no rule took the slot"


def test_a_variant_is_named() -> None:
    compiled = program(rules=[rule("offer", "true", experiment=OFFER | {"traffic": 100})])
    decision = compiled.decide("hero", {}, grants={"functional"}, unit="v")
    assert sentences(compiled, decision) == [
        "hero shows hero/cart because rule offer matched (true), and its experiment gave this "
        f"visitor variant {decision.variant}"
    ]


def test_nothing_is_explained_too() -> None:
    compiled = program()
    unknown = compiled.decide("hreo", {})
    assert sentences(compiled, unknown) == ["hreo shows nothing: the playbook has no such slot"]
    early = Decision("hero", "", Reason.NO_SNAPSHOT, (Step("", Reason.NO_SNAPSHOT),))
    assert sentences(compiled, early) == ["hero shows nothing: there is no snapshot yet"]

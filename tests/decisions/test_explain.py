"""Sentences: every step says what happened in words."""

from __future__ import annotations

from typing import Any

import pytest

from decisions.engine import Control, Decision
from decisions.explain import SENTENCES, because, sentences, why_not
from decisions.program import Program
from decisions.reasons import Reason, Step
from tests.decisions.written import OFFER, program, rule

NOW = 1_795_000_000.0


def explained(compiled: Program, **more: Any) -> list[str]:
    given: dict[str, Any] = {"unit": None} | more
    facts = compiled.facts({"cart": {"items": 2}}, {"functional"}, NOW)
    decision = compiled.decide("hero", facts, explain=True, **given)
    return sentences(compiled, decision, facts)


def test_every_reason_has_a_sentence() -> None:
    assert SENTENCES.keys() == set(Reason)


def test_a_match_says_what_matched() -> None:
    compiled = program(rules=[rule("cart", "cart.items > 0")])
    assert explained(compiled) == ["hero shows hero/loyal because cart.items 2 > 0 (rule cart)"]


@pytest.mark.parametrize(
    ("per", "said"), [("24h", "1 d"), ("36h", "36 h"), ("90m", "90 min"), ("90s", "90 s")]
)
def test_what_held_a_rule_back_is_said(per: str, said: str) -> None:
    rules = [
        rule("fr", 'geo.country == "FR"'),
        rule("paused", "cart.items == 2"),
        rule("capped", "cart.items >= 0", cap={"times": 1, "per": per}),
        rule("over", "cart.items > 1", until="2020-01-01"),
        rule("early", "cart.items > -1", **{"from": "2030-01-01"}),
        rule("fresh", "cart.items < 9", stale="default"),
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
        "rule over matched, and is out of schedule: it ended at 2020-01-02T00:00:00+01:00",
        "rule early matched, and is out of schedule: it begins at 2030-01-01T00:00:00+01:00",
        "rule fresh matched, and does not serve from a snapshot past its date",
        "rule offer matched, and this visitor is outside its experiment's 0% of traffic",
    ]
    assert spoken[-2].startswith("rule odd could not be decided: ")
    assert spoken[-1] == "hero shows hero/welcome, its default: no rule took the slot"


def test_a_variant_is_named() -> None:
    compiled = program(rules=[rule("offer", "true", experiment=OFFER | {"traffic": 100})])
    facts = compiled.facts({}, {"functional"})
    decision = compiled.decide("hero", facts, unit="v")
    assert because(compiled, decision, facts) == (
        "hero shows hero/cart because it is for everybody (rule offer), and its experiment gave "
        f"this visitor variant {decision.variant}"
    )
    nobody = compiled.decide("hero", facts)
    assert sentences(compiled, nobody, facts)[0] == (
        "rule offer matched, and there is no visitor id to split by"
    )


def test_nothing_is_explained_too() -> None:
    compiled = program()
    unknown = compiled.decide("hreo", {})
    facts = compiled.facts({})
    said = sentences(compiled, unknown, facts)
    assert said == ["hreo shows nothing: the playbook has no such slot"]
    early = Decision("hero", "", Reason.NO_SNAPSHOT, (Step("", Reason.NO_SNAPSHOT),))
    assert sentences(compiled, early, facts) == ["hero shows nothing: there is no snapshot yet"]


ABANDONED: dict[str, Any] = {"cart": {"items": 2, "updated_at": NOW - 1200}}
KNOWN = {"functional", "personalization"}


def asked(rule_id: str, nested: dict[str, Any] = ABANDONED, **more: Any) -> list[str]:
    """Why not this rule of the small playbook's hero."""
    compiled = program()
    facts = compiled.facts(nested, KNOWN, NOW)
    decision = compiled.decide("hero", facts, **more)
    return why_not(compiled, rule_id, decision, facts, **more).sentences


def test_the_reasons_of_a_match_are_its_conditions_with_their_values() -> None:
    assert asked("cart-rescue", ABANDONED | {"scores": {"propensity": 0.62}}) == [
        "rule cart-rescue took it: hero shows hero/cart because tags contains cart_abandoner "
        "and scores.propensity 0.62 > 0.4 (rule cart-rescue)",
        "tag cart_abandoner: cart.items 2 > 0 and now - cart.updated_at (20m) >= 15m",
    ]


def test_why_not_names_the_conditions_that_failed() -> None:
    assert asked("cart-rescue", ABANDONED | {"scores": {"propensity": 0.3}})[0] == (
        "rule cart-rescue did not match: scores.propensity 0.3 is not > 0.4"
    )
    assert asked("cart-rescue", {"cart": {"items": 1, "updated_at": NOW - 60}}) == [
        "rule cart-rescue did not match: tags does not contain cart_abandoner",
        "tag cart_abandoner: now - cart.updated_at (1m) is not >= 15m",
        "hero shows hero/welcome, its default: no rule took the slot",
    ]


def test_why_not_says_what_was_absent_and_why() -> None:
    compiled = program()
    facts = compiled.facts(ABANDONED, {"functional"}, NOW)
    decision = compiled.decide("hero", facts)
    told = why_not(compiled, "cart-rescue", decision, facts)
    assert told.sentences[0] == (
        "rule cart-rescue did not match: tags is not granted (personalization) "
        "and scores.propensity is not granted (personalization)"
    )
    assert [condition.holds for condition in told.conditions] == [None, None]


def test_why_not_says_what_held_a_rule_back() -> None:
    rescued = ABANDONED | {"scores": {"propensity": 0.62}}
    paused = Control(frozenset({"cart-rescue"}))
    assert asked("cart-rescue", rescued, control=paused)[0] == (
        "rule cart-rescue matched, and is paused"
    )
    seen = [("cart-rescue", NOW - 60)] * 3
    assert asked("cart-rescue", rescued, seen=seen)[0].endswith("its cap allows: 3 in 1 d")


def test_why_not_says_which_rule_took_the_slot() -> None:
    rescued = ABANDONED | {"scores": {"propensity": 0.62}, "interest": {"shoes": 62.0}}
    assert asked("shoes", rescued) == [
        'rule shoes matched (interest["shoes"] 62 >= 40), and rule cart-rescue took the slot first',
        "hero shows hero/cart because tags contains cart_abandoner and scores.propensity 0.62 > "
        "0.4 (rule cart-rescue)",
    ]


def test_why_not_of_what_failed_says_so() -> None:
    compiled = program()
    facts = compiled.facts({"interest": {"shoes": 62.0}}, KNOWN, NOW)
    failed = Step("shoes", Reason.ERROR, "hero/shoes did not render")
    decision = Decision("hero", "hero/welcome", Reason.ERROR, (failed,))
    assert why_not(compiled, "shoes", decision, facts).sentences[0] == (
        'rule shoes matched (interest["shoes"] 62 >= 40), and failed: hero/shoes did not render'
    )


def test_tags_that_are_given_are_not_explained_by_what_would_have_made_them() -> None:
    given = {"tags": ["cart_abandoner"], "scores": {"propensity": 0.3}}
    assert len(asked("cart-rescue", given)) == 2


def test_a_rule_of_another_slot_is_no_rule_of_this_one() -> None:
    with pytest.raises(KeyError):
        asked("spring")


OTHER, HELD = rule("twice", "cart.items > 0"), rule("kept", "cart.items < 0")


def test_a_step_that_knows_its_detail_is_believed() -> None:
    compiled = program(rules=[rule("late", "cart.items > 1"), OTHER, HELD])
    steps = (
        Step("late", Reason.OUT_OF_SCHEDULE, "fri 23:05 is outside its hours"),
        Step("twice", Reason.CAPPED, "hero/loyal is on the page already"),
        Step("kept", Reason.MATCH, "shown earlier in this session"),
    )
    decision = Decision("hero", "hero/loyal", Reason.MATCH, steps, rule="kept")
    assert sentences(compiled, decision, compiled.facts({})) == [
        "rule late matched, and is out of schedule: fri 23:05 is outside its hours",
        "rule twice matched, and hero/loyal is on the page already",
        "hero shows hero/loyal because it was shown earlier in this session (rule kept)",
    ]


@pytest.mark.parametrize(
    ("skips", "said"),
    [
        ("experiments", "rule offer matched, and this visitor is in the holdout control"),
        (
            "rules",
            "hero shows hero/welcome, its default: this visitor is in the holdout control",
        ),
    ],
)
def test_a_holdout_is_named(skips: str, said: str) -> None:
    holdout = {"share": 99.99, "name": "control", "skips": skips}
    compiled = program(rules=[rule("offer", "true", experiment=OFFER)], holdout=holdout)
    facts = compiled.facts({}, {"functional"}, NOW)
    decision = compiled.decide("hero", facts, unit="v")
    assert sentences(compiled, decision, facts)[0] == said


def test_a_paused_slot_is_said_to_be() -> None:
    compiled = program()
    facts = compiled.facts({"cart": {"items": 2}}, {"functional"}, NOW)
    stopped = Control(slots=frozenset({"hero"}))
    decision = compiled.decide("hero", facts, control=stopped)

    said = "hero shows hero/welcome, its default: the slot is paused"
    assert because(compiled, decision, facts) == said
    assert why_not(compiled, "cart-offer", decision, facts, control=stopped).sentences[0] == said

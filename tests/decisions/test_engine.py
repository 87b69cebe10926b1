"""Deciding: first match wins, what holds a rule back, and the scan that agrees with the index."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from decisions.consent import FUNCTIONAL, PERSONALIZATION
from decisions.engine import Control, Decision
from decisions.errors import EvaluationError
from decisions.experiments import Units
from decisions.index import Index
from decisions.program import Program, decode
from decisions.reasons import Reason, Step
from decisions.tables import Slot
from tests.decisions.written import OFFER, program, rule

GRANTS = ("functional", "personalization")
NOW = 1_795_000_000.0
CART = {"cart": {"items": 2, "value": 30.0, "updated_at": NOW - 1_200}}
RESCUED = CART | {"scores": {"propensity": 0.6}}


def decide(compiled: Program, facts: Mapping[str, Any], **more: Any) -> Decision:
    given: dict[str, Any] = {"grants": GRANTS, "now": NOW} | more
    return compiled.decide("hero", facts, **given)


def test_the_first_match_wins_by_band_then_by_place() -> None:
    compiled = program()
    everything = RESCUED | {"interest": {"shoes": 62.0}}
    assert decide(compiled, everything).rule == "cart-rescue"
    assert decide(compiled, {"interest": {"shoes": 62.0}}).fragment == "hero/shoes"
    both = {"interest": {"shoes": 62.0}, "segments": {"loyal"}, "counts": {"article_read": 3}}
    assert decide(compiled, both).rule == "shoes"


def test_a_match_carries_what_the_rule_gives_its_fragment() -> None:
    decision = decide(program(), RESCUED)
    assert decision == Decision(
        "hero",
        "hero/cart",
        Reason.MATCH,
        (Step("cart-rescue", Reason.MATCH),),
        rule="cart-rescue",
        with_={"cta": "Take it home"},
    )


def test_without_a_match_the_slot_shows_its_default() -> None:
    decision = decide(program(), {})
    assert (decision.fragment, decision.reason) == ("hero/welcome", Reason.DEFAULT)
    assert decision.steps == (Step("", Reason.DEFAULT),)


def test_an_unknown_slot_shows_nothing() -> None:
    decision = program().decide("hreo", {})
    assert (decision.fragment, decision.reason) == ("", Reason.UNKNOWN_SLOT)


def test_a_paused_slot_shows_its_default_whatever_matches_or_holds_it() -> None:
    stopped = Control(slots=frozenset({"hero"}))

    decision = decide(program(), CART, control=stopped)

    assert (decision.fragment, decision.rule) == ("hero/welcome", "")
    assert decision.steps == (Step("", Reason.PAUSED),)
    assert decide(program(), CART, control=stopped, held=("cart-rescue",)).rule == ""


def test_a_paused_rule_leaves_the_slot_to_the_next() -> None:
    control = Control(frozenset({"cart-rescue"}))
    decision = decide(program(), RESCUED, control=control)
    assert decision.steps[0] == Step("cart-rescue", Reason.PAUSED)
    assert decision.fragment != "hero/cart" or decision.rule == "cart-offer"


@pytest.mark.parametrize(
    ("moment", "fragment"),
    [
        ("2027-02-28T22:59:59", "promo/none"),
        ("2027-02-28T23:00:00", "promo/spring"),
        ("2027-03-31T21:59:59", "promo/spring"),
        ("2027-03-31T22:00:00", "promo/none"),
    ],
)
def test_a_schedule_of_dates_counts_in_the_zone_of_the_playbook(moment: str, fragment: str) -> None:
    now = datetime.datetime.fromisoformat(moment + "+00:00").timestamp()
    decision = program().decide("promo", {"geo": {"country": "FR"}}, now=now)
    assert decision.fragment == fragment
    held = Step("spring", Reason.OUT_OF_SCHEDULE)
    assert (held in decision.steps) is (fragment == "promo/none")


def test_hours_are_those_of_the_playbooks_week_and_the_step_says_when_it_was() -> None:
    weekly = {"mon-fri": "17:00-22:00"}
    compiled = decode(program(rules=[rule("evening", "true", hours=weekly)]).encode())
    for moment, shown in (("15:59", False), ("16:00", True), ("20:59", True), ("21:00", False)):
        now = datetime.datetime.fromisoformat(f"2026-11-20T{moment}+00:00").timestamp()
        decision = decide(compiled, {}, now=now)
        assert (decision.rule == "evening") is shown
    held = Step("evening", Reason.OUT_OF_SCHEDULE, "fri 22:00 is outside its hours")
    assert decision.steps[0] == held


def test_beyond_the_calendar_hours_are_a_rule_that_breaks() -> None:
    compiled = program(rules=[rule("evening", "true", hours={"fri": "17:00-22:00"})])
    assert decide(compiled, {}, now=1e13).steps[0].reason == Reason.ERROR


def test_a_cap_counts_what_was_seen_within_its_window() -> None:
    compiled = program()
    three = [("cart-rescue", NOW - hours * 3_600) for hours in (1, 2, 23)]
    assert decide(compiled, RESCUED, seen=three).steps[0] == Step("cart-rescue", Reason.CAPPED)
    assert decide(compiled, RESCUED, seen=iter(three)).rule != "cart-rescue"
    old = [*three[:2], ("cart-rescue", NOW - 25 * 3_600), ("shoes", NOW)]
    assert decide(compiled, RESCUED, seen=old).rule == "cart-rescue"


def test_a_cap_reads_nothing_without_the_functional_purpose() -> None:
    compiled = program(rules=[rule("a", 'geo.country == "FR"', cap={"times": 1, "per": "1h"})])
    facts, seen = {"geo": {"country": "FR"}}, [("a", NOW)]
    assert compiled.decide("hero", facts, now=NOW, seen=seen).rule == "a"
    assert compiled.decide("hero", facts, now=NOW, seen=seen, grants={"functional"}).rule == ""


@pytest.mark.parametrize("more", [{"show": "hero/loyal"}, {"experiment": OFFER | {"traffic": 100}}])
def test_a_rule_for_once_per_page_leaves_the_slot_to_the_next(more: dict[str, Any]) -> None:
    compiled = decode(program(rules=[rule("a", "true", once_per_page=True, **more)]).encode())
    shown = more.get("show", "hero/cart")
    assert decide(compiled, {}, unit="v", shown={"promo/spring"}).rule == "a"
    held = decide(compiled, {}, unit="v", shown={shown})
    again = Step("a", Reason.CAPPED, f"{shown} is on the page already")
    assert (held.fragment, held.steps) == ("hero/welcome", (again, Step("", Reason.DEFAULT)))
    assert held.probability == 1.0


def held_playbook() -> Program:
    rules = [
        rule("top", "cart.items > 0", show="hero/cart"),
        rule("fr", 'geo.country == "FR"', hold="session", cap={"times": 1, "per": "1h"}),
        rule("shoes", 'interest["shoes"] >= 40', show="hero/shoes", hold="session"),
        rule("name", 'traits.first_name == "Ada"', hold="session"),
        rule(
            "test", 'device.kind == "mobile"', experiment=OFFER | {"traffic": 100}, hold="session"
        ),
    ]
    return decode(program(rules=rules, fragments={"hero/cart": "<p>Cart</p>"}).encode())


def test_a_rule_that_holds_the_slot_is_spared_its_condition_and_the_rules_above() -> None:
    compiled = held_playbook()
    assert decide(compiled, CART).rule == "top"
    held = decide(compiled, CART, held=("gone", "shoes"))
    assert (held.rule, held.fragment, held.reason) == ("shoes", "hero/shoes", Reason.MATCH)
    assert held.steps == (Step("shoes", Reason.MATCH, "shown earlier in this session"),)
    assert decide(compiled, CART, held=("shoes",), explain=True) == held


def test_an_experiment_that_holds_the_slot_still_shows_the_units_variant() -> None:
    held = decide(held_playbook(), {}, held=("test",), unit="v1")
    assert [step.reason for step in held.steps] == [Reason.MATCH, Reason.SPLIT]
    assert (held.reason, held.experiment, held.probability) == (Reason.SPLIT, "test", 0.5)
    assert decide(held_playbook(), {}, held=("test",)).steps[0].reason == Reason.DEFAULT


def test_a_hold_ends_with_a_grant_a_pause_or_a_cap() -> None:
    compiled = held_playbook()
    paused = Control(frozenset({"shoes"}))
    assert decide(compiled, CART, held=("shoes",), control=paused).rule == "top"
    assert decide(compiled, CART, held=("shoes",), grants={"functional"}).rule == "top"
    assert decide(compiled, CART, held=("name",)).rule == "top"
    assert decide(compiled, CART, held=("name",), grants={*GRANTS, "authenticated"}).rule == "name"
    assert decide(compiled, CART, held=("fr",)).rule == "fr"
    assert decide(compiled, CART, held=("fr",), seen=[("fr", NOW)]).rule == "top"


def test_a_stale_snapshot_skips_the_rules_that_say_so() -> None:
    compiled = program(rules=[rule("a", "true", stale="default", show="hero/shoes")])
    assert decide(compiled, {}).rule == "a"
    stale = decide(compiled, {}, stale=True)
    assert stale.steps == (Step("a", Reason.STALE), Step("", Reason.DEFAULT))


def test_an_experiment_shows_the_variant_of_the_unit_every_time() -> None:
    compiled = program()
    found: dict[str, Decision] = {}
    for number in range(200):
        decision = decide(compiled, CART, unit=f"visitor-{number}")
        assert decide(compiled, CART, unit=f"visitor-{number}") == decision
        found.setdefault(decision.variant, decision)
    assert found.keys() == {"", "plain", "code"}
    assert found["code"].reason == Reason.SPLIT
    assert found["code"].experiment == found["code"].rule == "cart-offer"
    assert found["code"].with_ == {"cta": "Save 10 %"}
    assert found["code"].steps == (Step("cart-offer", Reason.SPLIT, "code"),)
    assert found["code"].probability == pytest.approx(0.25)
    assert found[""].steps == (Step("cart-offer", Reason.HOLDOUT), Step("", Reason.DEFAULT))
    assert found[""].probability == pytest.approx(0.5)


def test_a_unit_that_cannot_be_hashed_leaves_the_slot_to_the_rules_below() -> None:
    decision = decide(program(), CART | {"interest": {"shoes": 62.0}}, unit="\ud800")
    assert decision.steps[0] == Step("cart-offer", Reason.ERROR, "UnicodeEncodeError")
    assert decision.rule == "shoes"


def test_the_experiments_of_a_layer_are_one_draw() -> None:
    rules = [
        rule(name, "true", experiment=OFFER | {"layer": "top", "traffic": traffic})
        for name, traffic in (("one", 50), ("two", 20), ("three", 30))
    ]
    compiled = program(rules=rules)
    found = {d.rule: d for d in (decide(compiled, {}, unit=f"v{n}") for n in range(100))}
    assert {name: d.probability for name, d in found.items()} == {
        "one": pytest.approx(0.25),
        "two": pytest.approx(0.10),
        "three": pytest.approx(0.15),
    }


HOLDOUT = {"share": 20, "name": "control"}


def test_a_unit_of_the_holdout_meets_no_experiment_and_every_other_rule() -> None:
    rules = [
        rule("one", "true", experiment=OFFER | {"traffic": 100}),
        rule("two", "true", experiment=OFFER | {"traffic": 100}),
        rule("cart", "cart.items > 0", show="hero/cart"),
    ]
    compiled = decode(program(rules=rules, holdout=HOLDOUT).encode())
    found = [decide(compiled, CART, unit=f"v{number}") for number in range(200)]
    held = [decision for decision in found if decision.holdout]
    assert 20 < len(held) < 60
    assert {decision.rule for decision in held} == {"cart"}
    assert held[0].steps == (
        Step("one", Reason.HOLDOUT, "control"),
        Step("two", Reason.HOLDOUT, "control"),
        Step("cart", Reason.MATCH),
    )
    assert held[0].probability == pytest.approx(0.2)
    others = [decision for decision in found if not decision.holdout]
    assert {(d.rule, d.probability) for d in others} == {("one", 0.4)}
    assert decide(compiled, {}, unit=next(f"v{n}" for n, d in enumerate(found) if d.holdout)) == (
        Decision(
            "hero",
            "hero/welcome",
            Reason.DEFAULT,
            (*held[0].steps[:2], Step("", Reason.DEFAULT)),
            probability=0.2,
            holdout="control",
        )
    )


def test_a_holdout_that_nothing_met_is_not_told() -> None:
    compiled = program(rules=[rule("cart", "cart.items > 0")], holdout=HOLDOUT | {"share": 99.99})
    decision = decide(compiled, CART, unit="v1")
    assert (decision.rule, decision.holdout, decision.probability) == ("cart", "", 1.0)


def test_a_unit_of_a_holdout_of_rules_sees_the_defaults() -> None:
    rules = [rule("cart", "cart.items > 0", hold="session")]
    compiled = program(rules=rules, holdout=HOLDOUT | {"skips": "rules"})
    found = [decide(compiled, CART, unit=f"v{number}", held=("cart",)) for number in range(50)]
    kinds = {(d.rule, d.reason, d.holdout, d.probability) for d in found}
    assert kinds == {
        ("cart", Reason.MATCH, "", 0.8),
        ("", Reason.HOLDOUT, "control", 0.2),
    }
    held = next(decision for decision in found if decision.holdout)
    assert held.steps == (Step("", Reason.HOLDOUT, "control"),)
    assert decide(compiled, CART).probability == 1.0


def test_who_has_no_id_of_the_holdouts_unit_is_not_held_out() -> None:
    rules = [rule("one", "true", experiment=OFFER | {"traffic": 100})]
    holdout = {"share": 99.99, "unit": "customer"}
    compiled = program(rules=rules, holdout=holdout)
    units = Units(visitor="v1", customer="c1")
    assert decide(compiled, {}, unit=units).variant
    known = decide(compiled, {}, unit=units, grants={*GRANTS, "authenticated"})
    assert (known.variant, known.holdout) == ("", "holdout")


def test_experiments_of_no_layer_are_draws_of_their_own() -> None:
    rules = [rule(name, "true", experiment=OFFER) for name in ("one", "two")]
    compiled = program(rules=rules)
    found = {d.rule: d.probability for d in (decide(compiled, {}, unit=f"v{n}") for n in range(50))}
    assert found == {"one": 0.25, "two": 0.125, "": 0.25}


@pytest.mark.parametrize("kind", ["visitor", "customer", "session"])
def test_an_experiment_is_entered_only_with_a_granted_id_of_its_unit(kind: str) -> None:
    offer = OFFER | {"unit": kind, "traffic": 100}
    compiled = program(rules=[rule("offer", "true", experiment=offer)])
    signed_in = {*GRANTS, "authenticated"}
    units = Units(**{kind: "someone"})
    assert decide(compiled, {}, unit=units, grants=signed_in).reason == Reason.SPLIT
    assert decide(compiled, {}, unit="someone", grants=signed_in).reason == Reason.SPLIT
    absent = Step("offer", Reason.ABSENT, f"there is no {kind} id to split by")
    assert decide(compiled, {}, grants=signed_in).steps[0] == absent
    assert decide(compiled, {}, unit=Units(), grants=signed_in).steps[0] == absent
    assert decide(compiled, {}, unit=units, grants={"authenticated"}).steps[0] == absent
    entered = decide(compiled, {}, unit=units).reason == Reason.SPLIT
    assert entered is (kind != "customer")


def test_explained_steps_name_what_was_absent_and_why() -> None:
    compiled = program(
        rules=[
            rule("country", 'geo.country == "FR"'),
            rule("shoes", 'interest["shoes"] >= 40'),
            rule("medicine", 'interest["pharmacy"] >= 40'),
            rule("patient", '"patient" in segments'),
            rule("name", 'traits.first_name == "Ada"'),
            rule("broken", "1 / cart.items == 1"),
        ]
    )
    by_rule = {
        grants: {
            step.rule: (step.reason, step.detail)
            for step in compiled.decide("hero", {}, grants=grants, explain=True).steps
        }
        for grants in (0, FUNCTIONAL | PERSONALIZATION)
    }
    nothing, ordinary = by_rule.values()
    assert nothing["country"] == (Reason.ABSENT, "geo.country is unknown")
    assert nothing["shoes"] == (Reason.ABSENT, "interest is not granted (personalization)")
    assert ordinary["shoes"] == (Reason.ABSENT, 'interest["shoes"] is unknown')
    withheld = "is not granted (sensitive)"
    assert ordinary["medicine"] == (Reason.ABSENT, f'interest["pharmacy"] {withheld}')
    assert ordinary["patient"] == (Reason.ABSENT, f'segments["patient"] {withheld}')
    assert ordinary["name"] == (
        Reason.ABSENT,
        "traits.first_name is not granted (authenticated)",
    )
    assert ordinary["broken"][0] == Reason.ERROR
    assert nothing["broken"] == (Reason.ABSENT, "cart.items is not granted (functional)")


def test_a_rule_that_breaks_leaves_the_slot_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = program(rules=[rule("odd", "cart.items % 2 == 1"), rule("next", "cart.items > 0")])

    def broken(facts: Mapping[str, Any]) -> bool:
        raise RecursionError("too deep")

    monkeypatch.setattr(Slot, "condition", lambda slot, place: broken)
    decision = decide(compiled, {"cart": {"items": 3}})
    assert decision.steps == (
        Step("odd", Reason.ERROR, "RecursionError"),
        Step("next", Reason.MATCH),
    )


def test_whatever_breaks_outside_a_rule_leaves_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = program()

    def broken(index: Index, facts: Mapping[str, Any], grants: int) -> Iterator[int]:
        raise MemoryError

    monkeypatch.setattr(Index, "candidates", broken)
    decision = decide(compiled, {})
    assert (decision.fragment, decision.reason) == ("hero/welcome", Reason.ERROR)
    assert decision.steps == (Step("", Reason.ERROR, "MemoryError"),)


def test_a_grant_that_is_no_purpose_is_the_callers_mistake() -> None:
    with pytest.raises(KeyError, match="everything"):
        decide(program(), {}, grants={"everything"})


def test_an_error_value_of_a_candidate_is_no_match_and_no_step() -> None:
    compiled = program(rules=[rule("share", "10 / cart.items == 5"), rule("next", "true")])
    assert decide(compiled, {"cart": {"items": 0}}).steps == (Step("next", Reason.MATCH),)
    explained = decide(compiled, {"cart": {"items": 0}}, explain=True)
    assert explained.steps[0].reason == Reason.ERROR
    with pytest.raises(EvaluationError):
        compiled.slots["hero"].condition(0)(compiled.facts({}, FUNCTIONAL))

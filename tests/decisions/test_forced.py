"""Forced variants: what a preview shows is what the variant shows; chance is not asked."""

from __future__ import annotations

from typing import Any

from decisions.reasons import Reason, Step
from tests.decisions.written import OFFER, program, rule

CART: dict[str, Any] = {"cart": {"items": 1}}
FUNCTIONAL = {"functional"}


def test_a_forced_variant_needs_neither_id_nor_share_of_traffic() -> None:
    compiled = program(rules=[rule("offer", "cart.items > 0", experiment=OFFER | {"traffic": 0})])

    for variant in ("plain", "code"):
        forced = {"offer": variant}
        decision = compiled.decide("hero", CART, grants=FUNCTIONAL, forced=forced)
        assert (decision.variant, decision.reason) == (variant, Reason.SPLIT)
        assert decision.steps == (Step("offer", Reason.SPLIT, f"{variant}, forced"),)
        assert decision.probability == 1.0


def test_a_forced_variant_is_held_back_like_any_other() -> None:
    written = rule("offer", "cart.items > 0", experiment=OFFER, until="2020-01-01")
    compiled = program(rules=[written])
    forced = {"offer": "code"}

    late = compiled.decide("hero", CART, grants=FUNCTIONAL, now=1.795e9, forced=forced)
    unmatched = compiled.decide("hero", {}, grants=FUNCTIONAL, forced=forced)

    assert late.steps[0].reason is Reason.OUT_OF_SCHEDULE
    assert unmatched.reason is Reason.DEFAULT


def test_a_variant_that_is_none_leaves_the_choice_to_chance() -> None:
    compiled = program(rules=[rule("offer", "cart.items > 0", experiment=OFFER | {"traffic": 100})])
    asked: dict[str, Any] = {"grants": FUNCTIONAL, "unit": "v"}
    assert compiled.decide("hero", CART, **asked, forced={"offer": "?", "x": "y"}) == (
        compiled.decide("hero", CART, **asked)
    )


def test_who_is_held_out_sees_what_is_forced() -> None:
    written = rule("offer", "cart.items > 0", experiment=OFFER)
    compiled = program(rules=[written], holdout={"share": 99.99, "skips": "rules"})
    asked: dict[str, Any] = {"grants": FUNCTIONAL, "unit": "v"}
    assert compiled.decide("hero", CART, **asked).reason is Reason.HOLDOUT
    assert compiled.decide("hero", CART, **asked, forced={"offer": "code"}).variant == "code"

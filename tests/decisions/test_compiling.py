"""Compiling: every error at once and in its place, and what a program is made of."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from decisions import compile_playbook, evaluate
from decisions.compiling import compile_with_ledger
from decisions.errors import PlaybookErrors, Position
from decisions.ledger import first_ledger
from decisions.lesson import Gain
from tests.decisions.written import (
    OFFER,
    RULES,
    playbook,
    problems,
    program,
    rule,
)

FR = 'geo.country == "FR"'


def test_every_error_comes_at_once_in_file_order() -> None:
    found = problems(
        rules=[rule("a", 'geo.contry == "FR" && cart.itmes > 0', slot="hreo")],
        timezone="Mars",
        segments={"loyal": "1 + 1"},
    )
    codes = {problem.code for problem in found}
    assert codes == {"unknown-attribute", "unknown-slot", "unknown-timezone", "type"}
    assert len(found) == 5
    assert list(found) == sorted(found, key=lambda problem: problem.at)


def test_what_is_learnt_is_in_the_catalogue_or_in_a_rule() -> None:
    written = playbook(rules=[*RULES, rule("wine", 'page.category == "wine"')])
    compiled = compile_playbook(written, catalogue={"category": ["dairy", "fruit", "pharmacy"]})
    learning = compiled.learning
    assert learning.known == {"dairy", "fruit", "pharmacy", "shoes", "wine"}
    assert learning.events == {"product_view", "add_to_cart", "purchase", "article_read"}
    assert learning.gains["purchase"] == (Gain("category", 5),)
    assert learning.carts == {"add_to_cart": "add", "purchase": "clear"}
    assert learning.caps == {"cart-rescue": (3, 86_400.0)}
    assert learning.sensitive == {"pharmacy"}
    assert compiled.dictionary == (
        "k/dairy",
        "k/fruit",
        "k/pharmacy",
        "k/shoes",
        "k/wine",
        "c/add_to_cart",
        "c/article_read",
        "c/product_view",
        "c/purchase",
        "r/cart-rescue",
    )


def test_the_ledger_grows_and_its_numbers_and_buckets_stay() -> None:
    first = compile_with_ledger(playbook(), None, {"category": ["pharmacy"]})
    changed = OFFER | {
        "variants": {"code": {"weight": 1, "show": "hero/cart", "with": {"cta": "!"}}}
        | {"new": {"weight": 1, "show": "hero/welcome"}}
    }
    rules = [rule("cart-offer", "cart.items > 0", experiment=changed)]
    second = compile_with_ledger(
        playbook(rules=rules), first.ledger, {"category": ["apples", "pharmacy"]}
    )
    assert second.ledger.extends(first.ledger)
    assert second.program.dictionary[: len(first.ledger.names)] == first.ledger.names
    assert second.program.dictionary[-1] == "k/apples"
    split = second.program.slots["hero"].rules[0].split
    assert split is not None
    assert split.variants == (("new", 5_000), ("code", 10_000))


def test_experiments_of_a_layer_share_one_traffic_map() -> None:
    rules = [
        rule(name, when, experiment=OFFER | {"layer": "top", "traffic": 40})
        for name, when in (("one", FR), ("two", "cart.items > 1"))
    ]
    compiled = program(rules=rules)
    one, two = (each.split for each in compiled.slots["hero"].rules)
    assert one is not None
    assert two is not None
    assert (one.entry, one.entry_salt) == (two.entry, two.entry_salt)
    assert one.variant_salt != two.variant_salt
    assert (one.traffic(), two.traffic()) == (0.4, 0.4)


def test_made_up_rules_may_shadow_each_other() -> None:
    written = playbook(rules=[rule("a", "true"), rule("b", "true")])
    assert len(compile_playbook(written, allow_shadowed=True).slots["hero"].rules) == 2


def test_a_ledger_of_another_store_gives_another_key_salt() -> None:
    ours = compile_playbook(playbook(), first_ledger("ours"))
    theirs = compile_playbook(playbook(), first_ledger("theirs"))
    assert ours.key_salt != theirs.key_salt


def test_an_error_in_an_expression_points_into_its_file() -> None:
    written = playbook(rules=[rule("a", 'cart.items > 0 &&\n  geo.contry == "FR"')])
    positions = {("rules", 0, "when"): Position("rules.yaml", 4, 9)}
    placed = msgspec.structs.replace(written, positions=positions)
    with pytest.raises(PlaybookErrors) as caught:
        compile_playbook(placed)
    assert str(caught.value).splitlines() == [
        "rules.yaml:5:15: error: unknown attribute, did you mean geo.country? [unknown-attribute]",
        '    geo.contry == "FR"',
        "        ^^^^^^",
    ]


def test_the_public_names_work_as_documented() -> None:
    compiled = compile_playbook(playbook())
    decision = compiled.decide(
        "hero",
        {"geo": {"country": "FR"}, "segments": {"loyal"}, "interest": {"shoes": 62.0}},
        grants={"functional", "personalization"},
        now=1_795_000_000.0,
        unit="visitor-1",
        seen=(),
    )
    assert (decision.fragment, decision.variant, decision.reason) == ("hero/shoes", "", "MATCH")
    assert [step.rule for step in decision.steps] == ["shoes"]
    facts = {"segments": {"loyal"}, "interest": {"shoes": 62.0}}
    assert evaluate('"loyal" in segments && interest["shoes"] >= 40', facts) is True


def phase_after(**changes: Any) -> int:
    """The phase of an experiment after it was changed so."""
    written = playbook(rules=[rule("offer", "true", experiment=OFFER)])
    before = compile_with_ledger(written)
    more = {"with": changes.pop("with")} if "with" in changes else {}
    changed = playbook(rules=[rule("offer", "true", experiment=OFFER | changes, **more)])
    after = compile_with_ledger(changed, before.ledger)
    assert after.ledger.extends(before.ledger)
    decisions = (after.program.decide("hero", {}, grants=1, unit=f"v{n}") for n in range(50))
    (phase,) = {decision.phase for decision in decisions if decision.experiment}
    return phase


@pytest.mark.parametrize(
    ("changes", "phase"),
    [
        ({}, 1),
        ({"goal": ""}, 1),
        ({"variants": {n: v | {"weight": 7} for n, v in OFFER["variants"].items()}}, 1),
        ({"variants": dict(reversed(OFFER["variants"].items()))}, 1),
        ({"traffic": 60}, 2),
        ({"unit": "session"}, 2),
        ({"layer": "top"}, 2),
        ({"variants": OFFER["variants"] | {"code": OFFER["variants"]["code"] | {"weight": 30}}}, 2),
        ({"variants": OFFER["variants"] | {"third": {"weight": 50, "show": "hero/cart"}}}, 2),
        ({"with": {"cta": "Now"}}, 2),
    ],
)
def test_what_a_visitor_could_tell_apart_opens_a_new_phase(
    changes: dict[str, Any], phase: int
) -> None:
    assert phase_after(**changes) == phase

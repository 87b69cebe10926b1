"""Compiling: every error at once and in its place, and what a program is made of."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from decisions import compile_playbook, evaluate
from decisions.compiling import compile_with_ledger
from decisions.consent import AUTHENTICATED, FUNCTIONAL, PERSONALIZATION, SENSITIVE
from decisions.errors import PlaybookErrors, Position
from decisions.learn import Gain
from decisions.ledger import first_ledger
from decisions.playbook import SegmentDecl
from tests.decisions.written import OFFER, RULES, SETTINGS, playbook, problems, program, rule

FR = 'geo.country == "FR"'


def offer(**changes: Any) -> dict[str, Any]:
    return {"rules": [rule("offer", "true", experiment=OFFER | changes)]}


def variant(**changes: Any) -> dict[str, Any]:
    return offer(
        variants={"one": {"weight": 1, "show": "hero/cart", "with": {"cta": "x"}} | changes}
    )


def attribute(name: str, **decl: Any) -> dict[str, Any]:
    return {"attributes": SETTINGS["attributes"] | {name: {"type": "string"} | decl}}


WRONG: list[tuple[dict[str, Any], str, str]] = [
    # rules
    (
        {"rules": [rule("a", FR, slot="hreo")]},
        "unknown-slot",
        'unknown slot "hreo", did you mean hero?',
    ),
    ({"rules": [rule("a", FR, band="servce")]}, "unknown-band", "did you mean service?"),
    (
        {"rules": [rule("a", FR, band="x")]},
        "unknown-band",
        "expected one of campaign, evergreen, service",
    ),
    (
        {"rules": [rule("a", FR, show="hero/wellcome")]},
        "unknown-fragment",
        "did you mean hero/welcome?",
    ),
    (
        {"rules": [rule("a", FR), rule("a", "now < now")]},
        "duplicate-rule",
        '"a" is taken by playbook.yaml:1',
    ),
    ({"rules": [rule("a b", FR)]}, "bad-name", "expected a rule id of letters"),
    ({"rules": [rule("a", FR, show="")]}, "show-or-experiment", "got neither"),
    (
        {"rules": [rule("a", FR, show="hero/cart", experiment=OFFER)]},
        "show-or-experiment",
        "got both",
    ),
    (
        {"rules": [rule("a", FR, show="feed/none")]},
        "fragment-kind",
        "slot hero expected a fragment of kind html",
    ),
    ({"rules": [rule("a", FR, slot="feed")]}, "fragment-kind", "hero/loyal is html"),
    (
        {"rules": [rule("a", 'geo.contry == "FR"')]},
        "unknown-attribute",
        "did you mean geo.country?",
    ),
    ({"rules": [rule("a", "cart.items == ")]}, "syntax", ""),
    ({"rules": [rule("a", "cart.items")]}, "type", "expected bool, got int"),
    ({"rules": [rule("a", "counts.signup > 1")]}, "undeclared-counter", "undeclared counter"),
    ({"rules": [rule("a", '"royal" in segments')]}, "unknown-segment", "did you mean loyal?"),
    ({"rules": [rule("a", '"reader" in tags')]}, "unknown-tag", "reader"),
    (
        {"rules": [rule("a", FR, until="31.1.2027")]},
        "bad-date",
        "expected a date such as 2027-01-31",
    ),
    (
        {"rules": [rule("a", FR, until="2027-01-31T10:00:00")]},
        "bad-date",
        "got '2027-01-31T10:00:00'",
    ),
    ({"rules": [rule("a", FR, until="9999-12-31")]}, "bad-date", "got '9999-12-31'"),
    (
        {"rules": [rule("a", FR, **{"from": "2027-02-01", "until": "2027-01-31"})]},
        "empty-schedule",
        "from before until",
    ),
    (
        {"rules": [rule("a", FR, cap={"times": 0, "per": "1h"})]},
        "bad-cap",
        "expected a cap of 1 to 8 times, got 0",
    ),
    ({"rules": [rule("a", FR, cap={"times": 9, "per": "1h"})]}, "bad-cap", "got 9"),
    ({"rules": [rule("a", FR, cap={"times": 1, "per": "soon"})]}, "bad-duration", "got 'soon'"),
    (
        {"rules": [rule("a", FR, cap={"times": 1, "per": "-1h"})]},
        "bad-duration",
        "above 0, got '-1h'",
    ),
    (
        {"rules": [rule("a", FR), rule("b", f'{FR} && device.kind == "mobile"')]},
        "shadowed-rule",
        '"b" is never reached: a above',
    ),
    (
        {"rules": [rule("a", "true"), rule("b", FR)]},
        "shadowed-rule",
        '"b" is never reached: a above',
    ),
    # experiments
    (offer(variants={}), "bad-weights", "sum above 0, got 0"),
    (variant(weight=0), "bad-weights", "sum above 0, got 0"),
    (
        offer(
            variants={
                "a": {"weight": -1, "show": "hero/cart"},
                "b": {"weight": 2, "show": "hero/cart", "with": {"cta": ""}},
            }
        ),
        "bad-weights",
        "at least 0, got -1",
    ),
    (variant(show="hero/welcom"), "unknown-fragment", "did you mean hero/welcome?"),
    (
        offer(variants={"": {"weight": 1, "show": "hero/cart", "with": {"cta": ""}}}),
        "bad-name",
        "expected a variant of",
    ),
    (offer(goal="oder"), "unknown-goal", "did you mean order?"),
    (offer(traffic=101), "bad-traffic", "0 to 100, got 101"),
    (
        {
            "rules": [
                rule(n, w, experiment=OFFER | {"layer": "top", "traffic": 60})
                for n, w in (("a", FR), ("b", "cart.items > 1"))
            ]
        },
        "full-layer",
        'layer "top", got 120',
    ),
    (offer(layer="a b"), "bad-name", "expected a layer of"),
    # settings
    ({"slots": {}, "rules": []}, "no-slots", "got none"),
    (
        {"slots": SETTINGS["slots"] | {"a b": {"default": "hero/welcome"}}},
        "bad-name",
        "expected a slot of",
    ),
    (
        {"slots": SETTINGS["slots"] | {"side": {"default": "hero/nothing"}}},
        "unknown-fragment",
        "hero/nothing",
    ),
    (
        {"slots": SETTINGS["slots"] | {"side": {"default": "feed/none"}}},
        "fragment-kind",
        "feed/none is json",
    ),
    ({"bands": [], "rules": []}, "no-bands", "got none"),
    (
        {"bands": ["service", "campaign", "evergreen", "service"]},
        "duplicate-band",
        '"service" is there twice',
    ),
    ({"timezone": "Europe/Pariss"}, "unknown-timezone", "got 'Europe/Pariss'"),
    ({"timezone": "../etc"}, "unknown-timezone", "got '../etc'"),
    ({"interest": {"half_life": "0s"}}, "bad-duration", "above 0"),
    ({"sensitive_values": {"categry": ["x"]}}, "unknown-dimension", "did you mean category?"),
    (
        {"signals": [*SETTINGS["signals"], {"on": "identify"}]},
        "reserved-event",
        '"identify" is reserved',
    ),
    ({"signals": [*SETTINGS["signals"], {"on": "page-view"}]}, "bad-name", "got 'page-view'"),
    (
        {"signals": [*SETTINGS["signals"], {"on": "x", "interest": {"key": "colour", "add": 1}}]},
        "unknown-event-field",
        '"colour"',
    ),
    (
        {"signals": [*SETTINGS["signals"], {"on": "x", "interest": {"key": "brand", "add": 0}}]},
        "bad-weight",
        "got 0",
    ),
    ({"goals": {"order": {"on": "purchse"}}}, "unknown-event", "did you mean purchase?"),
    (
        {"goals": {"order": {"on": "purchase", "value": "prize"}}},
        "unknown-event-field",
        "did you mean price?",
    ),
    ({"goals": {"order": {"on": "purchase", "window": "a week"}}}, "bad-duration", "got 'a week'"),
    (attribute("crm tier"), "bad-name", "expected dotted words"),
    (attribute("crm.true"), "bad-name", "expected dotted words"),
    (attribute("interest.shoes"), "bad-name", "inside the attribute interest"),
    (attribute("crm.tier", type="text"), "unknown-type", 'unknown type "text"'),
    (attribute("crm.tier", purpose="fun"), "unknown-purpose", 'unknown purpose "fun"'),
    (attribute("crm.tier", needs="login"), "unknown-need", "got 'login'"),
    (
        attribute("geo.country", type="int"),
        "built-in",
        "geo.country is built in: expected string, got int",
    ),
    # tags and segments
    ({"tags": {"a b": FR}, "rules": []}, "bad-name", "expected a tag of"),
    (
        {"tags": {"a": '"b" in tags', "b": FR}, "rules": []},
        "unknown-attribute",
        "unknown attribute",
    ),
    (
        {"segments": {"loyal": "purchases.ordes > 1"}},
        "unknown-attribute",
        "did you mean purchases.orders?",
    ),
    ({"segments": {"loyal": "true", "a b": "true"}}, "bad-name", "expected a segment of"),
    # fragments
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
    found = problems(**changes)
    assert [problem for problem in found if problem.code == code and says in problem.message], found
    assert {problem.severity for problem in found} == {"error"}


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


def test_an_unknown_purpose_of_a_segment_is_refused() -> None:
    written = playbook()
    segments = {**written.segments, "rich": SegmentDecl("true", purpose=["profit"])}
    with pytest.raises(PlaybookErrors, match='unknown purpose "profit"'):
        compile_playbook(msgspec.structs.replace(written, segments=segments))


def test_purposes_travel_from_what_is_read_to_segments_tags_rules_and_fragments() -> None:
    compiled = program(tags=SETTINGS["tags"] | {"patient_now": '"patient" in segments'})
    needs = compiled.schema.needs
    assert needs("segments", "loyal") == PERSONALIZATION
    assert needs("segments", "patient") == PERSONALIZATION | SENSITIVE
    assert needs("tags", "cart_abandoner") == PERSONALIZATION | FUNCTIONAL
    assert needs("tags", "patient_now") == PERSONALIZATION | SENSITIVE
    assert compiled.fragments["hero/shoes"].needs == PERSONALIZATION | AUTHENTICATED
    assert compiled.fragments["hero/welcome"].needs == 0
    rescue = compiled.slots["hero"].rules[0]
    assert (rescue.id, rescue.needs) == ("cart-rescue", PERSONALIZATION | FUNCTIONAL)


def test_a_built_in_attribute_may_ask_for_more_and_never_for_less() -> None:
    attributes = {
        "geo.city": {"type": "string", "purpose": "personalization"},
        "cart.items": {"type": "int", "purpose": ["none"]},
    }
    compiled = program(attributes=SETTINGS["attributes"] | attributes)
    assert compiled.schema.attributes["geo.city"].needs == PERSONALIZATION
    assert compiled.schema.attributes["cart.items"].needs == FUNCTIONAL
    assert compiled.schema.attributes["cart.items"].zero


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


def test_a_rule_of_the_last_band_may_leave_its_band_out() -> None:
    compiled = program()
    assert [each.id for each in compiled.slots["hero"].rules] == [
        "cart-rescue",
        "cart-offer",
        "shoes",
        "welcome-back",
    ]


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


def test_a_times_of_a_schedule_may_be_moments() -> None:
    compiled = program(rules=[rule("a", FR, **{"from": "2027-01-31T18:00:00+01:00"})])
    assert compiled.slots["hero"].rules[0].from_s == 1_801_414_800.0


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


def test_an_unknown_unit_of_an_experiment_that_no_reader_checked_is_refused() -> None:
    written = playbook(**offer())
    experiment = written.rules[0].experiment
    assert experiment is not None
    # as a caller without a type checker may make one
    odd = msgspec.structs.replace(experiment, unit="household")
    rules = (msgspec.structs.replace(written.rules[0], experiment=odd),)
    with pytest.raises(PlaybookErrors, match='unknown unit "household"'):
        compile_playbook(msgspec.structs.replace(written, rules=rules))

"""Rules checked: what each mistake is called, schedules, bands, layers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from decisions import compile_playbook
from decisions.errors import PlaybookErrors
from tests.decisions.written import (
    OFFER,
    complaint,
    playbook,
    program,
    rule,
)

FR = 'geo.country == "FR"'


def offer(**changes: Any) -> dict[str, Any]:
    return {"rules": [rule("offer", "true", experiment=OFFER | changes)]}


def variant(**changes: Any) -> dict[str, Any]:
    return offer(
        variants={"one": {"weight": 1, "show": "hero/cart", "with": {"cta": "x"}} | changes}
    )


WRONG: list[tuple[dict[str, Any], str, str]] = [
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
    ({"rules": [rule("a", FR, hours={"mon-fri": "5pm"})]}, "bad-hours", "got '5pm'"),
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
    (
        offer(variants={f"v{n}": {"weight": 1, "show": "hero/cart"} for n in range(101)}),
        "many-variants",
        "at most 100 variants, got 101",
    ),
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
    (
        {
            "rules": [
                rule(n, w, experiment=OFFER | {"layer": "top", "traffic": 40, "unit": unit})
                for n, w, unit in (("a", FR, "visitor"), ("b", "cart.items > 1", "session"))
            ]
        },
        "layer-unit",
        'expected unit visitor as all of layer "top", got session',
    ),
    (offer(layer="a b"), "bad-name", "expected a layer of"),
]


@pytest.mark.parametrize(("changes", "code", "says"), WRONG, ids=lambda value: str(value)[:40])
def test_a_mistake_is_refused_with_what_was_expected_and_what_came(
    changes: dict[str, Any], code: str, says: str
) -> None:
    assert complaint(code, says, **changes)


def test_shares_of_a_layer_may_add_up_to_100_in_decimals() -> None:
    shares = (18.1, 48.2, 33.7)
    assert shares[0] + shares[1] + shares[2] > 100  # `sum` is exact from Python 3.12 on
    rules = [
        rule(f"r{share}", "true", experiment=OFFER | {"layer": "top", "traffic": share})
        for share in shares
    ]
    splits = [each.split for each in program(rules=rules).slots["hero"].rules]
    assert [split and split.traffic() for split in splits] == [0.181, 0.482, 0.337]


def test_an_unknown_unit_of_an_experiment_that_no_reader_checked_is_refused() -> None:
    written = playbook(**offer())
    experiment = written.rules[0].experiment
    assert experiment is not None
    # as a caller without a type checker may make one
    odd = msgspec.structs.replace(experiment, unit="household")
    rules = (msgspec.structs.replace(written.rules[0], experiment=odd),)
    with pytest.raises(PlaybookErrors, match='unknown unit "household"'):
        compile_playbook(msgspec.structs.replace(written, rules=rules))


def test_a_rule_of_the_last_band_may_leave_its_band_out() -> None:
    compiled = program()
    assert [each.id for each in compiled.slots["hero"].rules] == [
        "cart-rescue",
        "cart-offer",
        "shoes",
        "welcome-back",
    ]


def test_a_times_of_a_schedule_may_be_moments() -> None:
    compiled = program(rules=[rule("a", FR, **{"from": "2027-01-31T18:00:00+01:00"})])
    assert compiled.slots["hero"].rules[0].from_s == 1_801_414_800.0

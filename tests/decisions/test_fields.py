"""Interest in the values of one field: `interest.brand["acme"]` beside `interest["acme"]`."""

from __future__ import annotations

from typing import Any

import pytest

from decisions.compiling import compile_playbook
from decisions.lint import warnings
from decisions.program import Program
from tests.decisions.written import SETTINGS, playbook, problems, rule

NOW_S = 1_795_000_000.0
BRANDED = [*SETTINGS["signals"], {"on": "brand_view", "interest": {"key": "brand", "add": 1}}]
CATALOGUE = {"category": ["shoes", "garden", "pharmacy"], "brand": ["acme", "bob's"]}
GRANTED = {"personalization"}


def made(when: str, catalogue: dict[str, list[str]] | None = None, **settings: Any) -> Program:
    written = playbook(signals=BRANDED, rules=[rule("r", when)], **settings)
    return compile_playbook(written, None, CATALOGUE if catalogue is None else catalogue)


@pytest.mark.parametrize(
    ("when", "matches"),
    [
        ('interest.brand["acme"] >= 40.0', True),
        ("interest.brand.acme >= 40.0", True),
        ("interest.brand.exists(b, interest.brand[b] > 40.0)", True),
        ("interest.brand.exists(b, interest.brand[b] > 80.0)", False),
        ('interest.category["acme"] >= 40.0', False),
        ('interest["acme"] >= 40.0', True),
        ('interest["shoes"] >= 90.0 && interest.category["shoes"] >= 90.0', True),
        ("!has(interest.brand.shoes)", True),
    ],
)
def test_a_field_shows_its_own_values_alone(when: str, matches: bool) -> None:
    facts = {"interest": {"shoes": 95.0, "acme": 50.0}}

    decision = made(when).decide("hero", facts, grants=GRANTED, now=NOW_S)

    assert (decision.rule == "r") is matches


def test_without_a_catalogue_the_words_of_rules_are_known() -> None:
    program = made('interest.brand["acme"] >= 40.0', {})
    facts = {"interest": {"acme": 50.0, "other": 99.0}}

    assert program.decide("hero", facts, grants=GRANTED, now=NOW_S).rule == "r"
    assert program.learning.fields == {
        "interest.brand": frozenset({"acme"}),
        "interest.category": frozenset(),
    }
    assert "acme" in program.learning.known


def test_it_needs_what_interest_needs_and_the_opt_in_for_sensitive_values() -> None:
    sensitive = {"brand": ["acme"]}
    program = made('interest.brand["acme"] >= 40.0', sensitive_values=sensitive)
    facts = {"interest": {"acme": 50.0}}

    assert program.decide("hero", facts, grants={"functional"}, now=NOW_S).rule == ""
    assert program.decide("hero", facts, grants=GRANTED, now=NOW_S).rule == ""
    assert program.decide("hero", facts, grants=GRANTED | {"sensitive"}, now=NOW_S).rule == "r"


def test_a_field_that_no_signal_is_keyed_by_is_no_attribute() -> None:
    (one,) = problems(rules=[rule("r", 'interest.item["4711"] >= 40.0')])
    assert one.code in {"type", "unknown-attribute"}


def test_a_word_that_the_data_does_not_hold_is_warned_of() -> None:
    written = playbook(signals=BRANDED, rules=[rule("r", 'interest.brand["acmee"] >= 40.0')])

    found = [one for one in warnings(written, CATALOGUE) if one.code == "unknown-key"]

    assert [one.message for one in found] == ['the data holds no "acmee", did you mean acme?']

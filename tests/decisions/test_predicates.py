from __future__ import annotations

import math
from typing import Any

import pytest

from decisions.consent import PERSONALIZATION
from decisions.predicates import (
    Clause,
    Lowered,
    Member,
    OneOf,
    Predicate,
    Prefix,
    Present,
    Within,
    holds,
)
from decisions.rules.values import ABSENT

BELOW_5 = ((None, False, 5, False),)
ABOVE_5 = ((5, False, None, False),)
FROM_1_TO_2 = ((1, True, 2, True),)


@pytest.mark.parametrize(
    ("predicate", "value", "expected"),
    [
        (OneOf("a", ("FR", "DE")), "DE", True),
        (OneOf("a", ("FR", "DE")), "IT", False),
        (OneOf("a", ("FR",), True), "IT", True),
        (OneOf("a", (True,)), False, False),
        (Within("a", None, BELOW_5), 4.9, True),
        (Within("a", None, BELOW_5), 5, False),
        (Within("a", None, BELOW_5), -math.inf, True),
        (Within("a", None, BELOW_5), math.nan, False),
        (Within("a", None, BELOW_5, nan=True), math.nan, True),
        (Within("a", None, ABOVE_5), 5, False),
        (Within("a", None, ABOVE_5), 5.1, True),
        (Within("a", None, FROM_1_TO_2), 1, True),
        (Within("a", None, FROM_1_TO_2), 2.0, True),
        (Within("a", None, FROM_1_TO_2), 2.0000001, False),
        (Within("a", None, (("b", True, "c", False),)), "bzz", True),
        (Within("a", "shoes", BELOW_5), {"shoes": 4}, True),
        (Within("a", "shoes", BELOW_5), {"hats": 4}, False),
        (Within("a", "shoes", BELOW_5, zero=True), {"hats": 9}, True),
        (Member("a", "loyal"), frozenset({"loyal"}), True),
        (Member("a", "loyal"), frozenset(), False),
        (Member("a", "shoes", True), {"hats": 1.0}, True),
        (Present("a"), 0, True),
        (Present("a", True), 0, False),
        (Prefix("a", "/shop"), "/shop/shoes", True),
        (Prefix("a", "/shop", True), "/", True),
    ],
)
def test_a_predicate_is_what_it_says(predicate: Predicate, value: Any, expected: bool) -> None:
    assert holds(predicate, {"a": value}) is expected


@pytest.mark.parametrize(
    "predicate",
    [
        OneOf("a", ("FR",)),
        OneOf("a", ("FR",), True),
        Within("a", None, BELOW_5, nan=True),
        Within("a", "shoes", BELOW_5, zero=True),
        Member("a", "loyal", True),
        Prefix("a", "/shop", True),
        Present("a"),
    ],
)
def test_what_is_absent_matches_nothing_negated_or_not(predicate: Predicate) -> None:
    assert holds(predicate, {"a": ABSENT}) is False


def test_only_a_negated_presence_holds_of_what_is_absent() -> None:
    assert holds(Present("a", True), {"a": ABSENT})


def test_a_clause_without_its_purposes_matches_nothing() -> None:
    lowered = Lowered((Clause((Present("a", True),), PERSONALIZATION),))
    assert lowered.matches({"a": ABSENT}, PERSONALIZATION)
    assert not lowered.matches({"a": ABSENT}, 0)


def test_an_expression_without_clauses_never_matches_and_an_empty_clause_always_does() -> None:
    assert not Lowered(()).matches({}, 0)
    assert Lowered((Clause(),)).matches({}, 0)

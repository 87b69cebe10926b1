"""Spelling: what a tree is spelt as means what the tree means."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from decisions.errors import RuleSyntaxError
from decisions.rules.parser import parse
from decisions.rules.spelling import spelling
from tests.decisions import expressions
from tests.decisions.rules.conformance import CASES, passes


def parses(text: str) -> bool:
    try:
        parse(text)
    except RuleSyntaxError:
        return False
    return True


# What is no rule's CEL has no spelling that can be read: messages parse to calls without a name.
GRAMMATICAL = [case for case in CASES if parses(case["expr"]) and "{}" not in case["expr"]]


@pytest.mark.parametrize(
    "text",
    [
        '"loyal" in segments && !(geo.country == "FR" || cart.items > 0)',
        "a - (b - c) * -d",
        "-(1) < -2 ? a : b ? c : d",
        "(a ? b : c) ? d : e",
        '{"a": [1, 2.0], b: null}.a[0]',
        "l.map(x, x > 1, x * 2).exists(y, has(y.z)) == true",
        "(-1).abs + (-1.5).abs + .f(a)",
        "!(!a) || (a < b) == c",
    ],
)
def test_parentheses_stand_where_the_meaning_needs_them(text: str) -> None:
    spelt = spelling(parse(text))
    assert spelling(parse(spelt)) == spelt
    assert spelt.replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("case", GRAMMATICAL, ids=lambda case: str(case["expr"]))
def test_the_standards_cases_pass_as_they_are_spelt(case: dict[str, Any]) -> None:
    spelt = spelling(parse(case["expr"]))
    assert passes(case | {"expr": spelt}) == passes(case)


@settings(max_examples=200)
@given(expressions.expressions)
def test_a_checked_tree_can_be_read_again(tree: Any) -> None:
    text = spelling(tree)
    unwritable = "inf" in text or "has(segments)" in text
    assert unwritable or spelling(parse(text)) == text

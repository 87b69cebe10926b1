"""Findings: places inside expressions, and names that are close."""

from __future__ import annotations

import pytest

from decisions.errors import PlaybookErrors, Position
from decisions.findings import MAX_LISTED, Findings, inside, suggestion
from tests.decisions.written import playbook


@pytest.mark.parametrize(
    ("text", "offset", "line", "column"),
    [("cart.items", 5, 4, 14), ("a &&\nb", 5, 5, 9), ("a\n\n  b", 5, 6, 11), ("", 0, 4, 9)],
)
def test_an_offset_in_an_expression_is_a_line_and_a_column(
    text: str, offset: int, line: int, column: int
) -> None:
    found = inside(Position("rules.yaml", 4, 9), text, offset)
    assert found == Position("rules.yaml", line, column)


def test_a_close_name_is_suggested_and_a_few_names_are_listed() -> None:
    assert suggestion("hreo", ["promo", "hero"]) == ", did you mean hero?"
    assert suggestion("x", ["promo", "hero"]) == ", expected one of hero, promo"
    assert suggestion("x", [f"slot-{number}" for number in range(MAX_LISTED + 1)]) == ""
    assert suggestion("x", []) == ""


def test_nothing_is_raised_while_nothing_is_wrong() -> None:
    findings = Findings(playbook())
    findings.raise_errors()
    findings.unknown("event field", "colour", ["item"], "settings")
    with pytest.raises(PlaybookErrors, match=r"unknown event field .* \[unknown-event-field\]"):
        findings.raise_errors()

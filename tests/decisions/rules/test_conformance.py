"""All evaluation cases of the standard, and the page that says so."""

from __future__ import annotations

from typing import Any

import pytest

from tests.decisions.rules.conformance import CASES, passes, same, shown, table


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case['file']}-{case['section']}-{case['name']}"
)
def test_the_standards_case_has_its_value_or_its_error(case: dict[str, Any]) -> None:
    assert passes(case)


def test_the_suite_is_whole() -> None:
    assert len(CASES) == 652


def test_the_comparison_of_results_tells_types_and_signs_of_zero_apart() -> None:
    assert not same(1, 1.0)
    assert not same(True, 1)
    assert not same(-0.0, 0.0)
    assert not same([1], [1, 2])


def test_the_page_shows_the_table_that_the_suite_gives() -> None:
    assert shown() == table(), "python -m tests.decisions.rules.conformance rewrites it"

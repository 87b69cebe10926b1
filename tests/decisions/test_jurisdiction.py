"""A place is opt-out where a law of its own says so, and the stricter everywhere else."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.jurisdiction import LAWS, Regime, regime

PAGE = (Path(__file__).parent.parent.parent / "docs" / "consent.md").read_text(encoding="utf-8")
OF_THE_TABLE = datetime.date(2026, 11, 27)


@pytest.mark.parametrize(
    ("country", "region"),
    [("US", "CA"), ("US", "US-CA"), ("US", "TX"), ("US", "MD"), ("US", "RI")],
)
def test_a_state_with_an_opt_out_law_asks_for_a_no(country: str, region: str) -> None:
    assert regime(country, region) is Regime.OPT_OUT


@pytest.mark.parametrize(
    ("country", "region"),
    [
        ("DE", "BE"), ("FR", ""), ("NO", "03"), ("GB", "ENG"), ("BR", "SP"),
        ("US", ""), ("US", "NY"), ("US", "ca"), ("US", "California"), ("US", "US-NY"),
        ("", "CA"), ("", "US-CA"), ("CA", "US-CA"), ("DE", "US-CA"), ("ZZ", ""), ("", ""),
    ],
)  # fmt: skip
def test_everything_else_known_or_not_asks_for_a_yes(country: str, region: str) -> None:
    assert regime(country, region) is Regime.OPT_IN


@given(st.text(max_size=8), st.text(max_size=8))
def test_no_place_is_opt_out_that_the_table_does_not_name(country: str, region: str) -> None:
    named = {(code[:2], code[3:]) for code, law in LAWS.items() if law.regime is Regime.OPT_OUT}
    if regime(country, region) is Regime.OPT_OUT:
        assert (country, region.removeprefix(f"{country}-")) in named


@pytest.mark.parametrize("place", LAWS)
def test_the_page_shows_the_table_with_source_and_date(place: str) -> None:
    law = LAWS[place]
    (row,) = (
        row
        for row in PAGE.splitlines()
        if row.startswith("| ") and place in row.split("|")[1].split()
    )

    assert row.endswith(f"| {law.regime} | {law.name} | {law.source} | {law.since} |")
    assert datetime.date.fromisoformat(law.since) < OF_THE_TABLE
    assert f"The table is of {OF_THE_TABLE}" in PAGE

"""What the index answers, and what it leaves to be evaluated: docs/rules.md lists the forms."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from decisions.lowering import SPLIT, lower
from decisions.predicates import Lowered
from decisions.rules.checker import check
from decisions.rules.parser import parse
from decisions.schema import schema_of

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"
SECTION = PAGE.read_text().partition("### What the index answers")[2].partition("\n### ")[0]
ROWS = [
    [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in SECTION.splitlines()
    if "`" in line and line.startswith("|")
]
INDEXED = [
    (form, example.strip("`"), int(count))
    for form, example, count in (row for row in ROWS if len(row) == 3)
]
RESIDUAL = [(form, example.strip("`")) for form, example in (row for row in ROWS if len(row) == 2)]
NAMED = (
    "equality, one of a list, member of a set, threshold of a number, threshold of a moment, range,"
    " presence, boolean, prefix, look-up in a map, and, or, not"
)
SCHEMA = schema_of(members={"segments": {"loyal": 0}, "tags": {"engaged": 0}})
FR = 'geo.country == "FR"'


def lowered(text: str) -> Lowered:
    return lower(check(parse(text), text, SCHEMA).expr, SCHEMA)


@pytest.mark.parametrize(("form", "example", "clauses"), INDEXED, ids=lambda cell: str(cell)[:24])
def test_a_form_of_the_first_table_is_answered_by_the_index_alone(
    form: str, example: str, clauses: int
) -> None:
    found = lowered(example)
    assert found.exact, form
    assert len(found.clauses) == clauses


@pytest.mark.parametrize(("form", "example"), RESIDUAL, ids=lambda cell: cell[:24])
def test_a_form_of_the_second_is_evaluated_for_candidates_only(form: str, example: str) -> None:
    assert not lowered(example).exact, form
    beside = lowered(f"{FR} && {example}")
    assert not beside.exact
    assert lowered(FR).clauses[0].predicates[0] in beside.clauses[0].predicates


def test_the_tables_are_whole() -> None:
    forms = {form for form, *_ in ROWS}
    assert len(INDEXED) + len(RESIDUAL) == len(ROWS)
    assert set(NAMED.split(", ")) <= forms


def test_alternatives_beyond_the_limit_keep_in_the_index_what_they_have_in_common() -> None:
    several = [
        f'(cart.items == {number} && geo.city == "c{number}")' for number in range(SPLIT + 1)
    ]
    assert SPLIT == 32, "docs/rules.md says so"
    assert lowered(" || ".join(several[:SPLIT])).exact
    found = lowered(f"{FR} && ({' || '.join(several)})")
    assert not found.exact
    assert found.clauses[0].predicates == lowered(FR).clauses[0].predicates

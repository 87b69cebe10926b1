"""docs/rules.md keeps its word: what it lists is what there is, and its code runs."""

from __future__ import annotations

import re

import pytest

from decisions.rules.checker import problems
from decisions.rules.functions import FUNCTIONS, METHODS, OPERATORS, SIGNS
from decisions.rules.parser import RANKS, parse
from decisions.schema import Attribute, schema_of
from tests.decisions.rules.conformance import PAGE

TEXT = PAGE.read_text(encoding="utf-8")
SCHEMA = schema_of(
    [Attribute("scores.propensity", "double"), Attribute("measures.looked_at", "int")]
)
RECIPES = re.findall(
    r"^\| [^|`]+ \| (`.+`) \|$", TEXT.split("## In two")[1].split("## What")[0], re.M
)
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.S)


@pytest.mark.parametrize("name", sorted({*FUNCTIONS, *METHODS}))
def test_every_function_is_on_the_page(name: str) -> None:
    assert f"{name}(" in TEXT.split("<!-- functions -->")[1].split("<!-- /functions -->")[0]


@pytest.mark.parametrize("name", sorted({*OPERATORS, *SIGNS, *RANKS}))
def test_every_operator_is_on_the_page(name: str) -> None:
    listed = TEXT.split("## Operators")[1].split("## Functions")[0].replace("\\|", "|")
    assert f"`{name}`" in listed


@pytest.mark.parametrize("cell", RECIPES)
def test_every_recipe_is_a_rule(cell: str) -> None:
    for text in re.findall("`([^`]+)`", cell):
        assert problems(parse(text), text, SCHEMA)[1] == []


@pytest.mark.parametrize("block", BLOCKS)
def test_every_python_block_runs(block: str) -> None:
    names: dict[str, object] = {}
    exec(compile(block, "docs/rules.md", "exec"), names)  # noqa: S102 - it is our own page
    assert len(names) > 1


def test_the_page_has_recipes_and_code() -> None:
    assert len(RECIPES) >= 8
    assert len(BLOCKS) == 2

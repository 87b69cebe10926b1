from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions import index
from decisions.consent import EVERYTHING, FUNCTIONAL, NOTHING, PERSONALIZATION
from decisions.errors import EvaluationError, ProgramError
from decisions.facts import Gate
from decisions.index import Index, build, decode_block
from decisions.lowering import lower
from decisions.predicates import Clause, Lowered, Member, OneOf, Present, Within
from decisions.rules.evaluator import compile_expr
from decisions.rules.syntax import Expr
from tests.decisions.expressions import SCHEMA, expressions, grants, nested_facts

GATE = Gate(SCHEMA)
LOYAL = Lowered((Clause((Member("segments", "loyal"),), PERSONALIZATION),))
FRENCH = Lowered((Clause((OneOf("geo.country", ("FR",)),)),))
ALWAYS = Lowered((Clause(),))
NEVER = Lowered(())


def reopened(built: Index) -> Index:
    return Index(decode_block(block) for block in built.encode_blocks())


def is_true(expr: Expr, facts: Mapping[str, Any]) -> bool:
    try:
        return compile_expr(expr, SCHEMA)(facts) is True
    except EvaluationError:
        return False


@settings(max_examples=300)
@given(
    st.lists(expressions, min_size=1, max_size=6),
    st.lists(nested_facts, min_size=1, max_size=5),
    grants,
    st.sampled_from([1, 3, 2_048]),
)
def test_the_index_agrees_with_the_plain_scan_and_never_misses_what_cel_finds_true(
    rules: list[Expr], visitors: list[dict[str, Any]], granted: int, block_size: int
) -> None:
    lowered = [lower(rule, SCHEMA) for rule in rules]
    opened = reopened(build(lowered, block_size))
    for nested in visitors:
        facts = GATE.facts(nested, granted, 1_795_251_600.0)
        scanned = [rule for rule, each in enumerate(lowered) if each.matches(facts, granted)]
        assert list(opened.candidates(facts, granted)) == scanned
        true = [rule for rule, expr in enumerate(rules) if is_true(expr, facts)]
        assert set(true) <= set(scanned)
        assert [rule for rule in scanned if opened.exact(rule) and rule not in true] == []

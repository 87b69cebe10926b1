from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions import index
from decisions.consent import EVERYTHING, FUNCTIONAL, NOTHING, PERSONALIZATION
from decisions.errors import EvaluationError, ProgramError
from decisions.facts import Gate
from decisions.index import Block, Index, build, decode_block
from decisions.lowering import lower
from decisions.planes import Plane
from decisions.predicates import Clause, Lowered, Member, OneOf, Predicate, Present, Within
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


def test_candidates_come_in_match_order_each_once_and_say_whether_they_are_exact() -> None:
    split = Lowered((*FRENCH.clauses, *LOYAL.clauses), exact=False)
    built = build([NEVER, split, LOYAL, ALWAYS], block_size=1)
    facts = GATE.facts({"geo": {"country": "FR"}, "segments": ["loyal"]}, EVERYTHING, 0.0)
    assert list(built.candidates(facts, EVERYTHING)) == [1, 2, 3]
    assert [built.exact(rule) for rule in (1, 2, 3)] == [False, True, True]
    assert len(built.blocks) == 4


def test_what_is_not_granted_is_no_candidate_even_if_the_facts_had_it() -> None:
    facts = {"segments": frozenset({"loyal"}), "geo.country": "FR"}
    built = build([LOYAL, FRENCH, ALWAYS])
    assert list(built.candidates(facts, NOTHING)) == [1, 2]
    assert list(built.candidates(facts, FUNCTIONAL | PERSONALIZATION)) == [0, 1, 2]


def test_an_attribute_is_not_read_for_rules_that_are_out_already() -> None:
    both = Lowered((Clause((OneOf("geo.country", ("FR",)), Member("tags", "hot"))),))
    built = build([both, ALWAYS])
    assert list(built.candidates({"geo.country": "DE"}, EVERYTHING)) == [1]
    with pytest.raises(KeyError):
        list(built.candidates({"geo.country": "FR"}, EVERYTHING))


def test_an_attribute_is_not_read_where_only_other_rules_test_it() -> None:
    mobile = Lowered((Clause((OneOf("device.kind", ("mobile",)),)),))
    hot = Lowered((Clause((OneOf("geo.country", ("FR",)), Member("tags", "hot"))),))
    facts = {"geo.country": "DE", "device.kind": "mobile"}
    assert list(build([hot, mobile]).candidates(facts, EVERYTHING)) == [1]


@pytest.mark.parametrize(
    "derived",
    [
        Member("tags", "hot"),
        OneOf("time.weekday", ("sat",)),
        Within("now", None, ((0.0, True, None, False),)),
    ],
)
def test_what_is_derived_when_read_is_asked_after_what_is_there(derived: Predicate) -> None:
    built = build([Lowered((Clause((derived, OneOf("geo.country", ("FR",)))),))])
    assert list(built.candidates({"geo.country": "DE"}, EVERYTHING)) == []


def test_the_attribute_that_rules_out_the_most_is_asked_first() -> None:
    mobile = OneOf("device.kind", ("mobile",))
    rules = [Lowered((Clause((mobile, OneOf("geo.country", ("FR",)))),)), FRENCH]
    assert list(build(rules).candidates({"geo.country": "DE"}, EVERYTHING)) == []


def test_rules_that_hold_always_are_candidates_of_anybody_without_a_look_at_the_facts() -> None:
    assert list(build([ALWAYS, ALWAYS]).candidates({}, NOTHING)) == [0, 1]
    assert list(build([]).candidates({}, NOTHING)) == []


def test_only_so_many_grant_masks_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "MAX_MASKS", 2)
    built = build([FRENCH])
    for granted in (0, 1, 2, 3):
        assert list(built.candidates({"geo.country": "FR"}, granted)) == [0]
    assert set(built.blocks[0].living) == {2, 3}


def test_the_same_rules_give_the_same_bytes_and_a_decoded_index_encodes_to_its_own() -> None:
    rules = [
        LOYAL,
        Lowered((*FRENCH.clauses, Clause((Present("geo.city", True),)))),
        Lowered(
            (Clause((Within("interest", "a", ((1, True, 5, True), (9, False, None, False))),)),)
        ),
        Lowered((Clause((OneOf("traits.flag", (True,)),)),), exact=False),
        ALWAYS,
    ]
    encoded = build(rules).encode_blocks()
    assert build(rules).encode_blocks() == encoded
    assert Index(map(decode_block, encoded)).encode_blocks() == encoded


@pytest.mark.parametrize(
    "data", [b"", b"\xc0", b"\x94\x90\x90\x90\x91\x97\xa3new\xa1a\x00\x00\x00\x80\x80"]
)
def test_bytes_that_are_no_block_are_refused(data: bytes) -> None:
    with pytest.raises(ProgramError, match="expected a block of the index"):
        decode_block(data)


@given(st.data())
def test_a_damaged_block_is_refused_or_a_block_and_nothing_else(data: st.DataObject) -> None:
    numbers = Within("cart.items", None, ((1, True, 5, True), (9, False, None, False)))
    rules = [LOYAL, FRENCH, Lowered((Clause((numbers,)), Clause((Present("geo.city"),)))), ALWAYS]
    raw = bytearray(build(rules).encode_blocks()[0])
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert isinstance(decode_block(bytes(raw)), Block)
    except ProgramError:
        return


def test_the_bytes_do_not_depend_on_the_hash_seed() -> None:
    script = (
        "from decisions.index import build\n"
        "from decisions.lowering import lower\n"
        "from decisions.rules.checker import check\n"
        "from decisions.rules.parser import parse\n"
        "from decisions.schema import schema_of\n"
        'text = \'geo.country in ["FR", "DE", "IT"] && cart.items > interest.a + interest.b\'\n'
        "lowered = lower(check(parse(text), text, schema_of()).expr, schema_of())\n"
        "print(build([lowered]).encode_blocks())\n"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(printed) == 1


def test_clauses_without_predicates_are_known_apart_from_those_that_are_asked() -> None:
    block = build([ALWAYS, FRENCH, LOYAL, ALWAYS]).blocks[0]
    assert block.untested == 0b1001
    assert block.matching({"geo.country": "DE", "segments": frozenset()}, EVERYTHING) == 0b1001
    assert block.living == {EVERYTHING: (0b0110, 0b1001)}


def test_once_nobody_is_left_no_other_attribute_is_looked_at() -> None:
    asked: list[str] = []

    class Recording(Plane):
        """Lets nobody pass."""

        def match(self, value: Any) -> int:
            asked.append(self.attribute)
            return 0

    planes = [Recording(name, 0b1, 0b0, 0b0, {}, {}) for name in ("a", "b")]
    block = Block([0], {0: 0b1}, frozenset(), planes)

    assert block.matching({"a": 1, "b": 1}, EVERYTHING) == 0
    assert asked == ["a"]


def test_rules_of_one_clause_each_are_a_range() -> None:
    assert reopened(build([FRENCH, LOYAL, FRENCH])).blocks[0].rules == range(3)
    split = Lowered((*FRENCH.clauses, *LOYAL.clauses))
    assert reopened(build([FRENCH, split])).blocks[0].rules == [0, 1, 1]


def test_a_block_has_two_thousand_clauses_and_its_memory_of_grants_sixty_four() -> None:
    assert [len(block.rules) for block in build([ALWAYS] * 2_049).blocks] == [2_048, 1]
    block = build([FRENCH]).blocks[0]
    for mask in range(64):
        block.matching({"geo.country": "DE"}, mask)
    assert len(block.living) == 64
    block.matching({"geo.country": "DE"}, 64)
    assert len(block.living) == 1

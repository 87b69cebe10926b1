"""The mutants themselves: each has one fault, and what cannot change an answer is left alone."""

from __future__ import annotations

import ast

import pytest

from tests.mutation.__main__ import TESTS, source
from tests.mutation.mutants import mutants


def changes(text: str) -> list[tuple[str, str]]:
    return [(mutant.before, mutant.after) for mutant in mutants(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a < b", [("a < b", "a <= b")]),
        ("a in b or c", [("a in b or c", "a in b and c"), ("a in b", "a not in b")]),
        ("a & ~b", [("a & ~b", "a | ~b"), ("~b", "+b")]),
        ("not a", [("not a", "not not a")]),
        ("a += 2", [("a += 2", "a -= 2"), ("2", "3")]),
        ("a = True, 'x'", [("True", "False"), ("'x'", "'xX'")]),
        ("f(a)", [("f(a)", "nothing")]),
        ("while a: break", [("while a:", "while not a:"), ("break", "continue")]),
    ],
)
def test_one_node_is_changed_at_a_time(text: str, expected: list[tuple[str, str]]) -> None:
    assert changes(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        '"""What it is for."""',
        "a: Annotated[int, 3]",
        "def f(a: 'X') -> 'Y': pass",
        "class A(frozen=True): pass",
        "raise ValueError('words')",
        "__slots__ = ('a',)",
        "Number: TypeAlias = int | float",
    ],
)
def test_what_cannot_change_an_answer_is_left_alone(text: str) -> None:
    assert changes(text) == []


def test_a_mutant_is_named_by_its_function_so_that_lines_may_move() -> None:
    (mutant,) = mutants("class A:\n    def f(self):\n        a == 1\n")[:1]
    assert (mutant.key, mutant.line) == ("A.f: a == 1 → a != 1", 3)
    assert ast.unparse(mutant.tree) == "class A:\n\n    def f(self):\n        a != 1"


@pytest.mark.parametrize("module", TESTS)
def test_every_module_with_mutants_has_its_tests(module: str) -> None:
    assert source(module).exists()
    for name in TESTS[module]:
        assert (source(module).parents[1] / f"tests/decisions/test_{name}.py").exists()

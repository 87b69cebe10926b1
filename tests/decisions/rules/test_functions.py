"""The standard's functions where its own cases leave something open."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.errors import EvaluationError
from decisions.rules.evaluator import evaluate
from decisions.rules.values import MAX_INT, MIN_INT

INT64 = st.integers(MIN_INT, MAX_INT) | st.integers(-10, 10)


def divided(left: int, right: int) -> int:
    return int(math.copysign(1, left) * math.copysign(1, right)) * (abs(left) // abs(right))


@given(INT64, INT64, st.sampled_from("+-*/%"))
def test_int64_arithmetic_is_pythons_or_an_error(left: int, right: int, op: str) -> None:
    quotient = divided(left, right) if right else MAX_INT + 1  # out of range: an error as well
    exact = {
        "+": left + right,
        "-": left - right,
        "*": left * right,
        "/": quotient,
        "%": left - right * quotient if right else MAX_INT + 1,
    }[op]
    try:
        value = evaluate(f"a {op} b", {"a": left, "b": right})
    except EvaluationError:
        assert not MIN_INT <= exact <= MAX_INT
    else:
        assert type(value) is int
        assert value == exact


@given(st.floats(), st.floats(), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]))
def test_doubles_compare_as_ieee_754_says(left: float, right: float, op: str) -> None:
    assert evaluate(f"a {op} b", {"a": left, "b": right}) is {
        "<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right,
        "==": left == right, "!=": left != right,
    }[op]  # fmt: skip


@given(st.floats())
def test_a_double_reads_back_from_its_text(value: float) -> None:
    again = evaluate("double(string(x))", {"x": value})
    assert again == value or (math.isnan(again) and math.isnan(value))


VALUES = {
    'string(1.0) + string(true) + string(duration("90m"))': "1true5400s",
    "string(0.0 / 0.0) + string(1.0 / 0.0) + string(-1.0 / 0.0)": "NaN+Inf-Inf",
    "1.0 / -0.0 < 0.0": True,
    'double(" 1")': None,
    'double("1e400") > 1.0': True,
    'int("1_000")': None,
    'int("٣")': None,
    f'int("{"9" * 40}")': None,
    'int("+7")': 7,
    "int(0.0 / 0.0)": None,
    'bool("yes")': None,
    "timestamp(9223372036854775807)": None,
    'timestamp("2026-11-21T09:00:00Z").getHours("Europe/Paris")': 10,
    'timestamp("2026-11-21T09:00:00Z").getHours("Europe")': None,
    'timestamp("2026-11-21T09:00:00Z").getHours("../etc/passwd")': None,
    'timestamp("2026-11-21T09:00:00Z").getHours("+24:00")': None,
    'timestamp("2026-11-21T09:00:00Z").getHours("+00:60")': None,
    'duration("-90m").getHours()': -1,
    'duration("-3730.5s").getSeconds()': -3730,
    'duration("-1.25s").getMilliseconds()': -250,
    '"abc".matches("(?=a)")': None,
    r'"abc".matches("(a)\\1")': None,
    'matches("abc", "^b")': False,
    '"a" + 1': None,
    "size(1)": None,
    '{"a": 1}.size() + [1].size() + "é".size()': 3,
    "-true": None,
}


@pytest.mark.parametrize(("text", "wanted"), VALUES.items())
def test_a_function_gives_this_value_or_an_error(text: str, wanted: object) -> None:
    if wanted is None:
        with pytest.raises(EvaluationError):
            evaluate(text, {})
    else:
        value = evaluate(text, {})
        assert value == wanted
        assert type(value) is type(wanted)

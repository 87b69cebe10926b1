"""A tree in, its text out: one spelling for all who show a condition; it keeps no one's blanks.

Parentheses stand where the meaning needs them: what is parsed again means the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from decisions.rules.syntax import (
    Attr,
    Binary,
    Call,
    Expr,
    Index,
    ListOf,
    Literal,
    Macro,
    MapOf,
    Name,
    Select,
    Ternary,
    Unary,
)
from decisions.rules.values import spelt

_LOOSEST, _COMPARED, _UNARY, _TIGHTEST = 0, 3, 6, 7
_BINARY = {
    **dict.fromkeys(("||",), 1),
    **dict.fromkeys(("&&",), 2),
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in"), _COMPARED),
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("*", "/", "%"), 5),
}


def spelling(expr: Expr) -> str:
    """The expression as CEL, on one line."""
    return _within(expr, _LOOSEST)


def _within(expr: Expr, tightness: int) -> str:
    """The text of an expression, in parentheses where its own operator is looser than that."""
    text, own = _NODES[type(expr)](expr)
    return text if own >= tightness else f"({text})"


def _listed(items: tuple[Expr, ...]) -> str:
    return ", ".join(map(spelling, items))


def _literal(expr: Literal) -> tuple[str, int]:
    value = expr.value
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False), _TIGHTEST
    if isinstance(value, float):
        return repr(value), _TIGHTEST if value >= 0 else _UNARY
    return spelt(value), _UNARY if isinstance(value, int) and value < 0 else _TIGHTEST


def _select(expr: Select) -> tuple[str, int]:
    text = f"{_within(expr.operand, _TIGHTEST)}.{expr.field}"
    return f"has({text})" if expr.test else text, _TIGHTEST


def _unary(expr: Unary) -> tuple[str, int]:
    number = isinstance(expr.operand, Literal) and expr.op == "-"  # `-1` is a literal of its own
    return expr.op + _within(expr.operand, _TIGHTEST + number), _UNARY


def _binary(expr: Binary) -> tuple[str, int]:
    own = _BINARY[expr.op]
    left = own + (own == _COMPARED)  # `(a < b) == c`: for who reads it
    right = own + (expr.op not in {"&&", "||"})  # of these two a chain has no order
    return f"{_within(expr.left, left)} {expr.op} {_within(expr.right, right)}", own


def _ternary(expr: Ternary) -> tuple[str, int]:
    test, then, other = _within(expr.test, 1), _within(expr.then, 1), _within(expr.other, 0)
    return f"{test} ? {then} : {other}", _LOOSEST


def _call(expr: Call) -> tuple[str, int]:
    target = "" if expr.target is None else f"{_within(expr.target, _TIGHTEST)}."
    return f"{target}{expr.function}({_listed(expr.args)})", _TIGHTEST


def _map(expr: MapOf) -> tuple[str, int]:
    entries = (f"{spelling(key)}: {spelling(value)}" for key, value in expr.entries)
    return f"{{{', '.join(entries)}}}", _TIGHTEST


def _macro(expr: Macro) -> tuple[str, int]:
    inner = _listed((expr.body,) if expr.guard is None else (expr.guard, expr.body))
    target = _within(expr.target, _TIGHTEST)
    return f"{target}.{expr.kind}({expr.variable}, {inner})", _TIGHTEST


_NODES: dict[type, Callable[[Any], tuple[str, int]]] = {
    Literal: _literal,
    Name: lambda expr: (expr.name, _TIGHTEST),
    Attr: lambda expr: (expr.name, _TIGHTEST),
    Select: _select,
    Index: lambda expr: (
        f"{_within(expr.operand, _TIGHTEST)}[{spelling(expr.index)}]",
        _TIGHTEST,
    ),
    Unary: _unary,
    Binary: _binary,
    Ternary: _ternary,
    Call: _call,
    ListOf: lambda expr: (f"[{_listed(expr.items)}]", _TIGHTEST),
    MapOf: _map,
    Macro: _macro,
}

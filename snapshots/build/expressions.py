"""CEL in, Ibis expressions out: one column for all customers at once, never a customer in Python.

CEL's error value is SQL's null: both are absorbed by `&&` and `||` in the same way, both pass
through everything else, and neither matches. Moments and lengths of time are microseconds. What has
no such expression is refused with a caret; `decisions.rules.evaluator` is the slow truth beside it.
Doubles that might be NaN are compared with care, since SQL holds NaN for equal to itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import add, and_, eq, ge, gt, le, lt, mul, ne, or_, sub, truediv
from typing import Any, NamedTuple, NoReturn

import ibis

from decisions.errors import EvaluationError, RuleTypeError
from decisions.rules.evaluator import compile_expr
from decisions.rules.syntax import (
    Attr,
    Binary,
    Call,
    Expr,
    Index,
    ListOf,
    Literal,
    Macro,
    Name,
    Ternary,
    Unary,
)
from decisions.rules.values import Duration, Timestamp
from decisions.schema import BOOL, DOUBLE, DURATION, INT, MAP_DOUBLE, MAP_INT, STRING, TIMESTAMP
from snapshots.build import dialect

NS_PER_US, US_PER_S = 1_000, 1_000_000
DTYPES = {
    BOOL: "boolean",
    INT: "int64",
    DOUBLE: "float64",
    STRING: "string",
    TIMESTAMP: "int64",
    DURATION: "int64",
}
MAPS = {MAP_INT: INT, MAP_DOUBLE: DOUBLE}
WHOLE = frozenset({INT, TIMESTAMP, DURATION})

Keys = Callable[[str], Sequence[str]]
Variables = Mapping[str, Literal]


class Column(NamedTuple):
    """value: an Ibis expression. kind: CEL's. clean: a double that is certainly not NaN."""

    value: Any
    kind: str
    clean: bool = True


# An attribute's name and key (None: the attribute itself) to its column, or None if all is null.
Look = Callable[[str, str | None], Any | None]


def compile_column(expr: Expr, text: str, look: Look, keys: Keys) -> Column:
    """A checked expression as a column.

    look: see above; an unknown key of a map counts as 0. keys: the keys that a map attribute may
    have, for macros that range over it. Raises RuleTypeError for what cannot be compiled.
    """
    return _Compiler(text, look, keys).visit(expr, {})


class _Compiler:
    def __init__(self, text: str, look: Look, keys: Keys) -> None:
        self.text, self.look, self.keys = text, look, keys

    def refuse(self, what: str, expr: Expr) -> NoReturn:
        start, end = expr.at
        message = f"{what} cannot be computed for all customers at once"
        raise RuleTypeError(message, self.text, start, end - start, code="not-compiled")

    def visit(self, expr: Expr, variables: Variables) -> Column:
        node = _NODES.get(type(expr))
        if node is None:
            self.refuse("this", expr)
        return node(self, expr, variables)

    # Values

    def literal(self, expr: Literal, _: Variables) -> Column:
        value = expr.value
        if value is None:
            self.refuse("null", expr)
        kind = _KINDS[type(value)]
        return Column(_written(value, kind), kind)

    def name(self, expr: Name, variables: Variables) -> Column:
        return self.literal(variables[expr.name], variables)

    def attr(self, expr: Attr, _: Variables) -> Column:
        if expr.kind not in DTYPES:
            self.refuse(f"{expr.name} as a whole", expr)
        value = self.look(expr.name, None)
        value = ibis.null(DTYPES[expr.kind]) if value is None else value
        return Column(value, expr.kind, clean=expr.kind != DOUBLE)

    def key(self, expr: Expr, variables: Variables) -> str:
        """A key that is known now: written out, or a macro's variable."""
        known = variables.get(expr.name) if isinstance(expr, Name) else expr
        if not isinstance(known, Literal) or not isinstance(known.value, str):
            self.refuse("a key that is not written out", expr)
        return known.value

    def index(self, expr: Index, variables: Variables) -> Column:
        if not isinstance(expr.operand, Attr) or expr.operand.kind not in MAPS:
            self.refuse("an index into this", expr)
        kind = MAPS[expr.operand.kind]
        nothing = _written(0.0 if kind == DOUBLE else 0, kind)
        value = self.look(expr.operand.name, self.key(expr.index, variables))
        return Column(nothing if value is None else value.fill_null(nothing), kind)

    def held(self, attr: Expr, key: str, expr: Expr) -> Any:
        """Whether a map has a key."""
        if not isinstance(attr, Attr) or attr.kind not in MAPS:
            self.refuse("a look into this", expr)
        value = self.look(attr.name, key)
        return ibis.literal(False) if value is None else value.notnull()

    # Operators

    def unary(self, expr: Unary, variables: Variables) -> Column:
        operand = self.visit(expr.operand, variables)
        if expr.op == "!":
            return Column(~operand.value, BOOL)
        if operand.kind == INT:
            return Column(dialect.tried(-operand.value), INT)
        return operand._replace(value=-operand.value)

    def binary(self, expr: Binary, variables: Variables) -> Column:
        if expr.op == "in":
            return Column(self.member(expr, variables), BOOL)
        left, right = self.visit(expr.left, variables), self.visit(expr.right, variables)
        if expr.op in _LOGIC:
            return Column(_LOGIC[expr.op](left.value, right.value), BOOL)
        if expr.op in _COMPARISONS:
            return Column(_compared(expr.op, left, right), BOOL)
        if left.kind in WHOLE:
            kind = _MOMENTS.get((expr.op, left.kind, right.kind), INT)
            return Column(dialect.tried(_WHOLE[expr.op](left.value, right.value)), kind)
        return Column(_OTHERS[expr.op](left.value, right.value), left.kind, clean=False)

    def member(self, expr: Binary, variables: Variables) -> Any:
        """`x in [a, b]`, `"key" in map`."""
        if not isinstance(expr.right, ListOf):
            return self.held(expr.right, self.key(expr.left, variables), expr)
        left = self.visit(expr.left, variables)
        items = [self.visit(item, variables) for item in expr.right.items]
        found = _any([_compared("==", left, item) for item in items])
        known = _every([column.value.notnull() for column in (left, *items)])
        return ibis.cases((known, found), else_=ibis.null("boolean"))

    def ternary(self, expr: Ternary, variables: Variables) -> Column:
        test = self.visit(expr.test, variables).value
        then, other = self.visit(expr.then, variables), self.visit(expr.other, variables)
        nothing = ibis.null(DTYPES[then.kind])
        value = ibis.cases((test, then.value), (~test, other.value), else_=nothing)
        return Column(value, then.kind, then.clean and other.clean)

    # Calls and macros

    def call(self, expr: Call, variables: Variables) -> Column:
        parts = expr.args if expr.target is None else (expr.target, *expr.args)
        if expr.function == "has" and isinstance(parts[0], Attr):
            return Column(self.attr(parts[0], variables).value.notnull(), BOOL)
        if all(isinstance(part, Literal) for part in parts):
            return self.constant(expr)
        columns = [self.visit(part, variables) for part in parts]
        made = FUNCTIONS.get((expr.function, *(column.kind for column in columns)))
        if made is None or (expr.function == "matches" and not isinstance(parts[1], Literal)):
            kinds = ", ".join(column.kind for column in columns)
            self.refuse(f"{expr.function} of ({kinds})", expr)
        kind, function = made
        return Column(function(*(column.value for column in columns)), kind, clean=kind != DOUBLE)

    def constant(self, expr: Call) -> Column:
        """A call of what is written out, computed now by the evaluator."""
        try:
            value = compile_expr(expr)({})
        except EvaluationError as error:
            self.refuse(str(error), expr)
        if isinstance(value, Timestamp | Duration):
            if value.ns % NS_PER_US:
                self.refuse("what is finer than a microsecond", expr)
            kind = TIMESTAMP if isinstance(value, Timestamp) else DURATION
            return Column(ibis.literal(value.ns // NS_PER_US, "int64"), kind)
        return self.literal(Literal(value, expr.at), {})._replace(clean=False)

    def macro(self, expr: Macro, variables: Variables) -> Column:
        """all, exists and exists_one, written out over the items that are known now."""
        quantified = _QUANTIFIERS.get(expr.kind)
        if quantified is None:
            self.refuse(f"{expr.kind}()", expr)
        items = self.items(expr.target)
        there = [
            self.held(expr.target, str(item.value), expr)
            if isinstance(expr.target, Attr)
            else ibis.literal(True)
            for item in items
        ]
        bodies = [self.visit(expr.body, {**variables, expr.variable: item}).value for item in items]
        return Column(quantified(there, bodies), BOOL)

    def items(self, expr: Expr) -> list[Literal]:
        """What a macro ranges over: the items of a list, the keys that a map may have."""
        if isinstance(expr, Attr) and expr.kind in MAPS:
            return [Literal(key, expr.at) for key in self.keys(expr.name)]
        items = expr.items if isinstance(expr, ListOf) else ()
        written = [item for item in items if isinstance(item, Literal)]
        if not isinstance(expr, ListOf) or len(written) < len(items):
            self.refuse("a macro over what is not written out", expr)
        return written


def _written(value: Any, kind: str) -> Any:
    """A constant; a double goes as text, since 0.1 by itself is a decimal to DuckDB."""
    if kind == DOUBLE:
        return ibis.literal(repr(value)).cast("float64")
    return ibis.literal(value, DTYPES[kind])


def _any(conditions: Sequence[Any]) -> Any:
    return reduce(or_, conditions, ibis.literal(False))


def _every(conditions: Sequence[Any]) -> Any:
    return reduce(and_, conditions, ibis.literal(True))


def _one(there: Sequence[Any], bodies: Sequence[Any]) -> Any:
    """Exactly one holds; null as soon as one of those that are there is null."""
    holds = [
        ibis.cases((is_there, body), else_=False).cast("int64")
        for is_there, body in zip(there, bodies, strict=True)
    ]
    return reduce(add, holds, ibis.literal(0, "int64")) == 1


def _compared(op: str, left: Column, right: Column) -> Any:
    value = _COMPARISONS[op](left.value, right.value)
    unsure = [
        column.value for column in (left, right) if column.kind == DOUBLE and not column.clean
    ]
    if not unsure:
        return value
    unknown = left.value.isnull() | right.value.isnull()
    odd = _any([column.isnan() for column in unsure])
    answer = ibis.literal(op == "!=")
    return ibis.cases((unknown, ibis.null("boolean")), (odd, answer), else_=value)


def _part(function: Any, offset: int = 0) -> tuple[str, Callable[..., Any]]:
    return INT, lambda at: function(dialect.make_timestamp(at)) + offset


def _units(us: int) -> tuple[str, Callable[..., Any]]:
    return INT, lambda length: dialect.divide(length, ibis.literal(us, "int64"))


def _int_of_double(value: Any) -> Any:
    return dialect.tried(dialect.truncated(value).cast("int64"))


_KINDS: dict[type, str] = {bool: BOOL, int: INT, float: DOUBLE, str: STRING}
_LOGIC: dict[str, Callable[[Any, Any], Any]] = {"&&": and_, "||": or_}
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": eq,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}
_WHOLE: dict[str, Callable[[Any, Any], Any]] = {
    "+": add,
    "-": sub,
    "*": mul,
    "/": dialect.divide,
    "%": dialect.rest,
}
_OTHERS: dict[str, Callable[[Any, Any], Any]] = {"+": add, "-": sub, "*": mul, "/": truediv}
_MOMENTS = {
    ("+", TIMESTAMP, DURATION): TIMESTAMP,
    ("+", DURATION, TIMESTAMP): TIMESTAMP,
    ("+", DURATION, DURATION): DURATION,
    ("-", TIMESTAMP, TIMESTAMP): DURATION,
    ("-", TIMESTAMP, DURATION): TIMESTAMP,
    ("-", DURATION, DURATION): DURATION,
}
_QUANTIFIERS: dict[str, Callable[[Sequence[Any], Sequence[Any]], Any]] = {
    "all": lambda there, bodies: _every([~t | b for t, b in zip(there, bodies, strict=True)]),
    "exists": lambda there, bodies: _any([t & b for t, b in zip(there, bodies, strict=True)]),
    "exists_one": _one,
}

# function and the kinds of its arguments (a method's target first) → kind of the result, and how.
FUNCTIONS: dict[tuple[str, ...], tuple[str, Callable[..., Any]]] = {
    ("size", STRING): (INT, lambda text: text.length().cast("int64")),
    ("startsWith", STRING, STRING): (BOOL, lambda text, start: text.startswith(start)),
    ("endsWith", STRING, STRING): (BOOL, lambda text, end: text.endswith(end)),
    ("contains", STRING, STRING): (BOOL, lambda text, part: text.contains(part)),
    ("matches", STRING, STRING): (BOOL, lambda text, pattern: text.re_search(pattern)),
    ("bool", BOOL): (BOOL, lambda value: value),
    ("int", INT): (INT, lambda value: value),
    ("int", DOUBLE): (INT, _int_of_double),
    ("int", TIMESTAMP): (INT, lambda at: (at.cast("float64") / US_PER_S).floor().cast("int64")),
    ("double", DOUBLE): (DOUBLE, lambda value: value),
    ("double", INT): (DOUBLE, lambda value: value.cast("float64")),
    ("string", STRING): (STRING, lambda value: value),
    ("string", INT): (STRING, lambda value: value.cast("string")),
    ("string", BOOL): (STRING, lambda value: value.cast("string")),
    ("timestamp", TIMESTAMP): (TIMESTAMP, lambda value: value),
    ("timestamp", INT): (TIMESTAMP, lambda seconds: dialect.tried(seconds * US_PER_S)),
    ("duration", DURATION): (DURATION, lambda value: value),
    ("getFullYear", TIMESTAMP): _part(dialect.YEAR),
    ("getMonth", TIMESTAMP): _part(dialect.MONTH, -1),
    ("getDate", TIMESTAMP): _part(dialect.DAY),
    ("getDayOfMonth", TIMESTAMP): _part(dialect.DAY, -1),
    ("getDayOfYear", TIMESTAMP): _part(dialect.YEARDAY, -1),
    ("getDayOfWeek", TIMESTAMP): _part(dialect.WEEKDAY_FROM_SUNDAY),
    ("getHours", TIMESTAMP): _part(dialect.HOUR),
    ("getMinutes", TIMESTAMP): _part(dialect.MINUTE),
    ("getSeconds", TIMESTAMP): _part(dialect.SECOND),
    ("getHours", DURATION): _units(3_600 * US_PER_S),
    ("getMinutes", DURATION): _units(60 * US_PER_S),
    ("getSeconds", DURATION): _units(US_PER_S),
}
_NODES: dict[type, Callable[[_Compiler, Any, Variables], Column]] = {
    Literal: _Compiler.literal,
    Name: _Compiler.name,
    Attr: _Compiler.attr,
    Index: _Compiler.index,
    Unary: _Compiler.unary,
    Binary: _Compiler.binary,
    Ternary: _Compiler.ternary,
    Call: _Compiler.call,
    Macro: _Compiler.macro,
}

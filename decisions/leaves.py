"""Leaves: one comparison of an attribute in, the predicate that is true where it is out, or None.

A predicate stands for a leaf only where the two agree on all facts: the leaf is CEL's error value
exactly where the attribute (or its key) is absent, true where the predicate holds, else false. So
`opposite` stands for the leaf's negation. `implied` is what any other leaf says at the least.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeAlias

from decisions import schema as types
from decisions.errors import EvaluationError
from decisions.predicates import Member, OneOf, Predicate, Prefix, Present, Within
from decisions.rules.syntax import (
    Attr,
    Binary,
    Call,
    Expr,
    Index,
    ListOf,
    Literal,
    Macro,
    Ternary,
    Unary,
    children,
)
from decisions.rules.values import NS, Duration, Timestamp
from decisions.schema import Schema
from decisions.spans import Spans, compared, join, without

MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
NUMBERS = (types.INT, types.DOUBLE, types.MAP_INT, types.MAP_DOUBLE)
MAPS = (types.MAP_INT, types.MAP_DOUBLE)


def leaf(expr: Expr, schema: Schema) -> Predicate | None:
    """The predicate that is this expression, or None where no single one is."""
    match expr:
        case Attr(name, types.BOOL):
            return OneOf(name, (True,))
        case Binary("in", left, right):
            return _contained(left, right, schema)
        case Binary(op, left, right) if op in MIRRORED:
            return _comparison(op, left, right, schema) or _comparison(
                MIRRORED[op], right, left, schema
            )
        case Call("startsWith", Attr(name, types.STRING), (Literal(str(prefix)),)):
            return Prefix(name, prefix)
        case Call("has", None, (Attr(name),)):
            return Present(name)
    return None


def opposite(predicate: Predicate) -> Predicate:
    """The predicate that is true where this one is false and nothing is absent."""
    match predicate:
        case Within(attribute, key, spans, nan, zero):
            return Within(attribute, key, without(spans), not nan, zero)
        case OneOf(attribute, values, negated):
            return OneOf(attribute, values, not negated)
        case Member(attribute, member, negated):
            return Member(attribute, member, not negated)
        case Prefix(attribute, prefix, negated):
            return Prefix(attribute, prefix, not negated)
    return Present(predicate.attribute, not predicate.negated)


def needs_of(predicate: Predicate, schema: Schema) -> int:
    """The purposes without which the predicate is false."""
    match predicate:
        case Within(attribute, key):
            return schema.needs(attribute, key)
        case Member(attribute, member):
            return schema.needs(attribute, member)
    return schema.needs(predicate.attribute)


def _place(expr: Expr) -> tuple[str, str | None, str] | None:
    """An attribute, or a look-up in a map: name, key, kind."""
    match expr:
        case Attr(name, kind):
            return name, None, kind
        case Index(Attr(name, kind), Literal(str(key))) if kind in MAPS:
            return name, key, kind
    return None


def _comparison(op: str, left: Expr, right: Expr, schema: Schema) -> Predicate | None:
    """`place op literal`."""
    if (place := _place(left)) is None:
        return None
    name, key, kind = place
    if kind in MAPS and key is None:
        return None
    if kind in {types.STRING, types.BOOL} and op in {"==", "!="}:
        value = _literal(right)
        fits = type(value) is (str if kind == types.STRING else bool)
        return OneOf(name, (value,), op == "!=") if fits else None
    spans = _spans(op, kind, right)
    if spans is None:
        return None
    return Within(name, key, spans, op == "!=" and kind in NUMBERS, _zero(name, key, schema))


def _zero(name: str, key: str | None, schema: Schema) -> bool:
    return key is not None and schema.attributes[name].zero


def _spans(op: str, kind: str, literal: Expr) -> Spans | None:
    """Where facts of `kind` compare so with a literal; None if it is no literal of that kind."""
    if kind in _MOMENTS:
        return _moments(op, kind, literal)
    value = _literal(literal)
    if kind in NUMBERS and type(value) in {int, float}:
        return compared(op, value)
    return compared(op, value) if kind == types.STRING and type(value) is str else None


def _contained(item: Expr, container: Expr, schema: Schema) -> Predicate | None:
    """`place in [literals]`, or `literal in set or map`."""
    match item, container:
        case Literal(str(member)), Attr(name, kind) if kind in (types.SET, *MAPS):
            return Member(name, member)
        case _, ListOf(items):
            return _listed(item, items, schema)
    return None


def _listed(item: Expr, items: tuple[Expr, ...], schema: Schema) -> Predicate | None:
    if (place := _place(item)) is None:
        return None
    name, key, kind = place
    if kind in {types.STRING, types.BOOL}:
        values = tuple(_literal(each) for each in items)
        wanted = str if kind == types.STRING else bool
        return OneOf(name, values) if all(type(value) is wanted for value in values) else None
    if kind in MAPS and key is None:
        return None
    points = [_spans("==", kind, each) for each in items]
    found = [point for point in points if point is not None]
    if len(found) < len(points):
        return None
    return Within(name, key, join(*found), False, _zero(name, key, schema))


def _literal(expr: Expr) -> Any:
    """The value of a literal, or of a negative number; None for any other expression."""
    match expr:
        case Literal(value):
            return value
        case Unary("-", Literal(value)) if type(value) in {int, float}:
            return -value  # type: ignore[operator]  # a number by the line above
    return None


# Moments: facts carry seconds, CEL compares nanoseconds. The line is cut at the first seconds that
# turn into the nanoseconds in question, so that not even a rounding tells the two apart.

_Moment: TypeAlias = type[Timestamp] | type[Duration]
_MOMENTS: dict[str, tuple[str, _Moment]] = {
    types.TIMESTAMP: ("timestamp", Timestamp),
    types.DURATION: ("duration", Duration),
}


def _moments(op: str, kind: str, literal: Expr) -> Spans | None:
    function, moment = _MOMENTS[kind]
    match literal:
        case Call(name, None, (Literal(str(text)),)) if name == function:
            try:
                ns = moment.parse(text).ns
            except EvaluationError:
                return None
            here, after = _first(ns, moment), _first(ns + 1, moment)
            return {
                "==": ((here, True, after, False),),
                "!=": ((None, False, here, False), (after, True, None, False)),
                "<": ((None, False, here, False),),
                "<=": ((None, False, after, False),),
                ">": ((after, True, None, False),),
                ">=": ((here, True, None, False),),
            }[op]
    return None


def _first(ns: int, moment: _Moment) -> float:
    """The least seconds that make a moment of at least `ns`."""

    def reaches(seconds: float) -> bool:
        try:
            return moment.of_seconds(seconds).ns >= ns
        except EvaluationError:  # out of range, on the one side or the other
            return seconds > 0

    low = math.nextafter((ns - 2) / NS, -math.inf)
    high = math.nextafter((ns + 2) / NS, math.inf)
    while low < (middle := (low + high) / 2) < high:
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


# What a leaf that is no predicate says at the least.

_ABSORBING = (Ternary, Macro)  # their value may stand where a part of them is an error


def implied(expr: Expr, schema: Schema) -> tuple[frozenset[Predicate], int]:
    """Predicates and purposes without which the expression is an error, be it negated or not."""
    present: set[Predicate] = set()
    needs = 0
    for name, key, kind in _strict(expr):
        needs |= schema.needs(name, key)
        attribute = schema.attributes[name]
        if attribute.zero or kind == types.SET or name in _ALWAYS:
            continue
        if key is not None:
            present.add(Member(name, key))
        elif kind not in MAPS:
            present.add(Present(name))
    return frozenset(present), needs


_ALWAYS = ("now", "time.hour", "time.weekday", "time.date")  # derived, and hardly ever absent


def _strict(expr: Expr) -> Iterator[tuple[str, str | None, str]]:
    """The places whose absence is the whole expression's error."""
    if (place := _place(expr)) is not None:
        yield place
    elif not (
        isinstance(expr, _ABSORBING)
        or (isinstance(expr, Binary) and expr.op in {"&&", "||"})
        or (isinstance(expr, Call) and expr.function == "has")
    ):
        for child in children(expr):
            yield from _strict(child)

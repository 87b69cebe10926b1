"""Conditions that say the same of everybody: a checked expression in, what is certain of it out.

A comparison without an attribute, of a thing with itself, or with what no value of the attribute
passes, or every one does. Where the outcome hangs on the visitor, nothing is said; nor of a lone
literal.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from decisions.domains import SIZE, domain, said
from decisions.errors import EvaluationError
from decisions.leaves import MIRRORED, leaf, opposite
from decisions.predicates import Predicate, Within
from decisions.rules.evaluator import compile_expr
from decisions.rules.syntax import (
    Attr,
    Binary,
    Call,
    Expr,
    Index,
    Literal,
    Macro,
    Name,
    Span,
    Ternary,
    Unary,
    children,
)
from decisions.schema import Attribute, Schema
from decisions.shadows import implies
from decisions.spans import compared

CONSTANT, IMPOSSIBLE = "constant-condition", "impossible-value"
_TESTING = ("all", "exists", "exists_one", "filter")  # macros of which the body is a condition


class Certainty(NamedTuple):
    """What is certain of a part of an expression. at: its span of characters."""

    code: str
    what: str
    at: Span


def certainties(expr: Expr, schema: Schema) -> Iterator[Certainty]:
    """Everything that is certain of a checked condition, in written order."""
    if not isinstance(expr, Literal):  # `true` is how a rule says everybody
        yield from _certain(expr, schema)


def _certain(expr: Expr, schema: Schema) -> Iterator[Certainty]:
    match expr:
        case Unary("!") | Binary("&&" | "||"):
            for part in children(expr):
                yield from _certain(part, schema)
        case Ternary(test, then, other):
            yield from _certain(test, schema)
            for branch in (then, other):
                yield from certainties(branch, schema)
        case Macro(kind, _, variable, body) if kind in _TESTING:
            for each in certainties(_keyed(body, variable), schema):
                named = each.what.replace(f'["{variable}"]', f"[{variable}]")
                yield each._replace(what=named)
        case _ if _is_constant(expr):
            yield Certainty(CONSTANT, _outcome(expr), expr.at)
        case Binary(op, left, right) if op in MIRRORED and _bare(left) == _bare(right):
            is_true = op in {"==", "<=", ">="}
            yield Certainty(
                CONSTANT, f"this compares a thing with itself: {_word(is_true)}", expr.at
            )
        case _ if (tested := _tested(expr, schema)) is not None:
            yield from _of_domain(tested[0], expr, schema.attributes[tested[1]])
        case _:
            yield from _broken(expr)


def _keyed(expr: Any, variable: str) -> Any:
    """The body of a macro with its variable for a key: what any value of a map can be, that of this
    key can be."""
    match expr:
        case Index(_, Name(name)) if name == variable:
            return msgspec.structs.replace(expr, index=Literal(variable))
        case Macro(variable=inner) if inner == variable:
            return expr  # the name stands for something else in there
        case tuple():
            return tuple(_keyed(part, variable) for part in expr)
        case msgspec.Struct():
            fields = {name: _keyed(getattr(expr, name), variable) for name in _parts(expr)}
            return msgspec.structs.replace(expr, **fields)
    return expr


def _parts(expr: msgspec.Struct) -> list[str]:
    return [name for name in expr.__struct_fields__ if name != "at"]


def _tested(expr: Expr, schema: Schema) -> tuple[Predicate, str] | None:
    """What a comparison asks of an attribute, or of how many members it has; and its name."""
    if (predicate := leaf(expr, schema)) is not None:
        return predicate, predicate.attribute
    match expr:
        case Binary(op, Literal(int(many)), Call("size") as call) if op in MIRRORED:
            op = MIRRORED[op]
        case Binary(op, Call("size") as call, Literal(int(many))) if op in MIRRORED:
            pass
        case _:
            return None
    match call:
        case Call(_, None, (Attr(name),)) | Call(_, Attr(name)):
            return Within(SIZE.format(name), None, compared(op, many), op == "!=", False), name
    return None


def _is_constant(expr: Expr) -> bool:
    """Whether nothing of it is about the visitor or the moment."""
    return not isinstance(expr, Attr | Name) and all(map(_is_constant, children(expr)))


def _outcome(expr: Expr) -> str:
    return _error(expr) or f"this is about nobody: {_word(compile_expr(expr)({}) is True)}"


def _error(expr: Expr) -> str:
    """What is wrong with an expression that is about nobody, or ""."""
    try:
        compile_expr(expr)({})
    except EvaluationError as error:
        return f"this is an error for everybody: {error}"
    return ""


def _broken(expr: Expr) -> Iterator[Certainty]:
    """Parts of a comparison that are errors whoever comes."""
    for part in children(expr):
        if not _is_constant(part):
            yield from _broken(part)
        elif what := _error(part):
            yield Certainty(CONSTANT, what, part.at)


def _word(is_true: bool) -> str:
    return "it is always true" if is_true else "it is never true"


def _bare(expr: Expr) -> tuple[object, ...]:
    """The expression without the places where it was written."""
    own = [getattr(expr, name) for name in _parts(expr)]
    return (
        type(expr),
        *(part for part in own if isinstance(part, str | int | float | bool | None)),
        *map(_bare, children(expr)),
    )


def _of_domain(predicate: Predicate, expr: Expr, attribute: Attribute) -> Iterator[Certainty]:
    """What follows from what the attribute can be at all."""
    everything = domain(predicate, attribute)
    if everything is None:
        return
    name, values = _called(predicate), said(predicate.attribute, attribute)
    if implies(everything, predicate):
        yield Certainty(CONSTANT, f"every {name} is like this: it is {values}", expr.at)
    elif implies(everything, opposite(predicate)):
        yield Certainty(IMPOSSIBLE, f"no {name} is like this: it is {values}", expr.at)


def _called(predicate: Predicate) -> str:
    key = predicate.key if isinstance(predicate, Within) else None
    return predicate.attribute if key is None else f'{predicate.attribute}["{key}"]'

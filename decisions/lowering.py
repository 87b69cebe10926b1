"""Lowering: a checked expression in, alternatives of single-attribute predicates out, or as much of
them as can be had; it evaluates nothing.

"Is true" distributes over `&&` and `||`, and negation goes down to the leaves: in CEL's logic of
true, false and error, `!(a && b)` is true exactly where `!a || !b` is. What no predicate can say is
left out of its clause, and the rule is then not exact: it may be a candidate too often, never too
seldom.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import and_
from typing import NamedTuple, TypeAlias

from decisions.leaves import implied, leaf, needs_of, opposite
from decisions.predicates import (
    Clause,
    Lowered,
    Member,
    OneOf,
    Predicate,
    Prefix,
    Within,
)
from decisions.rules.syntax import Binary, Expr, Literal, Ternary, Unary
from decisions.schema import Schema
from decisions.spans import join, meet

SPLIT = 32  # clauses of one rule; an expression with more alternatives is cut down and rechecked

Place: TypeAlias = tuple[str, ...]  # what predicates that can be merged have in common


class _Draft(NamedTuple):
    """A clause in the making: at most one predicate for each place."""

    predicates: dict[Place, Predicate]
    needs: int = 0
    exact: bool = True


_ALWAYS = [_Draft({})]
_NEVER: list[_Draft] = []


def lower(expr: Expr, schema: Schema) -> Lowered:
    """The clauses of a checked expression (`Typed.expr`); at most SPLIT of them."""
    drafts = _where(expr, True, schema)
    if any(not draft.predicates and draft.exact and not draft.needs for draft in drafts):
        drafts = _ALWAYS
    clauses = tuple(Clause(tuple(draft.predicates.values()), draft.needs) for draft in drafts)
    return Lowered(clauses, all(draft.exact for draft in drafts))


def _where(expr: Expr, wanted: bool, schema: Schema) -> list[_Draft]:
    """The alternatives under which the expression is `wanted`."""
    match expr:
        case Literal(bool(value)):
            return _ALWAYS if value == wanted else _NEVER
        case Unary("!", operand):
            return _where(operand, not wanted, schema)
        case Binary("&&" | "||" as op, left, right):
            both = _every if (op == "&&") == wanted else _either
            return both(_where(left, wanted, schema), _where(right, wanted, schema))
        case Ternary(test, then, other):
            return _either(
                _every(_where(test, True, schema), _where(then, wanted, schema)),
                _every(_where(test, False, schema), _where(other, wanted, schema)),
            )
    predicate = leaf(expr, schema)
    if predicate is None:
        present, needs = implied(expr, schema)
        ordered = sorted(present, key=repr)  # a set's order changes between processes
        return [_Draft({_place(each): each for each in ordered}, needs, False)]
    predicate = predicate if wanted else opposite(predicate)
    if _impossible(predicate):
        return _NEVER
    return [_Draft({_place(predicate): predicate}, needs_of(predicate, schema))]


def _every(left: list[_Draft], right: list[_Draft]) -> list[_Draft]:
    """Both, as alternatives."""
    if len(left) * len(right) > SPLIT:
        few, many = sorted((left, right), key=len)
        left, right = few, _cut_down(many)
    pairs = (_merged(one, other) for one in left for other in right)
    return [draft for draft in pairs if draft is not None]


def _merged(one: _Draft, other: _Draft) -> _Draft | None:
    """One clause of two, or None where they contradict each other."""
    predicates = dict(one.predicates)
    for place, predicate in other.predicates.items():
        both = _meeting(predicates[place], predicate) if place in predicates else predicate
        if both is None or _impossible(both):
            return None
        predicates[place] = both
    return _Draft(predicates, one.needs | other.needs, one.exact and other.exact)


def _either(left: list[_Draft], right: list[_Draft]) -> list[_Draft]:
    """Either; alternatives that test one and the same place become one predicate."""
    found: list[_Draft] = []
    for draft in (*left, *right):
        for number, other in enumerate(found):
            if (joined := _joined(other, draft)) is not None:
                found[number] = joined
                break
        else:
            found.append(draft)
    return found if len(found) <= SPLIT else _cut_down(found)


def _joined(one: _Draft, other: _Draft) -> _Draft | None:
    """One clause for two that say the same, or differ only in what they ask of a single place."""
    if one.needs != other.needs or one.predicates.keys() != other.predicates.keys():
        return None
    if one.predicates == other.predicates:
        return _Draft(one.predicates, one.needs, one.exact or other.exact)
    if len(one.predicates) != 1:
        return None
    ((place, predicate),) = one.predicates.items()
    both = _joining(predicate, other.predicates[place])
    if both is None:
        return None
    return _Draft({place: both}, one.needs, one.exact and other.exact)


def _cut_down(drafts: list[_Draft]) -> list[_Draft]:
    """One clause that holds wherever one of many does: what they have in common."""
    common = [
        (place, predicate)
        for place, predicate in drafts[0].predicates.items()
        if all(draft.predicates.get(place) == predicate for draft in drafts)
    ]
    return [_Draft(dict(common), reduce(and_, (draft.needs for draft in drafts)), False)]


def _place(predicate: Predicate) -> Place:
    match predicate:
        case Within(attribute, None):
            return "within", attribute
        case Within(attribute, str(key)):
            return "within", attribute, key
        case OneOf(attribute):
            return "one", attribute
        case Member(attribute, member):
            return "member", attribute, member
        case Prefix(attribute, prefix):
            return "prefix", attribute, prefix
    return "present", predicate.attribute


def _impossible(predicate: Predicate) -> bool:
    match predicate:
        case OneOf(_, values, negated):
            return not values and not negated
        case Within(_, _, spans, nan):
            return not spans and not nan
    return False


def _meeting(one: Predicate, other: Predicate) -> Predicate | None:
    """Both predicates of one place as one, or None where they contradict each other."""
    match one, other:
        case OneOf(name, values, out), OneOf(_, others, others_out):
            if out and others_out:
                return OneOf(name, _unique((*values, *others)), True)
            if out:
                return OneOf(name, tuple(value for value in others if value not in values))
            return OneOf(name, tuple(v for v in values if (v in others) != others_out))
        case Within(name, key, spans, nan, zero), Within(_, _, others, others_nan):
            return Within(name, key, meet(spans, others), nan and others_nan, zero)
    return one if one == other else None


def _joining(one: Predicate, other: Predicate) -> Predicate | None:
    """Either predicate of one place as one, or None where no predicate says that."""
    match one, other:
        case OneOf(name, values, False), OneOf(_, others, False):
            return OneOf(name, _unique((*values, *others)))
        case Within(name, key, spans, nan, zero), Within(_, _, others, others_nan):
            return Within(name, key, join(spans, others), nan or others_nan, zero)
    return None


def _unique(values: Iterable[str | bool]) -> tuple[str | bool, ...]:
    return tuple(dict.fromkeys(values))

"""The slow truth: one predicate, one visitor's facts, yes or no; it knows no rules and no order.

`lowering` makes predicates of a checked expression, `index` answers all of them at once, and the
property tests hold both to `holds`. Every predicate is false where its attribute (or its map key)
is absent: what is unknown or not granted matches nothing, negated or not.

Facts are flat (attribute name → value) and have the type that the schema says; `facts[name]` is
`ABSENT` for what is unknown or not granted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from decisions.consent import allows
from decisions.rules.values import ABSENT

Number: TypeAlias = int | float
Bound: TypeAlias = int | float | str | None  # None is no bound
Span: TypeAlias = tuple[Bound, bool, Bound, bool]  # low, low is in, high, high is in

EVERYWHERE: Span = (None, False, None, False)


class OneOf(msgspec.Struct, frozen=True, tag="one", array_like=True):
    """A string or bool attribute is one of `values`; negated: it is there and none of them."""

    attribute: str
    values: tuple[str | bool, ...]
    negated: bool = False


class Within(msgspec.Struct, frozen=True, tag="in", array_like=True):
    """A number lies in one of `spans`; so may a timestamp or duration (seconds), or a string.

    spans: ascending and disjoint. key: the attribute is a map, and the number its value at `key`.
    nan: whether NaN counts as inside. zero: a map that is there and lacks `key` has 0 at it.
    """

    attribute: str
    key: str | None
    spans: tuple[Span, ...]
    nan: bool = False
    zero: bool = False


class Member(msgspec.Struct, frozen=True, tag="mem", array_like=True):
    """A set has `member`, or a map has it as a key; negated: the collection is there without."""

    attribute: str
    member: str
    negated: bool = False


class Present(msgspec.Struct, frozen=True, tag="has", array_like=True):
    """The attribute is known; negated: it is not, which only a clause's `needs` tells from not
    granted."""

    attribute: str
    negated: bool = False


class Prefix(msgspec.Struct, frozen=True, tag="pre", array_like=True):
    """A string attribute starts with `prefix`; negated: it is there and does not."""

    attribute: str
    prefix: str
    negated: bool = False


Predicate: TypeAlias = OneOf | Within | Member | Present | Prefix


class Clause(msgspec.Struct, frozen=True, array_like=True):
    """A conjunction of predicates that is alive under grants that cover `needs`; none: always
    true."""

    predicates: tuple[Predicate, ...] = ()
    needs: int = 0


class Lowered(msgspec.Struct, frozen=True, array_like=True):
    """An expression as alternatives: where it is true, at least one clause is.

    exact: the reverse holds too; otherwise a candidate is still to be checked by its expression.
    No clauses: never true.
    """

    clauses: tuple[Clause, ...] = ()
    exact: bool = True

    def matches(self, facts: Mapping[str, Any], grants: int) -> bool:
        """Whether some clause holds: the plain scan that defines `Index.candidates`."""
        return any(satisfied(clause, facts, grants) for clause in self.clauses)


def satisfied(clause: Clause, facts: Mapping[str, Any], grants: int) -> bool:
    """Whether the clause is alive under `grants` and all its predicates hold."""
    return allows(grants, clause.needs) and all(holds(each, facts) for each in clause.predicates)


def holds(predicate: Predicate, facts: Mapping[str, Any]) -> bool:
    """Whether one predicate is true of these facts; never raises for facts of the schema's
    types."""
    value = facts[predicate.attribute]
    if isinstance(predicate, Present):
        return (value is ABSENT) == predicate.negated
    if value is ABSENT:
        return False
    match predicate:
        case OneOf(_, values, negated):
            return (value in values) != negated
        case Member(_, member, negated):
            return (member in value) != negated
        case Prefix(_, prefix, negated):
            return bool(value.startswith(prefix)) != negated
    if predicate.key is not None:
        value = value.get(predicate.key, 0 if predicate.zero else ABSENT)
    return value is not ABSENT and _inside(value, predicate.spans, predicate.nan)


def _inside(value: Any, spans: tuple[Span, ...], nan: bool) -> bool:
    if value != value:
        return nan
    return any(
        (low is None or low < value or (low_in and low == value))
        and (high is None or value < high or (high_in and high == value))
        for low, low_in, high, high_in in spans
    )

"""Admission: a value and the grants in; the value, or what of it is granted, or ABSENT out.

Types are strict (`true` is no int, 1 is a double): a value of another type is as good as unknown.
A set or map loses the members and keys that the grants do not cover; that asking for one of them is
an error and not a no, is for who asks (`rules.reading`) to know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from decisions import schema as types
from decisions.consent import allows
from decisions.rules.values import ABSENT, MAX_INT, MAX_TIME_NS, MIN_INT, MIN_TIME_NS, NS
from decisions.schema import Attribute, Schema

Take: TypeAlias = Callable[[Any], Any]  # a value in; it, or what of it is granted, or ABSENT

_MIN_S, _MAX_S = MIN_TIME_NS / NS, MAX_TIME_NS // NS
_MAX_DURATION_S = MAX_INT // NS


# How a value of each type is taken: itself where the type is right, else ABSENT.


def _bool(value: Any) -> Any:
    return value if type(value) is bool else ABSENT


def _int(value: Any) -> Any:
    return value if type(value) is int and MIN_INT <= value <= MAX_INT else ABSENT


def _double(value: Any) -> Any:
    if type(value) is float:
        return value
    return float(value) if type(value) is int and MIN_INT <= value <= MAX_INT else ABSENT


def _string(value: Any) -> Any:
    return value if type(value) is str else ABSENT


def _seconds(low: float, high: float) -> Take:
    def take(value: Any) -> Any:
        right = (type(value) is float or type(value) is int) and low <= value <= high
        return float(value) if right else ABSENT

    return take


_SCALARS: dict[str, Take] = {
    types.BOOL: _bool,
    types.INT: _int,
    types.DOUBLE: _double,
    types.STRING: _string,
    types.TIMESTAMP: _seconds(_MIN_S, _MAX_S),
    types.DURATION: _seconds(-_MAX_DURATION_S, _MAX_DURATION_S),
}
_VALUES: dict[str, Take] = {types.MAP_INT: _int, types.MAP_DOUBLE: _double}


def admission(schema: Schema, attribute: Attribute, grants: int) -> Take:
    """How this attribute is taken under these grants.

    A declared set or map (`schema.members`) takes what is declared and granted, any other takes
    what is not withheld; a scalar of a sensitive dimension is itself withheld.
    """
    known, withheld = _words(schema, attribute, grants)
    if attribute.type == types.SET:
        return _taking_sets(known, withheld)
    if attribute.type in _VALUES:
        return _taking_maps(_VALUES[attribute.type], known, withheld)
    take = _SCALARS[attribute.type]
    if attribute.type == types.STRING and withheld:
        return lambda value: ABSENT if type(value) is str and value in withheld else _string(value)
    return take


def sifting(schema: Schema, attribute: Attribute, grants: int) -> Take | None:
    """The same for values that are of the right type already; None where nothing is left out."""
    known, withheld = _words(schema, attribute, grants)
    if attribute.type == types.SET:
        if known is not None:
            return known.intersection
        return (lambda value: value - withheld) if withheld else None
    if attribute.type in _VALUES:
        if known is not None:
            return lambda value: {key: number for key, number in value.items() if key in known}
        if withheld:
            return lambda value: {
                key: number for key, number in value.items() if key not in withheld
            }
        return None
    if attribute.type == types.STRING and withheld:
        return lambda value: ABSENT if value in withheld else value
    return None


def _words(
    schema: Schema, attribute: Attribute, grants: int
) -> tuple[frozenset[str] | None, frozenset[str]]:
    """The members or keys that are declared and granted, None where any is taken; and those that
    are withheld."""
    declared = schema.members.get(attribute.name)
    words = schema.sensitive.get(attribute.dimension, frozenset()) if declared is None else declared
    withheld = frozenset(
        word for word in words if not allows(grants, schema.needs(attribute.name, word))
    )
    return None if declared is None else frozenset(declared).difference(withheld), withheld


def _taking_sets(known: frozenset[str] | None, withheld: frozenset[str]) -> Take:
    def members(value: Any) -> Any:
        if not isinstance(value, (set, frozenset, list, tuple)):
            return ABSENT
        if known is None:
            return frozenset([word for word in value if type(word) is str and word not in withheld])
        if isinstance(value, (set, frozenset)):
            return known & value
        return known.intersection([word for word in value if type(word) is str])

    return members


def _taking_maps(take: Take, known: frozenset[str] | None, withheld: frozenset[str]) -> Take:
    def entries(value: Any) -> Any:
        if not isinstance(value, dict):
            return ABSENT
        found = {}
        for key, number in value.items():
            if type(key) is not str or key in withheld or (known is not None and key not in known):
                continue
            if (taken := take(number)) is not ABSENT:
                found[key] = taken
        return found

    return entries

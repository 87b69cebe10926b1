"""Admission: a value and the grants in; the value, or what of it is granted, or ABSENT out.

Types are strict (`true` is no int, 1 is a double): a value of another type is as good as unknown.
Sets and maps that lack what the grants do not cover say so when asked for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from decisions import schema as types
from decisions.consent import SENSITIVE, allows, names
from decisions.errors import EvaluationError
from decisions.rules.values import ABSENT, MAX_INT, MAX_TIME_NS, MIN_INT, MIN_TIME_NS, NS
from decisions.schema import Attribute, Schema

Take: TypeAlias = Callable[[Any], Any]  # a value in; it, or what of it is granted, or ABSENT

_MIN_S, _MAX_S = MIN_TIME_NS / NS, MAX_TIME_NS // NS
_MAX_DURATION_S = MAX_INT // NS


class PartialSet(frozenset[str]):
    """A set that says nothing of the members the grants do not cover: asking for one is CEL's
    error value."""

    __slots__ = ("name", "withheld")
    name: str
    withheld: Mapping[str, int]  # member → the bits it needs

    def __contains__(self, member: object) -> bool:
        """Raises EvaluationError for a member that is withheld."""
        if member in self.withheld:
            raise _not_granted(self.name, str(member), self.withheld[str(member)])
        return super().__contains__(member)


class PartialMap(dict[str, Any]):
    """A map that lacks the keys the grants do not cover, and says so when asked with `in` or `[]`;
    `get` takes them for missing."""

    __slots__ = ("name", "withheld")
    name: str
    withheld: Mapping[str, int]  # key → the bits it needs

    def __contains__(self, key: object) -> bool:
        """Raises EvaluationError for a key that is withheld."""
        if key in self.withheld:
            raise _not_granted(self.name, str(key), self.withheld[str(key)])
        return super().__contains__(key)

    def __missing__(self, key: str) -> Any:
        """Raises EvaluationError for a key that is withheld, KeyError for one that is unknown."""
        if key in self.withheld:
            raise _not_granted(self.name, key, self.withheld[key])
        raise KeyError(key)


def _not_granted(name: str, key: str, needs: int) -> EvaluationError:
    place = f'{name}["{key}"]'
    return EvaluationError(f"{place} is not granted ({', '.join(names(needs))})", absent=place)


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
    words = schema.sensitive.get(attribute.dimension, frozenset())
    declared = schema.members.get(attribute.name)
    withheld = {
        word: schema.needs(attribute.name, word) & ~grants
        for word in (words if declared is None else declared)
        if not allows(grants, schema.needs(attribute.name, word))
    }
    known = None if declared is None else frozenset(declared).difference(withheld)
    if attribute.type == types.SET:
        return _taking_sets(attribute.name, known, withheld)
    if attribute.type in _VALUES:
        return _taking_maps(attribute.name, _VALUES[attribute.type], known, withheld)
    take = _SCALARS[attribute.type]
    if attribute.type == types.STRING and words and not allows(grants, SENSITIVE):
        return lambda value: ABSENT if type(value) is str and value in words else _string(value)
    return take


def _taking_sets(name: str, known: frozenset[str] | None, withheld: Mapping[str, int]) -> Take:
    def members(value: Any) -> Any:
        if not isinstance(value, (set, frozenset, list, tuple)):
            return ABSENT
        if known is not None and isinstance(value, (set, frozenset)):
            return known & value
        if known is not None:
            return known.intersection(word for word in value if type(word) is str)
        return frozenset(word for word in value if type(word) is str and word not in withheld)

    def partial(value: Any) -> Any:
        if (found := members(value)) is ABSENT:
            return ABSENT
        kept = PartialSet(found)
        kept.name, kept.withheld = name, withheld
        return kept

    return partial if withheld else members


def _taking_maps(
    name: str, take: Take, known: frozenset[str] | None, withheld: Mapping[str, int]
) -> Take:
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

    def partial(value: Any) -> Any:
        if (found := entries(value)) is ABSENT:
            return ABSENT
        kept = PartialMap(found)
        kept.name, kept.withheld = name, withheld
        return kept

    return partial if withheld else entries

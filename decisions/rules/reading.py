"""How a closure reads facts: attributes, names, fields, keys, members; ABSENT never gets through.

Facts are flat (attribute name to value) for a checked tree, nested for plain CEL. Facts that carry
`.grants` are asked whether a member that is not there could have been there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

from decisions.consent import EVERYTHING
from decisions.errors import EvaluationError
from decisions.rules.syntax import Attr, Expr, Name, Select
from decisions.rules.values import (
    ABSENT,
    LISTS,
    MAPS,
    NUMBERS,
    Duration,
    Timestamp,
    contains,
    find,
    in_order,
    kind_of,
    lifted,
    spelt,
)
from decisions.schema import DOUBLE, DURATION, MAP_DOUBLE, TIMESTAMP, Schema

Run = Callable[[Mapping[str, Any]], Any]


class Context(NamedTuple):
    """What a node is compiled under: the schema, if there is one, and the macros' variables."""

    schema: Schema | None = None
    variables: frozenset[str] = frozenset()

    def needs(self, name: str, key: Any = None) -> int:
        """Bits without which absence of an attribute, member or key is no answer but an error."""
        if self.schema is None or name not in self.schema.attributes:
            return 0
        return self.schema.needs(name, key if isinstance(key, str) else None)

    def zero(self, name: str) -> bool:
        attribute = self.schema.attributes.get(name) if self.schema else None
        return attribute is not None and attribute.zero


class Scope(dict[str, Any]):
    """The facts with macro variables laid over them, as `@name`, which no attribute is called."""

    __slots__ = ("grants", "outer")

    def __init__(self, outer: Mapping[str, Any]) -> None:
        super().__init__()
        self.outer = outer
        self.grants: int = getattr(outer, "grants", EVERYTHING)

    def __missing__(self, name: str) -> Any:
        return self.outer[name]


def fetch(facts: Mapping[str, Any], name: str) -> Any:
    """The value of a name, or ABSENT."""
    try:
        return facts[name]
    except KeyError:
        return ABSENT


def absent(name: str) -> NoReturn:
    raise EvaluationError(f"{name} is absent", absent=name)


def refuse_ungranted(facts: Mapping[str, Any], needs: int, name: str) -> None:
    """Raises EvaluationError unless `needs` are granted: what was not looked at is not known to be
    missing."""
    if needs & ~getattr(facts, "grants", EVERYTHING):
        raise EvaluationError(f"{name} is not granted", absent=name)


def attribute(expr: Attr) -> Run:
    """Reads an attribute; seconds become CEL's timestamps and durations."""
    name, wrap = expr.name, _WRAPS.get(expr.kind)

    def read(facts: Mapping[str, Any]) -> Any:
        try:
            value = facts[name]
        except KeyError:
            value = ABSENT
        if value is ABSENT:
            absent(name)
        return value if wrap is None else wrap(value)

    return read


def _double(value: Any) -> Any:
    return float(value) if type(value) is int else value


_WRAPS: dict[str, Callable[[Any], Any]] = {
    TIMESTAMP: Timestamp.of_seconds,
    DURATION: Duration.of_seconds,
    DOUBLE: _double,
}


def presence(name: str, context: Context) -> Run:
    """`has(attribute)`: false where it is granted and unknown."""
    needs = context.needs(name)

    def run(facts: Mapping[str, Any]) -> bool:
        if fetch(facts, name) is not ABSENT:
            return True
        refuse_ungranted(facts, needs, name)
        return False

    return run


def membership(name: str, value_of: Run, container: Run, context: Context) -> Run:
    """`value in attribute`: false where the member is granted and not there."""

    def run(facts: Mapping[str, Any]) -> bool:
        value = value_of(facts)
        if contains(container(facts), value):
            return True
        refuse_ungranted(facts, context.needs(name, value), f"{name}[{spelt(value)}]")
        return False

    return run


def keyed(attr: Attr, entries: Run, index: Run, context: Context) -> Run:
    """A key of a map attribute: absent, or 0 in a `zero` map as far as it is granted."""
    name, zero = attr.name, context.zero(attr.name)
    nothing, wrap = (0.0, _double) if attr.kind == MAP_DOUBLE else (0, None)

    def run(facts: Mapping[str, Any]) -> Any:
        key = index(facts)
        found = item(entries(facts), key)
        if found is ABSENT:
            label = f"{name}[{spelt(key)}]"
            if not zero:
                absent(label)
            refuse_ungranted(facts, context.needs(name, key), label)
            return nothing
        return wrap(found) if wrap else found

    return run


def indexed(operand: Run, index: Run, label: str) -> Run:
    """`operand[index]` of any value; label: how messages call the operand."""

    def run(facts: Mapping[str, Any]) -> Any:
        value, key = operand(facts), index(facts)
        found = item(value, key)
        return absent(f"{label}[{spelt(key)}]") if found is ABSENT else found

    return run


def item(value: Any, key: Any) -> Any:
    """An entry of a map, or ABSENT; an item of a list, or EvaluationError."""
    if isinstance(value, MAPS):
        return find(value, key)
    if not isinstance(value, LISTS) or type(key) not in NUMBERS or key != key // 1:
        raise EvaluationError(f"no such overload: {kind_of(value)}[{kind_of(key)}]")
    if 0 <= key < len(value):
        return in_order(value)[int(key)]
    raise EvaluationError(f"index out of range: {key} in a list of {len(value)}")


def words(expr: Expr, context: Context) -> tuple[str, ...]:
    """The words of a dotted name that starts with no macro variable, else ()."""
    if isinstance(expr, Name) and expr.name not in context.variables:
        return (expr.name.removeprefix("."),)
    if isinstance(expr, Select) and not expr.test and (head := words(expr.operand, context)):
        return (*head, expr.field)
    return ()


def path(parts: tuple[str, ...]) -> Run:
    """A dotted name of plain CEL: the longest one that is bound, then fields of its value."""
    whole = ".".join(parts)
    splits = [(".".join(parts[:n]), parts[n:]) for n in range(len(parts), 0, -1)]

    def read(facts: Mapping[str, Any]) -> Any:
        for name, fields in splits:
            value = fetch(facts, name)
            if value is not ABSENT:
                for word in fields:
                    value = field(value, word, whole)
                return lifted(value)
        return absent(whole)

    return read


def field(value: Any, name: str, label: str) -> Any:
    """`value.name`; only maps have fields. label: how messages call the whole."""
    if not isinstance(value, MAPS):
        raise EvaluationError(f"no such overload: {kind_of(value)} has no field {name}")
    found = find(value, name)
    return absent(label) if found is ABSENT else found


def has_field(operand: Run, name: str) -> Run:
    """`has(operand.name)` of any map."""

    def run(facts: Mapping[str, Any]) -> bool:
        value = operand(facts)
        if not isinstance(value, MAPS):
            raise EvaluationError(f"no such overload: {kind_of(value)} has no field {name}")
        return find(value, name) is not ABSENT

    return run

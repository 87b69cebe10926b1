"""The kinds of expressions: which a type of the schema is, which compare, which overload fits.

UNKNOWN is the kind of what was already complained about (and of an empty list's items): it fits
everywhere, so that one mistake is one error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from decisions.rules.functions import Overload
from decisions.schema import MAP_DOUBLE, MAP_INT


class Kind(NamedTuple):
    """name: CEL's word, or set, number (ints and doubles mixed), unknown. item: of a list or set,
    or a map's values. key: a map's keys."""

    name: str
    item: Kind | None = None
    key: Kind | None = None

    def __str__(self) -> str:
        if self.name == "map":
            return f"map<{self.key}, {self.item}>"
        return f"list<{self.item}>" if self.name == "list" else self.name


UNKNOWN = Kind("unknown")
BOOL, STRING, NULL = Kind("bool"), Kind("string"), Kind("null")
INT, DOUBLE, NUMBER = Kind("int"), Kind("double"), Kind("number")
NUMBERS = frozenset({INT, DOUBLE, NUMBER})
ORDERED = frozenset({"bool", "string", "timestamp", "duration"})


def of_type(type_: str) -> Kind:
    """The kind of an attribute by its type in the schema."""
    if type_ in {MAP_INT, MAP_DOUBLE}:
        return Kind("map", INT if type_ == MAP_INT else DOUBLE, STRING)
    return Kind("set", STRING) if type_ == "set" else Kind(type_)


def common(kinds: Iterable[Kind]) -> Kind | None:
    """The kind that all of them are: NUMBER for ints beside doubles, None if there is none."""
    found: Kind | None = UNKNOWN
    for kind in kinds:
        found = found and _both(found, kind)
    return found


def _both(left: Kind, right: Kind) -> Kind | None:
    if left == right or UNKNOWN in {left, right}:
        return right if left == UNKNOWN else left
    if left in NUMBERS and right in NUMBERS:
        return NUMBER
    if left.name != right.name:
        return None
    item = common([left.item or UNKNOWN, right.item or UNKNOWN])
    key = common([left.key or UNKNOWN, right.key or UNKNOWN])
    return None if item is None or key is None else Kind(left.name, item, key)


def may_equal(left: Kind, right: Kind) -> bool:
    """Whether `==` between the two can ever be true."""
    if UNKNOWN in {left, right} or (left in NUMBERS and right in NUMBERS):
        return True
    if {left.name, right.name} <= {"list", "set"} or left.name == right.name == "map":
        return may_equal(left.item or UNKNOWN, right.item or UNKNOWN) and may_equal(
            left.key or UNKNOWN, right.key or UNKNOWN
        )
    return left == right


def may_order(left: Kind, right: Kind) -> bool:
    """Whether `<` between the two has a meaning."""
    return may_equal(left, right) and (
        UNKNOWN in {left, right} or left in NUMBERS or left.name in ORDERED
    )


def fitting(overloads: Sequence[Overload], args: Sequence[Kind]) -> Sequence[Overload]:
    """The overloads that take these arguments; a set is passed as a list."""
    names = ["list" if kind.name == "set" else kind.name for kind in args]
    return [
        overload
        for overload in overloads
        if len(overload.args) == len(names)
        and all(name in {"unknown", arg} for name, arg in zip(names, overload.args, strict=True))
        and (overload.result != "list" or _items(args) is not None)
    ]


def _items(args: Sequence[Kind]) -> Kind | None:
    return common(kind.item or UNKNOWN for kind in args)


def result(overloads: Sequence[Overload], args: Sequence[Kind]) -> Kind:
    """What the fitting overloads give: of two lists a list of what both hold."""
    names = {overload.result for overload in overloads}
    if len(names) != 1:
        return UNKNOWN
    name = names.pop()
    if name == "list":
        return Kind("list", _items(args))
    return Kind(name)

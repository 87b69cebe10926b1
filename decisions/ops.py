"""The ops of a template, and how they render: a look-up in, text out.

Plain structs that msgspec can encode: a program carries them, an edge runs them. What is absent is
anything false that is not a number; nothing here raises for a value it did not expect.

A name is an attribute: `{{geo.country}}` asks the look-up for "geo.country" first, then for the
key "country" of "geo". Inside a section the keys of its item come before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

from decisions.escapes import ESCAPES, RAW

Span: TypeAlias = tuple[int, int]  # [start, end) in characters of the fragment's text
Lookup: TypeAlias = Callable[[str], Any]  # a whole dotted name in; absent is anything false

_MISSING = object()  # not a value that anybody can hand in


class Text(msgspec.Struct, frozen=True, tag="t", array_like=True):
    """Text as it stands."""

    text: str

    def put(self, root: Lookup, stack: tuple[Any, ...], out: list[str]) -> None:
        out.append(self.text)


class Value(msgspec.Struct, frozen=True, tag="v", array_like=True):
    """`{{name}}`; escape: a key of `escapes.ESCAPES`, RAW for `{{{name}}}` and `{{&name}}`."""

    name: str
    escape: str
    at: Span = (0, 0)

    def put(self, root: Lookup, stack: tuple[Any, ...], out: list[str]) -> None:
        out.append(ESCAPES[self.escape](find(self.name, root, stack)))


class Section(msgspec.Struct, frozen=True, tag="s", array_like=True):
    """`{{#name}}ops{{/name}}`, or `{{^name}}ops{{/name}}` when inverted.

    False: what is absent, null, false, 0, empty. A list or set shows the ops once for each item,
    anything else once; the item is `{{.}}`, the keys of a map are names.
    """

    name: str
    inverted: bool
    ops: tuple[Op, ...]
    at: Span = (0, 0)

    def put(self, root: Lookup, stack: tuple[Any, ...], out: list[str]) -> None:
        value = find(self.name, root, stack)
        if self.inverted:
            if not value:
                put_all(self.ops, root, stack, out)
        elif isinstance(value, (list, tuple)):
            for item in value:
                put_all(self.ops, root, (*stack, item), out)
        elif isinstance(value, (set, frozenset)):
            for item in sorted(value):
                put_all(self.ops, root, (*stack, item), out)
        elif value:
            put_all(self.ops, root, (*stack, value), out)


Op: TypeAlias = Text | Value | Section


class Token(msgspec.Struct, frozen=True):
    """One name that a template reads.

    name: as written; `.` is the item of the innermost section. span: of the tag in the fragment's
    text (of the partial's tag, for a token of a partial). use: `value`, `raw`, `section` or
    `inverted`. within: the names of the sections around it that are not inverted, outermost first.
    """

    name: str
    span: Span
    use: str
    within: tuple[str, ...] = ()

    @property
    def in_section(self) -> bool:
        return bool(self.within)


def looked_up(facts: Mapping[str, Any]) -> Lookup:
    """The look-up of a mapping; a name it lacks is None, or what its own `__missing__` says."""
    return facts.__getitem__ if hasattr(facts, "__missing__") else facts.get


def overlaid(extra: Mapping[str, Any], facts: Mapping[str, Any]) -> Lookup:
    """A rule's or variant's `with` before the facts; its maps are read by dotted names too."""
    under = looked_up(facts)
    if not extra:
        return under

    def look(name: str) -> Any:
        if name in extra:
            return extra[name]
        head, dot, rest = name.partition(".")
        return _within(extra[head], rest) if dot and head in extra else under(name)

    return look


def put_all(ops: Iterable[Any], root: Lookup, stack: tuple[Any, ...], out: list[str]) -> None:
    for op in ops:
        op.put(root, stack, out)


def find(name: str, root: Lookup, stack: tuple[Any, ...]) -> Any:
    """The innermost item that has the first word of the name, then the flat names of the root."""
    if stack:
        if name == ".":
            return stack[-1]
        head, _, rest = name.partition(".")
        for item in reversed(stack):
            if isinstance(item, Mapping) and (value := item.get(head, _MISSING)) is not _MISSING:
                return walk(value, rest) if rest else value
    value = root(name)
    if value or "." not in name or isinstance(value, (int, float)):
        return value
    found = _key_of(name, root)
    return value if found is None else found


def _key_of(name: str, root: Lookup) -> Any:
    """`interest.shoes` as the key "shoes" of "interest": the longest attribute that is there."""
    head, dot, _ = name.rpartition(".")
    while dot:
        if value := root(head):
            return _within(value, name[len(head) + 1 :])
        head, dot, _ = head.rpartition(".")
    return None


def _within(value: Any, name: str) -> Any:
    """A key of a map (keys may have dots), or whether a set has a member; None when it has not.

    Asked by `get`, for what `[]` and `in` may answer with an error: a key that is not granted.
    """
    if isinstance(value, (set, frozenset)):
        return frozenset.__contains__(frozenset(value), name) or None
    if not isinstance(value, Mapping):
        return None
    if (found := value.get(name, _MISSING)) is not _MISSING:
        return found
    head, dot, rest = name.partition(".")
    return _within(value.get(head), rest) if dot else None


def walk(value: Any, name: str) -> Any:
    """Mustache's own dotted names: one key a word, never a key with dots."""
    for word in name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(word)
    return value


def tokens_of(ops: Iterable[Op], within: tuple[str, ...]) -> Iterator[Token]:
    for op in ops:
        if isinstance(op, Value):
            yield Token(op.name, op.at, "raw" if op.escape == RAW else "value", within)
        elif isinstance(op, Section):
            yield Token(op.name, op.at, "inverted" if op.inverted else "section", within)
            yield from tokens_of(op.ops, within if op.inverted else (*within, op.name))

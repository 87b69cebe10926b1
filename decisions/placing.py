"""Which escape each token of a template gets by the place it stands in, or why it may not.

`place` runs at build time, after `templates.parse`: it follows the text of a fragment through the
states of its kind (`markup` for HTML, `jsonform` for JSON), sections left out, shown and repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Any, NamedTuple

import msgspec

from decisions import jsonform, markup
from decisions.errors import TemplateError
from decisions.markup import Refused
from decisions.ops import Op, Section, Text, Value
from decisions.templates import Template


class Machine(NamedTuple):
    """The states of one kind of text: see the functions of these names in `markup`."""

    start: Any
    follow: Callable[[Any, str], Any]
    fill: Callable[[Any, Value, Container[str]], tuple[str, Any]]
    join: Callable[[Any, Any], Any]
    finish: Callable[[Any], None]
    goes_on: bool  # whether what comes after a refused token can still be told


MACHINES: dict[str, Machine] = {
    "html": Machine(markup.START, markup.follow, markup.fill, markup.join, markup.finish, True),
    "json": Machine(
        jsonform.START, jsonform.follow, jsonform.fill, jsonform.join, jsonform.finish, False
    ),
}


def place(
    template: Template, text: str, allowed: Container[str] = ()
) -> tuple[Template, tuple[TemplateError, ...]]:
    """The template with every token's escape set, and everything that stands where it must not.

    text: what the template was parsed from, for the spans. allowed: the names whose values are
    HTML already (`html: true`), and may be put in by `{{{name}}}`. Never raises; a template with
    errors must not be shown.
    """
    walk = _Walk(MACHINES[template.kind], text, allowed)
    try:
        ops, state = walk.ops(template.ops, walk.machine.start, "")
        walk.machine.finish(state)
    except _Stop:
        ops = template.ops
    except Refused as refused:
        walk.note(refused, (max(len(text) - 1, 0), len(text)))
    return Template(template.kind, ops), tuple(walk.errors)


class _Stop(Exception):
    """The states are lost: what comes after could only be guessed."""


class _Walk:
    def __init__(self, machine: Machine, text: str, allowed: Container[str]) -> None:
        self.machine, self.text, self.allowed = machine, text, allowed
        self.errors: list[TemplateError] = []
        self.reached = 0  # where in the text the walk is, as far as tags tell

    def note(self, refused: Refused, at: tuple[int, int]) -> None:
        error = TemplateError(refused.what, self.text, at[0], at[1] - at[0], code=refused.code)
        if (error.what, error.start) not in {(known.what, known.start) for known in self.errors}:
            self.errors.append(error)

    def ops(self, ops: Iterable[Op], state: Any, item: str) -> tuple[tuple[Op, ...], Any]:
        """The ops with their escapes, and the state after them. item: what `.` stands for."""
        placed: list[Op] = []
        for op in ops:
            if isinstance(op, Text):
                state = self._text(op, state)
            elif isinstance(op, Value):
                op, state = self._value(op, state, item)
            else:
                op, state = self._section(op, state, item)
            placed.append(op)
        return tuple(placed), state

    def _text(self, op: Text, state: Any) -> Any:
        try:
            return self.machine.follow(state, op.text)
        except Refused as refused:
            start = max(self.text.find(op.text, self.reached), self.reached)
            start = min(start + (refused.offset or 0), max(len(self.text) - 1, 0))
            self.note(refused, (start, start + 1))
            raise _Stop from None

    def _value(self, op: Value, state: Any, item: str) -> tuple[Value, Any]:
        self.reached = op.at[1]
        named = msgspec.structs.replace(op, name=item) if op.name == "." else op
        try:
            escape, state = self.machine.fill(state, named, self.allowed)
        except Refused as refused:
            self.note(refused, op.at)
            if not self.machine.goes_on:
                raise _Stop from None
            return op, state
        return msgspec.structs.replace(op, escape=escape), state

    def _section(self, op: Section, state: Any, item: str) -> tuple[Section, Any]:
        inner = item if op.name == "." else op.name
        try:
            while True:  # states only grow, and there are few
                self.reached = op.at[1]
                ops, after = self.ops(op.ops, state, item if op.inverted else inner)
                joined = self.machine.join(state, after)
                if op.inverted or joined == state:
                    return msgspec.structs.replace(op, ops=ops), joined
                state = joined
        except Refused as refused:
            self.note(refused, op.at)
            raise _Stop from None

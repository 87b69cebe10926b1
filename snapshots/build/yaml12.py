"""YAML 1.2 in, plain values out with the place of each, and every fault that can be told.

PyYAML's scanner, parser and composer do the reading; resolving and constructing are done here, by
the core schema of YAML 1.2: `on`, `NO` and dates are strings, keys are always strings. Tags, merge
keys, duplicate keys and documents after the first are refused, anchors and aliases are allowed and
counted, so that a small file cannot become a large value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import msgspec
import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from decisions.errors import Position, Problem

MAX_VALUES = 200_000  # after aliases are followed; a playbook of 10,000 rules has about 100,000
MAX_DEPTH = 40  # lists and maps in one another; the composer recurses
MAX_DIGITS = 100  # of a number; Python refuses to read more than 4,300

Path = tuple[str | int, ...]


class Document(msgspec.Struct, frozen=True):
    """One file as read.

    places: path → where its text begins (a scalar) or its key stands (a list or map). keys: path →
    where its key stands. written: path → a scalar as it was typed. problems: what is wrong, `value`
    then lacks the parts concerned.
    """

    file: str
    lines: tuple[str, ...]
    value: Any = None
    places: dict[Path, Position] = {}
    keys: dict[Path, Position] = {}
    written: dict[Path, str] = {}
    problems: tuple[Problem, ...] = ()

    def where(self, path: Path) -> Position:
        """The place of `path`, or of the nearest thing around it that has one."""
        for length in range(len(path), -1, -1):
            if (place := self.places.get(path[:length])) is not None:
                return place
        return Position(self.file)

    def problem(self, code: str, message: str, at: Position, length: int = 1) -> Problem:
        """A problem that shows the line it is on."""
        return problem_on(self.lines, code, message, at, length)


def problem_on(
    lines: tuple[str, ...], code: str, message: str, at: Position, length: int = 1
) -> Problem:
    """A problem at a place of a file of which `lines` are known."""
    text = lines[at.line - 1] if at.line <= len(lines) else ""
    start = min(at.column - 1, len(text))
    return Problem(code=code, message=message, at=at, text=text, start=start, length=length)


def load(text: str, file: str) -> Document:
    """The document of a text; an empty one has the value None. Never raises for what is in it."""
    lines = tuple(text.split("\n"))
    try:
        node = _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Position(file, mark.line + 1, mark.column + 1) if mark else Position(file)
        what = " ".join(part for part in (error.context, error.problem) if part)
        return Document(file, lines, problems=(problem_on(lines, "yaml", what, place),))
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Position(file, before.count("\n") + 1, error.position - before.rfind("\n"))
        what = f"expected text, got the character U+{ord(text[error.position]):04X}"
        return Document(file, lines, problems=(problem_on(lines, "yaml", what, place),))
    built = _Builder(file, lines)
    value = built.value(node, ()) if node else None
    return Document(
        file, lines, value, built.places, built.keys, built.written, tuple(built.problems)
    )


class _Loader(Reader, Scanner, Parser, Composer, BaseResolver):
    """Text in, nodes out: no tags, and no deeper than MAX_DEPTH."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self.depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            raise yaml.MarkedYAMLError(
                problem=f"expected a plain value, got the tag {event.tag}",
                problem_mark=event.start_mark,
            )
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(
                problem=f"expected at most {MAX_DEPTH} lists and maps in one another",
                problem_mark=event.start_mark,
            )
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Builder:
    """Nodes in, values out; what is wrong is noted and left out."""

    def __init__(self, file: str, lines: tuple[str, ...]) -> None:
        self.file, self.lines = file, lines
        self.places: dict[Path, Position] = {}
        self.keys: dict[Path, Position] = {}
        self.written: dict[Path, str] = {}
        self.problems: list[Problem] = []
        self.left = MAX_VALUES
        self.around: list[yaml.Node] = []

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.left -= 1
        if self.left < 0 or node in self.around:
            if self.left >= 0 or not any(problem.code == "too-large" for problem in self.problems):
                self._refuse_growth(node)
            return None
        self.places[path] = self.keys.get(path) or self._at(node)
        if isinstance(node, yaml.ScalarNode):
            self.places[path] = self._text_start(node)
            self.written[path] = node.value
            return self._scalar(node)
        self.around.append(node)
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
            return self._mapping(node, path)
        finally:
            self.around.pop()

    def _refuse_growth(self, node: yaml.Node) -> None:
        if self.left < 0:
            what = f"expected at most {MAX_VALUES} values once aliases are followed"
            self._problem("too-large", what, self._at(node))
        else:
            self._problem("yaml", "expected a value, got an alias to what it is in", self._at(node))

    def _mapping(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        for key_node, value_node in node.value:
            at = self._text_start(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem("yaml", "expected text as a key, got a list or map", at)
                continue
            key = key_node.value
            if key == "<<" and key_node.style is None:
                self._problem("merge-key", "expected a key, got a merge key: write it out", at, 2)
                continue
            if key in entries:
                first = self.keys[(*path, key)]
                what = f"duplicate key {key}, first at line {first.line}, column {first.column}"
                self._problem("duplicate-key", what, at, len(key))
                continue
            self.keys[(*path, key)] = at
            entries[key] = self.value(value_node, (*path, key))
        return entries

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        if node.style is not None:
            return node.value
        if len(node.value) > MAX_DIGITS:
            return node.value
        for pattern, read in CORE:
            if pattern.fullmatch(node.value):
                return read(node.value)
        return node.value

    def _at(self, node: yaml.Node) -> Position:
        return Position(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _text_start(self, node: yaml.Node) -> Position:
        """Where the first character of a scalar's text stands, inside quotes and block marks."""
        at = self._at(node)
        style = getattr(node, "style", None)
        if style in ("'", '"'):
            return Position(self.file, at.line, at.column + 1)
        if style in ("|", ">"):
            for line in self.lines[at.line :]:
                if body := line.strip():
                    return Position(self.file, at.line + 1, line.index(body) + 1)
        return at

    def _problem(self, code: str, message: str, at: Position, length: int = 1) -> None:
        self.problems.append(problem_on(self.lines, code, message, at, length))


# The core schema, https://yaml.org/spec/1.2.2/#1032-tag-resolution, in its order.
CORE: tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...] = (
    (re.compile(r"|~|null|Null|NULL"), lambda _: None),
    (re.compile(r"true|True|TRUE|false|False|FALSE"), lambda text: text.lower() == "true"),
    (re.compile(r"[-+]?[0-9]+"), int),
    (re.compile(r"0o[0-7]+"), lambda text: int(text[2:], 8)),
    (re.compile(r"0x[0-9a-fA-F]+"), lambda text: int(text[2:], 16)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)"), lambda text: -math.inf if text[0] == "-" else math.inf),
    (re.compile(r"\.(nan|NaN|NAN)"), lambda _: math.nan),
)

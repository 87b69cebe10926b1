"""Mustache: a fragment's text in, a small list of ops out; the ops and a look-up in, text out.

The six mandatory modules of the Mustache specification 1.4, and inheritance: layouts and their
blocks. `parse` runs at build time: partials and layouts are put in place, whatever is wrong is an
error with its span. Ops are what the program carries; a text without tags is one op, and of a
layout nothing is left. Where in HTML a token may stand is `markup`'s business.

A fragment's names are flat (see `ops`); `render` is Mustache to the letter instead: nested data.
"""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec

from decisions.errors import TemplateError
from decisions.escapes import HTML, JSON_TEXT, RAW
from decisions.layouts import indentation, reindented, weight
from decisions.ops import (
    Lookup,
    Op,
    Section,
    Span,
    Text,
    Token,
    Value,
    looked_up,
    overlaid,
    put_all,
    tokens_of,
    walk,
)

__all__ = ["Op", "Template", "Token", "included", "overlaid", "parse", "render"]

MAX_NESTING = 32  # sections in sections, partials in partials: nobody writes more on purpose
MAX_INCLUDES = 500  # partials put in place in one fragment; doubling ones would fill the memory
MAX_BLOCK = 1_000_000  # characters that fill a block; blocks that double would fill the memory too

_REST_OF_LINE = re.compile(r"[ \t]*(?:\r?\n|\Z)")
_LINE_STARTS = re.compile(r"^(?=.|\n)", re.MULTILINE)
_ALONE = frozenset(
    "#^/!=>$"
)  # tags that take their whole line with them when nothing else is on it


Blocks: TypeAlias = Mapping[str, tuple[Any, ...]]  # a layout's block → the ops that fill it
NO_BLOCKS: Blocks = {}


class Template(msgspec.Struct, frozen=True, array_like=True):
    """A parsed fragment; kind: `html` or `json`."""

    kind: str
    ops: tuple[Op, ...] = ()

    @property
    def tokens(self) -> tuple[Token, ...]:
        """Every name read, in the order of the text."""
        return tuple(tokens_of(self.ops, ()))

    @property
    def asks(self) -> bool:
        """Whether anything in it depends on the visitor."""
        return any(type(op) is not Text for op in self.ops)

    def render(self, source: Lookup | Mapping[str, Any]) -> str:
        """The text for one visitor. source: flat facts, by whole dotted names; see `overlaid`."""
        ops = self.ops
        if len(ops) == 1 and type(ops[0]) is Text:
            return ops[0].text
        out: list[str] = []
        put_all(ops, source if callable(source) else looked_up(source), (), out)
        return "".join(out)


def parse(text: str, kind: str = "html", partials: Mapping[str, str] | None = None) -> Template:
    """The template of a fragment, its partials in place.

    partials: name → text of the fragments that `{{> name}}` and `{{< name}}` may take in. Raises
    TemplateError with the span of what does not parse, of an unknown or a recursive partial.
    """
    try:
        ops = _Parser(text, JSON_TEXT if kind == "json" else HTML, _Inline(partials or {})).ops()
    except _Fault as fault:
        start, end = fault.at
        raise TemplateError(fault.what, text, start, end - start, code=fault.code) from None
    return Template(kind, ops)


def included(text: str, partials: Mapping[str, str]) -> frozenset[str]:
    """The names of the partials that a fragment takes in, directly or through others; those up to
    the first error, if there is one."""
    inline = _Inline(partials)
    with contextlib.suppress(_Fault):
        _Parser(text, HTML, inline).ops()
    return frozenset(inline.seen)


def render(text: str, data: Any, partials: Mapping[str, str] | None = None) -> str:
    """Mustache to the letter: nested data, partials looked up when reached, unknown ones empty.

    Raises TemplateError when the text does not parse; RecursionError for a partial without end.
    """
    known = partials or {}

    def late(tag: _Tag, parser: _Parser, blocks: Blocks) -> Sequence[_Late]:
        if tag.name not in known:
            return []
        return [_Late(indented(known[tag.name], tag.indent), late, blocks)]

    def look(name: str) -> Any:
        return data if name == "." else walk(data, name)

    out: list[str] = []
    try:
        put_all(_Parser(text, HTML, late).ops(), look, (), out)
    except _Fault as fault:
        start, end = fault.at
        raise TemplateError(fault.what, text, start, end - start, code=fault.code) from None
    return "".join(out)


def indented(text: str, indent: str) -> str:
    """The text of a partial that stands alone on an indented line."""
    return _LINE_STARTS.sub(lambda _: indent, text) if indent else text


class _Fault(Exception):
    """What is wrong, and where in the text that is being parsed."""

    def __init__(self, what: str, at: Span, code: str = TemplateError.code) -> None:
        self.what, self.at, self.code = what, at, code
        super().__init__(what)


class _Inline:
    """Puts partials and layouts in place; `path` holds those that are being put.

    The blocks that a layout is given only grow on the way down, so one that comes again by the same
    name with the same blocks would come for ever; with one more it may end.
    """

    def __init__(self, known: Mapping[str, str]) -> None:
        self.known = known
        self.path: list[tuple[str, frozenset[str]]] = []
        self.seen: set[str] = set()
        self.left = MAX_INCLUDES

    def __call__(self, tag: _Tag, parser: _Parser, blocks: Blocks) -> Sequence[Op]:
        name, at, here = tag.name, tag.at, (tag.name, frozenset(blocks))
        self.left -= 1
        if name not in self.known:
            near = difflib.get_close_matches(name, self.known, 1)
            hint = f", did you mean {near[0]}?" if near else ""
            raise _Fault(f"unknown partial {name}{hint}", at, "unknown-partial")
        if here in self.path:
            circle = [known for known, _ in self.path[self.path.index(here) :]]
            what = f"partial includes itself: {' > '.join([*circle, name])}"
            raise _Fault(what, at, "recursive-partial")
        if len(self.path) == MAX_NESTING or self.left < 0:
            raise _Fault(f"expected at most {MAX_NESTING} partials deep, {MAX_INCLUDES} in all", at)
        self.path.append(here)
        self.seen.add(name)
        try:
            text = indented(self.known[name], tag.indent)
            return _Parser(text, parser.escape, self, parser.origin or at, blocks).ops()
        except _Fault as fault:
            raise _Fault(f"in partial {name}: {fault.what}", at, fault.code) from None
        finally:
            self.path.pop()


class _Late:
    """A partial of plain Mustache: parsed when it is reached, for it may include itself."""

    def __init__(self, text: str, include: Include, blocks: Blocks) -> None:
        self.text, self.include, self.blocks = text, include, blocks

    def put(self, root: Lookup, stack: tuple[Any, ...], out: list[str]) -> None:
        parser = _Parser(self.text, HTML, self.include, None, self.blocks)
        put_all(parser.ops(), root, stack, out)


class _Tag(NamedTuple):
    sigil: str
    name: str
    at: Span
    indent: str  # what stands before it, when it leads its line
    end: int  # where the text goes on
    leads: bool  # whether nothing that counts stands before it on its line
    alone: bool  # whether it takes the whole line with it


class _Open(NamedTuple):
    """A section, layout or block that is not closed yet, the ops around it, a layout's blocks."""

    tag: _Tag
    around: list[Any]
    blocks: dict[str, tuple[Any, ...]]


class _Parser:
    """One text in, its ops out.

    origin: the span that all ops of a partial are given. blocks: name → ops, what whoever takes the
    text in as a layout puts into its blocks.
    """

    def __init__(
        self,
        text: str,
        escape: str,
        include: Include,
        origin: Span | None = None,
        blocks: Blocks = NO_BLOCKS,
    ) -> None:
        self.text, self.escape, self.include, self.origin = text, escape, include, origin
        self.blocks = blocks
        self.delimiters = ("{{", "}}")
        self.here: list[Any] = []
        self.open: list[_Open] = []

    def ops(self) -> tuple[Any, ...]:
        place = 0
        while (start := self.text.find(self.delimiters[0], place)) >= 0:
            tag, text_end = self._tag(start)
            self._say(self.text[place:text_end])
            PUT[tag.sigil](self, tag)
            place = tag.end
        self._say(self.text[place:])
        if self.open:
            tag = self.open[-1].tag
            raise _Fault(f"expected a closing tag for {tag.name}, got the end", tag.at)
        return tuple(self.here)

    def _tag(self, start: int) -> tuple[_Tag, int]:
        """The tag that opens at `start`, and where the text before it ends."""
        opening, closing = self.delimiters
        inside = start + len(opening)
        sigil = self.text[inside : inside + 1]
        sigil = sigil if sigil in PUT else ""
        closing = {"{": "}", "=": "="}.get(sigil, "") + closing
        inner_end = self.text.find(closing, inside + len(sigil))
        if inner_end < 0:
            raise _Fault(f"expected {closing} after this", (start, inside))
        name = self.text[inside + len(sigil) : inner_end].strip()
        end = inner_end + len(closing)
        at = (start, end)
        line_start = self.text.rfind("\n", 0, start) + 1
        indent = self.text[line_start:start]
        leads = not indent.strip(" \t")
        indent = indent if leads else ""
        if self._in_layout():  # what stands before it goes nowhere
            leads = sigil != "/" or self.open[-1].tag.leads
        rest = _REST_OF_LINE.match(self.text, end)
        if leads and rest and sigil in _ALONE:
            return _Tag(sigil, name, at, indent, rest.end(), leads, True), line_start
        text_end = line_start if leads and sigil == "<" else start  # see `_put_layout`
        return _Tag(sigil, name, at, indent, end, leads, False), text_end

    def _in_layout(self) -> bool:
        return bool(self.open) and self.open[-1].tag.sigil == "<"

    def _idle(self) -> bool:
        """Whether what stands here goes nowhere: between a layout's blocks, or a default that the
        layout's user replaces."""
        sigils = [each.tag.sigil for each in self.open]
        return any(
            (sigil == "<" and after != "$") or (sigil == "$" and each.tag.name in self.blocks)
            for each, sigil, after in zip(self.open, sigils, [*sigils, ""][1:], strict=True)
        )

    def _say(self, text: str) -> None:
        if text and self.here and isinstance(self.here[-1], Text):
            self.here[-1] = Text(self.here[-1].text + text)
        elif text:
            self.here.append(Text(text))

    def _named(self, tag: _Tag) -> str:
        if not tag.name or re.search(r"\s", tag.name) or tag.name[0] in "<$*":
            raise _Fault(f"expected a name in the tag, got {tag.name!r}", tag.at)
        return tag.name

    def comment(self, tag: _Tag) -> None:
        """Nothing comes of it."""

    def value(self, tag: _Tag) -> None:
        escape = RAW if tag.sigil else self.escape
        self.here.append(Value(self._named(tag), escape, self.origin or tag.at))

    def section(self, tag: _Tag) -> None:
        self._named(tag)
        if len(self.open) == MAX_NESTING:
            raise _Fault(f"expected at most {MAX_NESTING} sections in one another", tag.at)
        self.open.append(_Open(tag, self.here, {}))
        self.here = []

    def close(self, tag: _Tag) -> None:
        if not self.open or self.open[-1].tag.name != tag.name:
            wanted = f"{{{{/{self.open[-1].tag.name}}}}}" if self.open else "no closing tag"
            raise _Fault(f"expected {wanted}, got {{{{/{tag.name}}}}}", tag.at)
        (opened, around, blocks), content = self.open.pop(), tuple(self.here)
        self.here = around
        if opened.sigil == "<":
            self._put_layout(opened, blocks, tag.alone)
        elif opened.sigil == "$":
            self._put_block(opened, content)
        else:
            place = self.origin or opened.at
            self.here.append(Section(opened.name, opened.sigil == "^", content, place))

    def _put_layout(self, opened: _Tag, blocks: Blocks, alone: bool) -> None:
        """`{{< name}}` … `{{/name}}`: the text of that name with these blocks in it."""
        if not alone:
            self._say(opened.indent)
            opened = opened._replace(indent="")
        if not self._idle():
            self._put(self.include(opened, self, {**blocks, **self.blocks}))

    def _put_block(self, opened: _Tag, content: tuple[Any, ...]) -> None:
        """`{{$ name}}` … `{{/name}}`: given to the layout around it, or a place for what is."""
        written = indentation(content) if opened.alone else ""
        if self._in_layout():
            self.open[-1].blocks[opened.name] = reindented(content, written, "")
        elif opened.name in self.blocks:
            if weight(self.blocks[opened.name]) > MAX_BLOCK:
                what = f"expected at most {MAX_BLOCK:,} characters in a block of a layout"
                raise _Fault(what, opened.at)
            indent = written if opened.alone and content else opened.indent
            self._put(reindented(self.blocks[opened.name], "", indent, opened.alone))
        else:
            self._put(content)

    def partial(self, tag: _Tag) -> None:
        tag = tag._replace(name=self._named(tag), indent=tag.indent if tag.alone else "")
        if not self._idle():
            self._put(self.include(tag, self, self.blocks))

    def _put(self, ops: Sequence[Any]) -> None:
        for op in ops:
            self._say(op.text) if isinstance(op, Text) else self.here.append(op)

    def delimit(self, tag: _Tag) -> None:
        pair = tag.name.split()
        if len(pair) != 2 or "=" in tag.name:
            raise _Fault("expected two delimiters between the equals signs", tag.at)
        self.delimiters = (pair[0], pair[1])


Include: TypeAlias = Callable[[_Tag, _Parser, Blocks], Sequence[Any]]

PUT: dict[str, Callable[[_Parser, _Tag], None]] = {
    "": _Parser.value,
    "{": _Parser.value,
    "&": _Parser.value,
    "!": _Parser.comment,
    "#": _Parser.section,
    "^": _Parser.section,
    "<": _Parser.section,
    "$": _Parser.section,
    "/": _Parser.close,
    ">": _Parser.partial,
    "=": _Parser.delimit,
}

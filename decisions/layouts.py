"""Blocks of a layout moved from where they are written to where they stand: their indentation.

A block put into a layout loses the indentation it is written with and gets that of its place; the
spaces at the start of a line are all that changes. Which block goes where is `templates`' business.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from decisions.ops import Section, Text

_SPACES = re.compile(r"[ \t]*")
_LINES = re.compile(r"[^\n]*\n|[^\n]+")


def indentation(ops: Sequence[Any]) -> str:
    """The spaces that the first line begins with."""
    found = _SPACES.match(ops[0].text) if ops and isinstance(ops[0], Text) else None
    return found[0] if found else ""


def weight(ops: Sequence[Any]) -> int:
    """How much it is: the characters of the text, and one for anything else."""
    return sum(
        len(op.text) if isinstance(op, Text) else 1 + weight(getattr(op, "ops", ())) for op in ops
    )


def reindented(ops: Sequence[Any], old: str, new: str, starts: bool = True) -> tuple[Any, ...]:
    """The ops with each line's beginning `old` replaced by `new`.

    starts: whether the ops begin at the start of a line; if not, their first line stays.
    """
    return tuple(_moved(ops, old, new, starts)[0]) if old or new else tuple(ops)


def _moved(ops: Sequence[Any], old: str, new: str, starts: bool) -> tuple[list[Any], bool]:
    """The ops, and whether what comes after them starts a line."""
    made: list[Any] = []
    for op in ops:
        if isinstance(op, Section):
            inner, starts = _moved(op.ops, old, new, starts)
            op = msgspec.structs.replace(op, ops=tuple(inner))
        elif isinstance(op, Text):
            lines = _LINES.findall(op.text)
            first = lines[0] if not starts else new + lines[0].removeprefix(old)
            text = first + "".join(new + line.removeprefix(old) for line in lines[1:])
            op, starts = Text(text), text.endswith("\n")
        else:
            if starts and new:
                made.append(Text(new))
            starts = False
        made.append(op)
    return made, starts

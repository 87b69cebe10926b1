"""What is found wrong with a playbook: every Problem with its place, and a name that is close.

Compiling goes on after a finding, so that an author gets all of them at once; it ends in
PlaybookErrors when everything was looked at.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

from decisions.errors import PlaybookErrors, Position, Problem, RuleError
from decisions.playbook import WrittenPlaybook, duration_s

_WORD, _QUOTES = re.compile(r"[^\s,:{}\[\]]+"), ("'", '"')  # of YAML
MAX_LISTED = 6  # so many names are listed when none is close


class Findings:
    """The problems of one playbook, as they come up."""

    def __init__(self, written: WrittenPlaybook) -> None:
        self.written = written
        self.problems: list[Problem] = []

    def add(self, code: str, message: str, *path: str | int, severity: str = "error") -> None:
        """A problem with the value at `path`."""
        at = self.written.where(*path)
        shown = _quoted(self.written.line(at), at.column - 1)
        self.problems.append(Problem(code=code, message=message, at=at, severity=severity, **shown))

    def add_in_text(self, error: RuleError, *path: str | int, severity: str = "error") -> None:
        """A problem inside an expression or a template, whose first character stands at `path`."""
        self.problems.append(
            Problem(
                code=error.code,
                message=error.what,
                at=inside(self.written.where(*path), error.text, error.start),
                text=error.text,
                start=error.start,
                length=error.length,
                severity=severity,
            )
        )

    def unknown(self, what: str, name: str, known: Iterable[str], *path: str | int) -> None:
        """`name` is none of those that are `known`."""
        slug = what.replace(" ", "-")
        self.add(f"unknown-{slug}", f'unknown {what} "{name}"{suggestion(name, known)}', *path)

    def raise_errors(self) -> None:
        """Raises PlaybookErrors if anything is wrong."""
        if self.problems:
            raise PlaybookErrors(self.problems)


def check_duration(findings: Findings, text: str, *path: str | int) -> float:
    """A duration in seconds, > 0; 1.0 after a finding."""
    try:
        if (found := duration_s(text)) > 0:
            return found
        findings.add("bad-duration", f"expected a duration above 0, got {text!r}", *path)
    except ValueError as error:
        findings.add("bad-duration", str(error), *path)
    return 1.0


def _quoted(line: str, start: int) -> dict[str, Any]:
    """What a Problem shows of the line it is on: the word that begins there, or all that its quotes
    hold; nothing of no line."""
    if not line:
        return {}
    quote = line[max(start - 1, 0) : start]
    end = line.find(quote, start) if quote in _QUOTES else -1
    word = _WORD.match(line, start)
    length = end - start if end >= 0 else len(word[0]) if word else 1
    return {"text": line, "start": min(start, len(line)), "length": max(length, 1)}


def inside(start: Position, text: str, offset: int) -> Position:
    """The place of `text[offset]`, when `text[0]` stands at `start` and lines are aligned."""
    line_start = text.rfind("\n", 0, offset) + 1
    line = start.line + text.count("\n", 0, offset)
    return Position(start.file, line, start.column + offset - line_start)


def suggestion(name: str, known: Iterable[str]) -> str:
    """`, did you mean hero?`, or the few names there are, or nothing."""
    names = sorted(known)
    if near := difflib.get_close_matches(name, names, 1):
        return f", did you mean {near[0]}?"
    return f", expected one of {', '.join(names)}" if 0 < len(names) <= MAX_LISTED else ""

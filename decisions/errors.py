"""What can go wrong between a written playbook and a decision:

DecisionsError                 the root; never raised itself
├── PlaybookErrors             mend the playbook (carries every Problem at once)
├── RuleError                  mend this expression (carries the text and the offending span)
│   ├── RuleSyntaxError        it does not parse as CEL
│   ├── RuleTypeError          it parses, and means nothing the schema allows
│   └── TemplateError          a fragment's text is no template, or a token stands where it must not
├── EvaluationError            the value of an expression is CEL's error value
├── ProgramError               these bytes are no program this version can read
├── ProfileError               these claims are no profile: treat the visitor as new
└── TcStringError              these characters are no TC string: nothing is granted by them
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class DecisionsError(Exception):
    """The root of what this package raises on purpose."""


class Position(msgspec.Struct, frozen=True, order=True):
    """A place in a playbook: the file relative to its folder, line and column counted from 1."""

    file: str
    line: int = 1
    column: int = 1


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with a playbook: what was expected, what came, and where.

    code: a stable slug such as `unknown-attribute`. text: the authored line or expression, if one
    can be shown; start, length: the offending span inside `text`, in characters.
    """

    code: str
    message: str
    at: Position
    text: str = ""
    start: int = 0
    length: int = 0
    severity: str = "error"

    def __str__(self) -> str:
        place = f"{self.at.file}:{self.at.line}:{self.at.column}"
        head = f"{place}: {self.severity}: {self.message} [{self.code}]"
        return f"{head}\n{point_at(self.text, self.start, self.length)}" if self.text else head


class PlaybookErrors(DecisionsError):
    """The playbook cannot become a program; `problems` holds every error, in file order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.at))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class RuleError(DecisionsError):
    """A rule text cannot become a predicate; carries the text and the offending span."""

    code = "rule"

    def __init__(
        self, what: str, text: str, start: int, length: int = 1, *, code: str = ""
    ) -> None:
        self.what, self.text, self.start, self.length = what, text, start, length
        self.code = code or type(self).code
        super().__init__(f"{what}\n{point_at(text, start, length)}")


class RuleSyntaxError(RuleError):
    """The text is not CEL."""

    code = "syntax"


class RuleTypeError(RuleError):
    """The text is CEL, and means nothing that the schema allows."""

    code = "type"


class TemplateError(RuleError):
    """A fragment's text is no template, or a token stands where no escaping makes it safe."""

    code = "template"


class EvaluationError(DecisionsError):
    """CEL's error value: an absent name, a division by zero, no matching overload.

    absent: the name of the attribute or key whose absence caused it, or "".
    """

    def __init__(self, what: str, *, absent: str = "") -> None:
        self.absent = absent
        super().__init__(what)


class ProgramError(DecisionsError):
    """Bytes that are no program, or one of a format this version cannot read."""


class ProfileError(DecisionsError, ValueError):
    """Claims of a cookie that are no compact profile."""


class TcStringError(DecisionsError, ValueError):
    """Characters that are no TC string: what was expected, what came, and at which bit (from 0) of
    which segment (from 1, the core)."""

    def __init__(self, what: str, *, segment: int = 1, bit: int = 0) -> None:
        self.what, self.segment, self.bit = what, segment, bit
        super().__init__(f"{what} - at bit {bit} of segment {segment}")


def point_at(text: str, start: int, length: int) -> str:
    """The line of `text` that holds `start`, and a caret line under the span (cut at the line's
    end)."""
    line_start = text.rfind("\n", 0, start) + 1
    line = text[line_start:].split("\n", 1)[0]
    column = start - line_start
    carets = "^" * max(1, min(length, len(line) - column))
    return f"  {line}\n  {' ' * column}{carets}"

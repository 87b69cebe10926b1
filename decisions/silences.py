"""Warnings as they come up; those that playbook.yaml silences by name, with a reason, are left out.

The name is that of what the warning is about: a rule's id, a segment, a tag, a fragment, a value,
or the playbook itself. A silence that has nothing to silence is a warning of its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from decisions.errors import Problem, RuleError
from decisions.findings import Findings, suggestion
from decisions.playbook import WrittenPath, WrittenPlaybook

WARNING = "warning"


class Warnings:
    """The warnings of one playbook."""

    def __init__(self, written: WrittenPlaybook) -> None:
        self.written = written
        self._findings = Findings(written)
        self._used: set[tuple[str, str]] = set()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is not silenced, in file order."""
        return tuple(sorted(self._findings.problems, key=lambda problem: problem.at))

    def warn(self, code: str, message: str, *path: str | int, about: str = "") -> None:
        """A warning about the value at `path`, unless it is silenced.

        about: the name that a silence gives, where it is not that of the value.
        """
        if not self._is_silenced(code, path, about):
            self._findings.add(code, message, *path, severity=WARNING)

    def warn_in_text(self, error: RuleError, *path: str | int) -> None:
        """The same, inside the text at `path`."""
        if not self._is_silenced(error.code, path):
            self._findings.add_in_text(error, *path, severity=WARNING)

    def judge_silences(self, known: Iterable[str], unjudged: Iterable[str]) -> None:
        """Warns of silences without effect. known: every code; unjudged: those whose warnings could
        not come up, for want of data."""
        codes, later = set(known), set(unjudged)
        for code, names in self.written.settings.silence.items():
            path = ("settings", "silence", code)
            if code not in codes:
                what = f'there is no warning "{code}"{suggestion(code, codes)}'
                self._findings.add("idle-silence", what, *path, severity=WARNING)
                continue
            for name in names:
                if code not in later and (code, name) not in self._used:
                    what = f'there is no {code} of "{name}" to silence'
                    self._findings.add("idle-silence", what, *path, name, severity=WARNING)

    def _is_silenced(self, code: str, path: WrittenPath, about: str = "") -> bool:
        name = about or subject(self.written, path)
        if name not in self.written.settings.silence.get(code, {}):
            return False
        self._used.add((code, name))
        return True


def subject(written: WrittenPlaybook, path: WrittenPath) -> str:
    """The name of what a finding at `path` is about."""
    match path:
        case ("rules", int(place), *_):
            return written.rules[place].id
        case ("segments" | "fragments", str(name), *_) | ("settings", "tags", str(name), *_):
            return name
        case ("settings", "sensitive_values", str(dimension), int(place)):
            return written.settings.sensitive_values[dimension][place]
    return written.settings.name

"""`edgewise check PLAYBOOK`: every error and warning, for people, programs or code hosts."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from decisions.compiling import compile_playbook
from decisions.errors import PlaybookErrors, Problem
from decisions.lint import outcomes, warnings
from decisions.playbook import WrittenPlaybook
from decisions.program import Program
from edge.sarif import sarif


def configure(parser: argparse.ArgumentParser) -> None:
    """Which playbook, told how."""
    parser.add_argument("playbook", metavar="PLAYBOOK", help="its folder")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="one JSON document, for programs")
    forms.add_argument("--sarif", action="store_true", help="SARIF 2.1.0, for code hosts")


def run(arguments: argparse.Namespace) -> int:
    """0 without errors, 1 with some; warnings are told and do not fail.

    For people, errors go to stderr; `--json` and `--sarif` tell everything on stdout.
    """
    folder = Path(arguments.playbook)
    written, problems = look(folder)
    failed = any(problem.severity == "error" for problem in problems)
    if arguments.sarif:
        print(sarif(problems, _called(folder)))
    elif arguments.json:
        print(_json(written, problems))
    elif failed:
        raise PlaybookErrors(problems)
    else:
        for problem in problems:
            print(problem)
        if written is not None:  # pragma: no branch - what cannot be read has failed
            print(_summary(written, len(problems)))
    return 1 if failed else 0


def look(folder: Path) -> tuple[WrittenPlaybook | None, tuple[Problem, ...]]:
    """The playbook, if it can be read, and every error; or its warnings, if there is none."""
    from snapshots.build import read_playbook
    from snapshots.build.sources import FILE, check_bought, read_sources

    written: WrittenPlaybook | None = None
    program: Program | None = None
    errors: list[Problem] = []
    try:
        written = read_playbook(folder)
        program = compile_playbook(written)
    except PlaybookErrors as found:
        errors += found.problems
    try:
        if (folder / FILE).exists():
            sources = read_sources(folder)
            if program is not None:
                check_bought(sources, program.learning.events)
    except PlaybookErrors as found:
        errors += found.problems
    if errors:
        return written, PlaybookErrors(errors).problems
    return written, warnings(written) if written is not None else ()


def _called(folder: Path) -> str:
    """The folder from the working directory, where hosts look; a URI, if it is elsewhere."""
    here = Path.cwd()
    if not folder.is_absolute():
        return folder.as_posix()
    return folder.relative_to(here).as_posix() if folder.is_relative_to(here) else folder.as_uri()


def _summary(written: WrittenPlaybook, warned: int) -> str:
    shown = outcomes(written)
    together = 1
    for many in shown.values():
        together *= many
    each = ", ".join(f"{slot} {many}" for slot, many in shown.items())
    counts = ", ".join(
        (
            f"{_many(len(written.rules), 'rule')} in {_many(len(shown), 'slot')}",
            _many(len(written.segments), "segment"),
            _many(len(written.fragments), "fragment"),
            _many(len(written.tests), "test"),
        )
    )
    told = _many(warned, "warning") if warned else "no warnings"
    return (
        f"{written.settings.name}: {counts}; no errors, {told}\n"
        f"outcomes: {each}; a page with all slots can look {together:,} ways"
    )


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _json(written: WrittenPlaybook | None, problems: tuple[Problem, ...]) -> str:
    """{"ok", "problems": [...], "outcomes": {...}}; file names are relative to the playbook."""
    failed = any(problem.severity == "error" for problem in problems)
    told = {
        "ok": not failed,
        "problems": [
            {
                "file": problem.at.file,
                "line": problem.at.line,
                "column": problem.at.column,
                "severity": problem.severity,
                "code": problem.code,
                "message": problem.message,
                "length": problem.length,
                "text": problem.text,
            }
            for problem in problems
        ],
        "outcomes": outcomes(written) if written is not None and not failed else {},
    }
    return msgspec.json.format(msgspec.json.encode(told), indent=2).decode()

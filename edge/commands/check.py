"""`edgewise check PLAYBOOK`: every error and warning at once, each with its place and a caret."""

from __future__ import annotations

import argparse
from pathlib import Path

from decisions.compiling import compile_playbook
from decisions.errors import PlaybookErrors, Problem
from decisions.lint import warnings


def configure(parser: argparse.ArgumentParser) -> None:
    """Which playbook."""
    parser.add_argument("playbook", metavar="PLAYBOOK", help="its folder")


def run(arguments: argparse.Namespace) -> int:
    """0 without errors; warnings are printed and do not fail. Errors go to stderr, all of them."""
    from snapshots.build import read_playbook
    from snapshots.build.sources import FILE, read_sources

    written = read_playbook(arguments.playbook)
    errors: list[Problem] = []
    try:
        compile_playbook(written)
    except PlaybookErrors as found:
        errors += found.problems
    try:
        if (Path(arguments.playbook) / FILE).exists():
            read_sources(Path(arguments.playbook))
    except PlaybookErrors as found:
        errors += found.problems
    if errors:
        raise PlaybookErrors(errors)
    found_warnings = warnings(written)
    for warning in found_warnings:
        print(warning)
    print(
        f"{written.settings.name}: {len(written.rules)} rules in {len(written.settings.slots)} "
        f"slots, {len(written.segments)} segments, {len(written.fragments)} fragments, "
        f"{len(written.tests)} tests; no errors, {len(found_warnings)} warnings"
    )
    return 0

"""`edgewise test PLAYBOOK`: the playbook's own tests, with what differed and the steps to it."""

from __future__ import annotations

import argparse
import time

from decisions.compiling import compile_playbook
from decisions.errors import Problem
from decisions.playbook import WrittenPlaybook
from decisions.rehearsal import Rehearsed, rehearse


def configure(parser: argparse.ArgumentParser) -> None:
    """Which playbook."""
    parser.add_argument("playbook", metavar="PLAYBOOK", help="its folder")


def run(arguments: argparse.Namespace) -> int:
    """0 if all pass, 1 if one does not."""
    from snapshots.build import read_playbook

    written = read_playbook(arguments.playbook)
    results = rehearse(compile_playbook(written), written.tests, time.time())
    for result in results:
        print(
            f"{'ok    ' if result.passed else 'FAILED'} {result.name or f'test {result.place + 1}'}"
        )
        for line in _said(written, result):
            print(f"       {line}")
    failed = sum(not result.passed for result in results)
    print(f"{len(results)} tests, {failed} failed")
    return 1 if failed else 0


def _said(written: WrittenPlaybook, result: Rehearsed) -> list[str]:
    lines: list[str] = []
    for fault in result.faults:
        at = written.where("tests", result.place, *fault.path)
        lines += str(Problem(code="test", message=fault.message, at=at)).splitlines()
    for difference in result.differences:
        at = written.where("tests", result.place, "expect", difference.slot)
        lines.append(f"{at.file}:{at.line}:{at.column}")
        lines += str(difference).splitlines()
    return lines

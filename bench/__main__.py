"""Questions in, one table of figures against budgets out; exit 1 if one is breached three times.

`python -m bench [question …]` runs and writes the pages; `report` only writes the pages.
"""

from __future__ import annotations

import datetime
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench import pages
from bench.figures import HERE, Answer, Budgets, commit, keep, latest, read_budgets

ATTEMPTS = 3  # a machine that is busy with something else must not fail a budget
WITHIN_S = 330  # all of it; a breach is measured again only while that leaves the time
TIMEOUT_S = 150  # one run of one question


def main(arguments: Sequence[str]) -> int:
    """Runs the questions named, all of them by default. Returns the exit code."""
    budgets = read_budgets()
    if list(arguments) == ["report"]:
        pages.write(latest(), budgets)
        return 0
    if unknown := set(arguments) - budgets.keys():
        print(f"expected {', '.join(budgets)} or report, got {', '.join(sorted(unknown))}")
        return 2
    answers = ask(list(arguments) or list(budgets), budgets)
    keep(answers)
    pages.write(latest(), budgets)
    print("\n".join(pages.table(answers, budgets)))
    breached = [
        f"{question}.{name}"
        for question, answer in answers.items()
        for name in answer.breaches(budgets[question]) or (["error"] if answer.error else [])
    ]
    print(f"breached: {', '.join(breached)}" if breached else "all within budget")
    return 1 if breached else 0


def ask(questions: Sequence[str], budgets: Budgets) -> dict[str, Answer]:
    """Every question's answer: first all of them once, then those that breach a budget again,
    keeping the better of each figure. A question that fails is not asked again."""
    until_s = time.monotonic() + WITHIN_S
    answers = {question: run(question) for question in questions}
    for _ in range(ATTEMPTS - 1):
        for question, answer in answers.items():
            known = budgets[question]
            hurries = time.monotonic() + answer.took_s > until_s
            if not answer.error and not hurries and answer.breaches(known):
                answers[question] = answer.with_better(run(question), known)
    return answers


def run(question: str) -> Answer:
    """One run of one question in a process of its own: its figures, or what went wrong."""
    print(f"{question} …", file=sys.stderr, flush=True)
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [
            *(sys.executable, "-m", "pytest", f"bench/{question}.py", "-q", "--no-header"),
            *("-o", "addopts=--strict-markers", "-o", "filterwarnings="),
            *("-p", "no:randomly", "-p", "no:cacheprovider", "--tb=short"),
            *("--benchmark-only", "--benchmark-quiet", f"--benchmark-json={report}"),
        ]
        try:
            done = subprocess.run(
                command, cwd=HERE.parent, capture_output=True, text=True, timeout=TIMEOUT_S
            )
            error = "" if done.returncode == 0 else done.stdout + done.stderr
        except subprocess.TimeoutExpired:
            error = f"no answer within {TIMEOUT_S} s"
        found = read(report) if report.exists() else {}
    return Answer(
        figures=found.get("figures", {}),
        attempts=1,
        commit=commit(),
        at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        error=error,
        versions=found.get("versions", {}),
        paces=found.get("paces", {}),
        took_s=round(time.monotonic() - started_s, 1),
    )


def read(report: Path) -> dict[str, dict[str, Any]]:
    """The figures, their paces and the versions in a report of pytest-benchmark."""
    found: dict[str, dict[str, Any]] = {"figures": {}, "versions": {}, "paces": {}}
    for bench in msgspec.json.decode(report.read_bytes())["benchmarks"]:
        told = bench["extra_info"]
        found["figures"] |= told["figures"]
        found["versions"] |= told["versions"]
        found["paces"] |= dict.fromkeys(told["figures"], told["pace"])
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

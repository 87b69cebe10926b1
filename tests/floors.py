"""`make floors`: what `make test` covered, held to the house rule file by file; exit 1 below it.

Reads `.coverage` as the tests left it. It runs no test and takes no average: one file that nobody
tests is told, however large the rest. Tests whose component is missing are skipped on a user's
machine, so only CI holds the rule: there nothing is skipped.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import coverage
import msgspec

ROOT = Path(__file__).parent.parent
WHOLE = ("decisions/*", "snapshots/signing.py", "snapshots/trust.py", "snapshots/bundle.py")
LEAST = 95.0  # percent of the lines and branches of every other file


def floor(name: str) -> float:
    """Percent of a file's lines and branches that tests must have run. name: from the root."""
    return 100.0 if any(fnmatch(name, pattern) for pattern in WHOLE) else LEAST


def below(covered: Mapping[str, float]) -> list[str]:
    """A line for each file under its floor. covered: name → percent, not rounded."""
    return [
        f"expected at least {floor(name):g} % of lines and branches, got {percent:.2f} - at {name}"
        for name, percent in sorted(covered.items())
        if percent < floor(name)
    ]


def measured() -> dict[str, float]:
    """Name → percent of every file of the packages, those that nothing ran included."""
    data = coverage.Coverage(
        data_file=str(ROOT / ".coverage"), config_file=str(ROOT / "pyproject.toml")
    )
    data.load()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        data.json_report(outfile=str(report))
        files: dict[str, Any] = msgspec.json.decode(report.read_bytes())["files"]
    return {name: figures["summary"]["percent_covered"] for name, figures in files.items()}


def main() -> int:
    """Prints each file that is too low, or that none is."""
    covered = measured()
    found = below(covered)
    print("\n".join(found) or f"{len(covered)} files, each at its floor of coverage or above")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

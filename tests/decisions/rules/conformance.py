"""The standard's own cases, and the table that docs/rules.md shows of them.

`python -m tests.decisions.rules.conformance` runs them all and rewrites that table.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from decisions.errors import EvaluationError
from decisions.rules.evaluator import evaluate

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "rules.md"
BEGIN, END = "<!-- conformance -->\n", "<!-- /conformance -->"
CASES: list[dict[str, Any]] = [
    json.loads(line)
    for line in (ROOT / "tests/spec/cel.jsonl").read_text(encoding="utf-8").splitlines()
]

_VALUES: dict[str, Callable[[Any], Any]] = {
    "int": int,
    "double": float,
    "list": lambda items: [value(item) for item in items],
    "map": lambda entries: {value(key): value(item) for key, item in entries},
}


def value(typed: dict[str, Any]) -> Any:
    """The suite's typed value as Python's."""
    return _VALUES.get(typed["t"], lambda plain: plain)(typed["v"])


def same(got: Any, wanted: Any) -> bool:
    """Equal and of one type all the way down; -0.0 is not 0.0."""
    if type(got) is not type(wanted):
        return False
    if isinstance(wanted, list):
        return len(got) == len(wanted) and all(map(same, got, wanted))
    if isinstance(wanted, dict):
        return got.keys() == wanted.keys() and all(same(got[key], wanted[key]) for key in wanted)
    if isinstance(wanted, float):
        return bool(got == wanted) and math.copysign(1, got) == math.copysign(1, wanted)
    return bool(got == wanted)


def passes(case: dict[str, Any]) -> bool:
    """Whether `evaluate` gives what the case expects: this value, or an error."""
    bindings = {name: value(typed) for name, typed in case.get("bindings", {}).items()}
    try:
        got = evaluate(case["expr"], bindings)
    except EvaluationError:
        return "error" in case["expect"]
    return "value" in case["expect"] and same(got, value(case["expect"]["value"]))


def table() -> str:
    """One row per file of the suite, and the sum."""
    cases = Counter(case["file"] for case in CASES)
    passed = Counter(case["file"] for case in CASES if passes(case))
    rows = [f"| {file} | {count} | {passed[file]} |" for file, count in sorted(cases.items())]
    total = f"| **all** | **{cases.total()}** | **{passed.total()}** |"
    return "\n".join(["| file | cases | pass |", "|---|---|---|", *rows, total]) + "\n"


def shown() -> str:
    """The table as the page has it now."""
    return PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]


if __name__ == "__main__":
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}{table()}{END}{rest.split(END)[1]}", encoding="utf-8")

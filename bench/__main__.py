"""Questions in, a table of figures against budgets out; exit 1 if one is breached three times.

`python -m bench [question …]` runs, `python -m bench report` writes bench/README.md.
"""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

import msgspec

HERE = Path(__file__).parent
LATEST = HERE / "results" / "latest.json"
ATTEMPTS = 3  # a machine that is busy with something else must not fail a budget
TIMEOUT_S = 300


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table of budgets.toml."""

    says: str
    unit: str = ""
    max: float | None = None
    min: float | None = None

    def holds(self, figure: float | None) -> bool:
        """Whether a figure keeps the budget; one that was not measured does not."""
        if figure is None:
            return False
        return (self.max is None or figure <= self.max) and (self.min is None or figure >= self.min)

    def better(self, one: float, other: float) -> float:
        """The figure that is further from a breach."""
        return max(one, other) if self.max is None else min(one, other)

    def limit(self) -> str:
        """`≤ 30 µs`."""
        sign, limit = ("≥", self.min) if self.max is None else ("≤", self.max)
        return f"{sign} {shown(limit)} {self.unit}".rstrip()


class Answer(msgspec.Struct, frozen=True):
    """What one question gave. attempts: 1, or more after a breach. error: why it gave nothing."""

    figures: dict[str, float]
    attempts: int
    commit: str
    at: str
    error: str = ""


class Results(msgspec.Struct, frozen=True):
    """bench/results/latest.json: the latest answer to every question."""

    machine: dict[str, str]
    answers: dict[str, Answer]


Budgets = dict[str, dict[str, Budget]]


def main(arguments: Sequence[str]) -> int:
    """Runs the questions named, all of them by default. Returns the exit code."""
    budgets = msgspec.convert(
        tomllib.loads((HERE / "budgets.toml").read_text(encoding="utf-8")), Budgets
    )
    if list(arguments) == ["report"]:
        (HERE / "README.md").write_text(page(latest(), budgets), encoding="utf-8")
        return 0
    if unknown := set(arguments) - budgets.keys():
        print(f"expected {', '.join(budgets)} or report, got {', '.join(sorted(unknown))}")
        return 2
    asked = list(arguments) or list(budgets)
    answers = {}
    for question in asked:
        print(f"{question} …", flush=True)
        answers[question] = ask(question, budgets[question])
        print("\n".join(rows(question, answers[question], budgets[question])), flush=True)
    keep(answers)
    breached = [
        f"{question}.{name}"
        for question in asked
        for name, budget in budgets[question].items()
        if not budget.holds(answers[question].figures.get(name))
    ]
    broken = [question for question in asked if answers[question].error]
    print(
        f"breached: {', '.join(breached or broken)}" if breached or broken else "all within budget"
    )
    return 1 if breached or broken else 0


def ask(question: str, budgets: dict[str, Budget]) -> Answer:
    """Runs one question, and again while a budget is breached; keeps the best of each figure. A
    question that fails is not asked again."""
    figures: dict[str, float] = {}
    error, attempts = "", 0
    while attempts < ATTEMPTS:
        attempts += 1
        found, error = run(question)
        for name, figure in found.items():
            budget = budgets.get(name)
            known = figures.get(name, figure)
            figures[name] = budget.better(known, figure) if budget else figure
        if error or all(budget.holds(figures.get(name)) for name, budget in budgets.items()):
            break
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return Answer(figures, attempts, commit(), now, error)


def run(question: str) -> tuple[dict[str, float], str]:
    """One run of one question in a process of its own: its figures, or what went wrong."""
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
        except subprocess.TimeoutExpired:
            return {}, f"no answer within {TIMEOUT_S} s"
        figures = read(report) if report.exists() else {}
        return figures, "" if done.returncode == 0 else done.stdout + done.stderr


def read(report: Path) -> dict[str, float]:
    """The figures in a report of pytest-benchmark."""
    figures: dict[str, float] = {}
    for bench in msgspec.json.decode(report.read_bytes())["benchmarks"]:
        figures |= bench["extra_info"].get("figures", {})
    return figures


def commit() -> str:
    """The commit that was measured, `+` for changes on top."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"],  # noqa: S607 # whichever git is on the path
        cwd=HERE,
        capture_output=True,
        text=True,
    )
    return described.stdout.strip() or "unknown"


def machine() -> dict[str, str]:
    """What the figures depend on besides the code."""
    models = (
        [
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ]
        if Path("/proc/cpuinfo").exists()
        else []
    )
    return {
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "system": platform.system(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def latest() -> Results:
    """The results kept so far."""
    if not LATEST.exists():
        return Results({}, {})
    return msgspec.json.decode(LATEST.read_bytes(), type=Results)


def keep(answers: dict[str, Answer]) -> None:
    """Puts new answers over the old ones; answers of another machine are dropped."""
    before = latest()
    here = machine()
    kept = before.answers if before.machine == here else {}
    LATEST.parent.mkdir(exist_ok=True)
    encoded = msgspec.json.format(msgspec.json.encode(Results(here, kept | answers)))
    LATEST.write_bytes(encoded + b"\n")


def rows(question: str, answer: Answer, budgets: dict[str, Budget]) -> list[str]:
    """One question's part of the table: what has a budget first."""
    lines = [
        f"  {budget.says:<72}{budget.limit():>20}{shown(answer.figures.get(name)):>12}  "
        + ("ok" if budget.holds(answer.figures.get(name)) else "BREACHED")
        for name, budget in budgets.items()
    ]
    others = [name for name in answer.figures if name not in budgets]
    lines += [f"  {f'{question}.{name}':<92}{shown(answer.figures[name]):>12}" for name in others]
    if answer.attempts > 1:
        lines.append(f"  measured {answer.attempts} times")
    return [*lines, *answer.error.splitlines()[-40:]]


def page(results: Results, budgets: Budgets) -> str:
    """bench/README.md."""
    lines = [
        "# Budgets and figures",
        "",
        "Generated by `python -m bench report` from the latest results; `python -m bench` measures"
        " anew.",
        "",
        ", ".join(f"{name}: {value}" for name, value in results.machine.items()),
        "",
        "| question | budget | measured | commit |",
        "|---|---|---|---|",
    ]
    for question, known in budgets.items():
        if (answer := results.answers.get(question)) is None:
            continue
        for name, budget in known.items():
            figure = f"{shown(answer.figures.get(name))} {budget.unit}"
            lines.append(f"| {budget.says} | {budget.limit()} | {figure} | {answer.commit} |")
        for name in sorted(answer.figures.keys() - known.keys()):
            lines.append(
                f"| `{question}.{name}` | | {shown(answer.figures[name])} | {answer.commit} |"
            )
    return "\n".join([*lines, ""])


def shown(figure: float | None) -> str:
    """Three digits that matter."""
    if figure is None:
        return "nothing"
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Budgets, answers and the results kept: what budgets.toml and results/latest.json say, as values.

Nothing here runs a question or lays out a page.
"""

from __future__ import annotations

import os
import platform
import subprocess
import tomllib
from pathlib import Path
from typing import TypeAlias

import msgspec

HERE = Path(__file__).parent
LATEST = HERE / "results" / "latest.json"
TIMES = {"µs", "ms", "s"}  # the units that a slower machine has more of


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table of budgets.toml. readme: what README.md shows for it, figures as `{name}`."""

    says: str
    unit: str = ""
    max: float | None = None
    min: float | None = None
    readme: str = ""

    def holds(self, figure: float | None, pace: float = 1.0) -> bool:
        """Whether a figure keeps the budget; one that was not measured does not.

        pace: of the machine meanwhile (`bench.pace`); times are compared at the reference's.
        """
        if figure is None:
            return False
        figure = self.at_reference(figure, pace)
        return (self.max is None or figure <= self.max) and (self.min is None or figure >= self.min)

    def at_reference(self, figure: float, pace: float) -> float:
        """A time as the reference machine would take it; anything else as it is."""
        return figure / pace if self.unit in TIMES else figure

    def better(self, one: float, other: float) -> float:
        """The figure that is further from a breach."""
        return max(one, other) if self.max is None else min(one, other)

    def limit(self) -> str:
        """`≤ 30 µs`; nothing where there is no budget."""
        if self.max is None and self.min is None:
            return ""
        sign, limit = ("≥", self.min) if self.max is None else ("≤", self.max)
        return f"{sign} {shown(limit)} {self.unit}".rstrip()


Budgets: TypeAlias = dict[str, dict[str, Budget]]


class Answer(msgspec.Struct, frozen=True):
    """What one question gave.

    figures: by the clock. paces: of the machine while each was measured (1 where none was taken).
    attempts: 1, or more after a breach. took_s: the longest of them. versions: of what was measured
    besides this project, by the name that `says` uses. error: why it gave nothing.
    """

    figures: dict[str, float]
    attempts: int
    commit: str
    at: str
    error: str = ""
    versions: dict[str, str] = {}
    took_s: float = 0.0
    paces: dict[str, float] = {}

    def says(self, budget: Budget) -> str:
        """What a budget is about, with `{name}` replaced by the version measured."""
        said = budget.says
        for name, version in self.versions.items():
            said = said.replace(f"{{{name}}}", version)
        return said

    def readme(self, budget: Budget) -> str:
        """What README.md shows for a budget; nothing while one of its figures is not measured."""
        try:
            return budget.readme.format_map({name: shown(n) for name, n in self.figures.items()})
        except KeyError:
            return ""

    def breaches(self, budgets: dict[str, Budget]) -> list[str]:
        """The names of the budgets that these figures do not keep."""
        return [name for name, each in budgets.items() if not self.keeps(name, each)]

    def keeps(self, name: str, budget: Budget) -> bool:
        """Whether one figure keeps its budget at the reference's pace."""
        return budget.holds(self.figures.get(name), self.pace(name))

    def pace(self, name: str) -> float:
        """The machine's pace while a figure was measured."""
        return self.paces.get(name, 1.0)

    def with_better(self, other: Answer, budgets: dict[str, Budget]) -> Answer:
        """The later attempt `other`, with the better of each figure and the pace it had."""
        figures, paces = dict(other.figures), dict(other.paces)
        for name in self.figures.keys() & budgets.keys():
            if name not in other.figures or self._beats(other, name, budgets[name]):
                figures[name] = self.figures[name]
                paces |= {name: self.paces[name]} if name in self.paces else {}
        return msgspec.structs.replace(
            other,
            figures=figures,
            paces=paces,
            attempts=self.attempts + 1,
            took_s=max(self.took_s, other.took_s),
        )

    def _beats(self, other: Answer, name: str, budget: Budget) -> bool:
        ours = budget.at_reference(self.figures[name], self.pace(name))
        theirs = budget.at_reference(other.figures[name], other.pace(name))
        return budget.better(ours, theirs) == ours


class Results(msgspec.Struct, frozen=True):
    """bench/results/latest.json: the latest answer to every question."""

    machine: dict[str, str]
    answers: dict[str, Answer]


def read_budgets() -> Budgets:
    """bench/budgets.toml. Raises msgspec.ValidationError for a key that it does not know."""
    raw = tomllib.loads((HERE / "budgets.toml").read_text(encoding="utf-8"))
    return msgspec.convert(raw, Budgets)


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


def commit() -> str:
    """The commit that was measured, `+` for changes on top."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"],  # noqa: S607 # whichever git is on the path
        cwd=HERE,
        capture_output=True,
        text=True,
    )
    return described.stdout.strip() or "unknown"


def shown(figure: float | None) -> str:
    """Three digits that matter."""
    if figure is None:
        return "nothing"
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"

"""`make mutate`: every mutant of the modules below against the tests of its module; a page out.

Each mutant runs in a process of its own, forked before anything of ours is imported, so that no
cache outlives it. It is killed by a failing test, or by taking half a minute; nothing is tried
before the module as it is has passed the same tests, in the same way, in a third of that. Which
survived, and why that is right, is in docs/mutation.md; a survivor without a reason fails the run.
"""

from __future__ import annotations

import argparse
import ast
import importlib.machinery
import os
import resource
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType

import hypothesis
import hypothesis.strategies
import mmh3
import msgspec
import pytest
import re2

from tests.mutation.mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "mutation.md"
REASONS = Path(__file__).with_name("reasons.toml")
AT_ONCE = 2
SECONDS = 30  # a mutant that runs longer does not end
SURE_S = SECONDS / 3  # of the tests without a fault: a slow machine must not look like a kill
MEMORY = 4 * 2**30  # bytes; one that asks for more is killed by that
LEAST = 0.9  # of the mutants of each module are killed

# The tests of each module, the quickest first.
TESTS: dict[str, tuple[str, ...]] = {
    "consent": ("consent", "predicates", "index"),
    "predicates": ("predicates", "index"),
    "planes": ("planes", "index"),
    "index": ("index",),
    "experiments": ("experiments", "forced"),
}
WARM = (hypothesis.strategies, mmh3, re2)  # imported once, before the fork
SILENT = ("-x", "-q", "--noconftest", "--assert=plain", "-o", "addopts=", "-W", "ignore")
WITHOUT = ("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:benchmark")


class Faulty(importlib.machinery.SourceFileLoader):
    """Finds and loads one module with its fault, whatever is cached of it."""

    def __init__(self, module: str, tree: ast.Module) -> None:
        super().__init__(f"decisions.{module}", str(source(module)))
        self.tree = tree

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        return importlib.machinery.ModuleSpec(name, self, origin=self.path)

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.tree, self.path, "exec")


class Result(msgspec.Struct, frozen=True):
    """One mutant, whether the tests noticed, and whether by not ending."""

    module: str
    mutant: Mutant
    killed: bool
    endless: bool


def source(module: str) -> Path:
    """The file of a module of `decisions`."""
    return ROOT / "decisions" / f"{module}.py"


def tried(module: str, tree: ast.Module) -> int:
    """The process that tries a tree in the module's place; it ends with 0 where all tests pass."""
    if child := os.fork():
        return child
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    sys.meta_path.insert(0, Faulty(module, tree))
    hypothesis.settings.register_profile("mutate", derandomize=True, deadline=None, database=None)
    hypothesis.settings.load_profile("mutate")
    files = [f"tests/decisions/test_{name}.py" for name in TESTS[module]]
    os._exit(int(pytest.main([*SILENT, *WITHOUT, *files])))


def baseline(module: str) -> str:
    """What is wrong with the tests of a module before there is any fault in it, "" for nothing."""
    started_s = time.monotonic()
    _, status = os.waitpid(tried(module, ast.parse(source(module).read_text(encoding="utf-8"))), 0)
    took_s = time.monotonic() - started_s
    if status:
        return f"expected the tests of {module} to pass without a fault, got status {status}"
    if took_s > SURE_S:
        return f"expected the tests of {module} to take {SURE_S:.0f} s at most, got {took_s:.0f}"
    return ""


def results(names: Sequence[str], every: int) -> Iterator[Result]:
    """Every mutant of these modules, or every n-th, in the order in which they end."""
    running: dict[int, tuple[str, Mutant]] = {}

    def ended() -> Result:
        child, status = os.wait()
        endless = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
        return Result(*running.pop(child), killed=status != 0, endless=endless)

    for module in names:
        for mutant in mutants(source(module).read_text(encoding="utf-8"))[::every]:
            if len(running) == AT_ONCE:
                yield ended()
            running[tried(module, mutant.tree)] = module, mutant
    while running:
        yield ended()


def _row(name: str, found: Sequence[Result]) -> str:
    killed, endless = sum(each.killed for each in found), sum(each.endless for each in found)
    return f"| {name} | {len(found)} | {killed} | {endless} | {killed / len(found):.1%} |"


def page(found: Sequence[Result], reasons: dict[str, str], every: int) -> str:
    """The page: what was killed of each module, and who survived for which reason."""
    command = ["git", "log", "-1", "--format=%h", "--", "decisions"]
    commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    sample = "" if every == 1 else f", a sample: every {every}th mutant"
    rows = ["| module | mutants | killed | by not ending | share |", "|---|---|---|---|---|"]
    for module in dict.fromkeys(each.module for each in found):
        here = [each for each in found if each.module == module]
        rows.append(_row(module, here))
    rows.append(_row("all", found))
    survivors = ["| where | was | became | why no test can tell |", "|---|---|---|---|"]
    for each in sorted(found, key=lambda each: (each.module, each.mutant.line)):
        if not each.killed:
            _, line, before, after, _ = each.mutant
            cells = (f"`{text}`".replace("|", "\\|") for text in (before, after))
            why = reasons.get(f"{each.module}.{each.mutant.key}", "**no reason yet**")
            survivors.append(f"| {each.module}.py:{line} | {' | '.join(cells)} | {why} |")
    head, table, _ = PAGE.read_text(encoding="utf-8").partition("<!-- mutation -->\n")
    measured = f"Measured with `decisions` as of `{commit.strip()}`{sample}."
    parts = (head + table, measured, "", *rows, "", "## Survivors", "", *survivors, "")
    return "\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutate", description=__doc__)
    parser.add_argument("modules", nargs="*", help=f"of {', '.join(TESTS)}; none: all, and a page")
    parser.add_argument("--every", type=int, default=1, help="try a sample: every n-th mutant")
    asked, every = parser.parse_args().modules, parser.parse_args().every
    started_s = time.monotonic()
    names = asked or list(TESTS)
    if wrong := [text for text in map(baseline, names) if text]:
        print(*wrong, sep="\n")
        return 2
    found = []
    for each in results(names, every):
        found.append(each)
        if not each.killed:
            print(f"{each.module}.py:{each.mutant.line}  {each.mutant.key}", flush=True)
    reasons = tomllib.loads(REASONS.read_text(encoding="utf-8"))
    survivors = [each for each in found if not each.killed]
    unexplained = [each for each in survivors if f"{each.module}.{each.mutant.key}" not in reasons]
    killed = len(found) - len(survivors)
    taken_s = time.monotonic() - started_s
    print(f"{killed} of {len(found)} killed in {taken_s:.0f} s; {len(unexplained)} unexplained")
    if not asked:
        PAGE.write_text(page(found, reasons, every), encoding="utf-8")
    return int(killed < LEAST * len(found) or bool(unexplained))


if __name__ == "__main__":
    sys.exit(main())

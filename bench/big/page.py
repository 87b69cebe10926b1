"""What was found in, docs/big.md out: figures against their budgets, none typed by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from bench.big.asking import ASKERS
from bench.big.members import Members
from bench.big.node import WORKERS, Load
from bench.big.parts import RULES
from bench.big.patches import Patches
from bench.big.swaps import SWAPS, Swaps
from bench.figures import HERE, Budget, commit, machine, shown

PAGE = HERE.parent / "docs" / "big.md"
RESULTS = HERE / "results" / "big.json"
WORKER_MIB = 60e6 / 2**20  # that a further worker may add, besides its program
GROWTH = 1.01  # of memory after the last swap against the first look: what allocators leave lying
FIRST = ", right after opening, while pages are first touched"
HEAD = """# Ten million members and more

Measured by hand, with real files, processes and sockets: members with 200 segments, 5 traits and 3
scores, and a program of {rules:,} rules in one slot (W1). Times are by the clock unless they say
CPU; where the machine's pace was taken, a time keeps its budget when, divided by the pace, it does
([why](adr/0007-pace.md)). A row in bold has broken its budget.
"""


class Node(msgspec.Struct, frozen=True):
    """What was measured of the node besides its members. memory_mib: workers → all processes."""

    swaps: Swaps
    load: Load
    memory_mib: dict[int, float]


class Found(msgspec.Struct, frozen=True):
    """What one run found; node: None where only members were measured. patches may be of a run of
    their own, on the same machine."""

    commit: str
    machine: dict[str, str]
    members: Members
    node: Node | None = None
    patches: Patches | None = None

    def with_patches(self, patches: Patches) -> Found:
        """The same with these. Raises ValueError on another machine than the rest's."""
        if self.machine != (here := machine()):
            raise ValueError(f"expected the machine {self.machine}, got {here}: run all of it")
        return msgspec.structs.replace(self, patches=patches)


class Row(NamedTuple):
    """A line of a table. most: the budget; None for what is only shown. pace: of the machine."""

    says: str
    figure: float
    unit: str
    most: float | None = None
    pace: float = 1.0

    @property
    def budget(self) -> Budget:
        """What it may be."""
        return Budget(self.says, self.unit, self.most)

    @property
    def is_broken(self) -> bool:
        """Whether it takes more than it may."""
        return not self.budget.holds(self.figure, self.pace)

    def __str__(self) -> str:
        pace = "" if self.pace == 1.0 else f"{self.pace:.2f}"
        bold = "**" if self.is_broken else ""
        measured = f"{shown(self.figure)} {self.unit}".rstrip()
        return f"| {bold}{self.says}{bold} | {self.budget.limit()} | {measured} | {pace} |"


def kept() -> dict[int, Found]:
    """The results so far, by the number of members."""
    raw = RESULTS.read_bytes() if RESULTS.exists() else b"{}"
    return msgspec.json.decode(raw, type=dict[int, Found])


def found_now(members: Members, node: Node | None) -> Found:
    """What was measured at this commit, on this machine."""
    return Found(commit(), machine(), members, node)


def keep(count: int, found: Found) -> None:
    """Puts a result over the one before, and writes the page."""
    results = dict(sorted({**kept(), count: found}.items()))
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    PAGE.write_text(page(results), encoding="utf-8")


def page(results: dict[int, Found]) -> str:
    """docs/big.md."""
    return "\n".join([HEAD.format(rules=RULES), *(_chapter(*one) for one in results.items())])


def _chapter(count: int, found: Found) -> str:
    where = found.machine
    argument = "make big" if found.node else f"python -m bench.big {count:_}"
    lines = [
        f"## {count:,} members",
        "",
        "| question | budget | measured | pace |",
        "|---|---|---|---|",
        *map(str, rows(found)),
        "",
        f"Written by `{argument}` at commit {found.commit}{_patched(found)}: {where['processor']},"
        f" {where['cores']} cores, {where['python']}.",
        "",
    ]
    return "\n".join(lines)


def _patched(found: Found) -> str:
    """Where the patches come from, if not from the same run."""
    if found.patches is None or found.patches.commit == found.commit:
        return ""
    return f", patches by `python -m bench.big patches` at commit {found.patches.commit}"


def rows(found: Found) -> Iterator[Row]:
    """Every figure. The budgets of members are those of ten million, which is where they stand."""
    members, node = found.members, found.node
    lookup_us, a_visitor, open_ms = (8, 44, 200) if node else (None, None, None)
    for when, most, taken in (("", lookup_us, members.later), (FIRST, None, members.first)):
        known = f"id → segments, traits, scores{when}"
        yield Row(f"{known}: p50", taken.p50_us, "µs", most, members.pace)
        yield Row(f"{known}: p99", taken.p99_us, "µs", None, members.pace)
    yield Row("bytes a visitor", members.bytes_a_visitor, "bytes", a_visitor)
    yield Row("parts mapped after verification", members.open_ms, "ms", open_ms)
    if found.patches:
        yield from _patches(found.patches)
    if node:
        yield from _swaps(node.swaps)
        yield from _load(node.load)
        yield from _workers(node)


def _patches(patches: Patches) -> Iterator[Row]:
    changed = "patches for 1 member in 100, half of them gone and as many come"
    yield Row(f"{changed}: of the stored bytes", patches.percent, "%", 2)
    yield Row("making them", patches.make_s, "s", None, patches.pace)
    yield Row("making them, CPU", patches.make_cpu_s, "s", None, patches.pace)
    yield Row("the most memory that the process takes meanwhile", patches.peak_mib, "MiB")
    yield Row("of which it holds before, the new parts among it", patches.held_mib, "MiB")
    yield Row("a node's fetching and applying them, to disk", patches.apply_s, "s")


def _swaps(swaps: Swaps) -> Iterator[Row]:
    turns = f"{swaps.turns} turns of the event loop"
    longest = f"a swap of {turns}: the longest in {SWAPS} swaps, CPU"
    yield Row(longest, swaps.longest_ms, "ms", 5, swaps.pace)
    yield Row("the longest turn of a swap, median, CPU", swaps.usual_ms, "ms", None, swaps.pace)
    yield Row("a whole swap, median, CPU", swaps.whole_ms, "ms", None, swaps.pace)
    first = next(iter(swaps.after.values()))
    for number, memory in swaps.after.items():
        most = None if memory is first else first.own * GROWTH
        after = f"after {number} swaps"
        yield Row(f"memory but for files, {after}", memory.own, "MiB", most)
        yield Row(f"resident (RSS), {after}", memory.resident, "MiB")
        yield Row(f"proportional (PSS), {after}", memory.proportional, "MiB")


def _load(load: Load) -> Iterator[Row]:
    asked = f"{ASKERS} connections, {WORKERS} workers, {load.versions} versions swapped"
    yield Row(f"failed or mixed replies: {asked}", len(load.failed), "", 0)
    yield Row("replies", load.replies, "")
    yield Row("a reply, p50", load.taken.p50_us / 1_000, "ms")
    yield Row("a reply, p99", load.taken.p99_us / 1_000, "ms")
    yield Row("the longest", load.longest_ms, "ms")


def _workers(node: Node) -> Iterator[Row]:
    program, memory = node.swaps.program_mib, node.memory_mib
    most = WORKER_MIB + program
    yield Row("the program: what opening a version adds to memory but for files", program, "MiB")
    for workers, mib in memory.items():
        yield Row(f"all processes of a node with `--workers {workers}` (PSS)", mib, "MiB")
        if workers - 1 in memory:
            added = mib - memory[workers - 1]
            yield Row(f"of which worker {workers}: 60 MB + its program", added, "MiB", most)

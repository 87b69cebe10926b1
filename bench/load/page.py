"""What was found in, docs/load.md and a block of docs/operations.md out: figures against their
budgets, none typed by hand."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator

import msgspec

from bench.big.page import Row
from bench.figures import HERE, commit, machine, shown
from bench.load import calm as sixty
from bench.load import overload as twice
from bench.load.arrivals import Taken
from bench.load.calm import Calm
from bench.load.overload import KEPT, NEW, Overload
from bench.load.scene import MEMBERS, RULES
from bench.pages import OPERATIONS, with_block

PAGE = HERE.parent / "docs" / "load.md"
RESULTS = HERE / "results" / "load.json"
MARK = "<!-- measured: make load -->"
OVER_MS, RECOVERS_S = 5, 1
GROWTH = 1.05  # of memory over the rest of the load: what allocators leave lying
WARM_S = 15.0  # of the load, until caches and connections are as many as they get
PROBES = {KEPT: "over kept connections", NEW: "each over a new connection"}
HEAD = """# Load

Measured by hand over loopback, in an open loop: requests for a fragment come as they come (a
Poisson process), whether or not those before have their reply, and times count from the moment at
which a request was due. A node of one worker, W1({rules:,}) in the slot, {members:,} members, every
request with the cookies of another visitor. Node and bare app share one core, the client has the
other one{first}. A row in bold has broken its budget.
"""
FIRST = ", and all three have real-time priority, as the machine does other things beside"
CALM = """## At 60 % of capacity

Capacity is measured first, in a closed loop of 32 connections. The same requests go to a bare ASGI
app behind the same server, which answers with the same bytes, in turn: {rounds} rounds,
{seconds:.0f} s each in all.
"""
TWICE = """## At twice the capacity

For {seconds:.0f} s, while visits and batches of three events come beside, and a version is
published every {swap:.0f} s. What a node cannot do has to wait somewhere: the client holds up to
{most:,} connections, which is more than a worker takes (`max_connections`), and gives up requests
that found none of them free for {patience:.0f} s, as proxies do. What is sent must be answered.
Probes, {probes:.0f} a second of each kind, ask before, meanwhile and after; a node has recovered
when ten in a row take less than twice the p99 of those before.
"""


class Found(msgspec.Struct, frozen=True):
    """What one run found. raised: whether node, bare app and client went before all else."""

    commit: str
    machine: dict[str, str]
    raised: bool
    calm: Calm
    overload: Overload


def found_now(calm: Calm, overload: Overload, raised: bool) -> Found:
    """What was measured at this commit, on this machine."""
    return Found(commit(), machine(), raised, calm, overload)


def kept() -> Found:
    """The result that is committed."""
    return msgspec.json.decode(RESULTS.read_bytes(), type=Found)


def keep(found: Found) -> None:
    """Puts a result over the one before, and writes the pages."""
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    PAGE.write_text(page(found), encoding="utf-8")
    OPERATIONS.write_text(with_block(OPERATIONS, block(found), MARK), encoding="utf-8")


def page(found: Found) -> str:
    """docs/load.md."""
    where, over = found.machine, found.overload
    first = FIRST if found.raised else ""
    return "\n".join(
        [
            HEAD.format(rules=RULES, members=MEMBERS, first=first),
            CALM.format(rounds=sixty.ROUNDS, seconds=found.calm.seconds),
            *_table(_calm(found.calm)),
            TWICE.format(
                seconds=over.seconds,
                swap=twice.SWAP_S,
                most=twice.MOST + 2 * twice.MOST_BESIDE,
                patience=twice.PATIENCE_S,
                probes=twice.PROBES_PER_S,
            ),
            *_table(_overload(over)),
            f"Written by `make load` at commit {found.commit}: {where['processor']},"
            f" {where['cores']} cores, {where['python']}.",
            "",
        ]
    )


def block(found: Found) -> str:
    """What docs/operations.md shows between its marks: the figures that have a budget, and how many
    replies they are of."""
    calm, over = found.calm, found.overload
    share = 100 * calm.per_s / calm.capacity_per_s
    asked = f"asked for {calm.per_s:,.0f} fragments a second, {share:.0f} %"
    budgeted = [row for row in rows(found) if row.most is not None]
    return "\n".join(
        [
            f"A worker that is {asked} of what it can do, and for {over.seconds:.0f} s for"
            f" {over.per_s:,.0f} a second while visits and events flow and {over.published}"
            " versions are published:",
            "",
            *_table(budgeted),
        ]
    ).rstrip()


def rows(found: Found) -> Iterator[Row]:
    """Every figure."""
    yield from _calm(found.calm)
    yield from _overload(found.overload)


def _table(found: Iterable[Row]) -> Iterator[str]:
    yield "| question | budget | measured | pace |"
    yield "|---|---|---|---|"
    yield from map(str, found)
    yield ""


def _taken(says: str, one: Taken) -> Iterator[Row]:
    yield Row(f"{says}: p50", one.p50_ms, "ms")
    yield Row("p99", one.p99_ms, "ms")
    yield Row("p99.9", one.p999_ms, "ms")
    yield Row("the longest", one.longest_ms, "ms")


def _calm(calm: Calm) -> Iterator[Row]:
    yield Row("capacity of the node", calm.capacity_per_s, "/s")
    yield Row("of the bare app", calm.bare_per_s, "/s")
    yield Row("asked of both", calm.per_s, "/s")
    yield from _taken("a reply of the node", calm.node)
    yield from _taken("of the bare app", calm.bare)
    over = calm.node.p999_ms - calm.bare.p999_ms
    yield Row("the node's p99.9 over the bare app's", over, "ms", OVER_MS)
    rounds = ", ".join(map(shown, calm.over_ms))
    median = statistics.median(calm.over_ms)
    yield Row(f"the same, the median of the rounds ({rounds})", median, "ms", OVER_MS)
    failed = sum(calm.failed.values())
    yield Row(f"failed, of {calm.node.count + calm.bare.count + failed:,}", failed, "", 0)
    yield Row("sent later than due, by the client: p99.9", calm.late.p999_ms, "ms")
    yield Row("the client's share of its core, the most of all rounds", calm.busy * 100, "%")
    yield Row("the machine's pace against the reference's", calm.pace, "")


def _overload(over: Overload) -> Iterator[Row]:
    yield Row("fragments asked for", over.per_s, "/s")
    yield Row("answered", over.taken.count / over.seconds, "/s")
    yield Row("given up, never sent", over.given_up / over.seconds, "/s")
    yield Row("failed: no answer, another status than 200, empty", sum(over.failed.values()), "", 0)
    yield from _taken("from sending to reply", over.taken)
    for name, beside in over.beside.items():
        yield Row(f"{name} answered beside", beside.taken.count / over.seconds, "/s")
        yield Row(f"{name} given up, never sent", beside.given_up / over.seconds, "/s")
        yield Row(f"{name} that failed", sum(beside.failed.values()), "", 0)
        yield Row(f"{name}, from sending to reply: p99", beside.taken.p99_ms, "ms")
    yield Row("versions published", over.published, "")
    yield Row("swaps of the worker, each to the newest", over.swaps, "")
    yield Row("versions that it lacked 10 s after the load", over.behind, "", 0)
    yield Row("faults that the node answered without", over.errors, "", 0)
    yield Row("event rows dropped", over.dropped, "", 0)
    warm = over.memory[min(round(WARM_S / twice.SWAP_S), len(over.memory) - 1)].resident
    yield Row("memory of the worker (RSS) before", over.memory[0].resident, "MiB")
    yield Row(f"after {WARM_S:.0f} s", warm, "MiB")
    yield Row(
        "memory of the worker at the end of the load",
        over.memory[-1].resident,
        "MiB",
        warm * GROWTH,
    )
    for name, says in PROBES.items():
        probe = over.probes[name]
        yield Row(f"probes {says}, before: p99", probe.before.p99_ms, "ms")
        yield Row("meanwhile: p99", probe.meanwhile.p99_ms, "ms")
        yield Row(f"recovered, by probes {says}, after", probe.after_s, "s", RECOVERS_S)
    yield Row("the client's share of its core", over.busy * 100, "%")

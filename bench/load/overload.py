"""Twice what a node can do for a minute, while visits and events come and snapshots are swapped.

More than a node can do has to wait somewhere: here, as behind a proxy, for one of a bounded number
of connections, and who has waited a second is given up. What a connection carried is held to: no
failure. Probes ask before, meanwhile and after, over connections kept and over new ones.
"""

from __future__ import annotations

import subprocess
import time

import msgspec

from bench.big.swaps import Memory, memory
from bench.load.arrivals import Taken, recovered_s, taken
from bench.load.client import Seen, Stream
from bench.load.scene import EVENTS, FRAGMENTS, VISITS, Scene, seen

TIMES, BESIDE = 2.0, 0.02  # of capacity: fragments; visits, and as many batches of events
MOST, MOST_BESIDE = 3_600, 450  # connections: 4,500 in all, a worker takes 4,096
PATIENCE_S = 1.0
BEFORE_S, AFTER_S = 10.0, 10.0  # only probes
PROBES_PER_S = 50.0
SWAPS = "edgewise_snapshot_swaps_total"
KEPT, NEW = "kept", "new"
SWAP_S = 3.0
SETTLES_S = 10.0  # when the last version must be served


class Recovery(msgspec.Struct, frozen=True):
    """Of one kind of probe. before, meanwhile: its times. after_s: until it was as quick
    again, at most `AFTER_S`."""

    before: Taken
    meanwhile: Taken
    after_s: float


class Beside(msgspec.Struct, frozen=True):
    """What came beside fragments. taken: from sending."""

    taken: Taken
    given_up: int
    failed: dict[str, int]


class Overload(msgspec.Struct, frozen=True):
    """per_s: fragments asked for. taken: from sending to reply; longest waits are the client's.
    memory: of the worker, from before the load to its end. published: versions; swaps: how often
    the worker changed to the newest; behind: versions that it lacked at last. errors, dropped:
    faults and log rows that the node counted. busy: the client's share of its core."""

    per_s: float
    seconds: float
    taken: Taken
    given_up: int
    failed: dict[str, int]
    beside: dict[str, Beside]
    probes: dict[str, Recovery]
    memory: list[Memory]
    published: int
    swaps: int
    behind: int
    errors: int
    dropped: int
    busy: float


def measured(scene: Scene, capacity_per_s: float, seconds: float) -> Overload:
    """seconds: of the load."""
    began, swaps = scene.worker()["version"], scene.counted(SWAPS)
    per_s = capacity_per_s * TIMES
    with scene.asking(streams(scene, capacity_per_s, seconds)) as client:
        held, published = _published(scene, client, seconds)
        told = seen(client)
    behind = began + published - _settled(scene, began + published)
    fragments = told.seen[FRAGMENTS]
    return Overload(
        per_s=per_s,
        seconds=seconds,
        taken=taken(fragments.at_node_s),
        given_up=fragments.given_up,
        failed=fragments.failed,
        beside={name: _beside(told.seen[name]) for name in (VISITS, EVENTS)},
        probes={name: _recovery(told.seen[name], BEFORE_S + seconds) for name in (KEPT, NEW)},
        memory=held,
        published=published,
        swaps=round(scene.counted(SWAPS) - swaps),
        behind=behind,
        errors=round(scene.counted("edgewise_errors_total")),
        dropped=round(scene.counted("edgewise_log_dropped_total")),
        busy=told.busy,
    )


def streams(scene: Scene, capacity_per_s: float, seconds: float) -> list[Stream]:
    """The load from second `BEFORE_S` on, and the probes all the time."""
    port, ends_s = scene.edge.port, BEFORE_S + seconds
    load = {FRAGMENTS: (TIMES, MOST, 200), VISITS: (BESIDE, MOST_BESIDE, 200)}
    load[EVENTS] = (BESIDE, MOST_BESIDE, 202)
    return [
        *(
            Stream(
                name=name,
                port=port,
                file=scene.files[name],
                per_s=capacity_per_s * share,
                from_s=BEFORE_S,
                until_s=ends_s,
                most=most,
                patience_s=PATIENCE_S,
                status=status,
            )
            for name, (share, most, status) in load.items()
        ),
        *(
            Stream(
                name=name,
                port=port,
                file=scene.files[FRAGMENTS],
                per_s=PROBES_PER_S,
                from_s=0.0,
                until_s=ends_s + AFTER_S,
                keeps=name == KEPT,
                seed=place,
            )
            for place, name in enumerate((KEPT, NEW))
        ),
    ]


def _published(
    scene: Scene, client: subprocess.Popen[bytes], seconds: float
) -> tuple[list[Memory], int]:
    """Publishes while the load lasts; the worker's memory before each version, and how many."""
    pid, began_s = scene.worker()["pid"], time.monotonic()
    time.sleep(BEFORE_S)
    held, published = [memory(pid)], 0
    while client.poll() is None:
        published += 1
        scene.publish(published)
        time.sleep(max(0.0, began_s + BEFORE_S + published * SWAP_S - time.monotonic()))
        held.append(memory(pid))
        if (published + 1) * SWAP_S > seconds:
            break
    return held, published


def _settled(scene: Scene, version: int) -> int:
    """The version that the worker serves, when it is this one or it had the time."""
    until_s = time.monotonic() + SETTLES_S
    while (served := scene.worker()["version"]) < version and time.monotonic() < until_s:
        time.sleep(0.1)
    return int(served)


def _beside(found: Seen) -> Beside:
    return Beside(taken(found.at_node_s), found.given_up, found.failed)


def _recovery(found: Seen, stopped_s: float) -> Recovery:
    pairs = list(zip(found.due_s, found.took_s, strict=True))
    before = taken([took for due, took in pairs if due < BEFORE_S])
    meanwhile = taken([took for due, took in pairs if BEFORE_S + 1 <= due < stopped_s])
    after_s = recovered_s(found.due_s, found.took_s, stopped_s, 2 * before.p99_ms / 1e3)
    return Recovery(before, meanwhile, min(after_s, AFTER_S))

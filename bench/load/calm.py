"""60 % of what a node can do, in an open loop; the bare app gets the same requests in turn.

What a node can do is measured first, in a closed loop, and so is the bare app; what counts is what
the node adds to the times of the bare app at the same rate.
"""

from __future__ import annotations

import statistics

import msgspec

from bench import nodes
from bench.http import HEADERS, PATH, Server
from bench.load.arrivals import Taken, taken
from bench.load.client import Seen, Stream
from bench.load.scene import FRAGMENTS, Scene
from bench.pace import pace, take_us

SHARE = 0.6  # of capacity
ROUNDS = 6
CLOSED_ROUNDS, CLOSED_S = 5, 3
WARM_S = 2.0  # thrown away
MOST = 256  # connections


class Calm(msgspec.Struct, frozen=True):
    """per_s: asked for. over_ms: in each round, the node's p99.9 less the bare app's. late: how
    long after a request was due the client sent it, to both. busy: the client's share of its core,
    the most of all rounds. failed: of both. pace: of the machine."""

    capacity_per_s: float
    bare_per_s: float
    per_s: float
    seconds: float
    node: Taken
    bare: Taken
    over_ms: list[float]
    late: Taken
    busy: float
    failed: dict[str, int]
    pace: float


def capacity(scene: Scene, server: Server, seconds: int = CLOSED_S) -> float:
    """Replies a second in a closed loop, visitor after visitor: the median of some rounds."""
    visitors = scene.folder / "visitors"
    return statistics.median(
        nodes.requests_per_s(server.port, PATH, HEADERS, seconds, visitors)
        for _ in range(CLOSED_ROUNDS)
    )


def measured(scene: Scene, seconds: float) -> Calm:
    """seconds: how long each of the two is asked, in all rounds together."""
    node_per_s = capacity(scene, scene.edge)
    bare_per_s = capacity(scene, scene.bare)
    per_s = node_per_s * SHARE
    servers = {"node": scene.edge, "bare": scene.bare}
    found: dict[str, list[Seen]] = {name: [] for name in servers}
    busy, paces_us, order = [], [], list(servers)
    for number in range(ROUNDS + 1):
        for name in order:
            paces_us.append(take_us())
            lasts_s = seconds / ROUNDS if number else WARM_S
            stream = Stream(
                name=name,
                port=servers[name].port,
                file=scene.files[FRAGMENTS],
                per_s=per_s,
                from_s=0.0,
                until_s=lasts_s,
                most=MOST,
                seed=number,
            )
            told = scene.asked([stream])
            if number:
                found[name].append(told.seen[name])
                busy.append(told.busy)
        order.reverse()
    return Calm(
        capacity_per_s=node_per_s,
        bare_per_s=bare_per_s,
        per_s=per_s,
        seconds=seconds,
        node=taken([one for seen in found["node"] for one in seen.took_s]),
        bare=taken([one for seen in found["bare"] for one in seen.took_s]),
        over_ms=[
            taken(node.took_s).p999_ms - taken(bare.took_s).p999_ms
            for node, bare in zip(found["node"], found["bare"], strict=True)
        ],
        late=taken([one for seen in found.values() for each in seen for one in each.late_s]),
        busy=max(busy),
        failed=failures([each for seen in found.values() for each in seen]),
        pace=pace(statistics.median(paces_us)),
    )


def failures(seen: list[Seen]) -> dict[str, int]:
    """What went wrong in all of these; who was never sent is among them."""
    found: dict[str, int] = {}
    for each in seen:
        for why, times in [*each.failed.items(), ("never sent", each.given_up)]:
            found[why] = found.get(why, 0) + times
    return {why: times for why, times in found.items() if times}

"""One worker's process, a hundred swaps: how long each turn holds the event loop, what memory
grows to.

`python -m bench.big.swaps FOLDER` reads members' keys from the standard input and prints `Swaps` in
JSON: it runs in a process of its own, as a worker does. Between two swaps visitors are decided for.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Coroutine, Generator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench import workload
from bench.big import parts
from bench.pace import pace, take_us
from edge.refresh import Served
from snapshots.manifest import Manifest
from snapshots.pauses import Pauses
from snapshots.snapshot import Snapshot, open_steps

SWAPS, LOOKED_AT = 100, (10, 50, 100)
VISITORS = 200  # between two swaps
GRANTS = frozenset({"functional", "personalization"})


class Memory(msgspec.Struct, frozen=True):
    """Of a process, in MiB. proportional: shared pages by the share. own: what is no file's."""

    resident: float
    proportional: float
    own: float


class Swaps(msgspec.Struct, frozen=True):
    """In CPU time. turns: of the event loop in one swap. longest_ms: of all turns of all swaps.
    usual_ms: the longest of a swap, median. whole_ms: a swap, median. program_mib: what the process
    grew by when it opened the first version. after: swaps → memory. pace: of the machine, taken
    after every swap."""

    turns: int
    longest_ms: float
    usual_ms: float
    whole_ms: float
    program_mib: float
    after: dict[int, Memory]
    pace: float


class Pointed:
    """What the syncer's pointer says."""

    manifest: Manifest

    def serving(self) -> Manifest:
        """What to serve now."""
        return self.manifest

    def control(self) -> Pauses | None:
        """Nothing is stopped."""
        return None


def measured(folder: Path, keys: Sequence[int]) -> Swaps:
    """Opens the first version, then swaps."""
    served, pointed = Served(), Pointed()
    visitors = workload.visitors(VISITORS)

    def opened(manifest: Manifest) -> Generator[None, None, Snapshot]:
        return open_steps(manifest, lambda part: folder / part.raw_sha256)

    def swap(version: int) -> list[float]:
        pointed.manifest = parts.manifest(folder, version)
        turns = turns_of(served.look(pointed, opened, time.time))
        serve(served, visitors, keys)
        return turns

    before = memory()
    swap(0)
    program_mib = memory().own - before.own
    turns: list[list[float]] = []
    after: dict[int, Memory] = {}
    paces_us: list[float] = []
    for version in range(1, SWAPS + 1):
        turns.append(swap(version))
        paces_us.append(take_us())
        if version in LOOKED_AT:
            after[version] = memory()
    return Swaps(
        turns=max(map(len, turns)),
        longest_ms=max(map(max, turns)),
        usual_ms=statistics.median(map(max, turns)),
        whole_ms=statistics.median(map(sum, turns)),
        program_mib=program_mib,
        after=after,
        pace=pace(statistics.median(paces_us)),
    )


def in_a_process(folder: Path, keys: Sequence[int]) -> Swaps:
    """What `measured` finds in a process of its own."""
    command = [sys.executable, "-m", "bench.big.swaps", str(folder)]
    told = subprocess.run(
        command, input=msgspec.json.encode(keys[:VISITORS]), stdout=subprocess.PIPE, check=True
    ).stdout
    return msgspec.json.decode(told, type=Swaps)


def turns_of(looking: Coroutine[Any, Any, bool]) -> list[float]:
    """The CPU time, in milliseconds, of each turn that a look takes on the event loop."""
    turns: list[float] = []
    while True:
        started_ns = time.thread_time_ns()
        try:
            looking.send(None)
        except StopIteration as done:
            if not done.value:
                raise ValueError("expected a swap, got none") from None
            return [*turns, (time.thread_time_ns() - started_ns) / 1e6]
        turns.append((time.thread_time_ns() - started_ns) / 1e6)


def serve(served: Served, visitors: Sequence[dict[str, Any]], keys: Sequence[int]) -> None:
    """What requests would do with the snapshot."""
    current = served.current
    if current is None or current.membership is None:
        raise ValueError(f"expected a snapshot with members: {served.trouble}")
    for facts, key in zip(visitors, keys, strict=True):
        member = current.membership.lookup(key)
        if member is None:
            raise ValueError(f"expected a member, got none for the key {key}")
        known = facts | {"segments": member.segments}
        current.program.decide("hero", known, grants=GRANTS, now=workload.NOW_S)


def memory(process: int | str = "self") -> Memory:
    """What a process holds."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]
    mib = {line.split(":")[0]: int(line.split()[1]) / 1_024 for line in lines}
    return Memory(mib["Rss"], mib["Pss"], mib["Anonymous"])


if __name__ == "__main__":
    known = msgspec.json.decode(sys.stdin.buffer.read(), type=list[int])
    sys.stdout.buffer.write(msgspec.json.encode(measured(Path(sys.argv[1]), known)))

"""Real nodes: replies while versions are published and swapped, memory by number of workers.

Those who ask are members, with cookies of the node's key.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import httpx
import msgspec

from bench import nodes
from bench.big import parts
from bench.big.asking import Seen
from bench.big.swaps import memory
from bench.http import cookies
from bench.measure import Times, times
from decisions.consent import PERSONALIZATION
from snapshots.bundle import Packed

VISITORS = 20_000
VERSIONS, WORKERS = 10, 2  # published under load, and the workers that swap to each
CALM_S, WITHIN_S = 1.0, 60.0
COUNTS = (1, 2, 3)  # of workers, for memory
ASKED_S = 8.0  # before memory is looked at


class Load(msgspec.Struct, frozen=True):
    """versions: that all workers swapped to. taken, longest_ms: from request to reply."""

    versions: int
    replies: int
    failed: list[str]
    taken: Times
    longest_ms: float


def loaded(folder: Path, bundles: Mapping[str, list[Packed]], keys: Sequence[int]) -> Load:
    """Publishes versions while the node is asked, each when the one before is served."""
    with node(folder, WORKERS) as (_, port, status), asked(folder, port, keys) as seen:
        time.sleep(CALM_S)
        for number in range(VERSIONS):
            version = parts.publish(folder, bundles[parts.MARKS[(number + 1) % 2]])
            wait_for_version(status, version)
            time.sleep(CALM_S)
    longest_ms = max(seen.taken_ns) / 1e6
    return Load(VERSIONS, len(seen.taken_ns), seen.failed, times(seen.taken_ns), longest_ms)


def memory_mib(folder: Path, keys: Sequence[int]) -> dict[int, float]:
    """Workers → what all processes of the node take, shared pages counted once (PSS)."""
    found = {}
    for workers in COUNTS:
        with node(folder, workers) as (pid, port, _), asked(folder, port, keys) as seen:
            time.sleep(ASKED_S)
            found[workers] = sum(memory(one).proportional for one in nodes.family(pid))
        if seen.failed:
            raise ValueError(f"expected replies, got {seen.failed[0]}")
    return found


@contextlib.contextmanager
def node(folder: Path, workers: int) -> Iterator[tuple[int, int, str]]:
    """A node whose workers are all ready: its process, its port, and where its status is."""
    port, admin = nodes.free_port(), f"127.0.0.1:{nodes.free_port()}"
    more = ("--workers", str(workers), "--admin", admin, "--poll-interval-s", "0.5")
    status = f"http://{admin}/status"
    with nodes.running(nodes.serve(folder, port, *more)) as process:
        nodes.wait_for(f"http://127.0.0.1:{port}/_ew/readyz")
        wait_for_version(status, 1, workers)
        yield process.pid, port, status


def wait_for_version(status: str, version: int, workers: int = WORKERS) -> None:
    """Returns when every worker serves this version or a later one."""
    until_s = time.monotonic() + WITHIN_S
    while time.monotonic() < until_s:
        told = httpx.get(status, timeout=10.0).json()["workers"]
        if len(told) == workers and all(worker["version"] >= version for worker in told):
            return
        time.sleep(0.05)
    raise TimeoutError(f"expected {workers} workers with version {version}, got {told}")


@contextlib.contextmanager
def asked(folder: Path, port: int, keys: Sequence[int]) -> Iterator[Seen]:
    """Members ask all the time; what they have seen is filled in at the end."""
    lines = folder / "cookies"
    lines.write_text("\n".join(cookies(folder, PERSONALIZATION, VISITORS, keys)), encoding="utf-8")
    command = [sys.executable, "-m", "bench.big.asking", str(port), str(lines)]
    asking = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    seen = Seen()
    try:
        yield seen
    finally:
        told, _ = asking.communicate(timeout=WITHIN_S)
    found = msgspec.json.decode(told, type=Seen)
    seen.taken_ns, seen.failed = found.taken_ns, found.failed

"""A node and a bare app on one core, the requests for both, and the client on another core.

Everything runs with real-time priority where that is allowed, for what else the machine does is
neither the node's nor the bare app's. Nothing is timed here.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec

from bench import nodes, site
from bench.big import parts
from bench.http import HEADERS, PATH, Server, cookies
from bench.load.client import Stream, Told
from bench.visit import learnt
from decisions.consent import ANALYTICS, PERSONALIZATION
from snapshots.bundle import Packed

RULES, MEMBERS = 1_000, 100_000
VISITORS, TALKERS = 20_000, 5_000  # who ask for fragments; who send visits and events
PRIORITY = 1  # the lowest of real-time
FRAGMENTS, VISITS, EVENTS = "fragments", "visits", "events"
NODE = ("--poll-interval-s", "0.5")


class Scene(NamedTuple):
    """Where the node and the bare app listen, and where the node tells how it is. bundles: two, to
    be published in turn. files: requests by kind. raised: whether it has priority."""

    folder: Path
    edge: Server
    bare: Server
    status: str
    bundles: Sequence[list[Packed]]
    files: dict[str, str]
    raised: bool

    def asked(self, streams: Sequence[Stream]) -> Told:
        """What a client in a process of its own saw."""
        with self.asking(streams) as client:
            return seen(client)

    @contextlib.contextmanager
    def asking(self, streams: Sequence[Stream]) -> Iterator[subprocess.Popen[bytes]]:
        """The client, at its second 0."""
        command = [sys.executable, "-m", "bench.load.client", *map(_word, streams)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as client:
            if not client.stdout or not client.stdout.readline():
                raise ChildProcessError("expected a client that asks, got none")
            yield client

    def publish(self, number: int) -> None:
        """One more version: a rule more than the one before, or one less."""
        parts.publish(self.folder, self.bundles[number % 2])

    def worker(self) -> dict[str, Any]:
        """What the node's only worker tells: its `pid` and `version` among it."""
        (told,) = httpx.get(self.status, timeout=10.0).json()["workers"]
        return dict(told)

    def counted(self, name: str) -> float:
        """A counter of the node's /metrics, over all its labels."""
        text = httpx.get(self.status.replace("/status", "/metrics"), timeout=10.0).text
        lines = [line for line in text.splitlines() if line.startswith(name)]
        return sum(float(line.rpartition(" ")[2]) for line in lines)


def seen(client: subprocess.Popen[bytes]) -> Told:
    """What a client saw, when it is over."""
    told, _ = client.communicate()
    return msgspec.json.decode(told, type=Told)


def _word(stream: Stream) -> str:
    return msgspec.json.encode(stream).decode()


@contextlib.contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    """All of it, ready."""
    with first() as raised:
        yield from _scene(folder, raised)


def _scene(folder: Path, raised: bool) -> Iterator[Scene]:
    nodes.published(folder, RULES, MEMBERS)
    bundles = [site.parts(RULES + more, MEMBERS) for more in (1, 0)]
    cores = nodes.cores()
    core = cores[0] if cores else None
    if cores:
        os.sched_setaffinity(0, {cores[1]})
    port, admin = nodes.free_port(), f"127.0.0.1:{nodes.free_port()}"
    with nodes.running(nodes.serve(folder, port, *NODE, "--admin", admin), core) as node:
        nodes.wait_for(f"http://127.0.0.1:{port}/_ew/readyz")
        visitors = list(cookies(folder, PERSONALIZATION, VISITORS))
        talkers = list(cookies(folder, PERSONALIZATION | ANALYTICS, TALKERS))
        url = f"http://127.0.0.1:{port}{PATH}"
        reply = httpx.get(url, headers=HEADERS | {"cookie": visitors[0]})
        (folder / "visitors").write_text("\n".join(visitors), encoding="utf-8")
        files = {
            FRAGMENTS: _kept(folder, FRAGMENTS, [_request("GET", PATH, one) for one in visitors]),
            VISITS: _kept(folder, VISITS, _posts("visit", talkers[::2], {"slots": ["hero"]})),
            EVENTS: _kept(folder, EVENTS, _posts("events", talkers[1::2], {})),
        }
        edge = Server(port, node.pid)
        with nodes.bare(folder, reply, core) as bare:
            status = f"http://{admin}/status"
            yield Scene(folder, edge, Server(*bare), status, bundles, files, raised)


@contextlib.contextmanager
def first() -> Iterator[bool]:
    """Puts this process, and with it those that it starts, before all that is not real-time, and
    says whether it may."""
    policy, own = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        os.sched_setscheduler(0, policy, own)


def _request(method: str, path: str, cookie: str, body: bytes = b"", client: str = "") -> bytes:
    headers = HEADERS | {"cookie": cookie}
    headers |= {"content-length": str(len(body))} if body else {}
    headers |= {"x-forwarded-for": client} if client else {}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _posts(route: str, talkers: Sequence[str], more: dict[str, Any]) -> list[bytes]:
    """One request of each, from an address of its own: a client may send so many events."""
    return [
        _request(
            "POST",
            f"/_ew/v1/{route}",
            cookie,
            msgspec.json.encode(learnt(number) | more),
            f"198.18.{number // 250}.{number % 250}",
        )
        for number, cookie in enumerate(talkers)
    ]


def _kept(folder: Path, name: str, requests: Sequence[bytes]) -> str:
    path = folder / f"{name}.requests"
    path.write_bytes(msgspec.msgpack.encode(requests))
    return str(path)

"""A node of two workers that follows an HTTP origin, and somebody who keeps asking it.

Every version shows its number in two slots: so a reply tells which version it is of, and whether
it is of one alone. What was answered is judged at the end, not believed along the way.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec

from decisions.compiling import compile_with_ledger
from decisions.ledger import Ledger
from snapshots.bundle import Packed, pack
from snapshots.keys import PRIVATE_FILE, read_private
from snapshots.pauses import Paused
from snapshots.pausing import change
from snapshots.publish import publish_built
from snapshots.store import open_writable
from tests.decisions.written import playbook
from tests.edge.nodes import Node, wait_until
from tests.faults.origin import FaultyOrigin
from tests.faults.switches import Switches

PAUSE_S = 0.01
WORKERS = 2
CONTROL = "control: "  # how /status begins what is wrong with the control object
RESIDENT = re.compile(r"VmRSS:\s+(\d+) kB")


class Seen(msgspec.Struct):
    """What one who kept asking has seen. versions: by first sight, 0 is nothing; last: the latest.

    broken: replies that may never be: of another status than 200, or of two versions at once.
    unanswered: requests that no process took, which only a node that is not there may cause.
    """

    replies: int = 0
    versions: list[int] = []
    last: int = 0
    broken: list[str] = []
    unanswered: int = 0

    def take(self, reply: httpx.Response) -> None:
        """Judges one reply."""
        self.replies += 1
        if reply.status_code != httpx.codes.OK:
            self.broken.append(f"status {reply.status_code}")
            return
        shown = {decision["html"] for decision in reply.json()["decisions"]}
        if len(shown) != 1:
            self.broken.append(f"two versions in one reply: {sorted(shown)}")
            return
        self.last = int(shown.pop().removeprefix("v") or 0)
        if self.last not in self.versions:
            self.versions.append(self.last)


class Scene:
    """The store, its origin, the node; each fault gets one of its own.

    url: of the store as the node knows it; the origin's unless a fault says otherwise.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.switches = Switches(folder)
        self.origin = FaultyOrigin(folder)
        self.url = f"{self.origin.start()}/store".replace("127.0.0.1", "localhost")
        self.version = 0
        self.seen = Seen()
        self.node = self.another("cache", self.switches)
        self._numbers = itertools.count(1)

    def another(self, cache: str, switches: Switches) -> Node:
        """A node of this scene with a cache of its own."""
        more = ("--store", self.url, "--workers", str(WORKERS), "--cache", str(self.folder / cache))
        return Node(self.folder, *more, environment=switches.environment())

    def publish(self, filling: str = "") -> int:
        """One more version; its number. filling: makes it as large as a test needs."""
        shown = f"v{next(self._numbers)}"  # of publishers at once, not always the version's
        texts = {"hero/welcome": shown, "promo/none": shown, "hero/shoes": f"<p>{filling}</p>"}

        def build(ledger: Ledger | None) -> tuple[list[Packed], Ledger]:
            compiled = compile_with_ledger(playbook(fragments=texts), ledger, {})
            return [pack("program", 1, compiled.program.encode())], compiled.ledger

        key = read_private(self.folder / "keys" / PRIVATE_FILE)
        store = open_writable(str(self.folder / "store"))
        version = publish_built(store, "live", build, key, now_s=time.time()).version
        self.version = max(self.version, version)
        return version

    def pause(self, *slots: str) -> int:
        """Pauses these slots and no others; the number of that control object."""
        paused = tuple(Paused(kind="slot", id=slot, since_s=0) for slot in slots)
        key = read_private(self.folder / "keys" / PRIVATE_FILE)
        store = open_writable(str(self.folder / "store"))
        return change(store, "live", lambda _: paused, key, {}, now_s=time.time()).number

    @contextlib.contextmanager
    def running(self, node: Node | None = None) -> Iterator[Node]:
        """The node, and somebody who asks it from the moment that it answers."""
        with (node or self.node).running() as started, self.asked(started):
            yield started

    @contextlib.contextmanager
    def asked(self, node: Node) -> Iterator[None]:
        """Somebody asks for two slots again and again, each time by a connection of its own, so
        that both workers are asked."""
        over = threading.Event()

        def ask() -> None:
            url = f"{node.url}/v1/fragments?slots=hero,promo"
            with httpx.Client(limits=httpx.Limits(max_keepalive_connections=0)) as client:
                is_last = False  # the last one is asked when all is over: it sees how it ended
                while not is_last:
                    is_last = over.wait(PAUSE_S)
                    try:
                        self.seen.take(client.get(url))
                    except httpx.TransportError:
                        self.seen.unanswered += 1

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def serves(self, version: int, node: Node | None = None, within_s: float = 20.0) -> float:
        """Waits until every worker serves a version; how long that took."""
        started_s = time.monotonic()
        wait_until(lambda: serving(node or self.node) == [version] * WORKERS, within_s)
        return time.monotonic() - started_s

    def obeys(self, number: int, within_s: float = 20.0) -> float:
        """Waits until every worker obeys a control object; how long that took."""
        started_s = time.monotonic()
        wait_until(lambda: serving(self.node, "control") == [number] * WORKERS, within_s)
        return time.monotonic() - started_s

    def hangs(self, path: str) -> None:
        """Waits until the origin is asked for a path once more, which it answers slowly by now."""
        asked = len(self.origin.requests)
        wait_until(lambda: any(path in one for one in self.origin.requests[asked:]))

    def takes(self, version: int) -> bool:
        """Waits until the node has taken a version, which is True, or is dead."""
        node = self.node
        wait_until(lambda: not node.lives or status(node)["snapshot"].get("version") == version)
        return node.lives

    def says(self, what: str, node: Node | None = None, within_s: float = 40.0) -> str:
        """Waits until /status tells of some trouble with these words; that trouble. One with the
        control object only if these words say so."""
        found: list[str] = []

        def told() -> bool:
            troubles = status(node or self.node)["troubles"]
            of_control = what.startswith(CONTROL)
            found[:] = [
                one for one in troubles if what in one and one.startswith(CONTROL) == of_control
            ]
            return bool(found)

        wait_until(told, within_s)
        return found[0]

    def settles(self, node: Node | None = None, within_s: float = 40.0) -> None:
        """Waits until /status tells of no trouble."""
        wait_until(lambda: status(node or self.node)["troubles"] == [], within_s)

    def memory_mib(self) -> float:
        """What all processes of the node hold, resident."""
        process = self.node.process
        pids = [*self.node.workers(), *([process.pid] if process else [])]
        statuses = (Path(f"/proc/{pid}/status").read_text(encoding="utf-8") for pid in pids)
        return sum(int(RESIDENT.findall(status)[0]) for status in statuses) / 1_024

    def end(self) -> None:
        """The origin stops, if it has not."""
        with contextlib.suppress(OSError):
            self.origin.stop()


def status(node: Node) -> dict[str, Any]:
    """What the node says; of one that does not answer, that."""
    with contextlib.suppress(httpx.TransportError):
        return node.status()
    return {"troubles": ["no answer"], "workers": [], "is_ready": False, "snapshot": {}}


def serving(node: Node, what: str = "version") -> list[int]:
    """The version of each worker, or its control."""
    return [worker[what] for worker in status(node)["workers"]]

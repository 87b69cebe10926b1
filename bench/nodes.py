"""Real edge nodes for the benches: keys, a store with a bundle, `edgewise serve` as a process, and
a client that only counts. Nothing is timed here but requests."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import selectors
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import httpx
import msgspec

from bench import site
from decisions.ledger import Ledger, first_ledger
from edge.commands.keys import create
from snapshots.bundle import Packed
from snapshots.keys import PRIVATE_FILE, read_private
from snapshots.publish import publish_built
from snapshots.store import open_writable

READY_S = 60.0
CONNECTIONS = 32
TURNS = Path(__file__).with_name("turns.lua")


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def published(folder: Path, rules: int, members: int) -> None:
    """Keys in `keys`, and version 1 of the channel live in `store`."""
    create(folder / "keys")
    parts = site.parts(rules, members)
    key = read_private(folder / "keys" / PRIVATE_FILE)

    def build(ledger: Ledger | None) -> tuple[list[Packed], Ledger]:
        return parts, ledger or first_ledger("bench")

    publish_built(open_writable(str(folder / "store")), "live", build, key, now_s=time.time())


@contextlib.contextmanager
def running(command: Sequence[str], core: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with this block; core: the only one it and its children may use."""
    pin = f"os.sched_setaffinity(0, {{{core}}})" if core is not None else "None"
    start = f"import os, sys; {pin}; os.execv(sys.argv[1], sys.argv[1:])"
    process = subprocess.Popen([sys.executable, "-c", start, *command])
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


def serve(folder: Path, port: int, *more: str) -> list[str]:
    """The command of a node with one worker."""
    return [
        *(sys.executable, "-m", "edge.cli", "serve", "--store", str(folder / "store")),
        *("--keys", str(folder / "keys"), "--cache", str(folder / "cache"), "--drain-s", "0"),
        *("--port", str(port), "--admin", "127.0.0.1:0", *more),
    ]


@contextlib.contextmanager
def bare(folder: Path, reply: httpx.Response, core: int | None) -> Iterator[tuple[int, int]]:
    """The bare app (`bench.bare`), answering with the same bytes and headers: port, process."""
    told = [(n, v) for n, v in reply.headers.multi_items() if n not in ("server", "date")]
    sample, port = folder / "reply.json", free_port()
    sample.write_bytes(msgspec.json.encode((told, reply.text)))
    command = [sys.executable, "-m", "bench.bare", str(port), str(sample)]
    with running(command, core) as app:
        wait_for(f"http://127.0.0.1:{port}/")
        yield port, app.pid


def wait_for(url: str) -> None:
    """Returns when `url` answers 200."""
    until_s = time.monotonic() + READY_S
    while time.monotonic() < until_s:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, timeout=2.0).status_code == httpx.codes.OK:
                return
        time.sleep(0.02)
    raise TimeoutError(f"expected {url} to answer within {READY_S} s")


def each_worker(port: int, status: str, workers: int) -> list[http.client.HTTPConnection]:
    """A kept-alive connection to each of a node's workers, which share the port.

    status: the address of its /status. Raises TimeoutError for workers that do not come up.
    """
    until_s = time.monotonic() + READY_S
    found: dict[int, http.client.HTTPConnection] = {}
    while time.monotonic() < until_s:
        with contextlib.suppress(httpx.HTTPError):
            told = httpx.get(status, timeout=2.0).json()
            pids = [worker["pid"] for worker in told["workers"]]
            if told["is_ready"] and len(pids) == workers:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_S)
                connection.request("GET", "/_ew/healthz")
                connection.getresponse().read()
                if found.setdefault(_holder(connection, pids), connection) is not connection:
                    connection.close()
        if len(found) == workers:
            return list(found.values())
        time.sleep(0.02)
    raise TimeoutError(f"expected {workers} workers behind port {port} within {READY_S} s")


def _holder(connection: http.client.HTTPConnection, pids: Iterable[int]) -> int:
    """Which of these processes holds the other end of a connection on this machine."""
    ends = [f":{connection.port:04X}", f":{connection.sock.getsockname()[1]:04X}"]
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (inode,) = (line[9] for line in lines if [line[1][-5:], line[2][-5:]] == ends)
    for pid in pids:
        for held in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                if str(held.readlink()) == f"socket:[{inode}]":
                    return pid
    raise ValueError(f"expected one of {pids} at the other end of {ends}")


def processor_s(process: int) -> float:
    """Seconds of processor time that a process and its children took so far.

    What a request costs in these is what it costs in requests per second on a core of one's own,
    and does not change when others use the core of the server or, worse, that of the client: one
    that cannot keep up makes all servers look alike.
    """
    return sum(seconds for _, seconds in _family(process).values())


def family(process: int) -> list[int]:
    """A process and all that come from it."""
    return sorted(_family(process))


def _family(process: int) -> dict[int, tuple[int, float]]:
    known = {int(path.name): _stat(path) for path in Path("/proc").glob("[0-9]*")}
    found = {process}
    while more := {pid for pid, (parent, _) in known.items() if parent in found} - found:
        found |= more
    return {pid: known[pid] for pid in found}


def _stat(path: Path) -> tuple[int, float]:
    """A process's parent, and the seconds of processor time that it took."""
    try:
        fields = (path / "stat").read_text().rpartition(")")[2].split()
    except OSError:  # it ended meanwhile
        return 0, 0.0
    return int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cores() -> tuple[int, int] | None:
    """One core for the server, another for the client; None where that cannot be said."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[-1]) if len(usable) > 1 else None


def requests_per_s(
    port: int, path: str, headers: dict[str, str], seconds: int, cookies: Path | None = None
) -> float:
    """How many replies come back over 32 kept-alive connections, one request on each at a time.

    cookies: a file of Cookie headers, one a line; every request takes the next. wrk asks where it
    is installed; else this process does, which is then the slower of the two and flatters whoever
    is asked.
    """
    if shutil.which("wrk") is None:
        return _asked_here(port, path, headers, seconds, cookies)
    given = [f"{name}: {value}" for name, value in headers.items() if name != "host"]
    lines = [word for line in given for word in ("-H", line)]
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", *lines]
    turns = ["-s", str(TURNS), "--", str(cookies)] if cookies else []
    url = f"http://127.0.0.1:{port}{path}"
    told = subprocess.run(
        [*command, *turns[:2], url, *turns[2:]], capture_output=True, text=True, check=True
    ).stdout
    assert "Non-2xx" not in told, told
    return float(told.partition("Requests/sec:")[2].split()[0])


def _asked_here(
    port: int, path: str, headers: dict[str, str], seconds: int, cookies: Path | None
) -> float:
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    turns = [f"cookie: {line}" for line in cookies.read_text().splitlines()] if cookies else []
    requests = itertools.cycle(
        ["\r\n".join([*lines, *turn, "", ""]).encode() for turn in zip(turns)]
        or ["\r\n".join([*lines, "", ""]).encode()]
    )
    selector = selectors.DefaultSelector()
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(next(requests))
        selector.register(connection, selectors.EVENT_READ, bytearray())
    replies, started_s = 0, time.perf_counter()
    while (passed_s := time.perf_counter() - started_s) < seconds:
        for key, _ in selector.select(1.0):
            connection = key.fileobj  # type: ignore[assignment] # sockets are what was registered
            held: bytearray = key.data
            held += connection.recv(65_536)
            head, gap, body = bytes(held).partition(b"\r\n\r\n")
            length = head.partition(b"content-length: ")[2].partition(b"\r")[0]
            if gap and len(body) >= int(length):
                held.clear()
                replies += 1
                connection.sendall(next(requests))
    for key in list(selector.get_map().values()):
        key.fileobj.close()  # type: ignore[union-attr] # the same
    selector.close()
    return replies / passed_s

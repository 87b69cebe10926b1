"""Members who ask a node all the time, from a process of its own, so that nothing but the node lets
them wait.

`python -m bench.big.asking PORT COOKIES` asks until its standard input ends, then prints `Seen` in
JSON. COOKIES: a file of Cookie headers, one a line. Every visitor asks for both slots, over
kept-alive connections. A reply fails that does not come, has another status than 200, or shows
fragments of two versions or of none.
"""

from __future__ import annotations

import http.client
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.big import parts
from bench.http import HEADERS
from edge.wire import VisitReply

PATH = f"/_ew/v1/fragments?slots={','.join(parts.SLOTS)}&path=/p/1&category=c1"
ASKERS = 8
SHOWN = {f"<p>{mark}</p>" for mark in parts.MARKS}


class Seen(msgspec.Struct):
    """taken_ns: from request to reply, by the clock. failed: what was wrong with one."""

    taken_ns: list[int] = []
    failed: list[str] = []

    def take(self, status: int, body: bytes) -> None:
        """Judges a reply."""
        if status != http.client.OK:
            self.failed.append(f"status {status}")
            return
        shown = {one.html for one in msgspec.json.decode(body, type=VisitReply).decisions}
        if len(shown) != 1 or not shown <= SHOWN:
            self.failed.append(f"not of one version: {sorted(map(str, shown))}")


def ask(port: int, cookies: Sequence[str], over: threading.Event, seen: Seen) -> None:
    """One connection's requests, a visitor after the other."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10.0)
    turn = 0
    while not over.is_set():
        turn, started_ns = turn + 1, time.perf_counter_ns()
        cookie = cookies[turn % len(cookies)]
        try:
            connection.request("GET", PATH, headers=HEADERS | {"cookie": cookie})
            reply = connection.getresponse()
            status, body = reply.status, reply.read()
        except (OSError, http.client.HTTPException) as error:
            seen.failed.append(f"no answer: {error!r}")
            connection.close()
            continue
        seen.taken_ns.append(time.perf_counter_ns() - started_ns)
        seen.take(status, body)
    connection.close()


def main(port: int, cookies: Sequence[str]) -> Seen:
    """Asks until there is no more standard input."""
    over, seen = threading.Event(), Seen()
    threads = [
        threading.Thread(target=ask, args=(port, cookies[first::ASKERS], over, seen))
        for first in range(ASKERS)
    ]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    return seen


if __name__ == "__main__":
    lines = Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()
    sys.stdout.buffer.write(msgspec.json.encode(main(int(sys.argv[1]), lines)))

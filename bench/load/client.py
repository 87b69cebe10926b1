"""An open-loop HTTP/1.1 client: requests with the moments they are due in, what became of each out.

One thread and one epoll, over kept-alive connections as a proxy holds them: a request takes a free
one, opens another while there are fewer than `most`, or waits for one; who has waited `patience_s`
gives up, and was never the node's; None waits for ever. It believes nothing: a 200 without a body
is a failure, too.
`python -m bench.load.client STREAM…`, in JSON, prints an empty line at its second 0 and `Told` at
its end.
"""

from __future__ import annotations

import gc
import itertools
import math
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from bench.load.arrivals import due

LINGER_S = 10.0  # how long replies are waited for after the last request
LOOK_S, AT_ONCE = 0.01, 64  # the longest wait, and replies between two looks at what is due
HEAD_END = b"\r\n\r\n"
LENGTH, CLOSES = b"content-length: ", b"connection: close"


class Stream(msgspec.Struct, frozen=True):
    """Requests of one kind. file: of requests as bytes (msgpack), taken in turn. keeps: whether
    connections are kept; else each request opens its own. status: what is expected."""

    name: str
    port: int
    file: str
    per_s: float
    from_s: float
    until_s: float
    most: int = 256
    patience_s: float | None = None
    keeps: bool = True
    status: int = 200
    seed: int = 1


class Seen(msgspec.Struct):
    """What became of a stream's requests. For each reply, in order of coming: when the request was
    due, how long after that it was sent, and how long after that (due) its reply was there.
    failed: how often for which reason. given_up: never sent."""

    due_s: list[float] = []
    late_s: list[float] = []
    took_s: list[float] = []
    failed: dict[str, int] = {}
    given_up: int = 0

    def fail(self, why: str) -> None:
        """One more that has no reply as it should be."""
        self.failed[why] = self.failed.get(why, 0) + 1

    @property
    def at_node_s(self) -> list[float]:
        """From sending to reply."""
        return [took - late for took, late in zip(self.took_s, self.late_s, strict=True)]


class Told(msgspec.Struct):
    """What a run saw, by the names of its streams. busy: the share of a core that asking took."""

    seen: dict[str, Seen]
    busy: float


class _Connection:
    """One connection and the request that is under way on it, if any."""

    __slots__ = ("due_s", "held", "line", "sent_s", "socket", "unsent")

    def __init__(self, line: _Line) -> None:
        self.line = line
        self.held = self.unsent = b""
        self.due_s = self.sent_s = -1.0
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect_ex(("127.0.0.1", line.stream.port))

    def ask(self, request: bytes, due_s: float, now_s: float) -> None:
        """Sends the request, or as soon as the connection stands."""
        self.due_s, self.sent_s = due_s, now_s
        try:
            self.socket.send(request)
        except OSError:  # it does not stand yet; or it is gone, which reading tells
            self.unsent = request

    def opened(self) -> None:
        """The connection stands, or not: `take` will find out."""
        self.line.epoll.modify(self.socket.fileno(), select.EPOLLIN)
        if self.unsent:
            request, self.unsent = self.unsent, b""
            try:
                self.socket.send(request)
            except OSError as error:
                self.line.lost(self, type(error).__name__)

    def take(self, now_s: float) -> None:
        """Reads what came."""
        try:
            raw = self.socket.recv(65_536)
        except OSError as error:
            self.line.lost(self, type(error).__name__)
            return
        if not raw:
            self.line.lost(self, "closed")
            return
        self.held = raw = self.held + raw if self.held else raw
        if (head := raw.find(HEAD_END)) < 0:
            return
        _, found, told = raw[: head + 1].partition(LENGTH)
        length = int(told[: told.find(b"\r")]) if found else 0
        if len(raw) < head + len(HEAD_END) + length:
            return
        self.held = b""
        ends = CLOSES in raw[:head]
        self.line.replied(self, int(raw[9:12]), length, now_s, ends=ends)


class _Line:
    """The requests of one stream that are due, and its connections."""

    def __init__(
        self, stream: Stream, epoll: select.epoll, connections: dict[int, _Connection]
    ) -> None:
        self.stream, self.epoll, self._connections = stream, epoll, connections
        self.seen = Seen()
        requests = msgspec.msgpack.decode(Path(stream.file).read_bytes(), type=list[bytes])
        self._requests = itertools.cycle(requests)
        self._due: Iterator[float] = due(stream.per_s, stream.from_s, stream.until_s, stream.seed)
        self._next_s = next(self._due, None)
        self._waiting: deque[float] = deque()
        self._free: list[_Connection] = []
        self._open = 0

    def turn(self, now_s: float) -> float:
        """Sends what is due and has a connection; when the next one is due."""
        while self._next_s is not None and self._next_s <= now_s:
            self._waiting.append(self._next_s)
            self._next_s = next(self._due, None)
        while self._waiting and (self._free or self._open < self.stream.most):
            self._ask(self._waiting.popleft(), now_s)
        if self.stream.patience_s is not None:
            self._give_up(now_s, self.stream.patience_s)
        return math.inf if self._next_s is None else self._next_s

    def _give_up(self, now_s: float, patience_s: float) -> None:
        """Whoever has waited too long leaves, and at the end everybody."""
        before_s = now_s - patience_s if now_s < self.stream.until_s else now_s
        while self._waiting and self._waiting[0] < before_s:
            self._waiting.popleft()
            self.seen.given_up += 1

    def _ask(self, due_s: float, now_s: float) -> None:
        connection = self._free.pop() if self._free else self._connect()
        connection.ask(next(self._requests), due_s, now_s)

    def _connect(self) -> _Connection:
        connection = _Connection(self)
        self._open += 1
        self._connections[connection.socket.fileno()] = connection
        self.epoll.register(connection.socket.fileno(), select.EPOLLOUT)
        return connection

    def is_over(self, now_s: float) -> bool:
        """Whether nothing more is to come."""
        if now_s <= self.stream.until_s or self._next_s is not None or self._waiting:
            return False
        return self._open == len(self._free) or now_s > self.stream.until_s + LINGER_S

    def replied(
        self, connection: _Connection, status: int, length: int, now_s: float, *, ends: bool
    ) -> None:
        """A whole reply is there. ends: whether the node ends the connection with it."""
        seen, due_s = self.seen, connection.due_s
        if status != self.stream.status:
            seen.fail(f"status {status}")
        elif not length:
            seen.fail("empty")
        else:
            seen.due_s.append(due_s)
            seen.late_s.append(connection.sent_s - due_s)
            seen.took_s.append(now_s - due_s)
        connection.due_s = -1.0
        if self.stream.keeps and not ends:
            self._free.append(connection)
        else:
            self._close(connection)

    def lost(self, connection: _Connection, why: str) -> None:
        """The connection is gone; with a request under way that is a failure."""
        if connection.due_s >= 0:
            self.seen.fail(why)
        else:
            self._free.remove(connection)
        self._close(connection)

    def _close(self, connection: _Connection) -> None:
        self._open -= 1
        del self._connections[connection.socket.fileno()]
        connection.socket.close()

    def end(self) -> None:
        """Whoever has no reply by now gets none."""
        for connection in [one for one in self._connections.values() if one.line is self]:
            if connection.due_s >= 0:
                self.seen.fail("no answer")
            self._close(connection)


def ask(streams: Sequence[Stream], begins: Callable[[], None] = lambda: None) -> Told:
    """Asks until all streams are over. begins: called at second 0."""
    connections: dict[int, _Connection] = {}
    with select.epoll() as epoll:
        lines = [_Line(stream, epoll, connections) for stream in streams]
        gc.collect()
        gc.disable()  # its pauses would be taken for the node's
        begins()
        began_s, worked_s = time.perf_counter(), time.process_time()
        while True:
            now_s = time.perf_counter() - began_s
            next_s = min(line.turn(now_s) for line in lines)
            if all(line.is_over(now_s) for line in lines):
                break
            wait_s = min(LOOK_S, next_s - (time.perf_counter() - began_s))
            if wait_s > 0:  # epoll alone rounds up to milliseconds
                select.select([epoll], [], [], wait_s)
            for number, event in epoll.poll(0, AT_ONCE):
                connection = connections[number]
                if event & select.EPOLLOUT:
                    connection.opened()
                else:
                    connection.take(time.perf_counter() - began_s)
        busy = (time.process_time() - worked_s) / (time.perf_counter() - began_s)
        gc.enable()
        for line in lines:
            line.end()
    return Told({line.stream.name: line.seen for line in lines}, busy)


if __name__ == "__main__":
    given = [msgspec.json.decode(word, type=Stream) for word in sys.argv[1:]]
    sys.stdout.buffer.write(msgspec.json.encode(ask(given, lambda: print(flush=True))))

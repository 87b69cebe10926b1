"""The rotating log: rows wait in memory for half a second at most, then a thread writes them.

The thread makes the rows, too: who waits for a reply waits for none of it. A full queue or a full
disk drops rows and counts them; serving goes on. A crash loses what waits.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator

from edge.metrics import Metrics
from edge.sinks.row import encode
from edge.sinks.sink import Told
from snapshots.eventlog import EventLog

PAUSE_S = 0.5  # how long a row may wait; with the write itself a crash loses at most a second
SLICE = 64  # rows made at a stretch, a third of a millisecond: requests need the interpreter, too

WRITTEN = "edgewise_log_written_total"
DROPPED = 'edgewise_log_dropped_total{{reason="{}"}}'


class LoggedSink:
    """Rows in at once, lines on disk soon."""

    def __init__(self, log: EventLog, metrics: Metrics, most: int) -> None:
        """most: rows that may wait; ten seconds of a busy worker."""
        self._log, self._metrics, self._most = log, metrics, most
        self._waiting: deque[Told] = deque()
        self._put, self._taken = 0, 0  # rows so far; each is counted by one thread
        # Named here, by one thread: to name a counter takes more than to count.
        for key in (WRITTEN, *map(DROPPED.format, ("queue-full", "disk", "broken"))):
            metrics.count(key, 0)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)

    def put(self, rows: Told) -> None:
        count = len(rows)
        if self._put + count - self._taken > self._most or self._stopping.is_set():
            self._metrics.count(DROPPED.format("queue-full"), count)
        else:
            self._put += count
            self._waiting.append(rows)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()
        self._log.close()

    def trouble(self) -> str:
        return self._log.status.failing

    def flush(self) -> None:
        """Writes what waits now, and closes a file that is old enough."""
        if rows := list(self._lines()):
            before = self._log.status
            self._log.write(rows)
            after = self._log.status
            self._count(WRITTEN, after.written - before.written)
            self._count(DROPPED.format("disk"), after.dropped - before.dropped)
        self._log.tick()

    def _lines(self) -> Iterator[bytes]:
        """The rows that wait, made and spelt."""
        spelt = 0
        for _ in range(len(self._waiting)):
            rows = self._waiting.popleft()
            for line in self._spelt(rows):
                yield line
                spelt += 1
                if spelt % SLICE == 0:
                    time.sleep(0)  # else the loop's thread waits for the interpreter's 5 ms
            self._taken += len(rows)

    def _spelt(self, rows: Told) -> Iterator[bytes]:
        left = len(rows)
        try:
            for row in rows:
                left -= 1
                try:
                    yield encode(row)
                except UnicodeEncodeError:  # half of a surrogate pair: this row alone
                    self._metrics.count(DROPPED.format("broken"))
        except Exception:  # the shell of the thread: what cannot be made must not end the log
            self._metrics.count(DROPPED.format("broken"), left)

    def _count(self, key: str, rows: int) -> None:
        if rows:
            self._metrics.count(key, rows)

    def _run(self) -> None:
        while not self._stopping.wait(PAUSE_S):
            self.flush()

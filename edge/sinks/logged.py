"""The rotating log: rows wait in memory for half a second at most, then a thread writes them.

A full queue or a full disk drops rows and counts them; serving goes on. A crash loses what waits.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol

from edge.metrics import Metrics
from edge.sinks.row import Row, encode

PAUSE_S = 0.5  # how long a row may wait; with the write itself a crash loses at most a second

WRITTEN = "edgewise_log_written_total"
DROPPED = 'edgewise_log_dropped_total{{reason="{}"}}'


class Writer(Protocol):
    """What stands below: `snapshots.eventlog.EventLog`, or a fake."""

    def write(self, rows: list[bytes]) -> int:
        """Appends rows and says how many were kept; never raises for the disk's sake."""
        ...

    def close(self) -> None:
        """Closes the file for readers."""
        ...

    @property
    def trouble(self) -> str:
        """Why rows are not kept just now, or ""."""
        ...


class LoggedSink:
    """Rows in at once, lines on disk soon."""

    def __init__(self, writer: Writer, metrics: Metrics, most: int) -> None:
        """most: rows that may wait; ten seconds of a busy worker."""
        self._writer, self._metrics, self._most = writer, metrics, most
        self._waiting: deque[Row] = deque()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)

    def put(self, row: Row) -> None:
        if len(self._waiting) >= self._most or self._stopping.is_set():
            self._metrics.count(DROPPED.format("queue-full"))
        else:
            self._waiting.append(row)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()
        self._writer.close()

    def trouble(self) -> str:
        return self._writer.trouble

    def flush(self) -> None:
        """Writes what waits now; an empty batch too, so that the writer closes old files."""
        rows = [encode(self._waiting.popleft()) for _ in range(len(self._waiting))]
        kept = self._writer.write(rows)
        if kept:
            self._metrics.count(WRITTEN, kept)
        if kept < len(rows):
            self._metrics.count(DROPPED.format("disk"), len(rows) - kept)

    def _run(self) -> None:
        while not self._stopping.wait(PAUSE_S):
            self.flush()

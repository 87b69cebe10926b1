"""The protocol of a sink, and the one that keeps its rows in a list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from edge.sinks.row import Row


class Told(Protocol):
    """What a visit tells: so many rows, some of them perhaps still to be made; a list will do."""

    def __len__(self) -> int:
        """How many rows."""
        ...

    def __iter__(self) -> Iterator[Row]:
        """The rows, the same each time."""
        ...


class Sink(Protocol):
    """Takes rows at once and never raises; what it cannot keep it drops and counts."""

    def put(self, rows: Told) -> None:
        """Takes what a visit tells, all of it or nothing; it is written soon, in the order of the
        calls."""
        ...

    def start(self) -> None:
        """Begins to write."""
        ...

    def close(self) -> None:
        """Writes what waits, and ends, started or not, once or again. A row put later is
        dropped."""
        ...

    def trouble(self) -> str:
        """Why rows are not being kept just now, or ""."""
        ...


class ListSink:
    """For tests and for nodes without a log: the first `most` rows in memory, the rest counted."""

    def __init__(self, most: int = 10_000) -> None:
        self._kept: list[Told] = []
        self._left, self._most = most, most
        self.dropped = 0

    @property
    def rows(self) -> list[Row]:
        """What was put, made now."""
        return [row for rows in self._kept for row in rows]

    def put(self, rows: Told) -> None:
        if len(rows) > self._left:
            self.dropped += len(rows)
            return
        self._kept.append(rows)
        self._left -= len(rows)

    def clear(self) -> None:
        """Forgets all of it."""
        self._kept.clear()
        self._left = self._most

    def start(self) -> None:
        """Nothing to begin."""

    def close(self) -> None:
        self._left = 0

    def trouble(self) -> str:
        return ""

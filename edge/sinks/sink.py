"""The protocol of a sink, and the one that keeps its rows in a list."""

from __future__ import annotations

from typing import Protocol

from edge.sinks.row import Making, Row


class Sink(Protocol):
    """Takes rows at once and never raises; what it cannot keep it drops and counts."""

    def put(self, making: Making) -> None:
        """Takes one row, which will be made and written soon."""
        ...

    def start(self) -> None:
        """Begins to write."""
        ...

    def close(self) -> None:
        """Writes what waits, and ends. A row put later is dropped."""
        ...

    def trouble(self) -> str:
        """Why rows are not being kept just now, or ""."""
        ...


class ListSink:
    """For tests and for nodes without a log: the last `most` rows in memory."""

    def __init__(self, most: int = 10_000) -> None:
        self._waiting: list[Making] = []
        self._most = most

    @property
    def rows(self) -> list[Row]:
        """What was put, made now."""
        return [making() for making in self._waiting]

    def put(self, making: Making) -> None:
        if len(self._waiting) < self._most:
            self._waiting.append(making)

    def clear(self) -> None:
        """Forgets all of it."""
        self._waiting.clear()

    def start(self) -> None:
        """Nothing to begin."""

    def close(self) -> None:
        """Nothing to end."""

    def trouble(self) -> str:
        return ""

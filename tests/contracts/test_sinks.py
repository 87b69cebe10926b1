from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.metrics import Metrics
from edge.sinks.logged import LoggedSink
from edge.sinks.row import Row
from edge.sinks.sink import ListSink
from snapshots.eventfiles import open_events, read_rows
from snapshots.eventlog import EventLog
from tests.contracts.sinks import MOST, SinkContract


class TestListSink(SinkContract):
    @pytest.fixture
    def sink(self) -> ListSink:
        return ListSink(MOST)

    @pytest.fixture
    def kept(self, sink: ListSink) -> Callable[[], list[str]]:
        return lambda: [row.id for row in sink.rows]

    @pytest.fixture
    def dropped(self, sink: ListSink) -> Callable[[], int]:
        return lambda: sink.dropped


class TestLoggedSink(SinkContract):
    @pytest.fixture
    def metrics(self) -> Metrics:
        return Metrics()

    @pytest.fixture
    def sink(self, tmp_path: Path, metrics: Metrics) -> LoggedSink:
        return LoggedSink(EventLog(tmp_path, "node", 1, clock=time.time), metrics, MOST)

    @pytest.fixture
    def kept(self, tmp_path: Path) -> Callable[[], list[str]]:
        events = open_events(str(tmp_path))
        return lambda: [placed.row.id for placed in read_rows(events, Row)]

    @pytest.fixture
    def dropped(self, metrics: Metrics) -> Callable[[], int]:
        def counted() -> int:
            values = metrics.values().items()
            return sum(value for key, value in values if key.startswith("edgewise_log_dropped"))

        return counted

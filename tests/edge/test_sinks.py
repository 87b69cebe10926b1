"""Sinks: rows are taken at once, written soon, and never in the way."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

from edge.metrics import Metrics
from edge.sinks.logged import SLICE, LoggedSink
from edge.sinks.row import Row
from edge.sinks.sink import ListSink
from snapshots.eventlog import EventLog


def log_in(folder: Path) -> EventLog:
    return EventLog(folder, "node", 1, clock=time.time)


def rows(*numbers: int) -> list[Row]:
    return [Row(id=str(number), type="article_read", received=1.0) for number in numbers]


class Broken(list[Row]):
    """Two rows that can be made, and one that cannot."""

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[Row]:
        yield from rows(7, 8)
        raise IndexError


def lines(folder: Path) -> list[str]:
    return [
        json.loads(line)["id"]
        for path in sorted(folder.iterdir())
        for line in path.read_text().splitlines()
    ]


def test_rows_are_on_disk_soon_and_all_of_them_at_the_end(tmp_path: Path) -> None:
    metrics = Metrics()
    sink = LoggedSink(log_in(tmp_path), metrics, 10)
    sink.start()
    sink.put(rows(1))
    until_s = time.monotonic() + 10
    while not metrics.values().get("edgewise_log_written_total") and time.monotonic() < until_s:
        time.sleep(0.02)
    assert lines(tmp_path) == ["1"]

    sink.put(rows(2))
    sink.close()

    assert lines(tmp_path) == ["1", "2"]
    assert [path.suffix for path in tmp_path.iterdir()] == [".ndjson"]


def test_a_full_queue_drops_rows_and_counts_them(tmp_path: Path) -> None:
    metrics = Metrics()
    sink = LoggedSink(log_in(tmp_path), metrics, 2)

    for number in range(5):
        sink.put(rows(number))
    sink.close()
    sink.put(rows(9))

    assert lines(tmp_path) == ["0", "1"]
    assert metrics.values()['edgewise_log_dropped_total{reason="queue-full"}'] == 4


def test_a_row_that_cannot_be_made_or_spelt_is_counted_and_the_others_are_written(
    tmp_path: Path,
) -> None:
    metrics = Metrics()
    sink = LoggedSink(log_in(tmp_path), metrics, 2 * SLICE)

    sink.put([Row(id="\ud800", type="article_read", received=1.0), *rows(6)])
    sink.put(Broken())
    for number in range(SLICE):
        sink.put(rows(number))
    sink.close()

    assert lines(tmp_path) == ["6", "7", "8", *(str(number) for number in range(SLICE))]
    assert metrics.values()['edgewise_log_dropped_total{reason="broken"}'] == 2


def test_a_disk_that_takes_nothing_is_told_and_the_rows_are_counted(tmp_path: Path) -> None:
    (tmp_path / "events").write_text("a file where the folder should be")
    metrics = Metrics()
    sink = LoggedSink(log_in(tmp_path / "events"), metrics, 10)

    sink.put(rows(1))
    sink.flush()

    assert sink.trouble()
    assert metrics.values()['edgewise_log_dropped_total{reason="disk"}'] == 1
    sink.close()


def test_a_list_keeps_the_first_rows() -> None:
    sink = ListSink(most=1)
    sink.start()
    sink.put(rows(1))
    sink.put(rows(2))
    sink.close()

    assert [kept.id for kept in sink.rows] == ["1"]
    assert sink.trouble() == ""

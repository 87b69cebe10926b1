"""Counters: one file a process, summed over processes, in Prometheus's own format."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from edge import metrics
from edge.metrics import FILE_BYTES, Metrics, exposition, summed
from tests.edge.shop import Shop


def test_counts_of_all_processes_are_added_up(tmp_path: Path) -> None:
    one, two = Metrics(tmp_path / "1.counters"), Metrics(tmp_path / "2.counters")
    one.count('replies_total{route="visit"}')
    one.count('replies_total{route="visit"}', 2)
    two.count('replies_total{route="visit"}')
    two.count("other_total")

    total = summed(tmp_path, alive=[1, 2])

    assert total['replies_total{route="visit"}'] == 4
    assert total["other_total"] == 1


def test_a_dead_process_keeps_its_counts_and_loses_its_gauges(tmp_path: Path) -> None:
    dead = Metrics(tmp_path / "1.counters")
    dead.count("replies_total", 5)
    dead.set("snapshot_version", 7)
    living = Metrics(tmp_path / "2.counters")
    living.set("snapshot_version", 8)

    total = summed(tmp_path, alive=[2])

    assert (total["replies_total"], total["snapshot_version"]) == (5, 8)


def test_the_system_is_asked_who_lives(tmp_path: Path) -> None:
    for pid in (os.getpid(), 1, 2**22 + 1):  # ours, init's, and one beyond the highest there is
        Metrics(tmp_path / f"{pid}.counters").set("workers", 1)

    assert summed(tmp_path)["workers"] == 2


def test_a_disk_without_room_for_counters_does_not_stop_the_counting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counting in a hole of a file on a full disk would be a SIGBUS, the end of the worker."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    counters = Metrics(tmp_path / "run" / "1.counters")
    counters.count("a_total")

    assert counters.values()["a_total"] == 1
    assert list((tmp_path / "run").iterdir()) == []
    assert summed(tmp_path / "run") == {}


def test_the_room_for_counters_is_taken_at_the_start(tmp_path: Path) -> None:
    Metrics(tmp_path / "1.counters")

    assert (tmp_path / "1.counters").stat().st_blocks * 512 >= FILE_BYTES


def test_a_full_file_counts_what_it_has_no_room_for_as_overflow() -> None:
    counters = Metrics()
    for number in range(10_000):
        counters.count(f"some_rather_long_name_of_a_counter_{number}_total")

    values = counters.values()

    assert sum(values.values()) == 10_000
    assert values[metrics.OVERFLOW] > 0


def test_the_exposition_has_types_and_cumulative_buckets() -> None:
    counters = Metrics()
    counters.count('events_total{type="a"}', 3)
    counters.set("waiting", 2)
    took = counters.timer("decide_seconds")
    for took_ns in (40_000, 200_000, 200_000, 5_000_000_000):
        took(took_ns)

    text = exposition(counters.values())

    assert '# TYPE events_total counter\nevents_total{type="a"} 3\n' in text
    assert "# TYPE waiting gauge\nwaiting 2\n" in text
    assert "# TYPE decide_seconds histogram\n" in text
    assert 'decide_seconds_bucket{le="0.00025"} 3\n' in text
    assert 'decide_seconds_bucket{le="0.1"} 3\n' in text
    assert 'decide_seconds_bucket{le="+Inf"} 4\n' in text
    assert "decide_seconds_sum 5.00044\n" in text
    assert "decide_seconds_count 4\n" in text


def test_a_template_and_its_values_count_as_the_series_they_make() -> None:
    counters = Metrics()
    counters.count(('replies_total{{status="{}"}}', 200))
    counters.count('replies_total{status="200"}', 2)
    counters.count(('replies_total{{status="{}"}}', 200))

    assert counters.values() == {metrics.OVERFLOW: 0, 'replies_total{status="200"}': 4}


def test_a_process_of_somebody_else_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr("edge.metrics.os.kill", refuse)

    assert metrics.lives(1)


@pytest.mark.anyio
async def test_replies_are_counted_by_route_and_status() -> None:
    shop = Shop()

    await shop.browser().visit()
    await shop.browser().send("GET", "/_ew/v1/fragments/hero")

    assert shop.counted('edgewise_replies_total{route="visit",status="200"}') == 1
    assert shop.counted('edgewise_replies_total{route="fragment",status="200"}') == 1
    assert shop.counted('edgewise_decisions_total{slot="hero",reason="DEFAULT"}') == 2
    assert "edgewise_decide_seconds_count 2\n" in exposition(shop.services.metrics.values())

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from snapshots.eventfiles import Logged, rows_of
from snapshots.eventlog import EventLog
from snapshots.spool import Spool, compress
from tests.snapshots.bundles import NOW_S, Clock
from tests.snapshots.test_eventfiles import line

MANY = 2**30


def lay(folder: Path, name: str, *rows: bytes, closed_s: float = NOW_S) -> Path:
    """A finished file, closed then."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(compress(b"".join(rows)) if name.endswith(".zst") else b"".join(rows))
    os.utime(path, (closed_s, closed_s))
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_waits_is_told_oldest_first_and_strangers_are_left_alone(tmp_path: Path) -> None:
    lay(tmp_path, "paris-1-9.ndjson", line("new"), closed_s=NOW_S + 5)
    lay(tmp_path, "paris-2-5.ndjson.zst", line("old"))
    lay(tmp_path, "notes.ndjson", b"of somebody")
    lay(tmp_path, "notes.ndjson.part", b"of somebody\n")

    found = Spool(tmp_path, MANY).look()

    assert [(one.path.name, one.closed_s) for one in found] == [
        ("paris-2-5.ndjson.zst", NOW_S),
        ("paris-1-9.ndjson", NOW_S + 5),
    ]
    assert "notes.ndjson" in names(tmp_path)


def test_a_folder_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    assert Spool(tmp_path / "events", MANY).look() == []


def test_the_file_of_a_worker_that_died_is_ended_and_that_of_one_that_lives_is_not(
    tmp_path: Path,
) -> None:
    log = EventLog(tmp_path, "paris", 2, clock=Clock(1_000.0))
    log.write([b"lives"])
    (tmp_path / "paris-7-900.ndjson.part").write_bytes(b"died\ntor")
    (tmp_path / "paris-8-900.ndjson.part").write_bytes(b"torn only")

    found = Spool(tmp_path, MANY).look()

    assert [one.path.name for one in found] == ["paris-7-900.ndjson"]
    assert found[0].path.read_bytes() == b"died\n"
    assert names(tmp_path) == ["paris-2-1000.ndjson.part", "paris-7-900.ndjson"]
    log.write([b"still"])
    log.close()
    assert (tmp_path / "paris-2-1000.ndjson").read_bytes() == b"lives\nstill\n"


def test_a_file_that_is_taken_for_left_before_its_writer_locks_it_loses_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = fcntl.flock, []

    def late(handle: int, how: int) -> None:
        calls.append(how)
        if len(calls) == 1:
            monkeypatch.setattr(fcntl, "flock", real)
            Spool(tmp_path, MANY).look()
        real(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    log = EventLog(tmp_path, "paris", 2, clock=Clock(1_000.0))
    log.write([b"x"])
    log.close()

    assert names(tmp_path) == ["paris-2-1001.ndjson"]
    assert (log.status.written, log.status.dropped) == (1, 0)


def test_a_disk_without_locks_takes_rows_and_nothing_is_taken_for_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(handle: object, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", none)
    log = EventLog(tmp_path, "paris", 2, clock=Clock(1_000.0))
    log.write([b"x"])
    assert Spool(tmp_path, MANY).look() == []
    assert log.status.failing == ""
    log.close()


def test_a_packed_file_has_the_same_rows_and_age_in_less_room(tmp_path: Path) -> None:
    rows = [line(f"{number:05}") for number in range(1_000)]
    path = lay(tmp_path, "paris-2-5.ndjson", *rows)
    spool = Spool(tmp_path, MANY)

    spool.pack(spool.look()[0])
    (one,) = spool.look()

    assert one.is_packed
    assert one.closed_s == NOW_S
    assert one.bytes < len(b"".join(rows)) / 5
    assert one.path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()
    found = list(rows_of(spool.packed(one), one.path.name, Logged))
    assert [placed.row.id for placed in found] == [f"{number:05}" for number in range(1_000)]


def test_a_crash_while_packing_leaves_each_row_once(tmp_path: Path) -> None:
    lay(tmp_path, "paris-2-5.ndjson", line("a"))
    lay(tmp_path, "paris-2-5.ndjson.zst", line("a"))
    lay(tmp_path, "paris-2-6.ndjson", line("b"))
    lay(tmp_path, "paris-2-6.ndjson.zst.new", b"half")

    found = Spool(tmp_path, MANY).look()

    assert [one.path.name for one in found] == ["paris-2-5.ndjson.zst", "paris-2-6.ndjson"]
    assert names(tmp_path) == ["paris-2-5.ndjson.zst", "paris-2-6.ndjson"]


def test_too_many_bytes_push_the_oldest_files_out_and_their_rows_are_counted(
    tmp_path: Path,
) -> None:
    lay(tmp_path, "paris-2-1.ndjson", line("a"), line("b"))
    lay(tmp_path, "paris-2-2.ndjson.zst", line("c"), closed_s=NOW_S + 1)
    broken = lay(tmp_path, "paris-2-3.ndjson.zst", closed_s=NOW_S + 2)
    broken.write_bytes(b"no frame")
    os.utime(broken, (NOW_S + 2, NOW_S + 2))
    kept = lay(tmp_path, "paris-2-4.ndjson", line("d"), closed_s=NOW_S + 3)
    log = EventLog(tmp_path, "paris", 2, clock=Clock(1_000.0))
    log.write([b"x" * 99])
    spool = Spool(tmp_path, kept.stat().st_size + 100)

    found = spool.look()

    assert [one.path.name for one in found] == ["paris-2-4.ndjson"]
    assert (spool.dropped, spool.files_dropped) == (3, 3)
    log.close()


def test_what_somebody_takes_away_meanwhile_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path, "paris-2-1.ndjson", line("a"))
    (tmp_path / "paris-2-2.ndjson").symlink_to(tmp_path / "gone")
    (tmp_path / "paris-2-3.ndjson.part").symlink_to(tmp_path / "gone")
    spool = Spool(tmp_path, 1)
    monkeypatch.setattr(Path, "unlink", _refused)
    assert spool.look() == []
    assert (spool.dropped, spool.files_dropped) == (0, 0)


def _refused(path: Path) -> None:
    raise PermissionError(13, "Permission denied", str(path))

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from snapshots.eventlog import CALM_S, EventLog
from tests.snapshots.bundles import Clock


def log_in(directory: Path, clock: Clock | None = None, **limits: float) -> EventLog:
    settings = {"max_bytes": 1_000, "max_age_s": 60.0} | limits
    return EventLog(
        directory,
        "paris",
        2,
        clock=clock or Clock(1_000.0),
        max_bytes=int(settings["max_bytes"]),
        max_age_s=settings["max_age_s"],
    )


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def lines(directory: Path) -> list[bytes]:
    return [line for name in names(directory) for line in (directory / name).read_bytes().split()]


def test_rows_are_in_the_file_when_write_returns(tmp_path: Path) -> None:
    log = log_in(tmp_path / "events")
    log.write([b'{"n":1}', b'{"n":2}'])
    assert names(tmp_path / "events") == ["paris-2-1000.ndjson.part"]
    assert lines(tmp_path / "events") == [b'{"n":1}', b'{"n":2}']
    assert (log.status.written, log.status.dropped, log.status.failing) == (2, 0, "")
    assert log.status.file == "paris-2-1000.ndjson.part"
    log.close()
    assert names(tmp_path / "events") == ["paris-2-1000.ndjson"]
    log.close()


def test_a_file_is_for_the_owner_only(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.write([b"x"])
    assert (tmp_path / "paris-2-1000.ndjson.part").stat().st_mode & 0o777 == 0o600
    log.close()


def test_a_full_file_is_ended_and_the_next_one_has_the_next_number(tmp_path: Path) -> None:
    log = log_in(tmp_path, max_bytes=10)
    for number in range(3):
        log.write([b"%d" % number * 10])
    log.close()
    assert names(tmp_path) == [f"paris-2-{seq}.ndjson" for seq in (1000, 1001, 1002)]


def test_an_old_file_is_ended_even_when_no_more_rows_come(tmp_path: Path) -> None:
    clock = Clock(1_000.0)
    log = log_in(tmp_path, clock)
    log.tick()
    assert names(tmp_path) == []
    log.write([b"x"])
    clock.now_s += 59.0
    log.tick()
    assert names(tmp_path) == ["paris-2-1000.ndjson.part"]
    clock.now_s += 1.0
    log.tick()
    assert names(tmp_path) == ["paris-2-1000.ndjson"]
    log.write([b"y"])
    log.close()
    assert names(tmp_path)[1] == "paris-2-1060.ndjson"


def test_numbers_grow_though_files_are_taken_away_and_the_clock_goes_back(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.write([b"x"])
    log.rotate()
    (tmp_path / "paris-2-1000.ndjson").unlink()
    log.write([b"y"])
    log.close()
    again = log_in(tmp_path, Clock(500.0))
    again.write([b"z"])
    again.close()
    assert names(tmp_path) == ["paris-2-1001.ndjson", "paris-2-1002.ndjson"]


def test_names_of_nodes_cannot_leave_the_folder(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events", "../eu west/1", 0, clock=Clock(1.0))
    log.write([b"x"])
    log.close()
    assert names(tmp_path / "events") == [".._eu_west_1-0-1.ndjson"]


def test_what_a_life_before_left_is_ended_without_its_torn_row(tmp_path: Path) -> None:
    (tmp_path / "paris-2-7.ndjson.part").write_bytes(b"whole\ntor")
    (tmp_path / "paris-2-8.ndjson.part").write_bytes(b"torn only" * 20_000)
    (tmp_path / "paris-2-9.ndjson.part").write_bytes(b"")
    (tmp_path / "paris-2-10.ndjson.part").write_bytes(b"whole\n" + b"x" * 100_000)
    (tmp_path / "paris-2-notes").write_bytes(b"of somebody")
    (tmp_path / "paris-21-5.ndjson.part").write_bytes(b"of another worker\n")
    log = log_in(tmp_path)
    log.write([b"new"])
    log.close()
    assert names(tmp_path) == [
        "paris-2-10.ndjson",
        "paris-2-1000.ndjson",
        "paris-2-7.ndjson",
        "paris-2-notes",
        "paris-21-5.ndjson.part",
    ]
    assert (tmp_path / "paris-2-7.ndjson").read_bytes() == b"whole\n"
    assert (tmp_path / "paris-2-10.ndjson").read_bytes() == b"whole\n"


KILLED = """
import sys, time
from pathlib import Path
from snapshots.eventlog import EventLog
log = EventLog(Path(sys.argv[1]), "paris", 2, clock=time.time)
log.write([b"row %d" % number for number in range(100)])
print("written", flush=True)
sys.stdin.read()
"""


def test_a_kill_loses_nothing_that_was_handed_over(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin and process.stdout
    assert process.stdout.readline() == b"written\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)
    (file,) = tmp_path.iterdir()
    assert file.read_bytes().split(b"\n")[:-1] == [b"row %d" % number for number in range(100)]


def test_rows_are_forced_to_the_disk_once_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced: list[int] = []
    clock = Clock(1_000.0)
    log = log_in(tmp_path, clock)
    monkeypatch.setattr(os, "fsync", forced.append)
    for wait_s, expected in ((0.0, 0), (0.5, 0), (0.5, 1), (0.9, 1)):
        clock.now_s += wait_s
        log.write([b"x"])
        assert len(forced) == expected
    clock.now_s += 0.1
    log.tick()
    assert len(forced) == 2
    log.close()


def test_a_disk_that_cannot_be_forced_is_said_and_no_row_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    clock = Clock(1_000.0)
    log = log_in(tmp_path, clock)
    log.write([b"x"])
    monkeypatch.setattr(os, "fsync", broken)
    clock.now_s += 1.0
    log.write([b"y"])
    assert (log.status.written, log.status.dropped) == (2, 0)
    assert (log.status.failing, log.status.since_s) == ("Input/output error", 1_001.0)
    clock.now_s += 0.5
    log.write([b"z"])
    assert log.status.failing == "Input/output error"
    monkeypatch.undo()
    clock.now_s += CALM_S
    log.write([b"!"])
    assert (log.status.failing, log.status.since_s) == ("", 0.0)
    log.close()
    assert lines(tmp_path) == [b"x", b"y", b"z", b"!"]


def test_a_file_that_was_taken_away_while_open_is_let_go_within_a_second(tmp_path: Path) -> None:
    clock = Clock(1_000.0)
    log = log_in(tmp_path / "events", clock)
    log.write([b"x"])
    (tmp_path / "events" / "paris-2-1000.ndjson.part").unlink()
    clock.now_s += 1.0
    log.write([b"lost with the file"])
    log.write([b"kept"])
    assert lines(tmp_path / "events") == [b"kept"]
    log.close()


def test_a_folder_that_cannot_be_made_drops_rows_and_says_since_when(tmp_path: Path) -> None:
    clock = Clock(1_000.0)
    (tmp_path / "file").write_text("")
    log = log_in(tmp_path / "file" / "events", clock)
    log.write([b"x", b"y"])
    clock.now_s += 5.0
    log.write([b"z"])
    status = log.status
    assert (status.written, status.dropped, status.since_s) == (0, 3, 1_000.0)
    assert status.failing == "Not a directory"
    (tmp_path / "file").unlink()
    clock.now_s += CALM_S
    log.write([b"again"])
    assert (log.status.written, log.status.dropped, log.status.failing) == (1, 3, "")
    log.close()


def command(name: str) -> list[str]:
    return [shutil.which(name) or name]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = subprocess.run(
        [*command("mount"), "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)],
        capture_output=True,
    )
    if mounting.returncode:
        if os.environ.get("CI"):
            pytest.fail(f"expected to mount a tmpfs in CI: {mounting.stderr.decode()}")
        pytest.skip("needs to mount a tmpfs")
    yield disk
    subprocess.run([*command("umount"), "-l", str(disk)], check=True)


def test_a_full_disk_drops_rows_keeps_whole_ones_and_logging_resumes_by_itself(
    tiny_disk: Path,
) -> None:
    (tiny_disk / "filler").write_bytes(bytes(30_000))
    clock = Clock(1_000.0)
    log = log_in(tiny_disk, clock, max_bytes=2**20)
    row = b"r" * 999
    for _ in range(10):
        log.write([row] * 10)
    status = log.status
    assert status.failing == "No space left on device"
    assert status.written + status.dropped == 100
    assert 0 < status.written < 36
    data = (tiny_disk / "paris-2-1000.ndjson.part").read_bytes()
    assert data == (row + b"\n") * status.written  # no torn row
    with (tiny_disk / "filler").open("rb+") as filler:
        filler.truncate(0)
    log.write([b"again"])
    assert log.status.failing == "No space left on device", "one small write proves little"
    clock.now_s += CALM_S
    log.write([b"calm"])
    assert (log.status.failing, log.status.written) == ("", status.written + 2)
    log.close()
    assert (tiny_disk / "paris-2-1000.ndjson").read_bytes() == data + b"again\ncalm\n"


def test_a_disk_that_refuses_the_last_name_keeps_the_rows(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.write([b"x"])
    (tmp_path / "paris-2-1000.ndjson").mkdir()  # the name is taken
    log.rotate()
    assert (tmp_path / "paris-2-1000.ndjson.part").read_bytes() == b"x\n"
    log.write([b"y"])
    assert (log.status.failing, log.status.written) == ("", 2)
    log.close()


def test_the_files_of_other_nodes_are_left_alone_whatever_they_are_called(tmp_path: Path) -> None:
    others = [
        "paris-2-3-9.ndjson.part",
        "paris-2-\u00b2.ndjson.part",
        f"paris-2-{'9' * 200}.ndjson",
    ]
    for name in others:
        (tmp_path / name).write_bytes(b"whole\ntor")
    log = log_in(tmp_path)
    log.write([b"x"])
    log.close()
    assert names(tmp_path) == sorted([*others, "paris-2-1000.ndjson"])
    assert all((tmp_path / name).read_bytes() == b"whole\ntor" for name in others)


def test_a_half_row_that_cannot_be_cut_off_ends_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(handle: int, data: bytes) -> int:
        if len(data) < 6:
            raise OSError(5, "Input/output error")
        return real(handle, bytes(data)[:3])

    def broken(*_: int) -> None:
        raise OSError(5, "Input/output error")

    real = os.write
    log = log_in(tmp_path)
    log.write([b"kept"])
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", half)
        patched.setattr(os, "ftruncate", broken)
        log.write([b"torn row"])
    log.write([b"next"])
    log.close()
    assert (log.status.written, log.status.dropped) == (2, 1)
    assert [(tmp_path / name).read_bytes() for name in names(tmp_path)] == [b"kept\n", b"next\n"]


def test_a_disk_that_complains_when_a_file_is_closed_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def complains(handle: int) -> None:
        real(handle)
        raise OSError(5, "Input/output error")

    real = os.close
    log = log_in(tmp_path, max_bytes=1)
    with monkeypatch.context() as patched:
        patched.setattr(os, "close", complains)
        log.write([b"x"])
    log.write([b"y"])
    assert lines(tmp_path) == [b"x", b"y"]
    assert log.status.dropped == 0

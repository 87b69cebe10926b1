"""The node's own erasures: kept at once, read by all, let go when a snapshot lists them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec
import pytest

from edge import erasures as erasures_module
from edge.admin import Admin
from edge.config import Config
from edge.erasures import FILE, UNFINISHED, Erasures, oldest_s
from edge.errors import NotKept
from snapshots.bundle import unpack
from snapshots.erased import KEEP_S, Erased, Times, erased_part
from tests.edge.shop import NOW_S, Clock, snapshot
from tests.edge.test_admin import GOOD, ask

NOW = int(NOW_S)


def test_what_one_worker_adds_the_others_read_and_it_outlives_them(tmp_path: Path) -> None:
    one, other = Erasures(tmp_path, Clock()), Erasures(tmp_path, Clock())
    assert other.waiting() == {}

    one.add({1: NOW, 2**64 - 1: NOW})
    one.add({1: NOW + 5})

    assert other.waiting() == {1: NOW + 5, 2**64 - 1: NOW}
    assert Erasures(tmp_path, Clock()).waiting() == other.waiting()
    assert other.waiting() is other.waiting(), "read once"
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) & 0o077 == 0, "of nobody's business"


def test_a_record_that_a_crash_left_half_written_hides_no_other(tmp_path: Path) -> None:
    erasures = Erasures(tmp_path, Clock())
    erasures.add({1: NOW})
    with (tmp_path / FILE).open("ab") as file:
        file.write(b"half")

    assert erasures.waiting() == {1: NOW}
    erasures.add({2: NOW})

    assert erasures.waiting() == {1: NOW, 2: NOW}
    assert (tmp_path / FILE).stat().st_size == 32


def test_of_a_file_that_grew_only_what_is_new_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = Erasures(tmp_path, Clock()), Erasures(tmp_path, Clock())
    one.add(dict.fromkeys(range(1, 101), NOW))
    assert len(other.waiting()) == 100
    read: list[int] = []
    whole = erasures_module._times

    def counted(raw: bytes, now_s: float) -> Times:
        read.append(len(raw))
        return whole(raw, now_s)

    monkeypatch.setattr(erasures_module, "_times", counted)

    one.add({101: NOW, 7: NOW + 9})

    assert other.waiting() == dict.fromkeys(range(1, 102), NOW) | {7: NOW + 9}
    assert read == [32]


@pytest.mark.parametrize("listed", [{1: NOW}, {3: NOW}, {1: NOW, 2: NOW, 3: NOW}])
def test_a_file_that_was_let_go_of_and_grew_again_is_read_anew(
    tmp_path: Path, listed: dict[int, int]
) -> None:
    one, other = Erasures(tmp_path, Clock()), Erasures(tmp_path, Clock())
    one.add({1: NOW, 2: NOW, 3: NOW})
    assert len(other.waiting()) == 3

    one.settle(listed.get)
    one.add({4: NOW, 5: NOW, 6: NOW})

    assert other.waiting() == Erasures(tmp_path, Clock()).waiting()
    assert set(other.waiting()) == {1, 2, 3, 4, 5, 6} - set(listed)


def test_what_was_taken_back_by_a_disk_that_refused_is_not_kept(tmp_path: Path) -> None:
    one, other = Erasures(tmp_path, Clock()), Erasures(tmp_path, Clock())
    one.add({1: NOW, 2: NOW})
    assert len(other.waiting()) == 2
    with (tmp_path / FILE).open("ab") as file:
        file.truncate(16)
    assert other.waiting() == {1: NOW}

    one.add({3: NOW})

    assert other.waiting() == {1: NOW, 3: NOW}


def test_what_a_snapshot_lists_is_let_go_and_the_rest_stays(tmp_path: Path) -> None:
    erasures = Erasures(tmp_path, Clock())
    erasures.add({1: NOW, 2: NOW, 3: NOW + 9})

    erasures.settle({1: NOW, 3: NOW}.get)

    assert erasures.waiting() == {2: NOW, 3: NOW + 9}, "3 was asked for once more since"
    assert not (tmp_path / UNFINISHED).exists()


def test_nothing_is_written_where_nothing_is_to_be_let_go(tmp_path: Path) -> None:
    erasures = Erasures(tmp_path, Clock())
    erasures.add({1: NOW})
    was = (tmp_path / FILE).stat().st_ino

    erasures.settle(lambda hash_: None)

    assert (tmp_path / FILE).stat().st_ino == was


def test_what_no_cookie_can_be_as_old_as_is_not_read(tmp_path: Path) -> None:
    Erasures(tmp_path, Clock()).add({1: NOW - KEEP_S, 2: NOW})

    assert Erasures(tmp_path, Clock()).waiting() == {2: NOW}


def test_a_disk_that_refuses_keeps_nothing_and_promises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    erasures = Erasures(tmp_path, Clock())
    erasures.add({1: NOW})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(NotKept, match="expected to keep an erasure, No space left on device"):
        erasures.add({2: NOW})
    erasures.settle({1: NOW}.get)

    assert erasures.waiting() == {1: NOW}


def test_without_its_folder_nothing_is_kept_and_nothing_is_known(tmp_path: Path) -> None:
    erasures = Erasures(tmp_path / "gone", Clock())

    with pytest.raises(NotKept, match="No such file or directory"):
        erasures.add({1: NOW})
    assert erasures.waiting() == {}


def test_a_file_that_cannot_be_read_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    erasures = Erasures(tmp_path, Clock())
    erasures.add({1: NOW})
    known = erasures.waiting()

    def broken(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    Erasures(tmp_path, Clock()).add({2: NOW})
    monkeypatch.setattr(Path, "open", broken)

    assert erasures.waiting() is known


def test_the_oldest_says_how_long_one_has_waited() -> None:
    assert oldest_s({}, NOW_S) == 0.0
    assert oldest_s({1: NOW - 90, 2: NOW}, NOW_S) == 90.0
    assert oldest_s({1: NOW + 90}, NOW_S) == 0.0, "a clock that went back"


@pytest.mark.anyio
async def test_erasures_that_no_snapshot_lists_yet_are_told_with_the_age_of_the_oldest(
    tmp_path: Path,
) -> None:
    waiting = {1: int(NOW_S) - 90, 2: int(NOW_S)}
    part = erased_part({7: int(NOW_S)})
    listing = Erased(unpack(part.ref, part.stored))
    served = msgspec.structs.replace(snapshot(3), erased=listing)
    config = Config(cache=str(tmp_path))
    admin = Admin(config, lambda: GOOD, lambda: served, str, Clock(), lambda: waiting)

    told = (await ask(admin, "GET", "/status")).json()
    text = (await ask(admin, "GET", "/metrics")).text

    assert told["erased"] == {"waiting": 2, "oldest_s": 90.0, "listed": 1}
    assert "edgewise_erasures_waiting 2\n" in text
    assert "edgewise_erasures_oldest_seconds 90\n" in text
    assert "edgewise_erasures_listed 1\n" in text

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from snapshots import signing
from snapshots.bundle import pack
from snapshots.errors import DiskRefused, HashMismatch, UnknownKey
from snapshots.keys import PrivateKey
from snapshots.local import HIGHEST, PREVIOUS, SERVING, TRUSTED, UNFINISHED, LocalCopy
from snapshots.manifest import Manifest
from tests.snapshots.bundles import KEY, NAMED, OTHER

PART = pack("program", 1, b"raw bytes")


def token(version: int, *, key: PrivateKey = KEY, raw: bytes = b"raw bytes") -> bytes:
    parts = (pack("program", 1, raw).ref,)
    manifest = Manifest(
        channel="live", version=version, created_s=0, not_after_s=9, ledger=NAMED, parts=parts
    )
    return signing.sign(manifest, key)


def copy_in(directory: Path, *keys: PrivateKey) -> LocalCopy:
    known = {kid: public for key in keys or (KEY,) for kid, public in key.public().items()}
    local = LocalCopy(directory, known)
    local.prepare()
    return local


def test_a_part_is_kept_under_the_hash_of_its_raw_bytes(tmp_path: Path) -> None:
    local = copy_in(tmp_path)
    assert not local.verify(PART.ref)
    local.write(PART.ref, [b"raw ", b"bytes"])
    assert local.verify(PART.ref)
    assert local.path_of(PART.ref).read_bytes() == b"raw bytes"


def test_a_corrupted_part_is_found_and_removed(tmp_path: Path) -> None:
    local = copy_in(tmp_path)
    local.write(PART.ref, [b"raw bytez"])
    assert not local.verify(PART.ref)
    assert not local.path_of(PART.ref).exists()


def test_bytes_that_turn_out_wrong_leave_nothing_behind(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"raw"
        raise HashMismatch("wrong")

    local = copy_in(tmp_path)
    with pytest.raises(HashMismatch):
        local.write(PART.ref, pieces())
    assert list((tmp_path / "parts").iterdir()) == []


def test_what_a_crash_left_half_done_is_cleared_at_the_next_start(tmp_path: Path) -> None:
    local = copy_in(tmp_path)
    local.point(token(1))
    for folder in (tmp_path, tmp_path / "parts"):
        (folder / f"x{UNFINISHED}").write_bytes(b"half")
    local.prepare()
    assert [path.name for path in tmp_path.rglob("*")] == ["parts"]


def test_trust_is_remembered_with_the_highest_version_of_each_key(tmp_path: Path) -> None:
    local = copy_in(tmp_path, KEY, OTHER)
    assert local.trusted() is None and local.highest("live") == 0
    local.trust(token(3))
    local.trust(token(7, key=OTHER))
    again = copy_in(tmp_path, KEY, OTHER)
    trusted = again.trusted()
    assert trusted and trusted.version == 7
    assert again.trusted_token() == token(7, key=OTHER)
    assert (again.highest("live"), again.highest("staging")) == (7, 0)
    assert (tmp_path / PREVIOUS).read_bytes() == token(3)


def test_the_lead_of_a_key_that_no_longer_counts_locks_nobody_out(tmp_path: Path) -> None:
    copy_in(tmp_path, KEY, OTHER).trust(token(3))
    copy_in(tmp_path, KEY, OTHER).trust(token(10**9, key=OTHER))
    local = copy_in(tmp_path, KEY)
    assert local.highest("live") == 3
    with pytest.raises(UnknownKey):
        local.trusted()


def test_a_broken_mark_counts_as_none(tmp_path: Path) -> None:
    local = copy_in(tmp_path)
    local.trust(token(3))
    (tmp_path / HIGHEST).write_bytes(b"{broken")
    assert local.highest("live") == 0
    local.trust(token(4))
    assert local.highest("live") == 4


def test_trusting_the_same_again_keeps_the_one_before(tmp_path: Path) -> None:
    local = copy_in(tmp_path)
    for version in (1, 2, 2):
        local.trust(token(version))
    assert (tmp_path / PREVIOUS).read_bytes() == token(1)


def test_workers_see_the_pointer_and_its_changes(tmp_path: Path) -> None:
    node, worker = copy_in(tmp_path), LocalCopy(tmp_path, KEY.public())
    assert worker.serving() is None
    node.point(token(1))
    first = worker.serving()
    assert first and first.version == 1
    assert worker.serving() is first  # nothing changed: not read again
    node.point(token(2))
    second = worker.serving()
    assert second and second.version == 2
    node.prepare()
    assert worker.serving() is None


def test_an_empty_pointer_points_at_nothing(tmp_path: Path) -> None:
    copy_in(tmp_path)
    (tmp_path / SERVING).write_bytes(b"")
    assert LocalCopy(tmp_path, KEY.public()).serving() is None


def test_a_worker_believes_no_pointer_of_another_key(tmp_path: Path) -> None:
    copy_in(tmp_path).point(token(1, key=OTHER))
    with pytest.raises(UnknownKey):
        LocalCopy(tmp_path, KEY.public()).serving()


def test_parts_of_the_current_and_the_version_before_are_kept_and_no_others(tmp_path: Path) -> None:
    local = copy_in(tmp_path, KEY, OTHER)
    for version, raw in enumerate((b"one", b"two", b"three"), 1):
        local.write(pack("program", 1, raw).ref, [raw])
        local.trust(token(version, raw=raw))
        local.point(token(version, raw=raw))
        local.prune()
    kept = {path.read_bytes() for path in (tmp_path / "parts").iterdir()}
    assert kept == {b"two", b"three"}
    (tmp_path / PREVIOUS).write_bytes(b"broken")
    local.prune()
    assert {path.read_bytes() for path in (tmp_path / "parts").iterdir()} == {b"three"}


def test_a_disk_that_refuses_keeps_what_was_there(tmp_path: Path) -> None:
    local = copy_in(tmp_path)
    local.trust(token(1))
    (tmp_path / f"{TRUSTED}{UNFINISHED}").mkdir()  # the file cannot be written beside
    with pytest.raises(DiskRefused, match=r"expected to write trusted.jws, .* - at "):
        local.trust(token(2))
    assert local.trusted_token() == token(1)


def test_a_directory_that_cannot_be_made_is_the_disks_refusal(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskRefused, match="expected to prepare the local copy"):
        LocalCopy(tmp_path / "file" / "cache", {}).prepare()


def test_a_full_disk_is_the_disks_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    local = copy_in(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskRefused, match="No space left on device"):
        local.write(PART.ref, [b"raw bytes"])
    assert list((tmp_path / "parts").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "No space left on device .*: make room"),
        (errno.EROFS, "Read-only file system .*: let the node write there"),
        (errno.EIO, "Input/output error - at [^:]*$"),
    ],
)
def test_what_the_disk_refuses_comes_with_what_to_do(
    number: int, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(_: int) -> None:
        raise OSError(number, os.strerror(number))

    local = copy_in(tmp_path)
    monkeypatch.setattr(os, "fsync", refuses)
    with pytest.raises(DiskRefused, match=f"expected to write {PART.ref.name}, {advice}"):
        local.write(PART.ref, [b"raw bytes"])


def test_what_lies_here_is_for_the_node_alone(tmp_path: Path) -> None:
    local = copy_in(tmp_path / "cache")
    local.write(PART.ref, [b"raw bytes"])
    local.trust(token(1))
    local.point(token(1))
    modes = {file.stat().st_mode & 0o777 for file in tmp_path.rglob("*")}
    assert modes == {0o700, 0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("folder", ["", "parts"])
def test_a_folder_of_another_user_is_refused(folder: str, tmp_path: Path) -> None:
    copy_in(tmp_path)
    os.chown(tmp_path / folder, 12_345, 12_345)
    with pytest.raises(DiskRefused, match=r"got one of user 12345 - at .*: give it to the node's"):
        copy_in(tmp_path)


def test_nothing_is_written_through_a_link_that_somebody_laid(tmp_path: Path) -> None:
    local = copy_in(tmp_path / "cache")
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    for path in (local.path_of(PART.ref), tmp_path / "cache" / TRUSTED):
        path.with_name(path.name + UNFINISHED).symlink_to(victim)
        path.symlink_to(victim)
    local.write(PART.ref, [b"raw bytes"])
    local.trust(token(1))
    assert victim.read_bytes() == b"precious"
    assert local.path_of(PART.ref).read_bytes() == b"raw bytes"


def test_a_file_system_without_second_names_has_a_pointer_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    local = copy_in(tmp_path)
    local.trust(token(1))
    monkeypatch.setattr(os, "link", unknown)
    local.point(token(1))
    assert local.is_pointed()
    manifest = local.serving()
    assert manifest and manifest.version == 1


def test_the_pointer_stays_where_it_is_while_another_version_is_trusted(tmp_path: Path) -> None:
    local = copy_in(tmp_path)
    local.trust(token(1))
    local.point(token(1))
    local.trust(token(2))
    manifest = local.serving()
    assert manifest and manifest.version == 1

"""What a folder has taken, a power cut does not take back: event files leave a node's disk then."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from snapshots.errors import AlreadyThere, StoreUnavailable
from snapshots.store import open_writable

PATH = "events/dt=2026-11-27/hour=15/n-1.ndjson.zst"


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was told to the disk, in order: paths."""
    told: list[str] = []

    def fsync(handle: int) -> None:
        told.append(str(Path(f"/proc/self/fd/{handle}").readlink()))

    monkeypatch.setattr(os, "fsync", fsync)
    return told


def leading_to(folder: Path, path: str) -> list[str]:
    """The file, and every folder from it up to the store's own."""
    names = Path(path).parts
    return [str(folder.joinpath(*names[:count])) for count in range(len(names), -1, -1)]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="reads what /proc tells")
def test_bytes_and_the_folders_that_lead_to_them_are_settled(
    tmp_path: Path, settled: list[str]
) -> None:
    store = open_writable(str(tmp_path))
    store.create(PATH, b"rows")
    assert settled == leading_to(tmp_path, PATH)
    settled.clear()
    store.replace("channels/live.jws", b"jws")
    assert settled == leading_to(tmp_path, "channels/live.jws")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="reads what /proc tells")
def test_what_somebody_else_wrote_is_settled_before_it_counts_as_there(
    tmp_path: Path, settled: list[str]
) -> None:
    store = open_writable(str(tmp_path))
    store.create(PATH, b"rows")
    settled.clear()
    with pytest.raises(AlreadyThere):
        store.create(PATH, b"rows")
    assert settled == leading_to(tmp_path, PATH)


def test_a_disk_that_does_not_settle_has_not_taken_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(handle: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StoreUnavailable, match="Input/output error"):
        open_writable(str(tmp_path)).create(PATH, b"rows")

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from snapshots.bundle import Packed, pack
from snapshots.download import download
from snapshots.errors import DiskRefused, HashMismatch, StoreUnavailable, TooLarge
from snapshots.local import LocalCopy
from snapshots.manifest import Manifest, part_path
from snapshots.store import HttpStore, MemoryStore, ReadableStore, Take, open_store, open_writable
from tests.snapshots.bundles import KEY, NAMED, publish_to, store_with, syncer_of
from tests.snapshots.store.origins import BaseHandler, NginxOrigin, ScriptedOrigin, reply

RAW = random.Random(7).randbytes(200_000)
PART = pack("program", 1, RAW)
SIZE = len(PART.stored)


class Breaking(MemoryStore):
    """Gives at most `gives` bytes a time, then the line is dead. starts: where it was asked."""

    def __init__(self, stored: bytes = PART.stored, gives: int = SIZE // 4 + 1) -> None:
        super().__init__()
        self.objects[part_path(PART.ref)] = stored
        self.gives = gives
        self.starts: list[int] = []

    def read_from(self, path: str, start: int, max_bytes: int, take: Take) -> None:
        self.starts.append(start)
        rest = self.read(path, max_bytes)[start:]
        take(rest[: self.gives])
        if len(rest) > self.gives:
            raise StoreUnavailable("expected an answer, the line is dead")


@pytest.fixture
def local(tmp_path: Path) -> LocalCopy:
    return copy_in(tmp_path / "cache")


def copy_in(directory: Path) -> LocalCopy:
    local = LocalCopy(directory, KEY.public())
    local.prepare()
    return local


def lay(local: LocalCopy, stored: bytes) -> None:
    """The beginning of a part, as an attempt before left it."""
    local.partial_of(PART.ref).write_bytes(stored)


def held(local: LocalCopy) -> list[str]:
    return sorted(file.name for file in (local.directory / "parts").iterdir())


def test_a_download_goes_on_where_it_broke_off_also_after_a_restart(local: LocalCopy) -> None:
    store = Breaking()
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            download(store, local, PART.ref)
        assert not local.has(PART.ref)
        local = copy_in(local.directory)
    download(store, local, PART.ref)
    assert store.starts == [0, store.gives, 2 * store.gives, 3 * store.gives]
    assert local.path_of(PART.ref).read_bytes() == RAW
    assert held(local) == [PART.ref.raw_sha256]


def test_what_came_whole_before_the_node_was_killed_is_not_fetched_again(local: LocalCopy) -> None:
    lay(local, PART.stored)
    download(MemoryStore(), local, PART.ref)
    assert local.path_of(PART.ref).read_bytes() == RAW


@pytest.mark.parametrize(
    "beginning", [b"not these", PART.stored[:-1] + b"?", PART.stored + b"?", bytes(SIZE + 9)]
)
def test_a_wrong_beginning_is_thrown_away_and_all_fetched_in_the_same_attempt(
    beginning: bytes, local: LocalCopy
) -> None:
    store = Breaking(gives=SIZE)
    lay(local, beginning)
    download(store, local, PART.ref)
    assert store.starts[-1] == 0
    assert held(local) == [PART.ref.raw_sha256]


@pytest.mark.parametrize("cut", [0, 1, SIZE // 2, SIZE - 1])
def test_an_object_that_is_shorter_than_named_is_refused_and_nothing_of_it_stays(
    cut: int, local: LocalCopy
) -> None:
    with pytest.raises(HashMismatch, match=f"expected {SIZE} bytes, got {cut} - at program"):
        download(Breaking(PART.stored[:cut], SIZE), local, PART.ref)
    assert held(local) == []


@pytest.mark.parametrize("begun", [False, True])
def test_a_wrong_object_is_refused_and_nothing_of_it_stays(begun: bool, local: LocalCopy) -> None:
    changed = bytearray(PART.stored)
    changed[-1] ^= 1
    store = Breaking(bytes(changed), SIZE)
    if begun:
        lay(local, PART.stored[:50])
    with pytest.raises(HashMismatch, match="expected sha256"):
        download(store, local, PART.ref)
    assert held(local) == []
    assert store.starts == ([50, 0] if begun else [0])


def test_an_object_that_is_longer_than_named_is_refused_and_nothing_of_it_stays(
    local: LocalCopy,
) -> None:
    with pytest.raises(TooLarge):
        download(Breaking(PART.stored + b"more", SIZE), local, PART.ref)
    assert held(local) == []


def test_a_full_disk_keeps_no_beginning(local: LocalCopy, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskRefused, match="make room"):
        download(Breaking(gives=SIZE), local, PART.ref)
    assert held(local) == []


def test_a_beginning_is_not_written_through_a_link_that_somebody_laid(
    local: LocalCopy, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    local.partial_of(PART.ref).symlink_to(victim)
    download(Breaking(gives=SIZE), local, PART.ref)
    assert victim.read_bytes() == b"mine"
    assert held(local) == [PART.ref.raw_sha256]


def test_beginnings_of_what_is_coming_are_kept_and_no_others(local: LocalCopy) -> None:
    other = pack("program", 1, b"an older offer")
    for part in (PART, other):
        local.partial_of(part.ref).write_bytes(b"begun")
    local.prune(coming=offer(PART))
    assert held(local) == [local.partial_of(PART.ref).name]
    local.prune()
    assert held(local) == []


def offer(part: Packed) -> Manifest:
    return Manifest(
        channel="live", version=2, created_s=0, not_after_s=9, ledger=NAMED, parts=(part.ref,)
    )


def test_a_node_whose_line_breaks_at_every_part_comes_to_a_whole_version(tmp_path: Path) -> None:
    class Flaky(MemoryStore):
        def read_from(self, path: str, start: int, max_bytes: int, take: Take) -> None:
            take(self.read(path, max_bytes)[start : start + 100])
            if start + 100 < len(self.objects[path]):
                raise StoreUnavailable("expected an answer, the line is dead")

    store = Flaky()
    store.objects = store_with(RAW[:1_000]).objects
    syncer = syncer_of(store, tmp_path)
    status = syncer.start()
    while status.failures < 50 and status.version == 0:
        status = syncer.once()
    assert (status.version, status.refused) == (1, None)


def test_an_http_origin_that_drops_the_line_is_asked_for_the_rest(
    local: LocalCopy, tmp_path: Path
) -> None:
    asked: list[str] = []

    def drops(request: BaseHandler) -> None:
        start = int((request.headers.get("Range") or "bytes=0-")[6:-1])
        asked.append(request.headers.get("Range", ""))
        if start:
            reply(request, 206, PART.stored[start:], Content_Range=f"bytes {start}-9/{SIZE}")
        else:
            request.send_response(200)
            request.send_header("Content-Length", str(SIZE))
            request.end_headers()
            request.wfile.write(PART.stored[: SIZE // 2])
            request.close_connection = True

    origin = ScriptedOrigin(tmp_path, drops)
    store = HttpStore(origin.start())
    try:
        with pytest.raises(StoreUnavailable):
            download(store, local, PART.ref)
        download(store, local, PART.ref)
    finally:
        origin.stop()
    assert asked == ["", f"bytes={SIZE // 2}-"]
    assert local.path_of(PART.ref).read_bytes() == RAW


@pytest.mark.needs("nginx")
class TestNginx:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[ReadableStore]:
        origin = NginxOrigin(tmp_path)
        origin.put(part_path(PART.ref), PART.stored)
        yield HttpStore(origin.start() + "/store")
        origin.stop()

    def test_a_beginning_is_gone_on_with(self, store: ReadableStore, local: LocalCopy) -> None:
        lay(local, PART.stored[:1_000])
        download(store, local, PART.ref)
        assert local.path_of(PART.ref).read_bytes() == RAW


@pytest.mark.needs("s3")
def test_a_beginning_is_gone_on_with_from_a_bucket(s3_url: str, local: LocalCopy) -> None:
    open_writable(s3_url).create(part_path(PART.ref), PART.stored)
    lay(local, PART.stored[:1_000])
    download(open_store(s3_url), local, PART.ref)
    assert local.path_of(PART.ref).read_bytes() == RAW


def test_a_beginning_is_gone_on_with_from_a_folder(local: LocalCopy, tmp_path: Path) -> None:
    manifest = publish_to(open_writable(str(tmp_path / "store")), RAW)
    part = manifest.part("program")
    assert part
    local.partial_of(part).write_bytes(PART.stored[:1_000])
    download(open_store(str(tmp_path / "store")), local, part)
    assert local.path_of(part).read_bytes() == RAW

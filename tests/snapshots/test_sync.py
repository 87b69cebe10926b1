from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from snapshots import signing
from snapshots.errors import DiskRefused, Malformed
from snapshots.history import read_ledger
from snapshots.local import SERVING, TRUSTED, LocalCopy
from snapshots.manifest import Manifest, channel_path, part_path
from snapshots.snapshot import PathOf
from snapshots.store import MemoryStore
from snapshots.sync import Syncer
from tests.snapshots.bundles import (
    KEY,
    NOW_S,
    OTHER,
    Clock,
    opens,
    publish_to,
    store_with,
    syncer_of,
)

HINT = channel_path("live")
YEAR_S = 365 * 86_400.0


def manifest_of(store: MemoryStore) -> Manifest:
    return signing.verify(store.objects[HINT], KEY.public())


def resigned(store: MemoryStore, **changes: Any) -> None:
    """The hint with some of the manifest changed, signed again by our own key."""
    store.objects[HINT] = signing.sign(msgspec.structs.replace(manifest_of(store), **changes), KEY)


def synced(store: MemoryStore, directory: Path, **rest: Any) -> Syncer:
    syncer = syncer_of(store, directory, **rest)
    syncer.start()
    assert syncer.once().refused is None
    return syncer


def serving(directory: Path) -> int:
    manifest = LocalCopy(directory, {**KEY.public(), **OTHER.public()}).serving()
    return manifest.version if manifest else 0


def test_a_node_without_a_copy_fetches_and_points_its_workers(tmp_path: Path) -> None:
    store = store_with(b"one")
    syncer = syncer_of(store, tmp_path)
    assert syncer.start().version == 0
    assert serving(tmp_path) == 0
    status = syncer.once()
    assert (status.version, status.refused, status.failures) == (1, None, 0)
    assert (status.last_success_s, status.from_disk, status.stale) == (NOW_S, False, False)
    assert (status.created_s, status.not_after_s) == (NOW_S, NOW_S + 14 * 86_400)
    assert status.ledger == read_ledger(store, KEY.public()).ref
    assert serving(tmp_path) == 1


def test_a_new_version_fetches_only_the_parts_it_lacks(tmp_path: Path) -> None:
    class Counting(MemoryStore):
        reads: list[str]

        def read(self, path: str, max_bytes: int) -> bytes:
            self.reads.append(path)
            return super().read(path, max_bytes)

    store = Counting()
    store.reads = []
    publish_to(store, b"one")
    syncer = synced(store, tmp_path)
    publish_to(store, b"two")
    store.reads = []
    assert syncer.once().version == 2
    program = manifest_of(store).part("program")
    assert program
    assert store.reads == [HINT, part_path(program)]
    store.reads = []
    assert syncer.once().version == 2
    assert store.reads == [HINT]


def test_a_cold_start_opens_the_copy_while_the_origin_is_down(tmp_path: Path) -> None:
    synced(store_with(b"one"), tmp_path)
    syncer = syncer_of(MemoryStore(), tmp_path)
    status = syncer.start()
    assert (status.version, status.from_disk, status.highest_version) == (1, True, 1)
    assert serving(tmp_path) == 1
    status = syncer.once()
    assert status.version == 1
    assert status.refused and status.refused.reason == "not-there"
    assert "publish to the channel live, or mend the address" in status.refused.what
    assert status.from_disk


def test_a_copy_trusted_before_opens_even_past_its_date_and_is_marked_stale(tmp_path: Path) -> None:
    store, clock = store_with(b"one"), Clock()
    syncer = synced(store, tmp_path, clock=clock)
    clock.now_s += YEAR_S
    assert syncer.status.stale
    syncer = syncer_of(store, tmp_path, clock=clock)
    status = syncer.start()
    assert (status.version, status.stale) == (1, True)
    assert syncer.once().refused is None  # it is what we trust: nothing new, and nothing refused
    assert serving(tmp_path) == 1


def test_a_corrupted_part_on_disk_is_found_at_start_and_fetched_again(tmp_path: Path) -> None:
    store = store_with(b"one")
    synced(store, tmp_path)
    part = max((tmp_path / "parts").iterdir(), key=lambda path: path.stat().st_size)
    raw = bytearray(part.read_bytes())
    raw[-1] ^= 1
    part.write_bytes(raw)
    syncer = syncer_of(store, tmp_path)
    assert syncer.start().version == 0
    assert serving(tmp_path) == 0
    assert syncer.once().version == 1
    assert serving(tmp_path) == 1


def test_a_part_that_vanished_meanwhile_is_fetched_for_the_next_version(tmp_path: Path) -> None:
    store = store_with(b"one")
    syncer = synced(store, tmp_path)
    for part in (tmp_path / "parts").iterdir():
        part.unlink()
    publish_to(store, b"two")
    assert syncer.once().version == 2


def test_a_copy_of_another_channel_is_not_opened(tmp_path: Path) -> None:
    store = store_with(b"one")
    synced(store, tmp_path)
    publish_to(store, channel="staging")
    syncer = syncer_of(store, tmp_path, channel="staging")
    assert syncer.start().version == 0
    assert syncer.once().version == 1


@pytest.mark.parametrize("broken", [b"garbage", b"a.b.c"])
def test_a_broken_mark_of_trust_is_reported_and_fetched_again(
    broken: bytes, tmp_path: Path
) -> None:
    store = store_with(b"one")
    synced(store, tmp_path)
    (tmp_path / TRUSTED).write_bytes(broken)
    syncer = syncer_of(store, tmp_path)
    status = syncer.start()
    assert status.refused and status.refused.reason == "malformed"
    assert syncer.once().version == 1


def test_a_copy_that_this_release_cannot_open_is_not_served(tmp_path: Path) -> None:
    def refuses(manifest: Manifest, path_of: PathOf) -> object:
        raise Malformed("expected another program")

    synced(store_with(b"one"), tmp_path)
    status = syncer_of(store_with(b"one"), tmp_path, opens=refuses).start()
    assert status.refused and status.refused.reason == "malformed"
    assert (status.version, serving(tmp_path)) == (0, 0)


def test_a_copy_that_lost_a_part_is_made_whole_again_even_past_its_date(tmp_path: Path) -> None:
    store, clock = store_with(b"one"), Clock()
    synced(store, tmp_path, clock=clock)
    clock.now_s += YEAR_S
    next((tmp_path / "parts").iterdir()).unlink()
    syncer = syncer_of(store, tmp_path, clock=clock)
    assert syncer.start().version == 0
    status = syncer.once()
    assert (status.version, status.stale, status.refused) == (1, True, None)
    assert serving(tmp_path) == 1


def test_other_content_of_the_trusted_version_is_refused_also_after_a_restart(
    tmp_path: Path,
) -> None:
    store = store_with(b"one")
    synced(store, tmp_path)
    next((tmp_path / "parts").iterdir()).unlink()
    resigned(store, created_s=1)
    syncer = syncer_of(store, tmp_path)
    syncer.start()
    status = syncer.once()
    assert status.refused and status.refused.reason == "conflict"


def clear_all(directory: Path) -> None:
    shutil.rmtree(directory)


def clear_pointer(directory: Path) -> None:
    (directory / SERVING).unlink()


def cut_a_part(directory: Path) -> None:
    os.truncate(next((directory / "parts").iterdir()), 1)


@pytest.mark.parametrize("harm", [clear_all, clear_pointer, cut_a_part])
def test_a_cache_that_is_cleared_under_a_node_is_whole_again_after_the_next_poll(
    harm: Callable[[Path], None], tmp_path: Path
) -> None:
    syncer = synced(store_with(b"one"), tmp_path / "cache")
    harm(tmp_path / "cache")
    assert syncer.once().refused is None
    assert serving(tmp_path / "cache") == 1
    again = syncer_of(MemoryStore(), tmp_path / "cache").start()
    assert (again.version, again.highest_version) == (1, 1)


def test_bundles_that_are_refused_one_after_the_other_do_not_fill_the_disk(tmp_path: Path) -> None:
    def refuses(manifest: Manifest, path_of: PathOf) -> object:
        if manifest.version > 1:
            raise Malformed("expected another program")
        return opens(manifest, path_of)

    store = store_with(b"one")
    syncer = synced(store, tmp_path, opens=refuses)
    held = len(list((tmp_path / "parts").iterdir()))
    for version in range(2, 6):
        publish_to(store, b"refused %d" % version)
        assert syncer.once().version == 1
        assert len(list((tmp_path / "parts").iterdir())) == held + 1


def test_a_retired_keys_lead_does_not_lock_out_the_next_key_while_the_node_runs(
    tmp_path: Path,
) -> None:
    store = store_with(b"one")
    syncer = syncer_of(store, tmp_path)
    syncer.local.keys = {**KEY.public(), **OTHER.public()}
    syncer.start()
    good = store.objects[HINT]
    store.objects[HINT] = signing.sign(
        msgspec.structs.replace(manifest_of(store), version=10**9), OTHER
    )
    assert syncer.once().version == 10**9
    syncer.local.keys = KEY.public()
    status = syncer.once()  # and not "nothing new", though its bytes have not changed
    assert status.refused and status.refused.reason == "unknown-key"
    assert status.version == 10**9
    store.objects[HINT] = good
    status = syncer.once()
    assert (status.version, status.refused, status.highest_version) == (1, None, 1)
    assert serving(tmp_path) == 1


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", range(30))
def test_a_node_killed_at_any_step_of_a_sync_starts_again_with_a_whole_version(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_with(b"one")
    syncer = synced(store, tmp_path)
    publish_to(store, b"two")
    left = step

    def killing(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **rest: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:  # and everything after it, as clean-up does not happen either
                raise Killed
            return call(*arguments, **rest)

        return called

    with monkeypatch.context() as patched:
        for place, name in ((os, "fsync"), (os, "open"), (os, "link"), (Path, "replace"),
                            (Path, "unlink")):  # fmt: skip
            patched.setattr(place, name, killing(getattr(place, name)))
        with contextlib.suppress(Killed):
            syncer.once()
    found = serving(tmp_path)
    assert found in (1, 2)
    again = syncer_of(MemoryStore(), tmp_path).start()
    assert (again.version >= found, serving(tmp_path)) == (True, again.version)
    assert not list(tmp_path.rglob("*.unfinished"))
    assert syncer_of(store, tmp_path).once().version == 2


def test_a_node_starts_from_its_copy_though_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = store_with(b"one")
    synced(store, tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    status = syncer_of(store, tmp_path).start()
    assert (status.version, status.refused, serving(tmp_path)) == (1, None, 1)


def test_a_node_starts_from_its_copy_though_the_disk_is_read_only_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    store = store_with(b"one")
    synced(store, tmp_path)
    for place, name in ((os, "open"), (os, "link"), (Path, "replace"), (Path, "unlink")):
        monkeypatch.setattr(place, name, refuses)
    syncer = syncer_of(store, tmp_path)
    status = syncer.start()
    assert (status.version, serving(tmp_path)) == (1, 1)
    assert status.refused and "let the node write there" in status.refused.what
    assert syncer.once().refused is None
    publish_to(store, b"two")
    status = syncer.once()
    assert status.refused and status.refused.reason == "disk-refused"
    assert (status.version, serving(tmp_path)) == (1, 1)


def test_a_cache_that_cannot_be_made_is_told_and_nothing_is_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    status = syncer_of(store_with(b"one"), tmp_path / "file" / "cache").start()
    assert status.refused and status.refused.reason == "disk-refused"
    assert (status.version, status.failures) == (0, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_cache_that_another_user_could_change_is_opened_by_nobody(tmp_path: Path) -> None:
    synced(store_with(b"one"), tmp_path)
    os.chown(tmp_path / "parts", 12_345, 12_345)
    with pytest.raises(DiskRefused, match="got one of user 12345"):
        serving(tmp_path)
    status = syncer_of(store_with(b"one"), tmp_path).start()
    assert status.version == 0
    assert status.refused and status.refused.reason == "disk-refused"

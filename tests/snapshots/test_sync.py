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
from hypothesis import given, settings
from hypothesis import strategies as st

from snapshots import signing
from snapshots.bundle import pack
from snapshots.errors import DiskRefused, Malformed, StoreUnavailable
from snapshots.history import read_ledger
from snapshots.local import HIGHEST, SERVING, TRUSTED, LocalCopy
from snapshots.manifest import Manifest, channel_path, part_path, version_path
from snapshots.snapshot import PathOf
from snapshots.store import MemoryStore
from snapshots.sync import LONGEST_BACK_OFF_S, Syncer, next_poll_s
from snapshots.trust import Limits
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


def flipped(store: MemoryStore, path: str) -> None:
    data = bytearray(store.objects[path])
    data[len(data) // 2] ^= 1
    store.objects[path] = bytes(data)


def bad_part(store: MemoryStore) -> None:
    program = manifest_of(store).part("program")
    assert program
    flipped(store, part_path(program))


def long_part(store: MemoryStore) -> None:
    program = manifest_of(store).part("program")
    assert program
    store.objects[part_path(program)] += b"extraneous"


def short_part(store: MemoryStore) -> None:
    program = manifest_of(store).part("program")
    assert program
    store.objects[part_path(program)] = store.objects[part_path(program)][:-1]


def missing_part(store: MemoryStore) -> None:
    program = manifest_of(store).part("program")
    assert program
    del store.objects[part_path(program)]


def bomb(store: MemoryStore) -> None:
    packed = pack("program", 1, bytes(10 * 2**20))
    store.objects[part_path(packed.ref)] = packed.stored
    small = msgspec.structs.replace(packed.ref, raw_bytes=100)
    parts = [part for part in manifest_of(store).parts if part.name != "program"]
    resigned(store, parts=(*parts, small))


def no_program(store: MemoryStore) -> None:
    resigned(store, parts=())


def future_format(store: MemoryStore) -> None:
    parts = manifest_of(store).parts
    resigned(store, parts=(*parts[:-1], msgspec.structs.replace(parts[-1], format=9)))


def broken_program(store: MemoryStore) -> None:
    publish_to(store, b"broken")


def other_key(store: MemoryStore) -> None:
    store.objects[HINT] = signing.sign(manifest_of(store), OTHER)


def forged_key(store: MemoryStore) -> None:
    forger = msgspec.structs.replace(OTHER, kid=KEY.kid)
    store.objects[HINT] = signing.sign(manifest_of(store), forger)


ATTACKS: list[tuple[str, Callable[[MemoryStore], None], str]] = [
    ("a flipped byte in the manifest", lambda store: flipped(store, HINT), "bad-signature"),
    ("no manifest at all", lambda store: store.objects.update({HINT: b"<html>"}), "malformed"),
    ("another key", other_key, "unknown-key"),
    ("another key under our key's name", forged_key, "bad-signature"),
    ("a flipped byte in a part", bad_part, "hash-mismatch"),
    ("an extraneous byte after a part", long_part, "too-large"),
    ("a truncated part", short_part, "hash-mismatch"),
    ("a missing part", missing_part, "not-there"),
    ("an expansion bomb", bomb, "too-large"),
    ("a bundle without a program", no_program, "malformed"),
    ("a part of a format of the future", future_format, "unreadable-format"),
    ("an expired offer", lambda store: resigned(store, not_after_s=int(NOW_S) - 900,
                                                created_s=1), "expired"),
    ("another channel", lambda store: resigned(store, channel="staging"), "wrong-channel"),
    ("a manifest of many bytes", lambda store: store.objects.update({HINT: b"x" * 10**6}),
     "too-large"),
    ("a program that does not open", broken_program, "malformed"),
]  # fmt: skip


@pytest.mark.parametrize(("attack", "reason"), [row[1:] for row in ATTACKS],
                         ids=[row[0] for row in ATTACKS])  # fmt: skip
def test_what_cannot_be_trusted_is_refused_by_its_reason_and_the_last_good_stays(
    attack: Callable[[MemoryStore], None], reason: str, tmp_path: Path
) -> None:
    store = store_with(b"one")
    syncer = synced(store, tmp_path)
    publish_to(store, b"two")
    good = dict(store.objects)
    attack(store)
    for failures in (1, 2):
        status = syncer.once()
        assert status.refused and status.refused.reason == reason
        assert (status.version, status.highest_version, status.failures) == (1, 1, failures)
    assert serving(tmp_path) == 1
    local = LocalCopy(tmp_path, KEY.public())
    assert local.highest("live") == 1  # the mark is written after all checks, so not now
    store.objects = good
    assert syncer.once().version == 2
    assert serving(tmp_path) == 2


def test_an_older_version_is_refused_for_ever_even_after_a_restart(tmp_path: Path) -> None:
    store = store_with(b"one", b"two")
    syncer = synced(store, tmp_path)
    store.objects[HINT] = store.objects[version_path("live", 1)]
    for _ in range(2):
        status = syncer.once()
        assert status.refused and status.refused.reason == "rollback"
        assert (status.version, status.refused.version) == (2, 1)
        syncer = syncer_of(store, tmp_path)
        syncer.start()


@pytest.mark.parametrize("lost", [TRUSTED, HIGHEST])
def test_either_mark_on_disk_is_enough_to_refuse_an_older_version(
    lost: str, tmp_path: Path
) -> None:
    store = store_with(b"one", b"two")
    synced(store, tmp_path)
    (tmp_path / lost).unlink()
    for part in (tmp_path / "parts").iterdir():
        part.unlink()
    store.objects[HINT] = store.objects[version_path("live", 1)]
    syncer = syncer_of(store, tmp_path)
    syncer.start()
    status = syncer.once()
    assert status.refused and status.refused.reason == "rollback"
    assert serving(tmp_path) == 0


def test_the_trusted_version_with_other_content_is_refused(tmp_path: Path) -> None:
    store = store_with(b"one")
    syncer = synced(store, tmp_path)
    resigned(store, parts=())
    status = syncer.once()
    assert status.refused and status.refused.reason == "conflict"


def test_sizes_over_the_limits_are_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    syncer = syncer_of(store_with(b"one"), tmp_path, limits=Limits(part_bytes=10))
    syncer.start()
    status = syncer.once()
    assert status.refused and status.refused.reason == "too-large"
    assert list((tmp_path / "parts").iterdir()) == []


def test_a_store_that_asks_for_time_gets_it(tmp_path: Path) -> None:
    class Busy(MemoryStore):
        def read_if_changed(self, path: str, etag: str, max_bytes: int) -> None:
            raise StoreUnavailable("expected 200, got 503", retry_after_s=120.0)

    status = syncer_of(Busy(), tmp_path).once()
    assert 120.0 <= status.next_poll_s <= 144.0
    assert status.next_poll_at_s == NOW_S + status.next_poll_s


def test_a_disk_that_refuses_leaves_the_last_good_and_says_so(tmp_path: Path) -> None:
    store = store_with(b"one")
    syncer = synced(store, tmp_path / "cache")
    publish_to(store, b"two")
    (tmp_path / "cache" / f"{SERVING}.unfinished").mkdir()
    status = syncer.once()
    assert status.refused and status.refused.reason == "disk-refused"
    assert (status.version, serving(tmp_path / "cache")) == (1, 1)
    (tmp_path / "cache" / f"{SERVING}.unfinished").rmdir()
    assert syncer.once().version == 2


def test_parts_of_a_newer_release_are_passed_over_and_named(tmp_path: Path) -> None:
    store = store_with(b"one")
    parts = manifest_of(store).parts
    strange = msgspec.structs.replace(parts[-1], name="zodiac")
    resigned(store, parts=(*parts, strange), version=2)
    assert synced(store, tmp_path).status.passed_over == ("zodiac",)


def test_the_default_opening_is_the_real_one(tmp_path: Path) -> None:
    local = LocalCopy(tmp_path, KEY.public())
    syncer = Syncer(store_with(b"no program"), local, channel="live", clock=Clock())
    syncer.start()
    status = syncer.once()
    assert status.refused and status.refused.reason == "malformed"
    assert "at program" in status.refused.what


@settings(max_examples=200)
@given(st.text(max_size=20), st.floats(0.1, 600.0), st.integers(0, 2_000))
def test_waiting_is_bounded_and_never_longer_than_the_interval_while_all_is_well(
    node: str, interval_s: float, failures: int
) -> None:
    assert 0.75 * interval_s <= next_poll_s(node, interval_s) <= interval_s
    wait_s = next_poll_s(node, interval_s, failures)
    assert 0.75 * interval_s <= wait_s <= max(interval_s, LONGEST_BACK_OFF_S)
    assert next_poll_s(node, interval_s, failures, 90.0) >= 90.0


def test_each_failure_waits_longer_up_to_a_minute() -> None:
    waits = [next_poll_s("node", 5.0, failures) for failures in range(12)]
    assert waits[:4] == sorted(waits[:4])
    assert 45.0 <= waits[11] <= 60.0


def test_a_fleet_does_not_poll_in_one_beat() -> None:
    shares = sorted(next_poll_s(f"node-{number}", 4.0) for number in range(200))
    assert all(sum(low <= share < low + 0.1 for share in shares) <= 45 for low in (3.0, 3.3, 3.8))
    assert shares[0] < 3.05 and shares[-1] > 3.95
    assert next_poll_s("node-1", 4.0) == next_poll_s("node-1", 4.0)

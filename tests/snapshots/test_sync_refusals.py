"""What a syncer refuses, by which reason, and when it asks again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from snapshots import signing
from snapshots.bundle import pack
from snapshots.errors import StoreUnavailable
from snapshots.local import HIGHEST, SERVING, TRUSTED, LocalCopy
from snapshots.manifest import part_path, version_path
from snapshots.store import MemoryStore
from snapshots.sync import Syncer
from snapshots.trust import Limits
from tests.snapshots.bundles import (
    KEY,
    NOW_S,
    OTHER,
    Clock,
    publish_to,
    store_with,
    syncer_of,
)
from tests.snapshots.test_sync import HINT, manifest_of, resigned, serving, synced


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

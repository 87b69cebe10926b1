"""What can go and what stays: whatever a version that is kept needs, and whatever is young."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snapshots import garbage, history
from snapshots.bundle import pack
from snapshots.errors import Conflict, StoreUnavailable
from snapshots.garbage import GRACE_S, Garbage
from snapshots.history import ledger_path
from snapshots.manifest import part_path, version_path
from snapshots.store import MemoryStore, Store, open_writable
from tests.snapshots.bundles import KEY, NOW_S, OTHER, Clock, publish_to, syncer_of


def found(store: Store, now_s: float = NOW_S + 10 * 86_400, **how: Any) -> Garbage:
    return garbage.find(store, KEY.public(), now_s=now_s, **how)


def paths(listed: Garbage) -> set[str]:
    return {one.path for one in listed.all()}


def test_versions_beyond_those_kept_go_with_the_parts_and_ledgers_of_nobody_else() -> None:
    store = MemoryStore(Clock())
    made = [publish_to(store, b"%d" % n, grown=[f"key:{n}"]) for n in range(4)]

    listed = found(store, keep=2)

    kept = {part_path(part) for one in made[2:] for part in one.parts}
    gone = {part_path(part) for one in made[:2] for part in one.parts} - kept
    assert {one.path for one in listed.versions} == {version_path("live", n) for n in (1, 2)}
    assert {one.path for one in listed.parts} == gone
    assert {one.path for one in listed.ledgers} == {ledger_path(n) for n in (1, 2)}


def test_what_another_channel_names_stays() -> None:
    store = MemoryStore(Clock())
    staging = publish_to(store, b"tried", channel="staging")
    for number in range(3):
        publish_to(store, b"%d" % number)

    listed = found(store, keep=1)

    assert not paths(listed) & {part_path(part) for part in staging.parts}


def test_what_is_young_stays_for_it_may_belong_to_a_publish_under_way() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    store.create("parts/" + "0" * 64, b"half a publish")
    publish_to(store)

    assert paths(found(store, NOW_S + GRACE_S - 1)) == set()
    assert paths(found(store, NOW_S + GRACE_S)) == {"parts/" + "0" * 64}


def test_a_part_that_a_publish_takes_up_again_is_young_again() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    (old,) = {part_path(p) for p in publish_to(store, b"old").parts if p.name == "program"}
    publish_to(store, b"new")
    store.delete(version_path("live", 1))
    clock.now_s += 10 * 86_400
    assert old in paths(found(store, clock.now_s))
    create = store.create

    def dying(path: str, data: bytes) -> None:
        if path.startswith("channels/"):
            raise StoreUnavailable("expected to live")
        create(path, data)

    store.create = dying  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        publish_to(store, b"old", now_s=clock.now_s)

    assert old not in paths(found(store, clock.now_s))


def test_what_is_not_ours_is_left_alone() -> None:
    store = MemoryStore(Clock())
    publish_to(store)
    for path in ("parts/readme.txt", "channels/live/7.jws", "ledger/9.jws", "notes", "parts/ab"):
        store.create(path, b"somebody else's")
    publish_to(store, key=OTHER, channel="theirs")

    assert paths(found(store, keep=1)) == set()


def test_a_store_whose_ledger_is_lost_is_not_tidied() -> None:
    store = MemoryStore(Clock())
    publish_to(store)
    store.delete(ledger_path(1))

    with pytest.raises(Conflict):
        found(store)


class Dying(MemoryStore):
    """A store whose publisher dies before its nth write."""

    def __init__(self, before: int) -> None:
        super().__init__(Clock())
        self.left = before

    def dies(self, write: Callable[[str, bytes], None], path: str, data: bytes) -> None:
        if self.left == 0:
            raise StoreUnavailable("the publisher died")
        self.left -= 1
        write(path, data)

    def create(self, path: str, data: bytes) -> None:
        self.dies(super().create, path, data)

    def replace(self, path: str, data: bytes) -> None:
        self.dies(super().replace, path, data)


@pytest.mark.parametrize("step", range(9))
def test_a_publish_that_dies_at_any_step_leaves_the_old_one_served_and_no_garbage_for_ever(
    step: int, tmp_path: Path
) -> None:
    store = Dying(-1)
    publish_to(store, b"old")
    syncer = syncer_of(store, tmp_path)
    syncer.once()
    whole = dict(store.objects)
    store.left = step
    try:
        publish_to(store, b"new", grown=["key:tea"])
    except StoreUnavailable:
        assert syncer.once().version == 1
        assert all(store.objects[path] == data for path, data in whole.items())

    store.left = -1
    newest = publish_to(store, b"newest", grown=["key:milk"])
    garbage.remove(store, found(store, keep=1))

    named = {part_path(part) for part in newest.parts}
    assert set(store.list("parts/")) == named
    assert store.list("channels/live/") == [version_path("live", newest.version)]
    assert store.list("ledger/") == [ledger_path(newest.ledger.revision)]
    assert syncer.once().version == newest.version
    assert publish_to(store, b"later").version == newest.version + 1


class Overtaken(Dying):
    """A store in which another publisher goes through at the moment that the first one dies."""

    def dies(self, write: Callable[[str, bytes], None], path: str, data: bytes) -> None:
        if self.left == 0:
            self.left = -1
            publish_to(self, b"other", grown=["key:milk"])
            raise StoreUnavailable("the publisher died")
        super().dies(write, path, data)


@pytest.mark.parametrize("step", range(8))
def test_of_two_publishers_at_once_one_that_dies_at_any_step_leaves_the_others_version_whole(
    step: int, tmp_path: Path
) -> None:
    store = Overtaken(-1)
    publish_to(store, b"old")
    store.left = step
    with pytest.raises(StoreUnavailable, match="died"):
        publish_to(store, b"new", grown=["key:tea"])
    syncer = syncer_of(store, tmp_path)
    served = syncer.once().version

    garbage.remove(store, found(store, keep=1))

    newest = history.read_manifest(store, "live", KEY.public())
    assert newest
    assert newest.version == served
    assert store.read(part_path(newest.parts[-1]), 100) == pack("program", 1, b"other").stored
    assert set(store.list("parts/")) == {part_path(part) for part in newest.parts}
    assert store.list("ledger/") == [ledger_path(newest.ledger.revision)]
    assert syncer_of(store, tmp_path / "another").once().version == served


def test_a_folder_is_tidied_as_any_store(tmp_path: Path) -> None:
    store = open_writable(str(tmp_path))
    publish_to(store, b"one")
    publish_to(store, b"two")
    listed = found(store, now_s=4e9, keep=1)
    assert {one.path for one in listed.versions} == {version_path("live", 1)}
    assert all(one.bytes > 0 for one in listed.all())

    garbage.remove(store, listed)

    assert paths(found(store, now_s=4e9, keep=1)) == set()

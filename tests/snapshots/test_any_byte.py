"""Any single byte of a bundle that is another is refused by name, through a whole sync, and what
was served before serves on: every byte of a small bundle, random ones of a larger one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from snapshots import signing
from snapshots.bundle import pack
from snapshots.history import read_ledger
from snapshots.manifest import channel_path, part_path, version_path
from snapshots.publish import publish
from snapshots.store import MemoryStore
from snapshots.sync import Syncer
from tests.snapshots.bundles import KEY, NOW_S, publish_to, store_with, syncer_of
from tests.snapshots.populations import Visitor, membership

HINT = channel_path("live")
REFUSALS = {"malformed", "unknown-key", "bad-signature", "hash-mismatch"}


def fetched(store: MemoryStore) -> list[str]:
    """The paths of what a node asks for: the manifest, and the parts that version 1 lacks."""
    old, new = (
        signing.verify(store.objects[path], KEY.public())
        for path in (version_path("live", 1), HINT)
    )
    return [HINT, *(part_path(part) for part in new.parts if part not in old.parts)]


def behind(directory: Path, store: MemoryStore) -> Syncer:
    """A node that serves version 1."""
    syncer = syncer_of(store_with(b"before"), directory)
    assert syncer.once().version == 1
    syncer.store = store
    return syncer


def refusals(
    syncer: Syncer, store: MemoryStore, places: Iterator[tuple[str, int, int]]
) -> Iterator[tuple[str, int]]:
    """Of each changed byte the reason, and what is served all the same. places: path, place, and
    what its bits are changed by."""
    for path, place, flip in places:
        whole = store.objects[path]
        broken = bytearray(whole)
        broken[place] ^= flip
        store.objects[path] = bytes(broken)
        status = syncer.once()
        store.objects[path] = whole
        yield status.refused.reason if status.refused else "", status.version


def test_every_byte_of_a_small_bundle_counts(tmp_path: Path) -> None:
    store = MemoryStore()
    publish_to(store, b"before", now_s=NOW_S - 1)
    ledger = read_ledger(store, KEY.public())
    assert ledger.ledger
    parts = [pack("program", 1, b"a program of few words")]
    publish(store, "live", parts, ledger.ledger, KEY, since=ledger, now_s=NOW_S)
    syncer, random_ = behind(tmp_path, store), random.Random(4)
    sizes = {path: len(store.objects[path]) for path in fetched(store)}
    places = (
        (path, place, random_.randrange(1, 256))
        for path, size in sizes.items()
        for place in range(size)
    )

    seen = list(refusals(syncer, store, places))

    assert len(seen) == sum(sizes.values()) > 500
    assert {version for _, version in seen} == {1}
    assert {reason for reason, _ in seen} <= REFUSALS
    assert syncer.once().version == 2


def test_random_bytes_of_a_larger_bundle_with_its_members_count(tmp_path: Path) -> None:
    random_ = random.Random(5)
    store = MemoryStore()
    publish_to(store, b"before", now_s=NOW_S - 1)
    people = {
        random_.getrandbits(64): Visitor(random_.getrandbits(11), 1, 2, random_.random())
        for _ in range(4_000)
    }
    parts = [pack("program", 1, random_.randbytes(2**18)), *membership(people)]
    ledger = read_ledger(store, KEY.public())
    assert ledger.ledger
    publish(store, "live", parts, ledger.ledger, KEY, since=ledger, now_s=NOW_S)
    paths = fetched(store)
    seen: list[tuple[str, int]] = []
    for number, path in enumerate(paths * 12):  # a new node each: what is good, a node keeps
        syncer = behind(tmp_path / str(number), store)
        place = (path, random_.randrange(len(store.objects[path])), random_.randrange(1, 256))
        seen += refusals(syncer, store, iter([place]))

    assert len(seen) == 12 * len(paths) == 12 * (1 + len(parts))
    assert {version for _, version in seen} == {1}
    assert {reason for reason, _ in seen} <= REFUSALS
    assert syncer.once().version == 2

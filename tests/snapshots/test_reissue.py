"""A version that is there, once more: what it keeps, what it is refused for, and who takes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapshots import history
from snapshots.errors import Conflict, HashMismatch, LedgerMoved, NotThere, StoreUnavailable
from snapshots.manifest import Manifest, part_path, version_path
from snapshots.publish import TRIES, TTL_S
from snapshots.reissue import before, newest_of, reissue
from snapshots.store import MemoryStore
from tests.snapshots.bundles import (
    KEY,
    NOW_S,
    Clock,
    lay_ledger,
    publish_to,
    store_with,
    syncer_of,
)

LATER_S = NOW_S + 10 * 86_400


def again(store: MemoryStore, source: Manifest, channel: str = "live") -> Manifest:
    return reissue(store, source, channel, KEY, now_s=LATER_S)


def test_a_renewed_version_has_the_same_parts_and_a_later_date() -> None:
    store = store_with(b"one")
    first = newest_of(store, "live", KEY.public())

    made = again(store, first)

    assert (made.version, made.parts, made.ledger) == (2, first.parts, first.ledger)
    assert (made.created_s, made.not_after_s) == (LATER_S, LATER_S + TTL_S)
    assert newest_of(store, "live", KEY.public()) == made


def test_an_edge_takes_a_renewed_version_and_fetches_nothing(tmp_path: Path) -> None:
    store, clock = store_with(b"one"), Clock()
    syncer = syncer_of(store, tmp_path, clock=clock)
    syncer.once()
    again(store, newest_of(store, "live", KEY.public()))
    for path in store.list("parts/"):
        store.delete(path)
    clock.now_s = LATER_S

    status = syncer.once()

    assert (status.version, status.refused) == (2, None)
    assert status.not_after_s == LATER_S + TTL_S


def test_a_rollback_is_a_higher_version_that_edges_take_though_the_ledger_grew(
    tmp_path: Path,
) -> None:
    store = MemoryStore()
    old = publish_to(store, b"old")
    publish_to(store, b"new", grown=["key:tea"])
    syncer = syncer_of(store, tmp_path)
    syncer.once()

    newest = newest_of(store, "live", KEY.public())
    made = again(store, before(store, newest, KEY.public()))

    assert (made.version, made.parts) == (3, old.parts)
    assert made.ledger == newest.ledger != old.ledger
    assert (syncer.once().version, syncer.status.refused) == (3, None)


def test_a_step_back_passes_over_versions_that_were_only_renewed() -> None:
    store = store_with(b"one", b"two")
    again(store, newest_of(store, "live", KEY.public()))

    found = before(store, newest_of(store, "live", KEY.public()), KEY.public())

    assert found.version == 1


def test_without_an_earlier_version_there_is_nothing_to_go_back_to() -> None:
    store = store_with(b"one")
    again(store, newest_of(store, "live", KEY.public()))

    with pytest.raises(NotThere, match="nothing to go back to"):
        before(store, newest_of(store, "live", KEY.public()), KEY.public())
    with pytest.raises(NotThere, match=r"channels/sandbox/.*publish one, or mend the channel"):
        newest_of(store, "sandbox", KEY.public())


def test_what_was_tried_in_staging_goes_live_byte_for_byte() -> None:
    store = store_with(b"live")
    tried = publish_to(store, b"tried", channel="staging")

    made = again(store, tried, "live")

    assert (made.channel, made.version, made.parts) == ("live", 2, tried.parts)
    assert newest_of(store, "staging", KEY.public()) == tried


@pytest.mark.parametrize("broken", [b"", b"other bytes"])
def test_a_part_that_is_gone_or_broken_publishes_nothing(broken: bytes) -> None:
    store = store_with(b"one")
    source = newest_of(store, "live", KEY.public())
    path = part_path(source.parts[0])
    if broken:
        store.objects[path] = broken
    else:
        store.delete(path)
    was = dict(store.objects)

    with pytest.raises((NotThere, HashMismatch)):
        again(store, source)

    assert store.objects == was


def test_a_ledger_that_does_not_extend_the_old_versions_own_is_refused() -> None:
    store = store_with(b"one")
    source = newest_of(store, "live", KEY.public())
    publish_to(store, b"two", grown=["key:tea"])
    lost = history.ledger_path(source.ledger.revision)
    store.delete(lost)
    lay_ledger(store, source.ledger.revision, "key:another")

    with pytest.raises(Conflict, match=r"expected the newest ledger.* build the old playbook"):
        again(store, source)


def test_a_channel_of_no_name_is_refused() -> None:
    store = store_with(b"one")

    with pytest.raises(Conflict, match="lower case"):
        again(store, newest_of(store, "live", KEY.public()), "Live!")


def test_two_that_publish_at_once_get_numbers_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = store_with(b"one")
    source = newest_of(store, "live", KEY.public())
    create = store.create
    lost: list[str] = []

    def losing(path: str, data: bytes) -> None:
        if path.startswith("channels/live/") and not lost:
            lost.append(path)
            publish_to(store, b"faster", grown=["key:tea"])
        create(path, data)

    monkeypatch.setattr(store, "create", losing)

    made = again(store, source)

    assert (made.version, made.parts) == (3, source.parts)
    assert made.ledger.revision >= newest_of(store, "live", KEY.public()).ledger.revision


def test_a_step_back_passes_over_a_version_that_nobody_of_ours_signed() -> None:
    store = store_with(b"one", b"two", b"three")
    store.objects[version_path("live", 2)] = b"not.a.manifest"

    found = before(store, newest_of(store, "live", KEY.public()), KEY.public())

    assert found.version == 1


def test_who_never_wins_the_race_for_the_ledger_gives_up_and_publishes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = store_with(b"one")
    source = newest_of(store, "live", KEY.public())
    was = dict(store.objects)
    tries: list[Manifest] = []

    def losing(_: object, draft: Manifest, *__: object, **___: object) -> Manifest:
        tries.append(draft)
        raise LedgerMoved("ledger/2.jws", store.where)

    monkeypatch.setattr("snapshots.reissue.claim", losing)

    with pytest.raises(StoreUnavailable, match="expected a ledger that stays for a moment"):
        again(store, source)

    assert len(tries) == TRIES
    assert store.objects == was

"""The control object: what may stop a rule at once, who may say so, and what nobody can undo."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from snapshots import garbage, history, pauses, signing
from snapshots.controls import Controls
from snapshots.errors import (
    AlreadyThere,
    BadSignature,
    Conflict,
    Malformed,
    Rollback,
    SnapshotError,
    StoreUnavailable,
    UnknownKey,
    Unreadable,
    WrongChannel,
)
from snapshots.local import CONTROL, LocalCopy
from snapshots.manifest import channel_path
from snapshots.pauses import MAX_PAUSED, NO_PAUSES, Paused, Pauses, control_path, numbered_path
from snapshots.pausing import change, newest
from snapshots.polling import INTERVAL_S, LONGEST_BACK_OFF_S
from snapshots.reissue import newest_of, reissue
from snapshots.store import Fetched, MemoryStore
from tests.snapshots.bundles import KEY, NOW_S, OTHER, publish_to, store_with, syncer_of

KEYS = KEY.public()
RULE = Paused(kind="rule", id="cart-rescue", since_s=int(NOW_S), why="wrong price")
SLOT = Paused(kind="slot", id="promo", since_s=int(NOW_S))
ONE = Pauses(channel="live", number=1, created_s=int(NOW_S), paused=(RULE, SLOT))


def adding(*more: Paused) -> Callable[[tuple[Paused, ...]], tuple[Paused, ...]]:
    return lambda before: (*before, *more)


def paused(store: MemoryStore, *more: Paused, channel: str = "live") -> Pauses:
    return change(store, channel, adding(*more), KEY, {}, now_s=NOW_S)


def following(store: MemoryStore, directory: Path) -> Controls:
    local = LocalCopy(directory, KEYS)
    local.prepare()
    return Controls(store, local, "live")


# The value, its signature, and when it counts.


def test_a_list_comes_back_as_it_was_signed() -> None:
    assert pauses.verify(pauses.sign(ONE, KEY), KEYS) == ONE
    assert ONE.rules == {"cart-rescue"}
    assert ONE.slots == {"promo"}
    assert pauses.sign(ONE, KEY) == pauses.sign(ONE, KEY)


@pytest.mark.parametrize(
    ("token", "error", "says"),
    [
        (b"no token", Malformed, "expected a signed edgewise-control"),
        (pauses.sign(ONE, OTHER), UnknownKey, "expected one of the keys"),
        (signing.sign_bytes(b"{}", KEY, signing.MANIFEST), BadSignature, "edgewise-control"),
        (signing.sign_bytes(b'{"format":2}', KEY, pauses.TYPE), Unreadable, "format 1, got 2"),
        (signing.sign_bytes(b'{"format":1}', KEY, pauses.TYPE), Malformed, "expected a control"),
        (pauses.sign(NO_PAUSES, KEY), Malformed, "expected a number from 1"),
    ],
)
def test_what_is_no_list_of_ours_is_refused(
    token: bytes, error: type[SnapshotError], says: str
) -> None:
    with pytest.raises(error, match=says):
        pauses.verify(token, KEYS)


def test_any_changed_byte_of_a_list_is_refused() -> None:
    token = pauses.sign(ONE, KEY)
    for place in range(len(token)):
        changed = token[:place] + bytes([token[place] ^ 1]) + token[place + 1 :]
        with pytest.raises(SnapshotError):
            pauses.verify(changed, KEYS)


def test_only_a_later_list_of_the_channel_is_taken() -> None:
    two = msgspec.structs.replace(ONE, number=2, paused=())
    assert pauses.accept(ONE, None, channel="live") is ONE
    assert pauses.accept(two, ONE, channel="live") is two
    assert pauses.accept(ONE, ONE, channel="live") is None
    with pytest.raises(Rollback, match="expected control >= 2, got 1"):
        pauses.accept(ONE, two, channel="live")
    with pytest.raises(Conflict, match="other content"):
        pauses.accept(msgspec.structs.replace(ONE, paused=()), ONE, channel="live")
    with pytest.raises(WrongChannel, match="of channel staging, got live"):
        pauses.accept(ONE, None, channel="staging")


# The publisher's half.


def test_changes_add_up_and_each_list_is_kept() -> None:
    store = store_with(b"one")
    assert paused(store, RULE).number == 1
    assert paused(store, SLOT).paused == (RULE, SLOT)

    assert store.objects[control_path("live")] == store.objects[numbered_path("live", 2)]
    assert pauses.verify(store.objects[numbered_path("live", 1)], KEYS).paused == (RULE,)


def test_no_change_writes_nothing_and_mends_what_edges_poll() -> None:
    store = store_with(b"one")
    assert change(store, "live", adding(), KEY, {}, now_s=NOW_S) == Pauses(channel="live")
    assert control_path("live") not in store.objects
    paused(store, RULE)
    store.objects[control_path("live")] = b"?"

    assert change(store, "live", adding(), KEY, {}, now_s=NOW_S).number == 1

    assert pauses.verify(store.objects[control_path("live")], KEYS).number == 1


def test_two_operators_at_once_lose_neither_change(monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_with(b"one")
    create = store.create
    raced: list[str] = []

    def racing(path: str, data: bytes) -> None:
        if not raced:
            raced.append(path)
            paused(store, SLOT)
        create(path, data)

    monkeypatch.setattr(store, "create", racing)

    assert paused(store, RULE).paused == (SLOT, RULE)


def test_who_never_wins_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(path: str, data: bytes) -> None:
        raise AlreadyThere(path, "memory")

    store = store_with(b"one")
    monkeypatch.setattr(store, "create", taken)
    with pytest.raises(StoreUnavailable, match="expected to win in 20 tries"):
        paused(store, RULE)


def test_what_others_lay_at_a_number_is_passed_over() -> None:
    store = store_with(b"one")
    store.objects[numbered_path("live", 1)] = b"not ours"
    store.objects[numbered_path("live", 7)] = pauses.sign(ONE, OTHER)
    store.objects[numbered_path("live", 3)] = pauses.sign(ONE, KEY)  # another number's

    made = paused(store, RULE)

    assert made.number == 2
    assert newest(store, "live", KEYS)[0] == made


def test_a_list_beyond_bounds_is_refused() -> None:
    many = [Paused(kind="rule", id=f"r{n}", since_s=1) for n in range(MAX_PAUSED + 1)]
    with pytest.raises(Malformed, match="expected at most 1000 pauses, got 1001"):
        paused(store_with(b"one"), *many)
    with pytest.raises(Conflict, match="expected a channel"):
        paused(store_with(b"one"), RULE, channel="Live")


def test_garbage_takes_no_list_and_a_version_that_comes_back_ends_no_pause() -> None:
    store = store_with(b"one", b"two")
    paused(store, RULE)
    paused(store, SLOT)
    listed = garbage.find(store, KEYS, now_s=NOW_S + 100 * 86_400, keep=1)
    assert listed.versions
    assert not any(".control" in one.path for one in listed.all())

    garbage.remove(store, listed)
    first = newest_of(store, "live", KEYS)
    reissue(store, first, "live", KEY, now_s=NOW_S)
    reissue(store, first, "staging", KEY, now_s=NOW_S)

    assert newest(store, "live", KEYS)[0].paused == (RULE, SLOT)
    assert newest(store, "staging", KEYS)[0].paused == (), "a pause is of one channel"
    assert history.channels(store) == ["live", "staging"]


# The node's half.


def test_a_node_obeys_keeps_and_begins_with_what_it_kept(tmp_path: Path) -> None:
    store = store_with(b"one")
    controls = following(store, tmp_path)
    controls.start()
    controls.once(NOW_S)
    assert (controls.obeyed.number, controls.trouble) == (0, "")

    paused(store, RULE)
    controls.once(NOW_S)
    controls.once(NOW_S)  # not changed

    assert controls.obeyed.paused == (RULE,)
    again = following(MemoryStore(), tmp_path)
    again.start()
    assert again.obeyed == controls.obeyed


def test_neither_a_deleted_nor_an_older_list_ends_a_pause(tmp_path: Path) -> None:
    store = store_with(b"one")
    paused(store, RULE)
    old = store.objects[control_path("live")]
    paused(store, SLOT)
    controls = following(store, tmp_path)
    controls.once(NOW_S)

    del store.objects[control_path("live")]
    controls.once(NOW_S)
    assert (controls.obeyed.number, controls.trouble) == (2, "")

    store.objects[control_path("live")] = old
    controls.once(NOW_S)
    assert controls.obeyed.number == 2
    assert controls.trouble == "rollback: expected control >= 2, got 1"

    paused(store)
    controls.once(NOW_S)
    assert controls.trouble == ""


def test_a_copy_of_another_channel_or_of_a_retired_key_counts_no_more(tmp_path: Path) -> None:
    for token in (
        pauses.sign(msgspec.structs.replace(ONE, channel="staging"), KEY),
        pauses.sign(ONE, OTHER),
    ):
        (tmp_path / CONTROL).write_bytes(token)
        controls = following(MemoryStore(), tmp_path)
        controls.start()
        assert controls.obeyed == Pauses(channel="live")
    assert controls.trouble.startswith("unknown-key: ")


def test_a_syncer_tells_what_it_obeys_and_a_bad_list_stops_no_version(tmp_path: Path) -> None:
    store = store_with(b"one")
    paused(store, RULE)
    syncer = syncer_of(store, tmp_path)
    syncer.start()
    syncer.controls.once(NOW_S)
    assert syncer.once().pauses.paused == (RULE,)
    assert syncer.local.control() == syncer.status.pauses

    store.objects[control_path("live")] = b"?"
    syncer.controls.once(NOW_S + 5.0)
    status = syncer.once()

    assert status.refused is None
    assert status.control_trouble.startswith("malformed: ")
    assert (status.version, status.pauses.number) == (1, 1)
    assert status.control_last_success_s == NOW_S


def test_the_lead_of_a_stolen_key_locks_nobody_out_once_it_is_retired(tmp_path: Path) -> None:
    store = store_with(b"one")
    lead = msgspec.structs.replace(ONE, number=2**40)
    controls = following(store, tmp_path)
    controls._local.keys = {**KEYS, **OTHER.public()}
    store.objects[control_path("live")] = pauses.sign(lead, OTHER)
    controls.once(NOW_S)
    paused(store, SLOT)
    controls.once(NOW_S)
    assert controls.trouble.startswith("rollback: ")

    controls._local.keys = KEYS
    controls.once(NOW_S)

    assert (controls.obeyed.number, controls.obeyed.paused) == (1, (SLOT,))


def answering(monkeypatch: pytest.MonkeyPatch, store: MemoryStore, error: SnapshotError) -> None:
    def busy(path: str, etag: str, max_bytes: int) -> Fetched | None:
        raise error

    monkeypatch.setattr(store, "read_if_changed", busy)


def test_a_store_that_asks_to_be_left_alone_is_for_its_control_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_with(b"one")
    answering(monkeypatch, store, StoreUnavailable("busy", retry_after_s=60.0))
    controls = following(store, tmp_path)

    assert 60.0 <= controls.once(NOW_S) <= 72.0
    assert controls.trouble == "store-unavailable: busy"


def test_a_store_that_does_not_answer_is_asked_less_often_until_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_with(b"one")
    controls = following(store, tmp_path)
    assert controls.once(NOW_S) <= INTERVAL_S
    with monkeypatch.context() as patched:
        answering(patched, store, StoreUnavailable("down"))
        waits = [controls.once(NOW_S) for _ in range(8)]
    assert waits[:3] == sorted(waits[:3])
    assert 45.0 <= waits[-1] <= LONGEST_BACK_OFF_S

    assert controls.once(NOW_S) <= INTERVAL_S
    assert controls.trouble == ""


def test_a_list_that_is_refused_delays_no_later_list(tmp_path: Path) -> None:
    store = store_with(b"one")
    store.objects[control_path("live")] = b"?"
    controls = following(store, tmp_path)
    assert [controls.once(NOW_S) <= INTERVAL_S for _ in range(4)] == [True] * 4
    assert controls.last_success_s == 0.0


@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_cleared_cache_ends_no_pause(is_deleted: bool, tmp_path: Path) -> None:
    store = store_with(b"one")
    paused(store, RULE)
    controls = following(store, tmp_path)
    controls.once(NOW_S)
    (tmp_path / CONTROL).unlink()
    if is_deleted:
        del store.objects[control_path("live")]

    controls.once(NOW_S)

    assert controls.trouble == ""
    assert LocalCopy(tmp_path, KEYS).control() == controls.obeyed


class Waiting(MemoryStore):
    """Answers for one path only when told."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.asked, self.told = threading.Event(), threading.Event()

    def read_if_changed(self, path: str, etag: str, max_bytes: int) -> Fetched | None:
        if path == self.path:
            self.asked.set()
            assert self.told.wait(20.0)
        return super().read_if_changed(path, etag, max_bytes)


@pytest.mark.parametrize("slow", [control_path("live"), channel_path("live")])
def test_neither_a_control_nor_a_manifest_that_is_slow_delays_the_other(
    slow: str, tmp_path: Path
) -> None:
    store = Waiting(slow)
    publish_to(store, b"one")
    paused(store, RULE)
    syncer = syncer_of(store, tmp_path)
    syncer.start()
    looks: list[Callable[[], object]] = [syncer.once, lambda: syncer.controls.once(NOW_S)]
    waiting, other = looks if slow == channel_path("live") else reversed(looks)
    thread = threading.Thread(target=waiting)
    thread.start()
    assert store.asked.wait(20.0)

    other()

    status = syncer.status
    assert (status.version, status.pauses.number) == (
        int(other == looks[0]),
        int(other != looks[0]),
    )
    store.told.set()
    thread.join(20.0)
    assert (syncer.status.version, syncer.status.pauses.number) == (1, 1)
    assert (syncer.status.refused, syncer.status.control_trouble) == (None, "")

"""Who is erased stays erased: the part, and every way to the next version of a channel."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.ledger import visitor_key
from snapshots import erased, reissue
from snapshots.bundle import unpack
from snapshots.contents import wanted
from snapshots.erased import (
    ERASED,
    KEEP_S,
    Erased,
    Times,
    erased_part,
    hashed,
    is_of_erased,
    merged,
)
from snapshots.errors import (
    AlreadyThere,
    HashMismatch,
    LedgerMoved,
    Malformed,
    NotThere,
    StoreUnavailable,
    TooLarge,
    Unreadable,
)
from snapshots.eventfiles import Logged
from snapshots.history import channels, read_ledger, read_manifest
from snapshots.manifest import Manifest, part_path
from snapshots.publish import TRIES, TTL_S, claim, erased_in, publish
from snapshots.reissue import LEAST_S, before, newest_of
from snapshots.snapshot import open_snapshot
from snapshots.store import MemoryStore
from snapshots.trust import Limits
from tests.snapshots.bundles import (
    KEY,
    NOW_S,
    Clock,
    fake_steps,
    publish_to,
    small_parts,
    store_with,
    syncer_of,
)

LATER_S = NOW_S + 60.0
ANN: Times = {11: int(NOW_S)}
BOB: Times = {2**64 - 1: int(NOW_S) + 5}


def erase(
    store: MemoryStore, times: Times, channel: str = "live", now_s: float = LATER_S
) -> Manifest | None:
    return reissue.erase(store, channel, times, KEY, {}, now_s=now_s)


def listed(store: MemoryStore, channel: str = "live") -> Times:
    return erased_in(store, newest_of(store, channel, KEY.public()))


@given(st.dictionaries(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), max_size=40))
def test_a_list_is_found_again_in_its_part_entry_by_entry(times: Times) -> None:
    part = erased_part(times)

    found = Erased(unpack(part.ref, part.stored))

    assert (found.times(), len(found)) == (times, len(times))
    assert all(found.get(hash_) == at_s for hash_, at_s in times.items())
    assert all(found.get(hash_ ^ 1) == times.get(hash_ ^ 1) for hash_ in times)


def test_the_same_list_is_the_same_part_in_whatever_order_it_came() -> None:
    assert erased_part({1: 5, 2: 6}) == erased_part({2: 6, 1: 5})


def test_bytes_that_are_no_list_are_refused() -> None:
    part = erased_part(ANN)
    raw = unpack(part.ref, part.stored)

    with pytest.raises(Malformed, match="expected 12 bytes for 1 rows, got 11 - at erased"):
        Erased(raw[:-1])
    with pytest.raises(Malformed, match="at the start"):
        Erased(b"x" * len(raw))
    with pytest.raises(Unreadable, match="expected format 1 of erased, got 2"):
        Erased(raw[:8] + b"\x02" + raw[9:])


def test_rows_out_of_order_answer_without_failing() -> None:
    part = erased_part({1: 1, 2: 2, 3: 3})
    raw = bytearray(unpack(part.ref, part.stored))
    raw[-36:-12] = bytes(reversed(raw[-36:-12]))

    assert Erased(raw).get(5) is None


def test_a_list_beyond_its_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erased, "MAX_ERASED", 1)

    with pytest.raises(TooLarge, match="expected at most 1 erasures, got 2"):
        erased_part({1: 1, 2: 2})


def test_a_hash_is_that_of_the_membership() -> None:
    assert hashed("ab" * 8, {"ann": 7}) == {visitor_key("ab" * 8, "ann"): 7}


def test_of_two_times_the_later_counts_and_what_no_cookie_can_be_as_old_as_is_let_go() -> None:
    old = int(NOW_S) - KEEP_S

    assert merged([{1: 5 + old, 2: old}, {1: 9 + old, 3: old + 1}], NOW_S) == {
        1: old + 9,
        3: old + 1,
    }


def logged(
    type_: str = "seen", received: float = NOW_S, visitor: str = "", customer: str = ""
) -> Logged:
    return Logged(id="1", type=type_, received=received, visitor=visitor, customer=customer)


@pytest.mark.parametrize(
    ("row", "goes"),
    [
        (logged(visitor="000000000000000b"), True),
        (logged(visitor="000000000000000b", received=NOW_S + 99), True),
        (logged(visitor="000000000000000c"), False),
        (logged(visitor="000000000000000c", customer="000000000000000b"), True),
        (logged(customer="000000000000000b", received=NOW_S + 0.999), True),
        (logged(customer="000000000000000b", received=NOW_S + 1), False),
        (logged(customer="ffffffffffffffff"), False),
        (logged("erase", visitor="000000000000000b"), False),
        (logged(), False),
    ],
)
def test_rows_of_a_visitor_who_is_listed_go_and_of_a_customer_those_from_before(
    row: Logged, goes: bool
) -> None:
    part = erased_part(ANN)

    assert is_of_erased(row, ANN.get) is goes
    assert is_of_erased(row, Erased(unpack(part.ref, part.stored)).get) is goes


@pytest.mark.parametrize("whose", ["0190f5a0-0000-7000-8000-000000000001", "B" * 16, "12"])
def test_a_row_that_names_somebody_in_another_way_is_refused(whose: str) -> None:
    for row in (logged(visitor=whose), logged(customer=whose)):
        with pytest.raises(Malformed, match="expected a hash of 16 hex digits, got "):
            is_of_erased(row, ANN.get)


def test_an_erasure_is_a_version_with_the_same_parts_the_same_date_and_the_list() -> None:
    store = store_with(b"one")
    first = newest_of(store, "live", KEY.public())

    made = erase(store, ANN)

    assert made is not None
    assert (made.version, made.not_after_s) == (2, first.not_after_s)
    assert [part for part in made.parts if part.name != ERASED] == list(first.parts)
    assert listed(store) == ANN


def test_what_is_listed_already_makes_no_version() -> None:
    store = store_with(b"one")
    erase(store, ANN)

    assert erase(store, ANN) is None
    assert erase(store, {11: int(NOW_S) - 9}) is None
    assert erase(store, {}) is None
    assert erase(store, {11: int(NOW_S) + 9}) is not None, "asked for once more, later"
    assert listed(store) == {11: int(NOW_S) + 9}


def test_a_version_past_its_date_is_good_for_a_day_so_that_edges_take_the_list(
    tmp_path: Path,
) -> None:
    store, clock = store_with(b"one"), Clock(NOW_S + TTL_S + 60)

    made = erase(store, {11: int(clock.now_s)}, now_s=clock.now_s)

    assert made is not None
    assert made.not_after_s == int(clock.now_s) + LEAST_S
    assert syncer_of(store, tmp_path, clock=clock).once().version == 2


def test_no_publish_loses_an_entry() -> None:
    store = store_with(b"one")
    erase(store, ANN)

    made = publish_to(store, b"two", now_s=LATER_S)

    assert made.version == 3
    assert listed(store) == ANN
    assert [part.name for part in made.parts] == sorted(part.name for part in made.parts)


def test_no_rollback_loses_an_entry_and_a_list_is_no_step_to_go_back() -> None:
    store = store_with(b"one", b"two")
    erase(store, ANN)
    newest = newest_of(store, "live", KEY.public())

    source = before(store, newest, KEY.public())
    reissue.reissue(store, source, "live", KEY, now_s=LATER_S)

    assert source.version == 1
    assert listed(store) == ANN


def test_a_promotion_joins_the_lists_of_both_channels() -> None:
    store = store_with(b"one")
    publish_to(store, b"tried", channel="staging")
    erase(store, ANN)
    erase(store, BOB, "staging")

    reissue.reissue(store, newest_of(store, "staging", KEY.public()), "live", KEY, now_s=LATER_S)

    assert listed(store) == {**ANN, **BOB}
    assert listed(store, "staging") == BOB
    assert channels(store) == ["live", "staging"]


def test_a_new_channel_begins_with_the_lists_of_all_others() -> None:
    store = store_with(b"one")
    publish_to(store, b"tried", channel="staging")
    erase(store, ANN)
    erase(store, BOB, "staging")

    publish_to(store, b"new", channel="summer")
    reissue.reissue(store, newest_of(store, "live", KEY.public()), "winter", KEY, now_s=LATER_S)

    assert listed(store, "summer") == listed(store, "winter") == {**ANN, **BOB}


def test_entries_leave_the_list_with_the_first_version_after_their_time() -> None:
    store = store_with(b"one")
    erase(store, ANN)

    publish_to(store, b"two", now_s=NOW_S + KEEP_S)

    assert listed(store) == {}


@pytest.mark.parametrize("damage", ["gone", "broken"])
def test_nothing_is_published_over_a_list_that_cannot_be_read(damage: str) -> None:
    store = store_with(b"one")
    made = erase(store, ANN)
    assert made is not None
    part = made.part(ERASED)
    assert part is not None
    if damage == "gone":
        store.delete(part_path(part))
    else:
        store.objects[part_path(part)] = b"x" * part.bytes

    with pytest.raises((NotThere, HashMismatch)):
        publish_to(store, b"two", now_s=LATER_S)

    assert newest_of(store, "live", KEY.public()) == made


def test_who_publishes_meanwhile_is_not_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_with(b"one")
    raced: list[Manifest] = []

    def slow(*words: object, **named: object) -> Manifest:
        if not raced:
            raced.append(publish_to(store, b"two", now_s=LATER_S))
        return claim(*words, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("snapshots.reissue.claim", slow)

    made = erase(store, ANN)

    assert made is not None
    assert (made.version, made.part("program")) == (3, raced[0].part("program"))
    assert listed(store) == ANN


def test_who_never_gets_a_word_in_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_with(b"one")
    tries: list[int] = []

    def losing(*_: object, **__: object) -> Manifest:
        tries.append(1)
        raise LedgerMoved("ledger/2.jws", store.where)

    monkeypatch.setattr("snapshots.reissue.claim", losing)

    with pytest.raises(StoreUnavailable, match="expected a ledger that stays"):
        erase(store, ANN)
    assert len(tries) == TRIES

    def raced(*_: object, **__: object) -> Manifest:
        raise AlreadyThere("channels/live/2.jws", store.where)

    monkeypatch.setattr("snapshots.reissue.claim", raced)
    with pytest.raises(StoreUnavailable, match="expected a version that stays"):
        erase(store, ANN)


def test_a_list_that_makes_a_bundle_too_large_is_refused_before_it_is_claimed() -> None:
    store = store_with(b"one")
    erase(store, ANN)

    since = read_ledger(store, KEY.public())
    assert since.ledger is not None
    parts = small_parts(b"two")

    with pytest.raises(TooLarge, match=f"expected at most {len(parts)} parts, got"):
        publish(
            store,
            "live",
            parts,
            since.ledger,
            KEY,
            since=since,
            now_s=LATER_S,
            limits=Limits(parts=len(parts)),
        )

    assert newest_of(store, "live", KEY.public()).version == 2


def test_an_edge_takes_the_list_and_opens_it(tmp_path: Path) -> None:
    store, clock = store_with(b"one"), Clock(LATER_S)
    erase(store, ANN)
    syncer = syncer_of(store, tmp_path, clock=clock)

    status = syncer.once()

    manifest = read_manifest(store, "live", KEY.public())
    assert manifest is not None
    assert (status.version, status.passed_over) == (2, ())
    assert ERASED in {part.name for part in wanted(manifest)}
    opened = open_snapshot(manifest, syncer.local.path_of, fake_steps)
    assert opened.erased is not None
    assert opened.erased.get(11) == NOW_S

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from snapshots import retention
from snapshots.errors import StoreUnavailable
from snapshots.eventfiles import Logged, StoredEvents, path_of, pieces, read_rows
from snapshots.retention import Ages, Retained, grants_left, retain
from snapshots.spool import compress
from snapshots.store import MemoryStore
from tests.snapshots.bundles import NOW_S, Clock
from tests.snapshots.test_eventfiles import line

DAY_S = 86_400.0
ALL = ["functional", "analytics", "personalization"]
AGES = Ages(90, {"analytics": 30, "sensitive": 10})
ANN, BEN = "00000000000000aa", "00000000000000bb"


def row(id_: str, days: float, grants: list[str] | None = None, **more: Any) -> bytes:
    """A line of so many days ago."""
    kept = {"grants": ALL if grants is None else grants} | more
    return line(id_, received=NOW_S - days * DAY_S, **kept)


def laid(*files: list[bytes], days: float = 0.0) -> MemoryStore:
    """A store with these files of an hour so many days ago."""
    store = MemoryStore(Clock(NOW_S))
    for number, lines in enumerate(files):
        at_s = json.loads(lines[0])["received"] if lines else NOW_S - days * DAY_S
        store.create(path_of(at_s, f"paris-2-{number}.ndjson.zst"), compress(b"".join(lines)))
    return store


def held(store: MemoryStore) -> bytes:
    """The lines of the one file there is."""
    (path,) = store.list("events/")
    return b"".join(pieces(store.objects[path], path))


def kept(store: MemoryStore) -> dict[str, list[str]]:
    """Row → its grants."""
    return {placed.row.id: placed.row.grants for placed in read_rows(StoredEvents(store), Logged)}


@pytest.mark.parametrize(
    ("days", "grants", "type_", "left"),
    [
        (1, ALL, "served", ALL),
        (30, ALL, "served", ALL),
        (31, ALL, "served", ["functional", "personalization"]),
        (91, ALL, "served", None),
        (31, ["analytics"], "served", None),
        (9, ["analytics", "sensitive"], "served", ["analytics", "sensitive"]),
        (11, ["analytics", "sensitive"], "served", None),
        (31, ["of a later release"], "served", ["of a later release"]),
        (89, [], "served", []),
        (91, [], "served", None),
        (89, ["analytics", "sensitive"], "erase", ["analytics", "sensitive"]),
        (91, ALL, "erase", None),
        (-400, ALL, "served", ALL),
    ],
)
def test_a_row_is_kept_for_its_purposes_until_their_ages_and_what_was_sensitive_no_longer(
    days: float, grants: list[str], type_: str, left: list[str] | None
) -> None:
    one = Logged(id="a", type=type_, received=NOW_S - days * DAY_S, grants=grants)
    assert grants_left(one, AGES, NOW_S) == left


def test_what_proves_a_consent_is_kept_as_it_is_until_nothing_is_kept() -> None:
    record = row("c", 31, ["analytics"], type_="consent", trail="t", number=1)
    agreed = row("d", 31, type_="agreed", visitor=BEN)
    old = row("e", 91, ["analytics"], type_="consent", trail="t", number=0)
    store = laid([row("a", 31, ["analytics"]), record, agreed, old])

    retain(store, AGES, now_s=NOW_S)

    assert held(store) == record + agreed


def test_who_agreed_goes_with_an_erasure_and_what_was_agreed_to_stays() -> None:
    record = row("c", 5, type_="consent")
    store = laid([row("d", 5, type_="agreed", visitor=ANN), record])

    told = retain(store, AGES, now_s=NOW_S, erased={int(ANN, 16): int(NOW_S)})

    assert (told.erased, held(store)) == (1, record)


def test_a_file_whose_last_possible_row_is_too_old_goes_unread() -> None:
    store = laid([row("old", 92)], [row("older than all", 90.5)], [row("young", 1)])
    (old, *_) = store.list("events/")
    store.objects[old] = b"not even readable"

    told = retain(store, AGES, now_s=NOW_S)

    assert sorted(kept(store)) == ["young"]
    assert old in told.removed
    assert len(told.removed) == 2
    assert (told.rows, told.left) == (1, [])


def test_a_file_that_holds_both_is_written_anew_without_what_is_too_old() -> None:
    store = laid(
        [row("a", 31, ["analytics"]), row("b", 31), row("c", 31, item="i7", extra={"k": 1})]
    )
    (before,) = store.list("events/")
    size = len(store.objects[before])

    told = retain(store, AGES, now_s=NOW_S)

    (after,) = store.list("events/")
    assert told.rewritten == [before]
    assert after.startswith(before.removesuffix(".ndjson.zst") + "-")
    assert kept(store) == {id_: ["functional", "personalization"] for id_ in "bc"}
    assert (told.rows, told.narrowed) == (1, 2)
    assert told.bytes == size - len(store.objects[after])
    (placed,) = (one for one in read_rows(StoredEvents(store), Logged) if one.row.id == "c")
    was = json.loads(row("c", 31, item="i7", extra={"k": 1}))
    assert json.loads(placed.raw) == was | {"grants": ["functional", "personalization"]}

    again = retain(store, AGES, now_s=NOW_S)
    assert (again.removed, again.rewritten, store.list("events/")) == ([], [], [after])
    retain(store, AGES, now_s=NOW_S + 40 * DAY_S)
    assert store.list("events/") == [after]
    retain(store, Ages(60), now_s=NOW_S + 40 * DAY_S)
    assert store.list("events/") == []


def test_a_file_is_renamed_after_its_hash_once_however_often_it_is_written_anew() -> None:
    store = laid([row("a", 31, ["analytics"]), row("b", 31), row("c", 30.9)])
    retain(store, Ages(90, {"analytics": 30, "personalization": 31}), now_s=NOW_S)
    retain(store, Ages(90, {"analytics": 30, "personalization": 31}), now_s=NOW_S + DAY_S)
    (path,) = store.list("events/")
    assert len(path.rpartition("/")[2]) == len("paris-2-0-.ndjson.zst") + 32
    assert kept(store) == {id_: ["functional"] for id_ in "bc"}


def test_young_files_are_not_even_read() -> None:
    store = laid([row("a", 9)], [row("b", 0)])
    for path in store.objects:
        store.objects[path] = b"not readable"
    assert retain(store, AGES, now_s=NOW_S).left == []


def test_a_dry_run_finds_the_same_and_changes_nothing() -> None:
    store = laid([row("a", 31, ["analytics"]), row("b", 31)], [row("c", 99)], [row("d", 90.5)])
    before = dict(store.objects)
    found = retain(store, AGES, now_s=NOW_S, is_dry=True)
    assert store.objects == before
    assert found == retain(store, AGES, now_s=NOW_S)
    assert store.objects != before


def test_rows_of_who_is_forgotten_go_and_that_they_asked_stays() -> None:
    store = laid(
        [
            row("a", 5, visitor=ANN),
            row("b", 5, visitor=BEN),
            row("c", 5, visitor=BEN, customer=ANN),
            row("asked", 5, [], type_="erase", visitor=ANN, customer=ANN),
        ],
        [row("d", 0.5, visitor=ANN)],
        [row("back", 0.4, customer=ANN, visitor=BEN)],
    )
    asked_s = int(NOW_S - 0.5 * DAY_S)

    told = retain(store, Ages(90), now_s=NOW_S, erased={int(ANN, 16): asked_s})

    assert sorted(kept(store)) == ["asked", "b", "back"]
    assert (told.rows, told.erased, len(told.removed), len(told.rewritten)) == (3, 3, 1, 1)


def test_what_a_node_wrote_that_was_cut_off_for_days_goes_when_it_comes() -> None:
    store = laid([row("a", 0.5, visitor=ANN), row("b", 0.5, visitor=BEN)])
    told = retain(store, Ages(90), now_s=NOW_S, erased={int(ANN, 16): int(NOW_S - 7 * DAY_S)})
    assert (sorted(kept(store)), told.erased) == (["b"], 1)


def test_what_was_written_long_after_the_last_erasure_is_not_read_for_it() -> None:
    store = laid([row("a", 0.5, visitor=BEN)])
    (path,) = store.objects
    store.objects[path] = b"not readable"
    asked_s = int(NOW_S - 9 * DAY_S)
    assert retain(store, Ages(90), now_s=NOW_S, erased={1: asked_s}).left == []


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"no zstd", "expected a zstd frame"),
        (compress(b"{}\n"), "missing required field `id` - at .*:1"),
        (compress(row("x", 31, visitor="of another making")), "expected a hash of 16 hex digits"),
    ],
)
def test_a_file_that_cannot_be_read_stays_and_is_told(bad: bytes, why: str) -> None:
    store = laid([row("a", 31, ["analytics"])], [row("b", 31)])
    first, _ = store.list("events/")
    store.objects[first] = bad

    told = retain(store, AGES, now_s=NOW_S, erased={1: 1})

    assert store.objects[first] == bad
    assert len(told.left) == 1
    assert re.search(why, told.left[0])
    assert len(told.rewritten) == 1, "the others are gone over all the same"


class Ending(MemoryStore):
    """Ends the run at the nth change."""

    def __init__(self, left: int) -> None:
        super().__init__(Clock(NOW_S))
        self.left = left

    def create(self, path: str, data: bytes) -> None:
        self._count()
        super().create(path, data)

    def delete(self, path: str) -> None:
        self._count()
        super().delete(path)

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise StoreUnavailable("killed")


@pytest.mark.parametrize("changes", [0, 1, 2, 3])
def test_a_run_that_ends_anywhere_loses_no_row_and_the_next_one_ends_it(changes: int) -> None:
    store = Ending(changes)
    for path, data in laid(
        [row("a", 31, ["analytics"]), row("b", 31)], [row("c", 31), row("d", 30)]
    ).objects.items():
        store.objects[path] = data

    with pytest.raises(StoreUnavailable):
        retain(store, AGES, now_s=NOW_S)
    assert {"b", "c", "d"} <= kept(store).keys()
    store.left = 99
    retain(store, AGES, now_s=NOW_S)

    assert kept(store) == {
        "b": ["functional", "personalization"],
        "c": ["functional", "personalization"],
        "d": ALL,
    }
    assert len(store.list("events/")) == 2


def test_what_another_run_took_meanwhile_is_no_error() -> None:
    class Twice(MemoryStore):
        def read(self, path: str, max_bytes: int) -> bytes:
            self.delete(path)
            return super().read(path, max_bytes)

    store = Twice(Clock(NOW_S))
    store.objects = laid([row("a", 31)]).objects
    assert retain(store, AGES, now_s=NOW_S).rewritten == []


def test_a_file_of_a_clock_that_was_ahead_is_told_and_left() -> None:
    store = MemoryStore(Clock(NOW_S))
    path = path_of(NOW_S + 1_000 * DAY_S, "paris-2-1.ndjson.zst")
    store.create(path, compress(row("a", -1_000)))
    told = retain(store, AGES, now_s=NOW_S)
    assert list(kept(store)) == ["a"]
    assert told.left == [f"expected an hour that has been, a node's clock was ahead - at {path}"]


def proof(id_: str, days: float, type_: str = "consent", **more: Any) -> bytes:
    return row(id_, days, ["analytics"], type_=type_, **more)


def gathered(store: MemoryStore) -> dict[str, bytes]:
    """Path → lines of the files that proofs were gathered into."""
    return {
        path: b"".join(pieces(store.objects[path], path))
        for path in store.list("events/")
        if "/consents-0-" in path
    }


def test_proofs_of_many_files_are_gathered_into_a_file_for_each_day() -> None:
    one, other, later = proof("a", 40), proof("b", 40, "agreed"), proof("c", 35)
    store = laid([row("x", 40, ["analytics"]), one], [other, one], [later, row("y", 35)])

    told = retain(store, AGES, now_s=NOW_S)

    found = gathered(store)
    assert sorted(found.values()) == sorted([one + other, later])
    assert told.gathered == list(found)
    assert sorted(kept(store)) == ["a", "b", "c", "y"]
    assert len(store.list("events/")) == 3  # "y" is in a file of its own


def test_what_was_gathered_is_not_read_again_until_it_is_too_old() -> None:
    store = laid([proof("a", 40)])
    retain(store, AGES, now_s=NOW_S)
    (path,) = gathered(store)
    store.objects[path] = b"not even readable"

    assert retain(store, AGES, now_s=NOW_S) == Retained()
    told = retain(store, AGES, now_s=NOW_S + 52 * DAY_S)
    assert (told.removed, store.list("events/")) == ([path], [])


def test_who_agreed_leaves_what_was_gathered_too() -> None:
    record = proof("a", 40)
    store = laid([record, proof("b", 40, "agreed", visitor=ANN)])
    retain(store, AGES, now_s=NOW_S)
    before = list(gathered(store))

    told = retain(store, AGES, now_s=NOW_S, erased={int(ANN, 16): int(NOW_S)})

    assert (told.erased, told.rewritten) == (1, before)
    assert list(gathered(store).values()) == [record]


def test_nothing_goes_before_what_was_gathered_is_there() -> None:
    class Full(MemoryStore):
        def create(self, path: str, data: bytes) -> None:
            if "/consents-0-" in path:
                raise StoreUnavailable("full")
            super().create(path, data)

    store = Full(Clock(NOW_S))
    lines = [row("x", 40, ["analytics"]), proof("a", 40)]
    store.create(path_of(NOW_S - 40 * DAY_S, "paris-2-0.ndjson.zst"), compress(b"".join(lines)))

    with pytest.raises(StoreUnavailable):
        retain(store, AGES, now_s=NOW_S)
    assert sorted(kept(store)) == ["a", "x"]


def test_a_run_that_ended_after_gathering_is_gone_on_with() -> None:
    store = laid([proof("a", 40)])
    (path,) = store.list("events/")
    source = store.objects[path]
    retain(store, AGES, now_s=NOW_S)
    store.objects[path] = source

    retain(store, AGES, now_s=NOW_S)

    assert store.list("events/") == list(gathered(store))


def test_much_that_waits_is_written_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "MAX_GATHERED", 1)
    store = laid([proof("a", 40)], [proof("b", 40)])

    assert len(retain(store, AGES, now_s=NOW_S).gathered) == 2
    assert sorted(kept(store)) == ["a", "b"]


def test_a_dry_run_says_what_would_be_gathered_and_leaves_it() -> None:
    store = laid([proof("a", 40)])
    before = dict(store.objects)

    told = retain(store, AGES, now_s=NOW_S, is_dry=True)

    assert (len(told.gathered), len(told.removed), store.objects) == (1, 1, before)

from __future__ import annotations

import random
from array import array
from pathlib import Path

import pytest

from snapshots.bundle import pack, unpack
from snapshots.errors import Malformed, Unreadable
from snapshots.manifest import Manifest
from snapshots.membership import KEYS, Membership
from snapshots.recommendations import (
    FULL,
    MAX_ITEMS,
    NO_CATEGORY,
    NO_ITEM,
    RECOMMENDATIONS,
    SLOTS,
    Recommendations,
    encode_items,
    encode_seeds,
)
from snapshots.recommendations import (
    SEEDS as SEEDS_PART,
)
from snapshots.snapshot import open_snapshot
from tests.snapshots.bundles import NAMED, fake_steps, members, small_parts

HELD = [5, 2**40, 2**63 + 9]  # the keys of `bundles.members`
KEEP = 2
ITEMS = encode_items(
    ["milk", "bread", "ärtsoppa", "wine"],
    ["alcohol", "bakery", "dairy"],
    [2, 1, NO_CATEGORY, 0],
    [8, 4, 4, 2],
    array("I", [1, 3, 0, NO_ITEM, NO_ITEM, NO_ITEM, 0, NO_ITEM]),
    array("H", [FULL, FULL // 5, FULL, 0, 0, 0, FULL // 5, 0]),
    KEEP,
)
NONE = [NO_ITEM] * SLOTS
SEEDS = encode_seeds(
    ITEMS, array("Q", HELD), array("I", [3, 0, *NONE[2:], *NONE, *[2, 1, 0, 3] * 2])
)
MEMBERS = Membership.open(members())


def opened(items: bytes | bytearray = ITEMS, seeds: bytes | bytearray = SEEDS) -> Recommendations:
    return Recommendations(items, seeds, MEMBERS)


def test_items_are_found_by_their_ids_and_have_categories() -> None:
    found = opened()

    assert len(found) == 4
    numbers = [found.find(id_) for id_ in ("milk", "bread", "ärtsoppa", "wine", "beer", "", "zoo")]
    assert numbers == [0, 1, 2, 3, None, None, None]
    assert [found.id(item) for item in range(4)] == ["milk", "bread", "ärtsoppa", "wine"]
    assert [found.category(item) for item in range(4)] == ["dairy", "bakery", "", "alcohol"]


def test_neighbours_come_with_their_likeness_and_popular_items_with_their_share() -> None:
    found = opened()

    assert list(found.neighbours(0)) == [(1, 1.0), (3, pytest.approx(0.2, abs=1e-4))]
    assert list(found.neighbours(2)) == []
    assert [item for item, _ in found.popular()] == [0, 1, 2, 3]
    shares = [share for _, share in found.popular()]
    assert shares == pytest.approx([1.0, 0.5, 0.5, 0.25], abs=1e-4)
    assert [item for item, _ in found.popular("alcohol")] == [3]
    assert list(found.popular("nothing of the kind")) == []


def test_a_member_has_what_they_bought_last_and_a_stranger_nothing() -> None:
    found = opened()

    assert [found.bought(key) for key in HELD] == [[3, 0], [], [2, 1, 0, 3]]
    assert found.bought(7) == []
    assert Recommendations(ITEMS, None, MEMBERS).bought(5) == []


def test_a_member_costs_16_bytes_and_24_where_there_are_very_many_items() -> None:
    count = 2**16
    near, alike = array("I", [0] * count), array("H", [0] * count)
    ids = [f"{number:05}" for number in range(count)]
    many = encode_items(ids, [], [NO_CATEGORY] * count, [1] * count, near, alike, 1)
    last = array("I", [count - 1, *NONE[1:], *NONE, *NONE])

    seeds = encode_seeds(many, array("Q", HELD), last)

    assert opened(many, seeds).bought(5) == [count - 1]
    assert len(seeds) % 64 == 24 * 3 % 64
    assert len(SEEDS) % 64 == 16 * 3 % 64


def test_a_snapshot_opens_with_them_and_without(tmp_path: Path) -> None:
    both = [pack(RECOMMENDATIONS, 1, ITEMS), pack(SEEDS_PART, 1, SEEDS)]
    for parts, bought in ((both, [3, 0]), (both[:1], []), ([], None)):
        every = [*small_parts(), *parts]
        for part in every:
            (tmp_path / part.ref.raw_sha256).write_bytes(unpack(part.ref, part.stored))
        refs = tuple(part.ref for part in every)
        manifest = Manifest(
            channel="live", version=1, created_s=0, not_after_s=1, ledger=NAMED, parts=refs
        )
        found = open_snapshot(manifest, lambda ref: tmp_path / ref.raw_sha256, fake_steps)
        items = found.recommendations
        assert (None if items is None else items.bought(5)) == bought
        assert items is None or len(items.pieces()) == 4


def test_parts_of_two_builds_do_not_open_together() -> None:
    others = encode_seeds(ITEMS, array("Q", [1, 2, 3]), array("I", NONE * 3))
    with pytest.raises(Malformed, match="expected 3 seeds of keys"):
        opened(seeds=others)
    fewer = encode_items(["milk"], [], [NO_CATEGORY], [8], array("I", [0]), array("H", [0]), 1)
    with pytest.raises(Malformed, match="expected 3 seeds of keys"):
        opened(items=fewer)


def test_what_is_no_such_part_is_refused() -> None:
    for raw in (b"", ITEMS[:100], SEEDS, bytes(members()[KEYS])):
        with pytest.raises(Malformed):
            opened(items=raw)
        with pytest.raises(Malformed):
            opened(seeds=ITEMS)
    newer = bytearray(ITEMS)
    newer[8] = 2
    with pytest.raises(Unreadable, match="expected format 1 of recommendations, got 2"):
        opened(items=newer)
    for keep, said in ((b"3", "bytes for 4 rows"), (b"-", "readable head")):
        with pytest.raises(Malformed, match=said):
            opened(items=bytes(ITEMS).replace(b'"keep":2', b'"keep":' + keep))
    with pytest.raises(Malformed, match="of 2 or 3 bytes"):
        opened(seeds=bytes(SEEDS).replace(b'"width":2', b'"width":5'))
    with pytest.raises(Malformed, match=f"at most {MAX_ITEMS} items"):
        opened(items=bytes(ITEMS).replace(b'"keep":2,"text":22', b'"text":2,"keep":-2'))


def test_columns_that_do_not_fit_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="columns of 1 items"):
        encode_items(["a"], [], [], [1], array("I", [0]), array("H", [0]), 1)
    with pytest.raises(ValueError, match="at most"):
        encode_items([], [], [], [], b"", b"", 1_000)
    with pytest.raises(ValueError, match="3 rows of 8 seeds"):
        encode_seeds(ITEMS, array("Q", HELD), array("I", [0]))


def test_whatever_rows_hold_a_look_up_answers() -> None:
    dice = random.Random(1)
    for _ in range(300):
        items, seeds = bytearray(ITEMS), bytearray(SEEDS)
        for raw in (items, seeds):
            for _ in range(dice.randrange(1, 9)):  # of the body, which begins at 128
                raw[dice.randrange(128, len(raw))] = dice.randrange(256)
        found = opened(items, seeds)
        for id_ in ("milk", "", "wine", "\ud800"):
            assert found.find(id_) in (None, 0, 1, 2, 3)
        assert all(item < 4 for key in HELD for item in found.bought(key))
        for item in range(4):
            assert (found.id(item), found.category(item)) is not None
            assert all(other < 4 for other, _ in found.neighbours(item))
        for category in ("", "dairy", "alcohol"):
            assert all(item < 4 for item, _ in found.popular(category))

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.planes import (
    KINDS,
    PackedBits,
    PackedPlane,
    PackedScale,
    Plane,
    build_plane,
    kind_of,
    open_plane,
    pack,
    unpack,
)
from decisions.predicates import Member, OneOf, Predicate, Prefix, Present, Within
from decisions.rules.values import ABSENT

EVERYONE = 0b11111


def plane_of(predicates: Mapping[int, Predicate]) -> Plane:
    """The plane as an edge has it: built, packed, sent, opened."""
    kind, attribute = kind_of(predicates[0]), predicates[0].attribute
    built = build_plane(kind, attribute, predicates, EVERYONE)
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(built.pack()), type=PackedPlane)
    opened = open_plane(sent)
    assert opened.pack() == built.pack()
    return opened


def alive(predicates: Mapping[int, Predicate], value: Any) -> set[int]:
    """Which of the clauses with a predicate the value leaves alive; the others always are."""
    bits = plane_of(predicates).match(value)
    others = EVERYONE & ~sum(1 << place for place in predicates)
    assert bits & others == others
    assert bits <= EVERYONE
    return {place for place in predicates if bits >> place & 1}


@given(st.sets(st.integers(0, 300)))
def test_bits_are_packed_as_a_place_as_places_or_as_bytes(places: set[int]) -> None:
    bits = sum(1 << place for place in places)
    packed = pack(bits)
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(packed), type=PackedBits)
    assert unpack(sent) == bits


def test_the_shortest_form_is_taken() -> None:
    assert pack(0) == b""
    assert pack(1 << 200) == 200
    assert pack(1 << 200 | 1) == [0, 200]
    assert pack(0xFFFF) == b"\xff\xff"


def test_words_are_found_by_one_look_up() -> None:
    words: dict[int, Predicate] = {
        0: OneOf("a", ("FR", "DE")),
        2: OneOf("a", ("FR",), True),
        3: OneOf("a", (True,)),
    }
    assert alive(words, "FR") == {0}
    assert alive(words, "DE") == {0, 2}
    assert alive(words, "IT") == {2}
    assert alive(words, True) == {2, 3}
    assert alive(words, ABSENT) == set()


def test_prefixes_of_different_lengths_may_both_hold() -> None:
    prefixes: dict[int, Predicate] = {
        0: Prefix("a", "/"),
        1: Prefix("a", "/shop"),
        2: Prefix("a", "/shop", True),
        3: Prefix("a", ""),
    }
    assert alive(prefixes, "/shop/shoes") == {0, 1, 3}
    assert alive(prefixes, "/sho") == {0, 2, 3}
    assert alive(prefixes, "") == {2, 3}
    assert alive(prefixes, ABSENT) == set()


def test_members_of_sets_and_keys_of_maps() -> None:
    members: dict[int, Predicate] = {
        0: Member("a", "x"),
        1: Member("a", "x", True),
        4: Member("a", "y"),
    }
    assert alive(members, frozenset({"x", "y", "z"})) == {0, 4}
    assert alive(members, {"y": 1.0}) == {1, 4}
    assert alive(members, frozenset()) == {1}
    assert alive(members, ABSENT) == set()


def test_presence() -> None:
    presence: dict[int, Predicate] = {0: Present("a"), 1: Present("a", True)}
    assert alive(presence, {}) == {0}
    assert alive(presence, ABSENT) == {1}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (4, {0}),
        (5, {1, 2}),
        (5.5, {1}),
        (6, {1, 3}),
        (7, {1}),
        (math.nan, {0}),
        (math.inf, {1}),
        (ABSENT, set()),
    ],
)
def test_points_may_belong_to_either_side_or_to_themselves(value: Any, expected: set[int]) -> None:
    numbers: dict[int, Predicate] = {
        0: Within("a", None, ((None, False, 5, False),), nan=True),
        1: Within("a", None, ((5, True, None, False),)),
        2: Within("a", None, ((5.0, True, 5.0, True),)),
        3: Within("a", None, ((5.5, False, 7, False),)),
    }
    assert alive(numbers, value) == expected


def test_cuts_that_all_lie_on_one_side_of_their_points_take_one_search() -> None:
    below: dict[int, Predicate] = {0: Within("a", None, ((1, True, 2, False),))}
    above: dict[int, Predicate] = {0: Within("a", None, ((1, False, 2, True),))}
    assert [alive(below, value) for value in (0, 1, 1.5, 2)] == [set(), {0}, {0}, set()]
    assert [alive(above, value) for value in (1, 1.5, 2, 3)] == [set(), {0}, {0}, set()]


def test_a_map_is_asked_for_each_of_its_entries() -> None:
    entries: dict[int, Predicate] = {
        0: Within("a", "x", ((40, True, None, False),)),
        1: Within("a", "y", ((None, False, 40, False),), nan=True),
        2: Within("a", "x", ((None, False, 3, False),), zero=True),
        3: Within("a", "y", ((3, True, None, False),), zero=True),
    }
    assert alive(entries, {}) == {2}
    assert alive(entries, {"x": 50, "z": 1}) == {0}
    assert alive(entries, {"x": 2, "y": 39}) == {1, 2, 3}
    assert alive(entries, {"y": math.nan}) == {1, 2}
    assert alive(entries, {"x": math.nan}) == set()
    assert alive(entries, ABSENT) == set()


def test_every_kind_of_plane_is_known_by_the_name_that_programs_carry() -> None:
    assert set(KINDS) == {"values", "prefixes", "members", "presence", "numbers", "entries"}
    assert {name: kind.kind for name, kind in KINDS.items()} == {name: name for name in KINDS}
    with pytest.raises(KeyError):
        open_plane(PackedPlane("newer", "a", 0, 0, 0, {}, {}))


def test_a_scale_whose_parts_do_not_fit_is_refused() -> None:
    scale = PackedScale(0, 0, [1, 2], [0], [])
    with pytest.raises(ValueError, match="not as many"):
        open_plane(PackedPlane("numbers", "a", 0, 0, 0, {}, {"": scale}))


def test_few_places_are_listed_and_many_are_bytes() -> None:
    assert pack(1 | 1 << 39) == [0, 39], "two places in five bytes"
    assert pack(1 | 1 << 31) == (1 | 1 << 31).to_bytes(4, "little"), "two places in four"


def test_selectivity_is_how_many_die_of_a_value_that_nobody_asks_for() -> None:
    built = plane_of(
        {0: OneOf("a", ("x",)), 1: OneOf("a", ("y",)), 2: OneOf("a", ("x",), negated=True)}
    )
    assert built.selectivity == 2

from __future__ import annotations

import struct
from array import array
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapshots.census import Interests, Score, Trait, encode_membership, score_code
from snapshots.columns import frame
from snapshots.errors import Malformed, Unreadable
from snapshots.membership import (
    INTERESTS,
    KEYS,
    MAGIC,
    NO_INTEREST,
    SCORES,
    SEGMENTS,
    TRAITS,
    InterestsHead,
    Membership,
    ScoreHead,
    ScoresHead,
    SegmentsHead,
    TraitHead,
    TraitsHead,
    score_values,
)
from tests.snapshots.bundles import members

KEY_NUMBERS = [5, 2**40, 2**63 + 9]


def halves(*weights: float) -> bytes:
    return struct.pack(f"<{len(weights)}e", *weights)


def with_interests() -> dict[str, bytearray]:
    return encode_membership(
        array("Q", KEY_NUMBERS),
        built_at_s=99,
        interests=Interests(
            ["shoes", "pet"],
            2,
            array("H", [0, 1, 1, NO_INTEREST, NO_INTEREST, NO_INTEREST]),
            halves(1.5, 0.25, 6.0, 0.0, 0.0, 0.0),
        ),
    )


def test_a_member_is_found_with_everything_the_builder_knew() -> None:
    membership = Membership.open(members())
    first, second, third = (membership.lookup(key) for key in KEY_NUMBERS)
    assert first and second and third
    assert [first.segments, second.segments, third.segments] == [{"loyal"}, {"dormant"}, {"loyal"}]
    assert [first.traits, second.traits] == [{}, {"tier": "gold"}]
    assert [first.scores, second.scores, third.scores] == [
        {},
        {"propensity": 0.0},
        {"propensity": 1.0},
    ]
    assert first.interests == {}
    assert first.weighed_at_s == 1
    assert membership.segments == ("dormant", "loyal")


def test_interests_are_the_strongest_ones_as_weights_of_the_builds_moment() -> None:
    membership = Membership.open(with_interests())
    first, second, third = (membership.lookup(key) for key in KEY_NUMBERS)
    assert first and second and third
    assert first.interests == {"shoes": 1.5, "pet": 0.25}
    assert second.interests == {"pet": 6.0}
    assert third.interests == {}
    assert first.weighed_at_s == 99


def test_interests_may_stand_for_an_earlier_moment_than_the_build() -> None:
    columns = Interests(["shoes"], 1, bytes(2), halves(1.5), weighed_at_s=40)
    membership = Membership.open(
        encode_membership(array("Q", [7]), built_at_s=99, interests=columns)
    )
    member = membership.lookup(7)
    assert member and member.interests == {"shoes": 1.5}
    assert (membership.built_at_s, member.weighed_at_s) == (99, 40)


@pytest.mark.parametrize("key", [0, 4, 6, 2**63, 2**64 - 1, 2**64, 2**70, -1])
def test_a_stranger_is_nobody(key: int) -> None:
    assert Membership.open(members()).lookup(key) is None


def test_nobody_is_a_member_of_an_empty_membership() -> None:
    membership = Membership.open(encode_membership(b"", built_at_s=0, segments=[("loyal", b"")]))
    assert membership.rows == 0
    assert membership.lookup(5) is None


def test_keys_alone_are_a_membership() -> None:
    member = Membership.open({KEYS: members()[KEYS]}).lookup(5)
    assert member and (member.segments, member.traits, member.scores, member.interests) == (
        frozenset(),
        {},
        {},
        {},
    )


ANY_KEYS = st.one_of(
    st.sets(st.integers(0, 2**64 - 1), max_size=300),
    st.sets(st.integers(0, 1_000), max_size=300),  # not spread as hashes are: the guess is off
    st.sets(st.integers(2**64 - 1_000, 2**64 - 1), max_size=300),
)


@settings(max_examples=100)
@given(ANY_KEYS, st.lists(st.integers(0, 2**64 - 1), max_size=20))
def test_every_key_is_found_at_its_place_and_no_other_is(keys: set[int], others: list[int]) -> None:
    ordered = sorted(keys)
    membership = Membership.open(encode_membership(array("Q", ordered), built_at_s=0))
    assert [membership.row(key) for key in ordered] == list(range(len(ordered)))
    for key in set(others) - keys:
        assert membership.row(key) is None


@settings(max_examples=60)
@given(st.data())
def test_columns_in_are_members_out(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 12))
    column = st.lists(st.booleans(), min_size=rows, max_size=rows)
    segments = data.draw(st.dictionaries(st.text("abc", min_size=1), column, max_size=20))
    values = data.draw(st.sampled_from([2, 256, 257, 65_537]))
    codes = data.draw(st.lists(st.integers(0, values - 1), min_size=rows, max_size=rows))
    scored = data.draw(st.lists(st.integers(0, 255), min_size=rows, max_size=rows))
    membership = Membership.open(
        encode_membership(
            array("Q", range(rows)),
            built_at_s=0,
            segments=[(name, bytes(held)) for name, held in segments.items()],
            traits={"t": Trait([None, *map(str, range(1, values))], array("I", codes))},
            scores={"s": Score(bytes(scored), -1.0, 3.0)},
        )
    )
    for row in range(rows):
        member = membership.lookup(row)
        assert member
        assert member.segments == {name for name, held in segments.items() if held[row]}
        assert member.traits == ({"t": str(codes[row])} if codes[row] else {})
        steps = score_values(-1.0, 3.0)
        assert member.scores == ({"s": steps[scored[row]]} if scored[row] else {})


@settings(max_examples=100)
@given(st.floats(-2.0, 5.0))
def test_a_score_in_a_byte_is_within_half_a_step(value: float) -> None:
    kept = score_values(-1.0, 3.0)[score_code(value, -1.0, 3.0)]
    assert kept is not None
    assert abs(kept - min(max(value, -1.0), 3.0)) <= 4.0 / 508 + 1e-12
    assert score_code(None) == score_code(float("nan")) == 0


@settings(max_examples=100)
@given(st.floats(0.0001, 65_504.0))
def test_a_weight_in_two_bytes_is_within_a_twentieth_of_a_percent(weight: float) -> None:
    (kept,) = struct.unpack("<e", halves(weight))
    assert abs(kept - weight) <= 0.0005 * weight


def test_the_same_columns_give_the_same_bytes_in_whatever_order_they_come() -> None:
    def encoded(order: int) -> dict[str, bytearray]:
        return encode_membership(
            array("Q", [1, 2]),
            built_at_s=0,
            segments=[("a", b"\1\0"), ("b", b"\0\1")][::order],
            scores=dict([("x", Score(b"\1\2")), ("y", Score(b"\3\4"))][::order]),
        )

    assert encoded(1) == encoded(-1)


def test_ten_million_visitors_of_the_budgets_kind_take_at_most_44_bytes_each() -> None:
    rows = 1_000
    parts = encode_membership(
        array("Q", range(rows)),
        built_at_s=0,
        segments=[(f"s{number}", bytes(rows)) for number in range(200)],
        traits={
            f"t{number}": Trait([f"v{value}" for value in range(256)], bytes(rows))
            for number in range(5)
        },
        scores={f"p{number}": Score(bytes(rows)) for number in range(3)},
    )
    heads = sum(len(part) for part in encode_membership(b"", built_at_s=0).values())
    body = 8 + 25 + 5 + 3
    assert body <= 44
    assert sum(map(len, parts.values())) - heads - rows * body < 30_000  # names, once


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"keys": bytes(7)}, "keys of 8 bytes, strictly ascending"),
        ({"keys": array("Q", [2, 1])}, "strictly ascending"),
        ({"keys": array("Q", [1, 1])}, "strictly ascending"),
        ({"segments": [("a", bytes(3))]}, "expected 2 rows as bytes or bits"),
        ({"traits": {"t": Trait(["a"], bytes([0, 1]))}}, "expected codes below 1 for trait t"),
        ({"scores": {"s": Score(bytes(3))}}, "expected 2 bytes for score s, got 3"),
        ({"scores": {"s": Score(bytes(2), 1.0, 1.0)}}, "expected low < high"),
        ({"interests": Interests(["a"], 65, b"", b"")}, "expected at most 64 slots"),
        ({"interests": Interests(["a"], 1, bytes(4), b"")}, "expected 2 ids and weights"),
        ({"interests_format": 0}, "expected format 1, 2 of interests, got 0"),
        (
            {"interests": Interests([], 0, b"", b"", 7), "interests_format": 1},
            "expected weights as of the build for interests in format 1",
        ),
    ],
)
def test_columns_that_do_not_fit_each_other_are_refused(columns: dict[str, Any], said: str) -> None:
    keys = columns.pop("keys", array("Q", [1, 2]))
    with pytest.raises(ValueError, match=said):
        encode_membership(keys, built_at_s=0, **columns)


def test_rows_of_other_keys_are_refused() -> None:
    others = encode_membership(array("Q", [1, 2, 3]), built_at_s=0, segments=[("a", bytes(3))])
    for name in (SEGMENTS, TRAITS, SCORES, INTERESTS):
        with pytest.raises(Malformed, match=f"expected rows of the keys .* - at {name}"):
            Membership.open(members() | {name: others[name]})
    fewer = encode_membership(array("Q", [1]), built_at_s=0)
    with pytest.raises(Malformed, match="expected 3 rows, got 1 - at membership/segments"):
        Membership.open(members() | {SEGMENTS: fewer[SEGMENTS]})


def build_of(parts: dict[str, bytearray]) -> str:
    return str(msgspec.json.decode(bytes(parts[KEYS][24:]).split(b"}")[0] + b"}")["build"])


def hostile(name: str, head: msgspec.Struct, body: bytes) -> dict[str, bytearray]:
    framed = frame(MAGIC[name], 1, head, 3, len(body))
    framed.part[framed.start :] = body
    return members() | {name: framed.part}


BUILD = build_of(members())


@pytest.mark.parametrize(
    ("name", "head", "body", "said"),
    [
        (SEGMENTS, SegmentsHead(BUILD, ("a", "a")), bytes(3), "each name once"),
        (SEGMENTS, SegmentsHead(BUILD, ("a",)), bytes(2), "expected 3 bytes for 3 rows, got 2"),
        (TRAITS, TraitsHead(BUILD, (TraitHead("t", 3, ()),)), bytes(9), "codes of 1, 2 or 4"),
        (TRAITS, TraitsHead(BUILD, (TraitHead("t", 2, ()),)), bytes(3), "expected 6 bytes"),
        (SCORES, ScoresHead(BUILD, (ScoreHead("s", 1.0, 0.0),)), bytes(3), "low < high"),
        (SCORES, ScoresHead(BUILD, (ScoreHead("s", 0.0, 1.0),)), bytes(4), "expected 3 bytes"),
        (INTERESTS, InterestsHead(BUILD, (), 65), bytes(780), "0 to 64 slots"),
        (INTERESTS, InterestsHead(BUILD, (), -1), b"", "0 to 64 slots"),
        (INTERESTS, InterestsHead(BUILD, (), 1), bytes(11), "expected 12 bytes"),
    ],
)
def test_a_part_that_does_not_add_up_is_refused_when_it_is_opened(
    name: str, head: msgspec.Struct, body: bytes, said: str
) -> None:
    with pytest.raises(Malformed, match=said):
        Membership.open(hostile(name, head, body))


def test_codes_without_a_meaning_are_absent_and_never_an_error() -> None:
    two = TraitsHead(BUILD, (TraitHead("odd", 1, ("a",)), TraitHead("tier", 1, (None, "gold"))))
    parts = hostile(TRAITS, two, bytes([0, 1, 9, 1, 0, 0]))
    parts |= {SEGMENTS: hostile(SEGMENTS, SegmentsHead(BUILD, ("a",)), b"\xff\xfe\x01")[SEGMENTS]}
    slots = struct.pack("<HeHeHe", 7, 1.0, 0, float("inf"), 0, -1.0)
    parts |= {INTERESTS: hostile(INTERESTS, InterestsHead(BUILD, ("x",), 1), slots)[INTERESTS]}
    membership = Membership.open(parts)
    first, second, third = (membership.lookup(key) for key in KEY_NUMBERS)
    assert first and second and third
    assert [first.traits, second.traits, third.traits] == [
        {"odd": "a", "tier": "gold"},
        {"tier": "gold"},
        {"odd": "a"},
    ]
    assert [first.segments, second.segments] == [{"a"}, frozenset()]
    assert first.interests == second.interests == third.interests == {}


@settings(max_examples=300)
@given(st.sampled_from(sorted(MAGIC)), st.data())
def test_whatever_bytes_a_part_holds_it_is_refused_at_open_or_answers(
    name: str, data: st.DataObject
) -> None:
    parts = with_interests() | {TRAITS: members()[TRAITS], SEGMENTS: members()[SEGMENTS]}
    broken = bytearray(parts[name])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(broken) - 1))
        broken[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(broken), len(broken) - 1, len(broken) // 2, 0]))
    try:
        membership = Membership.open(parts | {name: broken[:cut]})
    except (Malformed, Unreadable):
        return
    for key in (0, *KEY_NUMBERS, 2**64 - 1):
        member = membership.lookup(key)
        assert member is None or isinstance(member.interests, dict)

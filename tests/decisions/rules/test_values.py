"""CEL's values: time to the nanosecond, 64 bits, equality across types, maps by key."""

from __future__ import annotations

import datetime
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.errors import EvaluationError
from decisions.rules.functions import zone
from decisions.rules.values import (
    ABSENT,
    MAX_INT,
    MAX_TIME_NS,
    MIN_INT,
    MIN_TIME_NS,
    Duration,
    KeyedMap,
    Timestamp,
    contains,
    equals,
    find,
    in_order,
    int64,
    items_of,
    kind_of,
    lifted,
    spelt,
)


def test_absent_is_false_and_one_of_a_kind() -> None:
    assert not ABSENT
    assert repr(ABSENT) == "<Absent.ABSENT: 'absent'>"


@given(st.integers(MIN_TIME_NS, MAX_TIME_NS))
def test_a_timestamp_reads_back_from_its_text(ns: int) -> None:
    assert Timestamp.parse(str(Timestamp(ns))) == Timestamp(ns)


@given(st.integers(MIN_INT, MAX_INT))
def test_a_duration_reads_back_from_its_text(ns: int) -> None:
    assert Duration.parse(str(Duration(ns))) == Duration(ns)


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_moments_in_seconds_keep_their_order(first: float, second: float) -> None:
    assert (first < second) >= (Timestamp.of_seconds(first) < Timestamp.of_seconds(second))
    assert abs(Timestamp.of_seconds(first).ns / 1e9 - first) < 1e-6


def test_two_floats_of_today_are_two_moments() -> None:
    now_s = 1_795_000_000.25
    assert Timestamp.of_seconds(now_s) < Timestamp.of_seconds(math.nextafter(now_s, math.inf))


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -math.inf, 1e300, 253_402_300_800.0])
def test_seconds_that_are_no_moment_are_an_error(seconds: float) -> None:
    with pytest.raises(EvaluationError):
        Timestamp.of_seconds(seconds)


def test_a_duration_has_its_range() -> None:
    assert Duration.of_seconds(-1.5) == Duration(-1_500_000_000)
    with pytest.raises(EvaluationError, match="out of range"):
        Duration.of_seconds(1e10)


DURATIONS = {
    "1h30m": 5_400,
    "-1.5s": -1.5,
    "+2m": 120,
    "0": 0,
    "100ms": 0.1,
    "1us1µs1μs": 3e-6,
    ".5s": 0.5,
    "1.s": 1,
}


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items())
def test_a_duration_is_written_in_units(text: str, seconds: float) -> None:
    assert Duration.parse(text).ns == round(seconds * 1e9)


@pytest.mark.parametrize("text", ["", "-", "1", "1d", "1 h", "s", ".s", "1h!", "1" * 30 + "s"])
def test_what_is_no_duration_is_an_error(text: str) -> None:
    with pytest.raises(EvaluationError, match="expected a duration"):
        Duration.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21",
        "2026-11-21T09:00:00",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+00:60",
        "2026-01-01T00:00:00.1234567890Z",
        "٢٠٢٦-01-01T00:00:00Z",
    ],
)
def test_what_is_no_timestamp_is_an_error(text: str) -> None:
    with pytest.raises(EvaluationError, match="expected a timestamp"):
        Timestamp.parse(text)


def test_a_timestamp_may_carry_an_offset_and_a_fraction() -> None:
    assert str(Timestamp.parse("2026-11-21T09:00:00.50+02:30")) == "2026-11-21T06:30:00.5Z"
    assert str(Timestamp.parse("2026-11-21T09:00:00-02:30")) == "2026-11-21T11:30:00Z"
    with pytest.raises(EvaluationError, match="out of range"):
        Timestamp.parse("0001-01-01T00:00:00+00:01")


def test_a_zone_may_push_a_moment_out_of_the_calendar() -> None:
    with pytest.raises(EvaluationError, match="in this time zone"):
        Timestamp(MIN_TIME_NS).at(zone("-01:00"))


def test_integers_have_64_bits() -> None:
    assert int64(MAX_INT) == MAX_INT
    assert int64(MIN_INT) == MIN_INT
    for value in (MAX_INT + 1, MIN_INT - 1):
        with pytest.raises(EvaluationError, match="overflow"):
            int64(value)


EQUAL = [
    (1, 1.0),
    (2**53 + 1, 2**53 + 1),
    ("a", "a"),
    (None, None),
    ([1, 2], (1.0, 2)),
    (frozenset({"b", "a"}), ["a", "b"]),
    ({"a": 1}, KeyedMap([("a", 1.0)])),
    ({1: "x"}, KeyedMap([(1, "x")])),
    (Timestamp(1), Timestamp(1)),
]
UNEQUAL = [
    (1, True),
    (1, "1"),
    (2**53 + 1, float(2**53)),
    (math.nan, math.nan),
    ([math.nan], [math.nan]),
    ([True], [1]),
    ([1], [1, 2]),
    ({"a": 1}, {"b": 1}),
    ({"a": 1}, {"a": 1, "b": 2}),
    ({"a": 1}, ["a"]),
    (None, False),
    (Timestamp(1), Duration(1)),
    (Timestamp(1), 1),
    (object, object),
]


@pytest.mark.parametrize(("left", "right"), EQUAL)
def test_these_are_equal(left: object, right: object) -> None:
    assert equals(left, right)
    assert equals(right, left)


@pytest.mark.parametrize(("left", "right"), UNEQUAL)
def test_these_are_not_equal(left: object, right: object) -> None:
    assert not equals(left, right)
    assert not equals(right, left)


def test_a_map_tells_true_from_one_and_takes_one_for_one() -> None:
    made = KeyedMap([(True, "yes"), (1, "one"), ("1", "text")])
    assert [find(made, key) for key in (True, 1, 1.0, "1")] == ["yes", "one", "one", "text"]
    assert [find(made, key) for key in (False, 2, None, [1], 1.5, math.nan)] == [ABSENT] * 6
    assert list(made) == [True, 1, "1"]
    assert len(made) == 3


def test_a_plain_dict_is_read_as_carefully() -> None:
    assert find({True: "yes"}, 1) is ABSENT
    assert find({1: "one"}, 1.0) == "one"
    assert find({"a": 1}, "b") is ABSENT


def test_a_map_refuses_a_key_twice_and_keys_of_other_kinds() -> None:
    with pytest.raises(EvaluationError, match="repeated key: true"):
        KeyedMap([(True, 1), (True, 2)])
    with pytest.raises(EvaluationError, match="unsupported key type: double"):
        KeyedMap([(1.0, 1)])


def test_in_asks_items_of_lists_and_keys_of_maps() -> None:
    assert contains(frozenset({"a"}), "a")
    assert not contains(frozenset({"a"}), 1)
    assert contains([1.0], 1)
    assert contains({"a": 1}, "a")
    with pytest.raises(EvaluationError, match="int in string"):
        contains("abc", 1)


def test_a_set_has_one_order() -> None:
    assert in_order({"b", "a", 2, 1}) == [1, 2, "a", "b"]
    assert in_order(frozenset({(2,), (1,)})) == [(1,), (2,)]
    assert list(items_of({"b": 1, "a": 2})) == ["b", "a"]
    with pytest.raises(EvaluationError, match="not int"):
        items_of(1)


def test_values_have_kinds_and_spellings() -> None:
    class Word(str):
        """A string of someone else's making."""

    values: list[object] = [True, 1, 1.0, "", None, [], {}, Word()]
    kinds = ["bool", "int", "double", "string", "null", "list", "map", "string"]
    assert [kind_of(value) for value in values] == kinds
    assert kind_of(object()) == "object"
    assert [spelt(each) for each in ('a"\\', True, False, None, 1)] == [
        r'"a\"\\"', "true", "false", "null", "1",
    ]  # fmt: skip


def test_pythons_times_count_as_cels() -> None:
    moment = datetime.datetime(1970, 1, 1, 1, tzinfo=zone("+01:00"))
    assert lifted(moment) == Timestamp(0)
    assert lifted(datetime.datetime(1970, 1, 1, microsecond=1)) == Timestamp(1_000)
    assert lifted(datetime.timedelta(seconds=-1)) == Duration(-(10**9))
    assert lifted("1") == "1"

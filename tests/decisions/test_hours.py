"""Weekly hours: what is written, which minutes are open, and the clock on the wall."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.clock import DAYS, WEEK_MIN, Calendar
from decisions.hours import edges_of, is_open

HOURS = st.integers(0, 1_439).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")


def minute(day: str, hour: int, past: int = 0) -> int:
    return DAYS.index(day) * 1_440 + hour * 60 + past


@pytest.mark.parametrize(
    ("written", "open_", "shut"),
    [
        (
            {"mon-fri": "17:00-22:00"},
            [("mon", 17), ("fri", 21, 59)],
            [("mon", 16, 59), ("fri", 22), ("sat", 18)],
        ),
        ({"sat-mon": "08:00-09:00"}, [("sat", 8), ("sun", 8), ("mon", 8)], [("tue", 8)]),
        (
            {"sun": "22:00-02:00"},
            [("sun", 23, 59), ("mon", 0), ("mon", 1, 59)],
            [("mon", 2), ("sat", 23)],
        ),
        ({"mon-sun": "00:00-24:00"}, [("mon", 0), ("sun", 23, 59)], []),
        ({"sun": "23:00-24:00"}, [("sun", 23)], [("mon", 0)]),
        (
            {"tue": ["08:00-12:00", "13:00-17:00"], "wed": "12:00-13:00"},
            [("tue", 8), ("tue", 16), ("wed", 12)],
            [("tue", 12, 30), ("wed", 8)],
        ),
    ],
)
def test_hours_open_with_their_first_minute_and_shut_with_their_last(
    written: dict[str, str | list[str]], open_: list[tuple[str, int]], shut: list[tuple[str, int]]
) -> None:
    edges = edges_of(written)
    assert edges == tuple(sorted(edges)) and len(edges) % 2 == 0
    assert all(is_open(edges, minute(*at)) for at in open_)
    assert not any(is_open(edges, minute(*at)) for at in shut)


@given(st.dictionaries(st.sampled_from(DAYS), st.lists(st.tuples(HOURS, HOURS), max_size=3)))
def test_edges_agree_with_looking_at_every_range(week: dict[str, list[tuple[str, str]]]) -> None:
    ranges = {day: [(a, b) for a, b in spans if a != b] for day, spans in week.items()}
    if not any(ranges.values()):
        return
    edges = edges_of({day: [f"{a}-{b}" for a, b in spans] for day, spans in ranges.items()})
    for at in range(0, WEEK_MIN, 7):
        day, past = divmod(at, 1_440)
        now = f"{past // 60:02}:{past % 60:02}"
        today = any(a <= now and (now < b or b < a) for a, b in ranges.get(DAYS[day], ()))
        before = ranges.get(DAYS[day - 1], ())
        assert is_open(edges, at) is (today or any(b < a and now < b for a, b in before))


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"monday": "08:00-09:00"}, "expected days such as sat or mon-fri, got 'monday'"),
        ({"mon-": "08:00-09:00"}, "got 'mon-'"),
        ({"mon-friday": "08:00-09:00"}, "got 'mon-friday'"),
        ({"mon-fri": "08:00-09:00", "fri": "10:00-11:00"}, "each day once, got fri twice"),
        ({"mon": "8-9"}, "expected hours such as 17:00-22:00, got '8-9'"),
        ({"mon": "08:00-08:00"}, "got '08:00-08:00'"),
        ({"mon": "24:00-25:00"}, "got '24:00-25:00'"),
        ({"mon": "08:00-24:01"}, "got '08:00-24:01'"),
        ({"mon": []}, "at least one day, got none"),
    ],
)
def test_words_that_are_no_hours_are_refused(
    written: dict[str, str | list[str]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        edges_of(written)


def at(text: str, zone: str) -> bool:
    """Whether a shop that opens from two to half past three at night, Sundays, is open then."""
    now_s = datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC).timestamp()
    return is_open(edges_of({"sun": "02:00-03:30"}), Calendar(zone).minute(now_s))


def test_an_hour_that_the_clocks_skip_is_skipped_and_one_that_comes_twice_is_open_twice() -> None:
    spring = [f"2026-03-29T{hour}" for hour in ("00:59", "01:00", "01:29", "01:30")]
    assert [at(text, "Europe/Paris") for text in spring] == [False, True, True, False]
    autumn = [f"2026-10-25T{hour}" for hour in ("00:00", "01:00", "01:59", "02:29", "02:30")]
    assert [at(text, "Europe/Paris") for text in autumn] == [True, True, True, True, False]


@given(st.floats(63_072_000, 4_102_444_800), st.sampled_from(["UTC", "Asia/Kathmandu"]))
def test_the_minute_of_the_week_is_that_of_the_standard_library(now_s: float, zone: str) -> None:
    truth = datetime.datetime.fromtimestamp(int(now_s), ZoneInfo(zone))
    expected = truth.weekday() * 1_440 + truth.hour * 60 + truth.minute
    assert Calendar(zone).minute(now_s) == expected

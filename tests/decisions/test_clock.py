from __future__ import annotations

import datetime
import math
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.clock import WEEK_MIN, Calendar, calendar_of

ZONES = ("UTC", "Europe/Paris", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu")
YEAR_1972_S, YEAR_2100_S = 63_072_000, 4_102_444_800


@given(
    st.sampled_from(ZONES),
    st.lists(st.floats(YEAR_1972_S, YEAR_2100_S), min_size=1, max_size=5),
)
def test_arithmetic_agrees_with_the_standard_library_in_every_zone(
    zone: str, moments: list[float]
) -> None:
    calendar = Calendar(zone)
    for now_s in moments:
        truth = datetime.datetime.fromtimestamp(int(now_s), ZoneInfo(zone))
        assert calendar.hour(now_s) == truth.hour
        assert calendar.weekday(now_s) == truth.strftime("%a").lower()
        assert calendar.date(now_s) == truth.date().isoformat()


def test_the_hour_changes_at_the_second_in_which_the_clocks_change() -> None:
    calendar = Calendar("Europe/Paris")
    spring = 1_774_746_000  # 2026-03-29T01:00:00Z, when 02:00 becomes 03:00
    assert [calendar.hour(spring - 1), calendar.hour(spring)] == [1, 3]


def test_moments_before_the_epoch_count_backwards() -> None:
    calendar = Calendar("UTC")
    assert calendar.date(-0.5) == "1969-12-31"
    assert calendar.weekday(-0.5) == "wed"
    assert calendar.hour(-0.5) == 23


@pytest.mark.parametrize("now_s", [-1e11, 1e12, float("inf"), float("nan")])
def test_beyond_the_calendar_there_is_an_error_and_no_guess(now_s: float) -> None:
    with pytest.raises((ValueError, OverflowError)):
        Calendar("UTC").hour(now_s)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises((ZoneInfoNotFoundError, ValueError)):
        Calendar("Mars/Olympus_Mons")


def test_the_calendar_of_a_visitors_zone_is_made_once() -> None:
    tokyo = calendar_of("Asia/Tokyo")
    assert tokyo is not None
    assert tokyo is calendar_of("Asia/Tokyo")
    assert tokyo.hour(0.0) == 9


@pytest.mark.parametrize("zone", ["Mars/Olympus_Mons", "../etc", "", "America", "a\0b"])
def test_a_visitors_zone_that_is_none_has_no_calendar(zone: str) -> None:
    assert calendar_of(zone) is None


@given(
    st.sampled_from(ZONES),
    st.floats(YEAR_1972_S, YEAR_2100_S) | st.just(1_774_746_000.0 - 1_000),
    st.lists(st.integers(0, WEEK_MIN - 1), min_size=1, max_size=200),
)
def test_no_minute_of_the_week_comes_before_the_wait_for_it_is_over(
    zone: str, now_s: float, minutes: list[int]
) -> None:
    calendar, wanted = Calendar(zone), sorted(set(minutes))
    wait_s = calendar.until(now_s, wanted)
    assert wait_s > 0
    first = calendar.minute(now_s)
    for later_s in range(1, min(math.ceil(wait_s), 3_600)):
        if (minute := calendar.minute(now_s + later_s)) != first:
            assert minute not in wanted
    if wait_s < 3_600 and calendar.hour(now_s) == calendar.hour(now_s + wait_s) != 1:
        assert calendar.minute(now_s + wait_s + 1e-6) in wanted


def test_a_wait_ends_when_the_clocks_change() -> None:
    spring, autumn = 1_774_746_000, 1_792_890_000
    calendar = Calendar("Europe/Paris")
    night = [5 * 1_440 + 12 * 60]  # Saturday noon
    assert calendar.until(spring - 1_000.5, night) == 1_000.5
    assert calendar.until(spring - 1_000, night) == 1_000
    assert calendar.until(autumn - 1, night) == 1
    assert calendar.until(spring, night) == (5 * 24 + 12 + 21) * 3_600

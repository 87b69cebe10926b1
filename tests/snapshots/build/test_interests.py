from __future__ import annotations

from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.interest import fade
from snapshots.build.interests import MAX_HALF_LIVES, MIN_WEIGHT, factors_of, landmark_s, weigh
from snapshots.build.sources import Interests

HALF_LIFE_S = 14 * 86_400.0
NOW_US = 1_767_225_600 * 10**6
DAY_US = 86_400 * 10**6

Basket = tuple[int, int | None, int, int]  # customer, category, lines, age in microseconds


def weighed(baskets: list[Basket], **how: Any) -> list[tuple[int, int, int, float]]:
    connection = ibis.duckdb.connect(threads=1)
    columns: list[list[Any]] = [list(column) for column in zip(*baskets, strict=True)]
    table = pa.table(
        {
            "customer": pa.array(columns[0], pa.int64()),
            "category": pa.array(columns[1], pa.int16()),
            "lines": pa.array(columns[2], pa.int64()),
            "at": pa.array([NOW_US - age for age in columns[3]], pa.int64()),
        }
    )
    strongest = weigh(
        ibis.memtable(table),
        ibis.memtable(factors_of(HALF_LIFE_S)),
        Interests(**how),
        HALF_LIFE_S,
        landmark_s(NOW_US / 10**6, HALF_LIFE_S),
    )
    rows = connection.to_pyarrow(strongest.order_by("customer", "rank")).to_pylist()
    connection.disconnect()
    return [(row["customer"], row["category"], row["rank"], row["weight"]) for row in rows]


@pytest.mark.parametrize("half_life_s", [HALF_LIFE_S, 3_600.0, 0.5, 86_400.25])
def test_a_landmark_stands_for_about_a_half_life_and_is_never_later_than_now(
    half_life_s: float,
) -> None:
    now_s = NOW_US / 10**6 + 0.75
    landmark = landmark_s(now_s, half_life_s)
    assert 0.0 <= now_s - landmark < half_life_s + 1.0
    assert landmark_s(landmark, half_life_s) == landmark


def test_weights_are_as_of_the_landmark_whenever_within_its_half_life_they_are_asked_for() -> None:
    later_us = 13 * DAY_US
    assert landmark_s((NOW_US + later_us) / 10**6, HALF_LIFE_S) == NOW_US // 10**6
    bought_today: list[Basket] = [(1, 0, 1, -7 * DAY_US)]
    ((_, _, _, weight),) = weighed(bought_today, line=1.0)
    assert weight == pytest.approx(2**0.5)
    assert fade(weight, 7 * 86_400.0, HALF_LIFE_S) == pytest.approx(1.0)


def test_a_line_weighs_half_after_a_half_life() -> None:
    assert weighed([(1, 0, 1, 14 * DAY_US)], line=0.5) == [(1, 0, 0, 0.25)]


AGES = st.integers(0, 400 * DAY_US)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.just(1), st.integers(0, 3), st.integers(1, 40), AGES), min_size=1))
def test_weights_are_faded_purchases_to_a_millionth(baskets: list[Basket]) -> None:
    wanted: dict[int, float] = {}
    for _, category, lines, age_us in baskets:
        if category is None:
            continue
        weight = fade(0.5 * lines, age_us / 1_000_000, HALF_LIFE_S)
        wanted[category] = wanted.get(category, 0.0) + weight
    found = {category: weight for _, category, _, weight in weighed(baskets, line=0.5)}
    assert found == {
        category: pytest.approx(weight, abs=1e-6)
        for category, weight in wanted.items()
        if weight >= MIN_WEIGHT + 1e-6 or category in found
    }


def test_only_the_strongest_stay_and_equal_ones_rank_by_category() -> None:
    baskets: list[Basket] = [(1, 3, 2, 0), (1, 1, 2, 0), (1, 2, 5, 0), (2, 0, 1, 0), (1, 0, 1, 0)]
    assert weighed(baskets, line=1.0, top=3) == [
        (1, 2, 0, 5.0),
        (1, 1, 1, 2.0),
        (1, 3, 2, 2.0),
        (2, 0, 0, 1.0),
    ]


def test_what_weighs_next_to_nothing_takes_no_place() -> None:
    ancient = int(HALF_LIFE_S * (MAX_HALF_LIVES + 1)) * 1_000_000
    assert weighed([(1, 0, 1, 80 * DAY_US), (1, 1, 10**6, ancient), (1, None, 9, 0)]) == []


def test_the_factors_are_those_of_fade() -> None:
    (hours,) = factors_of(HALF_LIFE_S)["3600000000"].to_pylist()
    assert hours[336] == fade(1.0, 336 * 3_600.0, HALF_LIFE_S) == 0.5
    assert len(hours) == MAX_HALF_LIVES * 336 + 1

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import ibis
import pyarrow as pa
import pytest

from snapshots.build import features
from snapshots.build.ahead import Ahead
from snapshots.build.catalogue import read_catalogue, with_categories
from snapshots.build.clean import purchase_lines
from snapshots.build.features import Features, people
from snapshots.build.feeds import open_feeds
from tests.snapshots.build.market import NOW_S, Market, sales


@pytest.fixture
def found(engine: Any, market: Market) -> Features:
    written = market.sources()
    feeds = open_feeds(engine, written, market.data)
    items = read_catalogue(written, feeds.catalogue)
    lines = purchase_lines(feeds.purchases, written.sources.purchases, NOW_S * 10**6)
    return computed(engine, with_categories(lines, items), items.categories)


def computed(engine: Any, lines: Any, categories: tuple[str, ...]) -> Features:
    with Ahead(engine) as ahead:
        found = features.compute(ahead, lines, categories, NOW_S * 10**6)
        ahead.wait()
    return found


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**6


def totals(found: Features) -> dict[int, dict[str, Any]]:
    rows = found.totals.to_pyarrow().to_pylist()
    return {row.pop("customer"): {k: v for k, v in row.items() if v is not None} for row in rows}


def test_lines_are_counted_and_those_left_out_by_reason(found: Features) -> None:
    count, left_out = found.counted()
    assert count == 12
    assert left_out == {
        "no customer": 1,
        "after the moment of the build": 1,
        "quantity out of bounds": 1,
        "amount out of bounds": 1,
        "not of a department of the shop": 1,
    }


def test_recency_frequency_and_monetary_value_by_window(found: Features) -> None:
    one = totals(found)[1]
    assert one["purchases.last_at"] == us("2025-12-31T12:00:00")
    assert one["purchases.first_at"] == us("2025-06-01T09:30:00")
    assert {w: one[f"purchases.orders/{w}"] for w in ("7d", "30d", "90d", "365d", "all")} == {
        "7d": 1, "30d": 2, "90d": 2, "365d": 3, "all": 3,
    }  # fmt: skip
    assert one["purchases.lines/7d"] == 2
    assert one["purchases.spend/7d"] == 3.6
    assert one["purchases.spend/all"] == 19.58
    assert one["purchases.saved/7d"] == 0.5
    assert one["purchases.saved/all"] == 0.51
    assert one["purchases.weeks/30d"] == 2


def test_a_window_without_a_purchase_is_null(found: Features) -> None:
    two = totals(found)[2]
    assert not [name for name in two if name.endswith(("/7d", "/30d"))]
    assert two["purchases.orders/365d"] == 1
    assert two["purchases.orders/all"] == 2


def test_days_of_the_week_are_those_of_the_last_year(found: Features) -> None:
    days = {k.split("/")[1]: v for k, v in totals(found)[1].items() if "weekday" in k}
    assert days == {"wed": 1, "sat": 1, "sun": 1}
    assert {k for k in totals(found)[2] if "weekday" in k} == {"purchases.weekday/wed"}


def test_every_category_has_windows_of_its_own(found: Features) -> None:
    rows = found.by_category.to_pyarrow().to_pylist()
    told = {(row["customer"], found.categories[row["category"]]): row for row in rows}
    assert set(told) == {(1, "bakery"), (1, "pantry"), (1, "pet"), (2, "bakery"), (2, "baby")}
    pet = told[1, "pet"]
    assert (pet["orders_90d"], pet["orders_all"], pet["orders_7d"]) == (1, 2, None)
    assert (pet["spend_90d"], pet["spend_all"]) == (7.99, 15.98)
    assert told[2, "baby"]["lines_all"] == 1
    assert found.held() == ("baby", "bakery", "pantry", "pet")


def test_what_was_bought_without_a_category_counts_in_the_totals_only(found: Features) -> None:
    assert totals(found)[3]["purchases.spend/7d"] == 3.33
    assert 3 not in found.by_category.to_pyarrow()["customer"].to_pylist()


def test_the_edges_of_a_window_are_open_at_its_beginning(engine: Any, market: Market) -> None:
    exactly, after = "2025-12-25T00:00:00", "2025-12-25T00:00:01"
    rows = [(who, who, "bread", when, 1.0, 1, 0.0) for who, when in ((7, exactly), (8, after))]
    market.put("sales", sales(rows))
    written = market.sources()
    feeds = open_feeds(engine, written, market.data)
    items = read_catalogue(written, feeds.catalogue)
    lines = purchase_lines(feeds.purchases, written.sources.purchases, NOW_S * 10**6)
    found = computed(engine, with_categories(lines, items), items.categories)
    assert "purchases.orders/7d" not in totals(found)[7]
    assert totals(found)[8]["purchases.orders/7d"] == 1


def test_people_have_a_column_for_what_is_read_and_no_other(found: Features) -> None:
    ids = ibis.memtable(pa.table({"customer": ["1", "2", "5"]}))
    traits = ibis.memtable(pa.table({"customer": ["5", "1"], "traits.tier": ["gold", None]}))
    reads = [
        ("purchases.orders", "90d"),
        ("purchases.last_at", None),
        ("spend_all", "pet"),
        ("spend_all", "unicorns"),
        ("traits.tier", None),
        ("traits.none", None),
        ("now", None),
    ]
    table = people(found, ids, traits, reads)
    rows = found.totals.get_backend().to_pyarrow(table.order_by("customer")).to_pylist()
    assert [set(row) for row in rows] == [
        {"customer", "purchases.orders/90d", "purchases.last_at", "spend_all/pet", "traits.tier"}
    ] * 3
    assert [row["spend_all/pet"] for row in rows] == [15.98, None, None]
    assert [row["traits.tier"] for row in rows] == [None, None, "gold"]
    alone = people(found, ids, None, [])
    assert alone.columns == ("customer",)

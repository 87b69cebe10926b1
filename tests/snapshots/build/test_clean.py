from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from snapshots.build.clean import REASONS, purchase_lines
from snapshots.build.feeds import open_feeds
from snapshots.errors import DataRefused
from tests.snapshots.build.market import NOW_S, SALES, Market, sales


def lines(engine: Any, market: Market, old: str = "", new: str = "") -> list[dict[str, Any]]:
    written = market.sources(old, new)
    feed = open_feeds(engine, written, market.data).purchases
    table = purchase_lines(feed, written.sources.purchases, NOW_S * 10**6)
    return list(table.order_by("order", "item").to_pyarrow().to_pylist())


def reasons(rows: list[dict[str, Any]]) -> dict[int | None, str]:
    return {row["order"]: REASONS[row["left_out"]] for row in rows}


def refused(engine: Any, market: Market, old: str = "", new: str = "") -> DataRefused:
    with pytest.raises(DataRefused) as caught:
        lines(engine, market, old, new)
    return caught.value


def test_money_becomes_cents_and_time_becomes_microseconds(engine: Any, market: Market) -> None:
    beans, bread = lines(engine, market)[:2]
    assert (bread["cents"], bread["saved"], bread["left_out"]) == (250, 50, 0)
    assert (beans["cents"], beans["saved"]) == (110, 0)
    assert bread["at"] == datetime(2025, 12, 31, 12, tzinfo=UTC).timestamp() * 1_000_000


def test_what_is_no_purchase_is_left_out_with_its_first_reason(engine: Any, market: Market) -> None:
    found = reasons(lines(engine, market))
    assert found[30] == found[41] == "quantity out of bounds"
    assert found[40] == "after the moment of the build"
    assert found[42] == "amount out of bounds"
    assert found[50] == "no customer"
    assert found[10] == found[31] == ""


def test_gaps_in_a_line_leave_it_out(engine: Any, market: Market) -> None:
    nothing, early = float("nan"), "2025-12-01T00:00:00"
    rows = [
        (1, 60, "bread", None, 1.0, 1, 0.0),
        (1, 61, "bread", early, None, 1, 0.0),
        (1, 62, "bread", early, nothing, 1, 0.0),
        (1, None, "bread", early, 1.0, 1, 0.0),
        (1, 64, "bread", early, 1.0, None, 0.0),
    ]
    market.put("sales", sales(rows))
    assert reasons(lines(engine, market)) == {
        60: "no time",
        61: "no amount",
        62: "no amount",
        None: "no order",
        64: "",
    }


def test_without_bounds_nothing_is_out_of_bounds(engine: Any, market: Market) -> None:
    keep = "  keep: {quantity: {min: 1, max: 50}, amount: {min: 0.01, max: 900}}\n"
    found = reasons(lines(engine, market, keep, ""))
    assert found[30] == found[42] == ""


def test_columns_that_are_not_named_are_not_needed(engine: Any, market: Market) -> None:
    market.put("sales", sales().drop_columns(["n", "off"]))
    market.sources("keep: {quantity: {min: 1, max: 50}, amount", "keep: {amount")
    rows = lines(engine, market, ", quantity: n, saved: off}", "}")
    assert {row["saved"] for row in rows} == {0}
    assert reasons(rows)[30] == ""


def test_discounts_of_several_columns_are_added_up(engine: Any, market: Market) -> None:
    rows = lines(engine, market, "saved: off", "saved: [off, paid]")
    assert rows[1]["saved"] == 300


def test_a_csv_says_the_same_as_a_parquet(engine: Any, market: Market) -> None:
    by_parquet = lines(engine, market)
    market.as_csv("sales")
    by_csv = lines(engine, market, "sales.parquet", "sales.csv")
    text = [{**row, "order": str(row["order"])} for row in by_parquet]
    assert [{**row, "customer": None} for row in by_csv] == [
        {**row, "customer": None} for row in text
    ]
    assert {row["customer"] for row in by_csv} == {None, "1", "2", "3", "4"}


def test_cells_that_cannot_be_parsed_are_shown_with_their_rows(engine: Any, market: Market) -> None:
    market.as_csv("sales")
    path = market.data / "sales.csv"
    text = path.read_text().replace(",2.5,", ",much,").replace("2025-12-30 09:00:00", "tuesday")
    path.write_text(text.replace(",19.9,", ",,"))
    error = refused(engine, market, "sales.parquet", "sales.csv")
    messages = str(error)
    assert (
        "an amount such as 12.50 in column paid, got 'much' in row 2, 'much' in row 6" in messages
    )
    assert "in column when, got 'tuesday' in row 9, 'tuesday' in row 11" in messages
    assert "and 1 more" in messages
    assert [problem.at.line for problem in error.problems] == [2, 9]


def test_text_in_a_parquet_is_parsed_like_a_csv(engine: Any, market: Market) -> None:
    table = sales()
    text = table.set_column(4, "paid", table["paid"].cast(pa.string()))
    market.put("sales", text)
    assert lines(engine, market)[1]["cents"] == 250


def test_a_column_of_a_wrong_type_is_refused(engine: Any, market: Market) -> None:
    table = sales()
    market.put("sales", table.set_column(3, "when", table["n"]).set_column(0, "who", table["off"]))
    messages = str(refused(engine, market))
    assert "expected a time such as 2026-11-21T09:00:00 in column when, got int64" in messages
    assert "expected an id (whole numbers or text) in column who, got float64" in messages


def test_decimals_and_whole_numbers_are_money_too(engine: Any, market: Market) -> None:
    table = sales(SALES[:1])
    exact = table.set_column(4, "paid", pa.array(["2.505"]).cast(pa.decimal128(9, 3)))
    market.put("sales", exact)
    assert lines(engine, market)[0]["cents"] == 251
    market.put("sales", table.set_column(4, "paid", pa.array([3])))
    assert lines(engine, market)[0]["cents"] == 300

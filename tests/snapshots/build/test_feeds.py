from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from snapshots.build.feeds import open_feeds
from snapshots.errors import DataRefused
from tests.snapshots.build.market import Market, sales


def refused(engine: Any, market: Market, old: str = "", new: str = "") -> DataRefused:
    written = market.sources(old, new)
    with pytest.raises(DataRefused) as caught:
        open_feeds(engine, written, market.data)
    return caught.value


def test_every_feed_is_opened_with_its_own_types(engine: Any, market: Market) -> None:
    feeds = open_feeds(engine, market.sources(), market.data)
    assert feeds.purchases.called() == "sales.parquet"
    assert not feeds.purchases.text
    assert feeds.customers is not None


def test_a_csv_is_opened_as_text(engine: Any, market: Market) -> None:
    market.as_csv("sales")
    feeds = open_feeds(engine, market.sources("sales.parquet", "sales.csv"), market.data)
    assert feeds.purchases.text
    assert feeds.purchases.table["paid"].type().is_string()


def test_a_pattern_and_a_list_name_several_files(engine: Any, market: Market) -> None:
    market.put("sales2", sales())
    feeds = open_feeds(engine, market.sources("sales.parquet", "'sales*.parquet'"), market.data)
    assert feeds.purchases.called() == "sales.parquet, sales2.parquet"
    one_by_one = market.sources("'sales*.parquet'", "[sales2.parquet, sales.parquet]")
    rows = open_feeds(engine, one_by_one, market.data).purchases.table.count()
    assert rows.to_pyarrow().as_py() == 24


def test_a_feed_that_is_not_declared_is_not_looked_for(engine: Any, market: Market) -> None:
    text = (market.playbook / "sources.yaml").read_text()
    start, end = text.index("customers:"), text.index("interests:")
    feeds = open_feeds(engine, market.sources(text[start:end], ""), market.data)
    assert feeds.customers is None


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_data_that_is_no_folder_is_refused(engine: Any, market: Market, kind: str) -> None:
    place = market.data / "nowhere" if kind == "missing" else market.data / "sales.parquet"
    with pytest.raises(DataRefused, match="expected a folder of data"):
        open_feeds(engine, market.sources(), place)


def test_a_missing_file_is_named_with_the_line_that_asks_for_it(
    engine: Any, market: Market
) -> None:
    error = refused(engine, market, "goods.parquet", "godos.parquet")
    assert "expected godos.parquet in" in str(error)
    assert error.problems[0].at.file == "sources.yaml"


def test_an_empty_name_of_a_file_is_no_folder(engine: Any, market: Market) -> None:
    assert "found none" in str(refused(engine, market, "files: goods.parquet", "files: ''"))


def test_every_missing_column_is_named_with_what_may_be_meant(engine: Any, market: Market) -> None:
    error = refused(engine, market, "order: slip, item: sku", "order: slips, item: q")
    assert "expected a column slips in sales.parquet, found none, did you mean slip?" in str(error)
    assert "expected a column q in sales.parquet, found none; it has who, slip" in str(error)
    assert "slips" in error.problems[0].text


def test_columns_of_traits_categories_and_lists_are_looked_for_as_well(
    engine: Any, market: Market
) -> None:
    market.sources("[hall, shelf]", "[hall, shelv]")
    market.sources("off}", "[off, offf]}")
    error = refused(engine, market, "column: lives", "column: livs")
    assert {problem.message.split()[3] for problem in error.problems} == {"shelv", "livs", "offf"}


def test_a_category_column_is_looked_for(engine: Any, market: Market) -> None:
    text = (market.playbook / "sources.yaml").read_text()
    start, end = text.index("  category:"), text.index("customers:")
    error = refused(engine, market, text[start:end], "  category: kind\n")
    assert "expected a column kind" in str(error)


def test_files_of_two_kinds_are_one_feed_too_many(engine: Any, market: Market) -> None:
    (market.data / "sales.csv").write_text("who\n1\n")
    error = refused(engine, market, "sales.parquet", "'sales.*'")
    assert "got sales.csv, sales.parquet" in str(error)


def test_a_file_of_another_kind_is_refused(engine: Any, market: Market) -> None:
    (market.data / "sales.xlsx").write_bytes(b"PK")
    assert "got sales.xlsx" in str(refused(engine, market, "sales.parquet", "sales.xlsx"))


def test_a_broken_file_is_refused_by_name(engine: Any, market: Market) -> None:
    Path(market.data / "goods.parquet").write_bytes(b"PAR1 but not really PAR1")
    error = refused(engine, market)
    assert "expected parquet, got other bytes" in str(error)
    assert error.problems[0].at.file == "goods.parquet"

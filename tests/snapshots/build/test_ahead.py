from __future__ import annotations

from concurrent.futures import CancelledError
from typing import Any

import duckdb
import ibis
import pyarrow as pa
import pytest

from snapshots.build.ahead import Ahead, given


def test_what_builds_on_a_table_is_asked_before_the_table_is_there(engine: Any) -> None:
    rows = given(engine, "rows", pa.table({"n": [1, 2, 3]}))
    with Ahead(engine) as ahead:
        twice = ahead.table("twice", rows.select(m=rows["n"] * 2))
        total = ahead.rows(twice.aggregate(total=twice["m"].sum()))

        assert total()["total"].to_pylist() == [12]
    assert twice.to_pyarrow()["m"].to_pylist() == [2, 4, 6]


def test_an_error_is_told_by_everything_that_builds_on_it(engine: Any) -> None:
    words = given(engine, "words", pa.table({"word": ["one"]}))
    with Ahead(engine) as ahead:
        broken = ahead.table("broken", words.select(n=words["word"].cast("int64")))
        count = ahead.rows(broken.aggregate(n=broken.count()))

        with pytest.raises(duckdb.ConversionException, match="'one'"):
            count()
        with pytest.raises(duckdb.ConversionException, match="'one'"):
            ahead.wait()


def test_an_error_beside_it_stops_what_is_under_way(engine: Any) -> None:
    many = ibis.range(0, 2_000_000).unnest().name("n").as_table()
    with pytest.raises(ZeroDivisionError), Ahead(engine) as ahead:
        endless = many.cross_join(many.view()).aggregate(n=ibis._.count())
        waited = ahead.rows(endless.select(n=endless["n"] + 1))
        raise ZeroDivisionError
    with pytest.raises(duckdb.InterruptException):
        waited()


def test_an_error_beside_it_ends_also_what_has_not_begun(engine: Any) -> None:
    many = ibis.range(0, 2_000_000).unnest().name("n").as_table()
    with pytest.raises(ZeroDivisionError), Ahead(engine) as ahead:
        endless = many.cross_join(many.view()).aggregate(n=ibis._.count())
        ahead.rows(endless)
        waited = ahead.rows(endless.select(n=endless["n"] + 1))
        raise ZeroDivisionError
    with pytest.raises((CancelledError, duckdb.InterruptException)):
        waited()

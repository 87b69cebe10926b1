from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from decisions.ledger import visitor_key
from snapshots.build import identity
from snapshots.build.feeds import open_feeds
from snapshots.build.identity import everybody, read_customers, visitor_keys
from snapshots.errors import DataRefused
from tests.snapshots.build.market import PEOPLE, Market, people

SALT = "00112233445566ff"


def customers(engine: Any, market: Market, old: str = "", new: str = "") -> Any:
    written = market.sources(old, new)
    feeds = open_feeds(engine, written, market.data)
    section = written.sources.customers
    if feeds.customers is None or section is None:
        raise AssertionError("the market has customers")
    return read_customers(written, feeds.customers, section)


def test_customers_come_with_their_traits_in_the_playbooks_words(
    engine: Any, market: Market
) -> None:
    rows = customers(engine, market).order_by("customer").to_pyarrow().to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("1", "gold", "owner"),
        ("2", "tin", None),
        ("3", None, None),
        ("5", "gold", "renter"),
    ]


def test_customers_without_traits_are_customers(engine: Any, market: Market) -> None:
    text = (market.playbook / "sources.yaml").read_text()
    start, end = text.index("  traits:"), text.index("interests:")
    assert customers(engine, market, text[start:end], "").columns == ("customer",)


def test_a_map_that_knows_none_of_the_words_leaves_the_trait_absent(
    engine: Any, market: Market
) -> None:
    table = customers(engine, market, 'own: owner, rent: renter, "*": null', '"*": null')
    assert set(table.to_pyarrow()["traits.home"].to_pylist()) == {None}


def test_words_that_a_map_lacks_are_refused(engine: Any, market: Market) -> None:
    market.put("people", people([(1, "gold", "ownn"), (2, "gold", "houseboat")]))
    with pytest.raises(DataRefused) as caught:
        customers(engine, market, ', "*": null', "")
    assert "an entry for ownn in the map of home, found none, did you mean own?" in str(
        caught.value
    )
    assert "an entry for houseboat in the map of home, found none nor for *" in str(caught.value)


def test_a_customer_in_two_rows_is_refused(engine: Any, market: Market) -> None:
    market.put("people", people([*PEOPLE, (2, "gold", "own")]))
    with pytest.raises(DataRefused, match="every customer in one row, got 2 in 2 rows"):
        customers(engine, market)


def test_everybody_is_who_bought_or_is_known(engine: Any, market: Market) -> None:
    engine.create_table("buyers", schema={"customer": "int64"})
    engine.raw_sql("INSERT INTO buyers VALUES (1), (9)")
    buyers = engine.table("buyers")
    both = everybody(buyers, customers(engine, market)).to_pyarrow()["customer"].to_pylist()
    assert sorted(both) == ["1", "2", "3", "5", "9"]
    assert sorted(everybody(buyers, None).to_pyarrow()["customer"].to_pylist()) == ["1", "9"]


def test_keys_are_those_that_the_edge_reckons() -> None:
    keys = visitor_keys(SALT, ["1", "2"])
    assert keys.to_pylist() == [visitor_key(SALT, "1"), visitor_key(SALT, "2")]
    assert keys.type == pa.uint64()


def test_two_customers_with_one_key_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "visitor_key", lambda salt, customer: len(customer))
    with pytest.raises(DataRefused, match="got one for both of 12 and 34"):
        visitor_keys(SALT, ["1", "12", "34"])

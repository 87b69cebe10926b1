from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from snapshots.build import catalogue
from snapshots.build.catalogue import Items, UnknownWord, category_of, read_catalogue
from snapshots.build.catalogue import with_categories as joined
from snapshots.build.clean import REASONS, purchase_lines
from snapshots.build.feeds import open_feeds
from snapshots.build.sources import CategoryMap
from snapshots.errors import DataRefused
from tests.snapshots.build.market import GOODS, NOW_S, Market, goods, sales

MAP = CategoryMap(
    ["hall", "shelf"],
    {"Food": {"Bread": "bakery", "*": "pantry"}, "Pets": "pet", "Fuel": None, "": "odds"},
)


def items(engine: Any, market: Market, old: str = "", new: str = "") -> Items:
    written = market.sources(old, new)
    return read_catalogue(written, open_feeds(engine, written, market.data).catalogue)


def by_item(found: Items) -> dict[str, tuple[str | None, bool]]:
    rows = found.table.to_pyarrow().to_pylist()
    names = {None: None} | dict(enumerate(found.categories))
    return {row["item"]: (names[row["category"]], row["sold"]) for row in rows}


@pytest.mark.parametrize(
    ("words", "category"),
    [
        (("Food", "Bread"), "bakery"),
        (("Food", "Tins"), "pantry"),
        (("Food", None), "pantry"),
        (("Pets", "whatever"), "pet"),
        (("Fuel", None), None),
        ((None, "Bread"), "odds"),
    ],
)
def test_words_lead_to_a_category(words: tuple[str | None, ...], category: str | None) -> None:
    assert category_of(MAP, words) == category


def test_a_word_without_an_entry_is_unknown() -> None:
    with pytest.raises(UnknownWord) as caught:
        category_of(MAP, ("Toys", None))
    assert (caught.value.word, caught.value.path) == ("Toys", ())


def test_every_item_has_its_category_or_is_not_sold(engine: Any, market: Market) -> None:
    found = items(engine, market)
    assert found.categories == ("baby", "bakery", "pantry", "pet")
    assert found.rows == 5
    assert by_item(found) == {
        "bread": ("bakery", True),
        "beans": ("pantry", True),
        "bone": ("pet", True),
        "nappy": ("baby", True),
        "petrol": (None, False),
    }


def test_a_column_may_hold_the_categories_themselves(engine: Any, market: Market) -> None:
    text = (market.playbook / "sources.yaml").read_text()
    start, end = text.index("  category:"), text.index("customers:")
    market.put("goods", goods([("a", "pet", ""), ("b", None, ""), (None, "pet", "")]))
    found = items(engine, market, text[start:end], "  category: hall\n")
    assert by_item(found) == {"a": ("pet", True), "b": (None, True)}


def test_unknown_words_are_refused_with_the_map_that_lacks_them(
    engine: Any, market: Market
) -> None:
    rows = [("a", "Toys", ""), ("b", "Pet", ""), ("c", None, ""), ("d", "Food", "Jam")]
    market.put("goods", goods(rows))
    with pytest.raises(DataRefused) as caught:
        items(engine, market, ', "*": pantry', "")
    messages = str(caught.value)
    assert "an entry for Toys of column hall, found none nor for *" in messages
    assert "an entry for Pet of column hall, found none, did you mean Pets?" in messages
    assert "an entry for an empty cell of column hall" in messages
    assert "an entry for Jam of column shelf (in Food), found none" in messages
    assert {problem.at.file for problem in caught.value.problems} == {"sources.yaml"}


def test_an_item_that_is_there_twice_is_refused(engine: Any, market: Market) -> None:
    market.put("goods", goods([*GOODS, GOODS[0]]))
    with pytest.raises(DataRefused, match="every item in one row of column sku, got bread in 2"):
        items(engine, market)


def test_a_column_that_is_no_category_is_noticed(
    engine: Any, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "MAX_CATEGORIES", 3)
    with pytest.raises(DataRefused, match="expected at most 3 categories, got 4"):
        items(engine, market)


@pytest.mark.parametrize("kind", ["text", "numbers and text"])
def test_lines_get_the_category_of_their_item(engine: Any, market: Market, kind: str) -> None:
    if kind == "numbers and text":  # the same ids as numbers here and text there
        table, names = sales(), {sku: str(place) for place, (sku, *_) in enumerate(GOODS)}
        places = [int(names.get(sku, "99")) for sku in table["sku"].to_pylist()]
        market.put("sales", table.set_column(2, "sku", pa.array(places)))
        market.put("goods", goods([(names[sku], *rest) for sku, *rest in GOODS]))
    written = market.sources()
    feeds = open_feeds(engine, written, market.data)
    found = read_catalogue(written, feeds.catalogue)
    lines = purchase_lines(feeds.purchases, written.sources.purchases, NOW_S * 10**6)
    rows = joined(lines, found).to_pyarrow().to_pylist()
    assert len(rows) == 12
    told = {
        (row["order"], row["category"] and found.categories[row["category"]]): REASONS[
            row["left_out"]
        ]
        for row in rows
    }
    assert told[10, "bakery"] == told[10, "pantry"] == told[31, None] == ""
    assert told[30, None] == "not of a department of the shop"
    assert told[41, "pantry"] == "quantity out of bounds"

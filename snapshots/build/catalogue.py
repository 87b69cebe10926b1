"""Items and their categories: the feed's words in, the shop's categories out.

The value map of sources.yaml is looked up once per combination of words, in Python, so that a word
it does not know is named; the rows are joined with the answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import ibis
import msgspec
import pyarrow as pa

from decisions.errors import Problem
from snapshots.build.ahead import given
from snapshots.build.clean import NOT_SOLD, identifier, parsed
from snapshots.build.feeds import Feed
from snapshots.build.sources import OTHERS, Catalogue, CategoryMap, Written
from snapshots.errors import DataRefused

WORDS = "words"  # the table of what the value map says
MAX_CATEGORIES = 2_000  # keys of interests: a shop has dozens, and a mistaken column has thousands


class Items(msgspec.Struct, frozen=True):
    """categories: every category in name order; an item's category is a place in it.

    table: item, category (absent where the feed has no word for it), sold, and as far as the feed
    has them brand and stock (whether there is any). rows: of the feed.
    """

    table: Any  # ibis.Table
    categories: tuple[str, ...]
    rows: int


class UnknownWord(Exception):
    """A value map has no entry for a word; `path` leads to the map that lacks it."""

    def __init__(self, word: str, path: tuple[str, ...], known: Sequence[str]) -> None:
        self.word, self.path, self.known = word, path, known
        super().__init__(word)


def category_of(mapping: CategoryMap, words: Sequence[str | None]) -> str | None:
    """The category of an item with these words, None if the shop does not sell it.

    Raises UnknownWord for a word that the map has no entry for, and no `*` either.
    """
    node: Any = mapping.map
    path: list[str] = []
    for word in words:
        if not isinstance(node, dict):
            break
        key = word or ""
        if key not in node:
            if OTHERS not in node:
                raise UnknownWord(key, tuple(path), tuple(node))
            key = OTHERS
        node = node[key]
        path.append(key)
    return node if isinstance(node, str) else None


def read_catalogue(written: Written, feed: Feed) -> Items:
    """The items of the catalogue feed, each once.

    Raises DataRefused for items that are there twice, and for words that the value map lacks.
    """
    section = written.sources.catalogue
    item = identifier(feed.table[section.columns.item])
    size = _size(feed, item, section.columns.item)
    columns = _category_columns(section)
    words = {
        f"word_{place}": feed.table[column].cast("string").fill_null("")
        for place, column in enumerate(columns)
    }
    more = _more(feed, section)
    rows = feed.table.select(item=item, **words, **more)
    found = rows.select(*words).distinct().order_by(list(words)).to_pyarrow().to_pylist()
    told = _tell(written, section, [tuple(row.values()) for row in found])
    categories = tuple(sorted({category for category, sold in told if sold and category}))
    if len(categories) > MAX_CATEGORIES:
        message = f"expected at most {MAX_CATEGORIES} categories, got {len(categories)}"
        raise DataRefused([written.problem("too-large", message, "catalogue", "category")])
    places = {category: place for place, category in enumerate(categories)}
    answers = pa.table(
        {
            **{name: pa.array([row[name] for row in found], pa.string()) for name in words},
            "category": pa.array([places.get(category or "") for category, _ in told], pa.int16()),
            "sold": pa.array([sold for _, sold in told], pa.bool_()),
        }
    )
    told_words = given(feed.table.get_backend(), WORDS, answers)
    joined = rows.inner_join(told_words, list(words))
    table = joined.select("item", "category", "sold", *more).filter(ibis._["item"].notnull())
    return Items(table, categories, size)


def with_categories(lines: Any, items: Items) -> Any:
    """Purchase lines with their item's category; what the shop does not sell is left out.

    An item that the catalogue lacks was bought all the same: its line counts, without a category.
    """
    table, left, right = items.table, lines["item"], items.table["item"]
    if left.type() != right.type():
        lines = lines.mutate(item=left.cast("string"))
        table = table.mutate(item=right.cast("string"))
    joined = lines.left_join(table, lines["item"] == table["item"])
    left_out = ibis.cases(
        (~joined["sold"], ibis.literal(NOT_SOLD, "int8")), else_=joined["left_out"]
    )
    return joined.select("customer", "order", "at", "cents", "saved", "category", left_out=left_out)


def _more(feed: Feed, section: Catalogue) -> dict[str, Any]:
    """What else is known of an item. Raises DataRefused for a stock that is no number; one that is
    not told counts as there."""
    found = {}
    if brand := section.columns.brand:
        found["brand"] = feed.table[brand].cast("string")
    if stock := section.columns.stock:
        column = feed.table[stock]
        if not column.type().is_boolean():
            column = parsed(feed, {stock: "number"})[stock] > 0
        found["stock"] = column.fill_null(True)
    return found


def _category_columns(section: Catalogue) -> list[str]:
    category = section.category
    return category.columns if isinstance(category, CategoryMap) else [category]


def _size(feed: Feed, item: Any, column: str) -> int:
    """How many items there are. Raises DataRefused for one in several rows."""
    counts = feed.table.aggregate(rows=item.count(), items=item.nunique())
    rows, items = counts.to_pyarrow().to_pylist()[0].values()
    if rows == items:
        return int(rows)
    counted = feed.table.select(item=item).group_by("item").aggregate(n=ibis._.count())
    twice = counted.filter((counted["n"] > 1) & counted["item"].notnull()).order_by("item")
    shown = twice.limit(3).to_pyarrow().to_pylist()
    examples = ", ".join(f"{row['item']} in {row['n']}" for row in shown)
    message = f"expected every item in one row of column {column}, got {examples} rows"
    raise DataRefused([Problem(code="twice", message=message, at=feed.where())])


def _tell(
    written: Written, section: Catalogue, found: list[tuple[str, ...]]
) -> list[tuple[str | None, bool]]:
    """Category and whether it is sold, for each combination of words."""
    mapping = section.category
    if not isinstance(mapping, CategoryMap):
        return [(words[0] or None, True) for words in found]
    told: list[tuple[str | None, bool]] = []
    problems: dict[tuple[str, ...], Problem] = {}
    for words in found:
        try:
            category = category_of(mapping, words)
        except UnknownWord as error:
            path = (*error.path, error.word)
            problems.setdefault(path, _unknown(written, mapping, error))
        else:
            told.append((category, category is not None))
    if problems:
        raise DataRefused(problems.values())
    return told


def _unknown(written: Written, mapping: CategoryMap, error: UnknownWord) -> Problem:
    column = mapping.columns[len(error.path)]
    near = get_close_matches(error.word, error.known, 1)
    hint = f", did you mean {near[0]}?" if near else f" nor for {OTHERS}"
    inside = f" (in {' / '.join(error.path)})" if error.path else ""
    word = error.word or "an empty cell"
    message = f"expected an entry for {word} of column {column}{inside}, found none{hint}"
    return written.problem("unknown-word", message, "catalogue", "category", "map", *error.path)

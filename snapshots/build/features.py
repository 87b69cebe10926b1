"""Recency, frequency, monetary value: purchase lines in, one row per customer and category out.

The names are those of `decisions.features`. The lines are read once, into *baskets* (what one order
holds of one category); all else is computed from these. A basket's lines count at the time of the
last of them, an order at that of its last basket. Only whole numbers are added up, so that the
result does not depend on the order in which threads add.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import ibis
import msgspec
import pyarrow as pa

from decisions.features import (
    DAY_S,
    PER_CATEGORY,
    TOTALS,
    WEEKDAY_WINDOW,
    WEEKDAYS,
    WINDOWS,
    category_attribute,
)
from snapshots.build import dialect
from snapshots.build.ahead import Ahead
from snapshots.build.clean import CENTS, REASONS
from snapshots.build.identity import as_text

US = 1_000_000
WEEK_US = 7 * DAY_S * US


Read = tuple[str, str | None]  # an attribute, and the key of it if it is a map


class Features(msgspec.Struct, frozen=True):
    """totals: one row per customer; by_category: one per customer and category that was bought.

    categories: the names that by_category's places stand for. They are being made: `counted` waits.
    """

    baskets: Any  # ibis.Table
    totals: Any
    by_category: Any
    categories: tuple[str, ...]
    counts: Callable[[], pa.Table]
    bought: Callable[[], pa.Table]

    def counted(self) -> tuple[int, dict[str, int]]:
        """How many lines there are; reason → those of them that were left out."""
        rows = {row["left_out"]: row["n"] for row in self.counts().to_pylist()}
        left_out = {REASONS[code]: rows[code] for code in sorted(rows) if code}
        return sum(rows.values()), left_out

    def held(self) -> tuple[str, ...]:
        """The categories that anybody ever bought of."""
        places = self.bought()["category"].to_pylist()
        return tuple(self.categories[place] for place in sorted(places))


def column_of(name: str, key: str | None = None) -> str:
    """The column that holds an attribute, or the value of one key of it."""
    return name if key is None else f"{name}/{key}"


def compute(ahead: Ahead, lines: Any, categories: tuple[str, ...], now_us: int) -> Features:
    """The features of all customers as of `now_us`, as temporary tables.

    lines: customer, order, at, cents, saved, category, left_out.
    """
    grouped = lines.group_by("left_out", "customer", "order", "category").aggregate(
        lines=ibis._.count(),
        cents=ibis._.cents.sum().cast("int64"),
        saved=ibis._.saved.sum().cast("int64"),
        at=ibis._.at.max(),
    )
    grouped = ahead.table("grouped", grouped)
    counts = grouped.group_by("left_out").aggregate(n=ibis._.lines.sum().cast("int64"))
    counted = ahead.rows(counts)
    baskets = grouped.filter(grouped["left_out"] == 0).drop("left_out")
    totals = ahead.table("totals", _totals(baskets, now_us))
    by_category = ahead.table("by_category", _by_category(baskets, now_us))
    bought = ahead.rows(by_category.select("category").distinct())
    return Features(baskets, totals, by_category, categories, counted, bought)


def _since(at: Any, window: str, now_us: int) -> Any | None:
    """The condition that a moment lies in a window, None for the window of everything."""
    seconds = WINDOWS[window]
    return at > now_us - seconds * US if seconds else None


def _money(cents: Any) -> Any:
    """Cents in the feed's currency: the one place where money becomes a float."""
    return cents.cast("int64") / float(CENTS)


def _windowed(measure: str, table: Any, now_us: int) -> dict[str, Any]:
    """window → the measure of it; null where nothing was bought in the window."""
    values = {}
    for window in WINDOWS:
        where = _since(table["at"], window, now_us)
        match measure:
            case "orders":
                value = table.count(where=where).nullif(0)
            case "weeks":
                value = table["week"].nunique(where=where).nullif(0)
            case "lines":
                value = table["lines"].sum(where=where).cast("int64")
            case "saved":
                value = _money(table["saved"].sum(where=where))
            case _:
                value = _money(table["cents"].sum(where=where))
        values[window] = value
    return values


def _totals(baskets: Any, now_us: int) -> Any:
    orders = baskets.group_by("customer", "order").aggregate(
        at=ibis._["at"].max(),
        lines=ibis._.lines.sum().cast("int64"),
        cents=ibis._.cents.sum().cast("int64"),
        saved=ibis._.saved.sum().cast("int64"),
    )
    orders = orders.mutate(
        week=dialect.divide(now_us - orders["at"], WEEK_US),
        weekday=dialect.WEEKDAY_FROM_MONDAY(dialect.make_timestamp(orders["at"])),
    )
    columns: dict[str, Any] = {
        "purchases.first_at": orders["at"].min(),
        "purchases.last_at": orders["at"].max(),
    }
    for measure in TOTALS:
        for window, value in _windowed(measure, orders, now_us).items():
            columns[column_of(f"purchases.{measure}", window)] = value
    year = _since(orders["at"], WEEKDAY_WINDOW, now_us)
    for place, day in enumerate(WEEKDAYS, start=1):
        on = orders.count(where=year & (orders["weekday"] == place))
        columns[column_of("purchases.weekday", day)] = on.nullif(0)
    return orders.group_by("customer").aggregate(**columns)


def _by_category(baskets: Any, now_us: int) -> Any:
    known = baskets.filter(baskets["category"].notnull())
    columns = {
        category_attribute(measure, window): value
        for measure in PER_CATEGORY
        for window, value in _windowed(measure, known, now_us).items()
    }
    return known.group_by("customer", "category").aggregate(**columns)


def people(features: Features, ids: Any, traits: Any | None, reads: Iterable[Read]) -> Any:
    """One row per customer with a column, as `column_of` names it, for everything in `reads`.

    ids: `customer`, everybody's id as text. What is unknown is null: a trait, a category that was
    never bought, every total of who never bought. Reads of other things get no column.
    """
    wanted = sorted(set(reads), key=str)
    totals = [column_of(*read) for read in wanted if column_of(*read) in features.totals.columns]
    pivoted = _pivoted(features, wanted)
    sources = [
        (features.totals, totals),
        (pivoted, [name for name in pivoted.columns if name != "customer"]),
    ]
    if traits is not None:
        sources.append((traits, [name for name, _ in wanted if name in traits.columns]))
    table, columns = ids, ["customer"]
    for place, (source, names) in enumerate(sources):
        if names:
            key = f"customer_{place}"
            right = source.select(*names, **{key: as_text(source["customer"])})
            table = table.left_join(right, [("customer", key)])
            columns += names
    return table.select(*columns)


def _pivoted(features: Features, reads: list[Read]) -> Any:
    """One row per customer; one column for each category and measure that is read."""
    places = {category: place for place, category in enumerate(features.categories)}
    rows = features.by_category
    wanted = [(name, key) for name, key in reads if name in rows.columns and key in places]
    columns = {
        column_of(name, key): rows[name].max(where=rows["category"] == places[key or ""])
        for name, key in wanted
    }
    mine = sorted({places[key or ""] for _, key in wanted})
    return rows.filter(rows["category"].isin(mine)).group_by("customer").aggregate(**columns)

"""Which items go together: purchase lines in; each item's neighbours, and what every customer
bought last, out.

Two items are as alike as the sets of customers who bought them: the cosine, n(both) / √(n(one) ·
n(other)), of item-to-item collaborative filtering (Linden, Smith, York, "Amazon.com
Recommendations", IEEE Internet Computing 7(1), 2003; Sarwar et al., "Item-Based Collaborative
Filtering Recommendation Algorithms", WWW 2001). Only whole numbers are added up, so that the result
does not depend on the order in which threads add.

Nobody can be read out of it: an item, and a pair, that fewer than `least` customers bought is not
in it. Of one customer the last MOST_ITEMS distinct items count, so that a reseller's thousands
neither join everything with everything nor cost the square of their number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ibis
import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from decisions.playbook import Settings, duration_s
from snapshots.build.ahead import Ahead, given
from snapshots.build.assemble import KEY, Recommended, buffer, padded
from snapshots.build.catalogue import Items
from snapshots.build.identity import as_text
from snapshots.build.sources import Written
from snapshots.bundle import Packed, pack
from snapshots.contents import NEWEST
from snapshots.errors import DataRefused
from snapshots.recommendations import (
    FULL,
    NO_CATEGORY,
    NO_ITEM,
    RECOMMENDATIONS,
    SEEDS,
    SLOTS,
    encode_items,
    encode_seeds,
)

MOST_ITEMS = 100  # of one customer, the last ones: at most 4,950 pairs
BOUGHT = "bought"  # the column of what a customer bought last: numbers of items
US = 1_000_000

_LEFT = "left"  # the table of customers who are not erased


class Found(msgspec.Struct, frozen=True):
    """wares: item, place of its category, customers; the most popular first. near: for each of
    these, in their order, two lists: others and how alike."""

    wares: pa.Table
    near: pa.Table
    categories: tuple[str, ...]
    keep: int


def told(settings: Settings, written: Written | None = None) -> Recommended | None:
    """How a playbook wants items to be recommended, None if it does not. written: where purchases
    are read; then it raises DataRefused if nothing tells which items are of a sensitive brand."""
    if (declared := settings.recommendations) is None:
        return None
    brands = tuple(sorted(settings.sensitive_values.get("brand", ())))
    if brands and written is not None and not written.sources.catalogue.columns.brand:
        message = "expected a column for brand, since items of sensitive brands are left out"
        raise DataRefused([written.problem("missing-key", message, "catalogue", "columns")])
    return Recommended(duration_s(declared.window), declared.least, declared.keep, brands)


def find(
    connection: Any,
    how: Recommended,
    lines: Any,
    items: Items,
    now_us: int,
    customers: pa.Table,
    left: pa.Table,
) -> tuple[Found, pa.Table]:
    """What goes together as of `now_us`; and `customers` with one column more, BOUGHT.

    lines: customer, order, item, at, left_out. customers: has a column `customer`. left: those of
    them whose purchases count.
    """
    with Ahead(connection) as ahead:
        if left.num_rows < customers.num_rows:
            rows = given(connection, _LEFT, left.select(["customer"]))
            lines = lines.semi_join(rows, as_text(lines["customer"]) == rows["customer"])
        bought = ahead.table(BOUGHT, _bought(lines, items, how, now_us))
        wares = ahead.table("wares", _wares(bought, how))
        latest = ahead.table("latest", _latest(bought, wares))
        seeds = ahead.rows(_seeds(latest))
        near = ahead.rows(_lists(_ranked(_pairs(latest, how), how), wares))
        rows_of_wares = ahead.rows(wares.order_by("number"))
        found = Found(rows_of_wares(), near(), items.categories, how.keep)
        return found, _beside(customers, seeds())


def parts(
    found: Found | None, table: pa.Table, formats: Mapping[str, int] = NEWEST
) -> list[Packed]:
    """Both parts, ready for a store; none where nothing was looked for. table: what
    `assemble.keyed` gives, with BOUGHT."""
    if found is None:
        return []
    none = pa.scalar(NO_ITEM, pa.uint32())
    near = pc.fill_null(padded(found.near["near"], found.keep).cast(pa.uint32()), none)
    alike = pc.multiply(pc.fill_null(padded(found.near["alike"], found.keep), 0.0), float(FULL))
    items = encode_items(
        found.wares["item"].to_pylist(),
        found.categories,
        pc.fill_null(found.wares["category"].cast(pa.int32()), NO_CATEGORY).to_pylist(),
        found.wares["customers"].to_pylist(),
        buffer(near, 4),
        buffer(pc.round(alike).cast(pa.uint16()), 2),
        found.keep,
    )
    last = pc.fill_null(padded(table[BOUGHT], SLOTS).cast(pa.uint32()), none)
    seeds = encode_seeds(items, buffer(table[KEY], 8), buffer(last, 4))
    return [
        pack(name, formats[name], raw) for name, raw in ((RECOMMENDATIONS, items), (SEEDS, seeds))
    ]


def _bought(lines: Any, items: Items, how: Recommended, now_us: int) -> Any:
    """customer, item, category, at: what each bought in the window, and when last; only what can be
    had, and what is of no sensitive brand."""
    since_us = now_us - round(how.window_s * US)
    kept = lines.filter(lines["left_out"] == 0, lines["item"].notnull(), lines["at"] > since_us)
    bought = kept.group_by("customer", "item").aggregate(at=kept["at"].max())
    bought = bought.select("customer", "at", item=as_text(bought["item"]))
    offered = items.table.filter(items.table["sold"])
    if "stock" in offered.columns:
        offered = offered.filter(offered["stock"])
    if how.brands:
        offered = offered.filter(~offered["brand"].fill_null("").isin(how.brands))
    offered = offered.select("category", ware=as_text(offered["item"]))
    joined = bought.inner_join(offered, bought["item"] == offered["ware"])
    return joined.select("customer", "item", "category", "at")


def _wares(bought: Any, how: Recommended) -> Any:
    """number, item, category, customers: the most popular is 0, equals go by id."""
    counted = bought.group_by("item", "category").aggregate(customers=bought.count())
    enough = counted.filter(counted["customers"] >= how.least)
    order = [ibis.desc("customers"), ibis.asc("item")]
    return enough.mutate(number=ibis.row_number().over(order_by=order))


def _latest(bought: Any, wares: Any) -> Any:
    """customer, number, rank: the last MOST_ITEMS of each, the last one first."""
    joined = bought.inner_join(wares.select("item", "number"), "item")
    order = [ibis.desc("at"), ibis.asc("number")]
    ranked = joined.mutate(rank=ibis.row_number().over(group_by="customer", order_by=order))
    return ranked.filter(ranked["rank"] < MOST_ITEMS).select("customer", "number", "rank")


def _pairs(latest: Any, how: Recommended) -> Any:
    """one, other, alike: both ways, of those that enough customers bought."""
    right = latest.select("number", who=latest["customer"])
    right = right.select("who", other=right["number"])
    joined = latest.inner_join(
        right, [latest["customer"] == right["who"], latest["number"] < right["other"]]
    )
    pairs = joined.group_by("number", "other").aggregate(both=joined.count())
    pairs = pairs.filter(pairs["both"] >= how.least)
    held = latest.group_by("number").aggregate(held=latest.count())
    mine, theirs = (held.select(**{f"{a}": "number", f"{a}_held": "held"}) for a in ("m", "t"))
    pairs = pairs.inner_join(mine, pairs["number"] == mine["m"])
    pairs = pairs.inner_join(theirs, pairs["other"] == theirs["t"])
    both = pairs["both"].cast("float64")
    alike = both / (pairs["m_held"] * pairs["t_held"]).cast("float64").sqrt()
    pairs = pairs.select("number", "other", alike=alike)
    back = pairs.select(number=pairs["other"], other=pairs["number"], alike=pairs["alike"])
    return pairs.union(back)


def _ranked(pairs: Any, how: Recommended) -> Any:
    """The `keep` nearest of each item; equals go by number."""
    order = [ibis.desc("alike"), ibis.asc("other")]
    ranked = pairs.mutate(rank=ibis.row_number().over(group_by="number", order_by=order))
    return ranked.filter(ranked["rank"] < how.keep)


def _lists(ranked: Any, wares: Any) -> Any:
    """For each item, in the order of their numbers, its neighbours side by side; null for none."""
    lists = ranked.group_by("number").aggregate(
        near=ranked["other"].collect(order_by="rank"),
        alike=ranked["alike"].collect(order_by="rank"),
    )
    lists = lists.select("near", "alike", ware=lists["number"])
    joined = wares.left_join(lists, wares["number"] == lists["ware"])
    return joined.order_by("number").select("near", "alike")


def _seeds(latest: Any) -> Any:
    """customer, BOUGHT: the last SLOTS of each."""
    last = latest.filter(latest["rank"] < SLOTS)
    lists = last.group_by("customer").aggregate(numbers=last["number"].collect(order_by="rank"))
    return lists.select(**{"customer": as_text(lists["customer"]), BOUGHT: lists["numbers"]})


def _beside(customers: pa.Table, seeds: pa.Table) -> pa.Table:
    places = pc.index_in(customers["customer"], value_set=seeds["customer"].combine_chunks())
    return customers.append_column(BOUGHT, seeds[BOUGHT].combine_chunks().take(places))

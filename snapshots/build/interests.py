"""Faded purchases, and what events taught, per customer: what a profile starts with when its
customer signs in.

Every line weighs `interests.line` when it is bought, and fades as everything else does, by the one
`decisions.interest.fade`. Half-lives multiply: an age's factor is that of its hours, times that of
its seconds, times that of its milliseconds, so that some 20,000 calls serve any number of rows.
Weights are added up as whole numbers, so that the order of adding does not matter.

They are given as of a landmark, not as of the build: so who buys nothing keeps the same row from
build to build, and only changed ones travel.
"""

from __future__ import annotations

import math
from typing import Any

import ibis
import pyarrow as pa

from decisions.interest import fade
from snapshots.build import dialect
from snapshots.build.sources import Interests

UNIT = 2**-32  # weights are whole numbers of this while they are added up
MAX_HALF_LIVES = 40  # what is older weighs less than UNIT
MIN_WEIGHT = 0.05  # about half a point on the scale of 0 to 100: less is not worth a place

MS = 1_000  # microseconds
STEPS = ((3_600_000 * MS, 0), (1_000 * MS, 3_600), (MS, 1_000))  # µs, how many of them


def landmark_s(now_s: float, half_life_s: float) -> int:
    """The moment that weights stand for, seconds since the epoch: the same for about a half-life,
    and never later than now, nor earlier by more."""
    stride = stride_s(half_life_s)
    return int(now_s // stride) * stride


def weigh(
    baskets: Any,
    factors: Any,
    settings: Interests,
    half_life_s: float,
    at_s: int,
    taught: Any | None = None,
) -> Any:
    """customer, category, rank (from 0), weight as of the landmark at_s: the strongest of each
    customer.

    baskets: customer, category, lines, at. factors: the table of `factors_of`. taught: customer (as
    text), category, weight as of the next landmark, to be added. Equal weights rank by category, in
    its order. Ages run to the next landmark, which no basket is later than.
    """
    next_s = at_s + stride_s(half_life_s)
    scale = math.exp2((next_s - at_s) / half_life_s)  # from the next landmark back to this one
    oldest_us = int(half_life_s * MAX_HALF_LIVES * 1_000_000)
    age = ibis.literal(next_s * 1_000_000, "int64") - baskets["at"]
    known = baskets.filter(baskets["category"].notnull(), age <= oldest_us)
    table = known.select("customer", "category", "lines", age=age).cross_join(factors)
    weight = faded(table["lines"].cast("float64") * settings.line, table)
    whole = (weight / UNIT).round().cast("int64")
    summed = table.group_by("customer", "category").aggregate(whole=whole.sum().cast("int64"))
    weights = summed.select("customer", "category", weight=summed["whole"] * UNIT)
    if taught is not None:
        weights = _together(weights, taught)
    order = [ibis.desc("weight"), ibis.asc("category")]
    ranked = weights.filter(weights["weight"] >= round(MIN_WEIGHT / scale / UNIT) * UNIT).mutate(
        rank=ibis.row_number().over(group_by="customer", order_by=order)
    )
    strongest = ranked.filter(ranked["rank"] < settings.top)
    return strongest.select("customer", "category", "rank", weight=strongest["weight"] * scale)


def _together(bought: Any, taught: Any) -> Any:
    """Weights of both, added up: two numbers at most, so that their order does not matter."""
    bought = bought.select(
        "weight",
        customer=bought["customer"].cast("string"),
        category=bought["category"].cast("int32"),
    )
    both = bought.union(taught.select(*bought.columns))
    return both.group_by("customer", "category").aggregate(weight=both["weight"].sum())


def stride_s(half_life_s: float) -> int:
    """How far landmarks are apart."""
    return math.ceil(half_life_s)


def faded(weight: Any, table: Any) -> Any:
    """A weight as it stands `table.age` microseconds later. table: crossed with the factors."""
    rest = table["age"]
    for step_us, _ in STEPS:
        weight *= table[str(step_us)][dialect.divide(rest, step_us)]
        rest = dialect.rest(rest, step_us)
    return weight


def factors_of(half_life_s: float) -> pa.Table:
    """One row of lists: for each length of step, by its microseconds, what is left of a weight
    after 0, 1, 2 … of them. A look-up in a list takes a fifth of a join's time."""
    oldest_us = int(half_life_s * MAX_HALF_LIVES * 1_000_000)
    lists = {}
    for step_us, count in STEPS:
        numbers = range(count or oldest_us // step_us + 1)
        left = [fade(1.0, number * step_us / 1_000_000, half_life_s) for number in numbers]
        lists[str(step_us)] = [left]
    return pa.table(lists)

"""Faded purchases per customer and category: what a profile starts with when its customer signs in.

Every line weighs `interests.line` when it is bought, and fades as everything else does, by the one
`decisions.interest.fade`. Half-lives multiply: an age's factor is that of its hours, times that of
its seconds, times that of its milliseconds, so that some 20,000 calls serve any number of rows.
Weights are added up as whole numbers, so that the order of adding does not matter.
"""

from __future__ import annotations

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


def weigh(baskets: Any, settings: Interests, half_life_s: float, now_us: int) -> Any:
    """customer, category, rank (from 0), weight as of now: the strongest of each customer.

    baskets: customer, category, lines, at. Equal weights rank by category, in its order.
    """
    oldest_us = int(half_life_s * MAX_HALF_LIVES * 1_000_000)
    age = ibis.literal(now_us, "int64") - baskets["at"]
    known = baskets.filter(baskets["category"].notnull(), age <= oldest_us)
    weight = known["lines"].cast("float64") * settings.line
    table = known.select("customer", "category", rest=age, weight=weight)
    for step_us, count in STEPS:
        steps = factors_of(step_us, count or oldest_us // step_us + 1, half_life_s)
        table = table.mutate(step=dialect.divide(table["rest"], step_us))
        table = table.inner_join(ibis.memtable(steps), "step")
        table = table.select(
            "customer",
            "category",
            rest=dialect.rest(table["rest"], step_us),
            weight=table["weight"] * table["factor"],
        )
    whole = (table["weight"] / UNIT).round().cast("int64")
    summed = (
        table.mutate(whole=whole)
        .group_by("customer", "category")
        .aggregate(whole=ibis._["whole"].sum().cast("int64"))
    )
    order = [ibis.desc("whole"), ibis.asc("category")]
    ranked = summed.filter(summed["whole"] >= round(MIN_WEIGHT / UNIT)).mutate(
        rank=ibis.row_number().over(group_by="customer", order_by=order)
    )
    strongest = ranked.filter(ranked["rank"] < settings.top)
    return strongest.select("customer", "category", "rank", weight=strongest["whole"] * UNIT)


def factors_of(step_us: int, count: int, half_life_s: float) -> pa.Table:
    """step, factor: what is left of a weight after so many steps."""
    step_s = step_us / 1_000_000
    left = [fade(1.0, step * step_s, half_life_s) for step in range(count)]
    return pa.table({"step": pa.array(range(count), pa.int64()), "factor": pa.array(left)})

"""Event rows in; what they taught of each customer out: the weights that a profile would have which
had learnt from all of them, by `decisions.lesson`.

A weight fades, an event adds to it, and it stays between 0 and MAX_WEIGHT. Where only adding could
have happened, it is the sum of the faded gains (forward decay: ages run to one moment, whichever
event comes last). Where an event takes something away, or the upper bound may have been met, what
is cut depends on the order: these weights, and only these, are learnt again event by event.

The log, not a cookie, is the truth. So the two differ where a cookie forgets: of more than
MAX_INTERESTS keys it drops the weakest, of more than MAX_RECENT events it knows no repeat, of two
tabs that write at once it keeps one, and a node whose clock is behind does not turn its time back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import ibis
import pyarrow as pa

from decisions.errors import Position, Problem
from decisions.events import KEY_FIELDS
from decisions.lesson import MAX_WEIGHT, Learning
from snapshots.build.ahead import given
from snapshots.build.eventrows import (
    ERASED,
    REASONS,
    STRANGER,
    EventRows,
    Gains,
    OnRows,
    Reading,
    read_events,
)
from snapshots.build.identity import visitor_keys
from snapshots.build.interests import MAX_HALF_LIVES, faded, landmark_s, stride_s
from snapshots.build.sources import Written, check_bought
from snapshots.erased import Times
from snapshots.errors import DataRefused
from snapshots.eventfiles import EventFiles
from snapshots.membership import NO_INTEREST

US = 1_000_000
UNIT = 2.0**-40  # weights are whole numbers of this while they are added up
GAINED = ("customer", "key", "place", "at", "add")

# Ibis has no fold. A step is what the event adds, and the most there may be, both faded.
FOLD = """
SELECT customer, "key", list_reduce(
    steps,
    lambda before, step: {'add': least(step.most, greatest(0.0::DOUBLE, before.add + step.add)),
                          'most': step.most},
    {'add': 0.0::DOUBLE, 'most': 0.0::DOUBLE}
).add AS weight FROM "steps"
"""


class Log(NamedTuple):
    """Whose events are read, and how they name people. salt: the ledger's. erased: hash → when it
    was asked to forget whose hash this is."""

    files: EventFiles
    salt: str
    erased: Times = {}


class Taught(NamedTuple):
    """weights: customer (64-bit hash), key, weight as of the next landmark; None where no events
    were read. used: how many rows of each customer taught something. rows: `events` → read in all;
    left_out: code → rows of them. gains: what was learnt by; more: the interests there may be
    besides the categories. salt: of the hashes."""

    weights: Any | None = None  # ibis.Table
    used: Any = None
    rows: dict[str, int] = {}
    left_out: Mapping[int, int] = {}
    gains: Gains = {}
    more: tuple[str, ...] = ()
    salt: str = ""


class Named(NamedTuple):
    """weights: customer (as text), category (a place among the keys), weight as of the next
    landmark; None where no events were read. left_out: reason → rows."""

    weights: Any | None = None  # ibis.Table
    left_out: dict[str, int] = {}


def gains_of(learning: Learning, bought: Sequence[str]) -> Gains:
    """What each event adds, but for what the purchases feed says of a category already.

    bought: the events that it tells of, too.
    """
    found: dict[str, dict[str, float]] = {field: {} for field in KEY_FIELDS}
    for type_, gains in learning.gains.items():
        for field, add in gains:
            if field != "category" or type_ not in bought:
                found[field][type_] = found[field].get(type_, 0.0) + add
    return {field: adds for field, adds in found.items() if adds}


def keys_of(learning: Learning, categories: Sequence[str]) -> tuple[str, ...]:
    """The interests there may be: the categories in their order, then what else rules name. Raises
    DataRefused for more than a membership can number."""
    keys = (*categories, *sorted(learning.known - {*categories}))
    if len(keys) > NO_INTEREST:
        message = f"expected at most {NO_INTEREST:,} interests in all rules, got {len(keys):,}"
        raise DataRefused([Problem(code="too-large", message=message, at=Position("rules.yaml"))])
    return keys


def learn(
    connection: Any,
    log: Log | None,
    learning: Learning,
    written: Written,
    categories: Sequence[str],
    factors: Any,
    now_s: float,
    on_rows: OnRows = lambda rows: None,
) -> Taught:
    """What the rows of a log taught up to `now_s`; without one, nothing.

    written, categories: what the feed of purchases says. factors: the table of
    `interests.factors_of`. Raises PlaybookErrors and DataRefused as the checks here do,
    Malformed, StoreUnavailable, TooLarge.
    """
    if log is None:
        return Taught()
    check_bought(written, learning.events)
    keys, bought = keys_of(learning, categories), written.sources.interests.bought
    gains = gains_of(learning, bought)
    half_life_s = learning.half_life_s
    next_us = (landmark_s(now_s, half_life_s) + stride_s(half_life_s)) * US
    now_us, oldest_us = round(now_s * US), next_us - int(half_life_s * MAX_HALF_LIVES * US)
    reading = Reading(learning, keys, gains, now_us, oldest_us)
    events = read_events(connection, log.files, reading, on_rows)
    rows = _without_erased(connection, events, log.erased)
    counted = rows.group_by("code").aggregate(n=rows.count()).to_pyarrow().to_pylist()
    left_out = _added(events.left_out, {row["code"]: row["n"] for row in counted})
    rows = rows.filter(rows["code"] == 0)
    used = rows.group_by("customer").aggregate(n=rows.count())
    gained = _gained(rows, events.kinds, gains).mutate(age=next_us - ibis._["at"])
    gained = gained.cross_join(factors)
    gained = gained.select(*GAINED, left=faded(ibis.literal(1.0), gained))
    gained = connection.create_table("gained", gained, temp=True)
    weights = connection.create_table("taught", _weighed(connection, gained), temp=True)
    more, rows_read = keys[len(categories) :], {"events": events.rows}
    return Taught(weights, used, rows_read, left_out, gains, more, log.salt)


def for_customers(connection: Any, taught: Taught, ids: Callable[[], pa.Table]) -> Named:
    """What was taught of these customers. ids: gives `customer`, spelt as all feeds do; nothing
    else may run on the connection when it has.

    Raises DataRefused when two of them have one hash.
    """
    if taught.weights is None:
        return Named()
    who = ids()["customer"]
    named = pa.table({"who": who, "hash": visitor_keys(taught.salt, who.to_pylist())})
    people = given(connection, "hashes", named)
    weights, used = taught.weights, taught.used
    joined = weights.inner_join(people, weights["customer"] == people["hash"])
    found = joined.select(customer="who", category="key", weight="weight")
    strange = used.anti_join(people, used["customer"] == people["hash"])
    strangers = strange.aggregate(n=strange["n"].sum().fill_null(0)).to_pyarrow()["n"][0].as_py()
    left_out = _added(taught.left_out, {STRANGER: int(strangers)})
    return Named(
        found,
        {REASONS[code]: left_out[code] for code in sorted(left_out) if code and left_out[code]},
    )


def _without_erased(connection: Any, events: EventRows, erased: Times) -> Any:
    """The rows, those of somebody who is listed marked as such: all of a visitor, of a customer
    those from before, as `erased.is_of_erased` tells them."""
    rows = events.table
    if not erased:
        return rows
    listed = pa.table(
        {
            "hash": pa.array(erased.keys(), pa.uint64()),
            "until": pa.array([(at_s + 1) * US for at_s in erased.values()], pa.int64()),
        }
    )
    people = given(connection, "erased", listed)
    visitors = people.select(visitor_hash="hash")
    customers = people.select(customer_hash="hash", until="until")
    rows = rows.left_join(visitors, rows["visitor"] == visitors["visitor_hash"])
    rows = rows.left_join(customers, rows["customer"] == customers["customer_hash"])
    is_erased = rows["visitor_hash"].notnull() | (rows["at"] < rows["until"]).fill_null(False)
    code = ((rows["code"] == 0) & is_erased).ifelse(ibis.literal(ERASED, "int8"), rows["code"])
    return rows.mutate(code=code)


def _gained(rows: Any, kinds: Sequence[str], gains: Gains) -> Any:
    """GAINED: one row for each interest that a row adds to."""
    nothing = rows.filter(ibis.literal(False)).select(
        "customer", "place", "at", key=ibis.null("int32"), add=ibis.null("float64")
    )
    parts = [
        rows.filter(rows[f"{field}_key"].notnull()).select(
            "customer",
            "place",
            "at",
            key=rows[f"{field}_key"],
            add=ibis.cases(
                *((rows["kind"] == kinds.index(type_), add) for type_, add in adds.items())
            ).cast("float64"),
        )
        for field, adds in gains.items()
    ]
    return ibis.union(nothing, *parts)


def _weighed(connection: Any, gained: Any) -> Any:
    """customer, key, weight: a sum where that is what a lesson does, else learnt in order."""
    weighed = gained.group_by("customer", "key").aggregate(
        weight=_summed(gained["add"] * gained["left"]),
        least=gained["add"].min(),
        most=_summed(gained["add"]),
    )
    weighed = connection.create_table("weighed", weighed, temp=True)
    is_plain = (weighed["least"] > 0.0) & (weighed["most"] <= MAX_WEIGHT)
    plain = weighed.filter(is_plain).select("customer", "key", "weight")
    return plain.union(_folded(connection, gained, weighed.filter(~is_plain)))


def _summed(weights: Any) -> Any:
    """A sum that does not depend on the order in which threads add."""
    return (weights / UNIT).round().cast("int64").sum().cast("float64") * UNIT


def _folded(connection: Any, gained: Any, which: Any) -> Any:
    """The weights of those customers and keys, learnt event by event. What one event adds to a key
    under two names is added at once, as a lesson does."""
    some = gained.semi_join(which, ["customer", "key"])
    events = some.group_by("customer", "key", "place", "at", "left").aggregate(
        add=_summed(some["add"])
    )
    step = ibis.struct({"add": events["add"] * events["left"], "most": events["left"] * MAX_WEIGHT})
    steps = events.group_by("customer", "key").aggregate(
        steps=step.collect(order_by=[events["at"], events["place"]])
    )
    connection.create_table("steps", steps, temp=True)
    return connection.sql(FOLD, schema=which.select("customer", "key", "weight").schema())


def _added(*counts: Mapping[int, int]) -> dict[int, int]:
    codes = sorted({code for each in counts for code in each})
    return {code: sum(each.get(code, 0) for each in counts) for code in codes}

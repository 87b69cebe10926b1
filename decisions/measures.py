"""Measures: events in, cells of a profile out, and from the cells what a rule reads.

    views_today: {count: product_view, within: 24h}        how often
    spent:       {sum: price, of: purchase, within: 30d}   how much in all
    read_to:     {max: value, of: scroll, within: session} the highest
    last_order:  {last: purchase}                          when
    looked_at:   {distinct: item, of: product_view, within: 7d}   how many different ones

A cell is a moment and a number. A window of any length is eight cells of an eighth each: an event
leaves it with its cell, so that a window is exact to an eighth. What is counted is bounded, and a
key without a number in the dictionary is not counted.

Of different things each has a cell: the moment is that of the window's eighth in which it came
last, the number is its mark, 24 bits of a hash. The newest `most` stay: so many are counted
exactly, more of them as `most`. Two things share a mark, and count as one, once in 2**24 pairs:
among 16 things in one of 140,000 profiles, among 32 in one of 34,000 (n * (n - 1) / 2 pairs).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import chain
from typing import Any, Literal, TypeAlias

import msgspec

from decisions.events import PRICE, Event
from decisions.profile import Cells, Measured, Profile, live_session, moment

CELLS = 8  # of a window: three full ones fit into a cookie of the aimed size, with all else
MAX_KEYS = 8  # of a measure with `per`; the one that changed longest ago goes first
MAX_AMOUNT = 10**12  # in hundredths: ten thousand million
UNIT = 100  # sums and maxima are kept in hundredths
MOST, MAX_MOST = 16, 32  # different things; one takes four characters of the profile
EVER = 0  # the moment of what is counted for all time: one for all takes little room
DISTINCT: Literal["distinct"] = "distinct"

Kind: TypeAlias = Literal["count", "sum", "max", "last", "distinct"]


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured of the event `on`. field: of events.VALUE_FIELDS, for sum and max; of
    events.KEY_FIELDS, for distinct. per: of events.KEY_FIELDS, "" for one number over all.
    within_s: the window, 0 for all time. session: the window is the session. most: of distinct,
    how many different things are kept, those of all keys together, 1 to MAX_MOST."""

    kind: Kind
    on: str
    field: str = ""
    per: str = ""
    within_s: float = 0.0
    session: bool = False
    most: int = MOST

    @property
    def cell_s(self) -> int:
        """How long a cell of the window is, whole seconds: an event counts for the window, or up
        to so much less."""
        return max(1, math.ceil(self.within_s / CELLS))

    def amount(self, event: Event) -> int:
        """What an event adds: 1, or its field in hundredths. A price is that of one piece."""
        if not self.field:
            return 1
        value = float(getattr(event, self.field))
        pieces = event.quantity if self.field == PRICE and self.kind == "sum" else 1
        return min(round(value * pieces * UNIT), MAX_AMOUNT)

    def opened_s(self, now_s: float, session_s: int | None) -> int | None:
        """The moment of the cell for what happens now; None where there is no session to be in."""
        if self.session:
            return session_s
        now = int(now_s)
        return now - now % self.cell_s if self.within_s else now

    def lives(self, at_s: int, now_s: float, session_s: int | None) -> bool:
        """Whether a cell of that moment still counts."""
        if self.session:
            return at_s == session_s
        if not self.within_s:
            return True
        now = int(now_s)
        return at_s > now - now % self.cell_s - CELLS * self.cell_s


def counted(
    measure: Measure, keyed: Measured, event: Event, now_s: float, session_s: int | None
) -> Measured:
    """The cells after an event. keyed: key → cells before, "" for a measure without `per`.

    session_s: when the session began, None without one. The same cells where there is no session
    that the measure could be of, and for an event that adds nothing.
    """
    at_s, amount = measure.opened_s(now_s, session_s), measure.amount(event)
    if at_s is None or not amount:
        return keyed
    key = event.key(measure.per) if measure.per else ""
    others = {name: cells for name, cells in keyed.items() if name != key}
    cells = [cell for cell in keyed.get(key, ()) if measure.lives(cell[0], now_s, session_s)]
    is_open = bool(cells) and (cells[-1][0] == at_s or not (measure.within_s or measure.session))
    before = cells.pop()[1] if is_open else 0
    after = max(before, amount) if measure.kind == "max" else min(before + amount, MAX_AMOUNT)
    others[key] = (*cells, (at_s, after))
    while len(others) > MAX_KEYS:
        del others[next(iter(others))]
    return others


def met(
    measure: Measure, keyed: Measured, event: Event, mark: int, now_s: float, session_s: int | None
) -> Measured:
    """The cells of different things after an event. keyed: as `counted` has it. mark: of the thing.

    Of more than `most`, the oldest goes of the key that changed longest ago. The same cells where
    there is no session that the measure could be of.
    """
    at_s = measure.opened_s(now_s, session_s)
    if at_s is None:
        return keyed
    if not (measure.within_s or measure.session):
        at_s = EVER
    key = event.key(measure.per) if measure.per else ""
    alive = {
        name: tuple([cell for cell in cells if measure.lives(cell[0], now_s, session_s)])
        for name, cells in keyed.items()
    }
    others = [cell for cell in alive.pop(key, ()) if cell[1] != mark]
    kept = {name: cells for name, cells in alive.items() if cells}
    kept[key] = (*others, (at_s, mark))
    while len(kept) > MAX_KEYS:
        del kept[next(iter(kept))]
    if (more := sum(map(len, kept.values())) - measure.most) <= 0:
        return kept
    fewer: Measured = {}
    for name, cells in kept.items():
        if left := cells[more:]:
            fewer[name] = left
        more = max(0, more - len(cells))
    return fewer


def measured(profile: Profile, measures: Mapping[str, Measure], now_s: float) -> dict[str, Any]:
    """The measures as attributes, flat: `measures.<name>` → number, map or moment.

    What is nothing is left out: a schema knows which of them are 0 then.
    """
    now, session = moment(profile, now_s), live_session(profile, now_s)
    session_s = session.started_s if session is not None else None
    found: dict[str, Any] = {}
    for name, keyed in chain(profile.measures.items(), profile.distinct.items()):
        if (measure := measures.get(name)) is None:
            continue  # another program's: carried on, and not read
        if (measure.kind == DISTINCT) != (profile.distinct.get(name) is keyed):
            continue  # from before it was declared as it is now: these numbers are no marks
        values = {
            key: value
            for key, cells in keyed.items()
            if bool(key) == bool(measure.per) and (value := _value(measure, cells, now, session_s))
        }
        if values:
            found[f"measures.{name}"] = values if measure.per else values[""]
    return found


def _value(measure: Measure, cells: Cells, now_s: float, session_s: int | None) -> float:
    alive = [cell for cell in cells if measure.lives(cell[0], now_s, session_s)]
    if not alive:
        return 0
    if measure.kind == DISTINCT:
        return min(len(alive), measure.most)
    if measure.kind == "last":
        return float(alive[-1][0])
    if measure.kind == "max":
        return max(value for _, value in alive) / UNIT
    total = sum(value for _, value in alive)
    return total / UNIT if measure.kind == "sum" else total

"""Measures: events in, cells of a profile out, and from the cells what a rule reads.

    views_today: {count: product_view, within: 24h}        how often
    spent:       {sum: price, of: purchase, within: 30d}   how much in all
    read_to:     {max: value, of: scroll, within: session} the highest
    last_order:  {last: purchase}                          when

A cell is a moment and a number. A window of any length is eight cells of an eighth each: an event
leaves it with its cell, so that a window is exact to an eighth. What is counted is bounded, and a
key without a number in the dictionary is not counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from decisions.events import PRICE, Event
from decisions.profile import Cells, Measured, Profile, live_session, moment

CELLS = 8  # of a window: three full ones fit into a cookie of the aimed size, with all else
MAX_KEYS = 8  # of a measure with `per`; the one that changed longest ago goes first
MAX_AMOUNT = 10**12  # in hundredths: ten thousand million
UNIT = 100  # sums and maxima are kept in hundredths

Kind: TypeAlias = Literal["count", "sum", "max", "last"]


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured of the event `on`. field: of events.VALUE_FIELDS, for sum and max. per: of
    events.KEY_FIELDS, "" for one number over all. within_s: the window, 0 for all time. session:
    the window is the session."""

    kind: Kind
    on: str
    field: str = ""
    per: str = ""
    within_s: float = 0.0
    session: bool = False

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


def measured(profile: Profile, measures: Mapping[str, Measure], now_s: float) -> dict[str, Any]:
    """The measures as attributes, flat: `measures.<name>` → number, map or moment.

    What is nothing is left out: a schema knows which of them are 0 then.
    """
    now, session = moment(profile, now_s), live_session(profile, now_s)
    session_s = session.started_s if session is not None else None
    found: dict[str, Any] = {}
    for name, keyed in profile.measures.items():
        if (measure := measures.get(name)) is None:
            continue  # another program's: carried on, and not read
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
    if measure.kind == "last":
        return float(alive[-1][0])
    if measure.kind == "max":
        return max(value for _, value in alive) / UNIT
    total = sum(value for _, value in alive)
    return total / UNIT if measure.kind == "sum" else total

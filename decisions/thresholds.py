"""Thresholds: a slot's table and what is known in, how long until time alone may change it out.

What `timed` found at build time is looked up here: a few bisections, nothing for slots that do not
read the clock. The answer is never too late for what the table covers, and may be too early: a
threshold can lie in a condition that other facts decide. Not covered: that interest fades, that a
snapshot passes its date, and what a fragment's text says of the time.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from contextlib import suppress

from decisions.consent import AUTHENTICATED, FUNCTIONAL
from decisions.facts import ABSENT, Facts
from decisions.profile import IDLE_S
from decisions.tables import NEVER_S, Thresholds

AHEAD_S = IDLE_S  # then the session is over, and the next visit begins anew whatever is said here
VAGUE_S = 60.0  # how soon to look again where nobody knows when: may be late by that much
SESSION = "session.seconds"  # the one attribute that is an age itself
_SLACK_S = 1e-6  # a moment of this century is a float to a quarter of a microsecond


def merged(tables: Iterable[Thresholds]) -> Thresholds | None:
    """One table for the slots of a page; None for no table."""
    found = list(tables)
    if len(found) < 2:
        return found[0] if found else None
    ages: dict[str, set[float]] = {}
    for table in found:
        for name, marks in table.ages.items():
            ages.setdefault(name, set()).update(marks)
    return Thresholds(
        {name: tuple(sorted(marks)) for name, marks in ages.items()},
        tuple(sorted({at for table in found for at in table.moments})),
        tuple(sorted({minute for table in found for minute in table.week})),
        tuple(sorted({minute for table in found for minute in table.local})),
        {rule: limit for table in found for rule, limit in table.caps.items()},
        {name: cell_s for table in found for name, cell_s in table.windows.items()},
        signed_in=any(table.signed_in for table in found),
        vague=any(table.vague for table in found),
    )


def turns_in(thresholds: Thresholds, facts: Facts) -> float:
    """Seconds until the clock reaches what these slots read of it: the same for everybody, so that
    who asks often need not ask again before then. NEVER_S for nothing ahead."""
    now_s = facts.now_s
    waits = [*_ahead(thresholds.moments, now_s)]
    if thresholds.week:
        with suppress(ValueError, OverflowError):  # where the calendar ends nothing turns
            waits.append(facts.until(thresholds.week))
    return min(waits, default=NEVER_S)


def next_in(
    thresholds: Thresholds | None,
    facts: Facts,
    seen: Iterable[tuple[str, float]] = (),
    signed_in_until_s: float = NEVER_S,
    turns_s: float | None = None,
) -> int:
    """After how many whole seconds the next threshold is reached, rounded up, 1 at least; 0 for
    none within AHEAD_S.

    seen: (rule id, seconds since the epoch) of what this visitor saw. signed_in_until_s: when
    `authenticated` ends, if it is granted. turns_s: what `turns_in` says, where that is known.
    Reads nothing that is not granted. Never raises.
    """
    if thresholds is None:
        return 0
    wait_s = turns_in(thresholds, facts) if turns_s is None else turns_s
    if thresholds.is_personal:
        wait_s = min(wait_s, *_waits(thresholds, facts, seen, signed_in_until_s))
    return whole_s(wait_s)


def whole_s(wait_s: float) -> int:
    """A wait as a reply has it: whole seconds, rounded up, 1 at least; 0 for more than AHEAD_S."""
    return max(1, math.ceil(wait_s - _SLACK_S)) if wait_s <= AHEAD_S else 0


def _waits(
    thresholds: Thresholds,
    facts: Facts,
    seen: Iterable[tuple[str, float]],
    signed_in_until_s: float,
) -> list[float]:
    """Seconds until the next threshold of each kind that is this visitor's own; not empty."""
    now_s = facts.now_s
    waits = [VAGUE_S if thresholds.vague else NEVER_S]
    for name, marks in thresholds.ages.items():
        if (value := facts[name]) is not ABSENT:
            waits += _ahead(marks, value if name == SESSION else now_s - value)
    if thresholds.local:
        with suppress(ValueError, OverflowError):  # where the calendar ends nothing turns
            waits.append(facts.local_until(thresholds.local))
    for name, cell_s in thresholds.windows.items():
        if facts[name]:  # what is nothing stays nothing, what is absent stays absent
            waits.append(cell_s - now_s % cell_s)
    if thresholds.caps and seen and facts.grants & FUNCTIONAL:
        waits += _freed(thresholds.caps, seen, now_s)
    if thresholds.signed_in and facts.grants & AUTHENTICATED:
        waits.append(signed_in_until_s - now_s)
    return waits


def _ahead(marks: tuple[float, ...], at: float) -> list[float]:
    """How far the next mark is. One that was reached this instant counts: `>` turns just after."""
    place = bisect_left(marks, at - _SLACK_S)
    return [marks[place] - at] if place < len(marks) else []


def _freed(
    caps: dict[str, tuple[int, float]], seen: Iterable[tuple[str, float]], now_s: float
) -> list[float]:
    """How long until each cap that is used up is not any more."""
    counted: dict[str, list[float]] = {}
    for rule, at_s in seen:
        if rule in caps:
            counted.setdefault(rule, []).append(at_s)
    waits = []
    for rule, times in counted.items():
        most, per_s = caps[rule]
        times.sort()
        inside = times[bisect_right(times, now_s - per_s) :]
        if len(inside) >= most:
            waits.append(inside[-most] + per_s - now_s)
    return waits

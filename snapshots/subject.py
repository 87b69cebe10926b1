"""One person's rows: the keyed hash of their id and event files in; their rows, and what these say
of consent and experiments, out.

A customer is also every visitor whom a row ties to them: whoever signs in as somebody else, or out,
becomes another visitor, so that a visitor is one customer at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import msgspec

from decisions.events import SEEN, SERVED
from snapshots.eventfiles import EventFiles, Placed, read_rows


class Met(msgspec.Struct, frozen=True):
    """As much of a row's decision as says which experiment it was of. holdout: its name, for who
    was passed over because of it."""

    slot: str = ""
    rule: str = ""
    variant: str = ""
    phase: int = 0
    holdout: str = ""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """As much of a row as says whose it is, under which grants, and of which decision."""

    id: str
    type: str
    received: float
    visitor: str = ""
    customer: str = ""
    grants: list[str] = []
    policy: str = ""
    x: Met | None = None


Found: TypeAlias = Placed[Row]


class Consented(msgspec.Struct, frozen=True):
    """Under which grants, and to which text, rows were collected, from when to when."""

    grants: list[str]
    policy: str
    first: float
    last: float
    rows: int


class Entered(msgspec.Struct, frozen=True):
    """An experiment, or a holdout, that was met: when it first was, and how often its decision was
    served, seen and acted on. experiment: its rule's id."""

    experiment: str
    variant: str
    phase: int
    holdout: str
    assigned: float
    served: int
    seen: int
    acted: int


def visitors_of(files: EventFiles, hash_: str) -> frozenset[str]:
    """The visitors whom rows tie to the customer of this hash. Raises what `read_rows` does."""
    rows = (placed.row for placed in read_rows(files, Row))
    return frozenset(row.visitor for row in rows if row.customer == hash_ and row.visitor)


def rows_about(files: EventFiles, hash_: str, visitors: frozenset[str]) -> Iterator[Found]:
    """The rows of whose hash this is, visitor or customer, and those of these visitors that are no
    other customer's. Raises what `read_rows` does."""
    for placed in read_rows(files, Row):
        row = placed.row
        tied = row.visitor in visitors and not row.customer
        if tied or hash_ in (row.visitor, row.customer):
            yield placed


def consents(rows: Iterable[Row]) -> list[Consented]:
    """What was granted, as the rows say, in the order of when it first was."""
    found: dict[tuple[tuple[str, ...], str], list[float]] = {}
    for row in rows:
        found.setdefault((tuple(row.grants), row.policy), []).append(row.received)
    spans = [
        Consented(list(grants), policy, min(times), max(times), len(times))
        for (grants, policy), times in found.items()
    ]
    return sorted(spans, key=lambda one: one.first)


def experiments(rows: Iterable[Row]) -> list[Entered]:
    """The experiments and holdouts that were met, in the order of when they first were."""
    found: dict[tuple[str, str, int, str], list[Row]] = {}
    for row in rows:
        if (met := row.x) is not None and (met.variant or met.holdout):
            key = (met.rule if met.variant else "", met.variant, met.phase, met.holdout)
            found.setdefault(key, []).append(row)
    entered = [
        Entered(*key, min(row.received for row in met), *_counts(met)) for key, met in found.items()
    ]
    return sorted(entered, key=lambda one: one.assigned)


def _counts(rows: Iterable[Row]) -> tuple[int, int, int]:
    """How many rows were served, seen, and acted on."""
    kinds = [row.type for row in rows]
    served, seen = kinds.count(SERVED), kinds.count(SEEN)
    return served, seen, len(kinds) - served - seen

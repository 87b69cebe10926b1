"""One row of the event log: what happened, to whom, under which grants and policy.

The builder reads what the grants of the row allow, and no more. A field that is empty is left out.
"""

from __future__ import annotations

import msgspec


class Decided(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A decision as its `x` token had it: snapshot's version, rule "" for the slot's default,
    visitor and facts as the hex digits of their 4-byte hashes. phase: of the experiment; results of
    two are not added up. holdout: its name, for a unit that an experiment, or all rules, passed
    over because of it."""

    snapshot: int
    slot: str
    rule: str = ""
    variant: str = ""
    probability: float = 1.0
    at: int = 0
    visitor: str = ""
    facts: str = ""
    holdout: str = ""
    phase: int = 0


class Row(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """type: an event's, `served` for a decision that left in a reply, or `erase` for who asked to
    be forgotten: that one is written whatever is granted.

    id: the client's, or one made here; that of a `seen` is made of its `x`. at: by the client's
    clock, received: by this node's, both in seconds. visitor, customer, session: keyed hashes of
    their ids (`decisions.ledger.row_key`). grants, policy: under which the row was collected.
    snapshot: version that decided. x: the decision that this answers or is, decoded.
    """

    id: str
    type: str
    received: float
    at: float = 0.0
    visitor: str = ""
    customer: str = ""
    session: str = ""
    grants: list[str] = []
    policy: str = ""
    snapshot: int = 0
    page: str = ""
    item: str = ""
    category: str = ""
    brand: str = ""
    price: float = 0.0
    quantity: int = 1
    value: float = 0.0
    x: Decided | None = None


encode = msgspec.json.Encoder().encode

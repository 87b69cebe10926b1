"""Events: what a page reports that a visitor did, as the wire brings it and as the profile learns
from it.

Lenient: unknown keys from newer loaders pass. Bounded: an event that is read has no more than the
limits here; one beyond them is refused at the border (`edge.wire`).
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

MAX_ID = 64  # characters of an event's type or id
MAX_WORD = 128  # of an item, a category, a brand, an `x`
MAX_TOKEN = 4_096  # of a sign-in token
MAX_PRICE = 1e9
MAX_QUANTITY = 10_000
PRICE = "price"

IDENTIFY, SIGN_OUT, SEEN = "identify", "sign_out", "seen"
# Rows that the log has of its own: no page may write one.
SERVED, ERASE, CONSENT, AGREED = "served", "erase", "consent", "agreed"
# These need no signal; a playbook may not declare them.
RESERVED = frozenset({IDENTIFY, SIGN_OUT, SEEN, SERVED, ERASE, CONSENT, AGREED})


Type: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)]
Id: TypeAlias = Annotated[str, msgspec.Meta(max_length=MAX_ID)]
Word: TypeAlias = Annotated[str, msgspec.Meta(max_length=MAX_WORD)]
Token: TypeAlias = Annotated[str, msgspec.Meta(max_length=MAX_TOKEN)]
Price: TypeAlias = Annotated[float, msgspec.Meta(ge=0.0, le=MAX_PRICE)]
Quantity: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=MAX_QUANTITY)]


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event.

    id: made by the client, unique per visitor; the last eight are remembered, so
    that a re-sent one counts once. at: seconds since the epoch by the client's clock, only for the
    log. x: the token of the decision that this event answers (`seen`, or an action). token: the
    sign-in token of `identify`. value: any other number: percent scrolled, seconds on a page.
    """

    type: Type
    id: Id = ""
    at: float = 0.0
    item: Word = ""
    category: Word = ""
    brand: Word = ""
    price: Price = 0.0
    quantity: Quantity = 1
    value: Price = 0.0
    x: Word = ""
    token: Token = ""

    def key(self, field: str) -> str:
        """The value of one of KEY_FIELDS, "" when the event has none."""
        return str(getattr(self, field))


KEY_FIELDS = ("category", "item", "brand")  # what a signal's `interest.key` may name
VALUE_FIELDS = (PRICE, "quantity", "value")  # what a goal's `value` and a measure may name

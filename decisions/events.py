"""Events: what a page reports that a visitor did, as the wire brings it and as the profile learns
from it.

Lenient: unknown keys from newer loaders pass. What is out of bounds is cut or refused at the
border (`edge.wire`).
"""

from __future__ import annotations

import msgspec

IDENTIFY, SIGN_OUT, SEEN = "identify", "sign_out", "seen"
RESERVED = frozenset(
    {IDENTIFY, SIGN_OUT, SEEN}
)  # these need no signal; a playbook may not declare them


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event.

    id: made by the client, unique per visitor, <= 64 characters; the last eight are remembered, so
    that a re-sent one counts once. at: seconds since the epoch by the client's clock, only for the
    log. x: the token of the decision that this event answers (`seen`, or an action). token: the
    sign-in token of `identify`.
    """

    type: str
    id: str = ""
    at: float = 0.0
    item: str = ""
    category: str = ""
    brand: str = ""
    price: float = 0.0
    quantity: int = 1
    x: str = ""
    token: str = ""

    def key(self, field: str) -> str:
        """The value of one of KEY_FIELDS, "" when the event has none."""
        return str(getattr(self, field))


KEY_FIELDS = ("category", "item", "brand")  # what a signal's `interest.key` may name
VALUE_FIELDS = ("price", "quantity")  # what a goal's `value` may name

"""Domains: what the value of an attribute can be at all, where that is known before anybody comes.

Numbers within bounds, words that are listed. An attribute that is not here may be anything. Words
that an attribute never has are no concern of this module: the checker refuses them.
"""

from __future__ import annotations

from decisions.cart import MAX_ITEMS
from decisions.clock import DAYS
from decisions.events import KEY_FIELDS
from decisions.lesson import MAX_VIEWED
from decisions.predicates import OneOf, Predicate, Span, Within
from decisions.schema import INTEREST, Attribute

WORDS: dict[str, tuple[str, ...]] = {
    "time.weekday": DAYS,
    "local.weekday": DAYS,
    "device.kind": ("mobile", "tablet", "desktop", "bot"),
}
BOUNDS: dict[str, tuple[int, int | None]] = {  # of an attribute, or of the values of a map
    "time.hour": (0, 23),
    "local.hour": (0, 23),
    "cart.items": (0, MAX_ITEMS),
    "cart.value": (0, None),
    "cart.lines": (0, MAX_ITEMS),
    "visitor.visits": (0, None),
    "session.seconds": (0, None),
    "session.views": (0, MAX_VIEWED),
    "size(session.views)": (0, MAX_VIEWED),
    **dict.fromkeys(("interest", *(INTEREST + field for field in KEY_FIELDS)), (0, 100)),
    "counts": (0, None),
    "purchases.orders": (0, None),
    "purchases.lines": (0, None),
    "purchases.weeks": (0, None),
    "purchases.weekday": (0, None),
}
_SCORES, _MEASURES = "scores.", "measures."
SIZE = "size({})"  # the name of how many members an attribute has
_LISTED = SIZE.format("lists.")[:-1]
_SCORE = (0, 1)  # what the builder cuts them to


def domain(predicate: Predicate, attribute: Attribute | None = None) -> Predicate | None:
    """The predicate that every value passes of what `predicate` is about; None if any value may
    come. attribute: as the playbook declares it, for bounds that it alone knows."""
    name = predicate.attribute
    if (words := WORDS.get(name)) is not None:
        return OneOf(name, words)
    bounds = _bounds(name, attribute)
    if bounds is None or not isinstance(predicate, Within):
        return None
    low, high = bounds
    span: Span = (low, True, high, high is not None)
    return Within(name, predicate.key, (span,), False, predicate.zero)


def said(name: str, attribute: Attribute | None = None) -> str:
    """A domain in words, "" for none: `one of mon, tue, …`, `0 to 100`."""
    if (words := WORDS.get(name)) is not None:
        return f"one of {', '.join(words)}"
    bounds = _bounds(name, attribute)
    if bounds is None:
        return ""
    low, high = bounds
    return f"{low} or more" if high is None else f"{low} to {high}"


def _bounds(name: str, attribute: Attribute | None) -> tuple[int, int | None] | None:
    if attribute is not None and (
        name.startswith(_LISTED) or (name.startswith(_MEASURES) and attribute.zero)
    ):
        return 0, attribute.most or None
    return _SCORE if name.startswith(_SCORES) else BOUNDS.get(name)

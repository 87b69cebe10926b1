"""What a server knows of somebody in; the items that are recommended to them, out; nothing is kept.

What is not granted is not read: without `personalization` nothing that the customer bought, without
`sensitive` no item of a sensitive value, whether it was bought, is at hand or could be shown. A
stranger gets what is popular, in the same shape, so that nobody learns here who is a customer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NamedTuple

import msgspec

from decisions import consent
from decisions.consent import AUTHENTICATED, PERSONALIZATION, SENSITIVE
from decisions.events import MAX_WORD
from decisions.ledger import visitor_key
from decisions.recommend import AT_HAND, BOUGHT, Seed, rank
from edge import wire
from edge.refresh import Serving
from snapshots.recommendations import Recommendations

MAX_CUSTOMER = 256  # characters of a customer's id
DEFAULT_LIMIT, MAX_LIMIT = 10, 50
MAX_AT_HAND = 50  # items that a caller gives: a basket
DIGITS = 4  # of a score

_YES_OR_NO = {"": False, "0": False, "1": True}

Score = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Recommendation(msgspec.Struct, frozen=True):
    """An item. score: falls along a list, and is no probability. because: the item, at hand or
    bought, that it goes with best; null for one that is popular."""

    item: str
    score: Score
    because: str | None


class RecommendationsReply(msgspec.Struct, frozen=True):
    """The best first. snapshot: the version that says so, 0 while there is none."""

    items: list[Recommendation]
    snapshot: int


class Asked(NamedTuple):
    """A question, read. at_hand: what the page is about, or lies in the basket. category: "" for
    any. grants: `authenticated` among them, where the server vouches for it."""

    customer: str
    at_hand: list[str]
    category: str
    grants: int
    limit: int


def read(customer: str, query: dict[str, str]) -> Asked:
    """The question of a request. Raises Refused."""
    if not 0 < len(customer) <= MAX_CUSTOMER:
        what = f"expected a customer's id of 1 to {MAX_CUSTOMER} characters, got {len(customer)}"
        raise wire.invalid(what)
    at_hand = given.split(",") if (given := query.get("items", "")) else []
    if len(at_hand) > MAX_AT_HAND:
        raise wire.invalid(f"expected at most {MAX_AT_HAND} items, got {len(at_hand)} - at `items`")
    category = query.get("category", "")
    if "" in at_hand:
        raise wire.invalid("expected items between commas, got nothing there - at `items`")
    for name, words in (("items", at_hand), ("category", [category])):
        if (length := max(map(len, words), default=0)) > MAX_WORD:
            what = f"expected at most {MAX_WORD} characters, got {length} - at `{name}`"
            raise wire.invalid(what)
    return Asked(customer, at_hand, category, _grants(query), _limit(query.get("limit", "")))


def _limit(text: str) -> int:
    if not text:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 0 < int(text) <= MAX_LIMIT):
        raise wire.invalid(f"expected 1 to {MAX_LIMIT}, got {text[:MAX_WORD]!r} - at `limit`")
    return int(text)


def _grants(query: dict[str, str]) -> int:
    names = given.split(",") if (given := query.get("grants", "")) else []
    for name in names:
        if name not in consent.PURPOSES:
            known = ", ".join(consent.PURPOSES)
            raise wire.invalid(f"expected some of {known}, got {name[:MAX_WORD]!r} - at `grants`")
    if (is_signed_in := _YES_OR_NO.get(query.get("authenticated", ""))) is None:
        raise wire.invalid("expected 1 or 0 - at `authenticated`")
    grants = consent.mask(names)
    return grants | AUTHENTICATED if is_signed_in and grants & PERSONALIZATION else grants


def recommend(serving: Serving, asked: Asked) -> list[Recommendation]:
    """What is recommended; nothing where the playbook does not ask for it, or no data came with the
    snapshot. Never raises."""
    items = serving.snapshot.recommendations
    if items is None or serving.program.head.recommendations is None:
        return []
    is_open = _open_to(serving, items, asked.grants)
    category = asked.category
    if category in _withheld(serving, "category", asked.grants):
        category = ""  # as if nothing was said of it
    weights = {
        item: AT_HAND
        for item in map(items.find, asked.at_hand)
        if item is not None and is_open(item)
    }
    for item in _bought(serving, items, asked):
        weights.setdefault(item, BOUGHT)
    ranked = rank(
        [Seed(item, weight) for item, weight in weights.items()],
        items.neighbours,
        items.popular(category),
        lambda item: is_open(item) and category in ("", items.category(item)),
        asked.limit,
    )
    return [
        Recommendation(
            items.id(item), round(score, DIGITS), None if because is None else items.id(because)
        )
        for item, score, because in ranked
    ]


def bought(serving: Serving, customer: int, grants: int) -> list[str]:
    """The items that a customer bought last, as far as these grants let them be read. customer: a
    key. Never raises."""
    items, terms = serving.snapshot.recommendations, serving.program.head.recommendations
    if items is None or terms is None or not consent.allows(grants, terms.needs):
        return []
    is_open = _open_to(serving, items, grants)
    return [items.id(item) for item in serving.bought(customer) if is_open(item)]


def _bought(serving: Serving, items: Recommendations, asked: Asked) -> list[int]:
    if not asked.grants & PERSONALIZATION:
        return []
    key = visitor_key(serving.program.key_salt, asked.customer)
    found = map(items.find, bought(serving, key, asked.grants))
    return [item for item in found if item is not None]


def _withheld(serving: Serving, dimension: str, grants: int) -> frozenset[str]:
    """The values of items that these grants do not show."""
    if grants & SENSITIVE:
        return frozenset()
    return serving.program.schema.sensitive.get(dimension, frozenset())


def _open_to(serving: Serving, items: Recommendations, grants: int) -> Callable[[int], bool]:
    """Whether an item may be read and shown with these grants."""
    categories = _withheld(serving, "category", grants)
    ids = _withheld(serving, "item", grants)
    return lambda item: items.category(item) not in categories and items.id(item) not in ids

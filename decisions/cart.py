"""A cart and what an event does to it in, the cart after it out; its numbers stay within bounds.

A line is of a product that may be kept by name. What has none counts all the same, in the pieces
and the value of the cart: what is sensitive, what is not told or spelt too long, what gave way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from decisions.events import Event
from decisions.profile import Cart, Line, without_line

MAX_LINES = 10  # more is rare, and a line takes 15 to 60 bytes of a cookie; the oldest gives way
MAX_THING = 40  # bytes of what is kept as it is spelt; longer things are not
MAX_ITEMS = 9_999
MAX_VALUE = 9_999_999.0
_MAX_CENTS = round(MAX_VALUE * 100)

_Action: TypeAlias = Callable[[Cart, Event, int, frozenset[str]], Cart]


def named(item: str, category: str, brand: str, sensitive: frozenset[str]) -> str:
    """The product by which a line is kept, "" for none.

    Nothing of a sensitive category or brand has a name, not even with its opt-in: a product does
    not tell what it is of, when that is taken back.
    """
    if not is_kept(item) or not sensitive.isdisjoint((item, category, brand)):
        return ""
    return item


def is_kept(thing: str) -> bool:
    """Whether a thing is a word short enough to be kept as it is spelt."""
    return bool(thing) and thing.isprintable() and len(thing.encode()) <= MAX_THING


def changed(cart: Cart, action: str, event: Event, now_s: int, sensitive: frozenset[str]) -> Cart:
    """The cart after an event. action: add, remove or clear. sensitive: words whose products have
    no name. The same cart where nothing of it is changed; never raises."""
    return _ACTIONS[action](cart, event, now_s, sensitive)


def _add(cart: Cart, event: Event, now_s: int, sensitive: frozenset[str]) -> Cart:
    """The line that is added to comes last. What does not fit into the cart is in no line."""
    before = round(cart.value * 100)
    pieces = min(_pieces(event), max(0, MAX_ITEMS - cart.items))
    cents = min(_cents(event, _pieces(event)), max(0, _MAX_CENTS - before))
    lines = cart.lines
    if pieces and (name := named(event.item, event.category, event.brand, sensitive)):
        lines = lines.copy()
        had = lines.pop(name, Line())
        lines[name] = Line(had.pieces + pieces, had.cents + cents)
        if len(lines) > MAX_LINES:
            del lines[next(iter(lines))]
    return _cart(cart.items + pieces, before + cents, now_s, lines)


def _remove(cart: Cart, event: Event, now_s: int, _: frozenset[str]) -> Cart:
    """At most what is there: of the product's line, then of what has no line, which may be of the
    same product. Without a price pieces go at what those of their line cost on the average, and
    those without a line at none."""
    wanted, lines, unnamed = _pieces(event), cart.lines, cart.unnamed
    line = lines.get(event.item, Line())
    taken = _taken(line, event, wanted, line.cents * wanted // max(1, line.pieces))
    rest = _taken(unnamed, event, wanted - taken.pieces, 0)
    if not taken.pieces and not rest.pieces:
        return cart
    if taken.pieces == line.pieces:
        lines = without_line(lines, event.item)
    else:
        lines = lines | {event.item: Line(line.pieces - taken.pieces, line.cents - taken.cents)}
    cents = round(cart.value * 100) - taken.cents - rest.cents
    return _cart(cart.items - taken.pieces - rest.pieces, cents, now_s, lines)


def _taken(line: Line, event: Event, wanted: int, otherwise: int) -> Line:
    """What an event takes out of a line: with the last piece all that is left of its value.
    otherwise: the cents that go where the event names no price."""
    pieces = min(wanted, line.pieces)
    if pieces == line.pieces:
        return line
    return Line(pieces, min(_cents(event, pieces) or otherwise, line.cents))


def _clear(cart: Cart, event: Event, now_s: int, sensitive: frozenset[str]) -> Cart:
    return Cart(0, 0.0, now_s)


_ACTIONS: dict[str, _Action] = {"add": _add, "remove": _remove, "clear": _clear}


def _pieces(event: Event) -> int:
    return max(0, min(event.quantity, MAX_ITEMS))


def _cents(event: Event, pieces: int) -> int:
    """What so many pieces cost; a price that is no amount of money is 0."""
    price = event.price if math.isfinite(event.price) and event.price > 0.0 else 0.0
    return round(min(min(price, MAX_VALUE) * pieces, MAX_VALUE) * 100)


def _cart(items: int, cents: int, now_s: int, lines: dict[str, Line]) -> Cart:
    """The totals within their bounds; an empty cart is worth nothing."""
    return Cart(items, cents / 100, now_s, lines) if items else Cart(0, 0.0, now_s)

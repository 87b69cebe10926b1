"""Learning: profile, event, grants in, a new profile out; what is not granted is not learnt.

Nothing here fails on what a page sends: numbers are clamped, names outside the dictionary are left
alone, a repeated event changes nothing. Time is `profile.moment`: it never runs backwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import mmh3
import msgspec

from decisions.consent import FUNCTIONAL, NEED_AN_ID, PERSONALIZATION, SENSITIVE
from decisions.events import Event
from decisions.interest import HALF_LIFE_S, fade
from decisions.profile import (
    NO_CART,
    NOBODY,
    UNKNOWN,
    VIEW_BYTES,
    Cart,
    Profile,
    Session,
    live_session,
    moment,
)

MAX_INTERESTS = 24  # the weakest go first; a cookie of the aimed size holds about as many
MAX_VIEWED = 8  # distinct items per category, and categories per session
MAX_TIMES = 8  # how often a cap can count; a playbook may not ask for more
MAX_HELD = 16  # rules that hold a slot for a session; the oldest go first
MAX_RECENT = 8
MAX_COUNT = 1_000_000
MAX_ITEMS = 9_999
MAX_VALUE = 9_999_999.0
MAX_WEIGHT = 1_000_000.0
FORGET_UNCAPPED_S = 7 * 86_400  # of rules that this program does not cap; another edge's may

_replace = msgspec.structs.replace


class Gain(msgspec.Struct, frozen=True, array_like=True):
    """What one event adds to the interest in the value of its `field` (events.KEY_FIELDS)."""

    field: str
    add: float


class Learning(msgspec.Struct, frozen=True, kw_only=True):
    """What a program says about learning.

    events: every declared event type; each has a counter. gains: event type → interest. carts:
    event type → add, remove or clear. known: the interest keys that have a number in the
    dictionary; others are not learnt. sensitive: the keys that need their own opt-in. caps: rule id
    → (times, window in seconds). held: rule id → the slot that it holds for a session.
    """

    events: frozenset[str] = frozenset()
    gains: dict[str, tuple[Gain, ...]] = {}
    carts: dict[str, str] = {}
    known: frozenset[str] = frozenset()
    sensitive: frozenset[str] = frozenset()
    caps: dict[str, tuple[int, float]] = {}
    held: dict[str, str] = {}
    half_life_s: float = HALF_LIFE_S

    def is_withheld(self, key: str, grants: int) -> bool:
        """Whether nothing may be learnt under this key."""
        return key in self.sensitive and not grants & SENSITIVE

    def strangers(self, event: Event) -> list[str]:
        """The fields whose values would be learnt if the dictionary knew them: to be counted."""
        fields = [gain.field for gain in self.gains.get(event.type, ())]
        return [name for name in fields if event.key(name) and event.key(name) not in self.known]


def begin(profile: Profile, grants: int, now_s: float, visitor: str) -> Profile:
    """The profile at the start of a visit: with an id where one may be kept, and a session that
    goes on or starts anew.

    visitor: the id for who has none yet. Without a grant that needs an id, NOBODY.
    """
    if not grants & NEED_AN_ID:
        return NOBODY
    now = moment(profile, now_s)
    changes: dict[str, Any] = {"seen_s": now, "visitor": profile.visitor or visitor}
    if grants & PERSONALIZATION:
        session = live_session(profile, now_s)
        if session is None:
            session = Session(started_s=int(now), last_s=int(now))
            changes["visits"] = min(profile.visits + 1, MAX_COUNT)
            changes["first_seen_s"] = profile.first_seen_s or int(now)
        changes["session"] = _replace(session, last_s=int(now))
    return _replace(profile, **changes)


def is_repeat(profile: Profile, event_id: str) -> bool:
    """Whether this event was learnt already, as far as the profile remembers."""
    return bool(event_id) and _hashed(event_id) in profile.recent


def _hashed(text: str) -> int:
    """32 bits. Encoded here: mmh3 ends the process when it meets half of a surrogate pair."""
    return mmh3.hash(text.encode("utf-8", "surrogatepass"), signed=False)


def learn(profile: Profile, event: Event, learning: Learning, grants: int, now_s: float) -> Profile:
    """The profile after one declared event; the same one for a repeat, or without a grant.

    A category that is withheld teaches nothing under any name: neither it, nor its item or brand.
    """
    if event.type not in learning.events or not grants & NEED_AN_ID:
        return profile
    mark = _hashed(event.id) if event.id else None
    if mark in profile.recent:
        return profile
    now = moment(profile, now_s)
    changes: dict[str, Any] = {"seen_s": now}
    if mark is not None:
        changes["recent"] = (*profile.recent, mark)[-MAX_RECENT:]
    action = learning.carts.get(event.type)
    if action and grants & FUNCTIONAL:
        changes["cart"] = _CART_ACTIONS[action](profile.cart, event, int(now))
    if grants & PERSONALIZATION:
        count = profile.counts.get(event.type, 0) + 1
        changes["counts"] = {**profile.counts, event.type: min(count, MAX_COUNT)}
        if not learning.is_withheld(event.category, grants):
            weights = _interests(profile, event, learning, grants, now)
            if weights is not None:
                changes["interests"], changes["at_s"] = weights, now
            if not action and event.item and event.category in learning.known:
                changes["session"] = _viewing(profile.session, event)
    return _replace(profile, **changes)


def _remembering(profile: Profile, event_id: str) -> tuple[int, ...]:
    if not event_id:
        return profile.recent
    return (*profile.recent, _hashed(event_id))[-MAX_RECENT:]


def _interests(
    profile: Profile, event: Event, learning: Learning, grants: int, now: float
) -> dict[str, float] | None:
    """The weights after this event, those it adds to last; None if it adds nothing."""
    gains: dict[str, float] = {}
    known, withheld = learning.known, () if grants & SENSITIVE else learning.sensitive
    for gain in learning.gains.get(event.type, ()):
        key = event.key(gain.field)
        if key in known and key not in withheld:
            gains[key] = gains.get(key, 0.0) + gain.add
    if not gains:
        return None
    weights = faded(profile, learning.half_life_s, now)
    for key, add in gains.items():
        weights[key] = min(weights.pop(key, 0.0) + add, MAX_WEIGHT)
    return strongest(weights, MAX_INTERESTS)


def faded(profile: Profile, half_life_s: float, now: float) -> dict[str, float]:
    """The weights of the interests as they stand at `now`."""
    if now <= profile.at_s:  # the second event of a visit: no time has passed
        return profile.interests.copy()
    left = fade(1.0, now - profile.at_s, half_life_s)
    return {key: weight * left for key, weight in profile.interests.items()}


def strongest(weights: Mapping[str, float], most: int) -> dict[str, float]:
    """The weights above 0 in their order, at most so many; of equal ones the newest, which come
    last."""
    kept = {key: weight for key, weight in weights.items() if weight > 0.0}
    if len(kept) > most:
        for weakest in sorted(kept, key=kept.__getitem__)[: len(kept) - most]:
            del kept[weakest]
    return kept


def _viewing(session: Session | None, event: Event) -> Session | None:
    """The session after an event with item and category that leaves the cart alone: a view."""
    if session is None:
        return None
    views = session.views.copy()
    seen = views.pop(event.category, b"")
    item = _hashed(event.item).to_bytes(4, "big")[-VIEW_BYTES:]
    # Most are new: that none of the bytes are there is seen in one look.
    is_known = item in seen and item in [
        seen[at : at + VIEW_BYTES] for at in range(0, len(seen), VIEW_BYTES)
    ]
    if not is_known and len(seen) < MAX_VIEWED * VIEW_BYTES:
        seen += item
    views[event.category] = seen
    if len(views) > MAX_VIEWED:
        del views[next(iter(views))]
    return _replace(session, views=views)


def _pieces(event: Event) -> int:
    return max(0, min(event.quantity, MAX_ITEMS))


def _worth(event: Event) -> float:
    """Price times quantity; a price that is no amount of money is 0."""
    price = event.price if math.isfinite(event.price) and event.price > 0.0 else 0.0
    return min(price, MAX_VALUE) * _pieces(event)


def _cart(items: int, value: float, now: int) -> Cart:
    items = max(0, min(items, MAX_ITEMS))
    return Cart(items, round(max(0.0, min(value, MAX_VALUE)), 2) if items else 0.0, now)


_CART_ACTIONS: dict[str, Callable[[Cart, Event, int], Cart]] = {
    "add": lambda cart, event, now: _cart(
        cart.items + _pieces(event), cart.value + _worth(event), now
    ),
    "remove": lambda cart, event, now: _cart(
        cart.items - _pieces(event), cart.value - _worth(event), now
    ),
    "clear": lambda cart, event, now: Cart(0, 0.0, now),
}


def seen(
    profile: Profile, rule: str, learning: Learning, grants: int, now_s: float, event_id: str = ""
) -> Profile:
    """The profile after a rule was seen: what its cap counts; the newest times of its window."""
    if not grants & FUNCTIONAL or rule not in learning.caps or is_repeat(profile, event_id):
        return profile
    now = moment(profile, now_s)
    caps: dict[str, tuple[int, ...]] = {}
    for name, times in ({rule: ()} | profile.caps).items():
        most, window_s = learning.caps.get(name, (MAX_TIMES, FORGET_UNCAPPED_S))
        times = (*times, int(now)) if name == rule else times
        if kept := tuple(at for at in times if now - at < window_s):
            caps[name] = kept[-min(most, MAX_TIMES) :]
    return _replace(profile, caps=caps, seen_s=now, recent=_remembering(profile, event_id))


def hold(profile: Profile, rule: str, learning: Learning, grants: int) -> Profile:
    """The profile after a rule was shown: if it holds its slot, the session remembers it, and
    forgets what held that slot before."""
    session, slot = profile.session, learning.held.get(rule)
    if slot is None or session is None or not grants & PERSONALIZATION or rule in session.held:
        return profile
    others = [name for name in session.held if learning.held.get(name) != slot]
    return _replace(profile, session=_replace(session, held=(*others, rule)[-MAX_HELD:]))


def signed_in(
    profile: Profile,
    customer: int,
    until_s: float,
    interests: Mapping[str, float],
    learning: Learning,
    grants: int,
    now_s: float,
    visitor: str = "",
    event_id: str = "",
) -> Profile:
    """The profile of a customer: known as such, authenticated until then.

    interests: the snapshot's weights as they stand now; each key keeps the higher of the two. A
    profile of another customer is left behind first, and `visitor` is then the new id. A repeated
    event changes nothing: a sign-out may have come since.
    """
    if not grants & PERSONALIZATION or not customer or is_repeat(profile, event_id):
        return profile
    if profile.customer not in (0, customer):
        profile = begin(signed_out(profile, visitor), grants, now_s, visitor)
    now = moment(profile, now_s)
    weights = faded(profile, learning.half_life_s, now)
    for key, weight in interests.items():
        if key in learning.known and not learning.is_withheld(key, grants):
            weights[key] = max(weights.get(key, 0.0), min(weight, MAX_WEIGHT))
    return _replace(
        profile,
        customer=customer,
        authenticated_until_s=int(until_s),
        interests=strongest(weights, MAX_INTERESTS),
        at_s=now,
        seen_s=now,
        recent=_remembering(profile, event_id),
    )


def signed_out(profile: Profile, visitor: str = "", event_id: str = "") -> Profile:
    """What the next person at this device may inherit: no more than an id, the old one or a new
    one, and which events were handled. A repeated event changes nothing."""
    if is_repeat(profile, event_id):
        return profile
    return Profile(
        visitor=visitor or profile.visitor,
        seen_s=profile.seen_s,
        recent=_remembering(profile, event_id),
    )


def withdraw(
    profile: Profile, grants: int, sensitive: frozenset[str] = frozenset(), lost: int = 0
) -> Profile:
    """The profile without the claims of purposes that are not granted; the id goes with the last.

    sensitive: the keys that need their own opt-in. lost: the purposes taken back just now; with
    any of them goes what is held, for it may stand for what was lost; when `sensitive` is among
    them, keys this edge does not know the name of go too.
    """
    if not grants & NEED_AN_ID:
        return NOBODY
    changes: dict[str, Any] = {}
    if not grants & FUNCTIONAL:
        changes |= {"cart": NO_CART, "caps": {}}
    if not grants & PERSONALIZATION:
        changes |= _IMPERSONAL
    elif not grants & SENSITIVE and (sensitive or lost & SENSITIVE):
        changes |= _without(profile, sensitive, bool(lost & SENSITIVE))
    profile = _replace(profile, **changes) if changes else profile
    if lost and profile.session is not None and profile.session.held:
        profile = _replace(profile, session=_replace(profile.session, held=()))
    return profile


_IMPERSONAL: dict[str, Any] = {
    name: getattr(NOBODY, name)
    for name in (
        "at_s",
        "first_seen_s",
        "visits",
        "interests",
        "counts",
        "session",
        "customer",
        "authenticated_until_s",
    )
}


def _without(profile: Profile, sensitive: frozenset[str], strangers_too: bool) -> dict[str, Any]:
    """The changes that take sensitive keys out of a profile; {} where it has none."""

    def kept(keyed: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: value
            for key, value in keyed.items()
            if key not in sensitive and not (strangers_too and key[:1] == UNKNOWN)
        }

    changes: dict[str, Any] = {}
    if len(interests := kept(profile.interests)) < len(profile.interests):
        changes["interests"] = interests
    session = profile.session
    if session and len(views := kept(session.views)) < len(session.views):
        changes["session"] = _replace(session, views=views)
    return changes

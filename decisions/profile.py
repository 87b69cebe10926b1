"""The profile: what the cookie carries of one visitor between requests, and how it reads as facts.

Plain frozen values; `learn` makes new ones, `compact` packs them. Times are seconds since the
epoch. A profile holds nothing that was not granted when it was learnt.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias, TypeVar

import msgspec

from decisions.consent import FUNCTIONAL, PERSONALIZATION
from decisions.interest import HALF_LIFE_S, scores
from decisions.ledger import UNKNOWN

IDLE_S = 30 * 60  # a session ends after half an hour without a visit, as analytics tools count it

Value = TypeVar("Value")

MOST_AHEAD_S = 2 * 86_400  # a clock may be off by a day; one that is further off signs nobody in

VIEW_BYTES = 3  # of an item's hash; two of eight items collide once in 600,000 sessions


Cells: TypeAlias = tuple[tuple[int, int], ...]  # moment and number, the oldest first
Measured: TypeAlias = dict[str, Cells]  # key, "" where there are none → cells; `decisions.measures`


class Line(NamedTuple):
    """What a cart has of one product. cents: what all these pieces cost."""

    pieces: int = 0
    cents: int = 0


class Cart(msgspec.Struct, frozen=True):
    """items: pieces. value: in the shop's currency, to the cent. updated_at_s: whole seconds.
    lines: product → what of the cart is known to be of it, the one added to last at the end."""

    items: int = 0
    value: float = 0.0
    updated_at_s: int = 0
    lines: dict[str, Line] = {}

    @property
    def unnamed(self) -> Line:
        """What is in the cart and in none of its lines."""
        if not self.lines:
            return Line(self.items, round(self.value * 100))
        pieces, cents = map(sum, zip(*self.lines.values(), strict=True))
        return Line(max(0, self.items - pieces), max(0, round(self.value * 100) - cents))

    @property
    def distinct(self) -> int:
        """How many products it has at least: whatever has no line counts as one."""
        return len(self.lines) + (self.unnamed.pieces > 0)


NO_CART = Cart()


class Session(msgspec.Struct, frozen=True):
    """One stretch of visits. Whole seconds.

    views: category → the hashes of the distinct items viewed, VIEW_BYTES each, at most 8; the
    category viewed last comes last. held: the rules that hold their slot, the newest last.
    campaign: the `utm.campaign` that it came by.
    """

    started_s: int
    last_s: int
    views: dict[str, bytes] = {}
    held: tuple[str, ...] = ()
    campaign: str = ""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a visitor.

    visitor: a UUID, or "" for nobody. seen_s: when it last changed. at_s: the moment the
    `interests` (key → weight) stand for. counts: event type → how often. caps: rule id → when it
    was seen, oldest first. preferences: key → the score that the visitor declared, which beats the
    interest that was inferred. lists: name → the last things, the newest last. measures: name →
    what was measured. distinct: the same of different things, with marks for numbers. recent:
    32-bit hashes of the last eight event ids. customer: the key of who signed in, 0 for nobody;
    *authenticated* until `authenticated_until_s`, and after that *recognised* until
    `recognised_until_s` (0: nobody said until when).
    """

    visitor: str = ""
    seen_s: float = 0.0
    at_s: float = 0.0
    first_seen_s: int = 0
    visits: int = 0
    interests: dict[str, float] = {}
    counts: dict[str, int] = {}
    cart: Cart = NO_CART
    session: Session | None = None
    caps: dict[str, tuple[int, ...]] = {}
    recent: tuple[int, ...] = ()
    customer: int = 0
    authenticated_until_s: int = 0
    measures: dict[str, Measured] = {}
    preferences: dict[str, int] = {}
    lists: dict[str, tuple[str, ...]] = {}
    recognised_until_s: int = 0
    distinct: dict[str, Measured] = {}

    @property
    def session_id(self) -> str:
        """The unit of experiments by session, and the session of event rows; "" without one."""
        if self.session is None or not self.visitor:
            return ""
        return f"{self.visitor}.{self.session.started_s}"


NOBODY = Profile()


def without_line(lines: dict[str, Line], gone: str) -> dict[str, Line]:
    """The same lines but for one; its pieces have no line from now on, or are gone."""
    return {item: line for item, line in lines.items() if item != gone}


def moment(profile: Profile, now_s: float) -> float:
    """Profile time: never before what the profile has seen (nodes' clocks differ), to the
    millisecond."""
    seen_s = profile.seen_s
    return seen_s if seen_s >= now_s else max(round(now_s, 3), seen_s)


def is_authenticated(profile: Profile, now_s: float) -> bool:
    """Whether a sign-in still counts: what a shared device must not show may be read. Not in a
    profile from MOST_AHEAD_S ahead, for which time stands still."""
    return (
        bool(profile.customer)
        and moment(profile, now_s) < profile.authenticated_until_s
        and profile.seen_s - now_s < MOST_AHEAD_S
    )


def is_left(profile: Profile, now_s: float, recognised_s: float) -> bool:
    """Whether whoever signed in is not even recognised any more: who comes may be anybody.

    recognised_s: for how long after the sign-in ends a profile counts that does not say it.
    """
    until_s = profile.recognised_until_s or profile.authenticated_until_s + recognised_s
    return bool(profile.customer) and moment(profile, now_s) >= until_s


def live_session(profile: Profile, now_s: float) -> Session | None:
    """The session, unless it has been idle for too long."""
    session = profile.session
    if session is None or moment(profile, now_s) - session.last_s >= IDLE_S:
        return None
    return session


def seen_rules(profile: Profile) -> list[tuple[str, float]]:
    """Rule and time of each time a capped rule was seen: what `decide` takes as `seen`."""
    return [(rule, at_s) for rule, times in profile.caps.items() for at_s in times]


def profile_facts(
    profile: Profile, grants: int, now_s: float, half_life_s: float = HALF_LIFE_S
) -> dict[str, Any]:
    """The profile as attributes, flat; only what these grants cover as a whole.

    Keys that need more (sensitive ones) are still in: `Gate.flat` takes them out. What the profile
    does not know is missing.
    """
    values: dict[str, Any] = {}
    if grants & FUNCTIONAL and profile.cart.updated_at_s:
        values["cart.items"] = profile.cart.items
        values["cart.value"] = profile.cart.value
        values["cart.updated_at"] = float(profile.cart.updated_at_s)
        values["cart.lines"] = profile.cart.distinct
        if profile.cart.lines:
            values["cart.products"] = frozenset(profile.cart.lines)
    if grants & PERSONALIZATION and profile.visits:
        values["visitor.new"] = profile.visits == 1
        values["visitor.visits"] = profile.visits
        values["visitor.first_seen"] = float(profile.first_seen_s)
    if grants & PERSONALIZATION:
        now = moment(profile, now_s)
        known = _known(profile.interests)
        values["interest"] = scores(known, now - profile.at_s, half_life_s)
        if profile.lists:
            for name, things in _known(profile.lists).items():
                values[f"lists.{name}"] = frozenset(things)
        if profile.preferences:
            declared = _known(profile.preferences)
            values["interest"] |= {key: float(score) for key, score in declared.items()}
        values["counts"] = _known(profile.counts)
        session = profile.session
        if session is not None and now - session.last_s < IDLE_S:
            values["session.started_at"] = float(session.started_s)
            values["session.seconds"] = now - session.started_s
            if session.campaign:
                values["session.campaign"] = session.campaign
            values["session.views"] = {
                key: len(items) // VIEW_BYTES for key, items in _known(session.views).items()
            }
    return values


def _known(keyed: dict[str, Value]) -> dict[str, Value]:
    """What has a name here; UNKNOWN comes before all letters."""
    if not keyed or min(keyed)[:1] != UNKNOWN:
        return keyed
    return {name: value for name, value in keyed.items() if name[:1] != UNKNOWN}

"""Profiles in, new ones out: a visit begins, a rule is seen or held, who comes signs in or out, a
purpose is withdrawn. What is not granted is not kept.

What events teach is `lesson`. Time is `profile.moment`: it never runs backwards.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from itertools import chain
from typing import Any

import msgspec

from decisions.consent import FUNCTIONAL, NEED_AN_ID, PERSONALIZATION, SENSITIVE
from decisions.events import Event
from decisions.ledger import UNKNOWN
from decisions.lesson import (
    MAX_COUNT,
    MAX_RECENT,
    MAX_WEIGHT,
    Learning,
    Lesson,
    faded,
    hashed,
    mark_of,
    weaken,
)
from decisions.profile import NO_CART, NOBODY, Measured, Profile, Session, live_session, moment

MAX_TIMES = 8  # how often a cap can count; a playbook may not ask for more
MAX_CAMPAIGN = 40  # characters
MAX_HELD = 16  # rules that hold a slot for a session; the oldest go first
FORGET_UNCAPPED_S = 7 * 86_400  # of rules that this program does not cap; another edge's may

_replace = msgspec.structs.replace


def begin(profile: Profile, grants: int, now_s: float, visitor: str, campaign: str = "") -> Profile:
    """The profile at the start of a visit: with an id where one may be kept, and a session that
    goes on or starts anew.

    visitor: the id for who has none yet. campaign: of this page; the first one of a session stays.
    Without a grant that needs an id, NOBODY.
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
        came_by = session.campaign or (campaign if campaign.isprintable() else "")[:MAX_CAMPAIGN]
        changes["session"] = _replace(session, last_s=int(now), campaign=came_by)
    return _replace(profile, **changes)


def is_repeat(profile: Profile, event_id: str) -> bool:
    """Whether this event was learnt already, as far as the profile remembers."""
    return bool(event_id) and hashed(event_id) in profile.recent


def learn(profile: Profile, event: Event, learning: Learning, grants: int, now_s: float) -> Profile:
    """The profile after one declared event; the same one for a repeat, or without a grant."""
    lesson = Lesson(profile, learning, grants, now_s)
    lesson.learn(event)
    return lesson.learnt()


def _remembering(profile: Profile, event_id: str) -> tuple[int, ...]:
    if not event_id:
        return profile.recent
    return (*profile.recent, hashed(event_id))[-MAX_RECENT:]


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
    *,
    anew: bool = False,
    recognised_s: float = 0.0,
) -> Profile:
    """The profile of a customer: authenticated until then, and recognised for so long from now if
    that is longer.

    interests: the snapshot's weights as they stand now; each key keeps the higher of the two. A
    profile of another customer is left behind first, and `visitor` is then the new id; with `anew`
    any profile is. A repeated event changes nothing: a sign-out may have come since.
    """
    if not grants & PERSONALIZATION or not customer or is_repeat(profile, event_id):
        return profile
    if anew or profile.customer not in (0, customer):
        profile = begin(signed_out(profile, visitor), grants, now_s, visitor)
    now = moment(profile, now_s)
    weights = faded(profile, learning.half_life_s, now)
    for key, weight in interests.items():
        most = max(weights.get(key, 0.0), min(weight, MAX_WEIGHT))
        if most > 0.0 and key in learning.known and not learning.is_withheld(key, grants):
            weights[key] = most
    weaken(weights)
    return _replace(
        profile,
        customer=customer,
        authenticated_until_s=int(until_s),
        recognised_until_s=int(max(until_s, now + recognised_s)),
        interests=weights,
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
    elif not grants & SENSITIVE and not sensitive.isdisjoint(lines := profile.cart.lines):
        named = {item: line for item, line in lines.items() if item not in sensitive}
        changes["cart"] = _replace(profile.cart, lines=named)
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
        "measures",
        "distinct",
        "preferences",
        "lists",
        "customer",
        "authenticated_until_s",
        "recognised_until_s",
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
    if len(preferences := kept(profile.preferences)) < len(profile.preferences):
        changes["preferences"] = preferences
    for field, measures in (("measures", profile.measures), ("distinct", profile.distinct)):
        if any(len(kept(keyed)) < len(keyed) for keyed in measures.values()):
            changes[field] = {name: kept(keyed) for name, keyed in measures.items()}
    if profile.distinct:
        changes |= _unmarked(changes.get("distinct", profile.distinct), _marks(sensitive))
    if not sensitive.isdisjoint(chain(*profile.lists.values())):  # a word that was none then
        left = {
            name: tuple(thing for thing in things if thing not in sensitive)
            for name, things in profile.lists.items()
        }
        changes["lists"] = {name: things for name, things in left.items() if things}
    session = profile.session
    if session and len(views := kept(session.views)) < len(session.views):
        changes["session"] = _replace(session, views=views)
    return changes


@functools.lru_cache(maxsize=8)  # of programs: a frozenset keeps its hash
def _marks(sensitive: frozenset[str]) -> frozenset[int]:
    """What marks in a profile would be of these words. Another thing has one of them, and is let
    go of with it, once in 2**24 pairs."""
    return frozenset(mark_of(word) for word in sensitive)


def _unmarked(distinct: Mapping[str, Measured], marks: frozenset[int]) -> dict[str, Any]:
    """The change that takes these marks out; {} where there is none of them."""
    every = chain.from_iterable(cells for keyed in distinct.values() for cells in keyed.values())
    if marks.isdisjoint(mark for _, mark in every):
        return {}
    found: dict[str, Measured] = {}
    for name, keyed in distinct.items():
        left = {key: tuple(c for c in cells if c[1] not in marks) for key, cells in keyed.items()}
        found[name] = {key: cells for key, cells in left.items() if cells}
    return {"distinct": found}

"""A profile and a limit in; as much of it as fits, packed, out: what weighs least goes first, but
not before all is written as tightly as can be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from decisions.compact import Packed, pack, text, tightened
from decisions.ledger import Dictionary
from decisions.lesson import MAX_RECENT
from decisions.profile import Profile, without_line

KEEP_INTERESTS, KEEP_VIEWS = 12, 4  # these stay while only the aim is missed, not the limit

_replace = msgspec.structs.replace


def fit(
    profile: Profile,
    names: Dictionary,
    *,
    aim: int,
    limit: int,
    encoded: Callable[[Packed], bytes] = text,
) -> bytes:
    """The claims of as much of the profile as fits, as JSON; what weighs least goes first.

    aim, limit: bytes. encoded: `binary`, for claims that nobody reads as JSON. Above the aim,
    they are `tightened`, if that is shorter. Then interests beyond KEEP_INTERESTS and views
    beyond KEEP_VIEWS go. Above the limit go half of what was kept, all views, what is held,
    lists, measures (those of different things first), lines of the cart (their pieces and value
    stay in it), caps, counts, and at last everything but the visit itself, the cart, the sign-in
    and the last event ids, which take less than 250 bytes.
    """
    packed = pack(profile, names)
    raw = encoded(packed)
    if len(raw) <= aim:  # as a rule
        return raw
    tighter = encoded(tightened(packed))
    is_tight = len(tighter) < len(raw)
    raw = tighter if is_tight else raw
    for less, most in ((_spare, aim), (_needy, limit)):
        if len(raw) <= most:
            return raw
        for smaller in less(profile):
            profile, packed = smaller, pack(smaller, names)
            raw = encoded(tightened(packed) if is_tight else packed)
            if len(raw) <= most:
                return raw
    return raw


def _spare(profile: Profile) -> Iterator[Profile]:
    """The profile with one more spare thing gone each time."""
    smaller = profile
    for smaller in _without_weakest(profile, KEEP_INTERESTS):
        yield smaller
    yield from _without_views(smaller, KEEP_VIEWS)


def _needy(profile: Profile) -> Iterator[Profile]:
    """The profile with one more thing gone each time, down to what every profile has."""
    smaller = profile
    for smaller in _without_weakest(profile, KEEP_INTERESTS // 2):
        yield smaller
    poorer = smaller
    for smaller in _without_views(poorer, 0):
        yield smaller
    if smaller.session is not None and smaller.session.held:
        smaller = _replace(smaller, session=_replace(smaller.session, held=()))
        yield smaller
    for name in list(profile.lists):  # what was added to longest ago goes first
        smaller = _replace(smaller, lists=_but(smaller.lists, name))
        yield smaller
    for name in list(profile.distinct):  # the same
        smaller = _replace(smaller, distinct=_but(smaller.distinct, name))
        yield smaller
    for name in list(profile.measures):  # what was counted longest ago goes first
        smaller = _replace(smaller, measures=_but(smaller.measures, name))
        yield smaller
    for item in profile.cart.lines:  # what was added to longest ago goes first
        cart = smaller.cart
        smaller = _replace(smaller, cart=_replace(cart, lines=without_line(cart.lines, item)))
        yield smaller
    for rule in sorted(profile.caps, key=lambda rule: max(profile.caps[rule], default=0)):
        smaller = _replace(smaller, caps=_but(smaller.caps, rule))
        yield smaller
    for name in sorted(profile.counts, key=lambda name: (profile.counts[name], name)):
        smaller = _replace(smaller, counts=_but(smaller.counts, name))
        yield smaller
    yield _replace(smaller, interests={}, preferences={}, recent=profile.recent[-MAX_RECENT:])


def _without_weakest(profile: Profile, keep: int) -> Iterator[Profile]:
    weakest = sorted(profile.interests, key=profile.interests.__getitem__)
    for key in weakest[:-keep]:
        profile = _replace(profile, interests=_but(profile.interests, key))
        yield profile


def _without_views(profile: Profile, keep: int) -> Iterator[Profile]:
    """The category viewed longest ago goes first."""
    session = profile.session
    if session is not None:
        for key in list(session.views)[: max(0, len(session.views) - keep)]:
            session = _replace(session, views=_but(session.views, key))
            yield _replace(profile, session=session)


def _but(keyed: Mapping[str, Any], gone: str) -> dict[str, Any]:
    return {key: value for key, value in keyed.items() if key != gone}

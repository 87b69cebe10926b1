"""A visit's events in, the one profile after them out; what is not granted is not learnt.

What a playbook says about learning is here, too. Nothing fails on what a page sends: numbers are
clamped, names outside the dictionary are left alone, a repeated event changes nothing. The profile
is taken apart for the first event and put together after the last one: events share the work, and
teach what they would have taught one by one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import mmh3
import msgspec

from decisions.cart import changed, is_kept
from decisions.consent import FUNCTIONAL, NEED_AN_ID, PERSONALIZATION, SENSITIVE
from decisions.events import Event
from decisions.interest import HALF_LIFE_S, fade
from decisions.measures import DISTINCT, Measure, counted, met
from decisions.profile import VIEW_BYTES, Measured, Profile, moment

MAX_INTERESTS = 24  # the weakest go first; a cookie of the aimed size holds about as many
MAX_VIEWED = 8  # distinct items per category, and categories per session
MAX_RECENT = 8
MAX_PREFERENCES = 16  # the one declared longest ago goes first
MAX_LISTED = 20  # things of a list; a playbook may keep fewer
MAX_COUNT = 1_000_000
MAX_WEIGHT = 1_000_000.0
_MARK = (1 << 8 * VIEW_BYTES) - 1

_replace = msgspec.structs.replace


class Gain(NamedTuple):
    """What one event adds to the interest in the value of its `field` (events.KEY_FIELDS)."""

    field: str
    add: float


class Wish(NamedTuple):
    """What an event declares of the value of its `field`: a score of 0 to 100, or None to take back
    what was declared."""

    field: str
    score: int | None


class Entry(NamedTuple):
    """What an event does to a list: it adds the value of its `field`, or takes it out. keep: how
    many stay."""

    list: str
    field: str
    keep: int
    adds: bool = True


class Learning(msgspec.Struct, frozen=True, kw_only=True):
    """What a program says about learning.

    events: every declared event type; each has a counter. gains: event type → interest. carts:
    event type → add, remove or clear. known: the interest keys that have a number in the
    dictionary; others are not learnt. sensitive: the keys that need their own opt-in. caps: rule id
    → (times, window in seconds). held: rule id → the slot that it holds for a session. measures: by
    name; measuring: event type → the names of those it counts for. fields: `interest.<field>` → the
    words that are read as its values. wishes: event type → what it declares. entries: event
    type → what it does to lists. more: the event types of these three.
    """

    events: frozenset[str] = frozenset()
    gains: dict[str, tuple[Gain, ...]] = {}
    carts: dict[str, str] = {}
    known: frozenset[str] = frozenset()
    sensitive: frozenset[str] = frozenset()
    caps: dict[str, tuple[int, float]] = {}
    held: dict[str, str] = {}
    half_life_s: float = HALF_LIFE_S
    measures: dict[str, Measure] = {}
    measuring: dict[str, tuple[str, ...]] = {}
    fields: dict[str, frozenset[str]] = {}
    wishes: dict[str, Wish] = {}
    entries: dict[str, tuple[Entry, ...]] = {}
    more: frozenset[str] = frozenset()

    def is_withheld(self, key: str, grants: int) -> bool:
        """Whether nothing may be learnt under this key."""
        return key in self.sensitive and not grants & SENSITIVE

    def strangers(self, event: Event) -> list[str]:
        """The fields whose values would be learnt if the dictionary knew them: to be counted."""
        fields = [gain.field for gain in self.gains.get(event.type, ())]
        return [name for name in fields if event.key(name) and event.key(name) not in self.known]


class Lesson:
    """What the events of one visit teach a profile. Mutable; `learnt` puts the profile together.

    learning: of the program. grants: bits. now_s: of the visit.
    """

    __slots__ = (
        "_cart",
        "_counts",
        "_distinct",
        "_grants",
        "_has_learnt",
        "_learning",
        "_lists",
        "_measures",
        "_now",
        "_preferences",
        "_profile",
        "_recent",
        "_views",
        "_weights",
    )

    def __init__(self, profile: Profile, learning: Learning, grants: int, now_s: float) -> None:
        self._profile, self._learning, self._grants = profile, learning, grants
        self._now = moment(profile, now_s)
        self._has_learnt = False
        self._recent = [*profile.recent]
        self._cart = profile.cart
        self._counts: dict[str, int] | None = None  # of its own once an event changes them
        self._weights: dict[str, float] | None = None
        self._views: dict[str, bytes] | None = None
        self._measures: dict[str, Measured] | None = None
        self._distinct: dict[str, Measured] | None = None
        self._preferences: dict[str, int] | None = None
        self._lists: dict[str, tuple[str, ...]] | None = None

    def is_repeat(self, event: Event) -> bool:
        """Whether this event was learnt already, as far as the profile remembers."""
        return bool(event.id) and hashed(event.id) in self._recent

    def learn(self, event: Event) -> bool:
        """One declared event; False, and nothing is learnt, for a repeat or without a grant.

        A category that is withheld teaches nothing under any name: neither it, nor its item or
        brand.
        """
        learning, grants, type_ = self._learning, self._grants, event.type
        if type_ not in learning.events or not grants & NEED_AN_ID:
            return False
        if event.id and not self._is_new(hashed(event.id)):
            return False
        self._has_learnt = True
        action = learning.carts.get(type_)
        if action and grants & FUNCTIONAL:
            now_s = int(self._now)
            self._cart = changed(self._cart, action, event, now_s, learning.sensitive)
        if grants & PERSONALIZATION:
            if (counts := self._counts) is None:
                counts = self._counts = self._profile.counts.copy()
            counts[type_] = min(counts.get(type_, 0) + 1, MAX_COUNT)
            if not learning.is_withheld(event.category, grants):
                self._gain(event)
                if type_ in learning.more:
                    self._keep(event)
                if not action and event.item and event.category in learning.known:
                    self._view(event)
        return True

    def _is_new(self, mark: int) -> bool:
        """Whether an event's hash was not met; from now on it was."""
        recent = self._recent
        if mark in recent:
            return False
        recent.append(mark)
        if len(recent) > MAX_RECENT:
            del recent[:-MAX_RECENT]
        return True

    def learnt(self) -> Profile:
        """The profile after these events; the same one if nothing was learnt."""
        before = self._profile
        if not self._has_learnt:
            return before
        changes: dict[str, Any] = {
            "seen_s": self._now,
            "recent": tuple(self._recent),
            "cart": self._cart,
        }
        if self._counts is not None:
            changes["counts"] = self._counts
        if self._weights is not None:
            changes["interests"], changes["at_s"] = self._weights, self._now
        if self._views is not None and before.session is not None:
            changes["session"] = _replace(before.session, views=self._views)
        if self._measures is not None:
            changes["measures"] = self._measures
        if self._distinct is not None:
            changes["distinct"] = self._distinct
        if self._preferences is not None:
            changes["preferences"] = self._preferences
        if self._lists is not None:
            changes["lists"] = self._lists
        return _replace(before, **changes)

    def _gain(self, event: Event) -> None:
        """The interests that this event adds to come last: of equal weights the newest stay."""
        learning = self._learning
        gains: dict[str, float] = {}
        for field, add in learning.gains.get(event.type, ()):
            key = event.key(field)
            if key in learning.known and not learning.is_withheld(key, self._grants):
                gains[key] = gains.get(key, 0.0) + add
        if not gains:
            return
        if (weights := self._weights) is None:
            weights = self._weights = faded(self._profile, learning.half_life_s, self._now)
        for key, add in gains.items():
            weight = min(weights.pop(key, 0.0) + add, MAX_WEIGHT)
            if weight > 0.0:
                weights[key] = weight
        weaken(weights)

    def _keep(self, event: Event) -> None:
        """What else a playbook may declare of an event."""
        learning, type_ = self._learning, event.type
        if type_ in learning.measuring:
            self._measure(event)
        if type_ in learning.wishes:
            self._prefer(event)
        if type_ in learning.entries:
            self._list(event)

    def _measure(self, event: Event) -> None:
        """Each measure that this event counts for; keys as interests have them."""
        learning, session = self._learning, self._profile.session
        session_s = session.started_s if session is not None else None
        for name in learning.measuring[event.type]:
            measure = learning.measures[name]
            key = event.key(measure.per) if measure.per else ""
            if measure.per and (
                key not in learning.known or learning.is_withheld(key, self._grants)
            ):
                continue
            if measure.kind == DISTINCT:
                self._meet(name, measure, event, session_s)
                continue
            if (measures := self._measures) is None:
                measures = self._measures = self._profile.measures.copy()
            kept = measures.pop(name, {})  # what was counted last comes last
            measures[name] = counted(measure, kept, event, self._now, session_s)

    def _meet(self, name: str, measure: Measure, event: Event, session_s: int | None) -> None:
        """A thing that is counted once. Nothing of a sensitive category is, not even with its
        opt-in: a mark does not tell what it is of, when that is taken back."""
        thing = event.key(measure.field)
        if not thing or not self._learning.sensitive.isdisjoint(_about(event)):
            return
        if (distinct := self._distinct) is None:
            distinct = self._distinct = self._profile.distinct.copy()
        kept = distinct.pop(name, {})  # what was counted last comes last
        distinct[name] = met(measure, kept, event, mark_of(thing), self._now, session_s)

    def _prefer(self, event: Event) -> None:
        """What the visitor declares comes last, and in place of what they declared before."""
        wish = self._learning.wishes[event.type]
        key = event.key(wish.field)
        if key not in self._learning.known or self._learning.is_withheld(key, self._grants):
            return
        if (preferences := self._preferences) is None:
            preferences = self._preferences = self._profile.preferences.copy()
        preferences.pop(key, None)
        if wish.score is not None:
            preferences[key] = wish.score
        if len(preferences) > MAX_PREFERENCES:
            del preferences[next(iter(preferences))]

    def _list(self, event: Event) -> None:
        """The thing comes last, wherever it was. Nothing of a sensitive category is listed, not
        even with its opt-in: a thing does not tell what it is of, when that is taken back."""
        sensitive = self._learning.sensitive
        if (lists := self._lists) is None:
            lists = self._lists = self._profile.lists.copy()
        for name, field, keep, adds in self._learning.entries[event.type]:
            thing = event.key(field)
            if not thing.isprintable() or not thing or not sensitive.isdisjoint(_about(event)):
                continue
            others = [one for one in lists.pop(name, ()) if one != thing]
            if adds and is_kept(thing):
                others = [*others, thing][-keep:]
            if others:
                lists[name] = tuple(others)

    def _view(self, event: Event) -> None:
        """An event with item and category that leaves the cart alone: the item counts once."""
        if (views := self._views) is None:
            if (session := self._profile.session) is None:
                return
            views = self._views = session.views.copy()
        seen = views.pop(event.category, b"")
        item = hashed(event.item).to_bytes(4, "big")[-VIEW_BYTES:]
        # Most are new: that none of the bytes are there is seen in one look.
        is_known = item in seen and item in [
            seen[at : at + VIEW_BYTES] for at in range(0, len(seen), VIEW_BYTES)
        ]
        if not is_known and len(seen) < MAX_VIEWED * VIEW_BYTES:
            seen += item
        views[event.category] = seen
        if len(views) > MAX_VIEWED:
            del views[next(iter(views))]


def _about(event: Event) -> tuple[str, str, str]:
    """What an event is about: any of it may be sensitive."""
    return event.item, event.category, event.brand


def hashed(text: str) -> int:
    """32 bits of an id. Encoded here: mmh3 ends the process when it meets half of a surrogate
    pair."""
    return mmh3.hash(text.encode("utf-8", "surrogatepass"), signed=False)


def mark_of(thing: str) -> int:
    """By what a profile knows a thing again that is counted once: VIEW_BYTES of its hash."""
    return hashed(thing) & _MARK


def faded(profile: Profile, half_life_s: float, now: float) -> dict[str, float]:
    """The weights of the interests as they stand at `now`, those that faded to nothing left out."""
    age_s = now - profile.at_s
    left = fade(1.0, age_s, half_life_s) if age_s > 0.0 else 1.0
    return {key: weight for key, old in profile.interests.items() if (weight := old * left) > 0.0}


def weaken(weights: dict[str, float]) -> None:
    """Takes out the weakest beyond MAX_INTERESTS; of equal ones the oldest, which come first."""
    if (more := len(weights) - MAX_INTERESTS) > 0:
        for weakest in sorted(weights, key=weights.__getitem__)[:more]:
            del weights[weakest]

"""Facts: what is known of one visitor on one request and granted; the rest is absent, not guessed.

Consent is absence: a value the grants do not cover never gets in, so no rule, token, log or cache
key can depend on it. The Gate of a program says what gets in and what is derived when asked for
(`tags`, `time.*`, `now`, zeros, empties); everything else reads as ABSENT.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from types import MappingProxyType
from typing import Any, TypeAlias

import msgspec

from decisions import schema as types
from decisions.admission import Take, admission, sifting
from decisions.clock import Calendar, calendar_of
from decisions.consent import EVERYTHING, allows
from decisions.errors import EvaluationError
from decisions.rules.values import ABSENT
from decisions.schema import Attribute, Schema

__all__ = ["ABSENT", "Facts", "Gate"]

Derive: TypeAlias = "Callable[[Facts], Any]"
Condition: TypeAlias = Callable[[Mapping[str, Any]], Any]  # a tag's compiled expression

_ENCODER = msgspec.json.Encoder(order="deterministic")
_NO_TAGS: Mapping[str, tuple[int, Condition]] = MappingProxyType({})
_NO_FIELDS: Mapping[str, frozenset[str]] = MappingProxyType({})


class Facts(dict[str, Any]):
    """Attribute name → value, flat, only what is granted; reading never raises.

    The constructor trusts its caller: `values` are granted and of the schema's types. `Facts.of`
    and `Gate` filter. grants: bits. now_s: seconds since the epoch.
    """

    __slots__ = ("_given", "_opening", "grants", "now_s")

    def __init__(self, opening: _Opening, values: Mapping[str, Any], now_s: float) -> None:
        super().__init__(values)
        self._opening = opening
        self._given = len(self)
        self.grants = opening.grants
        self.now_s = now_s

    def settle(self) -> None:
        """What is here by now was given; what comes later is derived from it."""
        self._given = len(self)

    @classmethod
    def of(cls, gate: Gate, nested: Mapping[str, Any], grants: int, now_s: float) -> Facts:
        """The facts of nested maps, such as {"geo": {"country": "FR"}, "segments": {"loyal"}}."""
        return gate.facts(nested, grants, now_s)

    def __missing__(self, name: str) -> Any:
        derive = self._opening.derived.get(name)
        value = derive(self) if derive else ABSENT
        self[name] = value
        return value

    def minute(self) -> int:
        """Of the week, in the playbook's time zone. Raises ValueError or OverflowError where the
        calendar ends."""
        return self._opening.clock.minute(self.now_s)

    def until(self, minutes: Sequence[int]) -> float:
        """Seconds until one of these minutes of the week. As `clock.Calendar.until`."""
        return self._opening.clock.until(self.now_s, minutes)

    def local_until(self, minutes: Sequence[int]) -> float:
        """The same by the visitor's own clock; infinity where their zone is not known."""
        zone = self["local.zone"]
        calendar = calendar_of(zone) if zone is not ABSENT else None
        return calendar.until(self.now_s, minutes) if calendar is not None else math.inf

    def digest(self) -> bytes:
        """4 bytes that tell apart what was given under which grants; what is derived is no part
        of it."""
        derived = len(self) > self._given
        given = dict(islice(self.items(), self._given)) if derived else self
        try:
            canonical = _ENCODER.encode((self.grants, given))
        except UnicodeEncodeError:  # half of a surrogate pair, from who wrote facts by hand
            canonical = json.dumps((self.grants, given), sort_keys=True, default=sorted).encode()
        return blake2b(canonical, digest_size=4).digest()


class Gate:
    """What one program lets into facts, and derives: its schema, time zone and tags.

    tags: name → (bits it needs, its compiled condition); a condition that is an error or not true
    leaves its tag out. fields: `interest.<field>` → what it shows of all interest. Made once per
    program; it keeps one opening per set of grants.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        timezone: str = "UTC",
        tags: Mapping[str, tuple[int, Condition]] = _NO_TAGS,
        fields: Mapping[str, frozenset[str]] = _NO_FIELDS,
    ) -> None:
        self.schema, self.tags, self.clock = schema, tags, Calendar(timezone)
        self.fields = fields
        self._openings: dict[int, _Opening] = {}

    def opening(self, grants: int) -> _Opening:
        """What these grants open; cheap after the first time (there are at most 64)."""
        grants &= EVERYTHING
        if (known := self._openings.get(grants)) is None:
            known = self._openings[grants] = _Opening(self, grants)
        return known

    def facts(self, nested: Mapping[str, Any], grants: int, now_s: float) -> Facts:
        """Facts of nested maps; dotted names are understood too. What is not granted, unknown to
        the schema or of another type is left out."""
        opening = self.opening(grants)
        values: dict[str, Any] = {}
        _flatten(opening.tree, nested, values)
        return Facts(opening, values, now_s)

    def flat(
        self,
        values: Mapping[str, Any],
        grants: int,
        now_s: float,
        sure: Mapping[str, Any] = MappingProxyType({}),
        newer: Mapping[str, Any] = MappingProxyType({}),
    ) -> Facts:
        """The same for values by attribute name: what the edge collects.

        sure: those for whose types our own code vouches; they are not looked at once more. newer:
        what goes before `values`; None takes one away, what is of another type changes nothing.
        """
        opening = self.opening(grants)
        takes = opening.takes
        facts = Facts(opening, sure, now_s)
        if not takes.keys() >= sure.keys():  # seldom: who collects knows the grants
            for name in sure.keys() - takes.keys():
                del facts[name]
        for name, sift in opening.sifts:
            if name in facts and (value := sift(facts.pop(name))) is not ABSENT:
                facts[name] = value
        for name, value in values.items():
            take = takes.get(name)
            if take is not None and (value := take(value)) is not ABSENT:
                facts[name] = value
        if newer:
            _correct(facts, newer, takes)
        facts.settle()
        return facts

    def granted(self, values: Mapping[str, Any], grants: int, now_s: float) -> Facts:
        """Facts of values that are already granted and of the right types: nothing is checked."""
        return Facts(self.opening(grants), values, now_s)


class _Opening:
    """A gate under one set of grants: how each readable attribute is taken, and what is derived."""

    def __init__(self, gate: Gate, grants: int) -> None:
        self.grants, self.clock = grants, gate.clock
        self.takes: dict[str, Take] = {}
        self.sifts: list[tuple[str, Take]] = []
        self.tree: dict[str, Any] = {}
        self.derived: dict[str, Derive] = {}
        for name, attribute in gate.schema.attributes.items():
            if allows(grants, attribute.needs):
                take = self.takes[name] = admission(gate.schema, attribute, grants)
                _plant(self.tree, name, take)
                if (sift := sifting(gate.schema, attribute, grants)) is not None:
                    self.sifts.append((name, sift))
                if (derive := _unknown(attribute, take)) is not None:
                    self.derived[name] = derive
        self.derived |= {
            name: derive for name, derive in _timing(gate.clock).items() if name in self.takes
        }
        self.derived |= {
            name: _narrowed(words) for name, words in gate.fields.items() if name in self.takes
        }
        if "tags" in self.takes:
            conditions = [
                (tag, holds) for tag, (needs, holds) in gate.tags.items() if allows(grants, needs)
            ]
            self.derived["tags"] = _tagging(conditions, self.takes["tags"])


def _correct(facts: Facts, newer: Mapping[str, Any], takes: Mapping[str, Take]) -> None:
    for name, value in newer.items():
        if (take := takes.get(name)) is None:
            continue
        if value is None:
            facts.pop(name, None)
        elif (taken := take(value)) is not ABSENT:
            facts[name] = taken


def _plant(tree: dict[str, Any], name: str, take: Take) -> None:
    """Put a leaf at `name` both as one dotted word and as nested maps; a leaf is never a group."""
    tree[name] = (name, take)
    *groups, leaf = name.split(".")
    for group in groups:
        below = tree.setdefault(group, {})
        if not isinstance(below, dict):
            return
        tree = below
    tree.setdefault(leaf, (name, take))


def _flatten(tree: dict[str, Any], nested: Mapping[str, Any], values: dict[str, Any]) -> None:
    for word, value in nested.items():
        found = tree.get(word)
        if type(found) is tuple:
            if (taken := found[1](value)) is not ABSENT:
                values[found[0]] = taken
        elif found is not None and isinstance(value, Mapping):
            _flatten(found, value, values)


def _unknown(attribute: Attribute, take: Take) -> Derive | None:
    """What a granted attribute is while nothing is known: 0, empty, or None for absent."""
    if attribute.type in types.EMPTY:
        nothing = take(types.EMPTY[attribute.type])
        return lambda facts: nothing
    if not attribute.zero:
        return None
    zero = 0.0 if attribute.type == types.DOUBLE else 0
    return lambda facts: zero


def _narrowed(words: frozenset[str]) -> Derive:
    """Interest in these alone; what is withheld of all interest is withheld here."""

    def interest(facts: Facts) -> Any:
        return {word: score for word, score in facts["interest"].items() if word in words}

    return interest


def _tagging(conditions: Iterable[tuple[str, Condition]], take: Take) -> Derive:
    def tags(facts: Facts) -> Any:
        facts["tags"] = ABSENT  # a tag over tags would never end
        found = []
        for tag, holds in conditions:
            try:
                if holds(facts) is True:
                    found.append(tag)
            except EvaluationError:
                continue  # an error is no match
        return take(found)

    return tags


def _timing(clock: Calendar) -> dict[str, Derive]:
    """What follows from `now`, be it the request's moment or given as a fact."""

    def reading(read: Callable[[float], Any]) -> Derive:
        def derive(facts: Facts) -> Any:
            now = facts["now"]
            if now is ABSENT:  # a playbook may ask for a purpose, and withhold it from the clock
                return ABSENT
            try:
                return read(now)
            except (ValueError, OverflowError):
                return ABSENT  # the calendar ends before the year 1 and after 9999

        return derive

    return {
        "now": lambda facts: facts.now_s,
        "time.hour": reading(clock.hour),
        "time.weekday": reading(clock.weekday),
        "time.date": reading(clock.date),
        "local.hour": _of_the_visitor(Calendar.hour),
        "local.weekday": _of_the_visitor(Calendar.weekday),
        "local.date": _of_the_visitor(Calendar.date),
    }


def _of_the_visitor(read: Callable[[Calendar, float], Any]) -> Derive:
    """The same by the visitor's own clock, where the zone is known."""

    def derive(facts: Facts) -> Any:
        now, zone = facts["now"], facts["local.zone"]
        if now is ABSENT or zone is ABSENT or (calendar := calendar_of(zone)) is None:
            return ABSENT
        try:
            return read(calendar, now)
        except (ValueError, OverflowError):
            return ABSENT  # the same

    return derive

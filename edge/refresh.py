"""Which snapshot is served now, and the one assignment that changes it.

A worker never fetches: the node's syncer writes verified parts to disk and moves a pointer; here
the pointer is looked at (one stat), and what it names is opened in small steps between requests.
Whatever fails, the last good snapshot serves on and `trouble` says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
from collections.abc import Callable, Generator, Iterable
from typing import Any, Protocol

from decisions.engine import NOTHING_PAUSED, Control, Decision
from decisions.facts import Facts
from decisions.ledger import visitor_key
from decisions.profile import Profile
from decisions.program import Program
from decisions.tables import Thresholds
from decisions.thresholds import turns_in
from edge.asked import Asked
from edge.exposure import HELD_OUT, NO_RULE, NO_VARIANT, Exposure
from edge.sinks.row import Decided
from snapshots.erased import Times
from snapshots.errors import SnapshotError
from snapshots.local import LocalCopy
from snapshots.manifest import Manifest
from snapshots.membership import Member
from snapshots.pauses import NO_PAUSES, Pauses
from snapshots.snapshot import Snapshot, open_steps

RETRY_S = 5.0  # before what did not open is tried again; something new is tried at once
MAX_PAGES = 256  # lists of slots that are remembered; a site has a few kinds of pages
PAST = 7  # versions before the last one whose names are kept: pages stay open over a few swaps
GC_ALLOCATIONS = 10_000  # between two rounds; the default of 700 is reached every other visit
_QUERY = "page.query."


class Names:
    """Slots, rules and variants of one version by number and back: `x` tokens carry numbers."""

    __slots__ = (
        "_experiments",
        "_holdout",
        "_phases",
        "_places",
        "_rules",
        "_slots",
        "_variants",
    )

    def __init__(self, program: Program) -> None:
        self._slots = tuple(program.slots)
        holdout = program.head.holdout
        self._holdout = holdout.name if holdout is not None else ""
        # One step of a swap, however many rules: C goes over them where it can.
        slots = program.slots.values()
        self._rules = tuple(tuple([rule.id for rule in slot.rules]) for slot in slots)
        split = [
            (rule, rule.split, slot.name)
            for slot in slots
            for rule in slot.rules
            if rule.split is not None
        ]
        self._variants = {rule.id: tuple(rule.arms) for rule, _, _ in split}
        self._phases = {rule.id: experiment.phase for rule, experiment, _ in split}
        self._experiments = {rule.id: slot for rule, _, slot in split}
        self._places = {
            name: (number, dict(zip(rules, range(len(rules)), strict=True)))
            for number, (name, rules) in enumerate(zip(self._slots, self._rules, strict=True))
        }

    def numbers(self, decision: Decision) -> tuple[int, int, int]:
        """Slot, rule and variant of a decision for a slot that there is."""
        slot, places = self._places[decision.slot]
        rule = places[decision.rule] if decision.rule else NO_RULE
        if not decision.variant:
            return slot, rule, HELD_OUT if decision.holdout else NO_VARIANT
        return slot, rule, self._variants[decision.rule].index(decision.variant)

    def slot_of(self, experiment: str) -> str | None:
        """The slot that an experiment is about; None if there is no such experiment."""
        return self._experiments.get(experiment)

    def decided(self, exposure: Exposure) -> Decided:
        """What an exposure of this version says, in names. Raises IndexError for a token that was
        signed over other numbers."""
        slot = self._slots[exposure.slot]
        rule = "" if exposure.rule == NO_RULE else self._rules[exposure.slot][exposure.rule]
        unsplit = exposure.variant in (NO_VARIANT, HELD_OUT)
        variant = "" if unsplit else self._variants.get(rule, ())[exposure.variant]
        return Decided(
            snapshot=exposure.version,
            slot=slot,
            rule=rule,
            variant=variant,
            probability=round(exposure.probability, 5),
            at=exposure.at_s,
            visitor=exposure.visitor.hex(),
            facts=exposure.facts.hex(),
            holdout=self._holdout if exposure.variant == HELD_OUT else "",
            phase=0 if unsplit else self._phases[rule],
        )


class Turns:
    """The thresholds of a kind of page, and when the clock reaches the next of them: worked out
    once until then, for everybody."""

    __slots__ = ("_from_s", "_until_s", "is_personal", "thresholds")

    def __init__(self, thresholds: Thresholds) -> None:
        self.thresholds, self.is_personal = thresholds, thresholds.is_personal
        self._from_s = self._until_s = 0.0

    def ahead_s(self, facts: Facts) -> float:
        """Seconds until then; as `turns_in` says."""
        now_s = facts.now_s
        if not self._from_s <= now_s < self._until_s:
            self._from_s, self._until_s = now_s, now_s + turns_in(self.thresholds, facts)
        return self._until_s - now_s


class Serving:
    """A snapshot and what follows from it once and for all. Immutable; a visit pins one."""

    __slots__ = (
        "_order",
        "_orders",
        "_turns",
        "asked",
        "control",
        "erased",
        "learning",
        "membership",
        "names",
        "program",
        "query_keys",
        "sensitive",
        "snapshot",
        "version",
    )

    def __init__(self, snapshot: Snapshot, control: Control = NOTHING_PAUSED) -> None:
        self.snapshot, self.control = snapshot, control
        self.erased = _lists(snapshot, {})  # empty, as a rule: then nobody is looked up
        self.program, self.membership = snapshot.program, snapshot.membership
        self.version = snapshot.version
        self.learning = self.program.learning
        self.sensitive = self.learning.sensitive
        self.names = Names(self.program)
        self._order = {name: number for number, name in enumerate(self.program.slots)}
        self._orders: dict[tuple[str, ...], list[str]] = {}  # of the pages that asked before
        self._turns: dict[tuple[str, ...], Turns | None] = {}  # the same
        self.asked: Asked[Any] = Asked()  # what `Reception` keeps of its last requests
        self.query_keys = tuple(
            name.removeprefix(_QUERY)
            for name in self.program.schema.attributes
            if name.startswith(_QUERY)
        )

    def obeying(self, control: Control) -> Serving:
        """The same under another control; what was known in a request is found out anew."""
        other = copy.copy(self)
        other.control, other.asked = control, Asked()
        return other

    def forgetting(self, waiting: Times) -> Serving:
        """The same with these erasures of the node's own, which no snapshot lists yet."""
        other = copy.copy(self)
        other.erased, other.asked = _lists(self.snapshot, waiting), Asked()
        return other

    def erased_s(self, hash_: int) -> int | None:
        """When it was asked to forget whose hash this is; None if it was not."""
        return max((at_s for get in self.erased if (at_s := get(hash_)) is not None), default=None)

    def is_erased(self, profile: Profile) -> bool:
        """Whether a profile must not be known any more: its visitor asked for it, or the customer
        whom it knows did, and it is from before that."""
        if not self.erased or not profile.visitor:
            return False
        if self.erased_s(visitor_key(self.program.key_salt, profile.visitor)) is not None:
            return True
        at_s = self.erased_s(profile.customer) if profile.customer else None
        return at_s is not None and profile.first_seen_s <= at_s

    def member(self, customer: int) -> Member | None:
        """What the builder knew of a customer, unless it is to be forgotten."""
        if self.membership is None or (self.erased and self.erased_s(customer) is not None):
            return None
        return self.membership.lookup(customer)

    def bought(self, customer: int) -> list[int]:
        """The items that a customer bought last, by number, unless it is to be forgotten."""
        items = self.snapshot.recommendations
        if items is None or (self.erased and self.erased_s(customer) is not None):
            return []
        return items.bought(customer)

    def in_order(self, slots: Iterable[str]) -> list[str]:
        """Each of these slots once, in the playbook's order, in which a page is decided."""
        asked = tuple(slots)
        found = self._orders.get(asked)
        if found is None:
            order = self._order
            found = sorted(set(asked), key=lambda slot: (order.get(slot, -1), slot))
            if len(self._orders) >= MAX_PAGES:
                self._orders.clear()
            self._orders[asked] = found
        return found

    def turns(self, slots: Iterable[str]) -> Turns | None:
        """When time alone may change what these slots show, found once for each kind of page."""
        asked = tuple(slots)
        if asked in self._turns:
            return self._turns[asked]
        if len(self._turns) >= MAX_PAGES:
            self._turns.clear()
        table = self.program.thresholds(asked)
        found = self._turns[asked] = None if table is None else Turns(table)
        return found

    @property
    def built_at_s(self) -> int:
        """The moment that what is known of members stands for; 0 without any."""
        return self.membership.built_at_s if self.membership is not None else 0

    def is_stale(self, now_s: float) -> bool:
        """Whether it is past its date."""
        return self.snapshot.is_stale(now_s)


class Pointer(Protocol):
    """What a worker follows: `snapshots.local.LocalCopy`, or a fake."""

    def serving(self) -> Manifest | None:
        """What to serve now."""
        ...

    def control(self) -> Pauses | None:
        """What is stopped, None while no list is there."""
        ...


def control_of(pauses: Pauses) -> Control:
    """A control object as decisions know it."""
    return Control(pauses.rules, pauses.slots)


def _lists(snapshot: Snapshot, waiting: Times) -> tuple[Callable[[int], int | None], ...]:
    """How erasures are looked up, in the snapshot's list and in the node's own; none if empty."""
    listed = snapshot.erased.get if snapshot.erased else None
    return tuple(filter(None, (listed, waiting.get if waiting else None)))


Open = Callable[[Manifest], Generator[None, None, Snapshot]]


class Served:
    """The snapshot in service: `current` is read once per request."""

    def __init__(self, current: Snapshot | None = None) -> None:
        self.current: Serving | None = None if current is None else Serving(current)
        self._past: dict[int, Names] = {}
        self.control = NO_PAUSES
        self.waiting: Times = {}  # the node's own erasures, which no snapshot lists yet
        self.since_s = 0.0  # when the current one was opened
        self.trouble = ""  # why the newest is not the one in service, or ""
        self.is_draining = False  # told to stop: readiness fails, serving goes on
        self._failed: Manifest | None = None  # what did not open,
        self._failed_at = 0.0  # and when

    @property
    def is_ready(self) -> bool:
        """Whether requests should be sent here."""
        return self.current is not None and not self.is_draining

    async def look(self, pointer: Pointer, opened: Open, clock: Callable[[], float]) -> bool:
        """Opens what the pointer names, if that is new; True if the snapshot changed."""
        now, manifest = clock(), None
        self._obey(pointer)
        try:
            manifest = pointer.serving()
            if manifest is None or (self.current and self.current.snapshot.manifest == manifest):
                self.trouble, self._failed = "", None
                return False
            if manifest == self._failed and 0.0 <= now - self._failed_at < RETRY_S:
                return False
            current = await _driven(opened(manifest))
            current = current.obeying(control_of(self.control)).forgetting(self.waiting)
        except SnapshotError as error:
            self.trouble = f"{error.reason}: {error}"
            self._failed, self._failed_at = manifest, now
            return False
        pieces: list[object] = []
        if (before := self.current) is not None:
            self._past = {**dict(list(self._past.items())[-PAST:]), before.version: before.names}
            pieces = before.snapshot.pieces()
        self._serve(current)
        self.since_s, self.trouble, self._failed = clock(), "", None
        settle()
        del before
        await _let_go(pieces)
        return True

    def _serve(self, current: Serving) -> None:
        """The one assignment; the one before goes once no visit holds it."""
        before, self.current = self.current, current
        if before is not None:
            before.asked.clear()

    def forget(self, waiting: Times) -> None:
        """These are the node's own erasures now."""
        if waiting != self.waiting:
            self.waiting = waiting
            if self.current is not None:
                self._serve(self.current.forgetting(waiting))

    def _obey(self, pointer: Pointer) -> None:
        """What is stopped by now. A list that cannot be read, or that somebody deleted, ends no
        pause; the node says why, or puts it there again."""
        with contextlib.suppress(SnapshotError):
            pauses = pointer.control()
            if pauses is None or pauses == self.control:
                return
            self.control = pauses
            if self.current is not None:
                self._serve(self.current.obeying(control_of(pauses)))

    def decided(self, exposure: Exposure) -> Decided | None:
        """What was decided, in names, if that version is still known here."""
        current = self.current
        if current is not None and current.version == exposure.version:
            names: Names | None = current.names
        else:
            names = self._past.get(exposure.version)
        try:
            return None if names is None else names.decided(exposure)
        except IndexError:
            return None


def settle() -> None:
    """Takes what lives now out of the garbage collector's rounds: a pass over the objects of ten
    thousand rules would hold a request for milliseconds. What is let go is freed by its count;
    requests leave no cycles, so that a round every two or three of them finds nothing either."""
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 20)


async def _driven(steps: Generator[None, None, Snapshot]) -> Serving:
    """The snapshot of these steps, with room for requests between any two of them."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            snapshot: Snapshot = done.value
            await asyncio.sleep(0)
            serving = Serving(snapshot)
            del snapshot
            await asyncio.sleep(0)
            return serving
        await asyncio.sleep(0)


async def _let_go(pieces: list[object]) -> None:
    """Frees what was served before, with room for requests between any two pieces of it: all at
    once, ten thousand rules take several milliseconds. A visit that still holds it keeps it."""
    while pieces:
        await asyncio.sleep(0)
        pieces.pop()


def opener(local: LocalCopy) -> Open:
    """How the manifests of a local copy are opened."""
    return lambda manifest: open_steps(manifest, local.path_of)

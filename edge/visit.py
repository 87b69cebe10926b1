"""One request with its pinned snapshot, time, ids, grants and facts; from it, what each slot shows.

A visit reads nothing that is not granted: the profile is opened after the grants, and facts go
through the program's gate. It holds the only mutable thing of a request: the profile as it grows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from decisions.consent import (
    ANALYTICS,
    AUTHENTICATED,
    NEED_AN_ID,
    PERSONALIZATION,
)
from decisions.engine import MAX_STEPS, NOTHING, Circumstances, Decision, decide
from decisions.experiments import Units
from decisions.facts import Facts
from decisions.learn import hold
from decisions.measures import measured
from decisions.profile import (
    NOBODY,
    Profile,
    is_authenticated,
    live_session,
    profile_facts,
    seen_rules,
)
from decisions.reasons import Reason, Step
from decisions.tables import Slot
from edge.agents import BOT
from edge.cookies import Choice
from edge.exposure import Marks
from edge.fresh import Fresh
from edge.previews import Preview
from edge.refresh import Serving
from edge.sinks.rows import Rows
from edge.wire import Page
from snapshots.membership import Member


class Shown(msgspec.Struct, frozen=True, gc=False):
    """What one slot shows: its text, and the decision that led to it."""

    text: str
    decision: Decision
    is_json: bool = False


class Known(NamedTuple):
    """What is known and granted when a visit decides: the same for all its slots."""

    facts: Facts
    around: Circumstances


class Visit:
    """One request. `profile` changes as events are learnt; everything else stays."""

    __slots__ = (
        "choice",
        "context",
        "fresh",
        "is_bot",
        "marks",
        "now_s",
        "page",
        "preview",
        "profile",
        "serving",
        "told",
    )

    def __init__(
        self,
        serving: Serving,
        now_s: float,
        choice: Choice,
        profile: Profile,
        context: Mapping[str, Any],
        page: Page,
    ) -> None:
        self.serving, self.now_s, self.choice = serving, now_s, choice
        self.profile, self.context, self.page = profile, context, page
        self.is_bot = context.get("device.kind") == BOT  # nothing is known, learnt, logged or kept
        self.told: Rows | None = None  # what it leaves in the log so far
        self.marks: Marks | None = None  # what its `x` tokens say, once it was asked for
        self.fresh: Fresh | None = None  # what the site's server said of who it is
        self.preview: Preview | None = None  # of who may see more, and is not counted as a visitor

    @property
    def grants(self) -> int:
        """What is granted, and `AUTHENTICATED` while a sign-in counts."""
        grants = self.choice.grants
        if self.profile.customer and is_authenticated(self.profile, self.now_s):
            grants |= AUTHENTICATED
        return grants

    @property
    def may_keep(self) -> bool:
        """Whether anything but the choice itself may be kept on the device."""
        return bool(self.choice.grants & NEED_AN_ID) and not self.is_bot

    @property
    def is_logged(self) -> bool:
        """Whether rows may be written of this visit."""
        return bool(self.choice.grants & ANALYTICS) and not self.is_bot

    def rows(self) -> Rows:
        """What this visit leaves in the log, to be added to."""
        if (rows := self.told) is None:
            serving = self.serving
            rows = self.told = Rows(
                serving.version,
                serving.program.key_salt,
                serving.sensitive,
                self.now_s,
                self.choice,
                self.profile,
                self.page,
            )
        return rows

    def member(self) -> Member | None:
        """What the builder knew of who is signed in or recognised."""
        customer = self.profile.customer
        if not customer or not self.choice.grants & PERSONALIZATION:
            return None
        return self.serving.member(customer)

    def facts(self, grants: int) -> Facts:
        """What is known now, and granted. grants: of this visit."""
        program = self.serving.program
        sure = dict(self.context)
        if self.profile is not NOBODY:
            half_life_s = self.serving.learning.half_life_s
            sure |= profile_facts(self.profile, grants, self.now_s, half_life_s)
            has_measures = self.profile.measures or self.profile.distinct
            if has_measures and grants & PERSONALIZATION:
                sure |= measured(self.profile, self.serving.learning.measures, self.now_s)
        declared: dict[str, Any] = {}  # by the playbook, with types of its own
        if (member := self.member()) is not None:
            sure["segments"] = member.segments
            declared = declared_of(member)
        if self.fresh is None:
            return program.gate.flat(declared, grants, self.now_s, sure)
        serving = self.serving
        newer = self.fresh.over(sure, grants, serving.built_at_s, self.now_s, serving.sensitive)
        return program.gate.flat(declared, grants, self.now_s, sure, newer)

    def units(self, grants: int) -> Units | None:
        """The ids that experiments may split by. grants: of this visit."""
        profile = self.profile
        if not profile.visitor:
            return None
        customer = f"{profile.customer:016x}" if grants & AUTHENTICATED else ""
        return Units(visitor=profile.visitor, customer=customer, session=profile.session_id)

    def known(self, page: Collection[str] = ()) -> Known:
        """What deciding needs, for all slots of this visit. page: the fragments that its slots
        show so far; may grow."""
        grants = self.grants
        facts = self.facts(grants)
        around = self.serving.program.around(
            facts,
            unit=self.units(grants),
            seen=seen_rules(self.profile) if self.profile.caps else (),
            stale=self.serving.is_stale(self.now_s),
            shown=page,
            held=self._held(),
            forced=self.preview.variants if self.preview else NOTHING,
            control=self.serving.control,
        )
        return Known(facts, around)

    def _held(self) -> Sequence[str]:
        """The rules that hold a slot in this session."""
        if not self.choice.grants & PERSONALIZATION or self.profile.session is None:
            return ()
        session = live_session(self.profile, self.now_s)
        return session.held if session is not None else ()

    def hold(self, decision: Decision) -> None:
        """Remembers for this session what was shown, if its rule holds the slot."""
        learning = self.serving.learning
        if decision.rule in learning.held and decision.reason is not Reason.ERROR:
            self.profile = hold(self.profile, decision.rule, learning, self.choice.grants)

    def show(
        self,
        slot: str,
        known: Known,
        complain: Callable[[str, BaseException], None],
        *,
        explain: bool = False,
    ) -> Shown:
        """The decision and its text. A fragment that fails gives way to the slot's default, and
        that one to nothing. Never raises. explain: a step for every rule that was looked at."""
        program, facts = self.serving.program, known.facts
        place = program.slots.get(slot)
        if explain or place is None:
            decision = program.decided(slot, facts, known.around, explain)
        else:
            decision = decide(place, facts, known.around)
        is_json = place is not None and place.json
        try:
            return Shown(program.render(decision, facts), decision, is_json)
        except Exception as error:  # the shell around fragments: a page must not fail by one
            complain("render", error)
            return self._instead(place, decision, facts, complain)

    def _instead(
        self,
        place: Slot | None,
        decision: Decision,
        facts: Facts,
        complain: Callable[[str, BaseException], None],
    ) -> Shown:
        """What is shown in place of a fragment that did not render."""
        program = self.serving.program
        is_json = place is not None and place.json
        step = Step(decision.rule, Reason.ERROR, f"{decision.fragment} did not render")
        default = place.default if place is not None else ""
        decision = msgspec.structs.replace(
            decision,
            fragment=default,
            reason=Reason.ERROR,
            steps=(*decision.steps, step),
            rule=decision.rule if decision.experiment else "",  # it counts in its arm
            with_=NOTHING,
        )
        try:
            return Shown(program.render(decision, facts), decision, is_json)
        except Exception as error:  # the same
            complain("render-default", error)
        return Shown("", msgspec.structs.replace(decision, fragment=""), is_json)


def declared_of(member: Member) -> dict[str, Any]:
    """Traits and scores by attribute name, whatever is granted."""
    declared: dict[str, Any] = {f"traits.{name}": trait for name, trait in member.traits.items()}
    for name, score in member.scores.items():
        declared[f"scores.{name}"] = score
    return declared


def steps_shown(decision: Decision) -> list[Step]:
    """The steps that a reply carries: the last ones, for they hold what decided."""
    return list(decision.steps[-MAX_STEPS:])

"""Events in; a profile that learnt from them, and rows for the log, out. The consent gate is here.

An event that is not granted leaves no row and teaches nothing; it is counted by type. One that the
playbook does not declare is refused by itself, and the batch goes on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from decisions.consent import AUTHENTICATED, PERSONALIZATION
from decisions.events import ERASE, IDENTIFY, SEEN, SIGN_OUT, Event
from decisions.interest import fade
from decisions.learn import begin, seen, signed_in, signed_out
from decisions.ledger import row_key, visitor_key
from decisions.lesson import Lesson
from decisions.profile import Profile, is_authenticated
from edge.cookies import Choice
from edge.erasures import Erasures
from edge.exposure import NO_VISITOR, Exposures, Sighting, Sightings, visitor_hash
from edge.identify import Identities
from edge.metrics import Metrics
from edge.refresh import Served
from edge.sinks.consents import ConsentRows
from edge.sinks.row import Decided, Row
from edge.sinks.sink import Sink
from edge.sinks.trail import Trail
from edge.tokens import Refusal
from edge.visit import Visit
from edge.wire import ForgottenReply, RefusedEvent

EVENTS = 'edgewise_events_total{{type="{}"}}'
OF_BOTS = "edgewise_events_of_bots_total"
UNLOGGED = "edgewise_events_without_analytics_total"
REPEATED = "edgewise_events_repeated_total"
STRANGE = "edgewise_interest_keys_unknown_total"
REFUSED = 'edgewise_events_refused_total{{code="{}"}}'
ERASURES = 'edgewise_erasures_total{{who="{}"}}'
X = 'edgewise_exposures_total{{result="{}"}}'


class Taken(NamedTuple):
    """What came of one event: a code and a detail if it was refused; the decision it answers."""

    code: str = ""
    detail: str = ""
    decided: Decided | None = None


TAKEN = Taken()


class Intake:
    """Takes what a page reports."""

    def __init__(
        self,
        served: Served,
        exposures: Exposures,
        identities: Identities,
        sink: Sink,
        metrics: Metrics,
        new_id: Callable[[float], str],
        erasures: Erasures,
        trail: Trail,
    ) -> None:
        """new_id: a fresh UUID for a visitor at this time."""
        self._erasures, self._trail = erasures, trail
        self._served, self._exposures, self._identities = served, exposures, identities
        self._sink, self._metrics, self._new_id = sink, metrics, new_id
        self._sightings = Sightings()
        self._prefix, self._numbers = new_id(0.0)[-12:], itertools.count()
        self._reserved = {IDENTIFY: self._identify, SIGN_OUT: self._sign_out, SEEN: self._seen}

    def begin(self, visit: Visit) -> None:
        """A visit begins: an id where one may be kept, a session that goes on or starts. Not for a
        bot."""
        if visit.is_bot:
            return
        profile = visit.profile
        fresh = "" if profile.visitor else self._new_id(visit.now_s)
        visit.profile = begin(
            profile,
            visit.choice.grants,
            visit.now_s,
            fresh,
            visit.context.get("utm.campaign", ""),
        )

    def take(
        self,
        visit: Visit,
        batch: Iterable[tuple[int, Event]],
        refused: Iterable[RefusedEvent] = (),
        *,
        teach: bool = True,
    ) -> list[RefusedEvent]:
        """Learns from the events in their order and logs what may be logged; those that were not
        taken come back, in their order, too. refused: those of the batch that could not be read.
        teach: False only logs, because these events come again. Those of a bot are counted, and
        that is all.
        """
        if visit.is_bot:
            self._metrics.count(OF_BOTS, sum(1 for _ in batch))
            return [*refused]
        refused = [*refused]
        is_logged = visit.is_logged
        lesson: Lesson | None = None  # of the events since the last reserved one
        for index, event in batch:
            take = self._reserved.get(event.type)
            if take is None:
                if lesson is None:
                    lesson = _lesson(visit)
                taken = self._declared(visit, event, lesson if teach else None)
            else:
                if lesson is not None:
                    visit.profile, lesson = lesson.learnt(), None
                taken = take(visit, event, teach)
            if taken.code:
                refused.append(RefusedEvent(index, taken.code, taken.detail))
                continue
            self._metrics.count((EVENTS, event.type))
            if is_logged:
                visit.rows().events.append((event, taken.decided))
            else:
                self._metrics.count(UNLOGGED)
        if lesson is not None:
            visit.profile = lesson.learnt()
        for one in refused:
            self._metrics.count((REFUSED, one.code))
        return sorted(refused, key=lambda one: one.index)

    def _declared(self, visit: Visit, event: Event, lesson: Lesson | None) -> Taken:
        if event.type not in visit.serving.learning.events:
            what = f"expected an event type that the playbook declares, got {event.type!r}"
            return Taken("undeclared", f"{what} - at `$.type`")
        if lesson is not None:
            self._learn(visit, event, lesson)
        return self._answered(visit, event) if event.x else TAKEN

    def _seen(self, visit: Visit, event: Event, teach: bool) -> Taken:
        answered = self._answered(visit, event)
        if teach and (decided := answered.decided) and decided.rule:
            learning, grants = visit.serving.learning, visit.choice.grants
            # By its x: the cap counts a decision once, whichever event says that it was seen.
            visit.profile = seen(
                visit.profile, decided.rule, learning, grants, visit.now_s, event.x
            )
        return answered

    def _answered(self, visit: Visit, event: Event) -> Taken:
        """The decision that an event answers; a token that is not ours, or another visitor's,
        refuses a `seen`, and is left out of any other event."""
        opened = self._exposures.open(event.x, visit.now_s)
        if isinstance(opened, Refusal):
            self._metrics.count((X, opened.value))
            if event.type != SEEN:
                return TAKEN
            return Taken(f"x-{opened.value.replace('_', '-')}", "expected an x of ours - at `$.x`")
        if opened.visitor not in (NO_VISITOR, visitor_hash(visit.profile.visitor)):
            self._metrics.count((X, "foreign"))
            if event.type != SEEN:
                return TAKEN
            return Taken("x-foreign", "expected an x of this visitor's - at `$.x`")
        sighting = Sighting.FIRST
        if event.type == SEEN and opened.visitor != NO_VISITOR:  # strangers may share an x
            sighting = self._sightings.note(event.x, event.id)
        if sighting is Sighting.REPLAYED:
            self._metrics.count((X, sighting))
            return Taken("x-replayed", "expected an x that was not seen before - at `$.x`")
        decided = self._served.decided(opened)
        result = "good" if decided else "forgotten"
        self._metrics.count((X, result if sighting is Sighting.FIRST else sighting))
        return Taken(decided=decided)

    def _sign_out(self, visit: Visit, event: Event, teach: bool) -> Taken:
        if teach and visit.profile.visitor:
            # A new id with it: rows must not tie the next person at this device to this one.
            self.log(visit)
            visit.profile = signed_out(visit.profile, self._new_id(visit.now_s), event.id)
            # Without a campaign: whoever signed out came by it, not who comes next.
            visit.profile = begin(visit.profile, visit.choice.grants, visit.now_s, "")
        return TAKEN

    def _learn(self, visit: Visit, event: Event, lesson: Lesson) -> None:
        if not lesson.learn(event):
            if lesson.is_repeat(event):
                self._metrics.count(REPEATED)
            return
        learning = visit.serving.learning
        may_tell = visit.choice.grants & PERSONALIZATION
        if may_tell and event.category not in learning.known and learning.strangers(event):
            self._metrics.count(STRANGE)

    def _identify(self, visit: Visit, event: Event, teach: bool) -> Taken:
        """Signs in whom the token names, with the interests that the builder saw, as they stand
        now."""
        identity, problem = self._identities.read(event.token, visit.now_s)
        if identity is None:
            return Taken("bad-identify-token", problem)
        if not teach or not visit.choice.grants & PERSONALIZATION:
            return TAKEN
        serving = visit.serving
        key = visitor_key(serving.program.key_salt, identity.customer)
        interests: dict[str, float] = {}
        if member := serving.member(key):
            age_s = visit.now_s - member.weighed_at_s
            half_life_s = serving.learning.half_life_s
            interests = {
                name: fade(weight, age_s, half_life_s) for name, weight in member.interests.items()
            }
        self.log(visit)
        visit.profile = signed_in(
            visit.profile,
            key,
            visit.now_s + identity.auth_s,
            interests,
            serving.learning,
            visit.choice.grants,
            visit.now_s,
            visitor=self._new_id(visit.now_s),
            event_id=event.id,
            recognised_s=identity.recognised_s,
            # From before that customer was forgotten: as theirs it would be forgotten, too.
            anew=serving.is_erased(msgspec.structs.replace(visit.profile, customer=key)),
        )
        return TAKEN

    def forget(self, visit: Visit) -> ForgottenReply:
        """Forgets the visitor, and the customer if that is who is signed in: on this node at once,
        everywhere when the row that is written here has reached the publisher. It is written
        whatever is granted: without it nobody else would know. Raises NotKept.
        """
        profile, at_s = visit.profile, int(visit.now_s)
        is_signed_in = bool(visit.grants & AUTHENTICATED)
        told = ForgottenReply(visitor=bool(profile.visitor), customer=is_signed_in)
        if not told.visitor:
            return told
        key = visitor_key(visit.serving.program.key_salt, profile.visitor)
        times = {key: at_s}
        if is_signed_in:
            times[profile.customer] = at_s
        self._erasures.add(times)
        self._served.forget(self._erasures.waiting())
        row = Row(
            id=self.row_id(),
            type=ERASE,
            at=visit.now_s,
            received=visit.now_s,
            visitor=f"{key:016x}",
            customer=f"{profile.customer:016x}" if is_signed_in else "",
        )
        self._sink.put([row])
        for who in ("visitor", "customer")[: len(times)]:
            self._metrics.count((ERASURES, who))
        return told

    def fresh_id(self, now_s: float) -> str:
        """An id for a visitor who has none yet."""
        return self._new_id(now_s)

    def agree(
        self, choice: Choice, who: Profile, now_s: float, tcf: str = "", denied: int = 0
    ) -> None:
        """Writes who chose what, when, how, to which text; whatever is granted: it proves that.
        who: NOBODY where no id is. tcf: the TC string it came as. denied: the purposes that a
        signal takes away."""
        visitor = customer = ""
        if (serving := self._served.current) and who.visitor:
            visitor = row_key(serving.program.key_salt, who.visitor)
            if who.customer and is_authenticated(who, now_s):
                customer = f"{who.customer:016x}"
        rows = ConsentRows(self._trail, choice, now_s, visitor, customer, tcf, denied)
        self._sink.put(rows)

    def row_id(self) -> str:
        """An id for a row whose decision leaves without an `x`."""
        return f"{self._prefix}-{next(self._numbers):x}"

    def log(self, visit: Visit) -> None:
        """Hands over what a visit leaves in the log; what it does later begins anew."""
        if rows := visit.told:  # and not empty
            visit.told = None
            self._sink.put(rows)


def _lesson(visit: Visit) -> Lesson:
    return Lesson(visit.profile, visit.serving.learning, visit.choice.grants, visit.now_s)

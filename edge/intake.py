"""Events in; a profile that learnt from them, and rows for the log, out. The consent gate is here.

An event that is not granted leaves no row and teaches nothing; it is counted by type. One that the
playbook does not declare is refused by itself, and the batch goes on.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from decisions import consent
from decisions.consent import PERSONALIZATION, SENSITIVE
from decisions.engine import Decision
from decisions.events import IDENTIFY, SEEN, SIGN_OUT, Event
from decisions.interest import fade
from decisions.learn import begin, is_repeat, learn, seen, signed_in, signed_out
from decisions.ledger import visitor_key
from edge.exposure import NO_VISITOR, Exposures, visitor_hash
from edge.identify import Identities
from edge.metrics import Metrics
from edge.refresh import Served
from edge.sinks.row import SERVED, Decided, Row
from edge.sinks.sink import Sink
from edge.tokens import Refusal
from edge.visit import Marks, Visit
from edge.wire import RefusedEvent

EVENTS = 'edgewise_events_total{{type="{}"}}'
UNLOGGED = "edgewise_events_without_analytics_total"
REPEATED = "edgewise_events_repeated_total"
STRANGE = "edgewise_interest_keys_unknown_total"
REFUSED = 'edgewise_events_refused_total{{code="{}"}}'
X = 'edgewise_exposures_total{{result="{}"}}'


@functools.lru_cache(maxsize=1_024)
def _counter(type_: str) -> str:
    return EVENTS.format(type_)


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
    ) -> None:
        """new_id: a fresh UUID for a visitor at this time."""
        self._served, self._exposures, self._identities = served, exposures, identities
        self._sink, self._metrics, self._new_id = sink, metrics, new_id
        self._prefix, self._numbers = new_id(0.0)[-12:], itertools.count()
        self._reserved = {IDENTIFY: self._identify, SIGN_OUT: self._sign_out, SEEN: self._seen}

    def begin(self, visit: Visit) -> None:
        """A visit begins: an id where one may be kept, a session that goes on or starts."""
        profile = visit.profile
        fresh = "" if profile.visitor else self._new_id(visit.now_s)
        visit.profile = begin(profile, visit.choice.grants, visit.now_s, fresh)

    def take(
        self, visit: Visit, batch: Iterable[tuple[int, Event]], *, teach: bool = True
    ) -> list[RefusedEvent]:
        """Learns from the events in their order and logs what may be logged; those that were not
        taken come back. teach: False only logs, because these events come again.
        """
        refused: list[RefusedEvent] = []
        for index, event in batch:
            take = self._reserved.get(event.type, self._declared)
            taken = take(visit, event, teach)
            if taken.code:
                self._metrics.count(REFUSED.format(taken.code))
                refused.append(RefusedEvent(index, taken.code, taken.detail))
                continue
            self._metrics.count(_counter(event.type))
            if visit.is_logged:
                self._log(visit, event, taken.decided)
            else:
                self._metrics.count(UNLOGGED)
        return refused

    def _log(self, visit: Visit, event: Event, decided: Decided | None) -> None:
        serving = visit.serving
        is_withheld = serving.withholds(event) and not visit.choice.grants & SENSITIVE
        self._sink.put(functools.partial(event_row, _about(visit), event, decided, is_withheld))

    def _declared(self, visit: Visit, event: Event, teach: bool) -> Taken:
        if event.type not in visit.serving.learning.events:
            what = f"expected an event type that the playbook declares, got {event.type!r}"
            return Taken("undeclared", f"{what} - at `$.type`")
        if teach:
            self._learn(visit, event)
        return self._answered(visit, event) if event.x else TAKEN

    def _seen(self, visit: Visit, event: Event, teach: bool) -> Taken:
        answered = self._answered(visit, event)
        if teach and (decided := answered.decided) and decided.rule:
            learning, grants = visit.serving.learning, visit.choice.grants
            visit.profile = seen(
                visit.profile, decided.rule, learning, grants, visit.now_s, event.id
            )
        return answered

    def _answered(self, visit: Visit, event: Event) -> Taken:
        """The decision that an event answers; a token that is not ours, or another visitor's,
        refuses a `seen`, and is left out of any other event."""
        opened = self._exposures.open(event.x, visit.now_s)
        if isinstance(opened, Refusal):
            self._metrics.count(X.format(opened.value))
            if event.type != SEEN:
                return TAKEN
            return Taken(f"x-{opened.value.replace('_', '-')}", "expected an x of ours - at `$.x`")
        if opened.visitor not in (NO_VISITOR, visitor_hash(visit.profile.visitor)):
            self._metrics.count(X.format("foreign"))
            if event.type != SEEN:
                return TAKEN
            return Taken("x-foreign", "expected an x of this visitor's - at `$.x`")
        decided = self._served.decided(opened)
        self._metrics.count(X.format("good" if decided else "forgotten"))
        return Taken(decided=decided)

    def _sign_out(self, visit: Visit, event: Event, teach: bool) -> Taken:
        if teach and visit.profile.visitor:
            # A new id with it: rows must not tie the next person at this device to this one.
            visit.profile = signed_out(visit.profile, self._new_id(visit.now_s), event.id)
            visit.about = None
            self.begin(visit)
        return TAKEN

    def _learn(self, visit: Visit, event: Event) -> None:
        learning, before = visit.serving.learning, visit.profile
        after = learn(before, event, learning, visit.choice.grants, visit.now_s)
        if after is before:
            if is_repeat(before, event.id):
                self._metrics.count(REPEATED)
            return
        may_tell = visit.choice.grants & PERSONALIZATION
        if may_tell and event.category not in learning.known and learning.strangers(event):
            self._metrics.count(STRANGE)
        visit.profile = after

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
        if serving.membership is not None and (member := serving.membership.lookup(key)):
            age_s = visit.now_s - member.built_at_s
            half_life_s = serving.learning.half_life_s
            interests = {
                name: fade(weight, age_s, half_life_s) for name, weight in member.interests.items()
            }
        visit.about = None
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
        )
        return TAKEN

    def row_id(self) -> str:
        """An id for a row whose decision leaves without an `x`."""
        return f"{self._prefix}-{next(self._numbers):x}"

    def served(self, visit: Visit, marks: Marks, decision: Decision, id_: str) -> None:
        """One decision leaves in a reply: a row of it. Only for a visit that is logged."""
        self._sink.put(functools.partial(served_row, _about(visit), marks, decision, id_))


def event_row(
    about: dict[str, Any], event: Event, decided: Decided | None, is_withheld: bool
) -> Row:
    """The log's row of an event.

    about: what every row of its visit says. is_withheld: it is about sensitive values without
    their opt-in; they are left out, and with them the item, the brand and the page that would tell
    them.
    """
    if is_withheld:
        about = about | {"page": ""}
        return Row(id=event.id, type=event.type, at=event.at, x=decided, **about)
    return Row(
        id=event.id,
        type=event.type,
        at=event.at,
        item=event.item,
        category=event.category,
        brand=event.brand,
        price=event.price,
        quantity=event.quantity,
        x=decided,
        **about,
    )


def served_row(about: dict[str, Any], marks: Marks, decision: Decision, id_: str) -> Row:
    """The log's row of a decision."""
    now_s = about["received"]
    decided = Decided(
        snapshot=about["snapshot"],
        slot=decision.slot,
        rule=decision.rule,
        variant=decision.variant,
        probability=round(decision.probability, 5),
        at=int(now_s),
        visitor=marks.visitor.hex(),
        facts=marks.facts.hex(),
        holdout=decision.holdout,
        phase=decision.phase,
    )
    return Row(id=id_, type=SERVED, at=now_s, x=decided, **about)


def _about(visit: Visit) -> dict[str, Any]:
    """What every row says of its visit."""
    if visit.about is not None:
        return visit.about
    profile, page = visit.profile, visit.page
    withheld = page.category in visit.serving.sensitive and not visit.choice.grants & SENSITIVE
    visit.about = {
        "received": visit.now_s,
        "visitor": profile.visitor,
        "customer": f"{profile.customer:016x}" if profile.customer else "",
        "session": profile.session_id,
        "grants": consent.names(visit.choice.grants),
        "policy": visit.choice.policy,
        "snapshot": visit.serving.version,
        "page": "" if withheld else page.path.partition("?")[0],
    }
    return visit.about

"""A visit's decisions as replies carry them: rendered, signed, counted, logged where granted."""

from __future__ import annotations

import functools
import time
from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

import msgspec

from decisions import consent, thresholds
from decisions.engine import Decision
from decisions.explain import because
from decisions.reasons import Reason
from edge import choosing, wire
from edge.cookies import Choice
from edge.exchange import Reply
from edge.exposure import Marks, visitor_hash
from edge.problems import NEVER_STORED, Header, Headers
from edge.services import Services
from edge.visit import Known, Shown, Visit, steps_shown

PREVIEWED = 'edgewise_preview_decisions_total{{slot="{}",reason="{}"}}'
DECISIONS = 'edgewise_decisions_total{{slot="{}",reason="{}"}}'

Noted: TypeAlias = list[tuple[str, Decision, Marks]]

JSON = (b"content-type", b"application/json")


def decided(
    services: Services, visit: Visit, slots: Collection[str]
) -> tuple[list[wire.Shown], Known]:
    """What each slot shows, decided in the playbook's order, told in the order asked; and what
    was known.

    Never raises for what is inside a rule or a fragment.
    """
    shown: dict[str, Shown] = {}
    page: set[str] = set()
    known = visit.known(page)
    marks = marks_of(services, visit, known)
    tells = are_names_told(services, visit)
    for slot in visit.serving.in_order(slots):
        made = shown[slot] = show(services, visit, slot, known, tells)
        if made.text:
            page.add(made.decision.fragment)
            if visit.preview is None:
                visit.hold(made.decision)
    noted = visit.rows().decisions if visit.is_logged and visit.preview is None else None
    carried = [_carried(services, visit, marks, shown[slot], noted) for slot in slots]
    if tells:
        carried = [
            _told(services, visit, reply, shown[reply.slot].decision, known) for reply in carried
        ]
    return carried, known


def granted(
    services: Services, headers: Mapping[bytes, bytes], choice: Choice
) -> wire.ConsentReply:
    """What replies say of a choice: what is granted now, and what of it a signal takes away."""
    reception, policy = services.reception, services.config.policy
    denied = reception.terms.denied(headers)
    withheld = consent.names(choice.grants & denied)
    return wire.ConsentReply(
        consent.names(choice.grants & ~denied),
        int(choice.at_s),
        choice.how,
        choice.policy,
        choosing.must_ask(choice, policy) and not reception.is_bot(headers),
        withheld or msgspec.UNSET,
    )


def next_in(visit: Visit, slots: Collection[str], known: Known) -> int:
    """After how many seconds time alone could change what these slots show; 0 for never."""
    next_s = _turns_in(visit, slots, known)
    if (until_s := visit.profile.recognised_until_s) and (
        left_s := thresholds.whole_s(until_s - visit.now_s)
    ):
        return min(next_s, left_s) if next_s else left_s  # then nobody is known any more
    return next_s


def _turns_in(visit: Visit, slots: Collection[str], known: Known) -> int:
    """The same, but for that whoever signed in is not recognised for ever."""
    turns = visit.serving.turns(slots)
    if turns is None:
        return 0
    facts = known.facts
    ahead_s = turns.ahead_s(facts)
    if not turns.is_personal:
        return thresholds.whole_s(ahead_s)
    until_s = float(visit.profile.authenticated_until_s)
    return thresholds.next_in(turns.thresholds, facts, known.around.seen, until_s, ahead_s)


def marks_of(services: Services, visit: Visit, known: Known) -> Marks:
    """What `x` says of who saw it, and by which facts it was decided."""
    if visit.marks is None:
        visitor, facts = visitor_hash(visit.profile.visitor), known.facts.digest()
        version, at_s = visit.serving.version, int(visit.now_s)
        sign = services.exposures.signer(version, at_s, visitor, facts)
        visit.marks = Marks(visitor, facts, sign)
    return visit.marks


def without_snapshot(services: Services, slots: Iterable[str]) -> list[wire.Shown]:
    """What slots show while there is nothing to decide with: the page keeps its own."""
    reason = Reason.NO_SNAPSHOT if services.config.dev else msgspec.UNSET
    shown = [wire.Shown(slot, html="", reason=reason) for slot in slots]
    for _ in shown:
        services.metrics.count((DECISIONS, "", Reason.NO_SNAPSHOT))
    return shown


def show(services: Services, visit: Visit, slot: str, known: Known, tells: bool) -> Shown:
    """One decision and its text, counted. tells: `are_names_told`, of the whole visit."""
    shown = visit.show(slot, known, services.complaints.about, explain=tells)
    if slot not in visit.serving.program.slots:
        slot = ""  # a counter per name that somebody made up: no
    series = DECISIONS if visit.preview is None else PREVIEWED
    services.metrics.count((series, slot, shown.decision.reason))
    return shown


def are_names_told(services: Services, visit: Visit) -> bool:
    """Whether replies name rules, fragments and reasons: to who builds the site."""
    return services.config.dev or visit.preview is not None


def is_told(shown: Shown) -> bool:
    """Whether a `served` row tells of it: something is shown, or an experiment was met. A variant
    that shows nothing, or does not render, counts in its arm as the others do in theirs."""
    return bool(shown.text or shown.decision.experiment or shown.decision.holdout)


def log(visit: Visit, marks: Marks, decision: Decision, id_: str) -> None:
    """Notes the `served` row of a decision that leaves, if rows may be written."""
    if visit.is_logged and visit.preview is None:
        visit.rows().decisions.append((id_, decision, marks))


def _carried(
    services: Services, visit: Visit, marks: Marks, shown: Shown, noted: Noted | None
) -> wire.Shown:
    """A decision as every reply carries it; its `x` signed. noted: where its row is noted, if it
    may be."""
    text, decision = shown.text, shown.decision
    x = ""
    if visit.preview is None and is_told(shown):
        if text:
            numbers = visit.serving.names.numbers(decision)
            x = marks.sign(*numbers, decision.probability)
        if noted is not None:
            noted.append((x or services.intake.row_id(), decision, marks))
    if shown.is_json:
        return wire.Shown(decision.slot, json=msgspec.Raw(text.encode()), x=x)
    return wire.Shown(decision.slot, html=text, x=x)


def _told(
    services: Services, visit: Visit, reply: wire.Shown, decision: Decision, known: Known
) -> wire.Shown:
    """The same with names and reasons, for who builds the site."""
    return msgspec.structs.replace(
        reply,
        fragment=decision.fragment,
        variant=decision.variant,
        reason=decision.reason,
        because=_because(services, visit, decision, known),
        steps=steps_shown(decision),
        snapshot=visit.serving.version,
    )


def _because(services: Services, visit: Visit, decision: Decision, known: Known) -> str:
    try:
        return because(visit.serving.program, decision, known.facts)
    except Exception as error:  # a page must not fail by what is said of it
        services.complaints.about("explain", error)
        return ""


def json_reply(
    services: Services,
    reply: msgspec.Struct,
    started_ns: int,
    cookies: Iterable[bytes] = (),
    status: int = 200,
) -> Reply:
    """A reply in JSON that nobody may store. started_ns: `perf_counter_ns` when work
    began."""
    body = wire.encode(reply)
    headers: Headers = [JSON, *personal(services, started_ns, len(body))]
    headers.extend((b"set-cookie", cookie) for cookie in cookies)
    return Reply(status, headers, body)


def personal(services: Services, started_ns: int, length: int) -> Headers:
    """The headers of a reply that is one visitor's alone, its time measured."""
    took_ns = time.perf_counter_ns() - started_ns
    services.took(took_ns)
    return [_length(length), *NEVER_STORED, _timing(took_ns // 1_000)]


@functools.lru_cache(maxsize=4_096)
def _length(length: int) -> Header:
    return b"content-length", b"%d" % length


@functools.lru_cache(maxsize=4_096)
def _timing(took_us: int) -> Header:
    return b"server-timing", b"decide;dur=%.3f" % (took_us / 1e3)

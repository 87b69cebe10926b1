"""POST v1/visit: learn what happened, decide every slot, write the new cookie; one trip."""

from __future__ import annotations

import time

from decisions.consent import NEED_AN_ID
from edge import answers, exchange, wire
from edge.exchange import Reply, Scope
from edge.services import Services


def visit(services: Services, scope: Scope, headers: dict[bytes, bytes], body: bytes) -> Reply:
    """The reply of one page view. Raises Refused."""
    config = services.config
    exchange.check_may_write(headers, config.origins)
    asked = wire.visit_body(body, config.max_slots, config.max_events)
    started_ns = time.perf_counter_ns()
    serving = services.served.current
    if serving is None:
        return _unready(services, headers, asked, started_ns)
    visit = services.reception.arrive(serving, headers, asked.page)
    visit.preview = services.previews.read(asked.preview)
    services.intake.begin(visit)
    batch, refused = wire.events(asked.events)
    is_limited = bool(batch) and not services.allows(scope, headers, len(batch))
    if is_limited:
        refused += [
            wire.RefusedEvent(place, "rate-limited", "expected fewer") for place, _ in batch
        ]
        batch = []
    refused = services.intake.take(visit, batch, refused)
    if asked.facts and asked.slots:
        salt = serving.program.key_salt
        grants = visit.choice.grants
        visit.fresh = services.fresh.read(asked.facts, visit.profile, grants, salt, visit.now_s)
    decisions, known = answers.decided(services, visit, asked.slots)
    services.intake.log(visit)
    next_in = answers.next_in(visit, asked.slots, known)
    reply = wire.VisitReply(decisions, visit.may_keep, is_limited, refused, next_in)
    cookies = services.reception.cookies(visit, headers)
    return answers.json_reply(services, reply, started_ns, cookies)


def _unready(
    services: Services, headers: dict[bytes, bytes], asked: wire.VisitBody, started_ns: int
) -> Reply:
    """Nothing to decide with, nothing to learn by: the page keeps its own, and its events for
    later; the cookie stays."""
    decisions = answers.without_snapshot(services, asked.slots)
    refused = [
        wire.RefusedEvent(place, "no-snapshot", "this edge has no snapshot yet")
        for place in range(len(asked.events))
    ]
    reception = services.reception
    keep = bool(reception.choice(headers).grants & NEED_AN_ID) and not reception.is_bot(headers)
    reply = wire.VisitReply(decisions, keep=keep, retry=bool(refused), refused=refused)
    return answers.json_reply(services, reply, started_ns)

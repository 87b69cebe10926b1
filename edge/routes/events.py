"""POST v1/events: a batch, as JSON or as the text of a beacon, when a page goes away; 202."""

from __future__ import annotations

import time

from edge import answers, exchange, wire
from edge.errors import Refused
from edge.exchange import Reply, Scope
from edge.ratelimit import WINDOW_S
from edge.services import Services


def report(services: Services, scope: Scope, headers: dict[bytes, bytes], body: bytes) -> Reply:
    """The receipt of a batch. Raises Refused."""
    config = services.config
    exchange.check_may_write(headers, config.origins)
    told = wire.events_body(body, config.max_events)
    started_ns = time.perf_counter_ns()
    batch, refused = wire.events(told.events)
    if batch and not services.allows(scope, headers, len(batch)):
        most = config.events_per_minute
        raise Refused(
            429, "too-many-events", f"expected at most {most} a minute", retry_after_s=WINDOW_S
        )
    serving = services.served.current
    if serving is None:
        raise Refused(503, "no-snapshot", "this edge has no snapshot yet", retry_after_s=5)
    visit = services.reception.arrive(serving, headers, told.page)
    if not told.resend:
        services.intake.begin(visit)
    refused = services.intake.take(visit, batch, refused, teach=not told.resend)
    services.intake.log(visit)
    cookies = () if told.resend else services.reception.cookies(visit, headers)
    accepted = len(told.events) - len(refused)
    reply = wire.EventsReply(accepted, refused)
    return answers.json_reply(services, reply, started_ns, cookies, 202)

"""DELETE v1/me: who asks is forgotten, on this node at once, everywhere within a stated bound."""

from __future__ import annotations

import time

from edge import answers, exchange, wire
from edge.choosing import SEC_GPC
from edge.errors import NotKept, Refused
from edge.exchange import Reply, Scope
from edge.services import WINDOW_S, Services

COST = 20  # events that one erasure counts as: it waits for the disk
RETRY_S = 5


def forget(services: Services, scope: Scope, headers: dict[bytes, bytes], _: bytes) -> Reply:
    """Who is forgotten; the reply leaves no cookie. Raises Refused."""
    config = services.config
    exchange.check_may_write(headers, config.origins)
    started_ns = time.perf_counter_ns()
    serving = services.served.current
    if serving is None:
        raise Refused(503, "no-snapshot", "this edge has no snapshot yet", retry_after_s=RETRY_S)
    if not services.allows(scope, headers, COST):
        most = config.events_per_minute // COST
        raise Refused(
            429, "too-many-events", f"expected at most {most} a minute", retry_after_s=WINDOW_S
        )
    headers.pop(SEC_GPC, None)  # what must not be used is erased all the same
    # Who is taken for a bot by mistake is a person with a right to this.
    visit = services.reception.arrive(serving, headers, wire.NO_PAGE, bots_too=True)
    try:
        told = services.intake.forget(visit)
    except NotKept as error:
        services.complaints.about("erase", error)
        raise Refused(
            503, "not-kept", "this edge cannot keep an erasure just now", retry_after_s=RETRY_S
        ) from error
    return answers.json_reply(services, told, started_ns, services.reception.forget())

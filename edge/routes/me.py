"""GET and DELETE v1/me: what is held of who asks, and why they see what they see; to be forgotten,
here at once, everywhere within a stated bound.

Only pages of the site itself may ask. To read changes nothing.
"""

from __future__ import annotations

import time

from edge import access_page, answers, exchange, wire
from edge.access import access
from edge.choosing import SEC_GPC
from edge.errors import NotKept, Refused
from edge.exchange import Reply, Scope
from edge.ratelimit import WINDOW_S
from edge.refresh import Serving
from edge.services import Services

COST = 20  # events that one erasure counts as: it waits for the disk
READ_COST = 5  # and to tell everything: it decides every slot and says why
RETRY_S = 5

_VARY = (b"vary", b"accept")


def tell(services: Services, scope: Scope, headers: dict[bytes, bytes], _: bytes) -> Reply:
    """What is held, as JSON or, for who likes that better, as a page. Raises Refused."""
    config, reception = services.config, services.reception
    exchange.check_may_write(headers, config.origins)
    started_ns = time.perf_counter_ns()
    query = exchange.query_of(scope, config.max_query_bytes)
    serving = _serving(services, scope, headers, READ_COST)
    page = wire.page_of(wire.query(query))
    # Who is taken for a bot by mistake is a person with a right to this.
    visit = reception.arrive(serving, headers, page, bots_too=True)
    seen = reception.arrive(serving, headers, page) if visit.is_bot else visit
    choice = answers.granted(services, headers, reception.choice(headers, bots_too=True))
    told = access(visit, seen, choice, config, services.complaints.about)
    if not exchange.prefers_html(headers):
        reply = answers.json_reply(services, told, started_ns)
        return Reply(reply.status, [*reply.headers, _VARY], reply.body)
    body = access_page.page(told, serving.program.schema).encode("utf-8", "replace")
    personal = answers.personal(services, started_ns, len(body))
    return Reply(200, [*access_page.HEADERS, *personal, _VARY], body)


def forget(services: Services, scope: Scope, headers: dict[bytes, bytes], _: bytes) -> Reply:
    """Who is forgotten; the reply leaves no cookie. Raises Refused."""
    exchange.check_may_write(headers, services.config.origins)
    started_ns = time.perf_counter_ns()
    serving = _serving(services, scope, headers, COST)
    headers.pop(SEC_GPC, None)  # what must not be used is erased all the same
    visit = services.reception.leave(serving, headers)
    try:
        told = services.intake.forget(visit)
    except NotKept as error:
        services.complaints.about("erase", error)
        raise Refused(
            503, "not-kept", "this edge cannot keep an erasure just now", retry_after_s=RETRY_S
        ) from error
    return answers.json_reply(services, told, started_ns, services.reception.forget())


def _serving(services: Services, scope: Scope, headers: dict[bytes, bytes], cost: int) -> Serving:
    """What is served. Raises Refused while nothing is, and for who asks too often."""
    serving = services.served.current
    if serving is None:
        raise Refused(503, "no-snapshot", "this edge has no snapshot yet", retry_after_s=RETRY_S)
    limit = services.config.events_per_minute
    cost = min(cost, limit)  # a right that a low limit must not take away
    if not services.allows(scope, headers, cost):
        most = limit // cost
        raise Refused(
            429, "too-many-events", f"expected at most {most} a minute", retry_after_s=WINDOW_S
        )
    return serving

"""GET v1/fragments and v1/fragments/{slot}: decide only. Nothing is learnt, no cookie written.

These never fail a page: what goes wrong inside is counted and answered with the slot's default, or
with nothing.
"""

from __future__ import annotations

import time

from edge import answers, exchange, wire
from edge.exchange import Reply, Scope
from edge.problems import Headers
from edge.services import Services

PREVIEW = "preview"
_PREVIEWED = b"preview="
# Who opens a fragment as a page of its own looks at it: nothing in it runs. Where it is part of a
# page, that page's policy counts, and not this one.
_LOOKED_AT = b"default-src 'none'; img-src *; style-src 'unsafe-inline'; sandbox"
_HTML: Headers = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", _LOOKED_AT),
]
_JSON: Headers = [answers.JSON]


def many(services: Services, scope: Scope, headers: dict[bytes, bytes], _: bytes) -> Reply:
    """The decisions of several slots as JSON. Raises Refused."""
    started_ns = time.perf_counter_ns()
    asked = wire.query(exchange.query_of(scope, services.config.max_query_bytes))
    slots = [slot for slot in asked.get("slots", "").split(",") if slot]
    wire.check_slots(slots, services.config.max_slots)
    serving = services.served.current
    if serving is None:
        reply = wire.VisitReply(answers.without_snapshot(services, slots))
        return answers.json_reply(services, reply, started_ns)
    visit = services.reception.arrive(serving, headers, wire.page_of(asked))
    visit.preview = services.previews.read(asked.get(PREVIEW, ""))
    decisions = answers.decided(services, visit, slots)[0]
    reply = wire.VisitReply(decisions, keep=visit.may_keep)
    services.intake.log(visit)
    return answers.json_reply(services, reply, started_ns)


def one(services: Services, scope: Scope, headers: dict[bytes, bytes], _: bytes) -> Reply:
    """The HTML (or JSON) of one slot, for ESI, SSI and HTMX. Raises Refused."""
    started_ns = time.perf_counter_ns()
    slot = scope["path"].rpartition("/v1/fragments/")[2]
    query = exchange.query_of(scope, services.config.max_query_bytes)
    serving = services.served.current
    if serving is None:
        answers.without_snapshot(services, [slot])
        return empty(services)
    preview = None
    if _PREVIEWED in query:
        preview = services.previews.read(wire.query(query).get(PREVIEW, ""))
    visit, known = services.reception.ask(serving, headers, query, preview)
    shown = answers.show(services, visit, slot, known, answers.are_names_told(services, visit))
    if visit.is_logged and answers.is_told(shown):
        marks, row_id = answers.marks_of(services, visit, known), services.intake.row_id()
        answers.log(visit, marks, shown.decision, row_id)
        services.intake.log(visit)
    body = shown.text.encode()
    kind = _JSON if shown.is_json else _HTML
    return Reply(200, [*kind, *answers.personal(services, started_ns, len(body))], body)


def empty(services: Services) -> Reply:
    """Nothing, politely."""
    return Reply(200, [*_HTML, *answers.personal(services, time.perf_counter_ns(), 0)], b"")


def none(services: Services) -> Reply:
    """No decisions, politely: every slot keeps its own."""
    return answers.json_reply(services, wire.VisitReply([]), time.perf_counter_ns())

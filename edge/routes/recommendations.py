"""GET v1/users/{id}/recommendations: ranked items, for servers; nothing is kept, nothing logged."""

from __future__ import annotations

import time

from edge import answers, exchange, recommending, wire
from edge.apikeys import RECOMMENDATIONS
from edge.exchange import Reply, Scope
from edge.recommending import RecommendationsReply
from edge.services import Services

_PREFIX, _SUFFIX = "/v1/users/", "/recommendations"


def ranked(services: Services, scope: Scope, headers: dict[bytes, bytes], _: bytes) -> Reply:
    """The items; none while there is no snapshot. Raises Refused."""
    started_ns = time.perf_counter_ns()
    services.callers.admit(scope, headers, RECOMMENDATIONS)
    query = wire.query(exchange.query_of(scope, services.config.max_query_bytes))
    customer = scope["path"].partition(_PREFIX)[2].removesuffix(_SUFFIX)
    asked = recommending.read(customer, query)
    serving = services.served.current
    if serving is None:
        return answers.json_reply(services, RecommendationsReply([], 0), started_ns)
    found = recommending.recommend(serving, asked)
    return answers.json_reply(services, RecommendationsReply(found, serving.version), started_ns)

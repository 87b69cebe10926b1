"""The composition root: settings in, an ASGI application out; the only place that knows every part.

What pages wait for is looked up and answered before any framework; what is asked seldom goes
through Starlette's router. Whatever fails inside is counted, said once a minute in the log, and
answered without: a fragment never fails a page.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge import exchange, openapi
from edge.apikeys import ApiKeys
from edge.callers import Callers
from edge.choosing import terms_of
from edge.config import Config
from edge.connections import CLOSE, Connections
from edge.context import Context
from edge.cookies import DAY_S, CookieJar, new_visitor
from edge.cors import Cors
from edge.erasures import Erasures
from edge.errors import Refused
from edge.exchange import Receive, Reply, Scope, Send
from edge.exposure import Exposures
from edge.fresh import FreshFacts
from edge.identify import Identities
from edge.intake import Intake
from edge.keyring import KeyRing
from edge.metrics import Metrics
from edge.oauth import AccessTokens, TokenKeys
from edge.previews import Previews
from edge.proxies import Proxies
from edge.ratelimit import RateLimit
from edge.reception import Reception
from edge.refresh import Served
from edge.routes import (
    assets,
    choices,
    events,
    fragments,
    me,
    ofrep,
    preview,
    recommendations,
    visits,
)
from edge.services import DECIDE, Complaints, Services
from edge.sinks.sink import ListSink, Sink
from edge.sinks.trail import Trail
from edge.tokens import Refusal

REPLIES = 'edgewise_replies_total{{route="{}",status="{}"}}'
COOKIES_REFUSED = 'edgewise_cookies_refused_total{{cookie="{}",reason="{}"}}'

Answer = Callable[[Services, Scope, dict[bytes, bytes], bytes], Reply]
Background = Callable[[], Coroutine[Any, Any, None]]


def create_services(
    config: Config,
    ring: Callable[[], KeyRing],
    *,
    identify: Callable[[], KeyRing] | None = None,
    api_keys: Callable[[], ApiKeys] = ApiKeys,
    oauth: Callable[[], TokenKeys] | None = None,
    served: Served | None = None,
    sink: Sink | None = None,
    metrics: Metrics | None = None,
    clock: Callable[[], float] = time.time,
    trail: Trail | None = None,
) -> Services:
    """Every part, by name; tests hand in fakes. ring: gives the cookie keys of the moment,
    identify: those of the site; without them nobody can sign in, and no facts token counts.
    api_keys, oauth: those of its servers, and of its authorization server. trail: of consents, this
    process's own if None."""
    served = served or Served()
    sink = sink or ListSink()
    counters = metrics or Metrics()
    exposures, proxies = Exposures(ring), Proxies(config, counters.count)
    erasures = Erasures(Path(config.cache), clock)

    def refused(cookie: str, reason: Refusal) -> None:
        counters.count(COOKIES_REFUSED.format(cookie, reason.value))

    def new_id(now_s: float) -> str:
        return new_visitor(now_s, os.urandom(10))

    jar = CookieJar(
        ring,
        path=config.cookies_at,
        sealed=config.seal_cookies,
        profile_days=config.profile_days,
        consent_days=config.consent_days,
        recognised_days=config.recognised_days,
        cached=config.max_tokens_cached,
        refused=refused,
    )
    return Services(
        config=config,
        clock=clock,
        proxies=proxies,
        served=served,
        reception=Reception(jar, ring, Context(config), clock, counters.count, terms_of(config)),
        exposures=exposures,
        previews=Previews(ring, counters, clock),
        fresh=FreshFacts(identify, counters),
        intake=Intake(
            served,
            exposures,
            Identities(identify, config.recognised_days * DAY_S),
            sink,
            counters,
            new_id,
            erasures,
            trail or Trail(),
        ),
        sink=sink,
        metrics=counters,
        took=counters.timer(DECIDE),
        erasures=erasures,
        limit=RateLimit(config.events_per_minute, config.max_clients, clock),
        callers=_callers(config, api_keys, oauth, proxies, counters, clock),
        complaints=Complaints(counters, clock, verbatim=config.dev),
        connections=Connections(config.max_connections),
    )


def _callers(
    config: Config,
    api_keys: Callable[[], ApiKeys],
    oauth: Callable[[], TokenKeys] | None,
    proxies: Proxies,
    metrics: Metrics,
    clock: Callable[[], float],
) -> Callers:
    """Who may ask server routes."""
    issuer, audience = config.oauth_issuer, config.oauth_audience
    return Callers(
        api_keys,
        AccessTokens(oauth, issuer, audience) if oauth else None,
        proxies,
        metrics,
        clock,
        per_minute=config.server_calls_per_minute,
        most_clients=config.max_clients,
    )


class Entry(NamedTuple):
    """One route. otherwise: the reply when answering fails for a reason of ours."""

    method: str
    path: str
    name: str
    answer: Answer
    otherwise: Callable[[Services], Reply] = lambda services: exchange.refusal(
        Refused(500, "internal", "this request could not be answered")
    )


ROUTES = (
    Entry("POST", "/v1/visit", "visit", visits.visit),
    Entry("POST", "/v1/events", "events", events.report),
    Entry("GET", "/v1/fragments", "fragments", fragments.many, fragments.none),
    Entry("GET", "/v1/fragments/{slot:path}", "fragment", fragments.one, fragments.empty),
    Entry("GET", "/v1/consent", "consent", choices.read),
    Entry("PUT", "/v1/consent", "consent", choices.write),
    Entry("GET", "/v1/me", "me", me.tell),
    Entry("DELETE", "/v1/me", "me", me.forget),
    Entry("GET", "/v1/users/{id:path}/recommendations", "recommendations", recommendations.ranked),
    Entry("POST", "/ofrep/v1/evaluate/flags", "flags", ofrep.many),
    Entry("POST", "/ofrep/v1/evaluate/flags/{key:path}", "flag", ofrep.one),
    Entry("GET", "/loader.js", "loader", assets.loader),
    Entry("GET", "/engagement.js", "engagement", assets.engagement),
    Entry("GET", "/openapi.json", "openapi", assets.described),
    Entry("GET", "/preview", "preview", preview.preview),
    Entry("GET", "/healthz", "healthz", assets.health),
    Entry("GET", "/readyz", "readyz", assets.readiness),
)
WELL_KNOWN = (
    Entry("GET", "/.well-known/gpc.json", "gpc", assets.gpc),
)  # of the host, not the mount
_FRAGMENT = ROUTES[3]


class Edge:
    """The public application."""

    def __init__(
        self,
        services: Services,
        start: Background | None = None,
        stop: Background | None = None,
        *,
        body_s: float | None = None,
    ) -> None:
        """start, stop: what the server's lifespan runs besides. body_s: how long a client may
        take to send a body; None where no event loop runs."""
        mount = services.config.mount
        self.services, self._count = services, services.metrics.count
        self._headers, self._connections = services.proxies.headers, services.connections
        self._start, self._stop, self._body_s = start, stop, body_s
        self._slot = f"{mount}/v1/fragments/"
        paths = [(mount + entry.path, entry) for entry in ROUTES]
        paths += [(entry.path, entry) for entry in WELL_KNOWN]
        self._hot = {(entry.method, path): entry for path, entry in paths if "{" not in path}
        openapi.document(services.config)  # made now, so that nobody waits for it
        self._other = Starlette(
            routes=self._routes(paths), exception_handlers={HTTPException: _told}
        )
        self._other.router.redirect_slashes = False  # it would send people where `Host` says
        self._cors = Cors(services.config.origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or lives through a lifespan."""
        if scope["type"] != "http":
            await self._lifespan(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        if self._cors.lets_somebody:
            send = self._cors.readable(scope, send)
        if method == "GET" and path.startswith(self._slot):
            entry: Entry | None = _FRAGMENT
        else:
            entry = self._hot.get((method, path))
        if entry is None:
            await self._seldom(scope, receive, send)
            return
        if method == "GET":  # no body to wait for
            reply = self._reply(entry, scope, self._headers(scope), b"")
        else:
            reply = await self._answer(entry, scope, receive)
        told = [*reply.headers, CLOSE] if self._connections.are_short else reply.headers
        await send({"type": "http.response.start", "status": reply.status, "headers": told})
        await send({"type": "http.response.body", "body": reply.body})

    async def _seldom(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Preflights, HEAD, 404, 405."""
        if reply := self._cors.preflight(scope):
            self._count((REPLIES, "preflight", reply.status))
            await exchange.send_reply(send, reply)
        else:
            await self._other(scope, receive, send)

    async def _answer(self, entry: Entry, scope: Scope, receive: Receive) -> Reply:
        headers, body = self._headers(scope), b""
        if entry.method != "GET":
            try:
                most = self.services.config.max_body_bytes
                body = await exchange.read_body(headers, receive, most, self._body_s)
            except Exception as error:
                reply = self._instead(entry, error)
                self._count((REPLIES, entry.name, reply.status))
                return reply
        return self._reply(entry, scope, headers, body)

    def _reply(self, entry: Entry, scope: Scope, headers: dict[bytes, bytes], body: bytes) -> Reply:
        try:
            reply = entry.answer(self.services, scope, headers, body)
        except Exception as error:
            reply = self._instead(entry, error)
        self._count((REPLIES, entry.name, reply.status))
        return reply

    def _instead(self, entry: Entry, error: Exception) -> Reply:
        """What is answered where answering failed: one request fails, politely; never the page or
        the worker."""
        if isinstance(error, Refused):
            return exchange.refusal(error)
        self.services.complaints.about(entry.name, error)
        return entry.otherwise(self.services)

    def _routes(self, paths: Iterable[tuple[str, Entry]]) -> list[Route]:
        """One for each path, so that a method that it does not have is told of all that it has."""
        methods: dict[str, dict[str, Entry]] = {}
        for path, entry in paths:
            methods.setdefault(path, {})[entry.method] = entry
        return [
            Route(path, self._endpoint(entries), methods=[*entries])
            for path, entries in methods.items()
        ]

    def _endpoint(self, entries: dict[str, Entry]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            entry = entries["GET" if request.method == "HEAD" else request.method]
            return _response(await self._answer(entry, request.scope, request.receive))

        return endpoint

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            return  # a websocket: there is none here
        await receive()
        if self._start:
            await self._start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._stop:
            await self._stop()
        await send({"type": "lifespan.shutdown.complete"})


def _response(reply: Reply) -> Response:
    response = Response(reply.body, reply.status)
    response.raw_headers = list(reply.headers)
    return response


async def _told(request: Request, error: Exception) -> Response:
    """404 and 405 as problem documents."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = (error.headers if isinstance(error, HTTPException) else None) or {}
    code, detail, allowed = "refused", str(error), ""
    if status == 404:
        path = request.scope["path"][:128]
        code, detail = "not-found", f"expected a path of docs/http-api.md, got {path}"
    elif status == 405:
        allowed = ", ".join(sorted(headers["Allow"].split(", ")))
        code, detail = "method-not-allowed", f"expected {allowed}, got {request.method[:16]}"
    response = _response(exchange.refusal(Refused(status, code, detail)))
    if allowed:
        response.raw_headers.append((b"allow", allowed.encode()))
    return response

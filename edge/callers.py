"""Servers that ask: headers in; who it is and what it may, out, or a refusal that says what to do.

Server routes are for the site's own servers, with a credential, and for no page: what a page sends,
everybody can read. No cookie is looked at here, and no credential is ever logged, counted or told.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from edge.apikeys import API_KEY_FILE, PREFIX, ApiKeys
from edge.errors import Refused
from edge.exchange import Scope
from edge.metrics import Metrics
from edge.oauth import AccessTokens, Client
from edge.proxies import Proxies, household
from edge.ratelimit import RateLimit
from edge.tokens import Refusal

CALLS = 'edgewise_server_calls_total{{caller="{}",result="{}"}}'
FAILURES_PER_MINUTE = 60  # of one address; a server with an old key asks on, and is told so
MAX_CREDENTIAL = 4_096  # bytes; an access token with its claims is about 1 KiB
OAUTH = "oauth:*"  # no name of a key; what all clients of the authorization server are counted as

REALM = 'Bearer realm="edgewise"'
_OK, _NONE, _PAGE, _SCOPE, _LIMITED = "ok", "none", "page", "scope", "limited"
_BEARER, _KEY = b"bearer ", PREFIX.encode()
_FAILING = "expected fewer requests with a credential that does not count"
_NO_KEYS = (
    f"expected a credential, and this edge knows none: make {API_KEY_FILE} with"
    " `edgewise keys api new`"
)


class Caller(msgspec.Struct, frozen=True):
    """A server that asks. name: of its credential, the same in metrics; clients of an authorization
    server are one there, for nobody bounds how many they are. scopes: what it may."""

    name: str
    scopes: frozenset[str]
    counted_as: str


class Callers:
    """Who may ask server routes. keys: gives the API keys of the moment; tokens: reads access
    tokens, None where no issuer is trusted."""

    def __init__(
        self,
        keys: Callable[[], ApiKeys],
        tokens: AccessTokens | None,
        proxies: Proxies,
        metrics: Metrics,
        clock: Callable[[], float],
        *,
        per_minute: int,
        most_clients: int,
    ) -> None:
        """per_minute: of one caller. most_clients: addresses whose failures are
        remembered."""
        self._keys, self._tokens = keys, tokens
        self._proxies, self._metrics, self._clock = proxies, metrics, clock
        self._most = per_minute
        self._calls = RateLimit(per_minute, most_clients, clock)
        self._failures = RateLimit(FAILURES_PER_MINUTE, most_clients, clock)

    def admit(self, scope: Scope, headers: dict[bytes, bytes], needs: str, cost: int = 1) -> Caller:
        """Who asks, if it may do what `needs` says. cost: what it counts as for its limit. Raises
        Refused: 403 for a page, 401 for no credential that counts, 403 for one without the scope,
        429 beyond a limit."""
        self._refuse_pages(headers)
        caller = self._known(scope, headers)
        if needs not in caller.scopes:
            self._count(caller.counted_as, _SCOPE)
            may = " and ".join(sorted(caller.scopes)) or "nothing"
            raise Refused(
                403,
                "insufficient-scope",
                f"expected a credential with scope {needs}, got one for {may}",
                challenge=f'{REALM}, error="insufficient_scope", scope="{needs}"',
            )
        if not self._calls.allows(caller.name, min(cost, self._most)):
            self._count(caller.counted_as, _LIMITED)
            raise _too_many("expected fewer requests with this credential")
        self._count(caller.counted_as, _OK)
        return caller

    def _refuse_pages(self, headers: dict[bytes, bytes]) -> None:
        """Raises Refused for what a browser sent on behalf of a page, of this site or another."""
        if b"origin" in headers or b"sec-fetch-site" in headers:
            self._count("", _PAGE)
            what = "expected a server that asks, got a page: a credential in it is everybody's"
            raise Refused(403, "not-for-pages", what)

    def _known(self, scope: Scope, headers: dict[bytes, bytes]) -> Caller:
        """Raises Refused."""
        sent = _sent(headers)
        if not sent:
            self._count("", _NONE)
            knows = bool(self._keys().keys) or self._tokens is not None
            what = "expected Authorization: Bearer, or X-API-Key" if knows else _NO_KEYS
            raise Refused(401, "unauthorized", what, challenge=REALM)
        address = household(self._proxies.client(scope, headers))
        if len(sent) > MAX_CREDENTIAL:
            raise self._failed(address, Refusal.OVERSIZED)
        if self._tokens is not None and not sent.startswith(_KEY):
            return self._client(self._tokens, sent, address)
        found = self._keys().find(sent, self._clock())
        if isinstance(found, Refusal):
            raise self._failed(address, found)
        return Caller(found.name, frozenset(found.scopes), found.name)

    def _client(self, tokens: AccessTokens, sent: bytes, address: str) -> Caller:
        """Who has this access token. To verify one costs as much as a visit, so that an address
        that failed too often is not verified. Raises Refused."""
        now_s = self._clock()
        found: Client | Refusal | None = tokens.recall(sent, now_s)
        if found is None:
            if self._failures.is_spent(address):
                self._count("", _LIMITED)
                raise _too_many(_FAILING)
            found = tokens.read(sent, now_s)
        if isinstance(found, Refusal):
            raise self._failed(address, found)
        return Caller(f"oauth:{found.id}", found.scopes, OAUTH)

    def _failed(self, address: str, why: Refusal) -> Refused:
        """What is answered to a credential that does not count: one that is past its date is told
        so, all others alike."""
        self._count("", why.value)
        if not self._failures.allows(address, 1):
            return _too_many(_FAILING)
        is_over = why is Refusal.EXPIRED
        told = "one that is past its date" if is_over else "another"
        return Refused(
            401,
            "unauthorized",
            f"expected a credential that this edge knows, got {told}",
            challenge=f'{REALM}, error="invalid_token"',
        )

    def _count(self, name: str, result: str) -> None:
        self._metrics.count((CALLS, name, result))


def _too_many(what: str) -> Refused:
    return Refused(429, "too-many-requests", what, retry_after_s=1)


def _sent(headers: dict[bytes, bytes]) -> bytes:
    """The credential, b"" for none. Of two the bearer's counts, and the other is not looked at."""
    authorization, key = headers.get(b"authorization", b""), headers.get(b"x-api-key", b"")
    if authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    return key.strip()

"""Pages of other origins: a preflight in, its answer out; replies that configured origins may read.

An origin is one of the settings by every character, or foreign; there is no `*`, as replies are one
visitor's. Where no origin is configured, nothing here is on a reply's way.
"""

from __future__ import annotations

from collections.abc import Collection, MutableMapping
from typing import Any

from edge.errors import Refused
from edge.exchange import Reply, Scope, Send, refusal
from edge.problems import NEVER_STORED, Header, Headers

METHODS = "GET, HEAD, POST, PUT, DELETE"
MAX_AGE_S = 7_200  # longer is cut by browsers
_ASKED = b"access-control-request-method"
_VARY: Header = (b"vary", b"origin")
_PREFLIGHT: Headers = [
    (b"access-control-allow-methods", METHODS.encode()),
    (b"access-control-allow-headers", b"content-type"),
    (b"access-control-max-age", b"%d" % MAX_AGE_S),
    *NEVER_STORED,
]


class Cors:
    """Who may ask from elsewhere, with their cookies, and read what comes."""

    def __init__(self, origins: Collection[str]) -> None:
        """origins: such as https://m.example.com, as browsers write them."""
        self._allowed: dict[bytes, Headers] = {
            origin.encode(): [
                _VARY,
                (b"access-control-allow-origin", origin.encode()),
                (b"access-control-allow-credentials", b"true"),
                (b"access-control-expose-headers", b"retry-after"),
            ]
            for origin in origins
        }
        self.lets_somebody = bool(origins)

    def preflight(self, scope: Scope) -> Reply | None:
        """The answer to a browser that asks whether a page may ask; None for any other request."""
        if scope["method"] != "OPTIONS":
            return None
        headers: dict[bytes, bytes] = dict(scope["headers"])
        origin = headers.get(b"origin")
        if origin is None or _ASKED not in headers:
            return None
        allowed = self._allowed.get(origin)
        if allowed is None:
            came = origin.decode("latin-1")[:128]
            return refusal(
                Refused(403, "foreign-origin", f"expected an origin of the settings, got {came}")
            )
        return Reply(204, [*allowed, *_PREFLIGHT], b"")

    def readable(self, scope: Scope, send: Send) -> Send:
        """A `send` whose replies say which page may read them."""
        origin = next((value for name, value in scope["headers"] if name == b"origin"), b"")
        more = self._allowed.get(origin, [_VARY])

        async def told(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        return told

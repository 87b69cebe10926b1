"""GET loader.js, engagement.js, openapi.json, gpc.json, healthz, readyz: the page's scripts; what
there is to ask; Global Privacy Control is heeded; alive; has a snapshot."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edge import openapi
from edge.answers import JSON
from edge.exchange import Reply, Scope
from edge.problems import Headers
from edge.services import Services

STATIC = Path(__file__).parent.parent / "static"
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_JAVASCRIPT = (b"content-type", b"text/javascript; charset=utf-8")
_NO_STORE = (b"cache-control", b"no-store")
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_BRIEFLY = (b"cache-control", b"public, max-age=300")

_VERSION = b"x-edgewise-version"  # of a `readyz` reply, with --dev

# With --dev the script looks which version is served, and reloads the page when that changes.
_RELOAD = b"""
;(() => {
  const ready = new URL('readyz', document.currentScript.src);
  let was;
  setInterval(() => document.hidden || fetch(ready).then(reply => {
    const now = reply.headers.get('x-edgewise-version');
    if (was && now && now !== was) location.reload();
    was = now || was;
  }).catch(() => {}), 400);
})();
"""


class _Script:
    """A script as it is answered: by its tag, and with --dev never kept."""

    def __init__(self, name: str, with_dev: bytes = b"") -> None:
        """with_dev: what is behind it with --dev."""
        self._text = (STATIC / name).read_bytes()
        self._with_dev = self._text + with_dev
        self._etag = b'"%s"' % hashlib.sha256(self._text).hexdigest()[:16].encode()

    def reply(self, headers: dict[bytes, bytes], *, dev: bool) -> Reply:
        if dev:
            size = (b"content-length", b"%d" % len(self._with_dev))
            return Reply(200, [_JAVASCRIPT, size, _NO_STORE, _NO_SNIFFING], self._with_dev)
        common: Headers = [
            (b"etag", self._etag),
            (b"cache-control", b"public, max-age=300, stale-while-revalidate=86400"),
            _NO_SNIFFING,
        ]
        asked = headers.get(b"if-none-match", b"")
        if self._etag in asked or asked.strip() == b"*":
            return Reply(304, common, b"")
        length = (b"content-length", b"%d" % len(self._text))
        return Reply(200, [_JAVASCRIPT, length, *common], self._text)


_LOADER, _ENGAGEMENT = _Script("loader.min.js", _RELOAD), _Script("engagement.min.js")


def loader(services: Services, _: Scope, headers: dict[bytes, bytes], __: bytes) -> Reply:
    """200 with the script, or 304 for who has it. Anybody may keep it for five minutes."""
    return _LOADER.reply(headers, dev=services.config.dev)


def engagement(services: Services, _: Scope, headers: dict[bytes, bytes], __: bytes) -> Reply:
    """The same of what the loader fetches where its tag has `data-engagement`."""
    return _ENGAGEMENT.reply(headers, dev=services.config.dev)


def described(services: Services, _: Scope, __: dict[bytes, bytes], ___: bytes) -> Reply:
    """The OpenAPI document, the same until this process ends."""
    body = openapi.document(services.config)
    length = (b"content-length", b"%d" % len(body))
    return Reply(200, [JSON, length, _BRIEFLY, _NO_SNIFFING], body)


_GPC = b'{"gpc": true, "lastUpdate": "2026-11-27"}\n'  # when we last read what it asks for


def gpc(_: Services, __: Scope, ___: dict[bytes, bytes], ____: bytes) -> Reply:
    """That Sec-GPC is heeded, for whoever asks the host (https://w3c.github.io/gpc/)."""
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(_GPC)),
        (b"cache-control", b"public, max-age=86400"),
        _NO_SNIFFING,
    ]
    return Reply(200, headers, _GPC)


def health(_: Services, __: Scope, ___: dict[bytes, bytes], ____: bytes) -> Reply:
    """Alive: this process answers."""
    return _said(200, b"alive\n")


def readiness(services: Services, _: Scope, __: dict[bytes, bytes], ___: bytes) -> Reply:
    """Ready: it has a snapshot, and was not told to stop."""
    served = services.served
    if served.is_ready:
        reply = _said(200, b"ready\n")
        if services.config.dev and served.current is not None:
            reply.headers.append((_VERSION, b"%d" % served.current.version))
        return reply
    return _said(503, b"draining\n" if served.is_draining else b"no snapshot yet\n")


def _said(status: int, text: bytes) -> Reply:
    return Reply(
        status, [_TEXT, (b"content-length", b"%d" % len(text)), _NO_STORE, _NO_SNIFFING], text
    )

"""One HTTP exchange in plain ASGI: the body in, within its limit; a reply out; who may write.

No class of a framework is built for a request: the hot routes are functions of headers, query and
body to a Reply.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Mapping,
    MutableMapping,
)
from typing import Any

import msgspec

from edge.errors import Refused
from edge.problems import Headers, document

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_ACCEPT = 1_024  # bytes of the header that are looked at; a browser sends 0.2 KiB

_DIGITS = 18  # of a content-length
_WEIGHT = re.compile(rb"(0(\.\d{0,3})?|1(\.0{0,3})?)", re.ASCII)
_FRIENDLY = {b"same-origin", b"same-site", b"none"}


class Reply(msgspec.Struct, frozen=True, gc=False):
    """Status, headers (`content-length` included) and body."""

    status: int
    headers: Headers
    body: bytes


def refusal(refused: Refused) -> Reply:
    """The problem document of a refusal."""
    return Reply(*document(refused))


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """The request's headers by lower-case name; several `cookie` lines (HTTP/2) become one."""
    pairs = scope["headers"]
    headers: dict[bytes, bytes] = dict(pairs)
    if len(headers) != len(pairs) and b"cookie" in headers:
        headers[b"cookie"] = b"; ".join(value for name, value in pairs if name == b"cookie")
    return headers


async def read_body(
    headers: dict[bytes, bytes], receive: Receive, most: int, within_s: float | None = None
) -> bytes:
    """The whole body. Raises Refused beyond `most` bytes, before reading them if they are
    announced; and when it is not there `within_s` seconds, None for ever."""
    announced = headers.get(b"content-length", b"0")
    if not announced.isdigit() or len(announced) > _DIGITS or int(announced) > most:
        raise _too_large(most, announced[: _DIGITS + 1].decode("latin-1"))
    if within_s is None:
        return await _whole(receive, most)
    try:
        async with asyncio.timeout(within_s):
            return await _whole(receive, most)
    except TimeoutError:
        raise Refused(
            408, "body-too-slow", f"expected the whole body within {within_s:g} s"
        ) from None


async def _whole(receive: Receive, most: int) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body") and len(body) <= most:
        message = await receive()
        body += message.get("body", b"")
    if len(body) > most:
        raise _too_large(most, f"more than {most}")
    return body


def _too_large(most: int, got: str) -> Refused:
    return Refused(413, "body-too-large", f"expected a body of at most {most} bytes, got {got}")


async def send_reply(send: Send, reply: Reply) -> None:
    """Sends a reply in the two messages of ASGI."""
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
    await send({"type": "http.response.body", "body": reply.body})


def prefers_html(headers: Mapping[bytes, bytes]) -> bool:
    """Whether `Accept` (RFC 9110 §12.5.1) likes an HTML page better than JSON; both alike is no."""
    found = {b"text/html": (0, 0.0), b"application/json": (0, 0.0)}
    for one in headers.get(b"accept", b"")[:MAX_ACCEPT].split(b","):
        range_, *parameters = (word.strip().lower() for word in one.split(b";"))
        weight = _weight(parameters)
        for kind, best in found.items():
            if range_ in (kind, kind.partition(b"/")[0] + b"/*", b"*/*"):
                closeness = 3 if range_ == kind else 1 + (range_ != b"*/*")
                found[kind] = max(best, (closeness, weight))
    return found[b"text/html"][1] > found[b"application/json"][1]


def _weight(parameters: Iterable[bytes]) -> float:
    """The `q` of a media range; one that is none likes nothing."""
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        if name.strip() == b"q":
            return float(value) if _WEIGHT.fullmatch(value.strip()) else 0.0
    return 1.0


def query_of(scope: Scope, most: int) -> bytes:
    """The query. Raises Refused beyond `most` bytes."""
    raw: bytes = scope["query_string"]
    if len(raw) > most:
        raise Refused(
            414, "query-too-long", f"expected a query of at most {most} bytes, got {len(raw)}"
        )
    return raw


def check_may_write(headers: dict[bytes, bytes], origins: Collection[str]) -> None:
    """Raises Refused for a request that another site's page made (CSRF).

    Browsers say so in `Sec-Fetch-Site` or `Origin`; a request with neither comes from no page.
    """
    origin = headers.get(b"origin", b"").decode("latin-1")
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        friendly = site in _FRIENDLY
    else:
        host = headers.get(b"host", b"").decode("latin-1")
        friendly = not origin or (bool(host) and origin.partition("://")[2] == host)
    if not friendly and origin not in origins:
        came = origin or (site or b"").decode("latin-1")
        raise Refused(403, "foreign-origin", f"expected a page of this site, got {came}")

"""RFC 9457 problem documents: a refused request in, the bytes of an honest answer out."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from edge.errors import Refused

Header = tuple[bytes, bytes]
Headers = list[Header]

NEVER_STORED: Headers = [
    (b"cache-control", b"private, no-store"),
    (b"cdn-cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
TYPE = "https://edgewise.dev/problems/"  # an identifier, explained in docs/http-api.md

_ENCODE = msgspec.json.Encoder().encode


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """The document; `title` is the status in words, `detail` is about this request."""

    type: str
    title: str
    status: int
    detail: str


def document(refused: Refused) -> tuple[int, Headers, bytes]:
    """Status, headers and body for a refusal."""
    body = _ENCODE(
        Problem(
            type=TYPE + refused.code,
            title=HTTPStatus(refused.status).phrase,
            status=refused.status,
            detail=refused.detail,
        )
    )
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        *NEVER_STORED,
    ]
    if refused.retry_after_s > 0:
        headers.append((b"retry-after", str(refused.retry_after_s).encode()))
    if refused.challenge:
        headers.append((b"www-authenticate", refused.challenge.encode()))
    return refused.status, headers, body

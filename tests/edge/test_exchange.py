"""One exchange: limits on what comes in, and who may write."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from edge import exchange
from edge.errors import Refused


def receive_of(*chunks: bytes) -> exchange.Receive:
    messages = [
        {"type": "http.request", "body": chunk, "more_body": place + 1 < len(chunks)}
        for place, chunk in enumerate(chunks)
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    return receive


def test_a_body_in_pieces_is_put_together() -> None:
    body = asyncio.run(exchange.read_body({}, receive_of(b"ab", b"cd"), 10))

    assert body == b"abcd"


@pytest.mark.parametrize("announced", [b"11", b"many", b"-1"])
def test_an_announced_body_beyond_the_limit_is_refused_unread(announced: bytes) -> None:
    with pytest.raises(Refused, match="expected a body of at most 10 bytes") as caught:
        asyncio.run(exchange.read_body({b"content-length": announced}, receive_of(), 10))

    assert caught.value.status == 413


def test_an_endless_body_is_refused_at_the_limit() -> None:
    with pytest.raises(Refused, match="got more than 3"):
        asyncio.run(exchange.read_body({}, receive_of(b"ab", b"cd", b"ef"), 3))


def test_a_body_that_does_not_come_in_time_is_refused() -> None:
    async def never() -> dict[str, Any]:
        await asyncio.sleep(60)
        return {}

    with pytest.raises(Refused, match=r"expected the whole body within 0\.01 s") as caught:
        asyncio.run(exchange.read_body({}, never, 10, 0.01))

    assert caught.value.status == 408


def test_a_body_that_comes_in_time_is_read() -> None:
    assert asyncio.run(exchange.read_body({}, receive_of(b"ab", b"c"), 3, 60)) == b"abc"


def test_cookies_in_several_lines_are_one() -> None:
    scope = {"headers": [[b"cookie", b"a=1"], [b"host", b"h"], [b"cookie", b"b=2"]]}

    assert exchange.headers_of(scope)[b"cookie"] == b"a=1; b=2"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"sec-fetch-site": b"same-origin", b"origin": b"https://other.example"},
        {b"sec-fetch-site": b"same-site"},
        {b"sec-fetch-site": b"none"},
        {b"origin": b"https://shop.example", b"host": b"shop.example"},
        {b"sec-fetch-site": b"cross-site", b"origin": b"https://m.example"},
    ],
)
def test_pages_of_the_site_and_servers_may_write(headers: dict[bytes, bytes]) -> None:
    refused: Refused | None = None
    try:
        exchange.check_may_write(headers, ["https://m.example"])
    except Refused as error:
        refused = error
    assert refused is None


@pytest.mark.parametrize(
    "headers",
    [
        {b"sec-fetch-site": b"cross-site", b"origin": b"https://evil.example"},
        {b"sec-fetch-site": b"cross-site"},
        {b"origin": b"https://evil.example", b"host": b"shop.example"},
        {b"origin": b"null", b"host": b"shop.example"},
        {b"origin": b"https://shop.example.evil.example", b"host": b"shop.example"},
    ],
)
def test_another_sites_page_may_not_write(headers: dict[bytes, bytes]) -> None:
    with pytest.raises(Refused, match="expected a page of this site, got") as caught:
        exchange.check_may_write(headers, [])

    assert caught.value.status == 403


def test_a_refusal_becomes_a_problem_document() -> None:
    reply = exchange.refusal(Refused(429, "too-many-events", "expected fewer", retry_after_s=60))

    headers = dict(reply.headers)
    assert reply.status == 429
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"retry-after"] == b"60"
    assert headers[b"cache-control"] == b"private, no-store"
    assert b'"title":"Too Many Requests","status":429,"detail":"expected fewer"' in reply.body


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (b"", False),
        (b"*/*", False),
        (b"application/json", False),
        (b"text/html", True),
        (b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        (b"text/html, application/json", False),
        (b"text/html;q=0.9, application/json", False),
        (b"TEXT/HTML ; charset=utf-8; Q=1.0, application/json;q=0.999", True),
        (b"text/*, application/json;q=0.5", True),
        (b"text/html;q=0, */*", False),
        (b"text/html;q=2", False),
        (b"text/html;q=nan, application/json;q=0.1", False),
        (b"text/html;q=", False),
        (b",;=,text/html", True),
        (b"x" * 2_000 + b",text/html", False),
    ],
)
def test_a_page_is_for_who_likes_it_better_than_json(accept: bytes, html: bool) -> None:
    assert exchange.prefers_html({b"accept": accept}) is html


def test_who_says_nothing_gets_json() -> None:
    assert exchange.prefers_html({}) is False


def test_a_query_beyond_the_limit_is_refused() -> None:
    assert exchange.query_of({"query_string": b"a=1"}, 3) == b"a=1"
    with pytest.raises(Refused, match="expected a query of at most 2 bytes, got 3"):
        exchange.query_of({"query_string": b"a=1"}, 2)

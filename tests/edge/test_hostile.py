"""What an attacker sends: every reply is an honest one, nothing is reflected, nothing piles up."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from edge import agents, context
from edge.cookies import CONSENT, found
from edge.refresh import Served
from tests.edge.shop import Shop

pytestmark = pytest.mark.anyio

VISIT = "/_ew/v1/visit"


class Heard(NamedTuple):
    """A reply as the server would send it."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


async def ask(
    shop: Shop,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Sequence[tuple[bytes, bytes]] = (),
    query: bytes = b"",
) -> Heard:
    """One exchange in bare ASGI: an HTTP client would refuse to send some of this."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": list(headers),
        "client": ("127.0.0.1", 1),  # a proxy that hands on whatever it is told
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        "root_path": "",
    }
    await shop.edge(scope, receive, send)
    said = b"".join(message.get("body", b"") for message in sent[1:])
    return Heard(sent[0]["status"], dict(sent[0]["headers"]), said)


DEEP = b"[" * 30_000 + b"]" * 30_000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (VISIT, b'{"strange":' + DEEP + b"}"),
        (VISIT, b'{"page":{"strange":' + DEEP + b"}}"),
        (VISIT, b'{"events":[' + DEEP + b"]}"),
        ("/_ew/v1/events", b'{"events":[],"strange":' + DEEP + b"}"),
    ],
)
async def test_json_of_any_depth_is_the_clients_fault(path: str, body: bytes) -> None:
    reply = await ask(Shop(), "POST", path, body)

    assert (reply.status, b"malformed-json" in reply.body) == (400, True)


async def test_an_event_of_a_depth_just_bearable_as_part_of_a_batch_is_no_fault_of_ours() -> None:
    shop = Shop()
    for depth in range(sys.getrecursionlimit() - 120, sys.getrecursionlimit(), 7):
        event = b'{"type":"article_read","strange":' + b"[" * depth + b"]" * depth + b"}"
        reply = await ask(shop, "POST", VISIT, b'{"events":[' + event + b"]}")
        assert reply.status in (200, 400)
    assert shop.counted("edgewise_errors_total") == 0


@pytest.mark.parametrize("length", [b"9" * 5_000, b"-1", b"1e3", b" 2", b"\xb2", b""])
async def test_a_length_that_is_none_is_refused(length: bytes) -> None:
    reply = await ask(Shop(), "POST", VISIT, b"{}", [(b"content-length", length)])

    assert (reply.status, len(reply.body) < 400) == (413, True)


@pytest.mark.parametrize("path", ["/_ew/v1/visit/", "/_ew/v1/consent/", "/_ew/loader.js/", "/_ew/"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_nobody_is_sent_to_where_a_host_header_says(method: str, path: str) -> None:
    reply = await ask(Shop(), method, path, b"{}", [(b"host", b"evil.example")])

    assert (reply.status, b"location" in reply.headers) == (404, False)


@pytest.mark.parametrize("method", ["OPTIONS", "BREW", "CONNECT", "DELETE", "get"])
async def test_other_methods_are_told_which_one_there_is(method: str) -> None:
    reply = await ask(Shop(), method, VISIT)

    assert (reply.status, reply.headers[b"allow"]) == (405, b"POST")


@pytest.mark.parametrize("origin", [b"null", b"", b"shop.example", b"://", b"\xff\xfe"])
async def test_an_origin_of_no_site_is_foreign_even_without_a_host(origin: bytes) -> None:
    reply = await ask(Shop(), "POST", VISIT, b"{}", [(b"origin", origin)])

    assert reply.status == (403 if origin else 200)


@pytest.mark.parametrize("site", [b"cross-site", b"", b"nonsense", b"same-origin, cross-site"])
async def test_only_the_words_of_browsers_make_a_site_the_same(site: bytes) -> None:
    told = [(b"sec-fetch-site", site), (b"host", b"a"), (b"origin", b"https://a")]

    assert (await ask(Shop(), "POST", VISIT, b"{}", told)).status == 403


SLOTS = ["\ud800", "../../v1/consent", "%2e%2e/%00", "\x00", "\r\nSet-Cookie: a=b", "a" * 9_000, ""]


@pytest.mark.parametrize("slot", SLOTS)
async def test_a_fragment_of_any_name_is_an_empty_one(slot: str) -> None:
    shop = Shop()

    reply = await ask(shop, "GET", f"/_ew/v1/fragments/{slot}")

    assert (reply.status, reply.body) == (200, b"")
    assert len(shop.services.metrics.values()) < 50


QUERIES = [b"path=%ED%A0%80", b"path=\xed\xa0\x80", b"size=%00%0d%0a", b"&&==&=", b"%", b"%zz=%"]


@pytest.mark.parametrize("query", [*QUERIES, b"utm_source=%ff", b"referrer=http://[::1"])
async def test_a_fragment_is_shown_whatever_the_query(query: bytes) -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent("analytics", "personalization")
    await browser.visit()
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items()).encode()

    for path in ("/_ew/v1/fragments/hero", "/_ew/v1/fragments"):
        told = await ask(shop, "GET", path, headers=[(b"cookie", cookie)], query=query)
        assert (told.status, b"set-cookie" in told.headers) == (200, False)
    assert shop.counted("edgewise_errors_total") == 0


HALF = b'"\\ud800"'


@pytest.mark.parametrize(
    "body",
    [
        b'{"slots":[' + HALF + b"]}",
        b'{"page":{"path":' + HALF + b"}}",
        b'{"page":{"query":{' + HALF + b":" + HALF + b"}}}",
        b'{"events":[{"type":"product_view","id":' + HALF + b"}]}",
        b'{"events":[{"type":"product_view","item":' + HALF + b',"category":"shoes"}]}',
        b'{"events":[{"type":"identify","token":' + HALF + b"}]}",
    ],
)
async def test_half_a_surrogate_pair_reaches_nothing(body: bytes) -> None:
    """mmh3 and JSON writers fall over it, some of them with the whole process."""
    shop = Shop()

    reply = await ask(shop, "POST", VISIT, body)

    refused = b'"code":"unreadable"' in reply.body
    assert reply.status == 400 or (reply.status == 200 and refused)
    assert shop.counted("edgewise_errors_total") == 0


async def test_a_choice_that_is_answered_is_a_choice_that_counts() -> None:
    """A cookie over its limit would be refused on the next request."""
    for text in ("\x01" * 64, "\U0001f600" * 64, '"' * 64, "\\" * 64, "é" * 32):
        browser = Shop().browser()
        body = {"grants": ["functional"], "how": text, "policy": text}
        reply = await browser.send("PUT", "/_ew/v1/consent", json=body)
        if reply.status_code == 200:
            told = await browser.send("GET", "/_ew/v1/consent")
            assert told.json()["grants"] == ["functional"], text
        else:
            assert reply.status_code == 400


def test_a_cookie_header_full_of_near_misses_is_read_in_one_pass() -> None:
    """Each of them used to copy all that came before it: half a second for 400 KB."""

    class Counted(bytes):
        copied = 0

        def __getitem__(self, at: Any) -> Any:
            part = super().__getitem__(at)
            Counted.copied += len(part) if isinstance(part, bytes) else 1
            return part

    header = Counted(b"xconsent=" * 2_000 + b"; consent=good")

    assert list(found(header, CONSENT)) == [b"good"]
    assert Counted.copied <= 4 * len(header)


async def test_what_is_remembered_of_headers_does_not_grow_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The readings of headers are remembered by the thousand; headers may have 400 KB."""
    shop, read = Shop(), list[bytes | str]()

    def watch(name: str) -> None:
        reading = getattr(context, name)

        def watched(*key: bytes | str) -> Any:
            read.extend(key)
            return reading(*key)

        monkeypatch.setattr(context, name, watched)

    for name in ("device", "locale", "_place"):
        watch(name)
    asking = (b"user-agent", b"sec-ch-ua-mobile", b"accept-language", b"x-geo-city", b"cookie")
    for header in asking:
        headers = [(b"user-agent", b"a"), (header, b"x" * 100_000)]
        reply = await ask(shop, "GET", "/_ew/v1/fragments/hero", headers=headers)
        assert reply.status == 200

    assert max(len(key) for key in read) <= agents.MAX_AGENT
    serving = shop.served.current
    assert serving is not None
    assert len(serving.asked) == 0


async def test_no_method_of_reading_writes_a_cookie() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent("functional", "analytics", "personalization")
    await browser.visit()
    paths = ("fragments", "fragments/hero", "consent")
    for method in ("GET", "HEAD"):
        for path in paths:
            reply = await browser.send(method, f"/_ew/v1/{path}?slots=hero")
            assert (reply.status_code, "set-cookie" in reply.headers) == (200, False)


async def test_without_a_snapshot_fragments_are_empty_and_never_an_error() -> None:
    shop = Shop(Served())
    for path in ("fragments?slots=hero", "fragments/hero", "fragments/"):
        reply = await shop.browser().send("GET", f"/_ew/v1/{path}")
        assert reply.status_code == 200

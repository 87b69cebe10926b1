"""Pages of other origins: what a browser is told before it asks, and who may read a reply."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.edge.shop import Shop
from tests.edge.test_hostile import Heard, ask

pytestmark = pytest.mark.anyio

OURS, FOREIGN = b"https://m.shop.example", b"https://evil.example"
VISIT = "/_ew/v1/visit"


async def preflight(shop: Shop, *headers: tuple[bytes, bytes], path: str = VISIT) -> Heard:
    method = (b"access-control-request-method", b"POST")
    return await ask(shop, "OPTIONS", path, headers=[*headers, method])


def shop() -> Shop:
    return Shop(origins=(OURS.decode(),))


async def test_a_page_of_a_configured_origin_may_ask_and_bring_its_cookies() -> None:
    reply = await preflight(shop(), (b"origin", OURS))

    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers[b"access-control-allow-origin"] == OURS
    assert reply.headers[b"access-control-allow-credentials"] == b"true"
    assert b"POST" in reply.headers[b"access-control-allow-methods"]
    assert reply.headers[b"access-control-allow-headers"] == b"content-type"
    assert reply.headers[b"vary"] == b"origin"


@pytest.mark.parametrize("origin", [
    FOREIGN, b"null", b"*", b"", OURS + b"/", OURS.upper(), OURS + b".evil.example",
    b"http://m.shop.example", b"https://shop.example", b"\xff",
])  # fmt: skip
async def test_a_page_of_any_other_origin_may_not(origin: bytes) -> None:
    edge = shop()

    reply = await preflight(edge, (b"origin", origin))

    assert (reply.status, b"foreign-origin" in reply.body) == (403, True)
    assert not [name for name in reply.headers if name.startswith(b"access-control")]
    assert edge.counted('edgewise_replies_total{route="preflight"') == 1


async def test_without_configured_origins_every_other_page_is_refused() -> None:
    assert (await preflight(Shop(), (b"origin", OURS))).status == 403


@pytest.mark.parametrize("headers", [[], [(b"origin", OURS)]])
async def test_options_that_are_no_preflight_are_told_the_methods(
    headers: Sequence[tuple[bytes, bytes]],
) -> None:
    reply = await ask(shop(), "OPTIONS", VISIT, headers=headers)

    assert (reply.status, reply.headers[b"allow"]) == (405, b"POST")


PATHS = ("v1/fragments/hero", "v1/fragments", "v1/consent", "loader.js", "openapi.json", "nowhere")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_reply_says_which_page_may_read_it(path: str, method: str) -> None:
    for origin, allowed in ((OURS, OURS), (FOREIGN, None), (None, None)):
        headers = [(b"origin", origin)] if origin else []
        reply = await ask(shop(), method, f"/_ew/{path}", headers=headers)

        assert reply.headers[b"vary"] == b"origin"
        assert reply.headers.get(b"access-control-allow-origin") == allowed
        assert (b"access-control-allow-credentials" in reply.headers) == bool(allowed)


async def test_a_refused_write_can_be_read_where_it_was_made() -> None:
    reply = await ask(shop(), "POST", VISIT, b"{", headers=[(b"origin", OURS)])

    assert (reply.status, reply.headers[b"access-control-allow-origin"]) == (400, OURS)


async def test_a_foreign_page_neither_writes_nor_reads() -> None:
    reply = await ask(shop(), "POST", VISIT, b"{}", headers=[(b"origin", FOREIGN)])

    assert reply.status == 403
    assert b"access-control-allow-origin" not in reply.headers


async def test_without_configured_origins_no_reply_speaks_of_them() -> None:
    reply = await ask(Shop(), "GET", "/_ew/v1/fragments/hero", headers=[(b"origin", OURS)])

    assert not {name for name in reply.headers if name.startswith((b"access-control", b"vary"))}


async def test_html_that_is_opened_by_itself_runs_nothing_and_json_is_not_html() -> None:
    html = await ask(Shop(), "GET", "/_ew/v1/fragments/hero")
    json = await ask(Shop(), "GET", "/_ew/v1/fragments/feed", query=b"category=shoes")

    policy = html.headers[b"content-security-policy"]
    assert policy.startswith(b"default-src 'none'; ")
    assert policy.endswith(b"; sandbox")
    assert b"content-security-policy" not in json.headers
    for reply in (html, json):
        assert reply.headers[b"cross-origin-resource-policy"] == b"same-origin"
        assert reply.headers[b"x-content-type-options"] == b"nosniff"


@pytest.mark.parametrize(
    "path", ["loader.js", "engagement.js", "openapi.json", "healthz", "readyz", "preview"]
)
async def test_no_reply_is_sniffed(path: str) -> None:
    reply = await ask(Shop(dev=path == "preview"), "GET", f"/_ew/{path}")

    assert (reply.status, reply.headers[b"x-content-type-options"]) == (200, b"nosniff")

"""What is held of who asks, as a page: escaped, of bounded size, for this browser alone."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import httpx
import pytest

from edge.access_page import moment
from edge.refresh import Served
from tests.decisions.written import rule
from tests.edge.shop import NOW_S, Shop, snapshot
from tests.edge.test_access import BROWSER, ask, page, shopper, told
from tests.edge.test_me import ALL
from tests.edge.test_routes import problem

pytestmark = pytest.mark.anyio


async def test_only_this_browser_may_keep_or_frame_it() -> None:
    browser = Shop().browser()
    plain, read = await ask(browser), await ask(browser, accept=BROWSER)

    for reply in (plain, read):
        assert reply.headers["cache-control"] == "private, no-store"
        assert reply.headers["cdn-cache-control"] == "no-store"
        assert reply.headers["vary"] == "accept"
        assert reply.headers["cross-origin-resource-policy"] == "same-origin"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["content-length"] == str(len(reply.content))
    assert plain.headers["content-type"] == "application/json"
    assert read.headers["content-type"] == "text/html; charset=utf-8"
    policy = read.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert policy.endswith("base-uri 'none'; form-action 'none'; frame-ancestors 'none'")


async def test_the_products_in_the_cart_are_told_in_words() -> None:
    browser = await shopper(Shop(), "functional")
    await browser.visit(
        browser.event("add_to_cart", item="<b>", category="shoes", price=1_234.56, quantity=2),
        browser.event("add_to_cart", item="pill", category="pharmacy", price=3.0),
    )

    text = await page(browser)

    row = "what lies in your cart</th><td>1 of “s” for 9.50, 2 of “&lt;b&gt;” for 2469.12</td>"
    assert row in text
    assert "pill" not in text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "https://evil.example"}, 403),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
    ],
)
async def test_pages_of_other_sites_are_told_nothing(headers: dict[str, str], status: int) -> None:
    browser = await shopper(Shop())
    for accept in ("*/*", BROWSER):
        reply = await ask(browser, accept=accept, **headers)
        assert reply.status_code == status
        assert ("shoes" in reply.text) is (status == 200)
        if status == 403:
            assert problem(reply)[1] == "foreign-origin"


async def test_a_moment_that_the_playbook_declares_is_told_as_one() -> None:
    last = {"last_view": {"last": "product_view"}}
    browser = await shopper(Shop(Served(snapshot(measures=last))))

    text = await page(browser)

    row = "what was counted as “last_view”</th><td><time datetime="
    assert row in text
    assert f"{NOW_S:.0f}" not in text


class Texts(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


NAUGHTY = """<script>alert(1)</script>"'&<img src=x onerror=alert(2)>\u202e\U0001f600"""


async def test_the_page_escapes_whatever_it_is_told() -> None:
    name = json.dumps(NAUGHTY, ensure_ascii=False)
    when = f"page.category == {name} && interest[{name}] > 0.0"
    shop = Shop(Served(snapshot(rules=[rule("odd", when, show="hero/vip")])))
    browser = shop.browser(**{"accept-language": "<b>", "user-agent": "<script>"})
    await browser.send(
        "PUT",
        "/_ew/v1/consent",
        json={"grants": ALL, "how": "<i>how</i>", "policy": "<script>p</script>"},
    )
    await browser.visit(browser.event("product_view", item="x", category=NAUGHTY))
    query = str(httpx.QueryParams({"path": "/" + NAUGHTY, "category": NAUGHTY, "locale": "<u>"}))

    text = await page(browser, f"?{query}")

    assert Texts(text).tags == {
        "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "table", "tr",
        "th", "td", "time", "code",
    }  # fmt: skip
    read = "".join(Texts(text).texts)
    assert read.count(NAUGHTY) >= 2
    assert "<i>how</i>" in read
    assert (await told(browser, f"?{query}"))["request"]["page.category"] == NAUGHTY


async def test_the_fullest_profile_is_told_in_a_page_of_bounded_size() -> None:
    shop = Shop()
    browser = await shopper(shop)
    for number in range(20):
        await browser.visit(browser.event("article_read", item=f"a{number}"))
    long = "x" * 2_000
    query = f"?path=/{long}&category={'y' * 128}&referrer=https://e.example/"

    assert len((await ask(browser, query)).content) < 16_384
    assert len(await page(browser, query)) < 32_768


def test_a_moment_that_is_none_is_told_as_it_is() -> None:
    assert moment(1e30) == "1e+30"
    assert moment(NOW_S) == ('<time datetime="2026-11-18T11:06:40Z">2026-11-18 11:06 UTC</time>')

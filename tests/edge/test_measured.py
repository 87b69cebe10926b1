"""Measures over the edge: events in, a cookie that carries them, rules that read them."""

from __future__ import annotations

import pytest

from edge.refresh import Served
from tests.decisions.written import rule
from tests.edge.shop import Shop, snapshot

pytestmark = pytest.mark.anyio

MEASURES = {
    "viewed": {"count": "product_view", "within": "1h"},
    "spent": {"sum": "price", "of": "purchase", "per": "category"},
    "read_to": {"max": "value", "of": "article_read", "within": "session"},
}
RULES = [
    rule("big", 'measures.spent["shoes"] >= 99.5', show="hero/big"),
    rule("deep", "measures.read_to >= 90.0", show="hero/deep"),
    rule("busy", "measures.viewed >= 3", show="hero/busy"),
]
FRAGMENTS = {name: f"<p>{name}</p>" for name in ("hero/big", "hero/deep", "hero/busy")}


def shop() -> Shop:
    made = snapshot(measures=MEASURES, rules=RULES, fragments=FRAGMENTS)
    return Shop(Served(made))


async def test_a_window_fires_and_is_over() -> None:
    one = shop()
    browser = one.browser()
    await browser.consent("functional", "personalization")

    assert await browser.view("shoes", 2) != "<p>hero/busy</p>"
    assert await browser.view("garden") == "<p>hero/busy</p>"
    one.clock.now_s += 50 * 60
    assert await browser.hero() == "<p>hero/busy</p>"
    one.clock.now_s += 15 * 60
    assert await browser.hero() != "<p>hero/busy</p>"


async def test_different_products_are_counted_once_each_and_fall_with_the_window() -> None:
    looked_at = {"distinct": "item", "of": "product_view", "within": "1h"}
    rules = [rule("busy", "measures.looked_at >= 3", show="hero/busy")]
    made = snapshot(measures={"looked_at": looked_at}, rules=rules, fragments=FRAGMENTS)
    one = Shop(Served(made))
    browser = one.browser()
    await browser.consent("functional", "personalization")

    for item in ("a", "b", "a", "b"):
        shown = await browser.hero(browser.event("product_view", item=item))
        assert shown != "<p>hero/busy</p>"
    assert await browser.hero(browser.event("product_view", item="c")) == "<p>hero/busy</p>"
    one.clock.now_s += 65 * 60
    assert await browser.hero() != "<p>hero/busy</p>"


async def test_sums_and_maxima_travel_in_the_cookie_and_in_the_log() -> None:
    one = shop()
    browser = one.browser()
    await browser.consent("functional", "personalization", "analytics")
    bought = {"category": "shoes", "price": 49.75}

    assert await browser.hero(browser.event("article_read", value=89.9)) != "<p>hero/deep</p>"
    assert await browser.hero(browser.event("article_read", value=95.0)) == "<p>hero/deep</p>"
    assert await browser.hero(browser.event("purchase", **bought)) == "<p>hero/deep</p>"
    assert await browser.hero(browser.event("purchase", **bought)) == "<p>hero/big</p>"

    read = [row for row in one.rows() if row["type"] == "article_read"]
    assert [row["value"] for row in read] == [89.9, 95.0]


async def test_a_value_beyond_its_limit_is_refused_by_itself() -> None:
    browser = shop().browser()
    told = await browser.visit(browser.event("article_read", value=-1.0))

    (refused,) = told["refused"]
    assert refused["code"] == "out-of-bounds"
    assert refused["detail"] == "expected 0 <= value <= 1000000000, got -1.0 - at `$.value`"


async def test_without_the_grant_nothing_is_measured() -> None:
    one = shop()
    browser = one.browser()
    await browser.consent("functional")

    assert await browser.view("shoes", 5) != "<p>hero/busy</p>"
    await browser.consent("functional", "personalization")
    assert await browser.hero() != "<p>hero/busy</p>"


async def test_lists_and_the_campaign_travel_in_the_cookie() -> None:
    rules = [
        rule("wished", '"4711" in lists.wishes', show="hero/big"),
        rule("spring", 'session.campaign == "spring"', show="hero/deep"),
    ]
    lists = {"wishes": {"add": "article_read"}}
    one = Shop(Served(snapshot(lists=lists, rules=rules, fragments=FRAGMENTS)))
    browser = one.browser()
    await browser.consent("functional", "personalization")

    came = await browser.visit(path="/?utm_campaign=spring")
    assert came["decisions"][0]["html"] == "<p>hero/deep</p>"
    assert await browser.hero() == "<p>hero/deep</p>"
    assert await browser.hero(browser.event("article_read", item="4711")) == "<p>hero/big</p>"

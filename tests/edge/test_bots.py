"""Bots get what a visitor without cookies gets, and leave nothing anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.agents import device
from edge.config import Config
from edge.context import Context
from edge.errors import SettingError
from edge.intake import OF_BOTS
from edge.reception import BOTS
from edge.refresh import Served
from edge.settings import load
from tests.decisions.written import rule
from tests.edge.shop import Browser, Shop, identify_token, snapshot

pytestmark = pytest.mark.anyio
GOOGLE = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
EVERYTHING = ("functional", "analytics", "personalization")


async def shopper(shop: Shop) -> Browser:
    """Somebody who agreed to everything, likes shoes, and is known as Ann."""
    browser = shop.browser()
    await browser.consent(*EVERYTHING)
    await browser.visit(browser.event("identify", token=identify_token("ann")))
    await browser.view("shoes", 5)
    return browser


def turned(browser: Browser, shop: Shop, **headers: str) -> Browser:
    """The same cookies in other hands."""
    other = shop.browser(**({"user-agent": GOOGLE} | headers))
    other.cookies = dict(browser.cookies)
    return other


async def test_a_bot_gets_what_a_visitor_without_cookies_gets() -> None:
    shop = Shop()
    person = await shopper(shop)
    assert await person.hero() != await shop.browser().hero()

    bot = turned(person, shop)

    slots = ("hero", "promo", "feed")
    asked: dict[str, Any] = {"slots": slots, "path": "/p", "category": "shoes"}
    stranger = await shop.browser().visit(**asked)
    told = await bot.visit(**asked)
    assert [one["html" if "html" in one else "json"] for one in told["decisions"]] == [
        one["html" if "html" in one else "json"] for one in stranger["decisions"]
    ]
    for path in ("/_ew/v1/fragments/hero", "/_ew/v1/fragments/hero?category=shoes"):
        for _ in range(2):  # as it is found out, and as it is remembered
            ours = await bot.send("GET", path)
            assert ours.text == (await shop.browser().send("GET", path)).text
    assert not told.get("keep")


async def test_where_grants_hold_until_a_no_a_bot_gets_what_strangers_get_and_leaves_nothing() -> (
    None
):
    rules = [rule("new", '!("loyal" in segments)', show="hero/loyal")]
    settings: dict[str, Any] = {"opt_out_grants": EVERYTHING, "consent_days": 365}
    shop = Shop(Served(snapshot(rules=rules)), **settings)
    california = {"x-geo-country": "US", "x-geo-region": "CA"}
    bot, stranger = shop.browser(**{"user-agent": GOOGLE}, **california), shop.browser(**california)
    path = "/_ew/v1/fragments/hero"
    welcome = await shop.browser().hero()

    assert await bot.hero(bot.event("article_read")) != welcome
    assert (await bot.send("GET", path)).text == await bot.hero()
    told = [(await one.send("GET", "/_ew/v1/consent")).json()["grants"] for one in (bot, stranger)]
    assert told[0] == told[1] != []
    assert (bot.cookies, shop.rows()) == ({}, [])

    assert await stranger.hero() != welcome
    assert stranger.cookies and shop.rows()


async def test_a_bots_visit_changes_no_cookie() -> None:
    shop = Shop()
    person = await shopper(shop)
    bot = turned(person, shop)
    before = dict(bot.cookies)

    replies = [
        await bot.send("POST", "/_ew/v1/visit", json={"slots": ["hero"]}),
        await bot.send("POST", "/_ew/v1/events", json={"events": [bot.event("article_read")]}),
        await bot.send("PUT", "/_ew/v1/consent", json={"grants": []}),
        await bot.send("GET", "/_ew/v1/consent"),
    ]

    assert [reply.status_code for reply in replies] == [200, 202, 200, 200]
    assert not any("set-cookie" in reply.headers for reply in replies)
    assert bot.cookies == before
    nothing = {"grants": [], "at": 0, "how": "", "policy": "", "ask": False}
    assert replies[2].json() == replies[3].json() == nothing


async def test_who_is_taken_for_a_bot_is_forgotten_all_the_same(tmp_path: Path) -> None:
    shop = Shop(cache=str(tmp_path))
    bot = turned(await shopper(shop), shop)

    reply = await bot.send("DELETE", "/_ew/v1/me")

    assert reply.json() == {"visitor": True, "customer": True}
    assert bot.cookies == {}


async def test_a_bot_that_brings_nothing_takes_nothing_along() -> None:
    bot = Shop().browser(**{"user-agent": GOOGLE})

    await bot.consent(*EVERYTHING)
    await bot.view("shoes")

    assert bot.cookies == {}


async def test_a_bots_events_are_answered_counted_and_dropped() -> None:
    shop = Shop()
    person = await shopper(shop)
    bot, rows, events = (
        turned(person, shop),
        len(shop.rows()),
        shop.counted("edgewise_events_total"),
    )

    views = [bot.event("product_view", item=f"i{n}", category="garden") for n in range(3)]
    reply = await bot.send("POST", "/_ew/v1/events", json={"events": views})
    await bot.visit(bot.event("identify", token=identify_token("bob")), bot.event("sign_out"))

    assert reply.json() == {"accepted": 3}
    assert shop.counted(OF_BOTS) == 5
    assert shop.counted("edgewise_events_total") == events
    assert len(shop.rows()) == rows


async def test_an_event_of_a_bots_that_cannot_be_read_is_refused_as_ever() -> None:
    bot = Shop().browser(**{"user-agent": GOOGLE})

    reply = await bot.send("POST", "/_ew/v1/events", json={"events": [{"type": ""}]})

    assert reply.json()["refused"][0]["code"] == "out-of-bounds"


async def test_a_bots_decisions_are_not_logged_and_it_enters_no_experiment() -> None:
    shop = Shop()
    person = shop.browser(**{"user-agent": "Mozilla/5.0 (iPhone) Mobile"})
    await person.consent(*EVERYTHING)
    in_test = (await person.visit(slots=("promo",)))["decisions"][0]["html"]
    assert in_test in ("<p>A</p>", "<p>B</p>")
    rows = len(shop.rows())

    for agent in ("Mozilla/5.0 (iPhone) Mobile Googlebot/2.1", GOOGLE):
        bot = turned(person, shop, **{"user-agent": agent})
        assert (await bot.visit(slots=("promo",)))["decisions"][0]["html"] == ""
        assert (await bot.send("GET", "/_ew/v1/fragments/promo")).text == ""

    assert len(shop.rows()) == rows


async def test_visits_of_bots_are_counted_each_time() -> None:
    shop = Shop()
    bot = shop.browser(**{"user-agent": GOOGLE})

    await bot.visit()
    for _ in range(3):
        await bot.send("GET", "/_ew/v1/fragments/hero")
    await shop.browser().visit()

    assert shop.counted(BOTS) == 4


async def test_while_there_is_no_snapshot_a_bot_may_keep_nothing_either() -> None:
    shop = Shop()
    bot = turned(await shopper(shop), shop)
    shop.served.current = None

    assert not (await bot.visit()).get("keep")


@pytest.mark.parametrize(
    ("score", "is_bot"),
    [
        (b"1", True),
        (b"29", True),
        (b"30", False),
        (b"99", False),
        (b"0", False),
        (b"", False),
        (b"-5", False),
        (b"99999999999999999999", False),
        (b"\xb2", False),
        (b"bot", False),
    ],
)
async def test_cloudflares_score_tells_bots_from_people(score: bytes, is_bot: bool) -> None:
    headers = {b"cf-bot-score": score, b"user-agent": b"Mozilla/5.0"}

    assert Context(Config(cdn="cloudflare")).is_bot(headers) is is_bot


async def test_any_header_may_tell_it_by_ranges_and_words() -> None:
    values = ("80-100", "True")
    context = Context(Config(bot_header="X-Guard:bot", bot_values=values))

    for told in (b"bot=80", b"human=no, bot=100", b"bot=TRUE"):
        assert context.is_bot({b"x-guard": told})
    for told in (b"bot=79", b"bot=101", b"bot=yes", b"80", b""):
        assert not context.is_bot({b"x-guard": told})
    assert not context.is_bot({})


async def test_a_score_is_believed_from_a_trusted_proxy_only() -> None:
    for trusted, counted in (("127.0.0.1", 1), ("192.0.2.1", 0)):
        shop = Shop(cdn="cloudflare", trusted_proxies=(trusted,))
        await shop.browser(**{"cf-bot-score": "1"}).visit()
        assert shop.counted(BOTS) == counted


@pytest.mark.parametrize("values", ["1-", "29", "1-2-3", "a b", "-1-5", "1-99999"])
async def test_values_that_are_neither_range_nor_word_are_refused(values: str) -> None:
    with pytest.raises(SettingError, match=r"expected a range of scores such as 1-29, .* bot_v"):
        load({"bot_values": values})


@pytest.mark.parametrize(
    ("agent", "is_bot"),
    [
        (b"Mozilla/5.0 (Linux; Android 13; CUBOT MAX 5) Chrome/130.0 Mobile Safari/537.36", False),
        (b"Mozilla/5.0 (Linux; Android 13; CUBOT) Chrome/130.0 Mobile Safari/537.36", False),
        (b"Mozilla/5.0 (compatible; bingbot/2.0)", True),
        (b"Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/140.0.0.0 Safari/537.36", True),
        (b"facebookexternalhit/1.1", True),
        (b"WhatsApp/2.23", True),
        (b"Go-http-client/1.1", True),
    ],
)
async def test_user_agents_of_bots_are_known(agent: bytes, is_bot: bool) -> None:
    assert (device(agent)["device.kind"] == "bot") is is_bot

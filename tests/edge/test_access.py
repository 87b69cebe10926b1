"""GET v1/me: what is held of who asks, and why they see what they see; to ask changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from decisions.ledger import visitor_key
from edge.refresh import Served
from tests.decisions.written import SETTINGS
from tests.edge.shop import NOW_S, Browser, Shop, snapshot
from tests.edge.test_me import ALL, claims, listing, sign_in
from tests.edge.test_routes import problem

pytestmark = pytest.mark.anyio

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
NAMES = ("hero/", "promo/", "feed/", "rescue", "pills", "vip", "again", "french")
EVERYBODY = "What everybody sees: nothing that is known and may be used chose otherwise."


async def ask(browser: Browser, query: str = "", **headers: str) -> httpx.Response:
    return await browser.send("GET", f"/_ew/v1/me{query}", headers=headers)


async def told(browser: Browser, query: str = "", **headers: str) -> dict[str, Any]:
    reply = await ask(browser, query, **headers)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


async def page(browser: Browser, query: str = "") -> str:
    reply = await ask(browser, query, accept=BROWSER)
    assert reply.status_code == 200, reply.text
    return reply.text


async def shopper(shop: Shop, *grants: str, **headers: str) -> Browser:
    browser = shop.browser(**headers)
    await browser.consent(*(grants or ALL))
    await browser.view("shoes", 45)
    await browser.visit(browser.event("add_to_cart", item="s", category="shoes", price=9.5))
    return browser


async def test_who_never_chose_is_told_that_nothing_is_held_and_why_the_pages_look_so() -> None:
    assert await told(Shop().browser()) == {
        "choice": {"grants": [], "at": 0, "how": "", "policy": "", "ask": True},
        "unused": ["functional", "analytics", "personalization", "marketing", "sensitive"],
        "logged": False,
        "profile": None,
        "customer": None,
        "request": {"device.kind": "desktop"},
        "tags": [],
        "slots": [{"slot": slot, "because": EVERYBODY} for slot in ("hero", "promo", "feed")],
        "cookies": [{"name": "consent", "days": 182}],
        "forget": "DELETE /_ew/v1/me",
        "choose": "PUT /_ew/v1/consent",
    }  # fmt: skip


async def test_a_visitor_is_told_the_choice_the_profile_and_the_values_that_decided() -> None:
    shop = Shop()
    browser = await shopper(shop)
    shop.clock.now_s += 600

    found = await told(browser)

    assert found["choice"]["grants"] == list(ALL)
    assert (found["choice"]["at"], found["choice"]["policy"]) == (NOW_S, "p1")
    assert (found["unused"], found["logged"]) == (["marketing", "sensitive"], True)
    profile = found["profile"]
    assert (profile["visitor"], profile["changed"]) == (claims(browser)["sub"], NOW_S)
    assert profile["events"] == 8
    assert profile["cart"] == [{"product": "s", "pieces": 1, "value": 9.5}]
    interest = profile["facts"].pop("interest")["shoes"]
    assert 99.0 < interest < 100.0
    assert profile["facts"] == {
        "cart.items": 1, "cart.value": 9.5, "cart.updated_at": NOW_S,
        "cart.lines": 1, "cart.products": ["s"],
        "visitor.new": True, "visitor.visits": 1, "visitor.first_seen": NOW_S,
        "session.started_at": NOW_S, "session.seconds": 600.0, "session.views": {"shoes": 8},
        "counts": {"add_to_cart": 1, "product_view": 45},
    }  # fmt: skip
    assert found["customer"] is None
    assert found["tags"] == ["category_browser"]
    assert found["slots"][0]["because"].startswith("Chosen because your interest in “shoes” (99.")
    assert [one["name"] for one in found["cookies"]] == ["consent", "user_interest_score"]


async def test_interests_are_told_as_they_have_faded_until_now() -> None:
    shop = Shop()
    browser = await shopper(shop)
    fresh = (await told(browser))["profile"]["facts"]["interest"]["shoes"]
    shop.clock.now_s += 60 * 86_400

    assert (await told(browser))["profile"]["facts"]["interest"]["shoes"] < fresh - 20


async def test_a_slot_is_told_for_the_page_that_the_query_names_and_the_request_with_it() -> None:
    browser = Shop().browser(
        **{"user-agent": "Mozilla/5.0 (iPhone) Safari/605.1", "accept-language": "fr-CH,fr"}
    )

    found = await told(browser, "?path=/d/shoes%3Fsize=4%26other=5&category=shoes")

    assert found["request"] == {
        "device.kind": "mobile", "device.os": "ios", "device.browser": "safari", "locale": "fr-CH",
        "page.path": "/d/shoes", "page.query.size": "4", "page.category": "shoes",
    }  # fmt: skip
    assert [one["because"] for one in found["slots"]][2] == (
        'Chosen because the category of the page ("shoes") is "shoes".'
    )


async def test_who_is_signed_in_is_told_what_the_membership_has_others_less() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent(*ALL)
    await sign_in(browser)

    found = (await told(browser))["customer"]
    assert found == {
        "signed_in": True,
        "until": NOW_S + 1_800,
        "recognised_until": NOW_S + 30 * 86_400,
        "facts": {"segments": ["loyal"], "traits.first_name": "Ann", "traits.tier": "gold"},
        "bought": [],
    }
    assert "You are signed in, until" in await page(browser)

    shop.clock.now_s += 3_600
    found = (await told(browser))["customer"]
    assert (found["signed_in"], found["until"]) == (False, NOW_S + 1_800)
    assert found["facts"] == {"segments": ["loyal"], "traits.tier": "gold"}
    text = await page(browser)
    assert "You were signed in on this device until" in text
    assert "This device is known as yours until" in text
    assert "Ann" not in text


async def test_a_customer_of_whom_nothing_is_known_is_told_so() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent(*ALL)
    await sign_in(browser, "carla")

    assert (await told(browser))["customer"]["facts"] == {}
    assert "Nothing else is known." in await page(browser)


async def test_what_was_seen_of_capped_rules_is_told_by_its_times() -> None:
    shop = Shop()
    browser = await shopper(shop)
    shop.clock.now_s += 1_200
    x = (await browser.visit())["decisions"][0]["x"]
    await browser.visit(browser.event("seen", x=x))

    assert (await told(browser))["profile"]["seen"] == [NOW_S + 1_200]
    assert "may be shown only so often" in await page(browser)


async def test_what_a_visitor_declared_is_told_apart_from_what_was_inferred() -> None:
    like = {"on": "like", "preference": {"key": "category", "score": 80}}
    signals = [*SETTINGS["signals"], like]
    browser = Shop(Served(snapshot(signals=signals))).browser()
    await browser.consent("personalization")
    await browser.visit(
        *(browser.event("like", category=each) for each in ("shoes", "pharmacy")),
        browser.event("product_view", item="r", category="garden"),
    )

    profile = (await told(browser))["profile"]

    assert profile["declared"] == {"shoes": 80}
    assert profile["facts"]["interest"].keys() == {"shoes", "garden"}
    assert "interests that you told us" in await page(browser)


async def test_it_names_no_rule_and_no_fragment_not_even_with_dev() -> None:
    for shop in (Shop(), Shop(dev=True)):
        browser = await shopper(shop, *ALL)
        shop.clock.now_s += 1_200
        await browser.hero()
        for text in ((await ask(browser)).text, await page(browser)):
            assert not [name for name in NAMES if name in text]


async def test_to_ask_changes_nothing_anywhere() -> None:
    shop = Shop()
    browser = await shopper(shop)
    shop.sink.clear()
    cookies, before = dict(browser.cookies), shop.services.metrics.values()

    for accept in ("*/*", BROWSER):
        reply = await ask(browser, accept=accept)
        assert "set-cookie" not in reply.headers

    assert (browser.cookies, shop.rows()) == (cookies, [])
    after = shop.services.metrics.values()
    changed = {key for key, count in after.items() if count != before.get(key, 0)}
    assert {key for key in changed if not key.startswith("edgewise_decide_seconds")} == {
        'edgewise_replies_total{route="me",status="200"}'
    }


@pytest.mark.parametrize("cookie", ["x", "a.b.c", "", "x" * 2_000])
async def test_a_cookie_that_cannot_be_believed_is_nobodys(cookie: str) -> None:
    browser = await shopper(Shop())
    browser.cookies["user_interest_score"] = cookie
    assert (await told(browser))["profile"] is None

    browser.cookies["consent"] = cookie
    found = await told(browser)
    assert (found["choice"]["grants"], found["profile"]) == ([], None)
    assert "You have not chosen, so nothing may be used." in await page(browser)


async def test_who_was_forgotten_is_told_that_nothing_is_held(tmp_path: Path) -> None:
    shop = Shop(cache=str(tmp_path))
    browser = await shopper(shop)
    kept = dict(browser.cookies)
    await browser.send("DELETE", "/_ew/v1/me")
    browser.cookies = kept

    assert (await told(browser))["profile"] is None


async def test_a_listed_customer_is_told_nothing_of_the_membership() -> None:
    salt = snapshot().program.key_salt
    shop = Shop(Served(listing({visitor_key(salt, "ann"): int(NOW_S) - 9})))
    browser = shop.browser()
    await browser.consent(*ALL)
    await sign_in(browser)

    assert (await told(browser))["customer"]["facts"] == {}


async def test_without_a_snapshot_or_too_often_it_says_when_to_ask_again() -> None:
    reply = await ask(Shop(Served()).browser())
    assert problem(reply)[:2] == (503, "no-snapshot")
    assert reply.headers["retry-after"] == "5"

    browser = Shop(events_per_minute=12).browser()
    assert [(await ask(browser)).status_code for _ in range(3)] == [200, 200, 429]
    assert (await ask(Shop().browser(), "?path=" + "x" * 9_000)).status_code == 414


async def test_the_lowest_limit_takes_nobodys_right_away(tmp_path: Path) -> None:
    shop = Shop(events_per_minute=1, cache=str(tmp_path))
    browser = shop.browser()

    assert (await ask(browser)).status_code == 200
    assert (await ask(browser)).status_code == 429
    shop.clock.now_s += 61
    assert (await browser.send("DELETE", "/_ew/v1/me")).status_code == 200


async def test_head_is_answered_without_a_body() -> None:
    reply = await Shop().browser().send("HEAD", "/_ew/v1/me")
    assert (reply.status_code, reply.content) == (200, b"")


async def test_who_is_taken_for_a_bot_is_told_what_is_held_and_shown_what_a_stranger_is() -> None:
    shop = Shop()
    browser = await shopper(shop)
    bot = {"user-agent": "curl/8"}

    found = await told(browser, **bot)

    assert found["profile"]["visitor"] == claims(browser)["sub"]
    assert found["slots"][0]["because"] == EVERYBODY
    assert found["logged"] is False


async def test_what_a_signal_takes_away_is_neither_read_nor_told() -> None:
    shop = Shop(gpc="strict")
    browser = await shopper(shop)

    found = await told(browser, **{"sec-gpc": "1"})

    assert found["choice"]["grants"] == ["functional"]
    assert found["choice"]["withheld"] == ["analytics", "personalization"]
    facts = found["profile"]["facts"]
    assert {name.partition(".")[0] for name in facts} == {"cart"}
    text = (await ask(browser, accept=BROWSER, **{"sec-gpc": "1"})).text
    assert "Global Privacy Control" in text
    assert "Nothing of what you do here is written down" in text


async def test_before_any_choice_a_place_of_opt_out_is_told_what_holds() -> None:
    shop = Shop(opt_out_grants=("functional", "analytics"), consent_days=365)
    browser = shop.browser(**{"x-geo-country": "US", "x-geo-region": "CA"})

    assert (await told(browser))["choice"]["grants"] == ["functional", "analytics"]
    assert "this holds until you say no" in await page(browser)


async def test_a_slot_that_cannot_be_explained_does_not_hide_the_rest() -> None:
    shop = Shop()
    browser = await shopper(shop)
    serving = shop.served.current
    assert serving is not None
    hero = serving.program.slots["hero"]
    hero.rules = tuple(msgspec.structs.replace(each, tree=b"") for each in hero.rules)

    found = await told(browser)

    assert found["profile"]["facts"]["counts"]["product_view"] == 45
    assert found["slots"][0]["because"] == "What everybody sees: choosing failed."
    assert shop.counted('edgewise_errors_total{where="explain"}') == 1

"""`Sec-GPC: 1` takes away, in every request that carries it and in no other; it never gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from decisions import consent
from decisions.consent import GPC, MARKETING, PURPOSES
from edge.refresh import Served
from tests.decisions.written import rule
from tests.edge.shop import FIRST_NAME, Browser, Shop, identify_token, snapshot
from tests.edge.test_absence import alike

pytestmark = pytest.mark.anyio

SIGNAL = {"sec-gpc": "1"}
FRAGMENT = "/_ew/v1/fragments/hero"
ADVERTISED: dict[str, Any] = {
    "attributes": {"traits.tier": {"type": "string", "purpose": "marketing"}} | FIRST_NAME,
    "rules": [
        rule("vip", 'traits.tier == "gold"', show="hero/vip", hold="session"),
        rule("shoes", 'interest["shoes"] >= 40', show="hero/shoes"),
    ],
    "fragments": {"hero/vip": "<p>Gold</p>"},
}


async def ann(shop: Shop) -> Browser:
    """Ann, signed in, with everything granted."""
    browser = shop.browser()
    await browser.consent(*PURPOSES)
    await browser.visit(browser.event("identify", token=identify_token("ann")))
    return browser


async def fragment(browser: Browser, **headers: str) -> str:
    return (await browser.send("GET", FRAGMENT, headers=headers)).text


async def test_what_needs_marketing_is_absent_with_the_signal_and_back_without_it() -> None:
    browser = await ann(Shop(Served(snapshot(**ADVERTISED))))

    for _ in range(2):  # within one second: what is remembered of one request is not the other's
        assert await fragment(browser) == "<p>Gold</p>"
        assert await fragment(browser, **SIGNAL) == "<p>Shoes for Ann</p>"


async def test_what_the_session_holds_for_marketing_is_not_shown_with_the_signal() -> None:
    browser = await ann(Shop(Served(snapshot(**ADVERTISED))))
    assert await browser.hero() == "<p>Gold</p>"

    body = {"slots": ["hero"]}
    reply = await browser.send("POST", "/_ew/v1/visit", json=body, headers=SIGNAL)

    assert reply.json()["decisions"][0]["html"] == "<p>Shoes for Ann</p>"


async def test_what_the_signal_leaves_works_as_ever() -> None:
    shop = Shop(Served(snapshot(**ADVERTISED)))
    browser = shop.browser(**SIGNAL)
    await browser.consent(*PURPOSES)

    assert await browser.view("shoes", 6) == "<p>Shoes</p>"
    assert {tuple(row["grants"]) for row in shop.rows()} == {
        ("functional", "analytics", "personalization", "sensitive")
    }


async def test_the_strict_reading_leaves_what_is_functional() -> None:
    shop = Shop(gpc="strict")
    browser = shop.browser()
    await browser.consent(*PURPOSES)
    assert await browser.view("shoes", 6) == "<p>Shoes</p>"
    rows = len(shop.rows())

    assert await fragment(browser) == "<p>Shoes</p>"
    assert await fragment(browser, **SIGNAL) == "<h1>Welcome</h1>"
    seen = len(shop.rows())
    await browser.send("POST", "/_ew/v1/visit", json={"slots": ["hero"]}, headers=SIGNAL)

    assert (seen - rows, len(shop.rows()) - seen) == (1, 0)
    assert await fragment(browser) == "<h1>Welcome</h1>"  # the profile lost it for good


async def test_without_anything_left_that_needs_one_the_profile_goes() -> None:
    browser = Shop(gpc="strict").browser()
    await browser.consent("personalization", "analytics")
    await browser.view("shoes", 6)

    reply = await browser.send("POST", "/_ew/v1/visit", json={}, headers=SIGNAL)

    assert reply.json().get("keep", False) is False
    assert "user_interest_score" not in browser.cookies


@pytest.mark.parametrize("value", ["0", "", "true", "1, 1", "01", "1 "])
async def test_no_other_value_says_anything(value: str) -> None:
    browser = Shop().browser()
    await browser.consent("marketing")

    headers = {"sec-gpc": value.encode()}
    reply = await browser.send("GET", "/_ew/v1/consent", headers=headers)

    assert reply.json()["grants"] == ["marketing"]


async def test_a_choice_is_kept_as_it_was_made_and_told_as_it_counts() -> None:
    browser = Shop().browser()

    made = await browser.send(
        "PUT", "/_ew/v1/consent", json={"grants": ["functional", "marketing"]}, headers=SIGNAL
    )

    for reply in (made, await browser.send("GET", "/_ew/v1/consent", headers=SIGNAL)):
        assert reply.json()["grants"] == ["functional"]
        assert reply.json()["withheld"] == ["marketing"]
    without = (await browser.send("GET", "/_ew/v1/consent")).json()
    assert (without["grants"], "withheld" in without) == (["functional", "marketing"], False)


async def test_a_choice_made_under_the_signal_leaves_nothing_that_it_takes_away() -> None:
    browser = Shop(gpc="strict").browser()
    await browser.consent("functional", "personalization")
    await browser.view("shoes", 6)

    body = {"grants": ["functional", "personalization"]}
    await browser.send("PUT", "/_ew/v1/consent", json=body, headers=SIGNAL)

    assert await fragment(browser) == "<h1>Welcome</h1>"


async def test_who_sends_the_signal_is_forgotten_like_everybody(tmp_path: Path) -> None:
    browser = Shop(gpc="strict", cache=str(tmp_path)).browser()
    await browser.consent("personalization")
    await browser.view("shoes")

    reply = await browser.send("DELETE", "/_ew/v1/me", headers=SIGNAL)

    assert reply.json()["visitor"] is True


@hypothesis.settings(max_examples=25)
@hypothesis.given(st.integers(0, 31), st.sampled_from(sorted(GPC)))
async def test_the_signal_is_the_same_as_a_choice_without_what_it_takes_away(
    grants: int, reading: str
) -> None:
    """Replies, log and metrics of the visits; the choice itself is what it is."""
    left = grants & ~GPC[reading]
    outcomes: list[bytes] = []
    for chosen, headers in ((grants, SIGNAL), (left, SIGNAL), (left, {})):
        shop = alike(gpc=reading)
        browser = shop.browser(**headers)
        await browser.consent(*consent.names(chosen))
        shown = [await browser.visit(browser.event("product_view", category="shoes", item="a"))]
        shown.append(await browser.visit(browser.event("add_to_cart", category="shoes", item="a")))
        page = await fragment(browser)
        outcomes.append(msgspec.json.encode([shown, page, shop.rows()], order="sorted"))

    assert outcomes[0] == outcomes[1] == outcomes[2]


async def test_the_host_says_that_the_signal_is_heeded() -> None:
    browser = Shop().browser()

    reply = await browser.send("GET", "/.well-known/gpc.json")

    assert reply.json() == {"gpc": True, "lastUpdate": "2026-11-27"}
    assert reply.headers["content-type"] == "application/json"
    assert (await browser.send("HEAD", "/.well-known/gpc.json")).status_code == 200
    assert (await browser.send("GET", "/_ew/.well-known/gpc.json")).status_code == 404


def test_both_readings_take_marketing_away_and_leave_what_is_functional() -> None:
    assert GPC["marketing"] == MARKETING
    assert consent.names(GPC["strict"]) == [
        "analytics", "personalization", "marketing", "sensitive",
    ]  # fmt: skip

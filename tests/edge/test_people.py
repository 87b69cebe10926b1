"""Anonymous, recognised, authenticated, out, somebody else: what each is shown, and what stays."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from decisions.compact import Packed, unpack
from decisions.profile import Profile
from edge.refresh import Served
from tests.decisions.written import SETTINGS, rule
from tests.edge.shop import (
    FIRST_NAME,
    NOW_S,
    TIER,
    Browser,
    Shop,
    facts_token,
    identify_token,
    snapshot,
)
from tests.edge.test_access import told
from tests.edge.test_me import claims, sign_in

pytestmark = pytest.mark.anyio

ALL = ("functional", "analytics", "personalization", "marketing")
LISTS = {"viewed": {"add": "product_view"}, "wishes": {"add": "wish", "remove": "unwish"}}
MEASURES = {
    "looked": {"count": "product_view", "within": "1h", "per": "category"},
    "spent": {"sum": "price", "of": "purchase"},
    "wished": {"distinct": "item", "of": "wish"},
}
SIGNALS = [
    *SETTINGS["signals"],
    {"on": "wish"},
    {"on": "unwish"},
    {"on": "like", "preference": {"key": "category", "score": 80}},
]
RULES = [
    rule("named", 'traits.first_name != ""', show="hero/named"),
    rule("basket", "cart.items > 0", show="hero/basket", cap={"times": 3, "per": "24h"}),
    rule("gold", 'traits.tier == "gold"', show="hero/gold"),
    rule("came", 'session.campaign == "spring"', slot="promo", show="promo/spring", hold="session"),
]
FRAGMENTS = {
    "hero/named": "<p>{{traits.first_name}}</p>",
    "hero/basket": "<p>{{cart.items}} of {{cart.value}}</p>",
    "hero/gold": "<p>Gold{{#traits.first_name}} {{.}}{{/traits.first_name}}</p>",
}
SIGNED_IN = {"customer", "authenticated_until_s", "recognised_until_s"}
WELCOME = "<h1>Welcome</h1>"
# All words that only the first person at the device brought along.
PERSONAL = ("shoes", "garden", "4711", "12.5", "spring", "Ann", "gold", "loyal")


def shop(**settings: Any) -> Shop:
    made = snapshot(
        attributes=TIER | FIRST_NAME,
        signals=SIGNALS,
        lists=LISTS,
        measures=MEASURES,
        rules=RULES,
        fragments=FRAGMENTS,
    )
    return Shop(Served(made), **settings)


def profile(one: Shop, browser: Browser) -> Profile:
    """What the cookie says, under its names."""
    found = claims(browser)
    serving = one.served.current
    assert serving is not None
    packed = msgspec.convert(found["p"], Packed)
    return unpack(packed, serving.program.dictionary, found["sub"])


def payload(browser: Browser) -> str:
    """The cookie as it lies on the device."""
    part = browser.cookies["user_interest_score"].split(".")[1]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()


async def lived(one: Shop, browser: Browser) -> None:
    """Fills every field of a profile: a campaign, interests, counts, measures, lists, preferences,
    a basket, a cap, and a rule that is held."""
    await browser.consent(*ALL)
    came = await browser.visit(slots=("promo",), path="/?utm_campaign=spring")
    assert came["decisions"][0]["html"] == "<p>Spring</p>"
    await browser.view("shoes", 3)
    await browser.visit(
        browser.event("wish", item="4711", category="garden"),
        browser.event("like", category="garden"),
        browser.event("purchase", category="shoes", price=12.5),
        browser.event("add_to_cart", item="4711", category="shoes", price=12.5),
    )
    one.clock.now_s += 1
    x = (await browser.visit())["decisions"][0]["x"]
    await browser.visit(browser.event("seen", x=x))
    full = profile(one, browser)
    empty = [name for name, value in msgspec.structs.asdict(full).items() if not value]
    assert {*empty} <= SIGNED_IN


async def hero(browser: Browser, *events: dict[str, Any], **page: Any) -> str:
    return str((await browser.visit(*events, **page))["decisions"][0]["html"])


async def replies(browser: Browser) -> str:
    """All that the edge says of who asks: the slots, what is held, as JSON and as a page."""
    said = [json.dumps(await browser.visit(slots=("hero", "promo", "feed")))]
    for accept in ("*/*", "text/html"):
        said.append((await browser.send("GET", "/_ew/v1/me", headers={"accept": accept})).text)
    said.append((await browser.send("GET", "/_ew/v1/fragments/hero")).text)
    return "\n".join(said)


def is_a_stranger(left: Profile, visitor: str) -> None:
    """Asserts that a profile holds what anybody's first visit leaves, under a new id."""
    session = left.session
    assert session is not None
    assert left.visitor != visitor
    assert left == Profile(
        visitor=left.visitor,
        seen_s=left.seen_s,
        at_s=left.at_s,
        first_seen_s=session.started_s,
        visits=1,
        session=type(session)(session.started_s, session.last_s),
        recent=left.recent,
        customer=left.customer,
        authenticated_until_s=left.authenticated_until_s,
        recognised_until_s=left.recognised_until_s,
    )


async def test_a_life_from_stranger_to_customer_and_back() -> None:
    one = shop()
    browser = one.browser()
    assert await hero(browser) == WELCOME
    await browser.consent(*ALL)
    assert await hero(browser) == WELCOME
    assert (await told(browser))["customer"] is None

    assert await sign_in(browser) == "<p>Ann</p>"
    assert (await told(browser))["customer"]["facts"]["traits.first_name"] == "Ann"

    one.clock.now_s += 1_800
    assert await hero(browser) == "<p>Gold</p>"
    customer = (await told(browser))["customer"]
    assert (customer["signed_in"], "traits.first_name" in customer["facts"]) == (False, False)

    assert await sign_in(browser) == "<p>Ann</p>"
    assert await hero(browser, browser.event("sign_out")) == WELCOME
    assert (await told(browser))["customer"] is None


@pytest.mark.parametrize("is_signed_in", [False, True])
async def test_after_a_sign_out_neither_cookie_nor_reply_has_anything_of_before(
    is_signed_in: bool,
) -> None:
    one = shop()
    browser = one.browser()
    await lived(one, browser)
    if is_signed_in:
        await sign_in(browser)
    visitor = claims(browser)["sub"]

    assert await hero(browser, browser.event("sign_out"), path="/?utm_campaign=spring") == WELCOME

    left = profile(one, browser)
    is_a_stranger(left, visitor)
    assert (left.customer, left.authenticated_until_s) == (0, 0)
    said = payload(browser) + await replies(browser)
    assert [word for word in PERSONAL if word in said] == []


async def test_another_customer_at_the_device_finds_nothing_of_the_one_before() -> None:
    one = shop()
    browser = one.browser()
    await lived(one, browser)
    await sign_in(browser)
    visitor, ann = claims(browser)["sub"], profile(one, browser).customer

    assert await sign_in(browser, "carla") == WELCOME

    left = profile(one, browser)
    is_a_stranger(left, visitor)
    assert left.customer not in (0, ann)
    said = payload(browser) + await replies(browser)
    assert [word for word in PERSONAL if word in said] == []
    assert visitor not in said


async def test_the_same_customer_again_keeps_what_was_learnt() -> None:
    one = shop()
    browser = one.browser()
    await lived(one, browser)
    await sign_in(browser)
    before = profile(one, browser)

    await sign_in(browser)

    after = profile(one, browser)
    assert (after.visitor, after.measures, after.lists) == (
        before.visitor, before.measures, before.lists,
    )  # fmt: skip
    assert (after.preferences, after.cart, after.caps) == (
        before.preferences, before.cart, before.caps,
    )  # fmt: skip


async def test_who_is_recognised_is_told_nothing_that_needs_a_sign_in_by_any_way(
    tmp_path: Path,
) -> None:
    one = shop(cache=str(tmp_path))
    browser = one.browser()
    await browser.consent(*ALL)
    await sign_in(browser)
    token = facts_token(at_s=NOW_S + 1_801, traits={"first_name": "Annabel"})
    body = {"events": [], "slots": ["hero"], "page": {}, "facts": token}
    for signed_in in (True, False):
        one.clock.now_s = NOW_S + (1_799 if signed_in else 1_801)
        shown = await browser.send("POST", "/_ew/v1/visit", json=body)
        assert ("Ann" in shown.text + await replies(browser)) is signed_in

    assert await hero(browser) == "<p>Gold</p>"
    forgotten = await browser.send("DELETE", "/_ew/v1/me")
    assert forgotten.json()["customer"] is False


@pytest.mark.parametrize(
    ("claims_", "settings", "known_s"),
    [
        ({"recognised_s": 7_200}, {}, 7_200),
        ({"recognised_s": 0}, {}, 1_800),
        ({}, {"recognised_days": 1}, 86_400),
        ({}, {"recognised_days": 0}, 1_800),
    ],
    ids=["as the token says", "a shared device", "as the site has set", "never beyond the sign-in"],
)
async def test_when_a_customer_is_not_recognised_any_more_nothing_of_them_is_left(
    claims_: dict[str, int], settings: dict[str, Any], known_s: int, tmp_path: Path
) -> None:
    one = shop(cache=str(tmp_path), **settings)
    browser = one.browser()
    await lived(one, browser)
    token = identify_token("ann", one.clock(), **claims_)
    at_s = one.clock()
    await browser.visit(browser.event("identify", token=token))
    visitor, cookie = claims(browser)["sub"], browser.cookies["user_interest_score"]

    one.clock.now_s = at_s + known_s - 1
    assert await hero(browser) != WELCOME
    assert (await browser.visit())["next_in"] == 1
    kept = browser.cookies["user_interest_score"]

    one.clock.now_s = at_s + known_s
    for stale in (cookie, kept):  # what reads only sees nothing of it, what writes replaces it
        browser.cookies["user_interest_score"] = stale
        for path in ("/_ew/v1/me", "/_ew/v1/fragments?slots=hero,promo,feed"):
            said = (await browser.send("GET", path)).text
            assert [word for word in (*PERSONAL, visitor) if word in said] == []
        is_a_stranger_now(await told(browser))
        said = await replies(browser)
        assert [word for word in (*PERSONAL, visitor) if word in said] == []
        is_a_stranger(profile(one, browser), visitor)


def is_a_stranger_now(said: dict[str, Any]) -> None:
    """Asserts that nobody is known."""
    assert (said["profile"], said["customer"]) == (None, None)


async def test_who_is_not_recognised_any_more_can_still_be_forgotten_at_that_device(
    tmp_path: Path,
) -> None:
    one = shop(cache=str(tmp_path))
    browser = one.browser()
    await browser.consent(*ALL)
    await browser.visit(
        browser.event("identify", token=identify_token("ann", one.clock(), recognised_s=0))
    )
    one.clock.now_s += 1_800

    forgotten = await browser.send("DELETE", "/_ew/v1/me")

    assert forgotten.json() == {"visitor": True, "customer": False}


async def test_a_new_choice_after_the_end_is_a_strangers() -> None:
    one = shop()
    browser = one.browser()
    await lived(one, browser)
    await browser.visit(
        browser.event("identify", token=identify_token("ann", one.clock(), recognised_s=0))
    )
    visitor = claims(browser)["sub"]
    one.clock.now_s += 1_800

    await browser.consent(*ALL)

    assert claims(browser)["sub"] != visitor
    assert profile(one, browser).interests == {}


async def test_an_expired_sign_in_and_a_sign_out_leave_the_choice_as_it_is() -> None:
    one = shop()
    browser = one.browser()
    await lived(one, browser)
    await sign_in(browser)
    choice = browser.cookies["consent"]
    one.clock.now_s += 3_600

    await browser.visit(browser.event("sign_out"))

    assert browser.cookies["consent"] == choice
    assert (await told(browser))["choice"]["grants"] == list(ALL)

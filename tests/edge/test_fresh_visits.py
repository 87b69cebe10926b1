"""What the site's server knows now beats snapshot and cookie by time, for this visit alone."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from edge.refresh import Served
from tests.decisions.written import rule
from tests.edge.shop import NOW_S, RULES, Browser, Shop, facts_token, identify_token, snapshot

pytestmark = pytest.mark.anyio

EVERYTHING = ("functional", "personalization", "analytics")
VISITOR = "01a2006b-0000-7000-8000-000000000000"
WELCOME, VIP, LOYAL = "<h1>Welcome</h1>", "<p>Hello</p>", "<p>Welcome back</p>"


async def ann(shop: Shop, grants: tuple[str, ...] = EVERYTHING) -> Browser:
    """Ann, signed in for half an hour; the snapshot, built at NOW_S, has her loyal and gold."""
    browser = shop.browser()
    await browser.consent(*grants)
    await browser.hero(browser.event("identify", token=identify_token("ann")))
    shop.clock.now_s = NOW_S + 6
    return browser


async def shown(browser: Browser, token: str, *events: dict[str, Any]) -> str:
    body = {"slots": ["hero"], "facts": token, "events": events}
    reply = await browser.send("POST", "/_ew/v1/visit", json=body)
    assert reply.status_code == 200
    return str(reply.json()["decisions"][0]["html"])


async def test_what_the_server_knows_now_beats_the_snapshot_for_this_visit_alone() -> None:
    browser = await ann(Shop())
    hello = await browser.hero()
    assert "Hello" in hello
    before = dict(browser.cookies)

    assert await shown(browser, facts_token(traits={"tier": "silver"})) == LOYAL
    assert await shown(browser, facts_token(traits={"tier": None})) == LOYAL
    gone = facts_token(traits={"tier": None}, segments={"loyal": False})
    assert "Shoes" in await shown(browser, gone)
    assert await shown(browser, facts_token(traits={"first_name": "Anna"})) == (
        hello.replace("Ann", "Anna")
    )
    assert await browser.hero() == hello
    assert browser.cookies.keys() == before.keys()


async def test_what_the_snapshot_knows_later_stands() -> None:
    browser = await ann(Shop())
    older = facts_token(at_s=NOW_S, traits={"tier": "silver"}, segments={"loyal": False})
    assert "Hello" in await shown(browser, older)


async def test_values_of_another_type_and_undeclared_ones_change_nothing() -> None:
    browser = await ann(Shop())
    for traits in ({"tier": 5}, {"tier": ["gold"]}, {"tier": {"a": 1}}, {"unheard": "of"}):
        assert "Hello" in await shown(browser, facts_token(traits=traits))
    assert "Hello" in await shown(browser, facts_token(segments={"unheard-of": True}))


async def test_a_segment_that_the_server_tells_needs_what_the_playbook_says() -> None:
    rules = [rule("ill", '"patient" in segments'), rule("again", '"loyal" in segments')]
    served = Served(snapshot(rules=rules, fragments={"hero/loyal": LOYAL}))
    bob = Shop(served).browser()
    await bob.consent("personalization")
    await bob.hero(bob.event("identify", token=identify_token("bob")))

    def token(name: str) -> str:
        return facts_token("bob", NOW_S + 1, segments={name: True})

    assert await shown(bob, token("patient")) == WELCOME
    assert await shown(bob, token("loyal")) == LOYAL
    await bob.consent("personalization", "sensitive")
    assert await shown(bob, token("patient")) == LOYAL


async def test_what_needs_a_sign_in_needs_one_in_a_token_too() -> None:
    shop = Shop()
    browser = await ann(shop)
    shop.clock.now_s = NOW_S + 2_000  # known, and not signed in any more
    token = facts_token(at_s=NOW_S + 1_999, traits={"first_name": "Anna", "tier": "gold"})
    assert await shown(browser, token) == VIP


async def test_a_sign_in_and_a_sign_out_in_the_same_visit_count() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent(*EVERYTHING)
    shop.clock.now_s = NOW_S + 6
    token = facts_token(traits={"tier": "silver"})
    sign_in = browser.event("identify", token=identify_token("ann"))

    assert await shown(browser, token, sign_in) == LOYAL
    assert await shown(browser, token, browser.event("sign_out")) == WELCOME
    assert shop.counted('edgewise_facts_tokens_total{result="foreign"}') == 1


async def test_the_basket_of_the_later_word_counts() -> None:
    rules = [rule("basket", "cart.items > 0", show="hero/cart", **{"with": {"cta": "Go"}})]
    shop = Shop(Served(snapshot(rules=rules)))
    browser = await ann(shop)
    cart = {"items": 3, "value": 30.0, "updated_at": NOW_S - 60}

    assert "3 in your cart" in await shown(browser, facts_token(cart=cart))
    assert await browser.hero() == WELCOME  # and it is not kept

    added = browser.event("add_to_cart", item="1", category="shoes", price=9)
    assert "1 in your cart" in await shown(browser, facts_token(cart=cart), added)
    shop.clock.now_s += 10
    later = facts_token(at_s=NOW_S + 15, cart=cart | {"items": 0})
    assert await shown(browser, later) == WELCOME
    assert "1 in your cart" in await shown(browser, facts_token(cart=cart))


async def test_a_basket_is_as_old_as_the_server_says_and_never_of_the_future() -> None:
    shop = Shop()
    browser = await ann(shop)
    old = facts_token(cart={"items": 1, "value": 9, "updated_at": NOW_S - 900})
    assert "1 in your cart" in await shown(browser, old)

    body = {
        "slots": ["hero"],
        "facts": facts_token(cart={"items": 1, "value": 9, "updated_at": NOW_S + 500}),
    }
    told = (await browser.send("POST", "/_ew/v1/visit", json=body)).json()
    assert told["next_in"] == 900


async def test_products_of_an_older_basket_do_not_show_in_a_newer_one() -> None:
    text = "{{cart.items}}/{{cart.lines}}: {{cart.products}}"
    rules = [rule("basket", "cart.items > 0", show="hero/list")]
    shop = Shop(Served(snapshot(rules=rules, fragments={"hero/list": text})))
    browser = await ann(shop)
    added = browser.event("add_to_cart", item="old", category="shoes", price=9)
    assert await browser.hero(added) == "1/1: old"
    shop.clock.now_s += 10

    cart: dict[str, Any] = {"items": 2, "value": 30.0, "updated_at": NOW_S}
    lines = [{"item": "new", "quantity": 1, "price": 10.0}, {"item": "x", "category": "pharmacy"}]
    assert await shown(browser, facts_token(at_s=NOW_S + 15, cart=cart)) == "2/1: "
    with_lines = facts_token(at_s=NOW_S + 15, cart=cart | {"lines": lines})
    assert await shown(browser, with_lines) == "2/2: new"
    older = facts_token(at_s=NOW_S + 1, cart=cart | {"lines": lines})
    assert await shown(browser, older) == "1/1: old"


async def test_a_bot_is_nobody_and_brings_no_facts() -> None:
    shop = Shop()
    robot = shop.browser(**{"user-agent": "Googlebot/2.1"})
    await robot.consent(*EVERYTHING)
    assert await shown(robot, facts_token(traits={"tier": "gold"})) == WELCOME
    assert shop.counted("edgewise_facts_tokens_total") == 0


@pytest.mark.parametrize(
    ("grants", "differs"),
    [
        ((), {"traits", "segments", "cart"}),
        (("analytics",), {"traits", "segments", "cart"}),
        (("functional",), {"traits", "segments"}),
        (("personalization",), {"cart"}),
    ],
)
async def test_what_is_not_granted_changes_neither_reply_nor_cookie_nor_counter(
    grants: tuple[str, ...], differs: set[str]
) -> None:
    told = []
    bought = rule("thing", '"thing 1" in cart.products || cart.lines > 1', show="hero/vip")
    for number in (1, 2):
        shop = Shop(Served(snapshot(rules=[bought, *RULES])))
        numbers = itertools.count()
        shop.services.intake._new_id = lambda _, n=numbers: f"{VISITOR[:-1]}{next(n)}"  # type: ignore[misc]
        browser = await ann(shop, grants)
        claims: dict[str, Any] = {
            "traits": {"tier": "gold"},
            "segments": {"loyal": False},
            "cart": {"items": 1, "value": 1.0, "updated_at": NOW_S - 1, "lines": [{"item": "a"}]},
        }
        others: dict[str, Any] = {
            "traits": {"tier": f"other {number}"},
            "segments": {"loyal": number == 1},
            "cart": {
                "items": number,
                "value": 9.0,
                "updated_at": NOW_S - 1_000 * number,
                "lines": [{"item": f"thing {number}", "quantity": number}],
            },
        }
        claims |= {name: others[name] for name in differs}
        if "personalization" not in grants:
            claims |= {"sub": None, "visitor": VISITOR}
        reply = await shown(browser, facts_token(**claims))
        values = shop.services.metrics.values().items()
        counted = {key: count for key, count in values if not key.startswith("edgewise_decide")}
        told.append((reply, browser.cookies, counted))
    assert told[0] == told[1]
    assert shop.counted("edgewise_facts_tokens_total") == (1 if len(differs) < 3 else 0)

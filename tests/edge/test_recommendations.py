"""GET v1/users/{id}/recommendations: what is granted of a customer is read, and nothing else."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest

from decisions.ledger import visitor_key
from edge.apikeys import OFREP, ApiKeys, spelt
from edge.recommending import MAX_AT_HAND, MAX_CUSTOMER, MAX_LIMIT
from edge.refresh import Served
from tests.decisions.written import SETTINGS
from tests.edge.shop import NOW_S, Shop, api_key, identify_token, snapshot

pytestmark = pytest.mark.anyio

PERSONAL = "grants=personalization"
SENSITIVE = "grants=personalization,sensitive"
POPULAR = ["laces", "boots", "rake", "spade"]  # the pill is of a sensitive category


def stocked(**declared: Any) -> Shop:
    return Shop(Served(snapshot(recommendations=declared)))


async def told(shop: Shop, query: str = "", customer: str = "ann") -> dict[str, Any]:
    path = f"v1/users/{quote(customer, safe='')}/recommendations?{query}"
    reply = await shop.ask(path, method="GET")
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


async def items(shop: Shop, query: str = "", customer: str = "ann") -> list[str]:
    return [one["item"] for one in (await told(shop, query, customer))["items"]]


async def test_what_goes_with_what_was_bought_comes_first_and_then_what_is_popular() -> None:
    reply = await told(stocked(), PERSONAL)

    laces = {"item": "laces", "score": 0.25, "because": "boots"}
    assert reply == {
        "items": [
            laces,
            {"item": "rake", "score": 0.15, "because": None},
            {"item": "spade", "score": 0.125, "because": None},
        ],
        "snapshot": 1,
    }


async def test_what_was_bought_and_what_is_at_hand_is_never_recommended() -> None:
    assert await items(stocked(), PERSONAL + "&items=laces,boots") == ["rake", "spade"]
    assert await items(stocked(), "items=laces,never+heard+of,laces") == ["boots", "rake", "spade"]


async def test_what_is_at_hand_needs_no_grant_and_says_more_than_what_was_bought() -> None:
    assert await told(stocked(), "items=rake&limit=1") == {
        "items": [{"item": "spade", "score": 0.5, "because": "rake"}],
        "snapshot": 1,
    }
    both = await told(stocked(), PERSONAL + "&items=rake&limit=2")
    assert [(one["item"], one["because"]) for one in both["items"]] == [
        ("spade", "rake"),
        ("laces", "boots"),
    ]


@pytest.mark.parametrize("query", ["", "grants=functional,sensitive", "authenticated=1"])
async def test_without_the_grant_a_customer_gets_what_a_stranger_gets(query: str) -> None:
    shop = stocked()

    mine, theirs = [await told(shop, query, who) for who in ("ann", "nobody at all")]

    assert mine == theirs
    assert len(mine["items"]) > 3
    assert {one["because"] for one in mine["items"]} == {None}


async def test_a_stranger_gets_what_is_popular_in_the_same_shape() -> None:
    reply = await told(stocked(), PERSONAL, "nobody at all")

    assert [one["item"] for one in reply["items"]] == POPULAR
    assert reply["items"][0] == {"item": "laces", "score": 1.0, "because": None}


async def test_a_sensitive_item_is_shown_and_counts_with_its_own_opt_in_only() -> None:
    shop = stocked()

    assert "pill" not in await items(shop, "items=boots")
    assert "pill" in await items(shop, "items=boots&grants=sensitive")
    with_it = await told(shop, "items=pill&grants=sensitive&limit=2")
    assert [(one["item"], one["because"]) for one in with_it["items"]] == [
        ("boots", "pill"),
        ("spade", "pill"),
    ]
    assert await told(shop, "items=pill") == await told(shop)
    assert (await items(shop, SENSITIVE))[0] == "laces"
    assert "pill" not in await items(shop, SENSITIVE)  # Ann has it
    assert "pill" in await items(shop, SENSITIVE, "bob")


async def test_an_item_that_is_declared_sensitive_is_one() -> None:
    values = {"category": ["pharmacy"], "item": ["laces"]}
    gain = {"on": "product_view", "interest": {"key": "item", "add": 1}}
    more = [*SETTINGS["signals"], gain]
    shop = Shop(Served(snapshot(recommendations={}, sensitive_values=values, signals=more)))

    assert await items(shop) == ["boots", "rake", "spade"]
    assert (await items(shop, "grants=sensitive"))[0] == "laces"


async def test_a_category_is_the_only_one_unless_it_may_not_be_known() -> None:
    shop = stocked()

    assert await items(shop, "category=garden&items=boots") == ["rake", "spade"]
    assert await items(shop, "category=nothing+of+the+kind") == []
    assert await items(shop, "category=pharmacy&grants=sensitive") == ["pill"]
    assert await told(shop, "category=pharmacy") == await told(shop)


async def test_what_needs_a_sign_in_is_read_when_the_server_vouches_for_one() -> None:
    shop = stocked(needs="authenticated")

    assert await told(shop, PERSONAL) == await told(shop)
    assert await items(shop, PERSONAL + "&authenticated=0") == POPULAR
    assert (await told(shop, PERSONAL + "&authenticated=1"))["items"][0]["because"] == "boots"


async def test_who_is_erased_is_a_stranger() -> None:
    shop = stocked()
    shop.services.served.forget({visitor_key(snapshot().program.key_salt, "ann"): int(NOW_S)})

    assert await items(shop, PERSONAL) == POPULAR


async def test_without_a_snapshot_or_the_section_there_is_nothing_to_recommend() -> None:
    assert await told(Shop(Served()), PERSONAL) == {"items": [], "snapshot": 0}
    assert await told(Shop(), PERSONAL) == {"items": [], "snapshot": 1}


async def test_a_customers_id_is_any_text() -> None:
    shop = stocked()
    for customer in ("a/b", "ü 100%", "?", "#", "recommendations", "x" * MAX_CUSTOMER):
        assert await items(shop, PERSONAL, customer) == POPULAR


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/recommendations", "a customer's id of 1 to 256 characters, got 0"),
        (f"{'x' * (MAX_CUSTOMER + 1)}/recommendations", "256 characters, got 257"),
        ("a/recommendations?limit=0", "expected 1 to 50, got '0'"),
        (f"a/recommendations?limit={MAX_LIMIT + 1}", "expected 1 to 50"),
        ("a/recommendations?limit=many", "expected 1 to 50, got 'many'"),
        ("a/recommendations?grants=all", "functional, analytics, .*, got 'all' - at `grants`"),
        ("a/recommendations?grants=authenticated", "got 'authenticated'"),
        ("a/recommendations?authenticated=yes", "expected 1 or 0 - at `authenticated`"),
        (f"a/recommendations?items=i{',i' * MAX_AT_HAND}", "at most 50 items, got 51"),
        ("a/recommendations?items=i,,j", "expected items between commas, got nothing there"),
        ("a/recommendations?grants=functional,", "got '' - at `grants`"),
        (f"a/recommendations?items={'i' * 129}", "at most 128 characters, got 129 - at `items`"),
        (f"a/recommendations?category={'i' * 129}", "got 129 - at `category`"),
    ],
)
async def test_what_is_no_question_is_refused(path: str, said: str) -> None:
    reply = await stocked().ask(f"v1/users/{path}", method="GET")

    assert reply.status_code == 400
    assert re.search(said, reply.json()["detail"])


async def test_only_a_server_with_the_scope_may_ask() -> None:
    path = "v1/users/ann/recommendations"
    shop = stocked()

    nobody = await shop.ask(path, method="GET", authorization="")
    page = await shop.ask(path, method="GET", origin="https://shop.example")
    shop.api_keys = ApiKeys([api_key("cms", b"c" * 32, scopes=(OFREP,))])
    kid = shop.api_keys.keys[0].kid
    other = await shop.ask(path, method="GET", authorization=f"Bearer {spelt(kid, b'c' * 32)}")

    assert [reply.status_code for reply in (nobody, page, other)] == [401, 403, 403]
    assert "scope recommendations" in other.json()["detail"]


async def test_nobody_may_keep_the_reply_and_nothing_is_logged() -> None:
    shop = stocked()
    reply = await shop.ask(f"v1/users/ann/recommendations?{PERSONAL}", method="GET")

    assert reply.headers["cache-control"] == "private, no-store"
    assert "set-cookie" not in reply.headers
    assert shop.rows() == []


async def test_who_is_signed_in_is_told_what_they_bought() -> None:
    shop = stocked()
    browser = shop.browser()
    await browser.consent("functional", "personalization")
    await browser.hero(browser.event("identify", token=identify_token("ann")))

    me = await browser.send("GET", "/_ew/v1/me", headers={"accept": "application/json"})
    page = await browser.send("GET", "/_ew/v1/me", headers={"accept": "text/html"})

    assert me.json()["customer"]["bought"] == ["boots"]
    assert "what you bought last" in page.text
    await browser.consent("functional", "personalization", "sensitive")
    me = await browser.send("GET", "/_ew/v1/me", headers={"accept": "application/json"})
    assert me.json()["customer"]["bought"] == ["pill", "boots"]


async def test_who_is_recognised_is_not_told_what_needs_a_sign_in() -> None:
    shop = stocked(needs="authenticated")
    browser = shop.browser()
    await browser.consent("functional", "personalization")
    await browser.hero(browser.event("identify", token=identify_token("ann")))

    told_of = []
    for later_s in (0, 3_600):
        shop.clock.now_s += later_s
        me = await browser.send("GET", "/_ew/v1/me", headers={"accept": "application/json"})
        customer = me.json()["customer"]
        told_of.append((customer["signed_in"], customer["bought"]))

    assert told_of == [(True, ["boots"]), (False, [])]

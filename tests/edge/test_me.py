"""DELETE v1/me: who asks is forgotten at once, and wherever their cookie turns up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from decisions.ledger import row_key, visitor_key
from edge.app import create_services
from edge.config import Config
from edge.refresh import Served
from snapshots.bundle import unpack
from snapshots.erased import Erased, Times, erased_part
from tests.edge.shop import COOKIE_KEYS, NOW_S, Browser, Shop, identify_token, snapshot
from tests.edge.test_routes import problem

pytestmark = pytest.mark.anyio

ALL = ("functional", "analytics", "personalization")
SALT = snapshot().program.key_salt
ANN = visitor_key(SALT, "ann")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(cache=str(tmp_path))


async def forget(browser: Browser, **headers: str) -> httpx.Response:
    return await browser.send("DELETE", "/_ew/v1/me", headers=headers)


async def sign_in(browser: Browser, who: str = "ann") -> str:
    token = identify_token(who, browser.clock())
    return await browser.hero(browser.event("identify", token=token))


async def known(shop: Shop, who: str = "") -> Browser:
    """A browser whose visitor likes shoes, or is signed in."""
    browser = shop.browser()
    await browser.consent(*ALL)
    if who:
        await sign_in(browser, who)
    else:
        assert await browser.view("shoes", 45) == "<p>Shoes</p>"
    return browser


def listing(times: Times, version: int = 2) -> Any:
    part = erased_part(times)
    made = snapshot(version)
    return type(made)(
        made.manifest, made.program, made.membership, Erased(unpack(part.ref, part.stored))
    )


def claims(browser: Browser) -> Any:
    token = browser.cookies["user_interest_score"]
    return jwt.decode(token, options={"verify_signature": False})


def visitor_of(shop: Shop) -> str:
    return str(shop.rows()[-1]["visitor"])


async def test_who_asks_is_forgotten_and_keeps_no_cookie(shop: Shop) -> None:
    browser = await known(shop)

    reply = await forget(browser)

    assert (reply.status_code, reply.json()) == (200, {"visitor": True, "customer": False})
    assert reply.headers["cache-control"] == "private, no-store"
    assert browser.cookies == {}
    assert await browser.hero() != "<p>Shoes</p>"


async def test_a_cookie_that_is_still_about_is_nobodys_and_is_replaced(shop: Shop) -> None:
    browser = await known(shop)
    kept = dict(browser.cookies)
    before = visitor_of(shop)
    await forget(browser)
    browser.cookies = dict(kept)

    one = await browser.send("GET", "/_ew/v1/fragments/hero")
    assert one.text != "<p>Shoes</p>"
    assert "set-cookie" not in one.headers, "no GET writes one"
    assert await browser.hero() != "<p>Shoes</p>"

    assert browser.cookies["user_interest_score"] != kept["user_interest_score"]
    assert visitor_of(shop) != before


async def test_a_new_choice_brings_no_forgotten_profile_back(shop: Shop) -> None:
    browser = await known(shop)
    kept = dict(browser.cookies)
    await forget(browser)
    browser.cookies = dict(kept)

    await browser.consent("functional", "personalization")

    old, new = (
        jwt.decode(token, options={"verify_signature": False})
        for token in (kept["user_interest_score"], browser.cookies["user_interest_score"])
    )
    assert new["sub"] != old["sub"]
    assert await browser.hero() != "<p>Shoes</p>"


async def test_the_request_goes_into_the_log_whatever_is_granted(shop: Shop) -> None:
    browser = shop.browser()
    await browser.consent("functional")
    await browser.hero()
    assert shop.rows() == []
    before = row_key(SALT, claims(browser)["sub"])

    await forget(browser)

    (row,) = shop.rows()
    assert (row["type"], row["received"], row["visitor"]) == ("erase", NOW_S, before)
    assert "customer" not in row or row["customer"] == ""
    assert shop.counted('edgewise_erasures_total{who="visitor"}') == 1
    assert shop.counted('edgewise_erasures_total{who="customer"}') == 0


async def test_who_is_signed_in_is_forgotten_as_a_customer_too_on_all_their_devices(
    shop: Shop,
) -> None:
    laptop, phone = await known(shop, "ann"), await known(shop, "ann")
    assert await phone.hero() == "<p>Hello Ann</p>"
    shop.clock.now_s += 60

    reply = await forget(laptop)

    assert reply.json() == {"visitor": True, "customer": True}
    assert shop.rows()[-1]["customer"] == f"{ANN:016x}"
    assert "Hello" not in await phone.hero()
    assert shop.counted('edgewise_erasures_total{who="customer"}') == 1


async def test_who_is_only_recognised_is_forgotten_as_a_visitor(shop: Shop) -> None:
    browser, other = await known(shop, "ann"), await known(shop, "ann")
    shop.clock.now_s += 3_600  # the sign-in is over

    reply = await forget(browser)

    assert reply.json() == {"visitor": True, "customer": False}
    assert "Hello" in await other.hero(), "somebody at a shared device cannot erase the customer"


async def test_a_customer_who_comes_back_may_sign_in_and_is_a_stranger(shop: Shop) -> None:
    browser = await known(shop, "ann")
    await forget(browser)
    shop.clock.now_s += 60
    await browser.consent(*ALL)

    said = await sign_in(browser)

    assert "Hello" not in said
    assert "Hello" not in await browser.hero(), "the row of the membership is not shown"
    before = dict(browser.cookies)
    shop.clock.now_s += 60
    await browser.view("garden")
    assert before.keys() == browser.cookies.keys(), "and the new profile is kept"
    assert visitor_of(shop) == shop.rows()[-2]["visitor"]


async def test_what_a_snapshot_lists_is_forgotten_by_nodes_that_were_never_asked(
    tmp_path: Path,
) -> None:
    asked = Shop(cache=str(tmp_path / "a"))
    (tmp_path / "a").mkdir()
    browser = await known(asked)
    visitor = visitor_of(asked)
    other = Shop(Served(listing({int(visitor, 16): int(NOW_S)})))

    there = other.browser()
    there.cookies = dict(browser.cookies)

    assert await there.hero() != "<p>Shoes</p>"
    assert visitor_of(other) != visitor


async def test_a_listed_customer_is_shown_nothing_of_the_membership() -> None:
    shop = Shop(Served(listing({ANN: int(NOW_S) - 60})))
    browser = shop.browser()
    await browser.consent(*ALL)

    assert "Hello" not in await sign_in(browser)
    bob = shop.browser()
    await bob.consent(*ALL)
    assert await sign_in(bob, "bob") == await bob.hero()


async def test_erasures_of_the_node_and_of_the_snapshot_count_side_by_side(tmp_path: Path) -> None:
    shop = Shop(Served(listing({ANN: int(NOW_S)})), cache=str(tmp_path))
    browser = await known(shop)
    kept = dict(browser.cookies)
    await forget(browser)
    browser.cookies = kept

    assert await browser.hero() != "<p>Shoes</p>"
    current = shop.served.current
    assert current is not None
    assert current.erased_s(ANN) == int(NOW_S)
    assert current.erased_s(1) is None


async def test_who_is_not_known_has_nothing_to_forget(shop: Shop) -> None:
    browser = shop.browser()

    reply = await forget(browser)

    assert reply.json() == {"visitor": False, "customer": False}
    assert reply.headers.get_list("set-cookie")[0].startswith("user_interest_score=; Max-Age=0")
    assert shop.rows() == []


async def test_asking_twice_is_asking_once(shop: Shop) -> None:
    browser = await known(shop)
    kept = dict(browser.cookies)
    await forget(browser)
    browser.cookies = kept

    assert (await forget(browser)).json() == {"visitor": False, "customer": False}
    assert [row["type"] for row in shop.rows()].count("erase") == 1


async def test_another_sites_page_cannot_ask(shop: Shop) -> None:
    browser = await known(shop)

    reply = await forget(browser, **{"sec-fetch-site": "cross-site"})

    assert problem(reply)[:2] == (403, "foreign-origin")
    assert await browser.hero() == "<p>Shoes</p>"


async def test_an_edge_that_cannot_keep_it_says_so_and_forgets_nobody(tmp_path: Path) -> None:
    shop = Shop(cache=str(tmp_path / "gone"))
    browser = await known(shop)

    reply = await forget(browser)

    assert problem(reply)[:2] == (503, "not-kept")
    assert reply.headers["retry-after"] == "5"
    assert "set-cookie" not in reply.headers
    assert await browser.hero() == "<p>Shoes</p>"
    assert shop.counted('edgewise_errors_total{where="erase"}') == 1
    assert "erase" not in [row["type"] for row in shop.rows()]


async def test_without_a_snapshot_nobody_can_be_named_and_the_page_is_told_to_ask_again() -> None:
    reply = await forget(Shop(Served()).browser())

    assert problem(reply)[:2] == (503, "no-snapshot")
    assert reply.headers["retry-after"] == "5"


async def test_one_client_cannot_keep_the_disk_busy(tmp_path: Path) -> None:
    shop = Shop(cache=str(tmp_path), events_per_minute=50)
    replies = [(await forget(shop.browser())).status_code for _ in range(3)]

    assert replies == [200, 200, 429]


async def test_who_has_a_network_of_addresses_is_one_client(tmp_path: Path) -> None:
    shop = Shop(cache=str(tmp_path), events_per_minute=50)
    replies = [
        (await forget(shop.browser(), **{"x-forwarded-for": f"2001:db8::{n}"})).status_code
        for n in range(3)
    ]

    assert replies == [200, 200, 429]


async def test_who_asks_after_their_choice_has_lapsed_is_forgotten_all_the_same(shop: Shop) -> None:
    browser = await known(shop, "ann")
    del browser.cookies["consent"]
    kept = dict(browser.cookies)

    assert (await forget(browser)).json() == {"visitor": True, "customer": True}

    browser.cookies = kept
    assert (await forget(browser)).json() == {"visitor": False, "customer": False}
    await browser.consent(*ALL)
    assert "Hello" not in await browser.hero()


async def test_a_customer_who_was_forgotten_stays_signed_in_in_a_browser_from_before(
    shop: Shop,
) -> None:
    browser, other = await known(shop), await known(shop, "ann")
    await forget(other)
    shop.clock.now_s += 60

    assert await sign_in(browser) != "<p>Shoes</p>", "what it knew from before is left behind"

    told = (await browser.send("GET", "/_ew/v1/me")).json()
    assert told["customer"]["signed_in"]


async def test_an_erasure_survives_the_worker_that_took_it(tmp_path: Path) -> None:
    shop = Shop(cache=str(tmp_path))
    browser = await known(shop)
    kept = dict(browser.cookies)
    await forget(browser)

    later = Shop(cache=str(tmp_path))
    later.served.forget(later.services.erasures.waiting())
    browser = later.browser()
    browser.cookies = kept

    assert await browser.hero() != "<p>Shoes</p>"


async def test_a_new_snapshot_keeps_the_nodes_own_erasures(tmp_path: Path) -> None:
    shop = Shop(cache=str(tmp_path))
    browser = await known(shop)
    kept = dict(browser.cookies)
    await forget(browser)
    newer = snapshot(2)

    class Pointer:
        def serving(self) -> Any:
            return newer.manifest

        def control(self) -> None:
            return None

    def opened(_: Any) -> Any:
        yield
        return newer

    assert await shop.served.look(Pointer(), opened, shop.clock)
    browser.cookies = kept
    assert shop.served.current is not None
    assert shop.served.current.version == 2
    assert await browser.hero() != "<p>Shoes</p>"


def test_services_keep_erasures_in_the_cache_folder(tmp_path: Path) -> None:
    services = create_services(Config(cache=str(tmp_path)), lambda: COOKIE_KEYS)

    services.erasures.add({1: 2_000_000_000})

    assert (tmp_path / "erased").exists()

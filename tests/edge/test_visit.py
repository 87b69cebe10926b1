"""Visits, end to end through the application: learn, decide, render, reply, remember."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from edge.exposure import visitor_hash
from edge.refresh import Served
from tests.decisions.written import rule
from tests.edge.shop import Shop, identify_token, snapshot

pytestmark = pytest.mark.anyio

_NOT_GRANTED = "traits.tier is not granted (personalization)"
EVERYTHING = ("functional", "analytics", "personalization")
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile Safari/604.1"


async def test_a_stranger_sees_the_defaults_and_keeps_nothing() -> None:
    browser = Shop().browser()

    assert await browser.view("shoes", 6) == "<h1>Welcome</h1>"
    assert browser.cookies == {}


async def test_six_products_of_a_department_change_the_hero() -> None:
    browser = Shop().browser()
    await browser.consent("personalization")

    assert await browser.view("shoes", 6) == "<p>Shoes</p>"
    assert set(browser.cookies) == {"consent", "user_interest_score"}


async def test_what_was_learnt_in_one_visit_counts_in_the_next() -> None:
    browser = Shop().browser()
    await browser.consent("personalization")
    await browser.view("shoes", 3)

    assert await browser.view("shoes", 3) == "<p>Shoes</p>"


async def test_a_repeated_event_counts_once() -> None:
    browser = Shop().browser()
    await browser.consent("personalization")
    event = browser.event("product_view", item="1", category="shoes")

    for _ in range(6):
        shown = await browser.hero(event)

    assert shown == "<h1>Welcome</h1>"


async def test_a_known_customer_brings_segments_traits_and_interests() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent(*EVERYTHING)

    shown = await browser.hero(browser.event("identify", token=identify_token("ann")))

    assert shown == "<p>Hello Ann</p>"
    assert shop.rows()[0]["customer"]
    assert "token" not in shop.rows()[0]


async def test_who_is_recognised_is_not_called_by_name() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent(*EVERYTHING)
    await browser.hero(browser.event("identify", token=identify_token("ann")))

    shop.clock.now_s += 3_600

    assert await browser.hero() == "<p>Hello</p>"


async def test_signing_out_takes_everything_personal_along() -> None:
    browser = Shop().browser()
    await browser.consent(*EVERYTHING)
    await browser.hero(browser.event("identify", token=identify_token("ann")))
    visitor = _claims(browser.cookies)["sub"]

    assert await browser.hero(browser.event("sign_out")) == "<h1>Welcome</h1>"
    assert _claims(browser.cookies)["sub"] != visitor


async def test_rows_never_tie_two_people_of_one_device_to_one_id() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent(*EVERYTHING)
    ann = browser.event("identify", token=identify_token("ann"))
    x = (await browser.visit(ann))["decisions"][0]["x"]
    await browser.hero(browser.event("identify", token=identify_token("bob")))
    told = await browser.visit(
        browser.event("sign_out"),
        browser.event("product_view", item="1", category="shoes", x=x),
        browser.event("seen", x=x),
    )
    again = await browser.hero(ann)

    assert [one["code"] for one in told["refused"]] == ["x-foreign"]
    assert again == "<h1>Welcome</h1>"  # that sign-in was before the sign-out
    people = {(row["visitor"], row.get("customer")) for row in shop.rows()}
    visitors = [visitor for visitor, customer in people if customer]
    assert len(visitors) == len(set(visitors)) == 2
    seen_by = {row["x"]["visitor"]: row["visitor"] for row in shop.rows() if row.get("x")}
    assert visitor_hash(_claims(browser.cookies)["sub"]).hex() in seen_by
    assert len(set(seen_by.values())) == len(seen_by), "no x is in rows of two visitors"
    assert shop.counted('edgewise_exposures_total{result="foreign"}') == 2


async def test_an_x_from_before_the_consent_names_nobody_and_still_counts() -> None:
    shop = Shop()
    browser = shop.browser()
    x = (await browser.visit())["decisions"][0]["x"]
    await browser.consent(*EVERYTHING)

    assert "refused" not in await browser.visit(browser.event("seen", x=x), slots=())
    assert shop.rows()[-1]["x"]["slot"] == "hero"


async def test_a_sign_in_without_the_grant_changes_nothing() -> None:
    browser = Shop().browser()
    await browser.consent("functional")

    shown = await browser.hero(browser.event("identify", token=identify_token("ann")))

    assert shown == "<h1>Welcome</h1>"


async def test_a_bad_sign_in_token_is_refused_by_itself() -> None:
    browser = Shop().browser()
    await browser.consent(*EVERYTHING)

    told = await browser.visit(browser.event("identify", token="x.y.z"))

    assert told["refused"][0]["code"] == "bad-identify-token"
    assert told["decisions"][0]["html"] == "<h1>Welcome</h1>"


async def test_withdrawal_brings_the_defaults_back_at_once() -> None:
    browser = Shop().browser()
    await browser.consent(*EVERYTHING)
    await browser.view("shoes", 6)

    await browser.consent()

    assert set(browser.cookies) == {"consent"}
    assert await browser.hero() == "<h1>Welcome</h1>"


async def test_withdrawing_one_purpose_removes_its_claims_and_keeps_the_others() -> None:
    browser = Shop().browser()
    await browser.consent("functional", "personalization")
    await browser.visit(
        browser.event("add_to_cart", item="1", category="shoes", price=5),
        *[browser.event("product_view", item=str(n), category="shoes") for n in range(6)],
    )

    await browser.consent("functional")
    assert await browser.hero() == "<h1>Welcome</h1>"
    await browser.consent("functional", "personalization")
    browser_clock(browser, 20 * 60)

    assert await browser.hero() == "<p>1 in your cart. <a>Go</a></p>"


async def test_a_cart_left_for_a_quarter_of_an_hour_is_remembered_until_the_cap_is_spent() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent(*EVERYTHING)
    await browser.visit(browser.event("add_to_cart", item="1", category="garden", price=2.5))
    shop.clock.now_s += 16 * 60

    shown = []
    for _ in range(3):
        decision = (await browser.visit())["decisions"][0]
        shown.append(decision["html"])
        await browser.visit(browser.event("seen", x=decision["x"]))
        shop.clock.now_s += 1  # an `x` names a second

    assert shown == ["<p>1 in your cart. <a>Go</a></p>"] * 2 + ["<h1>Welcome</h1>"]
    assert shop.counted('edgewise_exposures_total{result="good"}') == 3


async def test_sensitive_interest_needs_its_own_opt_in() -> None:
    browser = Shop().browser()
    await browser.consent("personalization")
    assert await browser.view("pharmacy", 6) == "<h1>Welcome</h1>"

    await browser.consent("personalization", "sensitive")

    assert await browser.view("pharmacy", 6) == "<p>Pills</p>"
    await browser.consent("personalization")
    await browser.consent("personalization", "sensitive")
    assert await browser.hero() == "<h1>Welcome</h1>"


async def test_context_needs_no_grant() -> None:
    browser = Shop().browser(**{"x-geo-country": "FR"})

    told = await browser.visit(slots=("promo",))

    assert told["decisions"][0]["html"] == "<p>Bonjour</p>"


async def test_an_experiment_is_not_entered_without_an_id_and_sticks_with_one() -> None:
    browser = Shop().browser(**{"user-agent": IPHONE})
    assert (await browser.visit(slots=("promo",)))["decisions"][0]["html"] == ""

    await browser.consent("functional")
    shown = {(await browser.visit(slots=("promo",)))["decisions"][0]["html"] for _ in range(5)}

    assert len(shown) == 1
    assert shown <= {"<p>A</p>", "<p>B</p>"}


async def test_a_json_slot_has_json_and_an_unknown_slot_has_nothing() -> None:
    browser = Shop().browser()

    told = await browser.visit(slots=("feed", "nowhere"), category="shoes")

    assert told["decisions"] == [
        {"slot": "feed", "json": {"items": [1, 2]}, "x": told["decisions"][0]["x"]},
        {"slot": "nowhere", "html": ""},
    ]


async def test_a_fragment_is_on_a_page_once_whatever_the_order_its_slots_are_asked_in() -> None:
    again = rule("again-promo", 'geo.country == "FR"', slot="promo", show="hero/loyal",
                 once_per_page=True)  # fmt: skip
    rules = [rule("fr", 'geo.country == "FR"'), again]
    browser = Shop(Served(snapshot(rules=rules))).browser(**{"x-geo-country": "FR"})

    both = (await browser.visit(slots=("promo", "hero", "promo")))["decisions"]
    alone = (await browser.visit(slots=("promo",)))["decisions"]

    assert [shown["slot"] for shown in both] == ["promo", "hero", "promo"]
    assert [shown["html"] for shown in both] == ["", "<p>Welcome back</p>", ""]
    assert alone[0]["html"] == "<p>Welcome back</p>"


async def test_a_slot_that_is_held_does_not_flip_until_the_session_ends() -> None:
    rules = [
        rule("cart", "cart.items > 0", show="hero/cart", **{"with": {"cta": "Go"}}),
        rule("shoes", 'interest["shoes"] >= 40', show="hero/shoes", hold="session"),
    ]
    shop = Shop(Served(snapshot(rules=rules)))
    browser = shop.browser()
    await browser.consent("functional", "personalization")
    assert await browser.view("shoes", 6) == "<p>Shoes</p>"

    added = browser.event("add_to_cart", item="1", category="garden")
    assert await browser.hero(added) == "<p>Shoes</p>"
    asked = await browser.send("GET", "/_ew/v1/fragments/hero")
    assert asked.text == "<p>Shoes</p>"

    shop.clock.now_s += 3_600
    asked = await browser.send("GET", "/_ew/v1/fragments/hero")
    assert "in your cart" in asked.text
    assert "in your cart" in await browser.hero()


async def test_withdrawing_a_purpose_ends_what_is_held() -> None:
    rules = [
        rule("cart", "cart.items > 0", show="hero/cart", **{"with": {"cta": "Go"}}),
        rule("shoes", 'interest["shoes"] >= 40', show="hero/shoes", hold="session"),
    ]
    browser = Shop(Served(snapshot(rules=rules))).browser()
    await browser.consent("functional", "personalization", "marketing")
    await browser.view("shoes", 6)
    added = browser.event("add_to_cart", item="1", category="garden")
    assert await browser.hero(added) == "<p>Shoes</p>"

    await browser.consent("functional", "personalization")

    assert "in your cart" in await browser.hero()


async def test_what_a_late_reply_brings_back_after_a_withdrawal_goes_with_the_next() -> None:
    """Two tabs without `navigator.locks`: one withdraws while the visit of the other is under
    way, whose reply then writes the old profile once more."""
    browser = Shop().browser()
    everything = (*EVERYTHING, "sensitive")
    await browser.consent(*everything)
    assert await browser.view("pharmacy", 6) == "<p>Pills</p>"
    late = browser.cookies["user_interest_score"]
    for left in (EVERYTHING, ("analytics", "sensitive"), ()):
        await browser.consent(*left)
        browser.cookies["user_interest_score"] = late

        assert await browser.hero() == "<h1>Welcome</h1>"

        await browser.consent(*everything)
        assert await browser.hero() == "<h1>Welcome</h1>"


async def test_names_appear_only_for_developers() -> None:
    told = await Shop().browser().visit()
    assert set(told["decisions"][0]) == {"slot", "html", "x"}

    told = await Shop(dev=True).browser().visit()

    decision = told["decisions"][0]
    assert decision["fragment"] == "hero/welcome"
    assert (decision["reason"], decision["snapshot"]) == ("DEFAULT", 1)
    assert decision["steps"][-1] == {"rule": "", "reason": "DEFAULT", "detail": ""}
    assert {"rule": "vip", "reason": "ABSENT", "detail": _NOT_GRANTED} in decision["steps"]


def _six(browser: Any) -> list[dict[str, Any]]:
    return [browser.event("product_view", item=str(n), category="shoes") for n in range(6)]


def _claims(cookies: dict[str, str]) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        cookies["user_interest_score"],
        b"c" * 32,
        ["HS256"],
        audience="profile",
        options={"verify_exp": False, "verify_iat": False},
    )
    return claims


def browser_clock(browser: Any, seconds: float) -> None:
    browser.clock.now_s += seconds


async def swap(shop: Shop, version: int) -> None:
    """Another version of the shop takes over, as it does in a worker."""
    from collections.abc import Generator

    from snapshots.manifest import Manifest
    from snapshots.snapshot import Snapshot
    from tests.edge.shop import snapshot

    new = snapshot(version)

    class Pointer:
        def control(self) -> None:
            return None

        def serving(self) -> Manifest:
            return new.manifest

    def opened(_: Manifest) -> Generator[None, None, Snapshot]:
        yield
        return new

    assert await shop.served.look(Pointer(), opened, shop.clock)


async def test_a_rule_reads_the_visitors_own_clock_from_header_page_and_query() -> None:
    rules = [rule("evening", "local.hour >= 18", show="hero/shoes")]  # 11:06 UTC
    shop = Shop(Served(snapshot(rules=rules)))
    tokyo = shop.browser(**{"x-geo-timezone": "Asia/Tokyo"})
    path = "/_ew/v1/fragments/hero"

    evening = await tokyo.hero()
    assert evening != await shop.browser().hero()
    assert (await shop.browser().visit(zone="Asia/Tokyo"))["decisions"][0]["html"] == evening
    assert (await shop.browser().send("GET", f"{path}?zone=Asia/Tokyo")).text == evening
    assert (await tokyo.send("GET", f"{path}?zone=Europe/Paris")).text != evening


async def test_a_reply_says_when_time_alone_could_change_the_page() -> None:
    shop = Shop()
    browser = shop.browser()
    assert "next_in" not in await browser.visit()
    await browser.consent("functional", "personalization")
    assert "next_in" not in await browser.visit()

    told = await browser.visit(browser.event("add_to_cart", item="1", category="shoes", price=9))
    assert told["next_in"] == 900
    shop.clock.now_s += 899.7
    told = await browser.visit()
    assert (told["decisions"][0]["html"], told["next_in"]) == ("<h1>Welcome</h1>", 1)

    shop.clock.now_s += told["next_in"]
    told = await browser.visit()
    assert "1 in your cart" in told["decisions"][0]["html"]
    assert "next_in" not in told
    assert "next_in" not in await browser.visit(slots=("promo",))

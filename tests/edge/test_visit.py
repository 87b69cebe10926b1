"""Visits, end to end through the application: learn, decide, render, reply, remember."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from edge.exposure import visitor_hash
from edge.refresh import Served
from tests.decisions.written import rule
from tests.edge.shop import NOW_S, Shop, identify_token, snapshot

pytestmark = pytest.mark.anyio

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
    hashes = {row["x"]["visitor"]: row["visitor"] for row in shop.rows() if row.get("x")}
    assert all(visitor_hash(id_).hex() == of for of, id_ in hashes.items())
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


_NOT_GRANTED = "traits.tier is not granted (personalization)"


async def test_undeclared_and_unreadable_events_do_not_hold_up_the_others() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent(*EVERYTHING)

    told = await browser.visit(
        browser.event("nonsense"),
        {"type": "product_view", "price": "much"},
        browser.event("seen", x="forged"),
        browser.event("article_read"),
    )

    codes = {one["index"]: one["code"] for one in told["refused"]}
    assert codes == {0: "undeclared", 1: "unreadable", 2: "x-malformed"}
    assert [row["type"] for row in shop.rows()] == ["article_read", "served"]
    assert shop.counted('edgewise_events_refused_total{code="undeclared"}') == 1


async def test_events_without_analytics_are_counted_and_not_logged() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent("functional", "personalization")

    await browser.view("shoes", 2)

    assert shop.rows() == []
    assert shop.counted('edgewise_events_total{type="product_view"}') == 2
    assert shop.counted("edgewise_events_without_analytics_total") == 2


async def test_a_row_says_what_happened_under_which_grants() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent("analytics")
    x = (await browser.visit())["decisions"][0]["x"]
    shop.sink.clear()

    await browser.visit(
        browser.event(
            "purchase", item="i1", category="shoes", brand="b", price=9.5, quantity=2, x=x
        ),
        slots=(),
        path="/done?order=1",
    )

    row = shop.rows()[0]
    assert row["x"]["slot"] == "hero"
    assert row["x"]["snapshot"] == 1
    visitor = row.pop("visitor")
    assert visitor == _claims(browser.cookies)["sub"]
    assert row == {
        "id": "e1", "type": "purchase", "received": NOW_S, "at": NOW_S, "grants": ["analytics"],
        "policy": "p1", "snapshot": 1, "page": "/done", "item": "i1", "category": "shoes",
        "brand": "b", "price": 9.5, "quantity": 2, "x": row["x"],
    }  # fmt: skip


async def test_sensitive_values_are_not_logged_without_their_opt_in() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent("analytics")

    await browser.visit(
        browser.event("product_view", item="pill", category="pharmacy", brand="b"),
        path="/d/pharmacy",
        category="pharmacy",
    )

    for row in shop.rows():
        assert not {"item", "category", "brand", "page"} & row.keys()
    assert "pill" not in str(shop.rows())
    assert "pharmacy" not in str(shop.rows())


async def test_every_decision_that_leaves_is_a_served_row() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent(*EVERYTHING)

    told = await browser.visit(slots=("hero", "promo", "feed"))

    served = [row for row in shop.rows() if row["type"] == "served"]
    assert [row["id"] for row in served] == [
        decision["x"] for decision in told["decisions"] if "x" in decision
    ]
    assert [row["x"]["slot"] for row in served] == ["hero", "feed"]  # promo shows nothing


async def test_rows_tell_who_was_held_out_when_served_and_when_seen() -> None:
    offer = {"variants": {"a": {"weight": 1, "show": "promo/french"}}}
    rules = [rule("offer", "true", slot="promo", experiment=offer),
             rule("all", "true", slot="promo", show="promo/french")]  # fmt: skip
    holdout = {"share": 99.99, "name": "control"}
    shop = Shop(Served(snapshot(rules=rules, holdout=holdout)))
    browser = shop.browser()
    await browser.consent(*EVERYTHING)

    told = await browser.visit(slots=("promo",))
    await browser.visit(browser.event("seen", x=told["decisions"][0]["x"]), slots=())

    told_of = [(row["type"], row["x"]["rule"], row["x"]["holdout"]) for row in shop.rows()]
    assert told_of == [("served", "all", "control"), ("seen", "all", "control")]


def experimental() -> Shop:
    """A shop with an experiment of which one variant shows something, one nothing, and one never
    renders."""
    shown = {"a": "promo/french", "empty": "promo/none", "broken": "promo/a"}
    variants = {name: {"weight": 1, "show": show} for name, show in shown.items()}
    rules = [rule("offer", "true", slot="promo", experiment={"variants": variants})]
    shop = Shop(Served(snapshot(rules=rules)))
    program = shop.served.current.program if shop.served.current else None
    assert program is not None
    render = program.render

    def failing(decision: Any, facts: Any) -> str:
        if decision.fragment == "promo/a":
            raise ZeroDivisionError
        return render(decision, facts)

    program.render = failing  # type: ignore[method-assign]
    return shop


@pytest.mark.parametrize("way", ["visit", "fragments", "fragment"])
async def test_every_variant_is_logged_when_it_is_met_also_one_that_shows_nothing_or_fails(
    way: str,
) -> None:
    shop = experimental()
    for _ in range(30):
        browser = shop.browser()
        await browser.consent(*EVERYTHING)
        await browser.visit(slots=())
        if way == "visit":
            await browser.visit(slots=("promo",))
        elif way == "fragments":
            await browser.send("GET", "/_ew/v1/fragments?slots=promo")
        else:
            await browser.send("GET", "/_ew/v1/fragments/promo")

    rows = shop.rows()
    assert len({row["id"] for row in rows}) == len(rows) == 30
    assert {(row["type"], row["x"]["rule"], row["x"]["phase"]) for row in rows} == {
        ("served", "offer", 1)
    }
    assert {row["x"]["variant"] for row in rows} == {"a", "empty", "broken"}


async def test_what_was_seen_of_an_experiment_tells_its_phase() -> None:
    shop = experimental()
    for _ in range(40):  # by their ids half of them see nothing
        browser = shop.browser()
        await browser.consent(*EVERYTHING)
        told = await browser.visit(slots=("promo",))
        if x := told["decisions"][0].get("x"):
            await browser.visit(browser.event("seen", x=x), slots=())

    seen = [row["x"] for row in shop.rows() if row["type"] == "seen"]
    assert {(x["variant"], x["phase"]) for x in seen} == {("a", 1)}


async def test_an_x_of_an_earlier_snapshot_still_says_what_it_was() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent(*EVERYTHING)
    x = (await browser.visit())["decisions"][0]["x"]
    await swap(shop, 2)

    await browser.visit(browser.event("seen", x=x), slots=())

    assert shop.rows()[-1]["x"]["snapshot"] == 1
    assert shop.rows()[-1]["snapshot"] == 2


async def test_an_x_of_a_snapshot_that_nobody_remembers_is_logged_without() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent(*EVERYTHING)
    x = (await browser.visit())["decisions"][0]["x"]
    for version in range(2, 12):
        await swap(shop, version)

    told = await browser.visit(browser.event("seen", x=x), slots=())

    assert "refused" not in told
    assert "x" not in shop.rows()[-1]
    assert shop.counted('edgewise_exposures_total{result="forgotten"}') == 1


async def test_the_page_may_keep_events_only_where_a_grant_allows_it() -> None:
    browser = Shop().browser()
    assert "keep" not in await browser.visit()

    await browser.consent("analytics")

    assert (await browser.visit())["keep"] is True


async def test_too_many_events_of_one_client_are_refused_and_slots_are_still_filled() -> None:
    shop = Shop(events_per_minute=3)
    browser = shop.browser()
    await browser.consent("personalization")
    await browser.view("shoes", 3)

    told = await browser.visit(browser.event("article_read"))

    assert (told["refused"][0]["code"], told["retry"]) == ("rate-limited", True)
    assert told["decisions"][0]["html"] == "<h1>Welcome</h1>"
    shop.clock.now_s += 61
    assert "refused" not in await browser.visit(browser.event("article_read"))


async def test_a_snapshot_past_its_date_serves_on() -> None:
    shop = Shop(dev=True)
    shop.clock.now_s += 30 * 86_400

    assert (await shop.browser().visit())["decisions"][0]["html"] == "<h1>Welcome</h1>"


async def test_a_fragment_that_fails_gives_way_to_the_default_and_that_one_to_nothing() -> None:
    shop = Shop(dev=True)
    browser = shop.browser()
    await browser.consent("personalization")
    serving = shop.served.current
    assert serving is not None
    broken: Any = serving.program
    render = broken.render

    def failing(decision: Any, facts: Any) -> str:
        if decision.fragment != "hero/welcome":
            raise ZeroDivisionError
        return str(render(decision, facts))

    broken.render = failing
    decision = (await browser.visit(*_six(browser)))["decisions"][0]
    assert (decision["html"], decision["reason"]) == ("<h1>Welcome</h1>", "ERROR")

    broken.render = None
    decision = (await browser.visit())["decisions"][0]

    assert (decision["html"], decision["reason"]) == ("", "ERROR")
    assert shop.counted("edgewise_errors_total") == 3


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
        def serving(self) -> Manifest:
            return new.manifest

    def opened(_: Manifest) -> Generator[None, None, Snapshot]:
        yield
        return new

    assert await shop.served.look(Pointer(), opened, shop.clock)

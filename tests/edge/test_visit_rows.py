"""What rows a visit leaves, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from decisions.ledger import row_key
from edge.refresh import Served
from tests.decisions.written import rule
from tests.edge.shop import NOW_S, Shop, identify_token, snapshot
from tests.edge.test_visit import EVERYTHING, _claims, _six, swap

pytestmark = pytest.mark.anyio

SALT = snapshot().program.key_salt


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
    assert visitor == row_key(SALT, _claims(browser.cookies)["sub"])
    assert row == {
        "id": "e1", "type": "purchase", "received": NOW_S, "at": NOW_S, "grants": ["analytics"],
        "policy": "p1", "snapshot": 1, "page": "/done", "item": "i1", "category": "shoes",
        "brand": "b", "price": 9.5, "quantity": 2, "value": 0.0, "x": row["x"],
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


async def test_rows_of_one_visit_tell_who_it_was_before_and_after_a_sign_out() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent(*EVERYTHING)
    await browser.visit(browser.event("identify", token=identify_token("ann")))
    old = row_key(SALT, _claims(browser.cookies)["sub"])

    await browser.visit(
        browser.event("article_read"), browser.event("sign_out"), browser.event("article_read")
    )

    new = row_key(SALT, _claims(browser.cookies)["sub"])
    told = [(row["type"], row["visitor"], "customer" in row) for row in shop.rows()[-4:]]
    assert told == [
        ("article_read", old, True),
        ("sign_out", new, False),
        ("article_read", new, False),
        ("served", new, False),
    ]
    assert new != old


async def test_rows_hold_no_id_no_address_and_no_user_agent_only_keyed_hashes(
    tmp_path: Path,
) -> None:
    shop = Shop(cache=str(tmp_path))
    browser = shop.browser(
        **{"user-agent": "Mozilla/5.0 (Odd) Firefox/1.0", "x-forwarded-for": "203.0.113.9"}
    )
    await browser.consent(*EVERYTHING)
    await browser.visit(browser.event("identify", token=identify_token("ann-4711")))
    await browser.view("shoes", 2)
    await browser.send("GET", "/_ew/v1/fragments/hero")
    visitor = _claims(browser.cookies)["sub"]
    await browser.send("DELETE", "/_ew/v1/me")

    rows = shop.rows()
    assert {row["type"] for row in rows} >= {"identify", "product_view", "served", "erase"}
    for raw in (visitor, visitor[:8], visitor[-12:], "ann-4711", "Mozilla", "203.0.113.9"):
        assert raw not in str(rows)
    assert {row["visitor"] for row in rows} >= {row_key(SALT, visitor)}
    sessions = {row["session"] for row in rows if "session" in row}
    assert sessions == {row_key(SALT, f"{visitor}.{int(NOW_S)}")}


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
    shop = Shop(events_per_minute=5)
    browser = shop.browser()
    await browser.consent("personalization")  # counts as two
    await browser.view("shoes", 3)

    told = await browser.visit(browser.event("article_read"))

    assert (told["refused"][0]["code"], told["retry"]) == ("rate-limited", True)
    assert told["decisions"][0]["html"] == "<h1>Welcome</h1>"
    shop.clock.now_s += 61
    assert "refused" not in await browser.visit(browser.event("article_read"))


async def test_refused_events_come_back_in_their_order_and_each_is_counted() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent("personalization")

    told = await browser.visit(
        {"type": "nope"}, {"type": 5}, {"type": "purchase", "item": 200 * "x"}
    )

    refused = [(one["index"], one["code"]) for one in told["refused"]]
    assert refused == [(0, "undeclared"), (1, "unreadable"), (2, "out-of-bounds")]
    counted = shop.services.metrics.values()
    for _, code in refused:
        assert counted[f'edgewise_events_refused_total{{code="{code}"}}'] == 1


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

"""Two tabs at once, events twice, late and in any order, clocks that differ: what of it counts."""

from __future__ import annotations

from typing import Any

import pytest

from decisions.interest import HALF_LIFE_S
from tests.edge.shop import NOW_S, Browser, Shop, identify_token
from tests.edge.test_access import told
from tests.edge.test_me import ALL, claims, sign_in

pytestmark = pytest.mark.anyio

DAY_S = 86_400


async def known(browser: Browser) -> dict[str, Any]:
    """What the profile says, as facts."""
    facts: dict[str, Any] = (await told(browser))["profile"]["facts"]
    return facts


async def agreed(shop: Shop) -> Browser:
    browser = shop.browser()
    await browser.consent(*ALL)
    await browser.visit()
    return browser


def view(id_: str, category: str = "shoes", **fields: Any) -> dict[str, Any]:
    event = {"type": "product_view", "id": id_, "at": NOW_S, "item": id_, "category": category}
    return event | fields


async def test_of_two_visits_at_once_the_later_reply_is_the_profile_and_the_log_has_both() -> None:
    shop = Shop()
    browser = await agreed(shop)
    before = dict(browser.cookies)

    await browser.visit(view("left"), {"type": "add_to_cart", "id": "c", "category": "shoes"})
    browser.cookies = dict(before)  # the other tab asked before that reply was there
    await browser.visit(view("right", "garden"))

    facts = await known(browser)
    assert facts["counts"] == {"product_view": 1}
    assert facts["interest"].keys() == facts["session.views"].keys() == {"garden"}
    assert "cart.items" not in facts
    rows = [(row["id"], row["visitor"]) for row in shop.rows() if row["type"] != "served"]
    assert [id_ for id_, _ in rows] == ["left", "c", "right"]
    assert len({visitor for _, visitor in rows}) == 1


async def test_a_reply_that_was_under_way_does_not_bring_back_what_was_withdrawn() -> None:
    shop = Shop()
    browser = await agreed(shop)
    await browser.visit(view("a"))
    late = browser.cookies["user_interest_score"]

    await browser.consent()
    browser.cookies["user_interest_score"] = late

    assert (await told(browser))["profile"] is None
    await browser.visit()
    assert browser.cookies.keys() == {"consent"}


async def test_an_event_that_comes_in_two_requests_counts_once_and_is_one_row_by_its_id() -> None:
    shop = Shop()
    browser = await agreed(shop)

    for _ in range(2):
        await browser.visit(view("twice"))
        await browser.visit(view("again"), view("again"), view("twice"))

    assert (await known(browser))["counts"] == {"product_view": 2}
    rows = {(row["visitor"], row["id"]) for row in shop.rows() if row["type"] != "served"}
    assert len(rows) == 2
    assert shop.counted("edgewise_events_repeated_total") == 6


async def test_two_tabs_that_send_the_same_event_at_once_teach_it_once() -> None:
    browser = await agreed(Shop())
    before = dict(browser.cookies)

    await browser.visit(view("same"))
    browser.cookies = dict(before)
    await browser.visit(view("same"))

    assert (await known(browser))["counts"] == {"product_view": 1}


async def test_beyond_eight_later_events_a_repeat_counts_anew_and_its_row_does_not() -> None:
    shop = Shop()
    browser = await agreed(shop)
    await browser.visit(view("old"), *(view(f"new-{number}") for number in range(8)))

    await browser.visit(view("old"))

    assert (await known(browser))["counts"] == {"product_view": 10}
    assert len({row["id"] for row in shop.rows() if row["type"] != "served"}) == 9


@pytest.mark.parametrize("off_s", [-400 * DAY_S, -DAY_S, -90, 90, DAY_S, 400 * DAY_S])
async def test_a_clients_clock_changes_nothing_but_a_field_of_the_row(off_s: int) -> None:
    right, wrong = Shop(), Shop()
    browsers = [await agreed(right), await agreed(wrong)]

    await browsers[0].visit(view("a"), view("b", "garden"))
    await browsers[1].visit(view("a", at=NOW_S + off_s), view("b", "garden", at=NOW_S + off_s))

    assert await known(browsers[0]) == await known(browsers[1])
    rows = [row for row in wrong.rows() if row["type"] != "served"]
    assert [(row["at"], row["received"]) for row in rows] == [(NOW_S + off_s, NOW_S)] * 2


async def test_events_that_come_late_or_out_of_order_count_when_they_come() -> None:
    shop = Shop()
    first, second = await agreed(shop), await agreed(shop)
    early, late = view("early", at=NOW_S - DAY_S), view("late", at=NOW_S - 5)

    await first.visit(early, late)
    await second.visit(late)
    await second.visit(early)

    assert await known(first) == await known(second)
    shop.clock.now_s += HALF_LIFE_S
    await first.visit(view("now"))
    await first.visit(view("kept-offline", "garden", at=NOW_S))
    interest = (await known(first))["interest"]
    fresh = await agreed(shop)
    await fresh.visit(view("now", "garden"))
    assert interest["garden"] == (await known(fresh))["interest"]["garden"]


async def test_nodes_whose_clocks_differ_by_90_seconds_are_one_edge_to_a_visitor() -> None:
    ahead, behind = Shop(), Shop()
    ahead.clock.now_s += 90
    browser, other = await agreed(ahead), behind.browser()
    shown = await browser.visit(view("a"))
    await sign_in(browser)
    until_s = (await told(browser))["customer"]["until"]

    other.cookies = browser.cookies
    told_ = await other.visit(
        view("b"), view("a"), {"type": "seen", "id": "s", "x": shown["decisions"][0]["x"]}
    )
    facts = await known(other)

    assert [one["code"] for one in told_.get("refused", ())] == []
    assert facts["counts"] == {"product_view": 2}
    assert (facts["session.started_at"], facts["session.seconds"]) == (NOW_S + 90, 0.0)
    assert facts["visitor.visits"] == 1
    customer = (await told(other))["customer"]
    assert (customer["signed_in"], customer["until"]) == (True, until_s)
    behind.clock.now_s = until_s + 0.5
    assert not (await told(other))["customer"]["signed_in"]


async def test_a_sign_in_token_of_a_server_90_seconds_off_is_good() -> None:
    for off_s in (-90, 90):
        shop = Shop()
        browser = await agreed(shop)
        token = identify_token("ann", NOW_S + off_s)
        assert await browser.hero(browser.event("identify", token=token)) == "<p>Hello Ann</p>"


async def test_a_node_that_is_a_day_behind_neither_ends_a_session_nor_signs_anybody_out() -> None:
    ahead, behind = Shop(), Shop()
    browser, other = await agreed(ahead), behind.browser()
    await sign_in(browser)
    before = await known(browser)
    behind.clock.now_s -= DAY_S

    other.cookies = browser.cookies
    visitor = claims(other)["sub"]
    assert await other.hero() == "<p>Hello Ann</p>"

    assert claims(other)["sub"] == visitor
    assert await known(other) == before

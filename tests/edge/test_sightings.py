"""What is told as seen: each decision once, whichever events say so; all else is counted apart."""

from __future__ import annotations

from typing import Any

import pytest

from edge.exposure import Sighting, Sightings
from snapshots.eventfiles import Logged, Seen
from tests.edge.shop import Browser, Shop
from tests.edge.test_visit import EVERYTHING

pytestmark = pytest.mark.anyio


def counted(shop: Shop, result: str) -> int:
    return shop.counted(f'edgewise_exposures_total{{result="{result}"}}')


async def shown(shop: Shop) -> tuple[Browser, dict[str, Any]]:
    """A browser, and the event by which it says that it saw the hero."""
    browser = shop.browser()
    await browser.consent(*EVERYTHING)
    decision = (await browser.visit())["decisions"][0]
    return browser, browser.event("seen", x=decision["x"])


def sightings(shop: Shop) -> list[dict[str, Any]]:
    return [row for row in shop.rows() if row["type"] == "seen"]


async def test_an_x_that_another_event_saw_is_refused_and_counted_apart() -> None:
    shop = Shop()
    browser, event = await shown(shop)

    first = await browser.visit(event, slots=())
    second = await browser.visit(browser.event("seen", x=event["x"]), slots=())

    assert "refused" not in first
    assert [one["code"] for one in second["refused"]] == ["x-replayed"]
    assert len(sightings(shop)) == 1
    assert (counted(shop, "good"), counted(shop, "replayed")) == (1, 1)


async def test_two_of_one_batch_are_one() -> None:
    shop = Shop()
    browser, event = await shown(shop)

    told = await browser.visit(event, browser.event("seen", x=event["x"]), slots=())

    assert [(one["index"], one["code"]) for one in told["refused"]] == [(1, "x-replayed")]
    assert len(sightings(shop)) == 1


async def test_an_event_that_is_sent_again_is_no_replay() -> None:
    shop = Shop()
    browser, event = await shown(shop)

    beacon = {"events": [event], "resend": True}
    replies = [await browser.send("POST", "/_ew/v1/events", json=beacon)]
    replies += [
        await browser.send("POST", "/_ew/v1/visit", json={"events": [event]}) for _ in range(2)
    ]

    assert not [reply for reply in replies if "refused" in reply.json()]
    assert (counted(shop, "good"), counted(shop, "repeated")) == (1, 2)
    assert len({row["id"] for row in sightings(shop)}) == 1


async def test_an_action_may_answer_a_decision_as_often_as_it_likes() -> None:
    shop = Shop()
    browser, event = await shown(shop)

    for number in range(3):
        view = browser.event("product_view", item=str(number), category="shoes", x=event["x"])
        assert "refused" not in await browser.visit(view, slots=())
    assert counted(shop, "good") == 3


async def test_forged_expired_and_foreign_ones_have_counters_of_their_own() -> None:
    shop = Shop()
    browser, event = await shown(shop)
    other, _ = await shown(shop)
    x = event["x"]
    forged = x[:-1] + ("A" if x[-1] != "A" else "B")

    await browser.visit(browser.event("seen", x=forged), slots=())
    await other.visit(other.event("seen", x=x), slots=())
    shop.clock.now_s += 8 * 86_400
    await browser.visit(event, slots=())

    results = {name: counted(shop, name) for name in ("forged", "foreign", "expired", "replayed")}
    assert results == {"forged": 1, "foreign": 1, "expired": 1, "replayed": 0}
    assert sightings(shop) == []


async def test_rows_that_two_workers_took_are_one_to_who_reads_the_log() -> None:
    """Neither knows what the other saw; the row's id is made of the x."""
    workers = Shop(), Shop()
    browser, event = await shown(workers[0])
    elsewhere = workers[1].browser()
    elsewhere.cookies = browser.cookies
    again = browser.event("seen", x=event["x"])

    await browser.visit(event, slots=())
    told = await elsewhere.visit(again, slots=())

    assert "refused" not in told
    rows = sightings(workers[0]) + sightings(workers[1])
    assert [row["id"] for row in rows] == [f"seen-{event['x']}"] * 2
    log = Seen()
    logged = [
        Logged(id=row["id"], type="seen", received=row["received"], visitor=row["visitor"])
        for row in rows
    ]
    assert [log.is_new(row) for row in logged] == [True, False]


async def test_a_cap_counts_a_decision_once_though_another_worker_is_told_again() -> None:
    """The cookie remembers the x, not the event."""
    workers = Shop(), Shop()
    browser = workers[0].browser()
    await browser.consent(*EVERYTHING)
    await browser.visit(browser.event("add_to_cart", item="1", category="garden", price=2.5))
    for shop in workers:
        shop.clock.now_s += 16 * 60
    rescue = (await browser.visit())["decisions"][0]
    elsewhere = workers[1].browser()
    elsewhere.cookies = browser.cookies

    for number, one in enumerate([browser, elsewhere, elsewhere]):
        told = {"type": "seen", "id": f"s{number}", "x": rescue["x"]}
        await one.visit(told, slots=())

    assert rescue["html"] == await browser.hero(), "the cap of two is spent once"


async def test_strangers_who_share_an_x_are_not_taken_for_replays() -> None:
    """Without an id on the device a token names nobody: of one second, two may be the same."""
    shop = Shop()
    strangers = [shop.browser() for _ in range(2)]
    tokens = [(await one.visit())["decisions"][0]["x"] for one in strangers]

    told = [
        await one.visit(one.event("seen", x=x), slots=())
        for one, x in zip(strangers, tokens, strict=True)
    ]

    assert tokens[0] == tokens[1]
    assert not [one for one in told if "refused" in one]


def test_memory_is_bounded_and_the_oldest_are_forgotten() -> None:
    memory = Sightings(most=4)
    for number in range(100):
        assert memory.note(f"x{number}", "a") is Sighting.FIRST

    assert memory.note("x99", "a") is Sighting.REPEATED
    assert memory.note("x96", "b") is Sighting.REPLAYED
    assert memory.note("x1", "b") is Sighting.FIRST
    assert len(memory._young) + len(memory._old) <= 8


def test_the_first_event_stays_the_one_that_saw() -> None:
    memory = Sightings()

    said = [memory.note("x", event) for event in ("a", "b", "a", "b")]

    assert said == [
        Sighting.FIRST, Sighting.REPLAYED, Sighting.REPEATED, Sighting.REPLAYED,
    ]  # fmt: skip

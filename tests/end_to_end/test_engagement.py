"""What the scripts measure of a page that asks for it, in a browser whose network is this file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request

from tests.end_to_end.test_loader import PAGE, SLOT, TAKEN, Edge, hide, settle

pytestmark = pytest.mark.needs("chromium")

MEASURED = PAGE.replace("<script async", "<script async data-engagement")
LONG = MEASURED + SLOT + '<p id="long" style="height: 4000px; margin: 0">'
RESTORED = "dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))"
STRANGER = (200, {"decisions": [], "keep": False})


class Reader:
    """Somebody with a page open whose clock the test turns; what its beacons and visits told."""

    def __init__(
        self, browser: Browser, html: str, reply: tuple[int, dict[str, Any]] = TAKEN
    ) -> None:
        self.page: Page = browser.new_context().new_page()
        self.edge = Edge(self.page, reply, html=html)
        self.beacons: list[dict[str, Any]] = []
        self.order: list[str] = []
        self.page.on("request", self._sent)
        self.page.clock.install()
        self.page.goto("https://shop.example/")
        self.page.wait_for_function("window.edgewise")
        self.reads(0.05)  # the loader's import, and its first visit where there is a slot

    def _sent(self, request: Request) -> None:
        self.order.append(request.url.rpartition("/")[2])
        if request.url.endswith("/v1/events"):
            self.beacons.append(json.loads(request.post_data or ""))

    def reads(self, seconds: float) -> None:
        self.page.clock.run_for(round(seconds * 1000))
        settle(self.page)

    def scrolls(self, top: int) -> None:
        self.page.evaluate("top => scrollTo(0, top)", top)
        self.page.evaluate("dispatchEvent(new Event('scroll'))")  # frames stand with the clock

    def told(self) -> list[list[tuple[str, float]]]:
        settle(self.page)
        return [[(one["type"], one["value"]) for one in told["events"]] for told in self.beacons]


@pytest.fixture
def readers(browser: Browser) -> Iterator[Any]:
    opened: list[Reader] = []

    def read(html: str, reply: tuple[int, dict[str, Any]] = TAKEN) -> Reader:
        opened.append(Reader(browser, html, reply))
        return opened[-1]

    yield read
    for one in opened:
        one.page.context.close()


def test_depth_is_told_when_it_is_new_and_time_as_what_was_added(readers: Any) -> None:
    reader = readers(LONG)
    height = reader.page.evaluate("document.documentElement.scrollHeight")
    view = reader.page.evaluate("innerHeight")
    reader.scrolls(height // 2 - view)
    reader.scrolls(0)
    reader.reads(20)
    hide(reader.page, True)
    assert reader.told() == [[("scroll", 50), ("user_engagement", 20)]]

    reader.reads(600)
    hide(reader.page, False)
    reader.reads(9.8)
    hide(reader.page, True)
    assert reader.told()[1:] == [[("user_engagement", 10)]]
    assert [told["resend"] for told in reader.beacons] == [True, True]
    assert reader.edge.visits == [[]]  # the page's own

    hide(reader.page, False)
    reader.page.evaluate("document.querySelector('#long').style.height = '8000px'")
    reader.scrolls(99_999)
    reader.page.evaluate("edgewise.visit({path: '/next', category: 'shoes'})")
    assert reader.told()[2:] == [[("scroll", 100)]]
    assert reader.beacons[2]["page"]["path"] == "/"

    reader.reads(5)
    learnt = [(event["type"], event["value"]) for event in reader.edge.events]
    assert learnt == [event for told in reader.told() for event in told]

    reader.page.evaluate("dispatchEvent(new Event('pagehide'))")
    settle(reader.page)
    scroll, time = reader.beacons[-1]["events"]
    assert (time["value"], time["category"], scroll["category"]) == (5, "shoes", "shoes")
    assert 0 < scroll["value"] <= 100

    reader.page.evaluate("sessionStorage.edgewise = '[]'")  # the next page told it
    reader.page.evaluate(RESTORED)
    reader.reads(1)
    assert reader.edge.visits[-1] == []


def test_before_a_choice_what_was_read_is_counted_and_not_kept(readers: Any) -> None:
    reader = readers(MEASURED, STRANGER)
    reader.reads(3_600)
    reader.page.evaluate("void edgewise.consent(['personalization'])")
    assert reader.told() == [[("scroll", 100), ("user_engagement", 1_800)]]
    assert reader.order.index("events") < reader.order.index("consent")
    assert reader.beacons[0]["resend"] is False
    assert reader.page.evaluate("sessionStorage.edgewise") is None

    reader.reads(2)
    hide(reader.page, True)
    assert reader.told()[1:] == [[("scroll", 100), ("user_engagement", 2)]]

    hide(reader.page, False)
    reader.page.evaluate(RESTORED)
    reader.reads(7)
    hide(reader.page, True)
    assert reader.told()[2:] == [[("scroll", 100), ("user_engagement", 7)]]


def test_a_page_in_the_background_is_not_read_and_one_that_does_not_ask_not_measured(
    readers: Any,
) -> None:
    hidden = "<script>Object.defineProperty(document, 'hidden', {value: true, configurable: true})"
    reader = readers(hidden + "</script>" + MEASURED)
    reader.reads(60)
    hide(reader.page, False)
    reader.reads(4)
    hide(reader.page, True)
    assert reader.told() == [[("scroll", 100), ("user_engagement", 4)]]

    other = readers(PAGE)
    other.reads(60)
    hide(other.page, True)
    other.page.evaluate("dispatchEvent(new Event('pagehide'))")
    assert other.told() == []
    assert "engagement.js" not in other.order

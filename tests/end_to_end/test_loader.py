"""The page's script alone, in a browser whose network is this file."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.edge.minify import STATIC

pytestmark = pytest.mark.needs("chromium")

PAGE = '<!doctype html><script async src="/_ew/loader.js"></script><p>Hello</p>'
SLOT = '<edge-slot name="hero">Own</edge-slot>'


class Edge:
    """Answers a page as `replies` say, one visit after the other; the last one again and again."""

    def __init__(self, page: Page, *replies: tuple[int, dict[str, Any]], html: str = PAGE) -> None:
        self.replies, self.html = list(replies), html
        self.visits: list[list[str]] = []
        self.page: dict[str, str] = {}
        self.facts: str | None = None
        self.events: list[dict[str, Any]] = []
        page.route("**/*", self._answer)

    def _answer(self, route: Route) -> None:
        path = route.request.url.partition("example")[2]
        if path == "/":
            route.fulfill(body=self.html, content_type="text/html")
        elif path in ("/_ew/loader.js", "/_ew/engagement.js"):
            script = STATIC / path.removeprefix("/_ew/").replace(".js", ".min.js")
            route.fulfill(path=script, content_type="text/javascript")
        elif path == "/_ew/v1/visit":
            body = json.loads(route.request.post_data or "")
            sent, self.page, self.facts = body["events"], body["page"], body.get("facts")
            self.visits.append([event["id"] for event in sent])
            self.events += sent
            status, reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
            route.fulfill(status=status, json=reply)
        else:
            route.fulfill(status=404)


TAKEN = (200, {"decisions": [], "keep": True})


@pytest.mark.parametrize(
    "refusal",
    [
        (200, {"decisions": [], "keep": True, "retry": True}),
        (503, {"type": "about:blank"}),
        (429, {"type": "about:blank"}),
    ],
)
def test_events_that_were_not_taken_come_again_with_the_next_visit(
    browser: Browser, refusal: tuple[int, dict[str, Any]]
) -> None:
    page = browser.new_context().new_page()
    edge = Edge(page, refusal, TAKEN)
    page.goto("https://shop.example/")
    page.wait_for_function("window.edgewise")

    for _ in range(2):
        with page.expect_response("**/v1/visit"):
            page.evaluate("edgewise.event('article_read')")
    page.wait_for_function("sessionStorage.edgewise === '[]'")

    first, second = edge.visits
    assert (len(first), len(second), second[0]) == (1, 2, first[0])
    page.context.close()


def test_events_that_were_taken_do_not_come_again(browser: Browser) -> None:
    page = browser.new_context().new_page()
    edge = Edge(page, TAKEN)
    page.goto("https://shop.example/")
    page.wait_for_function("window.edgewise")

    for _ in range(2):
        with page.expect_response("**/v1/visit"):
            page.evaluate("edgewise.event('article_read')")
        page.wait_for_function("sessionStorage.edgewise === '[]'")

    told = [id_ for ids in edge.visits for id_ in ids]
    assert len(told) == len(set(told)) == 2
    page.context.close()


def test_what_a_data_layer_measures_is_the_value_of_the_event(browser: Browser) -> None:
    page = browser.new_context().new_page()
    html = PAGE.replace("<script async", '<script async data-events="scroll time_on_page"')
    edge = Edge(page, TAKEN, html=html)
    page.goto("https://shop.example/")
    page.wait_for_function("window.edgewise")

    with page.expect_response("**/v1/visit"):
        page.evaluate(
            "dataLayer.push({event: 'scroll', percent_scrolled: 90},"
            " {event: 'time_on_page', value: 42.5}, {event: 'scroll', value: 'far'})"
        )
    page.wait_for_function("sessionStorage.edgewise === '[]'")

    told = [(event["type"], event["value"]) for event in edge.events]
    assert told == [("scroll", 90), ("time_on_page", 42.5), ("scroll", 0)]
    page.context.close()


@pytest.mark.parametrize(
    ("told", "body"),
    [
        ("['functional']", {"grants": ["functional"], "how": "banner"}),
        ("'CQSbk4A'", {"tcf": "CQSbk4A"}),
    ],
)
def test_a_choice_is_sent_as_grants_or_as_a_tc_string(
    browser: Browser, told: str, body: dict[str, Any]
) -> None:
    page = browser.new_context().new_page()
    Edge(page, TAKEN)
    page.goto("https://shop.example/")
    page.wait_for_function("window.edgewise")

    with page.expect_request("**/v1/consent") as sent:
        page.evaluate(f"edgewise.consent({told})")

    assert (sent.value.method, sent.value.post_data_json) == ("PUT", body)
    page.context.close()


def test_a_page_says_in_which_time_zone_its_device_is(browser: Browser) -> None:
    page = browser.new_context(timezone_id="Asia/Tokyo").new_page()
    edge = Edge(page, TAKEN)
    page.goto("https://shop.example/")
    page.wait_for_function("window.edgewise")

    page.evaluate("edgewise.event('article_read')")
    page.wait_for_timeout(300)

    assert edge.page["zone"] == "Asia/Tokyo"
    page.context.close()


@pytest.mark.parametrize("facts", ["a.b.c", None])
def test_a_page_hands_over_the_facts_token_and_the_category_of_its_head(
    browser: Browser, facts: str | None
) -> None:
    page = browser.new_context().new_page()
    head = '<meta name="edgewise-category" content="shoes">'
    head += f'<meta name="edgewise-facts" content="{facts}">' if facts else ""
    edge = Edge(page, TAKEN, html=head + PAGE + SLOT)
    with page.expect_response("**/v1/visit"):
        page.goto("https://shop.example/")

    assert (edge.facts, edge.page["category"]) == (facts, "shoes")
    page.context.close()


def hero(html: str, **more: Any) -> tuple[int, dict[str, Any]]:
    """A reply in which the hero shows this; without an `x`, so that nothing is told of it."""
    return 200, {"decisions": [{"slot": "hero", "html": html}], **more}


def hide(page: Page, hidden: bool) -> None:
    """What a browser tells a page whose tab goes to the background, or comes back."""
    page.evaluate(
        """hidden => {
          Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
          document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));
        }""",
        hidden,
    )


def open_with_clock(browser: Browser, *replies: tuple[int, dict[str, Any]]) -> tuple[Page, Edge]:
    """A page with one slot whose clock the test turns, after its first visit."""
    page = browser.new_context().new_page()
    edge = Edge(page, *replies, html=PAGE + SLOT)
    page.clock.install()
    with page.expect_response("**/v1/visit"):
        page.goto("https://shop.example/")
        page.clock.run_for(50)
    settle(page)
    return page, edge


def settle(page: Page) -> None:
    """Lets replies that came be read; the page's own clock stands."""
    for _ in range(5):
        page.evaluate("fetch('/nothing').then(() => {})")


def test_the_page_asks_again_when_time_alone_could_have_changed_it(browser: Browser) -> None:
    page, edge = open_with_clock(browser, hero("One", next_in=300), hero("Two"))
    assert page.locator("edge-slot").inner_text() == "One"
    page.clock.run_for(299_000)
    settle(page)
    assert len(edge.visits) == 1

    page.clock.run_for(1_200)
    settle(page)
    assert page.locator("edge-slot").inner_text() == "Two"

    page.clock.run_for(3_600_000)
    settle(page)
    assert len(edge.visits) == 2
    page.context.close()


def test_a_slot_that_shows_the_same_is_not_told_of_again(browser: Browser) -> None:
    page, edge = open_with_clock(browser, hero("One", next_in=9))
    page.clock.run_for(10_000)
    settle(page)
    assert len(edge.visits) == 2
    assert page.evaluate("dataLayer.length") == 1
    page.context.close()


def test_a_page_asks_ten_times_at_most_until_something_happens(browser: Browser) -> None:
    page, edge = open_with_clock(browser, hero("One", next_in=1))
    for _ in range(15):
        page.clock.run_for(1_200)
        settle(page)
    assert len(edge.visits) == 1 + 10

    page.evaluate("edgewise.event('article_read')")
    for _ in range(15):
        page.clock.run_for(1_200)
        settle(page)
    assert len(edge.visits) == 1 + 10 + 1 + 10
    page.context.close()


def test_a_page_in_the_background_asks_when_it_is_looked_at_again(browser: Browser) -> None:
    page, edge = open_with_clock(browser, hero("One", next_in=60), hero("Two"))
    hide(page, True)
    page.clock.run_for(600_000)
    hide(page, True)
    page.clock.run_for(1_000)
    settle(page)
    assert len(edge.visits) == 1

    hide(page, False)
    page.clock.run_for(100)
    settle(page)
    assert len(edge.visits) == 2
    assert page.locator("edge-slot").inner_text() == "Two"
    page.context.close()

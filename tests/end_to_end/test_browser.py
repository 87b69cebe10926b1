"""The promise, in a real browser: slots that fill, follow the visitor, and never break the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.end_to_end.shop import NONE, Shop, Visitor, until

pytestmark = pytest.mark.needs("chromium")

WELCOME = "Groceries, the way your corner shop did them"
NOTE = "(count) => { for (let i = 0; i < count; i += 1) dataLayer.push({event: 'article_read'}); }"


@pytest.fixture
def visitor(browser: Browser, shop: Shop) -> Iterator[Visitor]:
    one = Visitor(browser, shop)
    yield one
    one.close()
    assert one.errors == []


def test_browsing_six_products_changes_the_hero_without_a_reload(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.choose()
    visitor.open("/d/pet")
    before = visitor.hero()
    pictures = visitor.page.locator("button.picture")
    for place in range(6):
        with visitor.visited():
            pictures.nth(place).click()
        visitor.page.click("#look .quiet")
    assert until(visitor.page, lambda: visitor.hero() != before, "another hero")
    assert visitor.page.locator(".ew-hero--pet").count() == 1
    assert visitor.moved() == []


def test_signing_in_brings_in_the_segments_of_the_household(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.choose()
    assert WELCOME in visitor.hero()
    visitor.page.click("#sign-in")
    households = visitor.page.locator("button.household", has_text="dormant")
    households.first.wait_for()
    with visitor.visited():
        households.first.click()
    visitor.page.locator(".ew-hero--welcome-back").wait_for(timeout=5_000)
    assert visitor.moved() == []


def test_hearts_change_the_page_at_once_and_leave_with_whoever_signs_out(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.choose()
    visitor.open("/d/pet")
    visitor.page.click("h1 .heart")
    visitor.page.locator(".ew-hero--pet").wait_for(timeout=5_000)
    visitor.open("/p/919766")
    visitor.page.click(".product .heart")
    visitor.page.locator(".ew-promo--floral").wait_for(timeout=5_000)
    assert visitor.profile().preferences == {"pet": 100}
    assert visitor.profile().lists == {"wishes": ("919766",)}
    visitor.page.click("#sign-in")
    with visitor.visited():
        visitor.page.locator("button.household").first.click()
    with visitor.visited():
        visitor.page.click("#sign-in")
    left = visitor.profile()
    assert (left.preferences, left.lists, left.interests, left.customer) == ({}, {}, {}, 0)
    assert visitor.page.locator(".heart[aria-pressed=true]").count() == 0
    assert visitor.moved() == []


def test_a_minute_with_an_article_read_to_its_end_shows_on_the_next_page(visitor: Visitor) -> None:
    visitor.page.clock.install()
    visitor.open("/")
    visitor.choose()
    visitor.open("/journal/five-dinners")
    visitor.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    visitor.page.clock.fast_forward(64_000)
    visitor.open("/journal/recipes")
    visitor.page.locator(".ew-promo--journal").wait_for(timeout=5_000)
    measures = visitor.profile().measures  # moments and hundredths
    read = {
        name: sum(number for _, number in measures[name][""]) / 100
        for name in ("read_to", "seconds_read")
    }
    assert (read["read_to"], 64 <= read["seconds_read"] < 90) == (100, True)


def test_withdrawing_consent_brings_back_the_defaults_at_once(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.choose()
    visitor.open("/d/produce")
    pictures = visitor.page.locator("button.picture")
    for place in range(6):
        with visitor.visited():
            pictures.nth(place).click()
        visitor.page.click("#look .quiet")
    visitor.page.locator(".ew-hero--produce").wait_for(timeout=5_000)
    visitor.page.click("#privacy")
    visitor.choose(NONE)
    visitor.page.locator(".ew-hero--welcome").wait_for(timeout=5_000)
    assert visitor.cookies() == {"consent"}


def test_before_a_choice_nothing_is_stored_and_the_defaults_are_shown(visitor: Visitor) -> None:
    visitor.open("/d/meat")
    with visitor.visited():
        visitor.page.locator("button.picture").first.click()
    assert visitor.cookies() == set()
    assert visitor.page.evaluate("sessionStorage.edgewise") is None
    assert WELCOME in visitor.hero()


def test_the_foot_of_the_shop_leads_to_what_is_held_of_a_visitor(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.choose()
    visitor.open("/d/pet")
    me = visitor.profile().visitor
    visitor.page.click('footer a[href="/_ew/v1/me"]')
    visitor.page.locator("h1", has_text="What is held of you").wait_for(timeout=5_000)
    text = visitor.page.inner_text("main")
    assert me in text
    assert "What everybody sees: nothing that is known and may be used chose otherwise." in text
    assert visitor.page.evaluate("getComputedStyle(document.body).maxWidth") == "704px"  # styled
    assert visitor.profile().visitor == me
    assert visitor.errors == []


def test_the_panel_beside_each_slot_says_why(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.page.locator("edge-slot[name=hero] + .why summary").click()
    panel = visitor.page.locator("edge-slot[name=hero] + .why").inner_text()
    assert "hero shows hero/welcome, its default: no rule took the slot" in panel
    assert "hero/welcome" in panel and "DEFAULT" in panel


def test_twenty_quick_events_in_two_tabs_are_all_learnt_and_logged(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.choose()
    other = visitor.tab()
    visitor.open("/", other)
    for _ in range(5):
        visitor.page.evaluate(NOTE, 2)
        other.evaluate(NOTE, 2)
    assert until(
        visitor.page,
        lambda: visitor.profile().counts.get("article_read") == 20,
        "20 articles in the profile",
    )
    me = visitor.profile().visitor
    assert until(visitor.page, lambda: _logged(visitor.shop, me, "article_read") == 20, "20 rows")


def test_adding_to_the_basket_and_leaving_at_once_loses_nothing(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.choose()
    visitor.open("/d/pantry")
    shelves = ["/d/bakery", "/d/pantry"]
    for turn in range(20):
        visitor.page.locator("button.add").first.click()
        visitor.page.wait_for_timeout(turn * 50 / 20)
        visitor.page.goto(visitor.shop.address + shelves[turn % 2])
    assert until(
        visitor.page, lambda: visitor.profile().cart.items == 20, "20 pieces in the basket"
    )
    me = visitor.profile().visitor
    assert until(visitor.page, lambda: _logged(visitor.shop, me, "add_to_cart") == 20, "20 rows")


def _logged(shop: Shop, visitor: str, kind: str) -> int:
    """How many events of a kind the log holds; one that was sent twice is one."""
    return len({row["id"] for row in shop.rows_of(visitor) if row["type"] == kind})


def test_a_page_whose_edge_is_gone_keeps_its_own_content(browser: Browser, lonely: Shop) -> None:
    visitor = Visitor(browser, lonely)
    visitor.page.goto(lonely.address + "/d/pet")
    visitor.page.locator("button.picture").first.click()
    visitor.page.wait_for_timeout(1_500)
    assert WELCOME in visitor.hero()
    assert visitor.moved() == []
    assert visitor.errors == []
    visitor.close()


def test_a_page_whose_edge_hangs_keeps_its_own_content_and_recovers(visitor: Visitor) -> None:
    visitor.open("/d/pet")
    visitor.choose()
    with visitor.shop.hanging_edge():
        for place in range(6):
            visitor.page.locator("button.picture").nth(place).click()
            visitor.page.click("#look .quiet")
        visitor.page.wait_for_timeout(2_000)
        assert WELCOME in visitor.hero()
    assert until(
        visitor.page,
        lambda: visitor.profile().counts.get("product_view") == 6,
        "the six looks, sent again",
        most_ms=20_000,
    )
    for place in range(6, 10):  # an answer after the loader's deadline leaves the view as it is
        with visitor.visited():
            visitor.page.locator("button.picture").nth(place).click()
        visitor.page.click("#look .quiet")
    visitor.page.locator(".ew-hero--pet").wait_for(timeout=5_000)
    assert visitor.moved() == []

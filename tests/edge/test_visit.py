"""Visits, end to end through the application: learn, decide, render, reply, remember."""

from __future__ import annotations

import pytest

from tests.edge.shop import Shop, identify_token

pytestmark = pytest.mark.anyio

EVERYTHING = ("functional", "analytics", "personalization")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_stranger_sees_the_defaults_and_keeps_nothing() -> None:
    browser = Shop().browser()

    assert await browser.view("shoes", 6) == "<h1>Welcome</h1>"
    assert browser.cookies == {}


async def test_six_products_of_a_department_change_the_hero() -> None:
    browser = Shop().browser()
    await browser.consent("personalization")

    assert await browser.view("shoes", 6) == "<p>Shoes</p>"
    assert set(browser.cookies) == {"consent", "user_interest_score"}


async def test_a_known_customer_brings_segments_traits_and_interests() -> None:
    browser = Shop().browser()
    await browser.consent(*EVERYTHING)

    shown = await browser.hero(browser.event("identify", token=identify_token("ann")))

    assert shown == "<p>Hello Ann</p>"

"""Replies for who builds the site: names and reasons, and never a page that fails by them."""

from __future__ import annotations

import pytest

from tests.edge.shop import Shop

pytestmark = pytest.mark.anyio


async def test_developers_are_told_why_and_a_page_never_fails_by_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop = Shop(dev=True)
    browser = shop.browser(**{"x-geo-country": "FR"})

    (told,) = (await browser.visit(slots=("promo",)))["decisions"]
    monkeypatch.setattr("edge.answers.because", lambda *_: 1 / 0)
    (silent,) = (await browser.visit(slots=("promo",)))["decisions"]

    assert told["because"] == 'promo shows promo/french because geo.country is "FR" (rule french)'
    assert (silent["html"], silent["because"]) == (told["html"], "")
    assert shop.counted('edgewise_errors_total{where="explain"}') == 1

"""Time alone changes an open page: a real node, a real browser, and nobody who clicks."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.decisions.written import rule
from tests.edge.nodes import Node, publish, wait_until

pytestmark = pytest.mark.needs("chromium")


def test_a_tag_with_a_threshold_of_three_seconds_fires_on_an_open_page(
    browser: Browser, tmp_path: Path
) -> None:
    node = Node(tmp_path, "--dev")
    rules = [rule("lingers", '"lingers" in tags', show="hero/loyal")]
    publish(
        tmp_path,
        rules=rules,
        tags={"lingers": "session.seconds >= 3.0"},
        fragments={"hero/loyal": "<h1>Still here?</h1>"},
    )
    context = browser.new_context()
    visits: list[str] = []
    try:
        with node.running():
            wait_until(lambda: node.answers("readyz") == 200)
            page = context.new_page()
            page.on("request", lambda one: visits.append(one.url) if "/visit" in one.url else None)
            page.goto(f"{node.url}/preview")
            page.evaluate("edgewise.consent(['functional', 'personalization'])")
            hero = page.locator('edge-slot[name="hero"]')
            expect(hero).to_contain_text("Welcome")
            expect(hero).to_contain_text("Still here?", timeout=8_000)
            assert len(visits) <= 4
    finally:
        context.close()

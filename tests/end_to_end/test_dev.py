"""`edgewise dev` in a real browser: what is saved is on the page, without a hand on it."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

from snapshots.build.scaffold import new_playbook
from tests.edge.authoring import Dev, write


def test_a_saved_fragment_is_on_the_page_by_itself(browser: Browser, tmp_path: Path) -> None:
    folder = new_playbook(tmp_path / "site")
    flags = ["--state", str(tmp_path / "dev"), "--port", "0", "--admin-port", "0"]
    dev = Dev(folder, tmp_path / "log", *flags)
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(dev.preview())
        hero = page.locator('edge-slot[name="hero"]')
        expect(hero).to_contain_text("Look around", timeout=20_000)
        page.wait_for_timeout(1_000)  # the page has seen which version it shows
        write(folder, "fragments/hero/welcome.html", "<h2>Fresh from the editor</h2>")
        expect(hero).to_contain_text("Fresh from the editor", timeout=20_000)
        page.get_by_role("button", name="nothing").click()
        expect(hero).to_contain_text("Fresh from the editor")
    finally:
        context.close()
        dev.stop()

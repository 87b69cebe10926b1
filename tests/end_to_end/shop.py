"""What the browser tests say: a shop that runs, a visitor who looks, clicks and signs in."""

from __future__ import annotations

import base64
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, BrowserContext, Page, Response

from decisions.compact import unpack
from decisions.ledger import Dictionary, row_key
from decisions.profile import Profile
from decisions.program import Program
from snapshots.keys import read_public
from snapshots.local import LocalCopy
from snapshots.snapshot import open_snapshot
from tests.edge.nodes import logged

ALL = "#consent-all"
NONE = "#consent-none"
WATCH_SHIFTS = """
window.__moved = [];
new PerformanceObserver(list => {
  const box = ({ x, y, width, height }) => [x, y, width, height].join(' ');
  for (const { value, sources } of list.getEntries()) window.__moved.push([value, ...sources.map(
    ({ node, previousRect: was, currentRect: is }) => [
      node && (node.outerHTML || node.textContent).slice(0, 80), box(was), box(is)].join(' | '))]);
}).observe({ type: 'layout-shift', buffered: true });
"""


class Shop(NamedTuple):
    """A running demo: its address, its folder, the ports of its edge and of the edge's status."""

    address: str
    state: Path
    edge_port: int
    admin_port: int

    def dictionary(self) -> Dictionary:
        """The names behind the numbers of the profile cookie."""
        return self._program().dictionary

    def rows_of(self, visitor: str) -> list[dict[str, Any]]:
        """What the event log has of one visitor."""
        hash_ = row_key(self._program().key_salt, visitor)
        return [row for row in self.logged() if row.get("visitor") == hash_]

    def _program(self) -> Program:
        local = LocalCopy(
            self.state / "cache", read_public(self.state / "keys" / "publisher.public.jwks")
        )
        manifest = local.serving()
        assert manifest is not None
        return open_snapshot(manifest, local.path_of).program

    def logged(self) -> list[dict[str, Any]]:
        """Every row of the event log, files still being written included."""
        return logged(self.state / "cache", self.state / "store")

    @contextmanager
    def hanging_edge(self) -> Iterator[None]:
        """A block in which the edge's processes are stopped in mid-air."""
        node = int((self.state / "edge.pid").read_text("ascii"))
        children = Path(f"/proc/{node}/task/{node}/children").read_text("ascii").split()
        processes = [node, *map(int, children)]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)


class Visitor:
    """A browser profile of its own, with one or more tabs."""

    def __init__(self, browser: Browser, shop: Shop) -> None:
        self.shop = shop
        self.context: BrowserContext = browser.new_context(viewport={"width": 1280, "height": 900})
        self.context.add_init_script(WATCH_SHIFTS)
        self.errors: list[str] = []
        self.page = self.tab()

    def tab(self) -> Page:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        return page

    def close(self) -> None:
        self.context.close()

    def open(self, path: str, page: Page | None = None) -> None:
        """Opens a page and waits for what the edge says about it."""
        with self.visited(page):
            (page or self.page).goto(self.shop.address + path)

    def visited(self, page: Page | None = None) -> Any:
        """A block in which one visit is sent and answered."""
        return (page or self.page).expect_response(is_visit)

    def choose(self, button: str = ALL) -> None:
        """Answers the privacy banner, and waits until the page knows."""
        with self.visited():
            self.page.click(button)

    def hero(self) -> str:
        return self.page.locator('edge-slot[name="hero"]').inner_text()

    def moved(self) -> list[list[Any]]:
        """The layout shifts of the page so far: how much, and what moved from where to where."""
        found: list[list[Any]] = self.page.evaluate("window.__moved")
        return found

    def profile(self) -> Profile:
        """What the profile cookie says."""
        cookies = {cookie["name"]: cookie["value"] for cookie in self.context.cookies(self.paths())}
        payload = cookies["user_interest_score"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return unpack(claims["p"], self.shop.dictionary(), claims["sub"])

    def cookies(self) -> set[str]:
        return {str(cookie["name"]) for cookie in self.context.cookies(self.paths())}

    def paths(self) -> list[str]:
        return [self.shop.address + "/_ew/v1/visit"]


def is_visit(response: Response) -> bool:
    return response.url.endswith("/_ew/v1/visit") and response.ok


def until(page: Page, true: Callable[[], bool], what: str, most_ms: int = 5_000) -> bool:
    """Waits for something to become true; fails with `what`."""
    for _ in range(most_ms // 50):
        if true():
            return True
        page.wait_for_timeout(50)
    raise AssertionError(f"expected {what} within {most_ms} ms")

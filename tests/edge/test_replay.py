"""Replay: a decision comes out again from its token, or it is said what is not as it was."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from edge.app import Edge, create_services
from edge.cli import main
from edge.commands.keys import create
from edge.config import Config
from edge.exposure import Exposure, Exposures, visitor_hash
from edge.keyring import KeyFile
from edge.published import Published
from edge.refresh import Names, Served
from edge.wire import NO_PAGE
from snapshots.manifest import version_path
from snapshots.snapshot import Snapshot
from tests.edge.nodes import publish
from tests.edge.shop import Browser

NOW = int(time.time()) - 100
GRANTS = {"functional", "personalization"}
RESCUED: dict[str, Any] = {
    "cart": {"items": 2, "updated_at": NOW - 1200.0},
    "scores": {"propensity": 0.62},
}


class Site:
    """A published playbook, and the tokens that its edge signs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        create(folder / "keys")
        publish(folder)
        published = Published(str(folder / "store"), "live", None)
        self.manifest, self.program = published.manifest, published.program()
        self.ring = KeyFile(folder / "keys" / "cookie.jwks").ring

    def x(self, nested: dict[str, Any], unit: str = "", **more: Any) -> str:
        facts = self.program.facts(nested, GRANTS, NOW + 0.5)
        decision = self.program.decide("hero", facts, unit=unit or None, **more)
        slot, rule, variant = Names(self.program).numbers(decision)
        hashed = visitor_hash(unit)
        return self.sign(Exposure(1, slot, rule, variant, 1.0, NOW, hashed, facts.digest()))

    def sign(self, exposure: Exposure) -> str:
        return Exposures(lambda: self.ring).sign(exposure)

    def replay(self, x: str, facts: dict[str, Any], *more: str) -> int:
        (self.folder / "facts.json").write_text(json.dumps(facts))
        words = ["replay", x, "--facts", str(self.folder / "facts.json")]
        words += ["--store", str(self.folder / "store"), "--keys", str(self.folder / "keys")]
        return main([*words, "--grants", "functional,personalization", *more])


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_decision_comes_out_again(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert site.replay(site.x(RESCUED), RESCUED) == 0

    said = capsys.readouterr().out
    assert said.startswith("then: hero by rule cart-rescue, version 1, 20")
    assert "reproduced: hero shows hero/cart because tags contains cart_abandoner and" in said


def test_a_decision_on_the_edge_of_its_second_comes_out_again(site: Site) -> None:
    ripe = RESCUED | {"cart": {"items": 2, "updated_at": NOW + 0.4 - 900.0}}
    assert site.replay(site.x(ripe), ripe) == 0


def test_a_variant_needs_the_visitor_it_was_given_to(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    cart = {"cart": {"items": 1, "updated_at": NOW - 60.0}}
    unit = next(
        unit
        for unit in map(str, range(99))
        if site.program.decide("hero", cart, grants=GRANTS, now=NOW, unit=unit).variant
    )
    x = site.x(cart, unit)

    assert site.replay(x, cart, "--visitor", unit) == 0
    assert "by rule cart-offer, variant " in capsys.readouterr().out
    assert site.replay(x, cart) == 1
    assert "rule cart-offer matched, and there is no visitor id" in capsys.readouterr().out
    assert site.replay(x, cart, "--visitor", "somebody") == 1
    assert "this is not the visitor: " in capsys.readouterr().err


def test_a_token_may_begin_with_a_dash(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    for token in ("-" + "A" * 51, "--" + "A" * 50):
        assert site.replay(token, RESCUED) == 1
        assert "expected an x token signed by these keys" in capsys.readouterr().err


def test_what_caps_had_counted_is_given(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    seen = [("cart-rescue", NOW - 60.0)] * 3
    x = site.x(RESCUED, seen=seen)

    assert site.replay(x, RESCUED) == 1
    assert "not reproduced: hero shows hero/cart because " in capsys.readouterr().out
    assert site.replay(x, RESCUED, *["--seen", "cart-rescue=-60s"] * 3) == 0
    assert site.replay(x, RESCUED, "--seen", "cart-rescue") == 2
    assert "expected RULE=TIME" in capsys.readouterr().err


def test_other_facts_are_not_the_facts(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    other = RESCUED | {"scores": {"propensity": 0.63}}

    assert site.replay(site.x(RESCUED), other) == 1
    assert "these are not the facts (with their grants): digest " in capsys.readouterr().err
    assert site.replay(site.x(RESCUED), RESCUED, "--grants", "functional") == 1


def test_a_version_that_is_gone_is_told(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    x = site.x(RESCUED)
    (site.folder / "store" / version_path("live", 1)).unlink()

    assert site.replay(x, RESCUED) == 1
    assert "version 1 of live is gone: " in capsys.readouterr().err


def test_a_token_of_others_is_told(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    x = site.x(RESCUED)

    assert site.replay(x[:-4] + "AAAA", RESCUED) == 1
    assert "got one that is forged" in capsys.readouterr().err
    assert site.replay("nonsense", RESCUED) == 1
    assert site.replay(site.sign(Exposure(1, 77, 77, at_s=NOW)), RESCUED) == 1
    assert "version 1 has no such slot" in capsys.readouterr().err
    assert site.replay(site.sign(Exposure(1, 0, at_s=NOW)), RESCUED, "--visitor", "v") == 1
    assert "the token says nobody" in capsys.readouterr().err


@pytest.mark.anyio
async def test_what_an_edge_decided_comes_out_again(site: Site) -> None:
    served = Served(Snapshot(site.manifest, site.program, None))
    services = create_services(Config(), lambda: site.ring, served=served, clock=lambda: NOW + 0.3)
    browser = Browser(Edge(services), **{"user-agent": "Mozilla/5.0"})
    await browser.consent("functional", "personalization")
    await browser.visit(browser.event("add_to_cart", item="1", category="shoes"))
    (decision,) = (await browser.visit())["decisions"]
    headers = {b"user-agent": b"Mozilla/5.0"}
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    assert served.current is not None
    visit = services.reception.arrive(
        served.current, headers | {b"cookie": cookie.encode()}, NO_PAGE
    )
    facts = {
        name: sorted(v) if isinstance(v, frozenset) else v
        for name, v in visit.facts(visit.grants).items()
    }

    more = ["--visitor", visit.profile.visitor, "--session", visit.profile.session_id]
    assert site.replay(decision["x"], facts, *more) == 0

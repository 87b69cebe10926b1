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
from edge.sinks.row import Decided, Row, encode
from edge.wire import NO_PAGE
from snapshots.eventfiles import EVENTS, path_of
from snapshots.manifest import version_path
from snapshots.snapshot import Snapshot
from snapshots.spool import compress
from snapshots.store import open_writable
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


def logged(site: Site, *rows: Row) -> str:
    """A store's event files with these rows."""
    data = compress(b"".join(encode(row) + b"\n" for row in rows))
    where = site.folder / "logs"
    store = open_writable(str(where))
    store.create(path_of(rows[0].received, f"paris-2-{len(store.list(EVENTS))}.ndjson.zst"), data)
    return str(where)


def row(id_: str, type_: str, at_s: float, rule: str = "", visitor: str = "aa") -> Row:
    decided = Decided(snapshot=1, slot="hero", rule=rule)
    grants = ["functional", "personalization"]
    return Row(id=id_, type=type_, received=at_s, visitor=visitor, grants=grants, x=decided)


def test_the_log_gives_grants_moment_and_what_was_seen(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    x = site.x(RESCUED, seen=[("cart-rescue", NOW - 60.0)] * 3)
    words = ["replay", x, "--facts", str(site.folder / "facts.json")]
    words += ["--store", str(site.folder / "store"), "--keys", str(site.folder / "keys")]
    (site.folder / "facts.json").write_text(json.dumps(RESCUED))
    where = logged(site, *(row(f"s{n}", "seen", NOW - 60.0 - n, "cart-rescue") for n in range(2)))
    others = [
        row("s0", "seen", NOW - 60.0, "cart-rescue"),  # once more
        row("s3", "seen", NOW - 50.0, "cart-rescue", visitor="bb"),
        row("s4", "seen", NOW - 50.0),
        row("s5", "seen", NOW + 9.0, "cart-rescue"),
    ]
    logged(site, *others, row(x, "product_view", NOW + 0.5), row(x, "served", NOW + 0.5))

    assert main([*words, "--events", where]) == 1, "twice is not yet the cap"
    assert "not reproduced" in capsys.readouterr().out
    logged(site, row("s6", "seen", NOW - 3_600.0, "cart-rescue"))
    assert main([*words, "--events", where]) == 0
    assert "reproduced: hero shows" in capsys.readouterr().out
    assert main([*words, "--events", where, "--grants", "functional"]) == 1
    assert "these are not the facts (with their grants)" in capsys.readouterr().err


def test_a_visitor_without_a_name_has_seen_nothing(site: Site) -> None:
    x = site.x(RESCUED)
    seen = [row(f"s{n}", "seen", NOW - 9.0, "cart-rescue", visitor="") for n in range(3)]
    where = logged(site, *seen, row(x, "served", NOW + 0.25, visitor=""))
    assert site.replay(x, RESCUED, "--events", where) == 0


def test_a_decision_that_is_not_in_the_log_is_said_so(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    where = logged(site, row("another", "served", NOW + 0.5))
    assert site.replay(site.x(RESCUED), RESCUED, "--events", where) == 1
    assert f"expected a row of this decision, found none - at {where}" in capsys.readouterr().err


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

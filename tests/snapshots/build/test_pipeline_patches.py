"""A build after a build: what travels to a node that has the one before."""

from __future__ import annotations

import random
from pathlib import Path

from snapshots.build.pipeline import build
from snapshots.build.report import BuildReport
from snapshots.history import read_manifest
from snapshots.keys import PUBLIC_FILE, PublicKeys, read_public
from snapshots.local import LocalCopy
from snapshots.manifest import Manifest, part_path
from snapshots.membership import INTERESTS, KEYS, MAGIC
from snapshots.store import open_writable
from snapshots.sync import Syncer
from tests.snapshots.build.market import NOW_S, Market, Row, people, sales

DAY_S = 86_400.0
DICE = random.Random(1)
CUSTOMERS = 3_000
BOUGHT: list[Row] = [
    (who, who, DICE.choice(["bread", "beans", "bone"]), f"2025-{DICE.randint(10, 11)}-"
     f"{DICE.randint(1, 30):02}T{DICE.randint(0, 23):02}:{DICE.randint(0, 59):02}:00", 1.0, 1, 0.0)
    for who in range(CUSTOMERS)
]  # fmt: skip
SINCE: list[Row] = [
    (who, CUSTOMERS + who, "bone", "2026-01-01T12:00:00", 2.0, 1, 0.0)
    for who in range(0, CUSTOMERS + 500, 500)  # the last one is new
]


def built(market: Market, rows: list[Row], now_s: float) -> tuple[BuildReport, Manifest]:
    market.put("sales", sales(rows))
    market.put("people", people([(who, "gold", "own") for who in range(CUSTOMERS)]))
    report = build(
        market.playbook,
        market.data,
        str(market.store),
        market.keys,
        now_s=now_s,
        clock=lambda: now_s,
    )
    manifest = read_manifest(open_writable(str(market.store)), "live", keys_of(market))
    assert manifest
    return report, manifest


def keys_of(market: Market) -> PublicKeys:
    return read_public(market.keys / PUBLIC_FILE)


def test_who_bought_nothing_since_does_not_travel_again_with_the_next_days_build(
    market: Market, tmp_path: Path
) -> None:
    report, first = built(market, BOUGHT, NOW_S)
    assert (report.patches, first.patches) == ({}, ())
    store = open_writable(str(market.store))
    node = Syncer(
        store,
        LocalCopy(tmp_path / "cache", keys_of(market)),
        channel="live",
        clock=lambda: NOW_S + DAY_S,
    )
    assert node.once().version == 1
    report, second = built(market, BOUGHT + SINCE, NOW_S + DAY_S)
    assert report.patches == {step.part.name: step.part.bytes for step in second.patches}
    patched = {step.part.name.removeprefix("patch/") for step in second.patches}
    assert {KEYS, INTERESTS} <= patched
    for name in patched:
        whole = second.part(name)
        assert whole
        store.delete(part_path(whole))  # whoever needs it now is stuck
    status = node.once()
    assert (status.version, status.refused) == (2, None)
    for part in second.parts:
        assert part.name not in MAGIC or node.local.verify(part)


def test_interests_travel_whole_once_a_half_life_and_as_patches_between(market: Market) -> None:
    def interests(rows: list[Row], day: int) -> tuple[str, bool]:
        """The part's hash after that day's build, and whether a patch leads to it."""
        _, manifest = built(market, rows, NOW_S + day * DAY_S)
        part = manifest.part(INTERESTS)
        assert part
        return part.raw_sha256, any(part.raw_sha256 == step.result for step in manifest.patches)

    built(market, BOUGHT, NOW_S + 12 * DAY_S)
    before, is_patched = interests(BOUGHT + SINCE, 13)
    assert is_patched

    after, is_patched = interests(BOUGHT + SINCE, 14)  # the half-life is 14 days

    assert after != before
    assert not is_patched

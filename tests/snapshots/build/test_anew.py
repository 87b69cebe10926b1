"""What a published version would know of other data: its own definitions, the feeds' columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from decisions.errors import PlaybookErrors
from decisions.ledger import visitor_key
from decisions.program import Program
from snapshots.build.anew import Computed, computed_anew
from snapshots.build.report import OnProgress
from snapshots.build.sources import read_sources
from snapshots.errors import DataRefused, Malformed
from tests.snapshots.build.market import NOW_S, SEGMENTS, Market, sales
from tests.snapshots.build.test_pipeline import Published, built

Side = tuple[Program, bytes | None]
BREAD = (5, 60, "bread", "2025-12-30T12:00:00", 2.50, 1, 0.0)


def published(market: Market) -> Side:
    """The newest version of a market, as it is compared."""
    found = Published(market)
    return found.program(), found.parts.get("record")


def anew(market: Market, *versions: Side, **how: Any) -> list[Computed | None]:
    sources, salt = read_sources(market.playbook), versions[-1][0].key_salt
    return computed_anew(versions, sources, market.data, now_s=NOW_S, salt=salt, **how)


def test_a_version_computes_of_its_own_data_what_it_published(market: Market) -> None:
    report = built(market)
    found = Published(market)

    (computed,) = anew(market, published(market))

    assert computed and computed.sizes == report.segments
    for customer in ("1", "2", "3", "5", "nobody"):
        key = visitor_key(found.program().key_salt, customer)
        ours, theirs = computed.members.lookup(key), found.members().lookup(key)
        assert (ours is None) == (theirs is None)
        if ours and theirs:
            assert ours.segments == theirs.segments
            assert (ours.traits, ours.scores) == (theirs.traits, theirs.scores)
            assert ours.interests == theirs.interests


def test_two_versions_keep_their_definitions_over_the_same_new_data(market: Market) -> None:
    built(market)
    old = published(market)
    market.write("segments.yaml", SEGMENTS.replace("> 0.1", "> 0.9"))
    built(market)
    market.put("sales", sales([BREAD]))

    before, after = anew(market, old, published(market))

    assert before and after
    assert before.members.rows == after.members.rows == 4
    assert (before.sizes["steady"], before.sizes["gold"]) == (0, 2)
    assert before.sizes == after.sizes, "one week in thirteen is below both"


def test_what_two_versions_have_in_common_is_computed_once(market: Market) -> None:
    built(market)
    old = published(market)
    market.write("rules.yaml", "[]")
    built(market, data=False)
    asked: list[int] = []

    def on_progress(place: int) -> OnProgress:
        asked.append(place)
        return lambda progress: None

    before, after = anew(market, old, published(market), on_progress=on_progress)

    assert before is after
    assert asked == [0]


def test_a_version_that_was_published_without_data_knows_nobody(market: Market) -> None:
    (market.playbook / "sources.yaml").rename(market.playbook / "later")
    built(market, data=False)
    first = published(market)
    (market.playbook / "later").rename(market.playbook / "sources.yaml")
    built(market)

    before, after = anew(market, first, published(market))

    assert before is None
    assert after and after.members.rows == 4


def test_a_definition_over_a_trait_that_the_columns_no_longer_give_is_refused(
    market: Market,
) -> None:
    built(market)
    old = published(market)
    market.sources("    tier: {column: tier}\n", "")

    with pytest.raises(DataRefused, match="a published version, tier are not there"):
        anew(market, old)


def test_without_customers_every_trait_is_missing(market: Market) -> None:
    built(market)
    old = published(market)
    text = (market.playbook / "sources.yaml").read_text()
    market.write("sources.yaml", text[: text.index("customers:")])

    with pytest.raises(DataRefused, match="home, tier are not there"):
        anew(market, old)


def test_a_definition_over_a_category_that_the_columns_no_longer_give_is_refused(
    market: Market,
) -> None:
    built(market)
    old = published(market)
    market.sources("Pets: pet", "Pets: pantry")

    with pytest.raises(DataRefused) as refused:
        anew(market, old)

    said = str(refused.value)
    assert "a published version's definition cannot be computed from these sources" in said
    assert 'orders_90d["pet"]' in said


def test_words_of_sources_that_are_wrong_are_told_as_a_build_tells_them(market: Market) -> None:
    built(market)
    old = published(market)
    market.write("sources.yaml", "purchases: 3\n")
    with pytest.raises(PlaybookErrors):
        anew(market, old)


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record | {"half_life_s": 0.0},
        lambda record: record | {"half_life_s": 1e15},
        lambda record: record | {"interests": {"line": 0.5, "top": 10**9}},
        lambda record: record | {"segments": 7},
    ],
    ids=["no half-life", "an endless half-life", "a billion interests", "no segments"],
)
def test_a_record_that_no_build_wrote_is_refused(
    market: Market, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    built(market)
    program, raw = published(market)
    changed = msgspec.json.encode(change(msgspec.json.decode(raw or b"")))
    with pytest.raises(Malformed, match="- at record"):
        anew(market, (program, changed))


def test_who_is_erased_is_left_out(market: Market) -> None:
    built(market)
    version = published(market)
    (computed,) = anew(market, version, erased={visitor_key(version[0].key_salt, "1")})
    assert computed and computed.members.rows == 3
    assert (computed.sizes["pet_owner"], computed.sizes["gold"]) == (0, 1)


def test_a_trait_for_who_is_signed_in_stays_one(market: Market) -> None:
    playbook = (market.playbook / "playbook.yaml").read_text()
    market.write(
        "playbook.yaml",
        playbook.replace(
            "tier: {type: string}", "tier: {type: string, needs: authenticated, purpose: marketing}"
        ),
    )
    report = built(market)
    (computed,) = anew(market, published(market))
    assert computed and computed.sizes == report.segments

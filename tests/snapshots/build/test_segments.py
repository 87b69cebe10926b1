from __future__ import annotations

import pytest

from decisions.errors import PlaybookErrors
from snapshots.build.reading import read_playbook
from snapshots.build.segments import define
from tests.snapshots.build.market import Market

CATEGORIES = ("baby", "bakery", "pantry", "pet")


def refused(market: Market, file: str, old: str, new: str) -> str:
    path = market.playbook / file
    market.write(file, path.read_text().replace(old, new))
    with pytest.raises(PlaybookErrors) as caught:
        define(read_playbook(market.playbook), market.sources(), CATEGORIES)
    return str(caught.value)


def test_definitions_say_which_features_they_take(market: Market) -> None:
    found = define(read_playbook(market.playbook), market.sources(), CATEGORIES)
    assert list(found.segments) == ["dormant", "pet_owner", "gold", "parent", "steady"]
    assert ("orders_90d", "pet") in found.reads
    assert ("purchases.weeks", "90d") in found.reads
    assert found.traits == ("tier", "home")


def test_a_playbook_without_sources_has_segments_all_the_same(market: Market) -> None:
    found = define(read_playbook(market.playbook), None, CATEGORIES)
    assert (found.traits, found.scores) == ((), {})


def test_a_macro_over_a_map_reads_every_category(market: Market) -> None:
    market.write("segments.yaml", "any: lines_7d.exists(c, lines_7d[c] > 3)\n")
    found = define(read_playbook(market.playbook), market.sources(), CATEGORIES)
    assert {key for name, key in found.reads if name == "lines_7d"} == set(CATEGORIES)


def test_a_segment_that_cannot_be_compiled_is_shown_with_a_caret(market: Market) -> None:
    text = refused(market, "segments.yaml", 'orders_90d["pet"]', "orders_90d[traits.tier]")
    assert "a key that is not written out cannot be computed for all customers at once" in text
    assert "segments.yaml:2:" in text
    assert "^^^^^^^^^^^" in text


def test_an_unknown_category_is_an_error_with_a_suggestion(market: Market) -> None:
    text = refused(market, "segments.yaml", '"pet"', '"pets"')
    assert "pets" in text
    assert "pet" in text.split("did you mean")[1]


def test_every_wrong_expression_is_told_at_once(market: Market) -> None:
    market.write("segments.yaml", "one: purchases.lats_at > now\ntwo: purchases.orders['7d']\n")
    text = refused(market, "sources.yaml", 'double(purchases.weeks["90d"])', "1 +")
    assert text.count("error:") == 3
    assert "sources.yaml:19:" in text


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("  traits.tier: {type: string}\n", "", "an attribute traits.tier of type string"),
        ("traits.tier: {type: string}", "traits.tear: {type: string}", "did you mean traits.tear?"),
        ("traits.tier: {type: string}", "traits.tier: {type: int}", "got one of type int"),
        ("  scores.weekly: {type: double}\n", "", "an attribute scores.weekly of type double"),
    ],
)
def test_what_sources_fill_must_be_declared(market: Market, old: str, new: str, what: str) -> None:
    assert what in refused(market, "playbook.yaml", old, new)


def test_a_score_of_sensitive_things_must_say_so(market: Market) -> None:
    text = refused(market, "sources.yaml", 'purchases.weeks["90d"]', 'orders_90d["baby"]')
    assert "this score is made of what needs sensitive: declare that of scores.weekly" in text
    market.write(
        "playbook.yaml",
        (market.playbook / "playbook.yaml")
        .read_text()
        .replace(
            "weekly: {type: double}",
            "weekly: {type: double, purpose: [sensitive, personalization]}",
        ),
    )
    define(read_playbook(market.playbook), market.sources(), CATEGORIES)

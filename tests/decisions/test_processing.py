"""The record of processing: everything a playbook reads and keeps, under every purpose it needs."""

from __future__ import annotations

from typing import Any

from decisions import consent
from decisions.compiling import compile_playbook
from decisions.processing import Processing, Use, processing
from tests.decisions.written import SETTINGS, playbook, rule

RULES = [
    rule("rescue", '"cart_abandoner" in tags && scores.propensity > 0.4', show="hero/cart",
         cap={"times": 2, "per": "24h"}, **{"with": {"cta": "Go"}}),
    rule("patient", '"patient" in segments', show="hero/loyal"),
    rule("pills", 'interest["pharmacy"] > 10 && interest["shoes"] > 1', show="hero/shoes"),
    rule("near", 'geo.country == "FR"', slot="promo", show="promo/spring"),
    rule("offer", "true", slot="promo", experiment={
        "unit": "visitor", "goal": "order", "traffic": 50,
        "variants": {name: {"weight": 50, "show": "promo/spring"} for name in "ab"},
    }),
    rule("test", "true", slot="promo", experiment={
        "variants": {"c": {"weight": 1, "show": "promo/none"}},
    }),
]  # fmt: skip
MORE: dict[str, Any] = {
    "attributes": SETTINGS["attributes"]
    | {"weather.sky": {"type": "string", "purpose": "marketing"}},
    "signals": [
        *SETTINGS["signals"],
        {"on": "like", "preference": {"key": "category", "score": 80}},
    ],
    "measures": {"spent": {"sum": "price", "of": "purchase", "within": "30d"}},
    "lists": {"viewed": {"add": "product_view"}},
    "holdout": {"share": 5, "name": "control"},
}


def record(**changes: Any) -> Processing:
    written = playbook(**({"rules": RULES} | MORE | changes))
    return processing(written, compile_playbook(written))


def uses(purpose: str, kind: str, **changes: Any) -> dict[str, Use]:
    (found,) = (each for each in record(**changes).purposes if each.purpose == purpose)
    return {use.name: use for use in found.uses if use.kind == kind}


def test_every_purpose_is_there_in_one_order_and_the_same_playbook_gives_the_same_record() -> None:
    found = record()
    assert [each.purpose for each in found.purposes] == list(consent.NEEDS)
    assert found == record()
    assert (found.playbook, found.half_life_days) == ("grocer", 14.0)
    assert found.sensitive == {"category": ["pharmacy"]}


def test_a_rule_stands_under_every_purpose_that_it_or_its_fragments_need() -> None:
    rescue = Use(
        "rule", "rescue", ["functional", "personalization"],
        'hero: "cart_abandoner" in tags && scores.propensity > 0.4',
    )  # fmt: skip
    assert uses("functional", "rule")["rescue"] == rescue
    assert uses("personalization", "rule")["rescue"] == rescue
    assert set(uses("sensitive", "rule")) == {"patient", "pills"}
    assert set(uses("none", "rule")) == {"near", "offer", "test"}
    assert "authenticated" in uses("personalization", "rule")["pills"].needs, "its fragment's token"


def test_attributes_are_those_that_something_reads_with_the_keys_that_need_more() -> None:
    assert uses("none", "attribute")["geo.country"].about == "the request"
    read = uses("personalization", "attribute")
    assert read["interest"].needs == ["personalization"]
    assert read['interest["pharmacy"]'].needs == ["personalization", "sensitive"]
    assert 'interest["shoes"]' not in read
    assert "segments" not in read and "visitor.visits" not in read
    assert uses("functional", "attribute")["cart.items"].about == "the profile cookie"
    assert uses("marketing", "attribute") == {
        "weather.sky": Use("attribute", "weather.sky", ["marketing"], "declared by the playbook")
    }


def test_segments_traits_scores_and_tags_stand_with_what_they_are() -> None:
    assert uses("sensitive", "segment") == {
        "patient": Use(
            "segment", "patient", ["personalization", "sensitive"], 'spend_90d["pharmacy"] > 0.0'
        )
    }
    assert set(uses("personalization", "segment")) == {"loyal", "patient"}
    assert uses("authenticated", "trait")["traits.first_name"].about == "the membership"
    assert set(uses("personalization", "score")) == {"scores.propensity"}
    assert uses("functional", "tag")["cart_abandoner"].needs == ["functional", "personalization"]


def test_what_events_teach_stands_where_it_is_kept() -> None:
    assert uses("functional", "signal")["add_to_cart"].about == "cart: add"
    taught = uses("personalization", "signal")
    assert taught["add_to_cart"].about == "is counted; adds 3 to the interest in its category"
    assert taught["like"].about == "is counted; declares the interest in its category"
    assert taught["article_read"].about == "is counted"
    assert uses("personalization", "measure")["spent"].about == (
        "sum: price, of: purchase, within: 30d"
    )
    (viewed,) = (one for each in record().purposes for one in each.uses if one.kind == "list")
    assert viewed.about == "the last 8 values of item of product_view"
    assert uses("functional", "cap")["rescue"].about == "seen 2 times at most in 24h"


def test_experiments_are_measured_and_so_need_analytics() -> None:
    found = uses("analytics", "experiment")
    assert found["offer"].about == "by visitor, 50 % of traffic: a, b, measured by order"
    assert found["test"].about == "by visitor, 100 % of traffic: c"
    assert found["control"].about == "by visitor, 5 % see no experiments"
    assert "control" not in uses("analytics", "experiment", holdout=None)


def test_fragments_are_those_that_read_something() -> None:
    assert uses("functional", "fragment")["hero/cart"].about == "cart.items"
    assert set(uses("authenticated", "fragment")) == {"hero/shoes"}
    assert uses("none", "fragment") == {}
    keyed = uses("personalization", "fragment", fragments={"promo/spring": "{{interest.shoes}}"})
    assert keyed["promo/spring"].about == "interest.shoes"


def test_what_a_measure_counts_once_is_told_with_how_it_is_kept() -> None:
    looked_at = {"distinct": "item", "of": "product_view", "within": "7d", "most": 8}
    told = uses("personalization", "measure", measures={"looked_at": looked_at})["looked_at"]
    assert told.about == "distinct: item, of: product_view, within: 7d, most: 8"
    kept = {each.purpose: each.keeps for each in record(measures={"m": looked_at}).purposes}
    line = "3 bytes of a hash of each thing that a measure counts once (profile cookie)"
    assert line in kept["personalization"]


def test_a_purpose_that_the_site_does_not_ask_for_is_told_so() -> None:
    assert all(each.asked for each in record().purposes)
    found = {each.purpose: each.asked for each in record(purposes=["functional"]).purposes}
    assert [purpose for purpose, asked in found.items() if not asked] == [
        "analytics", "personalization", "marketing", "sensitive",
    ]  # fmt: skip
    assert found["none"] and found["authenticated"]


def test_what_is_kept_is_told_as_far_as_the_playbook_asks_for_it() -> None:
    kept = {each.purpose: each.keeps for each in record().purposes}
    assert len(kept["functional"]) == 4
    assert kept["analytics"][1] == "a row for each event and each decision (event log)"
    assert len(kept["personalization"]) == 7
    assert len(kept["none"]) == 1
    assert kept["marketing"] == kept["authenticated"] == []
    assert len(kept["sensitive"]) == 1

    little = record(
        rules=[], signals=[{"on": "article_read"}], sensitive_values={}, goals={}, measures={},
        lists={}, segments={}, fragments={"hero/cart": "<p>Cart</p>"},
    )  # fmt: skip
    kept = {each.purpose: each.keeps for each in little.purposes}
    assert kept["functional"] == ["a random id of this browser (profile cookie)"]
    assert len(kept["personalization"]) == 6
    assert kept["sensitive"] == []


def test_recommendations_stand_under_what_the_customers_purchases_need() -> None:
    kept = "the last items that customers bought (membership)"
    for declared, purposes in (
        ({"needs": "authenticated"}, ["personalization", "authenticated"]),
        ({}, ["personalization"]),
    ):
        found = record(recommendations=declared)
        for each in found.purposes:
            names = [use.name for use in each.uses if use.kind == "recommendation"]
            assert names == ["recommendations"] * (each.purpose in purposes)
            assert (kept in each.keeps) == (each.purpose == "personalization")
    assert not any(kept in each.keeps for each in record().purposes)

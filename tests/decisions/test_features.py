from __future__ import annotations

import pytest

from decisions.consent import AUTHENTICATED, MARKETING, PERSONALIZATION, SENSITIVE
from decisions.features import WINDOWS, attribute_of, category_attribute, feature_schema
from decisions.playbook import AttributeDecl, Settings, SlotDecl

SETTINGS = Settings(
    "shop",
    {"hero": SlotDecl("hero/welcome")},
    attributes={
        "traits.tier": AttributeDecl("string"),
        "traits.first_name": AttributeDecl("string", needs="authenticated"),
        "traits.favourite": AttributeDecl("string", dimension="category"),
        "scores.propensity": AttributeDecl("double", ["personalization", "marketing"]),
        "page.template": AttributeDecl("string", "none"),
        "traits.odd": AttributeDecl("strnig"),
        "traits.vague": AttributeDecl("string", "fun"),
    },
    sensitive_values={"category": ["baby"], "brand": []},
)


def test_a_segment_may_read_windows_of_totals_and_of_every_category() -> None:
    schema = feature_schema(SETTINGS)
    for window in WINDOWS:
        assert window in schema.members["purchases.spend"]
        for measure in ("orders", "lines", "spend"):
            attribute = schema.attributes[category_attribute(measure, window)]
            assert (attribute.zero, attribute.dimension) == (True, "category")
    assert schema.attributes["purchases.last_at"].type == "timestamp"
    assert not schema.attributes["purchases.last_at"].zero


def test_every_feature_of_a_customer_needs_personalization_and_the_moment_needs_nothing() -> None:
    schema = feature_schema(SETTINGS)
    assert schema.needs("now") == 0
    assert schema.needs("purchases.spend", "30d") == PERSONALIZATION
    assert schema.needs("spend_30d", "pet") == PERSONALIZATION


@pytest.mark.parametrize("catalogue", [None, {"category": ["baby", "pet"]}])
def test_a_sensitive_category_taints_whoever_reads_it(
    catalogue: dict[str, list[str]] | None,
) -> None:
    schema = feature_schema(SETTINGS, catalogue)
    assert schema.needs("spend_90d", "baby") == PERSONALIZATION | SENSITIVE
    assert schema.needs("spend_90d", "pet") == PERSONALIZATION


def test_reading_a_whole_map_or_tainted_value_needs_what_its_most_sensitive_key_needs() -> None:
    schema = feature_schema(SETTINGS)
    assert schema.needs("spend_90d") == PERSONALIZATION | SENSITIVE
    assert schema.needs("traits.favourite") == PERSONALIZATION | SENSITIVE
    assert schema.needs("purchases.spend") == PERSONALIZATION


def test_a_known_catalogue_closes_the_list_of_categories() -> None:
    assert "spend_90d" not in feature_schema(SETTINGS).members
    closed = feature_schema(SETTINGS, {"category": ["baby", "pet"]})
    assert set(closed.members["spend_90d"]) == {"baby", "pet"}


def test_traits_and_scores_come_from_the_playbook_and_nothing_else_of_it_does() -> None:
    schema = feature_schema(SETTINGS)
    assert schema.needs("traits.first_name") == PERSONALIZATION | AUTHENTICATED
    assert schema.needs("scores.propensity") == PERSONALIZATION | MARKETING
    assert "page.template" not in schema.attributes
    assert "geo.country" not in schema.attributes


def test_a_declaration_that_cannot_be_read_is_left_to_the_compiler_to_report() -> None:
    schema = feature_schema(SETTINGS)
    assert "traits.odd" not in schema.attributes
    assert "traits.vague" not in schema.attributes
    assert attribute_of("traits.odd", SETTINGS.attributes["traits.odd"]) is None

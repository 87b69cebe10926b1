"""Settings, segments and tags checked: mistakes, and the purposes that travel."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from decisions import compile_playbook
from decisions.consent import AUTHENTICATED, FUNCTIONAL, PERSONALIZATION, SENSITIVE
from decisions.errors import PlaybookErrors
from decisions.playbook import Holdout, SegmentDecl
from tests.decisions.written import (
    SETTINGS,
    complaint,
    playbook,
    program,
    rule,
)

FR = 'geo.country == "FR"'


def attribute(name: str, **decl: Any) -> dict[str, Any]:
    return {"attributes": SETTINGS["attributes"] | {name: {"type": "string"} | decl}}


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"slots": {}, "rules": []}, "no-slots", "got none"),
    (
        {"slots": SETTINGS["slots"] | {"a b": {"default": "hero/welcome"}}},
        "bad-name",
        "expected a slot of",
    ),
    (
        {"slots": SETTINGS["slots"] | {"side": {"default": "hero/nothing"}}},
        "unknown-fragment",
        "hero/nothing",
    ),
    (
        {"slots": SETTINGS["slots"] | {"side": {"default": "feed/none"}}},
        "fragment-kind",
        "feed/none is json",
    ),
    ({"bands": [], "rules": []}, "no-bands", "got none"),
    (
        {"bands": ["service", "campaign", "evergreen", "service"]},
        "duplicate-band",
        '"service" is there twice',
    ),
    ({"timezone": "Europe/Pariss"}, "unknown-timezone", "got 'Europe/Pariss'"),
    ({"timezone": "../etc"}, "unknown-timezone", "got '../etc'"),
    ({"interest": {"half_life": "0s"}}, "bad-duration", "above 0"),
    ({"sensitive_values": {"categry": ["x"]}}, "unknown-dimension", "did you mean category?"),
    (
        {"signals": [*SETTINGS["signals"], {"on": "identify"}]},
        "reserved-event",
        '"identify" is reserved',
    ),
    ({"signals": [*SETTINGS["signals"], {"on": "page-view"}]}, "bad-name", "got 'page-view'"),
    (
        {"signals": [*SETTINGS["signals"], {"on": "x", "interest": {"key": "colour", "add": 1}}]},
        "unknown-event-field",
        '"colour"',
    ),
    (
        {"signals": [*SETTINGS["signals"], {"on": "x", "interest": {"key": "brand", "add": 0}}]},
        "bad-weight",
        "got 0",
    ),
    (
        {
            "signals": [
                *SETTINGS["signals"],
                {"on": "x", "interest": {"key": "brand", "add": -1001}},
            ]
        },
        "bad-weight",
        "expected a weight of -1000 to 1000 that is not 0, got -1001",
    ),
    ({"goals": {"order": {"on": "purchse"}}}, "unknown-event", "did you mean purchase?"),
    (
        {"goals": {"order": {"on": "purchase", "value": "prize"}}},
        "unknown-event-field",
        "did you mean price?",
    ),
    ({"goals": {"order": {"on": "purchase", "window": "a week"}}}, "bad-duration", "got 'a week'"),
    (attribute("crm tier"), "bad-name", "expected dotted words"),
    (attribute("crm.true"), "bad-name", "expected dotted words"),
    (attribute("crm.in"), "bad-name", "expected dotted words"),
    (attribute("if.only"), "bad-name", "expected dotted words"),
    (attribute("interest.shoes"), "bad-name", "inside the attribute interest"),
    (attribute("cart"), "bad-name", "the attribute cart.items lies inside cart"),
    (
        attribute("page.query") | {"query_keys": ["q"]},
        "bad-name",
        "the attribute page.query.q lies inside page.query",
    ),
    (
        attribute("interest", type="map<double>", dimension="brand"),
        "built-in",
        "interest is built in: expected category, got brand",
    ),
    (attribute("crm.tier", type="text"), "unknown-type", 'unknown type "text"'),
    (attribute("crm.tier", purpose="fun"), "unknown-purpose", 'unknown purpose "fun"'),
    (attribute("crm.tier", needs="login"), "unknown-need", "got 'login'"),
    (
        attribute("geo.country", type="int"),
        "built-in",
        "geo.country is built in: expected string, got int",
    ),
    ({"tags": {"a b": FR}, "rules": []}, "bad-name", "expected a tag of"),
    (
        {"tags": {"a": '"b" in tags', "b": FR}, "rules": []},
        "unknown-attribute",
        "unknown attribute",
    ),
    (
        {"segments": {"loyal": "purchases.ordes > 1"}},
        "unknown-attribute",
        "did you mean purchases.orders?",
    ),
    ({"segments": {"loyal": "true", "a b": "true"}}, "bad-name", "expected a segment of"),
    ({"recommendations": {"window": "soon"}}, "bad-duration", "got 'soon'"),
    ({"recommendations": {"least": 1}}, "out-of-range", "expected 2 to 1000, got 1"),
    ({"recommendations": {"keep": 51}}, "out-of-range", "expected 1 to 50, got 51"),
    ({"recommendations": {"needs": "login"}}, "unknown-need", "got 'login'"),
]


@pytest.mark.parametrize(("changes", "code", "says"), WRONG, ids=lambda value: str(value)[:40])
def test_a_mistake_is_refused_with_what_was_expected_and_what_came(
    changes: dict[str, Any], code: str, says: str
) -> None:
    assert complaint(code, says, **changes)


def test_an_unknown_purpose_of_a_segment_is_refused() -> None:
    written = playbook()
    segments = {**written.segments, "rich": SegmentDecl("true", purpose=["profit"])}
    with pytest.raises(PlaybookErrors, match='unknown purpose "profit"'):
        compile_playbook(msgspec.structs.replace(written, segments=segments))


def test_a_built_in_attribute_may_ask_for_more_and_never_for_less() -> None:
    attributes = {
        "geo.city": {"type": "string", "purpose": "personalization"},
        "cart.items": {"type": "int", "purpose": ["none"]},
    }
    compiled = program(attributes=SETTINGS["attributes"] | attributes)
    assert compiled.schema.attributes["geo.city"].needs == PERSONALIZATION
    assert compiled.schema.attributes["cart.items"].needs == FUNCTIONAL
    assert compiled.schema.attributes["cart.items"].zero


def test_interest_is_tainted_by_every_field_that_signals_key_it_by() -> None:
    signals = [{"on": "product_view", "interest": {"key": "brand", "add": 1}}]
    changes = {
        "signals": [*SETTINGS["signals"], *signals],
        "sensitive_values": {"category": ["pharmacy"], "brand": ["Calm"], "item": ["7"]},
        "attributes": SETTINGS["attributes"]
        | {"traits.item": {"type": "set", "dimension": "item"}},
        "rules": [rule("calm", 'interest["Calm"] > 5.0 || interest["pharmacy"] > 5.0')],
    }
    compiled = program(**changes)
    needs = compiled.schema.needs
    assert needs("interest", "Calm") == needs("interest", "pharmacy") == PERSONALIZATION | SENSITIVE
    assert needs("interest", "7") == needs("session.views", "Calm") == PERSONALIZATION
    liking = {"interest": {"Calm": 60.0, "pharmacy": 60.0}}
    assert compiled.decide("hero", liking, grants=["personalization"]).rule == ""
    assert compiled.decide("hero", liking, grants=["personalization", "sensitive"]).rule == "calm"


def test_purposes_travel_from_what_is_read_to_segments_tags_rules_and_fragments() -> None:
    compiled = program(tags=SETTINGS["tags"] | {"patient_now": '"patient" in segments'})
    needs = compiled.schema.needs
    assert needs("segments", "loyal") == PERSONALIZATION
    assert needs("segments", "patient") == PERSONALIZATION | SENSITIVE
    assert needs("tags", "cart_abandoner") == PERSONALIZATION | FUNCTIONAL
    assert needs("tags", "patient_now") == PERSONALIZATION | SENSITIVE
    assert compiled.fragments["hero/shoes"].needs == PERSONALIZATION | AUTHENTICATED
    assert compiled.fragments["hero/welcome"].needs == 0
    rescue = compiled.slots["hero"].rules[0]
    assert (rescue.id, rescue.needs) == ("cart-rescue", PERSONALIZATION | FUNCTIONAL)


@pytest.mark.parametrize(
    ("holdout", "code", "says"),
    [
        ({"share": 0}, "bad-share", "above 0 and below 100, got 0"),
        ({"share": 100}, "bad-share", "got 100"),
        ({"share": 5, "name": "a b"}, "bad-name", "expected a holdout of"),
    ],
)
def test_a_holdout_has_a_name_and_a_share(holdout: dict[str, Any], code: str, says: str) -> None:
    assert complaint(code, says, holdout=holdout)


def test_a_holdout_has_a_unit_that_there_is() -> None:
    written = playbook()
    holdout = Holdout(5, unit="user")  # type: ignore[arg-type]  # who makes settings by hand
    settings = msgspec.structs.replace(written.settings, holdout=holdout)
    with pytest.raises(PlaybookErrors, match='unknown unit "user"'):
        compile_playbook(msgspec.structs.replace(written, settings=settings))

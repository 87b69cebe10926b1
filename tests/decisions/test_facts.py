from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from decisions.consent import (
    AUTHENTICATED,
    EVERYTHING,
    FUNCTIONAL,
    NOTHING,
    PERSONALIZATION,
    SENSITIVE,
    allows,
)
from decisions.errors import EvaluationError
from decisions.facts import ABSENT, Facts, Gate
from decisions.schema import MAP_DOUBLE, STRING, Attribute, schema_of

NOW_S = 1_795_000_000.0  # 2026-11-18T11:06:40Z, a Wednesday
PERSONAL = FUNCTIONAL | PERSONALIZATION
VISITOR: dict[str, Any] = {
    "geo": {"country": "FR", "planet": "Earth"},
    "segments": {"loyal", "pregnant"},
    "interest": {"shoes": 62.0, "pharmacy": 80.0},
    "cart": {"items": 2, "value": 12, "updated_at": NOW_S - 60},
    "traits": {"first_name": "Ann", "tier": "gold"},
    "page": {"query": {"q": "tea"}},
    "unheard": {"of": 1},
}


def holds_cart(facts: Mapping[str, Any]) -> Any:
    return facts["cart.items"] > 0


def fails(facts: Mapping[str, Any]) -> Any:
    raise EvaluationError("no such value")


def names_itself(facts: Mapping[str, Any]) -> Any:
    return facts["tags"] is not ABSENT


def counts_views(facts: Mapping[str, Any]) -> Any:
    return facts["counts"].get("view", 0) == 0


SCHEMA = schema_of(
    [
        Attribute("traits.first_name", STRING, PERSONALIZATION | AUTHENTICATED),
        Attribute("traits.tier", STRING, PERSONALIZATION),
        Attribute("scores.of", "double", PERSONALIZATION, zero=True),
        Attribute("interest.brand", MAP_DOUBLE, PERSONALIZATION),
    ],
    {
        "segments": {"loyal": PERSONALIZATION, "pregnant": PERSONALIZATION | SENSITIVE},
        "counts": {"view": PERSONALIZATION, "shoes": PERSONALIZATION | SENSITIVE},
        "tags": {"basket": PERSONAL, "odd": PERSONALIZATION, "new": PERSONALIZATION,
                 "secret": PERSONALIZATION | SENSITIVE, "self": PERSONALIZATION},
    },
    {"category": ["pharmacy"]},
    ["q"],
)  # fmt: skip
TAGS = {
    "basket": (PERSONAL, holds_cart),
    "odd": (PERSONALIZATION, fails),
    "new": (PERSONALIZATION, counts_views),
    "secret": (PERSONALIZATION | SENSITIVE, counts_views),
    "self": (PERSONALIZATION, names_itself),
}
GATE = Gate(SCHEMA, timezone="Europe/Paris", tags=TAGS)


def test_nested_facts_become_flat_and_strictly_typed() -> None:
    facts = Facts.of(GATE, VISITOR, EVERYTHING, NOW_S)
    assert dict(facts) == {
        "geo.country": "FR",
        "segments": {"loyal", "pregnant"},
        "interest": {"shoes": 62.0, "pharmacy": 80.0},
        "cart.items": 2,
        "cart.value": 12.0,
        "cart.updated_at": NOW_S - 60,
        "traits.first_name": "Ann",
        "traits.tier": "gold",
        "page.query.q": "tea",
    }
    assert (facts.grants, facts.now_s) == (EVERYTHING, NOW_S)


def test_dotted_names_are_the_same_facts() -> None:
    nested = GATE.facts({"geo": {"country": "FR"}}, EVERYTHING, NOW_S)
    assert GATE.facts({"geo.country": "FR"}, EVERYTHING, NOW_S) == nested
    assert GATE.flat({"geo.country": "FR", "nowhere": 1}, EVERYTHING, NOW_S) == nested
    assert GATE.granted({"geo.country": "FR"}, EVERYTHING, NOW_S) == nested


def test_a_group_that_is_no_map_and_a_leaf_that_is_also_a_group_do_no_harm() -> None:
    assert GATE.facts({"geo": "FR", "cart": None}, EVERYTHING, NOW_S) == {}
    facts = GATE.facts({"interest.brand": {"acme": 3}, "interest": {"tea": 1}}, EVERYTHING, NOW_S)
    assert facts == {"interest.brand": {"acme": 3.0}, "interest": {"tea": 1.0}}


def test_without_a_grant_only_the_context_is_known() -> None:
    facts = GATE.facts(VISITOR, NOTHING, NOW_S)
    assert dict(facts) == {"geo.country": "FR", "page.query.q": "tea"}
    for name in ("cart.items", "segments", "tags", "interest", "counts", "visitor.visits"):
        assert facts[name] is ABSENT


def test_what_a_shared_device_must_not_show_needs_a_live_sign_in() -> None:
    recognised = GATE.facts(VISITOR, EVERYTHING & ~AUTHENTICATED, NOW_S)
    assert recognised["traits.first_name"] is ABSENT
    assert recognised["traits.tier"] == "gold"


@given(
    st.integers(0, EVERYTHING),
    st.dictionaries(
        st.sampled_from(sorted(SCHEMA.attributes)),
        st.sampled_from(["x", 1, 2.5, True, ["loyal", "pregnant"], {"pharmacy": 3, "shoes": 4}]),
    ),
)
def test_no_grant_state_lets_in_what_it_does_not_cover(grants: int, values: dict[str, Any]) -> None:
    for facts in (GATE.flat(values, grants, NOW_S), GATE.facts(values, grants, NOW_S)):
        for name, value in facts.items():
            assert allows(grants, SCHEMA.needs(name))
            keys = value if isinstance(value, (dict, frozenset)) else ()
            assert all(allows(grants, SCHEMA.needs(name, key)) for key in keys)


words = st.sampled_from(["loyal", "pregnant", "pharmacy", "shoes", "view"])
OF_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "int": st.integers(0, 9),
    "double": st.floats(0, 9),
    "string": words,
    "timestamp": st.floats(0, NOW_S),
    "set": st.frozensets(words),
    "map<int>": st.dictionaries(words, st.integers(0, 9)),
    "map<double>": st.dictionaries(words, st.floats(0, 9)),
}
typed = st.fixed_dictionaries(
    {}, optional={name: OF_TYPE[each.type] for name, each in SCHEMA.attributes.items()}
)


@given(st.integers(0, EVERYTHING), typed)
def test_values_of_the_right_types_are_taken_the_same_way_unlooked_at(
    grants: int, values: dict[str, Any]
) -> None:
    checked, sure = GATE.flat(values, grants, NOW_S), GATE.flat({}, grants, NOW_S, values)
    assert sure == checked
    assert sure.digest() == checked.digest()


def test_newer_values_go_first_where_they_are_granted_and_of_the_right_type() -> None:
    known = {"traits.tier": "gold", "traits.first_name": "Ann", "scores.of": 0.25}
    newer = {"traits.tier": "silver", "traits.first_name": None, "scores.of": "x", "no.such": 1}
    assert dict(GATE.flat(known, EVERYTHING, NOW_S, {}, newer)) == {
        "traits.tier": "silver",
        "scores.of": 0.25,
    }
    assert dict(GATE.flat({}, EVERYTHING, NOW_S, {}, {"traits.tier": None})) == {}
    assert dict(GATE.flat(known, NOTHING, NOW_S, {}, newer)) == {}


@given(st.integers(0, EVERYTHING), st.sampled_from(["pharmacy", "shoes"]), st.floats(0, 100))
def test_facts_do_not_depend_on_what_is_not_granted(grants: int, key: str, value: float) -> None:
    changed = VISITOR | {"interest": {key: value}, "segments": {key}}
    for name in SCHEMA.attributes:
        if not allows(grants, SCHEMA.needs(name)):
            one, other = (GATE.facts(given, grants, NOW_S) for given in (VISITOR, changed))
            assert one[name] is ABSENT
            assert other[name] is ABSENT


def test_unknown_and_granted_counts_as_nothing_or_is_absent() -> None:
    facts = GATE.facts({}, EVERYTHING, NOW_S)
    assert facts["cart.items"] == 0
    assert facts["visitor.visits"] == 0
    assert repr(facts["scores.of"]) == "0.0"
    assert facts["segments"] == frozenset()
    assert facts["session.views"] == facts["counts"] == facts["interest"] == {}
    for name in ("geo.country", "cart.updated_at", "visitor.new", "traits.tier", "no.such.name"):
        assert facts[name] is ABSENT


def test_time_is_told_in_the_time_zone_of_the_playbook() -> None:
    facts = GATE.facts({}, NOTHING, NOW_S)
    assert facts["now"] == NOW_S
    assert facts["time.hour"] == 12
    assert facts["time.weekday"] == "wed"
    assert facts["time.date"] == "2026-11-18"


def test_given_times_win_over_derived_ones() -> None:
    facts = GATE.facts({"time": {"hour": 3}, "now": 0}, NOTHING, NOW_S)
    assert facts["time.hour"] == 3
    assert facts["time.date"] == "1970-01-01"


def test_where_the_calendar_ends_the_time_is_absent() -> None:
    facts = GATE.facts({}, NOTHING, 1e15)
    assert facts["time.hour"] is ABSENT
    assert facts["time.weekday"] is ABSENT
    assert facts["time.date"] is ABSENT


def test_tags_are_the_conditions_that_hold_and_an_error_is_none() -> None:
    facts = GATE.facts({"cart": {"items": 1}}, EVERYTHING, NOW_S)
    assert facts["tags"] == {"basket", "new", "secret"}
    assert facts["tags"] is facts["tags"]


def test_a_tag_is_not_computed_without_its_purpose() -> None:
    facts = GATE.facts({"cart": {"items": 1}}, PERSONALIZATION, NOW_S)
    assert facts["tags"] == {"new"}


def test_given_tags_are_not_computed() -> None:
    assert GATE.facts({"tags": ["odd"]}, EVERYTHING, NOW_S)["tags"] == {"odd"}


def test_a_schema_without_tags_has_none() -> None:
    attributes = {"now": SCHEMA.attributes["now"]}
    facts = Gate(type(SCHEMA)(attributes)).facts({}, EVERYTHING, NOW_S)
    assert facts["tags"] is ABSENT
    assert facts["time.hour"] is ABSENT
    assert facts["now"] == NOW_S


def test_a_digest_tells_what_was_given_and_not_what_was_asked() -> None:
    facts = GATE.facts(VISITOR, EVERYTHING, NOW_S)
    before = facts.digest()
    assert len(before) == 4
    assert facts["tags"] is not ABSENT
    assert facts["utm.term"] is ABSENT
    assert facts.digest() == before
    shuffled = dict(reversed(list(VISITOR.items())))
    assert GATE.facts(shuffled, EVERYTHING, NOW_S + 9).digest() == before
    assert GATE.facts(VISITOR, EVERYTHING & ~SENSITIVE, NOW_S).digest() != before
    assert GATE.facts(VISITOR | {"locale": "fr"}, EVERYTHING, NOW_S).digest() != before


def test_a_digest_does_not_depend_on_forbidden_values() -> None:
    one, other = ({"interest": {"pharmacy": weight, "tea": 1}} for weight in (1, 99))
    digests = {GATE.facts(given, PERSONALIZATION, NOW_S).digest() for given in (one, other)}
    assert len(digests) == 1


def test_half_a_surrogate_pair_has_a_digest_too() -> None:
    given = {"locale": "\ud800", "segments": ["loyal"]}
    digests = {GATE.facts(given, EVERYTHING, NOW_S).digest() for _ in range(3)}
    assert len(digests) == 1


def test_a_clock_that_is_not_granted_is_absent_with_all_that_follows_from_it() -> None:
    now = msgspec.structs.replace(SCHEMA.attributes["now"], needs=PERSONALIZATION)
    gate = Gate(type(SCHEMA)(SCHEMA.attributes | {"now": now}))
    assert gate.facts({}, 0, NOW_S)["time.hour"] is ABSENT
    assert gate.facts({}, PERSONALIZATION, NOW_S)["time.hour"] is not ABSENT


def test_unknown_bits_of_grants_open_nothing_new() -> None:
    assert GATE.opening(EVERYTHING | 1 << 20) is GATE.opening(EVERYTHING)


def test_the_visitors_own_clock_is_read_where_the_zone_is_known() -> None:
    facts = Gate(schema_of(), timezone="Europe/Paris").flat(
        {"local.zone": "Asia/Tokyo"}, NOTHING, NOW_S
    )

    assert [facts[f"local.{name}"] for name in ("hour", "weekday", "date")] == [
        20,
        "wed",
        "2026-11-18",
    ]
    assert facts["time.hour"] == 12


def test_without_a_zone_or_a_moment_the_visitors_clock_is_absent() -> None:
    gate = Gate(schema_of())
    for zone, now_s in (("Asia/Atlantis", NOW_S), ("Asia/Tokyo", 1e12)):
        facts = gate.flat({"local.zone": zone}, NOTHING, now_s)
        assert facts["local.hour"] is facts["local.date"] is facts["local.weekday"] is ABSENT
    assert gate.flat({}, NOTHING, NOW_S)["local.hour"] is ABSENT


def test_what_a_fact_says_of_the_visitors_clock_beats_the_zone() -> None:
    given = {"local": {"zone": "Asia/Tokyo", "hour": 3}}

    assert Gate(schema_of()).facts(given, NOTHING, NOW_S)["local.hour"] == 3

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.admission import admission
from decisions.consent import EVERYTHING, PERSONALIZATION, SENSITIVE
from decisions.facts import ABSENT
from decisions.schema import TYPES, Attribute, schema_of

SCHEMA = schema_of(
    [Attribute("traits.hobby", "string", PERSONALIZATION, dimension="category")],
    {
        "segments": {"loyal": PERSONALIZATION, "pregnant": PERSONALIZATION | SENSITIVE},
        "counts": {"view": PERSONALIZATION},
    },
    {"category": ["pharmacy"]},
)


def taken(kind: str, value: Any) -> Any:
    attribute = Attribute("traits.x", kind)
    return admission(schema_of([attribute]), attribute, EVERYTHING)(value)


def take(name: str, value: Any, grants: int) -> Any:
    return admission(SCHEMA, SCHEMA.attributes[name], grants)(value)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("bool", True, True),
        ("bool", 1, ABSENT),
        ("int", 1, 1),
        ("int", True, ABSENT),
        ("int", 1.0, ABSENT),
        ("int", 2**63, ABSENT),
        ("int", -(2**63), -(2**63)),
        ("double", 1, 1.0),
        ("double", 1.5, 1.5),
        ("double", True, ABSENT),
        ("double", "1", ABSENT),
        ("double", 2**63, ABSENT),
        ("string", "a", "a"),
        ("string", b"a", ABSENT),
        ("string", None, ABSENT),
        ("timestamp", 1_795_000_000, 1_795_000_000.0),
        ("timestamp", True, ABSENT),
        ("timestamp", 1e18, ABSENT),
        ("timestamp", float("nan"), ABSENT),
        ("duration", -5, -5.0),
        ("duration", float("inf"), ABSENT),
        ("set", ["a", "b", "a"], {"a", "b"}),
        ("set", {"a", 1}, {"a"}),
        ("set", ["a", ["b"]], {"a"}),
        ("set", "abc", ABSENT),
        ("set", {"a": 1}, ABSENT),
        ("map<int>", {"a": 1, "b": True, "c": 1.0, 4: 4}, {"a": 1}),
        ("map<double>", {"a": 1, "b": 2.5, "c": "x"}, {"a": 1.0, "b": 2.5}),
        ("map<double>", ["a"], ABSENT),
    ],
)
def test_a_value_of_the_right_type_is_taken_and_any_other_is_unknown(
    kind: str, value: Any, expected: Any
) -> None:
    got = taken(kind, value)
    assert got == expected
    if kind != "set":
        assert repr(got) == repr(expected), "True, 1 and 1.0 are not one value"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=5,
)


@given(st.sampled_from(TYPES), ANYTHING)
def test_no_value_whatever_makes_taking_it_fail(kind: str, value: Any) -> None:
    got = taken(kind, value)
    assert got is ABSENT or taken(kind, got) == got or got != got


def test_a_set_keeps_what_is_declared_and_granted() -> None:
    got = take("segments", ["loyal", "pregnant", "undeclared"], EVERYTHING & ~SENSITIVE)
    assert got == {"loyal"}


def test_a_declared_set_without_anything_withheld_is_a_plain_one() -> None:
    for value in ({"loyal", "undeclared"}, ["loyal", "undeclared"]):
        got = take("segments", value, EVERYTHING)
        assert type(got) is frozenset
        assert got == {"loyal"}
    assert take("segments", 3, EVERYTHING) is ABSENT


def test_a_map_loses_its_sensitive_keys() -> None:
    weights = {"shoes": 1, "pharmacy": 2}
    assert take("interest", weights, PERSONALIZATION) == {"shoes": 1.0}
    assert take("interest", weights, EVERYTHING) == {"shoes": 1.0, "pharmacy": 2.0}


def test_a_set_or_map_is_a_plain_one_whatever_it_lost() -> None:
    assert type(take("segments", ["loyal"], PERSONALIZATION)) is frozenset
    assert type(take("interest", {"pharmacy": 1}, PERSONALIZATION)) is dict


def test_a_declared_map_takes_only_its_declared_keys() -> None:
    assert take("counts", {"view": 2, "other": 3}, PERSONALIZATION) == {"view": 2}


def test_a_scalar_of_a_sensitive_dimension_is_withheld_by_its_value() -> None:
    for name in ("page.category", "traits.hobby"):
        assert take(name, "pharmacy", PERSONALIZATION) is ABSENT
        assert take(name, "pharmacy", EVERYTHING) == "pharmacy"
        assert take(name, "shoes", PERSONALIZATION) == "shoes"
        assert take(name, 3, PERSONALIZATION) is ABSENT

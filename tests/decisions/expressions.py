"""Random rules and random facts for the tests of the index: trees as the checker leaves them, and
nested facts of which some are missing, some of a wrong type, some not granted."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from decisions.consent import AUTHENTICATED, PERSONALIZATION, SENSITIVE
from decisions.rules.syntax import (
    Attr,
    Binary,
    Call,
    Expr,
    Index,
    ListOf,
    Literal,
    Macro,
    Name,
    Ternary,
    Unary,
)
from decisions.schema import BUILT_IN, Attribute, schema_of

SCHEMA = schema_of(
    [
        Attribute("traits.flag", "bool", PERSONALIZATION),
        Attribute("traits.name", "string", PERSONALIZATION | AUTHENTICATED),
        Attribute("traits.score", "double", PERSONALIZATION),
        Attribute("traits.gap", "duration", 0),
    ],
    members={
        "segments": {"loyal": PERSONALIZATION, "ill": PERSONALIZATION | SENSITIVE},
        "counts": {"read": PERSONALIZATION, "é": PERSONALIZATION | SENSITIVE},
        "tags": {},
    },
    sensitive={"category": ["pharmacy"]},
)
KINDS = {attribute.name: attribute.type for attribute in (*BUILT_IN, *SCHEMA.attributes.values())}
WORDS = ["", "a", "ab", "abc", "é", "\U0001f600", "pharmacy", "1", "True"]
NUMBERS = [0, 1, 2, -1, 40, 1.0, 0.5, 40.5, -0.0, 1e308, -1e308, 2**53, 2**53 + 1, 2.0**53]
EXTREMES = [2**63 - 1, -(2**63), 5e-324, math.inf, -math.inf]
MOMENTS = ["2026-11-21T09:00:00Z", "2026-11-21T09:00:00.000000001Z", "0001-01-01T00:00:00Z"]
LENGTHS = ["0s", "15m", "1ns", "-1.5s", "2562047h"]
SECONDS = [
    0.0,
    1e-9,
    1.4e-9,
    900.0,
    -1.5,
    1_795_251_600.0,
    1_795_251_600.0000002,
    -62_135_596_800.0,
]
KEYS = ["shoes", "pharmacy", "read", "é"]


def attr(name: str) -> Attr:
    """An attribute as the checker resolves it."""
    return Attr(name, KINDS[name])


def literals(values: list[Any]) -> st.SearchStrategy[Expr]:
    return st.sampled_from(values).map(Literal)


def calls(function: str, texts: list[str]) -> st.SearchStrategy[Expr]:
    return st.sampled_from(texts).map(lambda text: Call(function, None, (Literal(text),)))


def look_up(name: str, key: str) -> Expr:
    return Index(attr(name), Literal(key))


_strings = st.sampled_from(["geo.country", "page.category", "traits.name"]).map(attr)
_keyed = st.builds(
    look_up,
    st.sampled_from(["interest", "counts", "session.views"]),
    st.sampled_from(KEYS),
)
_numbers = st.sampled_from(["cart.items", "cart.value", "traits.score"]).map(attr) | _keyed
_number_literals = literals([n for n in NUMBERS + EXTREMES if not (n < 0 and type(n) is int)]) | (
    st.sampled_from([1, 40, 0.5]).map(lambda number: Unary("-", Literal(number)))
)
_pairs = st.one_of(
    st.tuples(_strings, literals(WORDS)),
    st.tuples(_numbers, _number_literals),
    st.tuples(st.just(attr("cart.updated_at")), calls("timestamp", MOMENTS)),
    st.tuples(st.just(attr("traits.gap")), calls("duration", LENGTHS)),
)


def _compare(op: str, pair: tuple[Expr, Expr], turned: bool) -> Expr:
    left, right = reversed(pair) if turned else pair
    return Binary(op, left, right)


def _listed(values: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    return st.lists(values, max_size=3).map(lambda items: ListOf(tuple(items)))


_comparisons = st.builds(
    _compare, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), _pairs, st.booleans()
)
_flags = st.one_of(
    st.just(attr("traits.flag")),
    st.builds(
        _compare,
        st.sampled_from(["==", "!="]),
        st.tuples(st.just(attr("traits.flag")), literals([True, False])),
        st.booleans(),
    ),
)
_contained = st.one_of(
    st.builds(Binary, st.just("in"), _strings, _listed(literals(WORDS))),
    st.builds(Binary, st.just("in"), _numbers, _listed(_number_literals)),
    st.builds(Binary, st.just("in"), literals(["loyal", "ill"]), st.just(attr("segments"))),
    st.builds(
        Binary, st.just("in"), literals(KEYS), st.sampled_from(["interest", "counts"]).map(attr)
    ),
)
_presence = st.sampled_from(["geo.country", "cart.items", "traits.flag", "segments"]).map(
    lambda name: Call("has", None, (attr(name),))
)
_prefixes = st.builds(
    lambda target, prefix: Call("startsWith", target, (prefix,)), _strings, literals(WORDS)
)
_residuals = st.sampled_from(
    [
        Binary(">", Call("size", attr("geo.country"), ()), Literal(1)),
        Binary("==", attr("geo.country"), attr("page.category")),
        Binary(
            ">=",
            Binary("-", attr("now"), attr("cart.updated_at")),
            Call("duration", None, (Literal("15m"),)),
        ),
        Macro(
            "exists",
            attr("interest"),
            "k",
            Binary(">", Index(attr("interest"), Name("k")), Literal(40)),
        ),
        Binary("==", Ternary(attr("traits.flag"), attr("cart.items"), Literal(1)), Literal(1)),
        Binary("==", Call("has", None, (attr("traits.name"),)), Literal(False)),
        Binary(
            ">", Binary("+", Index(attr("interest"), Literal("shoes")), Literal(1.0)), Literal(2.0)
        ),
        Binary("==", Binary("in", Literal("ill"), attr("segments")), Literal(False)),
    ]
)
leaves = st.one_of(
    _comparisons, _flags, _contained, _presence, _prefixes, _residuals, literals([True, False])
)


def _grow(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    return st.one_of(
        st.builds(Binary, st.sampled_from(["&&", "||"]), inner, inner),
        st.builds(Unary, st.just("!"), inner),
        st.builds(Ternary, inner, inner, inner),
    )


expressions = st.recursive(leaves, _grow, max_leaves=8)

# Facts, as a caller may hand them in: `true`, 1 and 1.0 where another type is meant, too.

_anything: st.SearchStrategy[Any] = st.sampled_from([True, 1, 1.0, "1", None, [], {}])
_string_values = st.sampled_from(WORDS) | _anything
_number_values = st.sampled_from([*NUMBERS, *EXTREMES, math.nan]) | _anything
_entries = st.dictionaries(st.sampled_from(KEYS), _number_values, max_size=4) | _anything


def _some(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=values)


nested_facts = _some(
    geo=_some(country=_string_values),
    page=_some(category=_string_values),
    cart=_some(items=_number_values, value=_number_values, updated_at=st.sampled_from(SECONDS)),
    traits=_some(
        flag=st.booleans() | _anything,
        name=_string_values,
        score=_number_values,
        gap=st.sampled_from(SECONDS),
    ),
    segments=st.sets(st.sampled_from(["loyal", "ill", "else"])) | _anything,
    interest=_entries,
    counts=_entries,
    session=_some(views=_entries),
)
grants = st.integers(0, 63) | st.just(63)

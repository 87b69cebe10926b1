"""What a rule may say: the tree it becomes, what it reads, and every error with its place."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.consent import FUNCTIONAL, PERSONALIZATION, SENSITIVE
from decisions.errors import RuleSyntaxError, RuleTypeError
from decisions.rules.checker import MAX_NODES, Typed, check, problems
from decisions.rules.evaluator import compile_expr
from decisions.rules.parser import parse
from decisions.rules.syntax import Attr, Binary, Call, Expr, Index, Literal
from decisions.schema import Attribute, schema_of

SCHEMA = schema_of(
    [
        Attribute("traits.tier", "string", PERSONALIZATION),
        Attribute("spend_90d", "map<double>", PERSONALIZATION, dimension="category"),
    ],
    members={
        "segments": {"loyal": PERSONALIZATION, "parent": PERSONALIZATION | SENSITIVE},
        "tags": {"cart_abandoner": FUNCTIONAL},
        "counts": {"article_read": PERSONALIZATION},
        "spend_90d": {"pet": PERSONALIZATION},
    },
    sensitive={"category": ["baby"]},
    query_keys=["q"],
)


def typed(text: str, want: str = "bool") -> Typed:
    return check(parse(text), text, SCHEMA, want)


def complaints(text: str, want: str = "bool") -> list[tuple[str, str, str]]:
    """(code, message, the text under the caret) of every error."""
    made, errors = problems(parse(text), text, SCHEMA, want)
    assert (made is None) == bool(errors)
    return [
        (error.code, error.what, text[error.start : error.start + error.length]) for error in errors
    ]


def test_a_close_name_is_suggested_with_a_caret_under_the_wrong_word() -> None:
    with pytest.raises(RuleTypeError) as caught:
        typed('geo.contry == "FR"')
    assert str(caught.value) == (
        'unknown attribute, did you mean geo.country?\n  geo.contry == "FR"\n      ^^^^^^'
    )


def test_every_error_comes_at_once_in_the_order_of_the_text() -> None:
    text = '"loyl" in segments && counts.article_raed > 2 && geo.contry == "FR"'
    assert complaints(text) == [
        ("unknown-segment", "unknown segment, did you mean loyal?", '"loyl"'),
        ("undeclared-counter", "undeclared counter, did you mean article_read?", "article_raed"),
        ("unknown-attribute", "unknown attribute, did you mean geo.country?", "contry"),
    ]


WRONG: list[dict[str, str]] = json.loads(
    (Path(__file__).parents[2] / "spec" / "rule_errors.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case["rule"])
def test_what_a_rule_may_not_say(case: dict[str, str]) -> None:
    assert complaints(case["rule"]) == [(case["code"], case["message"], case["under"])]


def test_the_arguments_of_an_unknown_function_are_looked_at_too() -> None:
    assert [code for code, _, _ in complaints("xyzzy(geo.contry)")] == [
        "unknown-function",
        "unknown-attribute",
    ]


READS = {
    'interest["shoes"] > 1.0 && interest.shoes < 9.0': [("interest", "shoes")],
    '"loyal" in segments && has(spend_90d.pet)': [("segments", "loyal"), ("spend_90d", "pet")],
    "geo.country in segments": [("geo.country", None), ("segments", None)],
    "session.views.exists(c, session.views[c] > 5)": [("session.views", None)],
    'page.category == "baby"': [("page.category", None), ("page.category", "baby")],
    'page.category in ["baby"]': [("page.category", None), ("page.category", "baby")],
    'geo.country == "FR" || geo.country == geo.city': [("geo.country", None), ("geo.city", None)],
    "has(traits.tier) && page.query.q != ''": [("traits.tier", None), ("page.query.q", None)],
    "counts[geo.country] > 1": [("geo.country", None), ("counts", None)],
    "has(interest.baby)": [("interest", "baby")],
    "true": [],
}


@pytest.mark.parametrize(("text", "reads"), READS.items())
def test_a_rule_reads_these(text: str, reads: list[tuple[str, str | None]]) -> None:
    assert sorted(typed(text).reads, key=str) == sorted(reads, key=str)


def needs(text: str) -> int:
    union = 0
    for name, key in typed(text).reads:
        union |= SCHEMA.needs(name, key)
    return union


def test_purposes_travel_with_what_is_read() -> None:
    assert needs('page.category == "shoes"') == 0
    assert needs('page.category == "baby"') == SENSITIVE
    assert needs("interest.baby > 1.0") == PERSONALIZATION | SENSITIVE
    assert needs('"parent" in segments && cart.items > 0') == (
        PERSONALIZATION | SENSITIVE | FUNCTIONAL
    )


def without_places(expr: Expr) -> object:
    """The tree as data, every span left out."""
    tree = msgspec.to_builtins(expr)

    def strip(node: object) -> object:
        if not isinstance(node, (list, tuple)):
            return node
        place = node and isinstance(node[0], str) and isinstance(node[-1], tuple)
        return [strip(each) for each in (node[:-1] if place else node)]

    return strip(tree)


INTEREST, COUNTS = Attr("interest", "map<double>"), Attr("counts", "map<int>")
PLAINER: dict[str, Expr] = {
    "interest.shoes > 1": Binary(">", Index(INTEREST, Literal("shoes")), Literal(1)),
    'interest["shoes"] > 1': Binary(">", Index(INTEREST, Literal("shoes")), Literal(1)),
    "has(interest.shoes)": Binary("in", Literal("shoes"), INTEREST),
    "has(geo.country)": Call("has", None, (Attr("geo.country", "string"),)),
    "has(counts.`article_read`)": Binary("in", Literal("article_read"), COUNTS),
    ".visitor.new": Attr("visitor.new", "bool"),
}


@pytest.mark.parametrize("text", PLAINER)
def test_the_tree_is_plainer_than_the_text(text: str) -> None:
    assert without_places(typed(text).expr) == without_places(PLAINER[text])


def test_an_attribute_spans_its_whole_name() -> None:
    made = typed('"x" != geo . city').expr
    assert isinstance(made, Binary)
    assert made.right == Attr("geo.city", "string", (7, 17))


KINDS = {
    "1 + 2": "int",
    "[1, 2.0]": "list<number>",
    "[]": "list<unknown>",
    "[[]] + [[1]]": "list<list<int>>",
    "[{}, {'a': 1}, {'b': 2.5}]": "list<map<string, number>>",
    "segments": "set",
    "[1].map(x, string(x))": "list<string>",
    "segments.filter(s, true)": "list<string>",
    "interest.map(k, interest[k])": "list<double>",
    "{'a': [true]}": "map<string, list<bool>>",
    "now - cart.updated_at": "duration",
    "[].exists(x, x + x == x.y)": "bool",
    "{'a': {'b': 1}}.a.b": "int",
    "[{'a': 1}].map(m, has(m.a) ? m.a : m.b)": "list<int>",
    "cart.value in [1, 2.5] && cart.items == 2.0": "bool",
    "[1.5, 2.5][0]": "double",
}


@pytest.mark.parametrize(("text", "kind"), KINDS.items())
def test_a_value_has_this_kind(text: str, kind: str) -> None:
    assert typed(text, want="").kind == kind


def test_a_list_of_mixed_lists_is_no_kind() -> None:
    assert complaints("[1] + ['a'] == []") == [
        ("type", "list<int> + list<string> has no meaning", "[1] + ['a']")
    ]


def test_a_tree_has_bounded_size_and_macros_nest_three_deep() -> None:
    wide = f"cart.items in [{', '.join(map(str, range(MAX_NODES)))}]"
    assert complaints(wide)[0][:2] == (
        "too-complex",
        f"expected at most {MAX_NODES} names, literals and operators, got {MAX_NODES + 4}",
    )
    deep = "[1].all(a, [1].all(b, [1].all(c, {})))"
    assert complaints(deep.format("true")) == []
    assert complaints(deep.format("[1].all(d, true)"))[0][0] == "too-complex"


TEXTS = st.lists(
    st.sampled_from(
        ["geo.country", "interest", "segments", "now", "x", "1", "2.0", "'a'", "null", "[1]", "{}",
         "==", "<", "in", "&&", "!", "+", "-", "(", ")", "?", ":", ".size()", "[0]", ".a",
         "has(interest.a)", ".exists(x, true)", "duration('1m')", "int(", "1u"]
    ),
    min_size=1,
    max_size=9,
).map(" ".join)  # fmt: skip


@settings(max_examples=400)
@given(TEXTS)
def test_what_parses_is_checked_without_an_exception_and_stays_encodable(text: str) -> None:
    try:
        expr = parse(text)
    except RuleSyntaxError:
        return
    made, errors = problems(expr, text, SCHEMA, "")
    assert (made is None) == bool(errors)
    if made is not None:
        encoded = msgspec.msgpack.encode(made)
        assert msgspec.msgpack.decode(encoded, type=Typed) == made
        compile_expr(made.expr, SCHEMA)

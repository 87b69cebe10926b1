"""Evaluation: absorbed errors, absence, sets, macros, facts flat and nested, grants."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Set
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.consent import PERSONALIZATION, SENSITIVE
from decisions.errors import EvaluationError, RuleSyntaxError
from decisions.rules.checker import check
from decisions.rules.evaluator import compile_expr, evaluate
from decisions.rules.parser import parse
from decisions.rules.syntax import Attr, Binary, Call, Expr, Literal, Select
from decisions.rules.values import ABSENT, Duration, Timestamp
from decisions.schema import Attribute, schema_of

SCHEMA = schema_of(
    [Attribute("traits.score", "double"), Attribute("traits.gap", "duration")],
    members={"segments": {"loyal": PERSONALIZATION, "parent": PERSONALIZATION | SENSITIVE}},
    sensitive={"category": ["baby"]},
)
FACTS: dict[str, Any] = {
    "geo.country": "FR",
    "geo.city": ABSENT,
    "segments": frozenset({"loyal"}),
    "interest": {"shoes": 62},
    "session.views": {"shoes": 6, "pet": 1},
    "counts": {"article_read": 3},
    "cart.items": 2,
    "cart.updated_at": 1_794_999_000.0,
    "now": 1_795_000_000.0,
    "traits.gap": 900.0,
    "traits.score": 1,
}


class Granted(dict[str, Any]):
    """Facts that know what was granted."""

    def __init__(self, grants: int, **values: Any) -> None:
        super().__init__(FACTS | values)
        self.grants = grants


def rule(text: str, facts: dict[str, Any] | None = None, want: str = "bool") -> Any:
    typed = check(parse(text), text, SCHEMA, want)
    return compile_expr(typed.expr, SCHEMA)(FACTS if facts is None else facts)


def failure(text: str, facts: dict[str, Any] | None = None) -> EvaluationError:
    with pytest.raises(EvaluationError) as caught:
        rule(text, facts)
    return caught.value


TRUE = [
    'geo.country == "FR" && "loyal" in segments && interest["shoes"] >= 40',
    'geo.country in ["DE", "FR"] && geo.country != "DE"',
    '!("dormant" in interest)',
    'has(geo.country) && !has(geo.city) && has(interest.shoes) && "shoes" in interest',
    'now - cart.updated_at >= duration("15m") && now - cart.updated_at > traits.gap',
    "session.views.exists(c, session.views[c] > 5) && session.views.exists_one(c, true) == false",
    'session.views.filter(c, session.views[c] > 5) == ["shoes"]',
    "interest.all(k, session.views.exists(v, v == k && interest[k] > 60.0))",
    'segments.map(s, s != "x", s + "!") == ["loyal!"]',
    "counts.article_read >= 3 && counts.never == 0 && counts[geo.country] == 0",
    "traits.score + 1.0 == 2.0 && interest.shoes + 0.5 == 62.5",
    'size(segments) == 1 && geo.country.startsWith("F") && geo.country.matches("^[A-Z]{2}$")',
    'cart.items > 1 ? true : geo.city == "Paris"',
    'geo.city == "Paris" || cart.items == 2',
    '!(geo.city == "Paris" && cart.items == 3)',
    '[geo.country] + ["x"] == ["FR", "x"] && {"a": cart.items}["a"] == 2',
    '{"a": {"b": cart.items}}.a.b == 2 && [{"k": 1}].exists(m, m.k == 1 && !has(m.j))',
    "geo.country.matches(geo.country) && 2 in [1, cart.items]",
    "-cart.items == -2 && !(cart.items > 2)",
]


@pytest.mark.parametrize("text", TRUE)
def test_this_rule_holds(text: str) -> None:
    assert rule(text) is True


ABSENCES = {
    'geo.city == "Paris"': "geo.city",
    '!(geo.city == "Paris")': "geo.city",
    'geo.city == "Paris" && cart.items == 2': "geo.city",
    'geo.city == "Paris" || locale == "fr"': "geo.city",
    "interest.hats > 1.0": 'interest["hats"]',
    "interest[geo.country] > 1.0": 'interest["FR"]',
    "cart.value > 1.0": "cart.value",
    "session.views.all(c, interest[c] > 0.0)": 'interest["pet"]',
    'session.views.exists_one(c, c == "shoes" && geo.city == c)': "geo.city",
    '{"a": 1}.b == 1 || geo.country == "XX"': '["b"]',
}


@pytest.mark.parametrize(("text", "name"), ABSENCES.items())
def test_the_error_names_what_was_absent(text: str, name: str) -> None:
    assert failure(text).absent == name


def test_what_is_wrong_with_facts_is_an_error_and_not_an_exception_of_pythons() -> None:
    assert "> of (string, int)" in str(failure("cart.items > 1", {"cart.items": "2"}))
    assert failure("cart.items > 1", {"cart.items": "2"}).absent == ""
    assert "finite" in str(failure("now > now", {"now": float("nan")}))
    with pytest.raises(EvaluationError, match="bool has no field"):
        evaluate("has(a.b)", {"a": True})


def test_a_member_or_key_that_is_not_granted_is_no_answer() -> None:
    little, much = Granted(PERSONALIZATION), Granted(PERSONALIZATION | SENSITIVE)
    for text in (
        '!("parent" in segments)',
        '!("baby" in interest)',
        "!has(session.views.baby)",
        '!session.views.exists(c, c + "x" == "shoesx" && "parent" in segments)',
    ):
        assert rule(text, much) is True
        assert "not granted" in str(failure(text, little))
    assert rule('"loyal" in segments && !("dormant" in tags)', Granted(4, tags=frozenset()))
    assert rule("!has(geo.city)", Granted(0)) is True
    assert failure("!has(cart.value)", Granted(0)).absent == "cart.value"
    assert rule("counts.never == 0", little) is True
    assert failure("counts.never == 0", Granted(0)).absent == 'counts["never"]'


def test_a_tree_without_a_schema_is_plain() -> None:
    attr = Attr("counts", "map<int>")
    for expr in (Binary("in", Literal("a"), attr), Select(attr, "a", test=True)):
        assert compile_expr(expr)({"counts": {}}) is False
    present = Call("has", None, (Attr("geo.city", "string"),))
    assert compile_expr(present)(FACTS) is False
    with pytest.raises(EvaluationError):
        compile_expr(parse('counts["a"]'))({"counts": {}})


NESTED: dict[str, Any] = {
    "geo": {"country": "FR"},
    "segments": {"loyal"},
    "interest": {"shoes": 62.0},
    "cart": {"items": 2},
    "a.b": {"c": 1},
    "rows": [3, 4],
    "pair": (1, 2),
    "at": datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC),
}
PLAIN = {
    '"loyal" in segments && interest["shoes"] >= 40': True,
    "has(geo.country) && !has(geo.city)": True,
    "a.b.c + .a.b.c": 2,
    "[1].map(a, a)": [1],
    "[1].map(a, .cart.items)": [2],
    "at.getFullYear()": 2026,
    "rows[1] + pair[0] + rows[0.0 < 1.0 ? 0 : 1]": 8,
    "rows[1.0]": 4,
    "segments == ['loyal'] && segments[0] == 'loyal'": True,
    "[true, 1, 'a'].filter(x, x == 1)": [1],
    "{'a': 1, 'b': [2]}": {"a": 1, "b": [2]},
    "{1: 'a', true: 'b'}[1.0]": "a",
    "geo.country == string('FR') && 'FR' in [geo.country]": True,
    "[1, 2].exists(x, [x].all(y, y == x && y > 1))": True,
    "[[1], [2]].map(x, x.map(x, x + 1))": [[2], [3]],
    "[{'k': {'j': 5}}].map(m, m.k.j)": [5],
    "true || nobody.knows": True,
    "[1, 2].all(x, x == 1 || nobody)": None,
    "1 && false": False,
    "(1 && true) || true": True,
    "[1].exists(x, x)": None,
    "[1].all(x, x)": None,
    "[1].filter(x, x)": None,
    "[1, 2].exists(x, x == 2 || x)": True,
    "1 ? 2 : 3": None,
    "nobody": None,
    "geo.city": None,
    "geo.country.x": None,
    "[1].map(x, x.y)": None,
    "rows['0']": None,
    "rows[-1]": None,
    "rows[2]": None,
    "rows[true]": None,
    "rows[0.5]": None,
    "cart.items[0]": None,
    "1.all(x, true)": None,
    "1 in 2": None,
    "1u": None,
    "b'a'": None,
    "type(1)": None,
    "dyn(1)": None,
    "geo{country: 1}": None,
    "geo.lowerAscii()": None,
    "'a'.matches('(')": None,
    "'a'.matches(1)": None,
    "size(1, 2)": None,
}


@pytest.mark.parametrize(("text", "wanted"), PLAIN.items())
def test_plain_cel_over_nested_facts(text: str, wanted: object) -> None:
    if wanted is None:
        with pytest.raises(EvaluationError):
            evaluate(text, NESTED)
    else:
        assert evaluate(text, NESTED) == wanted


def test_a_key_that_is_not_there_is_named_whole() -> None:
    with pytest.raises(EvaluationError) as caught:
        evaluate('interest["hats"]', NESTED)
    assert caught.value.absent == 'interest["hats"]'


def test_a_result_belongs_to_the_caller() -> None:
    evaluate("[1, 2]", {}).append(3)
    assert evaluate("[1, 2]", {}) == [1, 2]


def test_text_that_is_no_cel_is_a_syntax_error() -> None:
    with pytest.raises(RuleSyntaxError):
        evaluate("1 +", {})


def test_time_is_cels() -> None:
    assert rule("now", want="timestamp") == Timestamp.of_seconds(1_795_000_000.0)


WORDS = st.sampled_from(["true", "false", "missing", "1/0 == 1", "x", "'word'", "n > 2", "x == n"])
OUTCOME = st.one_of(st.booleans(), st.none())


@st.composite
def conditions(draw: st.DrawFn, depth: int = 3) -> str:
    if depth == 0 or draw(st.booleans()):
        return draw(WORDS)
    left, right = draw(conditions(depth - 1)), draw(conditions(depth - 1))
    form = draw(st.sampled_from(["({} && {})", "({} || {})", "!({})", "[{}, {}].all(b, b)"]))
    return form.format(left, right)


def outcome(text: str, facts: dict[str, Any]) -> object:
    """The value, or the word "error"."""
    try:
        return evaluate(text, facts)
    except EvaluationError:
        return "error"


SOME_FACTS = st.fixed_dictionaries({"x": st.booleans(), "n": st.integers(0, 5)})


@settings(max_examples=200)
@given(conditions(), conditions(), SOME_FACTS)
def test_de_morgan_holds_with_errors(left: str, right: str, facts: dict[str, Any]) -> None:
    assert outcome(f"!(({left}) && ({right}))", facts) == outcome(f"!({left}) || !({right})", facts)
    assert outcome(f"!(({left}) || ({right}))", facts) == outcome(f"!({left}) && !({right})", facts)


@settings(max_examples=200)
@given(st.lists(conditions(1), min_size=1, max_size=6), SOME_FACTS, st.randoms())
def test_the_order_of_a_chain_settles_nothing(
    terms: list[str], facts: dict[str, Any], random: Any
) -> None:
    shuffled = random.sample(terms, len(terms))
    for op in (" && ", " || "):
        written = outcome(op.join(f"({term})" for term in terms), facts)
        assert outcome(op.join(f"({term})" for term in shuffled), facts) == written
        quantifier = "all" if op == " && " else "exists"
        indices = ", ".join(map(str, range(len(terms))))
        choice = "".join(f"i == {place} ? ({term}) : " for place, term in enumerate(terms))
        assert outcome(f"[{indices}].{quantifier}(i, {choice}true)", facts) == written or (
            "'word'" in terms
        )


@settings(max_examples=100)
@given(conditions(), SOME_FACTS, st.frozensets(st.text(max_size=3), max_size=5))
def test_the_same_facts_give_the_same_answer(
    text: str, facts: dict[str, Any], words: frozenset[str]
) -> None:
    run = compile_expr(parse(f"[{text}].map(b, words.map(w, w))"))

    def answer() -> object:
        try:
            return run(facts | {"words": frozenset(list(words))})
        except EvaluationError as error:
            return str(error)

    assert answer() == answer()


ODD: dict[str, Any] = {
    "a": {"b": [1, {"c": None}], 1: object(), False: "\ud800"},
    "s": {1, "x", None, 2.5},
    "n": float("nan"),
    "i": float("inf"),
    "big": 10**400,
    "half": "\ud800",
    "t": datetime.datetime.max,
    "d": datetime.timedelta.max,
    "o": object(),
    "z": ABSENT,
}
SIGNS = [
    "1",
    "2.0",
    "'x'",
    "null",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    ",",
    ":",
    "?",
    "+",
    "-",
    "*",
    "/",
    "%",
    "==",
    "<",
    "in",
    "&&",
    "||",
    "!",
    "a.b",
    "[0]",
    "has(a.b)",
]
CALLS = [
    ".size()",
    ".matches(half)",
    ".map(x,x)",
    "string(",
    "int(",
    "timestamp(",
    "duration(",
    ".getHours(",
]
FORMS = [
    *("string({})", "int({})", "double({})", "timestamp({})", "duration({})", "size({})", "-{}"),
    *("{}.matches('a')", "'a'.matches({})", "{0} == {0}", "{0} < {0}", "{0} + {0}", "{} in s"),
    *("{}.all(x, x)", "{}.map(x, x)", "{}[0]", "{}[i]", "a[{}]", "s[{}]", "{{{}: 1}}", "t - {}"),
]
CEL = (type(None), bool, int, float, str, list, tuple, Mapping, Set, Timestamp, Duration)
VALUES = (*CEL, *{type(value) for value in ODD.values()})  # what came in may come out
PIECES = st.sampled_from([*ODD, *SIGNS, *CALLS])


@settings(max_examples=600)
@given(st.lists(PIECES, min_size=1, max_size=8).map(" ".join))
def test_whatever_the_facts_are_an_error_is_cels(text: str) -> None:
    try:
        assert isinstance(evaluate(text, ODD), VALUES)
    except (RuleSyntaxError, EvaluationError):
        return


@pytest.mark.parametrize("name", ["a", "s", "n", "i", "big", "half", "t", "d", "o"])
@pytest.mark.parametrize("form", FORMS)
def test_no_value_of_pythons_breaks_an_operation(form: str, name: str) -> None:
    try:
        assert isinstance(evaluate(form.format(name), ODD), VALUES)
    except EvaluationError:
        return


def test_a_macros_variable_hides_nothing_of_an_attribute() -> None:
    expr: Expr = parse("[1, 2].exists(interest, interest == 2)")
    assert compile_expr(expr)(FACTS) is True

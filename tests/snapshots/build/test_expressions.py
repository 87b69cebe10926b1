"""Compiled columns beside the evaluator, which is the truth: same rows, same answers."""

from __future__ import annotations

from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from decisions.errors import EvaluationError, RuleTypeError
from decisions.features import feature_schema
from decisions.playbook import AttributeDecl, Settings, SlotDecl
from decisions.rules.checker import Typed, problems
from decisions.rules.evaluator import compile_expr
from decisions.rules.functions import METHODS
from decisions.rules.parser import parse
from decisions.rules.syntax import Call, Literal
from decisions.rules.values import Duration, Timestamp
from snapshots.build.expressions import compile_column
from snapshots.build.features import column_of
from snapshots.build.segments import keys_of

CATEGORIES = ("cat", "dog", "owl")
NOW_S = 1_514_764_800.0
SCHEMA = feature_schema(
    Settings(
        "shop",
        {"hero": SlotDecl("hero")},
        attributes={
            "traits.word": AttributeDecl("string"),
            "traits.other": AttributeDecl("string"),
            "traits.yes": AttributeDecl("bool"),
            "scores.x": AttributeDecl("double"),
            "traits.bag": AttributeDecl("set"),
        },
    ),
    {"category": CATEGORIES},
)
# Lengths beyond CEL's 292 years are no errors in SQL; no two purchases are that far apart.
ROWS: list[dict[str, Any]] = [
    {
        "now": NOW_S,
        "purchases.last_at": NOW_S - age if age is not None else None,
        "traits.word": word,
        "traits.other": other,
        "traits.yes": yes,
        "scores.x": x,
        "orders_90d/cat": n,
        "orders_90d/dog": None if n == 2 else 3,
        "spend_90d/cat": spend,
        "spend_90d/dog": 7.25 if n else None,
        "purchases.orders/30d": n,
    }
    for age, word, other, yes, x, n, spend in [
        (0.0, "éclair", "a", True, 0.5, 0, 0.0),
        (86_400.25, "", "ab", False, -1.5, 1, 12.5),
        (40 * 86_400.0, None, "éclair", None, None, 2, None),
        (None, "ab", None, True, 0.0, None, 99.99),
        (1.0625, "a\nb", "b", False, 1e300, 7, 7.25),
        (4e7, "A.b", "A.b", True, -0.0, 9, 0.01),
    ]
]
COLUMNS = {
    "now": pa.int64(),
    "purchases.last_at": pa.int64(),
    "traits.word": pa.string(),
    "traits.other": pa.string(),
    "traits.yes": pa.bool_(),
    "scores.x": pa.float64(),
    "orders_90d/cat": pa.int64(),
    "orders_90d/dog": pa.int64(),
    "spend_90d/cat": pa.float64(),
    "spend_90d/dog": pa.float64(),
    "purchases.orders/30d": pa.int64(),
}
MOMENTS = ("now", "purchases.last_at")


def stored(name: str, value: Any) -> Any:
    return round(value * 1_000_000) if name in MOMENTS and value is not None else value


TABLE = pa.table(
    {
        name: pa.array([stored(name, row[name]) for row in ROWS], type_)
        for name, type_ in COLUMNS.items()
    }
)


@pytest.fixture(scope="module")
def connection() -> Any:
    connection = ibis.duckdb.connect(threads=1)
    connection.create_table("rows", ibis.memtable(TABLE))
    yield connection
    connection.disconnect()


def typed(text: str, want: str = "") -> Typed:
    checked, errors = problems(parse(text), text, SCHEMA, want)
    if checked is None:
        raise errors[0]
    return checked


def computed(connection: Any, text: str) -> list[Any]:
    table = connection.table("rows")

    def look(name: str, key: str | None) -> Any:
        column = column_of(name, key)
        return table[column] if column in table.columns else None

    found = compile_column(
        typed(text).expr, text, look, lambda name: keys_of(SCHEMA, name, CATEGORIES)
    )
    return list(table.select(__value=found.value).to_pyarrow()["__value"].to_pylist())


def facts_of(row: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {"orders_90d": {}, "spend_90d": {}, "purchases.orders": {}}
    facts |= {f"{m}_{w}": {} for m in ("lines",) for w in ("90d",)}
    for column, value in row.items():
        name, _, key = column.partition("/")
        if value is None:
            continue
        if key:
            facts[name][key] = value
        else:
            facts[name] = value
    return facts


def expected(text: str) -> list[Any]:
    run = compile_expr(typed(text).expr, SCHEMA)
    values: list[Any] = []
    for row in ROWS:
        try:
            value = run(facts_of(row))
        except EvaluationError:
            value = None
        values.append(value.ns // 1_000 if isinstance(value, Timestamp | Duration) else value)
    return values


def spelt(values: list[Any]) -> list[str]:
    """Values that can be compared: NaN is itself, and 1 is neither 1.0 nor true."""
    return [repr(value) for value in values]


PARTS = [name for name in METHODS if name.startswith("get") and name != "getMilliseconds"]
INTS: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        st.sampled_from(
            [
                *["0", "1", "2", "-3", "7", "orders_90d.dog", 'orders_90d["owl"]'],
                *['orders_90d["cat"]', 'purchases.orders["30d"]', 'purchases.orders["7d"]'],
            ]
        ),
        st.builds("({} {} {})".format, INTS, st.sampled_from(["+", "-", "*", "/", "%"]), INTS),
        st.builds("(-{})".format, INTS),
        st.builds("int({})".format, DOUBLES),
        st.builds("size({})".format, STRINGS),
        st.builds("({} ? {} : {})".format, BOOLS, INTS, INTS),
        st.builds(
            "{}.{}()".format,
            st.sampled_from(["now", "purchases.last_at"]),
            st.sampled_from(PARTS),
        ),
        st.builds("{}.{}()".format, LENGTHS, st.sampled_from(["getHours", "getMinutes"])),
    )
)
DOUBLES: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        st.sampled_from(["0.0", "1.5", "-2.25", "1e300", 'spend_90d["cat"]', "spend_90d.dog"]),
        st.sampled_from(["scores.x", 'spend_90d["owl"]']),
        st.builds("({} {} {})".format, DOUBLES, st.sampled_from(["+", "-", "*", "/"]), DOUBLES),
        st.builds("(-{})".format, DOUBLES),
        st.builds("double({})".format, INTS),
    )
)
STRINGS: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        st.sampled_from(['"a"', '""', '"éclair"', "traits.word", "traits.other"]),
        st.builds("({} + {})".format, STRINGS, STRINGS),
        st.builds("string({})".format, st.sampled_from(["orders_90d.cat", "traits.yes"])),
    )
)
MOMENT: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        st.sampled_from(["now", "purchases.last_at", 'timestamp("2017-12-31T00:00:00Z")']),
        st.builds("({} {} {})".format, MOMENT, st.sampled_from(["+", "-"]), LENGTHS),
    )
)
LENGTHS: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        st.sampled_from(['duration("720h")', 'duration("1.5s")', 'duration("-10m")']),
        st.builds("({} - {})".format, MOMENT, MOMENT),
    )
)
COMPARE = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
BOOLS: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        st.sampled_from(["true", "traits.yes", "has(traits.word)", "has(purchases.last_at)"]),
        st.sampled_from(['"cat" in spend_90d', "has(orders_90d.dog)", '"owl" in orders_90d']),
        st.builds("({} {} {})".format, INTS, COMPARE, INTS),
        st.builds("({} {} {})".format, DOUBLES, COMPARE, DOUBLES),
        st.builds("(orders_90d.cat {} {})".format, COMPARE, DOUBLES),
        st.builds("({} {} {})".format, STRINGS, COMPARE, STRINGS),
        st.builds("({} {} {})".format, MOMENT, COMPARE, MOMENT),
        st.builds("({} {} {})".format, LENGTHS, COMPARE, LENGTHS),
        st.builds("({} {} {})".format, BOOLS, st.sampled_from(["&&", "||"]), BOOLS),
        st.builds("(!{})".format, BOOLS),
        st.builds("({} in [{}, {}])".format, STRINGS, STRINGS, STRINGS),
        st.builds("({} in [{}, 2])".format, INTS, INTS),
        st.builds(
            "{}.{}({})".format,
            STRINGS,
            st.sampled_from(["startsWith", "endsWith", "contains"]),
            STRINGS,
        ),
        st.builds("{}.matches({})".format, STRINGS, st.sampled_from(['"a.b"', '"^é"', '"[ab]$"'])),
        st.builds("({} ? {} : {})".format, BOOLS, BOOLS, BOOLS),
        st.builds(
            '["cat", "dog"].{}(c, orders_90d[c] > {})'.format,
            st.sampled_from(["all", "exists", "exists_one"]),
            INTS,
        ),
        st.builds(
            "spend_90d.{}(c, spend_90d[c] {} {} || c == {})".format,
            st.sampled_from(["all", "exists", "exists_one"]),
            COMPARE,
            DOUBLES,
            STRINGS,
        ),
    )
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(text=st.one_of(BOOLS, INTS, DOUBLES, STRINGS, MOMENT, LENGTHS))
def test_a_compiled_column_agrees_with_the_evaluator_row_by_row(connection: Any, text: str) -> None:
    assume(len(text) < 400)
    try:
        typed(text)
    except RuleTypeError:
        assume(False)
    assert spelt(computed(connection, text)) == spelt(expected(text))


@pytest.mark.parametrize(
    "text",
    [
        "9223372036854775807 + orders_90d.cat",
        "-9223372036854775807 - orders_90d.cat * 9223372036854775807",
        "orders_90d.cat / (orders_90d.cat - 1) > 0",
        "orders_90d.cat % (orders_90d.cat - 1) > 0",
        "int(scores.x) == 0",
        "int(now) > 0",
        "timestamp(orders_90d.cat) < now",
        "scores.x / 0.0 == scores.x / 0.0",
        "scores.x / 0.0 != 1.0",
        "!(spend_90d.cat / 0.0 > 1.0)",
        "scores.x * 1e300 * 1e300 > 1.0",
        'duration(purchases.last_at - now) < duration("1s")',
        "bool(traits.yes) || string(traits.word) == string(traits.yes)",
        "double(scores.x) < 1.0 && int(orders_90d.cat) >= 0",
        "timestamp(purchases.last_at) == now",
        "(purchases.last_at - now).getSeconds() < 0",
    ],
)
def test_overflows_zero_divisors_and_nan_are_what_cel_says(connection: Any, text: str) -> None:
    assert spelt(computed(connection, text)) == spelt(expected(text))


@pytest.mark.parametrize(
    ("text", "what", "span"),
    [
        ("spend_90d[traits.word] > 1.0", "a key that is not written out", "traits.word"),
        ("size(spend_90d) > 1", "spend_90d as a whole", "spend_90d"),
        ("string(scores.x) == '1'", "string of (double)", "string(scores.x)"),
        ("'a'.matches(traits.word)", "matches of (string, string)", "'a'.matches(traits.word)"),
        ("'a' in traits.bag", "a look into this", "'a' in traits.bag"),
        ("[1, 2][0] == orders_90d.cat", "an index into this", "[1, 2][0]"),
        ("size([1, 2].map(x, x)) == 2", "map()", "[1, 2].map(x, x)"),
        ("[traits.word].exists(x, x == 'a')", "a macro over what is not", "[traits.word]"),
        ("{'a': 1}.exists(x, x == 'a')", "a macro over what is not", "{'a': 1}"),
        ("{'a': 1} == {'a': 1} && traits.yes", "this", "{'a': 1}"),
        ("now - purchases.last_at > duration('1ns')", "finer than a micro", "duration('1ns')"),
        ("traits.bag == traits.bag", "traits.bag as a whole", "traits.bag"),
        ("now.getHours('Europe/Paris') > 3", "getHours of", "now.getHours('Europe/Paris')"),
        ("null == null || traits.yes", "null", "null"),
        ("int('x' + 'y') == 1 || traits.yes", "int of (string)", "int('x' + 'y')"),
        ("traits.word.exists(x, true) || true", "", ""),
        ("[1].exists(x, spend_90d[string(x)] > 1.0)", "a key that is not written", "string(x)"),
    ],
)
def test_what_cannot_be_a_column_is_refused_with_a_caret(
    connection: Any, text: str, what: str, span: str
) -> None:
    with pytest.raises(RuleTypeError) as caught:
        computed(connection, text)
    assert what in caught.value.what
    if span:
        start, length = caught.value.start, caught.value.length
        assert text[start : start + length] == span
        assert caught.value.code == "not-compiled"


def test_a_constant_that_is_an_error_is_refused(connection: Any) -> None:
    expr = Call("duration", None, (Literal("soon", (9, 15)),), (0, 16))
    with pytest.raises(RuleTypeError, match="expected a duration"):
        compile_column(expr, 'duration("soon")', lambda name, key: None, lambda name: ())


def test_what_no_row_has_is_absent_or_zero(connection: Any) -> None:
    assert computed(connection, 'orders_7d["cat"] == 0 && !("cat" in orders_7d)') == [True] * 6
    assert computed(connection, "has(purchases.first_at)") == [False] * 6
    assert computed(connection, "purchases.first_at < now") == [None] * 6
    assert (
        computed(connection, "orders_7d.exists(c, true) || orders_7d.all(c, false)") == [True] * 6
    )

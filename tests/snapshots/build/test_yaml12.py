from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.errors import Position
from snapshots.build import yaml12
from snapshots.build.scaffold import FILES
from snapshots.build.yaml12 import Document, load
from tests.damage import damaged, within


def read(text: str) -> Any:
    document = load(text, "x.yaml")
    assert document.problems == ()
    return document.value


def told(text: str) -> list[str]:
    return [str(problem) for problem in load(text, "x.yaml").problems]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *[(word, word) for word in ("on", "off", "yes", "NO", "y", "=", "2026-01-01")],
        *[(word, word) for word in ("1_000", "12:30:45", "0b1", "1e", ".", "+", "tRue")],
        *[(word, word) for word in ("0o8", "-.nan", "+.5.", "0x", "1.2.3")],
        *[(word, None) for word in ("", "~", "null", "Null", "NULL")],
        *[(word, True) for word in ("true", "True", "TRUE")],
        *[(word, False) for word in ("false", "False", "FALSE")],
        *[("12", 12), ("-0", 0), ("+3", 3), ("012", 12), ("0o17", 15), ("0xfF", 255)],
        *[("1.5", 1.5), ("-.5", -0.5), ("1.", 1.0), ("1e3", 1000.0), ("+1.5E-1", 0.15)],
        *[(".inf", math.inf), ("-.INF", -math.inf), ("+.Inf", math.inf)],
        *[("'12'", "12"), ('"true"', "true"), ("'it''s'", "it's"), ('"a\\nb"', "a\nb")],
        ("9" * 200, "9" * 200),
    ],
)
def test_scalars_are_read_by_the_core_schema(written: str, value: Any) -> None:
    found = read(f"a: {written}")["a"]
    assert found == value
    assert type(found) is type(value)


def test_not_a_number_is_one_too() -> None:
    assert math.isnan(read("[.nan]")[0])


def test_keys_are_always_text() -> None:
    assert read("{on: 1, 2: 3, true: 4, ~: 5, '<<': 6}") == {
        "on": 1, "2": 3, "true": 4, "~": 5, "<<": 6,
    }  # fmt: skip


def test_an_empty_file_is_nothing() -> None:
    assert read("") is None
    assert read("# only a comment\n") is None


TEXT = """\
rules:
  - id: one
    when: 'a > 1'
    with: {cta: "Go", n: 2}
  - |
    first
     second
  - >-

    folded
    text
"""


def test_every_value_has_the_place_where_its_text_begins() -> None:
    document = load(TEXT, "x.yaml")
    places = {path: (at.line, at.column) for path, at in document.places.items()}
    assert places == {
        (): (1, 1),
        ("rules",): (1, 1),  # of its key: where a list or map is missed or misread
        ("rules", 0): (2, 5),
        ("rules", 0, "id"): (2, 9),
        ("rules", 0, "when"): (3, 12),
        ("rules", 0, "with"): (4, 5),
        ("rules", 0, "with", "cta"): (4, 18),
        ("rules", 0, "with", "n"): (4, 26),
        ("rules", 1): (6, 5),
        ("rules", 2): (9, 5),  # the blank line is the first of its text
    }
    assert document.keys[("rules", 0, "when")] == Position("x.yaml", 3, 5)
    assert document.where(("rules", 0, "none", 3)) == Position("x.yaml", 2, 5)
    assert document.written[("rules", 0, "with", "n")] == "2"
    assert document.value["rules"][1:] == ["first\n second\n", "\nfolded text"]


def test_a_block_without_text_begins_at_its_mark() -> None:
    assert load("a: |\n", "x.yaml").places[("a",)] == Position("x.yaml", 1, 4)


def test_a_document_that_was_not_read_has_its_first_place() -> None:
    assert Document("x.yaml", ()).where(("a", 1)) == Position("x.yaml")
    assert yaml12.problem_on((), "c", "m", Position("x.yaml", 3, 9)).text == ""


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", (3, 1), "duplicate key a, first at line 1, column 1"),
        ("a: !!int x", (1, 4), "expected a plain value, got the tag tag:yaml.org,2002:int"),
        ("a: !!python/name:os x", (1, 4), "expected a plain value, got the tag tag:yaml.org,"),
        ("a: ! x", (1, 4), "expected a plain value, got the tag !"),
        ("c:\n  <<: {d: 2}", (2, 3), "expected a key, got a merge key: write it out"),
        ("? [a]\n: 1", (1, 3), "expected text as a key, got a list or map"),
        ("a: &x [*x]", (1, 4), "expected a value, got an alias to what it is in"),
        ("a: *x", (1, 4), "found undefined alias 'x'"),
        ("a: b: c", (1, 5), "mapping values are not allowed here"),
        ("a: 1\n---\nb: 2", (2, 1), "expected a single document in the stream but found"),
        ("a: 'b", (1, 6), "while scanning a quoted scalar found unexpected end of stream"),
        ("ab\nc\x07d", (2, 2), "expected text, got the character U+0007"),
    ],
)
def test_what_is_refused_is_told_at_its_place(text: str, at: tuple[int, int], message: str) -> None:
    (problem,) = load(text, "x.yaml").problems
    assert problem.message.startswith(message)
    assert problem.at == Position("x.yaml", *at)


def test_a_problem_shows_its_line_with_a_caret() -> None:
    assert told("a: {b: 1}\nc:\n  <<: {d: 2}") == [
        "x.yaml:3:3: error: expected a key, got a merge key: write it out [merge-key]\n"
        "    <<: {d: 2}\n"
        "    ^^"
    ]


def test_every_duplicate_is_told_and_the_first_value_stays() -> None:
    document = load("a: {b: 1, b: 2}\na: 3\n", "x.yaml")
    assert [problem.at.line for problem in document.problems] == [1, 2]
    assert document.value == {"a": {"b": 1}}


def test_aliases_are_followed() -> None:
    assert read("a: &x [1, {b: 2}]\nc: *x\nd: [*x]") == {
        "a": [1, {"b": 2}], "c": [1, {"b": 2}], "d": [[1, {"b": 2}]],
    }  # fmt: skip


def test_aliases_cannot_make_a_small_file_a_large_value() -> None:
    bomb = "a0: &a0 [x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
    )
    (problem,) = load(bomb, "x.yaml").problems
    assert problem.message == "expected at most 200000 values once aliases are followed"


def test_depth_is_bounded() -> None:
    (problem,) = load("[" * 5000, "x.yaml").problems
    assert problem.message == "expected at most 40 lists and maps in one another"


def test_an_error_without_a_place_is_at_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(text: str) -> None:
        raise yaml.MarkedYAMLError(problem="no idea")

    monkeypatch.setattr(yaml12, "_Loader", fail)
    (problem,) = load("a", "x.yaml").problems
    assert (problem.message, problem.at) == ("no idea", Position("x.yaml"))


SCALARS = st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text()
JSON = st.recursive(
    SCALARS | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_what_another_library_writes_in_quotes_is_read_back(value: Any) -> None:
    text = yaml.safe_dump(value, default_style='"', allow_unicode=False)
    if "!!" not in text:  # PyYAML marks quoted values that are no text with tags
        assert load(text, "x.yaml").value == value


@given(damaged(*(text.encode() for text in FILES.values())) | st.binary(max_size=200))
@settings(max_examples=200)
def test_a_damaged_file_is_read_or_refused_in_time(raw: bytes) -> None:
    with within(2.0):
        document = load(raw.decode("utf-8", "replace"), "x.yaml")
    assert document.problems or document.value is None or document.where(()).file == "x.yaml"


@given(st.text(alphabet="ab:-{}[]&*!|>'\"#%@`,? \n\t~<.1\u2028", max_size=40))
def test_any_text_is_read_or_refused_with_a_place_inside_it(text: str) -> None:
    document = load(text, "x.yaml")
    for problem in document.problems:
        assert problem.at.line <= len(text.splitlines()) + 1
        assert problem.start <= len(problem.text)

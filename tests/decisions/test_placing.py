from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.errors import TemplateError
from decisions.placing import place
from decisions.templates import Template, parse

HOSTILE = """</p><script>alert(1)</script>"'`><!-- javascript:alert(1) //evil.example/ \\ &lt; on"""
SPEC = json.loads(
    (Path(__file__).parent.parent / "spec" / "placing.json").read_text(encoding="utf-8")
)


def placed(text: str, kind: str = "html", *allowed: str) -> tuple[Template, list[str]]:
    template, errors = place(parse(text, kind), text, allowed)
    return template, [f"{error.what} @{error.start}+{error.length}" for error in errors]


def accepted(text: str, kind: str = "html") -> Template:
    template, errors = placed(text, kind)
    assert errors == []
    return template


def refused(text: str, kind: str = "html") -> str:
    _, errors = placed(text, kind)
    assert errors, text
    return errors[0]


@pytest.mark.parametrize("case", SPEC["accepted"], ids=lambda case: case["text"])
def test_a_token_gets_the_escape_of_its_place(case: dict[str, str]) -> None:
    assert accepted(case["text"]).render({"a": "<\"'/"}) == case["expected"]


@pytest.mark.parametrize("text", SPEC["refused"])
def test_where_no_escape_is_safe_a_token_is_refused(text: str) -> None:
    assert refused(text)


@pytest.mark.parametrize("case", SPEC["messages"], ids=lambda case: case["text"])
def test_a_refusal_says_what_to_do_and_points_at_the_token(case: dict[str, str]) -> None:
    assert "".join(placed(case["text"])[1][:1]) == case["message"]


def test_every_misplaced_token_is_told_once() -> None:
    _, errors = placed("<b {{#x}}{{a}} {{/x}}{{b}}>{{c}}<script>{{d}}</script>")
    assert [error.rpartition(" ")[2] for error in errors] == ["@9+5", "@21+5", "@40+5"]
    assert len(placed("<b{{#x}} {{a}}{{/x}}>")[1]) == 1  # though the section is followed twice


def test_raw_html_is_for_attributes_that_are_declared_so() -> None:
    text = "<p>{{{bio}}} {{&bio}} {{#bio}}{{{.}}}{{/bio}}</p>"
    template, errors = placed(text, "html", "bio")
    assert errors == []
    assert template.render({"bio": "<b>x</b>"}) == "<p><b>x</b> <b>x</b> <b>x</b></p>"
    assert placed('<p title="{{{bio}}}">', "html", "bio")[1]
    assert placed("{{#name}}{{{.}}}{{/name}}", "html", "bio")[1]
    assert placed("{{#bio}}{{#.}}{{{.}}}{{/.}}{{/bio}}", "html", "bio")[1] == []


@pytest.mark.parametrize("case", SPEC["json_accepted"], ids=lambda case: case["text"])
def test_json_is_json_however_it_is_filled(case: dict[str, Any]) -> None:
    template = accepted(case["text"], "json")
    filled = template.render({"s": '"\\\n', "n": 3.0, "l": [1], "b": True})
    assert json.loads(filled) == case["expected"]


@pytest.mark.parametrize("case", SPEC["json_refused"], ids=lambda case: case["text"])
def test_what_might_be_no_json_is_refused_where_it_stops_to_be(case: dict[str, str]) -> None:
    assert refused(case["text"], "json") == case["message"]


def test_errors_are_template_errors_with_the_text() -> None:
    text = "<b\n {{a}}>"
    _, errors = place(parse(text), text)
    assert isinstance(errors[0], TemplateError)
    assert str(errors[0]).endswith("\n   {{a}}>\n   ^^^^^")


def test_text_of_a_partial_that_goes_wrong_is_pointed_at_within_the_fragment() -> None:
    text = "[1, {{> two}}]"
    _, errors = place(parse(text, "json", {"two": "2 3"}), text)
    assert [(error.what, error.start) for error in errors] == [("expected , or ], got 3", 6)]


# What holds for every template that is accepted


class Structure(HTMLParser):
    """Tags, attribute names and, for URLs, where they lead."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, [self.attribute(*pair) for pair in attrs]))

    def attribute(self, name: str, value: str | None) -> Any:
        if name != "href":
            return name
        url = urlsplit(urljoin("https://shop.example/x/", value or ""))
        return name, url.scheme, url.netloc

    def handle_endtag(self, tag: str) -> None:
        self.seen.append(f"/{tag}")

    def handle_comment(self, data: str) -> None:
        self.seen.append(f"!{data}")


def structure(text: str) -> list[Any]:
    parser = Structure()
    parser.feed(text)
    parser.close()
    return parser.seen


PIECES = st.sampled_from(
    [
        *("{{a}}", "{{b}}", "{{#a}}", "{{/a}}", "{{^b}}", "{{/b}}", "{{#c}}{{.}}{{/c}}"),
        *("<p>", "</p>", "<b ", "<a", ">", " ", "title=", '"', "'", ' class="', " onclick='"),
        *(' href="', "/", "?", "#", "//", "https://x.example", "javascript:", "&", "=", "x"),
        *("<!--", "-->", "<script>", "</script>"),  # html.parser knows no <title>, nor <!-->
    ]
)
VALUES = st.sampled_from(
    [HOSTILE, "javascript:alert(1)", "//evil.example", "/", '"', "'><b>", "..", "x"]
)


@given(st.lists(PIECES, max_size=14).map("".join), VALUES, VALUES, st.lists(VALUES, max_size=3))
def test_no_value_changes_the_structure_of_an_accepted_template(
    text: str, a: str, b: str, c: list[str]
) -> None:
    try:
        template, errors = placed(text)
    except TemplateError:
        return
    if errors or "<!-->" in text:
        return
    harmless = template.render({"a": "x", "b": "x", "c": ["x"] * len(c)})
    assert structure(template.render({"a": a, "b": b, "c": c})) == structure(harmless)


JSON_PIECES = st.sampled_from(
    [
        *("{{a}}", "{{b}}", "{{#a}}", "{{/a}}", "{{^b}}", "{{/b}}", "{{#c}}", "{{.}}", "{{/c}}"),
        *('"', '"k": ', "{", "}", "[", "]", ",", ", ", "1", "null", "x", "\\n", '"y"', " "),
    ]
)
JSON_VALUES = st.none() | st.text(max_size=4) | st.floats() | st.booleans() | st.integers()


@given(
    st.lists(JSON_PIECES, max_size=12).map("".join),
    JSON_VALUES,
    JSON_VALUES,
    st.lists(JSON_VALUES, max_size=3),
)
def test_an_accepted_json_template_is_json_for_every_filling(
    text: str, a: Any, b: Any, c: list[Any]
) -> None:
    try:
        template, errors = placed(text, "json")
    except TemplateError:
        return
    if not errors:
        filled = json.loads(template.render({"a": a, "b": b, "c": c}))
        assert isinstance(filled, dict | list | str | int | float | None)

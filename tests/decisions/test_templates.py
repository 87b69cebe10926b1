from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.errors import TemplateError
from decisions.ops import Text
from decisions.templates import MAX_NESTING, Token, included, parse, render

SPEC = Path(__file__).parent.parent / "spec" / "mustache"
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in sorted(SPEC.glob("*.json"))
    for case in json.loads(path.read_text(encoding="utf-8"))["tests"]
]


CIRCLE = "partial includes itself: one > two > one"
ROUND = "in partial three: partial includes itself: four > three > four"


def test_the_specification_is_here_in_full() -> None:
    assert len(CASES) == 136


@pytest.mark.parametrize("case", CASES)
def test_mustache_follows_its_specification(case: dict[str, Any]) -> None:
    assert render(case["template"], case["data"], case.get("partials")) == case["expected"]


def test_a_text_without_tags_is_one_op() -> None:
    template = parse("<p>{{! nothing }}Hello</p>\n{{! at all }}\n")
    assert template.ops == (Text("<p>Hello</p>\n"),)
    assert template.render({}) == "<p>Hello</p>\n"
    assert parse("").render({}) == ""


def test_tokens_say_what_is_read_where_and_under_which_sections() -> None:
    template = parse("{{a}}{{#b}}{{{c}}}{{^d}}{{.}}{{/d}}{{/b}}")
    assert template.tokens == (
        Token("a", (0, 5), "value"),
        Token("b", (5, 11), "section"),
        Token("c", (11, 18), "raw", ("b",)),
        Token("d", (18, 24), "inverted", ("b",)),
        Token(".", (24, 29), "value", ("b",)),
    )
    assert [token.in_section for token in template.tokens] == [False, False, True, True, True]


def test_partials_are_put_in_place_at_build_time() -> None:
    partials = {"button": "<a>{{cta}}</a>\n{{> icon}}", "icon": "<i>{{name}}</i>"}
    template = parse("  {{> button}}\n<p>{{> icon }}</p>", "html", partials)
    assert template.render({"cta": "Go", "name": "x"}) == "  <a>Go</a>\n  <i>x</i><p><i>x</i></p>"
    assert [token.span for token in template.tokens] == [(2, 14), (2, 14), (18, 29)]


def test_a_fragment_tells_which_partials_it_takes_in() -> None:
    partials = {"a": "{{> b}}", "b": "x", "c": "y"}
    assert included("{{#x}}{{> a}}{{/x}}", partials) == {"a", "b"}
    assert included("{{> b}}{{> none}}{{> c}}", partials) == {"b"}
    assert included("plain", partials) == set()


def test_a_partial_may_be_put_twice() -> None:
    assert parse("{{>a}}{{>a}}", "html", {"a": "x"}).ops == (Text("xx"),)


@pytest.mark.parametrize(
    ("text", "what", "start", "length"),
    [
        ("a {{b", "expected }} after this", 2, 2),
        ("{{{b}}", "expected }}} after this", 0, 2),
        ("{{=<% %>=}}<%b", "expected %> after this", 11, 2),
        ("{{#a}}x", "expected a closing tag for a, got the end", 0, 6),
        ("{{#a}}{{/b}}", "expected {{/a}}, got {{/b}}", 6, 6),
        ("x{{/b}}", "expected no closing tag, got {{/b}}", 1, 6),
        ("{{}}", "expected a name in the tag, got ''", 0, 4),
        ("{{a b}}", "expected a name in the tag, got 'a b'", 0, 7),
        ("{{# }}", "expected a name in the tag, got ''", 0, 6),
        ("{{$ }}{{/}}", "expected a name in the tag, got ''", 0, 6),
        ("{{#<a}}", "expected a name in the tag, got '<a'", 0, 7),
        ("{{<zzz}}{{/zzz}}", "unknown partial zzz", 0, 8),
        ("-{{<butto}}{{/butto}}", "unknown partial butto, did you mean button?", 1, 10),
        ("{{<button}}{{$a}}", "expected a closing tag for a, got the end", 11, 6),
        ("{{<button}}{{$a}}{{/button}}", "expected {{/a}}, got {{/button}}", 17, 11),
        ("{{<button}}{{$a}}{{>zzz}}{{/a}}{{/button}}", "unknown partial zzz", 17, 8),
        ("{{<three}}{{/three}}", "in partial three: in partial four: " + ROUND, 0, 10),
        ("{{>*name}}", "expected a name in the tag, got '*name'", 0, 10),
        ("{{=<% =}}", "expected two delimiters between the equals signs", 0, 9),
        ("{{== ==}}", "expected two delimiters between the equals signs", 0, 9),
        ("{{> butto}}", "unknown partial butto, did you mean button?", 0, 11),
        ("{{> zzz}}", "unknown partial zzz", 0, 9),
        ("{{> one}}", "in partial one: in partial two: " + CIRCLE, 0, 9),
        ("-{{> broken}}", "in partial broken: expected }} after this", 1, 12),
    ],
)  # fmt: skip
def test_what_does_not_parse_is_an_error_at_its_place(
    text: str, what: str, start: int, length: int
) -> None:
    partials = {"button": "", "one": "{{>two}}", "two": "{{>one}}", "broken": "xxx {{a"}
    partials |= {"three": "{{<four}}{{$a}}{{/a}}{{/four}}", "four": "{{<three}}{{/three}}"}
    with pytest.raises(TemplateError) as error:
        parse(text, "html", partials)
    assert (error.value.what, error.value.start, error.value.length) == (what, start, length)
    assert error.value.text == text


def test_the_plain_renderer_refuses_what_does_not_parse_too() -> None:
    with pytest.raises(TemplateError, match="expected }} after this"):
        render("{{a", {})


def test_an_unknown_partial_has_a_code_of_its_own() -> None:
    with pytest.raises(TemplateError) as error:
        parse("{{>a}}")
    assert error.value.code == "unknown-partial"


def test_sections_and_partials_are_bounded() -> None:
    deep = "".join(f"{{{{#a{i}}}}}" for i in range(MAX_NESTING + 1))
    with pytest.raises(TemplateError, match="at most 32 sections"):
        parse(deep)
    chain = {f"p{i}": f"{{{{>p{i + 1}}}}}" for i in range(MAX_NESTING + 2)}
    with pytest.raises(TemplateError, match="at most 32 partials deep"):
        parse("{{>p0}}", "html", chain)
    doubling = {f"p{i}": f"{{{{>p{i + 1}}}}}" * 2 for i in range(20)} | {"p20": "x"}
    with pytest.raises(TemplateError, match="500 in all"):
        parse("{{>p0}}", "html", doubling)


@given(st.text(alphabet="{}#^/!><$=& ab.\n", max_size=60))
def test_any_text_parses_or_says_where_it_does_not(text: str) -> None:
    try:
        template = parse(text, "html", {"a": "x", "b": "{{a}}"})
    except TemplateError as error:
        assert 0 <= error.start <= error.start + error.length <= len(text)
    else:
        assert isinstance(template.render({"a": "1", "b": [{"a": 2}]}), str)

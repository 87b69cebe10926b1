from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.errors import TemplateError
from decisions.layouts import indentation, reindented, weight
from decisions.ops import Section, Text, Value
from decisions.placing import place
from decisions.templates import Token, included, parse, render

CARD = "<div>{{$title}}<b>Offer</b>{{/title}}: {{$body}}{{cta}}{{/body}}</div>"
TEXTS = {
    "card": CARD,
    "wide": "{{<card}}{{$title}}Wide{{/title}}{{$body}}w{{/body}}{{/card}}!",
    "lines": "<ul>\n  {{$item}}\n  {{/item}}\n</ul>\n",
    "deep": "<ul>\n{{$item}}\n    <li>none</li>\n{{/item}}\n</ul>\n",
    "inline": "<p>\n  {{$text}}{{/text}}\n</p>\n",
    "list": "{{#items}}{{$each}}-{{/each}}{{/items}}",
    "plain": "one\ntwo\n",
    "inner": "{{<lines}}{{$item}}\n  <li>\n    {{$word}}\n      x\n    {{/word}}\n  </li>\n"
    "{{/item}}{{/lines}}",
    "turn": "{{$a}}-{{/a}}{{$b}}{{<back}}{{/back}}{{/b}}",
    "back": "{{$a}}+{{/a}}{{<turn}}{{$b}}end{{/b}}{{/turn}}",
}
CASES = {
    "a block shows its default": ("{{$a}}x {{cta}}{{/a}}!", "x Go!"),
    "a layout is a partial when nothing is given": (
        "{{<card}}{{/card}}|{{>card}}",
        "<div><b>Offer</b>: Go</div>|<div><b>Offer</b>: Go</div>",
    ),
    "what is given replaces the default": (
        "{{<card}}{{$body}}<i>{{cta}}</i>{{/body}}{{/card}}",
        "<div><b>Offer</b>: <i>Go</i></div>",
    ),
    "a value of the block's name does not": (
        "{{<card}}{{$body}}x{{/body}}{{/card}}",
        "<div><b>Offer</b>: x</div>",
    ),
    "one layout twice": (
        "{{<card}}{{$body}}1{{/body}}{{/card}}{{<card}}{{$body}}2{{/body}}{{/card}}",
        "<div><b>Offer</b>: 1</div><div><b>Offer</b>: 2</div>",
    ),
    "the outermost goes first": (
        "{{<wide}}{{$title}}Mine{{/title}}{{/wide}}",
        "<div>Mine: w</div>!",
    ),
    "what stands between the blocks is left out": (
        "{{<card}} a {{cta}} {{>none}} {{#x}}{{<none}}{{/none}}{{/x}} "
        "{{$body}}b{{/body}} c {{/card}}",
        "<div><b>Offer</b>: b</div>",
    ),
    "names are looked up where the block stands": (
        "{{<list}}{{$each}}{{.}},{{/each}}{{/list}}",
        "a,b,",
    ),
    "a layout may come again when it then ends": (
        "{{<turn}}{{$a}}x{{/a}}{{/turn}}",
        "xxxend",
    ),
    "a layout alone on its line is indented": (
        "a\n  {{<plain}}{{/plain}}\nb",
        "a\n  one\n  two\nb",
    ),
    "a layout over several lines too": (
        "a\n  {{<plain}}\n  {{$x}}\n  y\n  {{/x}}\n  {{/plain}}\nb",
        "a\n  one\n  two\nb",
    ),
    "a layout within a line is not": (" {{<plain}}{{/plain}} b", " one\ntwo\n b"),
    "a block takes the indentation of its place": (
        "{{<lines}}{{$item}}\n      <li>{{cta}}</li>\n      <li>\n        x</li>\n"
        "{{/item}}{{/lines}}",
        "<ul>\n  <li>Go</li>\n  <li>\n    x</li>\n</ul>\n",
    ),
    "or of the default there": (
        "{{<deep}}{{$item}}\n{{cta}}\n{{#cta}}\ny{{.}}\n{{/cta}}\n{{/item}}{{/deep}}",
        "<ul>\n    Go\n    yGo\n</ul>\n",
    ),
    "or of the tag on a line of its own": (
        "{{<inline}}{{$text}}\na\nb{{/text}}{{/inline}}",
        "<p>\n  a\n  b\n</p>\n",
    ),
    "a block in a block takes both": (
        "{{<inner}}{{$word}}\ny\n{{/word}}{{/inner}}",
        "<ul>\n  <li>\n      y\n  </li>\n</ul>\n",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_layouts_at_build_time_and_in_plain_mustache(case: str) -> None:
    text, expected = CASES[case]
    data: dict[str, Any] = {"cta": "Go", "body": "data", "items": ["a", "b"]}
    assert parse(text, "html", TEXTS).render(data) == expected
    assert render(text, data, TEXTS) == expected


def test_of_a_layout_nothing_is_left_but_ops() -> None:
    template = parse("{{<wide}}{{$title}}Mine{{/title}}{{/wide}}", "html", TEXTS)
    assert template.ops == (Text("<div>Mine: w</div>!"),)


def test_tokens_of_a_block_keep_their_place_and_those_of_the_layout_get_its_tag() -> None:
    template = parse("{{<card}}{{$title}}{{name}}{{/title}}{{/card}}", "html", TEXTS)
    assert template.tokens == (Token("name", (19, 27), "value"), Token("cta", (0, 9), "value"))


def test_a_fragment_tells_which_layouts_it_takes_in() -> None:
    assert included("{{<wide}}{{$body}}{{>plain}}{{/body}}{{/wide}}", TEXTS) == {
        "wide",
        "card",
        "plain",
    }


def test_plain_mustache_shows_nothing_for_an_unknown_layout() -> None:
    assert render("a{{<none}}{{$x}}b{{/x}}{{/none}}c", {}) == "ac"


@pytest.mark.parametrize(
    ("layout", "code"),
    [
        ("<p>{{$x}}{{/x}}</p>", ""),
        ('<a href="/s?q={{$x}}{{/x}}">x</a>', ""),
        ("<script>{{$x}}{{/x}}</script>", "token-place"),
        ("<p title={{$x}}{{/x}}>", "token-place"),
        ('<a href="{{$x}}{{/x}}">x</a>', "token-url"),
        ("<!-- {{$x}}{{/x}} -->", "token-place"),
    ],
)
def test_a_token_of_a_block_is_escaped_for_the_place_it_ends_up_in(layout: str, code: str) -> None:
    text = "{{<layout}}{{$x}}{{name}}{{/x}}{{/layout}}"
    template, errors = place(parse(text, "html", {"layout": layout}), text)
    assert [(error.code, error.start, error.length) for error in errors] == (
        [(code, 17, 8)] if code else []
    )
    if "href" in layout and not errors:
        assert template.render({"name": "a&b"}) == '<a href="/s?q=a%26b">x</a>'


def test_blocks_that_double_are_bounded() -> None:
    layouts = {"l0": "{{$b0}}{{/b0}}"} | {
        f"l{i}": f"{{{{<l{i - 1}}}}}{{{{$b{i - 1}}}}}"
        + f"{{{{$b{i}}}}}{{{{/b{i}}}}}" * 2
        + f"{{{{/b{i - 1}}}}}{{{{/l{i - 1}}}}}"
        for i in range(1, 20)
    }
    with pytest.raises(TemplateError, match="at most 1,000,000 characters in a block"):
        parse("{{<l19}}{{$b19}}12345678{{/b19}}{{/l19}}", "html", layouts)


def test_only_the_starts_of_lines_change() -> None:
    section = Section("a", False, (Text("x\n"), Value("b", "html")))
    ops = (Text("  x\n  y  z\n"), section, Text("\n"))
    assert reindented(ops, "  ", "-") == (
        Text("-x\n-y  z\n"),
        Section("a", False, (Text("-x\n"), Text("-"), Value("b", "html"))),
        Text("\n"),
    )
    assert reindented((Text("x\ny"),), "", " ", starts=False) == (Text("x\n y"),)
    assert (indentation(ops), indentation((section,)), indentation(())) == ("  ", "", "")
    assert weight(ops) == 16


@given(st.text(alphabet=" \t\nab", min_size=1), st.sampled_from(["", " ", "\t", "  "]))
def test_indentation_that_is_added_can_be_taken_away(text: str, spaces: str) -> None:
    (moved,) = reindented((Text(text),), "", spaces)
    assert reindented((moved,), spaces, "") == (Text(text),)

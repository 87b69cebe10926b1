"""Fragments in a real browser: no value of a token may change what the page is made of."""

from __future__ import annotations

import random

import pytest
from playwright.sync_api import Browser

from decisions.errors import TemplateError
from decisions.placing import place
from decisions.templates import parse

pytestmark = pytest.mark.needs("chromium")

COUNT = 1_500
PIECES = (
    *("{{a}}", "{{b}}", "{{#a}}", "{{/a}}", "{{^b}}", "{{/b}}", "{{#c}}{{.}}{{/c}}", " ", "\n"),
    *("<p>", "</p>", "<b ", "<a", ">", "title=", '"', "'", ' class="', " onclick='", ' href="'),
    *("/", "?", "#", "//", "https://x.example", "javascript:", "&", "=", "x", "-", "<!", "<!--"),
    *("-->", "--!>", "<script>", "</script>", "<style>", "</style>", "<title>", "</title>"),
    *("<textarea>", "</textarea>", "<svg>", "</svg>", "<math>", "<select>", "<template>"),
    *("<noscript>", "</noscript>", "<iframe>", "</iframe>", "<plaintext>", "<![CDATA[", "]]>"),
)
OPENINGS = ("", '<a href="', '<a title="', "<a href='", '<a href="/', "<a class=", "<p>")
VALUES = (
    *("", "/", '"', "..", "x y", "javascript:alert(1)", "//evil.example", "'><b>", "]]>"),
    *(" onclick=x", "--><img src=x onerror=alert(1)>", "</textarea><b>", "</script><script>x"),
)

# Elements, attribute names, where links lead, and the text of what would run.
SHAPES = """pairs => {
  const link = value => {
    try { const url = new URL(value, 'https://shop.example/x/'); return url.protocol + url.host; }
    catch { return '!'; }
  };
  const named = ({name, value}) =>
    name + (name === 'href' ? link(value) : /^on|^style$/.test(name) ? value : '');
  const walk = node => [...(node.content ?? node).childNodes].flatMap(child =>
    child.nodeType === 1
      ? [child.localName, ...[...child.attributes].map(named), ...walk(child), '/']
      : child.nodeType === 8 ? ['!'] : []);
  const shape = html => {
    const box = document.implementation.createHTMLDocument('').createElement('div');
    box.innerHTML = html;
    return JSON.stringify(walk(box));
  };
  return pairs.filter(([, harmless, hostile]) => shape(harmless) !== shape(hostile));
}"""


def accepted(chance: random.Random) -> tuple[str, str, str]:
    """A random template that may be shown, filled with what is harmless and with what is not."""
    while True:
        text = chance.choice(OPENINGS) + "".join(chance.choices(PIECES, k=chance.randint(2, 14)))
        try:
            template, errors = place(parse(text), text)
        except TemplateError:
            continue
        if not errors and ("{{a}}" in text or "{{b}}" in text):
            hostile = {"a": chance.choice(VALUES), "b": chance.choice(VALUES)}
            hostile_c = chance.choices(VALUES, k=chance.randint(0, 2))
            harmless = {name: "x" if value else "" for name, value in hostile.items()}
            return (
                text,
                template.render({**harmless, "c": ["x"] * len(hostile_c)}),
                template.render({**hostile, "c": hostile_c}),
            )


def test_no_value_changes_what_a_browser_makes_of_an_accepted_fragment(browser: Browser) -> None:
    chance = random.Random(20261121)
    pairs = [accepted(chance) for _ in range(COUNT)]
    page = browser.new_page()
    try:
        assert page.evaluate(SHAPES, pairs) == []
    finally:
        page.close()

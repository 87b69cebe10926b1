"""A public list of attacks, as values of tokens in every place that takes one: none may run.

The fragments go the whole way: a playbook compiled, decided and rendered, a page that Chromium
loads, every event sent to every element. That the page would tell is shown with the escapes off.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from playwright.sync_api import Browser, Dialog, Route

from decisions import compile_playbook
from decisions.escapes import RAW
from decisions.ops import Op, Section, Value
from decisions.playbook import (
    AttributeDecl,
    FragmentText,
    Rule,
    Settings,
    SlotDecl,
    WrittenPlaybook,
)
from decisions.program import Program
from decisions.templates import Template, parse

pytestmark = pytest.mark.needs("chromium")

SHOP = "http://shop.example"
LIST = Path(__file__).parent.parent / "spec" / "xss" / "script_injection.txt"
LISTED = [
    line
    for line in LIST.read_text(encoding="utf-8").split("\n")
    if line and not line.startswith("#")
]
OURS = (  # for the places that the list does not know
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</b></li></p><script>alert(1)</script>",
    "javascript:alert(1)",
    "//evil.example/",
    "https://evil.example/",
    "\\\\evil.example\\",
    '\\"><img src=x onerror=alert(1)>',
)

# Each place a token may stand in; NAME is a fact, GIVEN what the rule gives.
PLACES = {
    "text": "<p>a {{NAME}} b</p>",
    "double": '<i title="a {{NAME}}" class="{{NAME}}" data-x="{{NAME}}">x</i>',
    "single": "<i title='a {{NAME}}' class='{{NAME}}' data-x='{{NAME}}'>x</i>",
    "path": '<a href="/{{NAME}}">x</a><a href="/{{NAME}}/{{NAME}}">x</a>',
    "image": "<img alt=\"\" src='/p/{{NAME}}'>",
    "query": '<a href="/s?q={{NAME}}&amp;r={{NAME}}">x</a><a href="?{{NAME}}">x</a>',
    "hash": "<a href='#{{NAME}}'>x</a>",
    "host": '<a href="http://shop.example/{{NAME}}">x</a>',
    "form": '<form action="/{{NAME}}"><button formaction="/go?{{NAME}}">x</button></form>',
    "section": '{{#NAME}}<b title="{{.}}">{{.}}</b>{{/NAME}}{{^NAME}}<s>none</s>{{/NAME}}',
    "whole": "<u{{#NAME}} title='{{.}}'{{/NAME}}>x</u>",
    "textarea": "<textarea>{{NAME}}</textarea>",
    "title": "<svg width='1'><title>{{NAME}}</title><text>{{NAME}}</text></svg>",
    "cell": "<table><tr><td>{{NAME}}</td></tr></table>",
    "choice": "<select><option value='{{NAME}}'>{{NAME}}</option></select>",
}
FACT = {name: text.replace("NAME", "traits.name") for name, text in PLACES.items()}
GIVEN = {name: text.replace("NAME", "given") for name, text in PLACES.items()}
ITEMS = (
    '<ul>{{#items}}<li title="{{label}}">{{label}}<a href="/{{label}}">x</a></li>{{/items}}</ul>'
)
LAYOUT = '<q title="{{$tip}}{{/tip}}"><a href="/{{$link}}{{/link}}">{{$body}}x{{/body}}</a></q>'
LAID = (
    "{{<layout}}{{$tip}}{{traits.name}}{{/tip}}{{$body}}{{given}}{{/body}}"
    "{{$link}}{{traits.name}}/{{given}}{{/link}}{{/layout}}"
)
HTML_TEXT = "\n".join([*FACT.values(), *GIVEN.values(), ITEMS, LAID])
JSON_TEXT = (
    '{"text": "a {{traits.name}} b", "value": {{traits.name}}, "given": "{{given}}"'
    ', "items": [""{{#items}}, "{{label}}"{{/items}}]}'
)

HOOKS = """
window.ran = [];
for (const name of ['alert', 'confirm', 'prompt', 'open', 'print'])
  window[name] = () => { window.ran.push(name); };
for (const name of ['log', 'info', 'warn', 'error', 'debug'])
  console[name] = () => { window.ran.push('console.' + name); };
window.addEventListener('error', event => { if (event.message) window.ran.push(event.message); });
"""

# Sends what a visitor could do to every element; of links it follows those that are code.
POKE = """async () => {
  const cases = [...document.querySelectorAll('.case *')];
  const names = ['focus', 'blur', 'click', 'mouseover', 'mousemove', 'keyup', 'keydown', 'wheel',
    'copy', 'load', 'error', 'toggle', 'animationstart', 'pointerenter', 'input'];
  const at_home = url => {
    try { return !url || new URL(url, location).origin === location.origin; }
    catch { return false; }
  };
  const strange = [];
  for (const element of cases) {
    const url = element.href || element.action || '';
    if (typeof url === 'string' && !at_home(url)) strange.push(url);
    if (element.protocol === 'javascript:') element.click();
    for (const name of names)
      element.dispatchEvent(new Event(name, {bubbles: false, cancelable: true}));
  }
  await new Promise(done => setTimeout(done, 50));
  return strange;
}"""

# What each case is made of (and what would run, to its value), its texts apart.
READ = """() => [...document.querySelectorAll('.case')].map(box => {
  const walk = node => [...(node.content ?? node).childNodes].flatMap(child =>
    child.nodeType === 1
      ? [child.localName, ...[...child.attributes].map(each => each.name), ...walk(child), '/']
      : child.nodeType === 8 ? ['!'] : []);
  const shown = box.querySelector('p');
  return [walk(box).join(' '), shown ? shown.textContent : null];
})"""

FILL = """texts => texts.map(text => {
  const box = document.body.appendChild(document.createElement('div'));
  const read = JSON.parse(text);
  const values = [read.text, read.value, read.given, read.items[1]];
  box.className = 'case';
  for (const value of values)
    box.appendChild(document.createElement('p')).textContent = value;
  return [Object.keys(read).join(), read.items.length, box.querySelectorAll('*').length, values];
})"""


class Seen(NamedTuple):
    """What a page did, and what it is made of."""

    ran: list[str]
    left: list[str]  # requests, links and navigations to elsewhere
    cases: list[tuple[str, str]]


def meant(vector: str) -> str:
    """The vector with its `\\x41` and `\\0` read as the bytes that they stand for."""
    found = re.sub(r"\\0(?![0-9])", "\\\\x00", vector)
    raw = re.sub(
        rb"\\x([0-9A-Fa-f]{2})", lambda pair: bytes.fromhex(pair[1].decode()), found.encode()
    )
    return raw.decode(errors="replace")


VECTORS = tuple(dict.fromkeys([*LISTED, *map(meant, LISTED), *OURS]))


def playbook() -> Program:
    """One rule for each vector, which gives it; the facts hold it too."""
    show = {"page": ("html", HTML_TEXT), "data": ("json", JSON_TEXT)}
    none = {"none": ("html", ""), "nothing": ("json", "{}"), "layout": ("html", LAYOUT)}
    rules = [
        Rule(
            id=f"{fragment}-{number}",
            slot=fragment,
            when=f'traits.number == "{number}"',
            show=fragment,
            with_={"given": vector, "items": [{"label": vector}, {"label": vector}]},
        )
        for number, vector in enumerate(VECTORS)
        for fragment in show
    ]
    words = AttributeDecl(type="string", purpose="personalization")
    return compile_playbook(
        WrittenPlaybook(
            settings=Settings(
                name="vectors",
                slots={"page": SlotDecl("none"), "data": SlotDecl("nothing", json=True)},
                attributes={"traits.name": words, "traits.number": words},
            ),
            rules=tuple(rules),
            fragments={
                name: FragmentText(name, text, f"fragments/{name}.{kind}", kind)
                for name, (kind, text) in {**show, **none}.items()
            },
        )
    )


@pytest.fixture(scope="module")
def program() -> Program:
    return playbook()


def rendered(program: Program, slot: str) -> list[str]:
    """The slot's fragment for each vector."""
    texts = []
    for number, vector in enumerate(VECTORS):
        facts = {"traits.number": str(number), "traits.name": vector}
        decision = program.decide(slot, facts, grants=["personalization"])
        assert decision.rule == f"{slot}-{number}"
        texts.append(program.render(decision, facts))
    return texts


def visited(browser: Browser, fragments: list[str]) -> Seen:
    """What a page of these fragments does when it is loaded, and everything on it touched."""
    cases = "".join(f"<div class='case'>{fragment}</div>\n" for fragment in fragments)
    page_text = f"<!doctype html><meta charset=utf-8><body>{cases}</body>"
    left: list[str] = []
    dialogs: list[str] = []
    loads = 0

    def answer(route: Route) -> None:
        nonlocal loads
        url = route.request.url
        if route.request.is_navigation_request():
            loads += 1
            if url == f"{SHOP}/" and loads == 1:
                route.fulfill(body=page_text, content_type="text/html; charset=utf-8")
                return
            left.append(url)
        elif not url.startswith(f"{SHOP}/p/"):
            left.append(url)
        route.fulfill(status=204)

    def note(dialog: Dialog) -> None:
        dialogs.append(dialog.type)
        dialog.dismiss()

    context = browser.new_context()
    try:
        context.add_init_script(HOOKS)
        context.route("**/*", answer)
        page = context.new_page()
        page.on("dialog", note)
        context.on("page", lambda other: left.append(other.url))
        page.goto(f"{SHOP}/", wait_until="load")
        strange = page.evaluate(POKE)
        ran = page.evaluate("window.ran")
        return Seen([*ran, *dialogs], [*left, *strange], [tuple(x) for x in page.evaluate(READ)])
    finally:
        context.close()


def as_read(vector: str) -> str:
    """The text as a browser reads it: its line ends, and without NUL."""
    return re.sub("\r\n?", "\n", vector).replace("\0", "")


def bare(ops: tuple[Op, ...]) -> tuple[Op, ...]:
    """The ops with every escape off."""
    made: list[Any] = []
    for op in ops:
        if isinstance(op, Section):
            made.append(msgspec.structs.replace(op, ops=bare(op.ops)))
        else:
            made.append(msgspec.structs.replace(op, escape=RAW) if isinstance(op, Value) else op)
    return tuple(made)


def test_the_list_is_here_in_full() -> None:
    assert len(LISTED) == 235
    assert len(VECTORS) > 400


def test_no_vector_runs_or_changes_the_page_in_any_place(
    browser: Browser, program: Program
) -> None:
    template = program.template("page")
    harmless = {"given": "x", "traits.name": "x", "items": [{"label": "x"}, {"label": "x"}]}
    seen = visited(browser, [template.render(harmless), *rendered(program, "page")])
    assert (seen.ran, seen.left) == ([], [])
    assert len(seen.cases) == 1 + len(VECTORS)
    assert {shape for shape, _ in seen.cases} == {seen.cases[0][0]}
    assert [text for _, text in seen.cases[1:]] == [f"a {as_read(each)} b" for each in VECTORS]


def test_json_fragments_hold_every_vector_as_plain_text(browser: Browser, program: Program) -> None:
    texts = rendered(program, "data")
    assert [json.loads(text)["given"] for text in texts] == list(VECTORS)
    context = browser.new_context()
    try:
        context.add_init_script(HOOKS)
        page = context.new_page()
        made = page.evaluate(FILL, texts)
        assert page.evaluate(POKE) == []
        assert page.evaluate("window.ran") == []
    finally:
        context.close()
    expected = [[f"a {each} b", each, each, each] for each in VECTORS]
    assert made == [["text,value,given,items", 3, 4, values] for values in expected]


@pytest.mark.parametrize("name", [*PLACES, "items"])
def test_with_the_escapes_off_the_same_vectors_run_in_each_place(
    browser: Browser, name: str
) -> None:
    template = Template("html", bare(parse({**FACT, "items": ITEMS}[name]).ops))
    vectors = (*OURS, *LISTED[:20])
    seen = visited(
        browser,
        [template.render({"traits.name": each, "items": [{"label": each}]}) for each in vectors],
    )
    assert "alert" in seen.ran
    assert len({shape for shape, _ in seen.cases}) > 1


def test_with_the_escapes_off_requests_and_links_to_elsewhere_are_seen(browser: Browser) -> None:
    template = Template("html", bare(parse('<a href="{{traits.name}}">x</a>').ops))
    loading = next(each for each in LISTED if each.startswith("<SCRIPT/XSS"))
    vectors = (*OURS, f'">{loading}')
    seen = visited(browser, [template.render({"traits.name": each}) for each in vectors])
    assert any("evil.example" in url for url in seen.left)
    assert "javascript:alert(1)" in seen.left
    assert "http://ha.ckers.org/xss.js" in seen.left

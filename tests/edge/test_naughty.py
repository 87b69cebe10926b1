"""A public list of naughty strings through every field of every route: each reply is an honest one,
in time, in UTF-8, with nothing unescaped; see tests/spec/naughty."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from edge.refresh import Served
from tests.edge.shop import SECRET, Shop, snapshot
from tests.edge.test_hostile import Heard, ask

pytestmark = pytest.mark.anyio

LIST = Path(__file__).parent.parent / "spec" / "naughty" / "blns.json"
STRINGS: list[str] = json.loads(LIST.read_text(encoding="utf-8"))
MOST_S = 0.5  # of the processor, for one request
PREFIX = "/_ew/v1/"
FLAGS = "/_ew/ofrep/v1/evaluate/flags"

PRINTED = {
    "hero/welcome": """<p title="{{page.path}}" data-c='{{page.category}}'>"""
    """{{page.category}}<i></i>{{page.path}}|{{page.query.size}}|{{utm.source}}|{{referrer.host}}|{{locale}}"""
    """<a href="/to/{{page.category}}?q={{page.path}}">go</a></p>""",
    "feed/none": """{"c": "{{page.category}}", "all": ["{{page.path}}", "{{locale}}"]}""",
}
SAFE = re.compile(
    r"""<p title="[^<>"`]*" data-c='[^<>'`]*'>(?P<category>[^<>]*)<i></i>[^<>]*"""
    r"""<a href="/to/[A-Za-z0-9%._~-]*\?q=[A-Za-z0-9%._~-]*">go</a></p>"""
)
PERSON = (b"user-agent", b"Mozilla/5.0")  # without one, who asks is a bot and learns nothing
PRINTABLE = re.compile(rb"[\x20-\x7e]*")
FIELDS = ("type", "id", "item", "category", "brand", "x", "token")
HEADERS = (
    "accept-language", "authorization", "content-type", "cookie", "forwarded", "host",
    "if-none-match", "origin", "referer", "sec-ch-ua-mobile", "sec-fetch-site", "sec-gpc",
    "user-agent", "x-forwarded-for", "x-geo-city", "x-geo-country", "x-geo-region",
)  # fmt: skip


def shop() -> Shop:
    return Shop(
        Served(snapshot(fragments=PRINTED, rules=[])),
        events_per_minute=10**9,
        server_calls_per_minute=10**9,
        max_events=100,
    )


async def agreed(edge: Shop) -> list[tuple[bytes, bytes]]:
    """The headers of a visitor who granted everything, and was here before."""
    browser = edge.browser()
    await browser.consent("functional", "analytics", "personalization", "marketing", "sensitive")
    await browser.view("shoes")
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    return [(b"cookie", cookie.encode()), PERSON]


async def heard(edge: Shop, method: str, path: str, *rest: Any) -> Heard:
    """A reply, looked at for what no reply may be."""
    before_s = time.process_time()
    reply = await ask(edge, method, path, *rest)
    assert time.process_time() - before_s < MOST_S
    assert reply.status < 500
    for name, value in reply.headers.items():
        assert PRINTABLE.fullmatch(name), name
        assert PRINTABLE.fullmatch(value), (name, value)
    if b"json" in reply.headers.get(b"content-type", b""):
        json.loads(reply.body.decode())
    else:
        reply.body.decode()
    return reply


def events_of(text: str) -> Iterator[dict[str, Any]]:
    """Events that carry the text in one field each, or in all that may be any."""
    for field in FIELDS:
        yield {"type": "product_view", "id": "1", "item": "1", "category": "shoes", field: text}
    yield {"type": "product_view", "item": text, "category": text, "brand": text, "x": text}
    yield {"type": "identify", "id": text, "token": text}
    yield {"type": "seen", "id": text, "x": text}
    for field in ("at", "price", "quantity", text):
        yield {"type": "product_view", field: text}


def pages_of(text: str) -> Iterator[dict[str, Any]]:
    """Pages that carry the text in every field, and in what else a field may be."""
    fields = dict.fromkeys(("path", "category", "referrer", "locale"), text)
    yield {**fields, "query": text}
    yield {**fields, "path": f"/p?size={text}&utm_source={text}", "query": {text: text}}
    yield {"query": {"size": text, "utm_source": text}, "referrer": f"https://{text}/"}


def looked_at(decisions: list[dict[str, Any]], category: str) -> None:
    """That what was printed is all text: of the HTML and of the JSON fragment."""
    hero, feed = decisions
    printed = SAFE.fullmatch(hero["html"])
    assert printed, hero["html"]
    assert html.unescape(printed["category"]).replace("\n", "") in (category, "")
    assert feed["json"]["c"] in (category, "")


async def test_what_is_looked_at_would_show_what_is_not_escaped() -> None:
    text = """<b>'"`&"""
    body = json.dumps({"slots": ["hero", "feed"], "page": {"path": text, "category": text}})

    told = json.loads((await heard(shop(), "POST", PREFIX + "visit", body.encode())).body)

    looked_at(told["decisions"], text)
    hero = told["decisions"][0]["html"]
    for escaped, bare in (("&lt;", "<"), ("&gt;", ">"), ("&#39;", "'"), ("&quot;", '"')):
        assert not SAFE.fullmatch(hero.replace(escaped, bare))


async def test_naughty_pages_and_events_of_a_visit() -> None:
    edge = shop()
    cookies = await agreed(edge)
    for text in STRINGS:
        events = [*events_of(text)]
        for page in pages_of(text):
            body = {"slots": ["hero", "feed"], "page": page, "events": events, "preview": text}
            reply = await heard(edge, "POST", PREFIX + "visit", json.dumps(body).encode(), cookies)
            told = json.loads(reply.body)
            if reply.status == 400:
                assert len(text) > 64  # a locale has no more
                continue
            looked_at(told["decisions"], page.get("category", ""))
            assert len(told.get("refused", ())) >= min(4, len(events))
            events = []  # once is enough
    assert edge.counted("edgewise_errors_total") == 0
    rows = json.loads(msgspec.json.encode(edge.sink.rows))
    assert len({row.get("item") for row in rows}) > 300


async def test_naughty_slots_of_a_visit() -> None:
    edge = shop()
    for text in STRINGS:
        body = json.dumps({"slots": ["hero", text, text]}).encode()
        reply = await heard(edge, "POST", PREFIX + "visit", body)
        if len(text) <= 128:
            decisions = json.loads(reply.body)["decisions"]
            assert [one["slot"] for one in decisions] == ["hero", text, text]
    assert edge.counted("edgewise_errors_total") == 0
    assert len(edge.services.metrics.values()) < 100


async def test_naughty_batches_with_naughty_words_around_them() -> None:
    edge = shop()
    cookies = await agreed(edge)
    for text in STRINGS:
        body = {text: text, "events": [*events_of(text), text], "page": {"path": text}}
        headers = [*cookies, (b"content-type", text.encode())]
        sent = json.dumps(body).encode()
        reply = await heard(edge, "POST", PREFIX + "events", sent, headers)
        assert reply.status == 202 or text in ("events", "page")
    assert edge.counted("edgewise_errors_total") == 0


@pytest.mark.parametrize("path", ["visit", "events", "consent"])
async def test_naughty_bodies(path: str) -> None:
    edge = shop()
    for text in STRINGS:
        method = "PUT" if path == "consent" else "POST"
        for body in (text, f'"{text}"', json.dumps(text), json.dumps({"events": text})):
            reply = await heard(edge, method, PREFIX + path, body.encode())
            assert reply.status in (200, 400) and (reply.status == 400 or text == "{}")
    assert edge.counted("edgewise_errors_total") == 0


async def test_naughty_choices() -> None:
    edge = shop()
    for text in STRINGS:
        for fields in ({"how": text}, {"policy": text}, {"how": text, "policy": text}):
            body = json.dumps({"grants": ["functional"]} | fields).encode()
            reply = await heard(edge, "PUT", PREFIX + "consent", body)
            good = len(text) <= 64 and text.isascii() and text.isprintable()
            assert reply.status == (200 if good else 400), text
        for wrong in ({"grants": [text]}, {"tcf": text}, {"grants": text}):
            reply = await heard(edge, "PUT", PREFIX + "consent", json.dumps(wrong).encode())
            assert reply.status == 400
    assert edge.counted("edgewise_errors_total") == 0


async def test_naughty_queries_of_fragments() -> None:
    edge = shop()
    cookies = await agreed(edge)
    for text in STRINGS:
        inner = quote(f"/p?size={quote(text, safe='')}&utm_source={quote(text, safe='')}", safe="")
        fields = ("category", "referrer", "locale", "preview", quote(text, safe=""))
        query = "&".join(f"{field}={quote(text, safe='')}" for field in fields) + f"&path={inner}"
        for asked in (query.encode(), text.encode(), b"slots=" + text.encode()):
            one = await heard(edge, "GET", f"{PREFIX}fragments/hero", b"", cookies, asked)
            many = await heard(edge, "GET", f"{PREFIX}fragments", b"", cookies, asked)
            if len(asked) > 4_096:
                assert (one.status, many.status) == (414, 414)
                continue
            assert SAFE.fullmatch(one.body.decode()), one.body
            assert (one.status, many.status) in ((200, 200), (200, 400))
        feed = f"category={quote(text)}".encode()
        told = await heard(edge, "GET", f"{PREFIX}fragments/feed", b"", cookies, feed)
        assert json.loads(told.body)["c"] in (text, "")
        slot = await heard(edge, "GET", PREFIX + "fragments/" + text, b"", cookies)
        assert slot.status == 200
    assert edge.counted("edgewise_errors_total") == 0
    assert len(edge.services.metrics.values()) < 150


async def test_naughty_flags_and_contexts() -> None:
    edge = shop()
    key = (b"x-api-key", SECRET.encode())
    for text in STRINGS:
        fields = ("targetingKey", "customer", "locale", "geo.city", "page.path", "page.category")
        for personal in ([], ["functional", "personalization"]):
            context = {"grants": personal, text: text} | dict.fromkeys(fields, text)
            body = json.dumps({"context": context}).encode()
            reply = await heard(edge, "POST", FLAGS, body, [key])
            told = {flag["key"]: flag for flag in json.loads(reply.body).get("flags", ())}
            if reply.status == 400:
                assert len(text) > 256 or text in ("grants", "authenticated")
                continue
            assert SAFE.fullmatch(told["hero"]["value"])
            assert told["feed"]["value"]["c"] in (text, "")
        reply = await heard(edge, "POST", f"{FLAGS}/{text}", b"{}", [key])
        assert reply.status == 404
        for wrong in ({"grants": [text]}, {"grants": text}, {"authenticated": text}):
            body = json.dumps({"context": wrong}).encode()
            assert (await heard(edge, "POST", FLAGS, body, [key])).status == 400
    assert edge.counted("edgewise_errors_total") == 0
    assert len(edge.services.metrics.values()) < 100


async def test_naughty_credentials() -> None:
    edge = shop()
    for text in STRINGS:
        for name in (b"authorization", b"x-api-key"):
            for value in (text.encode(), b"Bearer " + text.encode(), b"ewk_" + text.encode()):
                reply = await heard(edge, "POST", FLAGS, b"{}", [(name, value)])
                assert reply.status in (401, 429)
                edge.clock.now_s += 1
    assert edge.counted("edgewise_errors_total") == 0
    assert len(edge.services.metrics.values()) < 100


class Tags(HTMLParser):
    """Which elements and attributes a page has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(f"{tag} {name}" for name, _ in attrs)}


async def test_naughty_places_on_the_page_of_what_is_held() -> None:
    edge = shop()
    headers = [*await agreed(edge), (b"accept", b"text/html")]
    plain = await heard(edge, "GET", f"{PREFIX}me", b"", headers, b"path=/p&category=shoes")
    known = Tags(plain.body.decode()).found
    for text in STRINGS:
        value = quote(text, safe="")
        query = f"path=%2Fp%3Fsize%3D{quote(value)}%26utm_source%3D{quote(value)}"
        query += f"&category={value}&locale={value}&referrer=https%3A%2F%2F{value}%2F"
        if len(query) <= 4_096:
            page = await heard(edge, "GET", f"{PREFIX}me", b"", headers, query.encode())
            assert (page.status, Tags(page.body.decode()).found - known) == (200, set())
    assert {"html", "table"} <= known
    assert "script" not in known
    assert edge.counted("edgewise_errors_total") == 0


ASKED = [
    ("GET", "v1/fragments/hero"), ("GET", "v1/consent"), ("POST", "v1/visit"),
    ("POST", "v1/events"), ("GET", "v1/me"), ("PUT", "v1/consent"), ("DELETE", "v1/me"),
    ("GET", "loader.js"), ("GET", "engagement.js"),
    ("GET", "healthz"), ("OPTIONS", "v1/visit"), ("HEAD", "v1/consent"),
]  # fmt: skip
BODIES = {"v1/visit": b'{"slots":["hero"]}', "v1/events": b'{"events":[]}'}


@pytest.mark.parametrize(("method", "path"), ASKED)
async def test_naughty_headers_and_cookies(method: str, path: str) -> None:
    edge = shop()
    body = BODIES.get(path, b'{"grants":[]}')
    for text in STRINGS:
        value = text.encode()
        every = [(name.encode(), value) for name in HEADERS if name not in ("origin", "host")]
        every.append((b"accept", value))
        named = b"consent=%b; user_interest_score=%b; %b=%b" % (value, value, value, value)
        for headers in (
            every,
            [PERSON, (b"cookie", named)],
            [(b"origin", value), (b"host", value)],
        ):
            reply = await heard(edge, method, f"/_ew/{path}", body, headers)
            assert reply.status in (200, 202, 204, 304, 403, 405)
    assert edge.counted("edgewise_errors_total") == 0

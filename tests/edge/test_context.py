"""Context: what headers and page say, and nothing that they do not say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.rules.names import KNOWN_WORDS
from edge.config import Config
from edge.context import _BROWSERS, _SYSTEMS, MAX_REMEMBERED, Context, device, locale
from edge.wire import NO_PAGE, Page

CONTEXT = Context(Config(city_header=""))

IPHONE = (
    b"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 "
    b"(KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)
CHROME = (
    b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    b"Chrome/130.0.0.0 Safari/537.36"
)


@pytest.mark.parametrize(
    ("agent", "kind", "system", "browser"),
    [
        (IPHONE, "mobile", "ios", "safari"),
        (CHROME, "desktop", "windows", "chrome"),
        (CHROME + b" Edg/130.0", "desktop", "windows", "edge"),
        (b"Mozilla/5.0 (iPad; CPU OS 17_0) Safari/604.1", "tablet", "ios", "safari"),
        (b"Mozilla/5.0 (Linux; Android 14; SM-X210) Chrome/130.0", "tablet", "android", "chrome"),
        (b"Mozilla/5.0 (Linux; Android 14) Chrome/130.0 Mobile", "mobile", "android", "chrome"),
        (b"Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Firefox/131.0", "desktop", "linux", "firefox"),
        (b"Mozilla/5.0 (compatible; Googlebot/2.1)", "bot", None, None),
        (b"curl/8.5.0", "bot", None, None),
    ],
)
def test_a_user_agent_gives_kind_system_and_browser(
    agent: bytes, kind: str, system: str | None, browser: str | None
) -> None:
    found = device(agent)

    assert found["device.kind"] == kind
    assert found.get("device.os") == system
    assert found.get("device.browser") == browser


def test_the_client_hint_says_that_it_is_mobile() -> None:
    assert device(CHROME, b"?1")["device.kind"] == "mobile"


def test_the_place_comes_from_the_proxys_headers() -> None:
    headers = {b"x-geo-country": b"fr", b"x-geo-region": b"IDF", b"x-geo-city": b"Paris"}

    assert CONTEXT.facts(headers, NO_PAGE) == {"geo.country": "FR", "geo.region": "IDF"}


@pytest.mark.parametrize("country", [b"XX", b"T1", b"France", b"", b"\xff\xff", b"F<"])
def test_a_country_that_is_none_gives_no_fact(country: bytes) -> None:
    assert CONTEXT.facts({b"x-geo-country": country}, NO_PAGE) == {}


def test_the_page_gives_path_category_referrer_campaign_and_allowed_query_keys() -> None:
    page = Page(
        path="/p/1?color=red&utm_source=mail",
        category="shoes",
        query="size=9&secret=1",
        referrer="https://news.example/a?b",
    )

    assert CONTEXT.facts({}, page, ("color", "size", "width")) == {
        "page.path": "/p/1",
        "page.category": "shoes",
        "page.query.color": "red",
        "page.query.size": "9",
        "utm.source": "mail",
        "referrer.host": "news.example",
    }


def test_the_query_may_be_an_object_too() -> None:
    page = Page(query={"utm_campaign": "spring", "a": "b"})

    assert CONTEXT.facts({}, page, ("a",)) == {"utm.campaign": "spring", "page.query.a": "b"}


def test_a_referrer_that_is_no_address_gives_no_fact() -> None:
    assert CONTEXT.facts({}, Page(referrer="http://[")) == {}
    assert CONTEXT.facts({}, Page(referrer="nonsense")) == {}


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [(b"fr-CH, fr;q=0.9", "fr-CH"), (b"de;q=1", "de"), (b"*", ""), ("en", "en"), ("<b>", "")],
)
def test_the_first_language_is_the_locale(spoken: bytes | str, expected: str) -> None:
    assert locale(spoken) == expected


def test_the_pages_own_locale_beats_the_browsers() -> None:
    headers = {b"accept-language": b"de-DE"}

    assert CONTEXT.facts(headers, Page(locale="fr"))["locale"] == "fr"
    assert CONTEXT.facts(headers, Page(locale="!")) == {}


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "../zones", "CEST", "europe/paris", "EU\x00"])
def test_a_time_zone_that_is_none_gives_no_fact(zone: str) -> None:
    assert CONTEXT.facts({b"x-geo-timezone": zone.encode()}, NO_PAGE) == {}
    assert CONTEXT.facts({}, Page(zone=zone)) == {}


def test_the_devices_time_zone_beats_that_of_its_address() -> None:
    headers = {b"x-geo-timezone": b"Europe/Paris"}

    assert CONTEXT.facts(headers, NO_PAGE) == {"local.zone": "Europe/Paris"}
    assert CONTEXT.facts(headers, Page(zone="Asia/Tokyo")) == {"local.zone": "Asia/Tokyo"}
    assert CONTEXT.facts(headers, Page(zone="nowhere")) == {}


@given(
    st.dictionaries(
        st.sampled_from([b"x-geo-country", b"x-geo-city", b"user-agent", b"accept-language"]),
        st.binary(max_size=40),
    ),
    st.builds(Page, path=st.text(max_size=20), referrer=st.text(max_size=20), query=st.text()),
)
def test_whatever_comes_nothing_falls_and_every_fact_is_text(
    headers: dict[bytes, bytes], page: Page
) -> None:
    facts: dict[str, Any] = CONTEXT.facts(headers, page, ("a",))

    assert all(isinstance(value, str) for value in facts.values())


def test_what_headers_say_is_remembered_and_a_page_changes_nothing_of_it() -> None:
    context = Context(Config())
    headers = {b"x-geo-country": b"fr", b"accept-language": b"fr"}
    first = context.facts(headers, Page(path="/p", locale="de"))

    again = context.facts(headers, NO_PAGE)

    assert first == {"geo.country": "FR", "locale": "de", "page.path": "/p"}
    assert again == {"geo.country": "FR", "locale": "fr"}
    assert context.facts(headers, NO_PAGE) is not again, "whoever asks may add to it"
    assert context.facts(headers | {b"x-geo-country": b"de"}, NO_PAGE)["geo.country"] == "DE"


def test_a_locale_of_the_page_that_is_none_hides_the_browsers() -> None:
    assert CONTEXT.facts({b"accept-language": b"fr"}, Page(locale="?")) == {}


def test_long_headers_are_read_and_not_remembered() -> None:
    context = Context(Config())
    for number in range(3):
        agent = IPHONE + b"x" * MAX_REMEMBERED + b"%d" % number
        assert context.facts({b"user-agent": agent}, NO_PAGE)["device.os"] == "ios"
    assert not context._remembered


def test_the_words_for_systems_and_browsers_are_those_that_rules_may_ask_for() -> None:
    for attribute, table in (("device.os", _SYSTEMS), ("device.browser", _BROWSERS)):
        assert KNOWN_WORDS[attribute][1].split("|") == [word for word, _ in table]

"""Context: what headers and page say, and nothing that they do not say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config import Config
from edge.context import MAX_CONTEXTS, MAX_REMEMBERED, Context, locale
from edge.wire import NO_PAGE, Page

CONTEXT = Context(Config(city_header=""))

IPHONE = (
    b"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 "
    b"(KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)


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


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first() -> None:
    context = Context(Config())
    for number in range(MAX_CONTEXTS + 2):
        context.facts({b"x-geo-city": b"City %d" % number}, NO_PAGE)

    cities = [facts["geo.city"] for facts in context._remembered.values()]
    assert len(cities) == MAX_CONTEXTS
    assert cities[0] == "City 2"

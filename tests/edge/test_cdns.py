"""CDNs: each says a visitor's place in headers of its own, and the docs name them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.cdns import CDNS
from edge.config import Config
from edge.context import Context
from edge.wire import NO_PAGE

OPERATIONS = Path(__file__).parent.parent.parent / "docs" / "operations.md"
EDGESCAPE = (
    b"georegion=288,country_code=US,region_code=OH,city=CLEVELAND,dma=510,areacode=216+440,"
    b"county=CUYAHOGA,lat=41.5,long=-81.7,timezone=EST,zip=44101-44147,continent=NA,"
    b"throughput=vhigh,bw=5000,asnum=7015,network_type=cable"
)
OHIO = {"geo.country": "US", "geo.region": "OH", "geo.city": "Cleveland", "geo.continent": "NA"}


@pytest.mark.parametrize(
    ("cdn", "headers", "facts"),
    [
        (
            "none",
            {
                "x-geo-country": b"US",
                "x-geo-region": b"OH",
                "x-geo-city": b"Cleveland",
                "x-geo-timezone": b"America/New_York",
            },
            {
                "local.zone": "America/New_York",
                "geo.country": "US",
                "geo.region": "OH",
                "geo.city": "Cleveland",
            },
        ),
        (
            "cloudflare",
            {
                "cf-ipcountry": b"US",
                "cf-region-code": b"OH",
                "cf-ipcity": b"Cleveland",
                "cf-ipcontinent": b"NA",
                "cf-timezone": b"America/New_York",
            },
            OHIO | {"local.zone": "America/New_York"},
        ),
        (
            "cloudfront",
            {
                "cloudfront-viewer-country": b"BR",
                "cloudfront-viewer-country-region": b"SP",
                "cloudfront-viewer-city": b"S%C3%A3o Paulo",
                "cloudfront-viewer-time-zone": b"America/Sao_Paulo",
            },
            {
                "local.zone": "America/Sao_Paulo",
                "geo.country": "BR",
                "geo.region": "SP",
                "geo.city": "São Paulo",
            },
        ),
        (
            "fastly",
            {
                "x-geo-country": b"US",
                "x-geo-region": b"OH",
                "x-geo-city": b"?",
                "x-geo-continent": b"NA",
            },
            {"geo.country": "US", "geo.region": "OH", "geo.continent": "NA"},
        ),
        ("akamai", {"x-akamai-edgescape": EDGESCAPE}, OHIO | {"geo.city": "CLEVELAND"}),
        (
            "vercel",
            {
                "x-vercel-ip-country": b"US",
                "x-vercel-ip-country-region": b"OH",
                "x-vercel-ip-city": b"Cleveland",
                "x-vercel-ip-continent": b"NA",
                "x-vercel-ip-timezone": b"America/New_York",
            },
            OHIO | {"local.zone": "America/New_York"},
        ),
    ],
)
def test_the_headers_of_each_cdn_tell_the_place(
    cdn: str, headers: dict[str, bytes], facts: dict[str, str]
) -> None:
    context = Context(Config(cdn=cdn))

    assert context.facts({n.encode(): v for n, v in headers.items()}, NO_PAGE) == facts


@pytest.mark.parametrize(
    "told",
    [
        b"country_code=reserved,region_code=reserved,city=reserved,continent=reserved",
        b"country_code=,city=",
        b"country_code",
        b"xcountry_code=US",
        b"nonsense",
    ],
)
def test_a_list_that_does_not_say_it_gives_no_place(told: bytes) -> None:
    assert Context(Config(cdn="akamai")).facts({b"x-akamai-edgescape": told}, NO_PAGE) == {}


def test_a_visitor_of_tor_is_nowhere() -> None:
    headers = {b"cf-ipcountry": b"T1", b"cf-ipcontinent": b"T1"}

    assert Context(Config(cdn="cloudflare")).facts(headers, NO_PAGE) == {}


def test_a_header_of_its_own_beats_the_cdns_and_an_empty_one_leaves_it_out() -> None:
    context = Context(Config(cdn="cloudflare", country_header="X-Where:land", city_header=""))
    headers = {
        b"cf-ipcountry": b"US",
        b"cf-region-code": b"OH",
        b"cf-ipcity": b"Cleveland",
        b"x-where": b"town=Cleveland, land=FR",
    }

    assert context.facts(headers, NO_PAGE) == {"geo.country": "FR", "geo.region": "OH"}


@pytest.mark.parametrize("cdn", CDNS)
def test_every_header_of_a_cdn_stands_in_the_docs(cdn: str) -> None:
    text = OPERATIONS.read_text(encoding="utf-8").lower()
    (row,) = [line for line in text.splitlines() if line.startswith(f"| `{cdn}` |")]

    for name in CDNS[cdn]:
        header, _, key = name.partition(":")
        assert f"`{header}`" in row or not header
        assert f"`{key}`" in row or not key

"""Which headers of each CDN tell a visitor's place, time zone and address, and bots. Only names:
nothing is read here.

A name is that of a header, or `header:key` for one that lists `key=value` pairs. Where each is
documented stands in docs/operations.md.
"""

from __future__ import annotations

from typing import NamedTuple


class Cdn(NamedTuple):
    """The headers of one CDN; "" is what it does not say. zone: an IANA name. client: the visitor's
    address. bot: a score, or a word, that tells bots from people."""

    country: str = "x-geo-country"
    region: str = "x-geo-region"
    city: str = "x-geo-city"
    continent: str = "x-geo-continent"
    zone: str = "x-geo-timezone"
    client: str = ""
    bot: str = ""


NONE = "none"
CDNS = {
    NONE: Cdn(),  # what a proxy of your own is told to set
    "cloudflare": Cdn(
        "cf-ipcountry",
        "cf-region-code",
        "cf-ipcity",
        "cf-ipcontinent",
        "cf-timezone",
        "cf-connecting-ip",
        "cf-bot-score",
    ),
    "cloudfront": Cdn(
        "cloudfront-viewer-country",
        "cloudfront-viewer-country-region",
        "cloudfront-viewer-city",
        "",
        "cloudfront-viewer-time-zone",
        "cloudfront-viewer-address",
    ),
    "fastly": Cdn(zone="", client="fastly-client-ip"),  # it sets none itself: the VCL does
    "akamai": Cdn(
        "x-akamai-edgescape:country_code",
        "x-akamai-edgescape:region_code",
        "x-akamai-edgescape:city",
        "x-akamai-edgescape:continent",
        "",  # it says EST, which is no zone of anybody's in summer
        "true-client-ip",
    ),
    "vercel": Cdn(
        "x-vercel-ip-country",
        "x-vercel-ip-country-region",
        "x-vercel-ip-city",
        "x-vercel-ip-continent",
        "x-vercel-ip-timezone",
        "x-vercel-forwarded-for",
    ),
}
WITH_PORT = {b"cloudfront-viewer-address"}  # always ends in one, after an IPv6 address, too


def parts(name: str) -> tuple[bytes, bytes]:
    """The header of a name as it comes over the wire, and the key in it or b""."""
    header, _, key = name.partition(":")
    return header.lower().encode(), key.encode()

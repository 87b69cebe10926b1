"""A user agent and its Client Hints in; kind, system and browser out, in the playbook's words.

What a browser says in hints counts first, else the words in its user agent. Bots are known by what
most of them call themselves, and by the list of crawler-user-agents, matched by RE2 in linear time.
docs/adr/0013-agents.md says why no library names systems and browsers.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any, NamedTuple

import re2

BOT = "bot"
MAX_AGENT, MAX_BRANDS, MAX_HINT = 512, 256, 32  # bytes that are looked at

_BOT = re.compile(  # Cubot makes phones
    r"(?<!\bcu)bot\b|crawl|spider|slurp|preview|headless|^(?:curl|java|python|wget)\b"
)
_BRAND = re.compile(r'"([^"\\]*)"')


class Word(NamedTuple):
    """How one of our words is known. hints: what a hint says. agents: what a user agent has one of,
    in lower case; unless: and has not."""

    hints: tuple[str, ...]
    agents: tuple[str, ...]
    unless: str = ""


# The first that fits counts: browsers name those that they want to be taken for, too.
SYSTEMS = {
    "ios": Word(("iOS",), ("iphone", "ipad", "ipod")),
    "android": Word(("Android",), ("android",)),
    "windows": Word(("Windows",), ("windows",)),
    "macos": Word(("macOS",), ("mac os x", "macintosh")),
    "chromeos": Word(("Chrome OS", "Chromium OS"), ("cros ",)),
    "linux": Word(("Linux",), ("linux", "x11")),
}
BROWSERS = {
    "edge": Word(
        ("Microsoft Edge", "Microsoft Edge WebView2"), ("edg/", "edge/", "edga/", "edgios/")
    ),
    "opera": Word(("Opera", "Opera GX", "Opera Mobile", "OperaMobile"), ("opr/", "opera")),
    "samsung": Word(("Samsung Internet",), ("samsungbrowser",)),
    "firefox": Word((), ("firefox/", "fxios/")),
    "chrome": Word(
        ("Google Chrome", "Chromium", "Android WebView"), ("chrome/", "crios/", "chromium/")
    ),
    "safari": Word((), ("safari/",), unless="android"),  # what Android had before Chrome
}


@functools.cache
def crawlers() -> Any:
    """RE2's filter of the kept list; made before the first request, in some 20 ms and 5 MiB."""
    found = re2.Filter()
    listed = resources.files("crawleruseragents").joinpath("crawler-user-agents.json")
    for crawler in json.loads(listed.read_bytes()):
        found.Add(crawler["pattern"])
    found.Compile()
    return found


@functools.lru_cache(maxsize=4_096)
def device(
    agent: bytes, mobile: bytes = b"", platform: bytes = b"", brands: bytes = b""
) -> Mapping[str, str]:
    """Kind, system and browser, as far as they are known. Never raises.

    mobile, platform, brands: the hints `Sec-CH-UA-Mobile`, `Sec-CH-UA-Platform` and `Sec-CH-UA`.
    What is longer than MAX_AGENT, MAX_HINT or MAX_BRANDS is cut by the caller: readings are
    remembered by it.
    """
    told = agent.decode("latin-1")
    text = told.lower()
    hinted = _hinted(SYSTEMS, {platform.decode("latin-1").strip(' "')})
    found = {"device.kind": BOT if _is_bot(told, text) else _kind(text, mobile, hinted)}
    if system := hinted or _named(SYSTEMS, text):
        found["device.os"] = system
    named = {*_BRAND.findall(brands.decode("latin-1"))}
    if browser := _hinted(BROWSERS, named) or _named(BROWSERS, text):
        found["device.browser"] = browser
    return MappingProxyType(found)


def _is_bot(told: str, text: str) -> bool:
    return bool(_BOT.search(text) or crawlers().Match(told))


def _kind(text: str, mobile: bytes, system: str) -> str:
    """system: by hint, "" without. One of phones on a device that is none: a tablet."""
    if mobile == b"?1":
        return "mobile"
    if mobile == b"?0" and system:
        return "tablet" if system == "android" else "desktop"
    is_android = "android" in text
    if any(word in text for word in ("ipad", "tablet", "kindle", "silk/")):
        return "tablet"
    if is_android and "mobi" not in text:
        return "tablet"
    is_phone = is_android or "mobi" in text or "iphone" in text or "ipod" in text
    return "mobile" if is_phone else "desktop"


def _hinted(words: Mapping[str, Word], told: set[str]) -> str:
    return next((word for word, known in words.items() if not told.isdisjoint(known.hints)), "")


def _named(words: Mapping[str, Word], text: str) -> str:
    for word, known in words.items():
        if any(part in text for part in known.agents):
            return "" if known.unless and known.unless in text else word
    return ""

"""Headers and page in; place, time zone, device, referrer, campaign out: flat facts that need no
grant.

Nothing is guessed: a header that is missing or not of the expected form gives no fact. The user
agent itself goes nowhere: three words of it do.
"""

from __future__ import annotations

import functools
import importlib.resources
import re
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes, urlsplit

from decisions.events import MAX_WORD
from edge import cdns, wire
from edge.agents import BOT, MAX_AGENT, MAX_BRANDS, MAX_HINT, crawlers, device
from edge.atlas import PLACE
from edge.config import Config

Headers = Mapping[bytes, bytes]
Values: TypeAlias = tuple[bytes | None, ...]

# Bytes that are looked at: headers may be as long as the server takes, and readings are remembered.
MAX_PLACE, MAX_LANGUAGE = 256, 128
MAX_LIST = 1_024  # of a header that lists what it says
MAX_SCORE = 4
MAX_REMEMBERED, MAX_CONTEXTS = 1_024, 4_096  # bytes of what is remembered together, and how many

ZONE = "local.zone"
PLACES = {  # setting → attribute
    "country": "geo.country",
    "continent": "geo.continent",
    "region": "geo.region",
    "city": "geo.city",
    "zone": ZONE,
}
_COUNTRY = re.compile(rb"[A-Za-z]{2}")
_NOWHERE = {b"XX", b"T1", b"ZZ", b"RESERVED"}  # what CDNs send for unknown, Tor, private addresses
_PLACE = re.compile(r"[\w .,'()/-]{1,64}")
_LOCALE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
AGENT = (b"user-agent", b"sec-ch-ua-mobile", b"sec-ch-ua-platform", b"sec-ch-ua")
_UTM = [(f"utm.{n}", f"utm_{n}") for n in ("source", "medium", "campaign", "term", "content")]


class Context:
    """Reads what a request says of place, device and page."""

    def __init__(self, config: Config) -> None:
        told = config.told._asdict()
        places = [(PLACES[name], *cdns.parts(told[name])) for name in PLACES if told[name]]
        bot, self._bot_key = cdns.parts(told["bot"])
        self._bot_words = {word.lower().encode() for word in config.bot_values if word.isalpha()}
        ranges = [word.split("-") for word in config.bot_values if not word.isalpha()]
        self._bot_scores = [range(int(low), int(high) + 1) for low, high in ranges]
        said = [*dict.fromkeys((*(header for _, header, _ in places), *([bot] if bot else [])))]
        self._bot_at = said.index(bot) if bot else None
        self._atlas_at = len(said) if config.mmdb else None
        said += [PLACE] if config.mmdb else []
        # Attribute, place of its header among the values, key in that header.
        self._places = [(name, said.index(header), key) for name, header, key in places]
        self.headers = (*said, *AGENT, b"accept-language")
        zones(), crawlers()  # read now, not while somebody waits
        self._remembered: OrderedDict[Values, dict[str, Any]] = OrderedDict()

    def facts(
        self, headers: Headers, page: wire.Page, query_keys: Collection[str] = ()
    ) -> dict[str, Any]:
        """The context of one request: attribute name → value. Never raises.

        query_keys: those of the page's query that the playbook allows to be read.
        """
        values = (*map(headers.get, self.headers),)
        facts = (self._remembered.get(values) or self._read(values)).copy()
        if page is not wire.NO_PAGE:
            _page_facts(facts, page, query_keys)
        return facts

    def _read(self, values: Values) -> dict[str, Any]:
        """What these headers say, remembered for the next page of whoever sends them."""
        *said, agent, mobile, platform, brands, language = values
        facts = self._read_places(said)
        if agent:
            hints = (mobile or b"")[:MAX_HINT], (platform or b"")[:MAX_HINT]
            facts.update(device(agent[:MAX_AGENT], *hints, (brands or b"")[:MAX_BRANDS]))
        if self._bot_at is not None and self._is_of_bot(said[self._bot_at]):
            facts["device.kind"] = BOT
        if language and (spoken := locale(language[:MAX_LANGUAGE])):
            facts["locale"] = spoken
        if sum(len(value) for value in values if value) <= MAX_REMEMBERED:
            self._remembered[values] = facts
            if len(self._remembered) > MAX_CONTEXTS:  # the oldest: to ask for an order of use costs
                self._remembered.popitem(last=False)  # each request more than reading a few again
        return facts

    def _read_places(self, said: Sequence[bytes | None]) -> dict[str, Any]:
        """By the headers of the CDN, else by the atlas."""
        facts: dict[str, Any] = {}
        for name, place, key in self._places:
            raw = _listed(said[place], key) if key else said[place]
            if raw and len(raw) <= MAX_PLACE and (value := _place(name, raw)):
                facts[name] = value
        if self._atlas_at is not None and (told := said[self._atlas_at]):
            for name, raw in zip(PLACES.values(), told.split(b"\n"), strict=True):
                if raw and (value := _place(name, raw[:MAX_PLACE])):
                    facts[name] = value
        return facts

    def is_bot(self, headers: Headers) -> bool:
        """Whether the user agent or the CDN says so."""
        return self.facts(headers, wire.NO_PAGE).get("device.kind") == BOT

    def _is_of_bot(self, told: bytes | None) -> bool:
        said = (_listed(told, self._bot_key) if self._bot_key else told or b"").strip().lower()
        if said.isdigit() and len(said) <= MAX_SCORE:
            return any(int(said) in scores for scores in self._bot_scores)
        return said in self._bot_words


def _page_facts(facts: dict[str, Any], page: wire.Page, query_keys: Collection[str]) -> None:
    path, mark, rest = page.path.partition("?")
    if path:
        facts["page.path"] = path
    if page.category:
        facts["page.category"] = page.category
    if page.referrer and (host := _host(page.referrer)):
        facts["referrer.host"] = host
    if page.locale:  # what the page says it is in, valid or not, beats the browser
        facts.pop("locale", None)
        if spoken := locale(page.locale[:MAX_LANGUAGE]):
            facts["locale"] = spoken
    if page.zone:  # the clock of the device beats what the network makes of its address
        facts.pop(ZONE, None)
        if page.zone in zones():
            facts[ZONE] = page.zone
    if mark or page.query:
        _query_facts(facts, page, rest, query_keys)


def _query_facts(
    facts: dict[str, Any], page: wire.Page, in_path: str, query_keys: Collection[str]
) -> None:
    asked = page.query if isinstance(page.query, dict) else wire.query(page.query.encode())
    if in_path:
        asked = wire.query(in_path.encode()) | asked
    for key in query_keys:
        if key in asked:
            facts[f"page.query.{key}"] = asked[key]
    for name, key in _UTM:
        if value := asked.get(key):
            facts[name] = value[:MAX_WORD]


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


@functools.cache
def zones() -> frozenset[str]:
    """The names of all time zones; what else somebody sends never gets as far as a calendar."""
    names = importlib.resources.files("tzdata").joinpath("zones")
    return frozenset(names.read_text(encoding="utf-8").split())


def _listed(raw: bytes | None, key: bytes) -> bytes:
    """The value of one key of `key=value,key=value`; b"" without it."""
    for pair in (raw or b"")[:MAX_LIST].split(b","):
        name, _, value = pair.partition(b"=")
        if name.strip() == key:
            return value
    return b""


@functools.lru_cache(maxsize=4_096)
def _place(name: str, raw: bytes) -> str:
    if raw.upper() in _NOWHERE:
        return ""
    if name == "geo.country":
        return raw.upper().decode() if _COUNTRY.fullmatch(raw) else ""
    if b"%" in raw:  # CloudFront and Vercel encode what is not ASCII
        raw = unquote_to_bytes(raw)
    text = raw.decode("utf-8", "replace").strip()
    if name == ZONE:
        return text if text in zones() else ""
    return text if _PLACE.fullmatch(text) else ""


@functools.lru_cache(maxsize=1_024)
def locale(spoken: bytes | str) -> str:
    """The first language of an Accept-Language header, as BCP 47; "" if it is none."""
    text = spoken.decode("latin-1") if isinstance(spoken, bytes) else spoken
    first = text.split(",", 1)[0].split(";", 1)[0].strip()
    return first if _LOCALE.fullmatch(first) else ""

"""A small shop for tests: its playbook, two known customers, an edge that serves it, a browser."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from datetime import UTC, datetime
from http.cookies import SimpleCookie
from typing import Any

import httpx
import jwt
import msgspec

from decisions.compiling import compile_with_ledger
from decisions.events import AGREED, CONSENT
from decisions.ledger import visitor_key
from decisions.program import Program
from edge.apikeys import SCOPES, ApiKey, ApiKeys, digest, spelt
from edge.app import Edge, create_services
from edge.config import Config
from edge.keyring import KeyRing, key_of
from edge.oauth import TokenKeys
from edge.refresh import Served
from edge.services import Services
from edge.sinks.sink import ListSink
from snapshots.census import Interests, Score, Trait, encode_membership
from snapshots.manifest import LedgerRef, Manifest
from snapshots.membership import NO_INTEREST, Membership
from snapshots.recommendations import (
    NO_ITEM,
    SLOTS,
    Recommendations,
    encode_items,
    encode_seeds,
)
from snapshots.snapshot import Snapshot
from tests.decisions.written import playbook, rule

NOW_S = 1_795_000_000.0  # 2026-11-18 11:06:40 UTC, a Wednesday
COOKIE_KEYS = KeyRing((key_of("test-1", b"c" * 32),))
IDENTIFY_KEYS = KeyRing((key_of("site-1", b"i" * 32),))
CATALOGUE = {"category": ["shoes", "garden", "pharmacy"]}
RULES: list[dict[str, Any]] = [
    rule("rescue", '"cart_abandoner" in tags', band="service", show="hero/cart",
         cap={"times": 2, "per": "24h"}, **{"with": {"cta": "Go"}}),
    rule("pills", 'interest["pharmacy"] >= 10', show="hero/pills"),
    rule("vip", 'traits.tier == "gold"', show="hero/vip"),
    rule("again", '"loyal" in segments', show="hero/loyal"),
    rule("shoes", 'interest["shoes"] >= 40', show="hero/shoes"),
    rule("french", 'geo.country == "FR"', slot="promo", show="promo/french"),
    rule("test", 'device.kind == "mobile"', slot="promo", experiment={
        "unit": "visitor",
        "variants": {v: {"weight": 50, "show": f"promo/{v}"} for v in "ab"},
    }),
    rule("list", 'page.category == "shoes"', slot="feed", show="feed/shoes"),
]  # fmt: skip
FRAGMENTS = {
    "hero/pills": "<p>Pills</p>",
    "hero/vip": "<p>Hello{{#traits.first_name}} {{.}}{{/traits.first_name}}</p>",
    "promo/french": "<p>Bonjour</p>",
    "promo/a": "<p>A</p>",
    "promo/b": "<p>B</p>",
    "feed/shoes": '{"items": [1, 2]}',
}
TIER = {"traits.tier": {"type": "string", "purpose": "personalization"}}
FIRST_NAME = {
    "traits.first_name": {"type": "string", "purpose": "personalization", "needs": "authenticated"}
}


def program(**changes: Any) -> Program:
    """The shop's program."""
    fragments = FRAGMENTS | changes.pop("fragments", {})
    settings = {"attributes": TIER | FIRST_NAME, "rules": RULES, "query_keys": ["size"]} | changes
    written = playbook(fragments=fragments, **settings)
    return compile_with_ledger(written, None, CATALOGUE).program


def membership(salt: str) -> Membership:
    """Ann is loyal, gold and likes shoes; Bob is none of it."""
    ann, bob = visitor_key(salt, "ann"), visitor_key(salt, "bob")
    rows = sorted([ann, bob])
    first = rows.index(ann) == 0
    parts = encode_membership(
        array("Q", rows),
        built_at_s=int(NOW_S),
        segments=[("loyal", bytes([first, not first]))],
        traits={
            "tier": Trait([None, "gold"], bytes([first, not first])),
            "first_name": Trait(["Ann", "Bob"], bytes([not first, first])),
        },
        scores={"propensity": Score(bytes([1, 255]))},
        interests=Interests(
            ["shoes"],
            1,
            array("H", [0, NO_INTEREST] if first else [NO_INTEREST, 0]),
            array("H", [0x4900, 0x4900]),  # 10.0 in half floats
        ),
    )
    return Membership.open(parts)


def recommended(salt: str) -> tuple[bytearray, bytearray]:
    """Both parts: who likes boots likes laces and a pill; Ann bought boots and then a pill, Bob a
    rake."""
    ids = ["laces", "boots", "rake", "pill", "spade"]
    keep, none = 2, NO_ITEM
    items = encode_items(
        ids,
        ["garden", "pharmacy", "shoes"],
        [2, 2, 0, 1, 0],
        [10, 8, 6, 5, 5],
        array("I", [1, none, 0, 3, 4, none, 1, 4, 2, 3]),
        array("H", [32_768, 0, 32_768, 52_428, 32_768, 0, 52_428, 16_384, 32_768, 16_384]),
        keep,
    )
    bought = {visitor_key(salt, "ann"): [3, 1], visitor_key(salt, "bob"): [2]}
    codes = array("I")
    for key in sorted(bought):
        codes.extend([*bought[key], *[none] * SLOTS][:SLOTS])
    seeds = encode_seeds(items, array("Q", sorted(bought)), codes)
    return items, seeds


def snapshot(version: int = 1, **changes: Any) -> Snapshot:
    """The shop as a version of the channel `live`."""
    made = program(**changes)
    manifest = Manifest(
        channel="live",
        version=version,
        created_s=int(NOW_S),
        not_after_s=int(NOW_S) + 86_400,
        ledger=LedgerRef(revision=1, sha256="c" * 64),
    )
    members = membership(made.key_salt)
    items = None
    if made.head.recommendations is not None:
        items = Recommendations(*recommended(made.key_salt), members)
    return Snapshot(manifest, made, members, recommendations=items)


def api_key(name: str, secret: bytes, **changes: Any) -> ApiKey:
    """A key of a server, as its file has it."""
    given: dict[str, Any] = {
        "kid": digest(name.encode())[:8],
        "name": name,
        "scopes": SCOPES,
        "created": datetime.fromtimestamp(NOW_S, UTC),
        "sha256": digest(secret),
    }
    return ApiKey(**given | changes)


SERVER = api_key("shop", b"s" * 32)
SECRET = spelt(SERVER.kid, b"s" * 32)  # what that server sends


class Clock:
    """A clock that stands until it is told."""

    def __init__(self) -> None:
        self.now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


def identify_token(customer: str, now_s: float = NOW_S, **changes: Any) -> str:
    """What the site's server signs."""
    claims = {
        "aud": "edgewise-identify",
        "sub": customer,
        "iat": int(now_s),
        "exp": int(now_s) + 120,
        "auth_s": 1_800,
    } | changes
    return jwt.encode(claims, b"i" * 32, algorithm="HS256", headers={"kid": "site-1"})


def facts_token(customer: str = "ann", at_s: float = NOW_S + 5, **changes: Any) -> str:
    """What the site's server signs with a page view; None leaves a claim out."""
    claims = {
        "aud": "edgewise-facts",
        "sub": customer,
        "iat": int(at_s),
        "exp": int(at_s) + 60,
    } | changes
    told = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(told, b"i" * 32, algorithm="HS256", headers={"kid": "site-1"})


class Browser:
    """One visitor's browser: keeps cookies, sends them back under their path only."""

    def __init__(self, edge: Edge, **headers: str) -> None:
        transport = httpx.ASGITransport(app=edge)
        self._client = httpx.AsyncClient(transport=transport, base_url="https://shop.example")
        self._headers = {"user-agent": "Mozilla/5.0"} | headers  # httpx's own is a bot's
        self.cookies: dict[str, str] = {}
        self.clock = edge.services.clock
        self._events = 0

    async def send(self, method: str, path: str, **rest: Any) -> httpx.Response:
        headers = {"sec-fetch-site": "same-origin", **self._headers, **rest.pop("headers", {})}
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        reply = await self._client.request(method, path, headers=headers, **rest)
        for line in reply.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return reply

    async def consent(self, *grants: str) -> httpx.Response:
        return await self.send("PUT", "/_ew/v1/consent", json={"grants": grants, "policy": "p1"})

    def event(self, type_: str, **fields: Any) -> dict[str, Any]:
        self._events += 1
        return {"type": type_, "id": f"e{self._events}", "at": self.clock(), **fields}

    async def visit(
        self, *events: dict[str, Any], slots: tuple[str, ...] = ("hero",), **page: Any
    ) -> dict[str, Any]:
        body = {"events": events, "slots": slots, "page": page}
        reply = await self.send("POST", "/_ew/v1/visit", json=body)
        assert reply.status_code == 200, reply.text
        told: dict[str, Any] = reply.json()
        return told

    async def hero(self, *events: dict[str, Any]) -> str:
        return str((await self.visit(*events))["decisions"][0]["html"])

    async def view(self, category: str, times: int = 1) -> str:
        events = [
            self.event("product_view", item=f"{category}-{n}", category=category)
            for n in range(times)
        ]
        return await self.hero(*events)


class Shop:
    """An edge that serves the small shop, with everything a test may look at."""

    def __init__(
        self,
        served: Served | None = None,
        oauth: Callable[[], TokenKeys] | None = None,
        **settings: Any,
    ) -> None:
        self.clock, self.sink = Clock(), ListSink()
        self.api_keys = ApiKeys([SERVER])
        self.served = served or Served(snapshot())
        self.services: Services = create_services(
            Config(**settings),
            lambda: COOKIE_KEYS,
            identify=lambda: IDENTIFY_KEYS,
            api_keys=lambda: self.api_keys,
            oauth=oauth,
            served=self.served,
            sink=self.sink,
            clock=self.clock,
        )
        self.edge = Edge(self.services)

    def browser(self, **headers: str) -> Browser:
        return Browser(self.edge, **headers)

    async def ask(
        self, path: str, body: Any = None, method: str = "POST", **headers: str
    ) -> httpx.Response:
        """What a server gets that asks with its key. None: an empty object."""
        transport = httpx.ASGITransport(app=self.edge)
        async with httpx.AsyncClient(
            transport=transport, base_url="https://shop.example"
        ) as client:
            given = {"authorization": f"Bearer {SECRET}"} | headers
            sent = {
                name.replace("_", "-").encode(): value.encode("latin-1")
                for name, value in given.items()
                if value
            }
            raw = body if isinstance(body, bytes) else msgspec.json.encode(body or {})
            content = raw if method == "POST" else None
            return await client.request(method, f"/_ew/{path}", headers=sent, content=content)

    def counted(self, start: str) -> int:
        """The sum of the counters whose key begins so."""
        values = self.services.metrics.values()
        return sum(count for key, count in values.items() if key.startswith(start))

    def rows(self) -> list[dict[str, Any]]:
        """What the log holds but for choices."""
        return [row for row in self._rows() if row["type"] not in (CONSENT, AGREED)]

    def choices(self) -> list[dict[str, Any]]:
        """What the log holds of choices."""
        return [row for row in self._rows() if row["type"] in (CONSENT, AGREED)]

    def _rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = msgspec.to_builtins(self.sink.rows)
        return rows

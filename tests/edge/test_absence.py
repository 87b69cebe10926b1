"""Consent is absence: what is not granted changes no byte of reply, cookie, log or metric.

Two visitors with the same grants do the same, except for inputs that their grants forbid; whoever
looks from outside cannot tell them apart. Ids and times are the same for both by construction.
"""

from __future__ import annotations

import itertools
from typing import Any

import hypothesis
import jwt
import msgspec
import pytest
from hypothesis import strategies as st

from decisions import consent
from decisions.consent import ANALYTICS, FUNCTIONAL, PERSONALIZATION, SENSITIVE
from edge.refresh import Served
from tests.decisions.written import SETTINGS, rule
from tests.edge.shop import NOW_S, RULES, Browser, Shop, identify_token, snapshot

pytestmark = pytest.mark.anyio

TIMES = ("edgewise_decide_seconds",)  # how long it took
CATEGORIES = ("shoes", "garden", "never heard of")
TYPES = ("product_view", "add_to_cart", "unput", "article_read", "purchase", "wish", "like")
# Everything that events can teach.
SIGNALS = [
    *SETTINGS["signals"],
    {"on": "product_view", "interest": {"key": "brand", "add": 1}},
    {"on": "wish"},
    {"on": "unput", "cart": "remove"},
    {"on": "like", "preference": {"key": "category", "score": 80}},
]
LISTS = {"viewed": {"add": "product_view"}, "wishes": {"add": "wish", "of": "brand"}}
MEASURES = {
    "looked": {"count": "product_view", "within": "1h", "per": "category"},
    "spent": {"sum": "price", "of": "purchase"},
    "bought": {"last": "purchase"},
    "seen": {"distinct": "item", "of": "product_view"},
    "brands": {"distinct": "brand", "of": "product_view", "per": "category"},
}
LEARNT = [
    rule("wished", "size(lists.wishes) > 0", show="hero/vip"),
    rule("looked", 'measures.looked["pharmacy"] > 0 || measures.spent > 9.0', show="hero/vip"),
    rule("viewed", '"a" in lists.viewed', slot="promo", show="promo/a"),
    rule("seen", "measures.seen == 2", slot="promo", show="promo/b"),
    rule("brands", 'measures.brands["pharmacy"] > 0', slot="promo", show="promo/a"),
    rule("carted", '"a" in cart.products || cart.lines > 2', slot="promo", show="promo/a"),
    rule("came", 'session.campaign != ""', slot="promo", show="promo/b"),
    rule("acme", 'interest.brand["brand 7"] > 0.0', slot="promo", show="promo/french"),
]
SERVED = snapshot(
    signals=SIGNALS,
    lists=LISTS,
    measures=MEASURES,
    rules=[*LEARNT, *RULES],
    recommendations={},
)

Told = dict[str, Any]


def told(type_: str, category: str, item: str, price: float) -> Told:
    return {"type_": type_, "category": category, "item": item, "price": price}


EVENTS = st.builds(
    told,
    st.sampled_from(TYPES),
    st.sampled_from(CATEGORIES),
    st.sampled_from("abc"),
    st.sampled_from([0.0, 9.5]),
)
GRANTS = st.integers(0, 31)


def forbidden(event: Told, grants: int, other: int) -> Told:
    """The event with everything changed that these grants forbid; `other` says to what."""
    changed = dict(event)
    if not grants & (PERSONALIZATION | ANALYTICS):
        is_in_cart = grants & FUNCTIONAL and event["type_"] in ("add_to_cart", "unput")
        if not is_in_cart or event["category"] != "pharmacy":  # whether it is decides on a name
            changed["category"] = CATEGORIES[other % 3]
        changed["item"] = event["item"] if is_in_cart else f"other {other}"
        changed["brand"] = f"brand {other}"
    is_withheld = not grants & SENSITIVE and event["category"] == "pharmacy"
    measures = 0 if is_withheld else PERSONALIZATION
    if not grants & (FUNCTIONAL | ANALYTICS | measures):
        changed["price"] = float(other)
    if is_withheld:
        changed |= {"item": f"pill {other}", "brand": f"brand {other}"}
    return changed


async def history(
    shop: Shop, browser: Browser, events: list[Told], grants: int, past: int
) -> list[Any]:
    """What a visitor's requests got, and what they left."""
    names = consent.names(grants)
    if past:  # once everything was granted, and something of it is still on the device
        await browser.consent(*consent.PURPOSES)
        who = identify_token(("ann", "bob")[past % 2])
        await browser.hero(browser.event("identify", token=who))
        await browser.view(("shoes", "pharmacy")[past % 2], past)
        liked = {"category": ("garden", "shoes")[past % 2], "brand": f"brand {past}"}
        liked["item"] = f"thing {past}"
        await browser.visit(
            *(
                browser.event(each, price=float(past), **liked)
                for each in ("wish", "like", "purchase", "add_to_cart")
            ),
            path=f"/?utm_campaign=c{past}",
        )
        late = browser.cookies["user_interest_score"]
        shop.clock.now_s += 10
    await browser.consent(*names)
    if past and not grants & consent.NEED_AN_ID:
        browser.cookies["user_interest_score"] = late  # of a reply that came too late
    shop.sink.clear()
    browser._events = 0
    before = shop.services.metrics.values()
    got: list[Any] = []
    slots = ("hero", "promo", "feed")
    for event in events:
        reply = await browser.visit(browser.event(**event), slots=slots)
        page = await browser.send("GET", "/_ew/v1/fragments/hero?path=/")
        for accept in ("application/json", "text/html"):
            me = await browser.send("GET", "/_ew/v1/me", headers={"accept": accept})
            got.append(me.text)
        got += [reply, page.text, [_claims(token) for token in browser.cookies.values()]]
    after = shop.services.metrics.values()
    counted = {key: value - before.get(key, 0) for key, value in after.items()}
    kept = {key: value for key, value in counted.items() if not key.startswith(TIMES) and value}
    return [got, shop.rows(), kept]


def _claims(token: str) -> Any:
    return jwt.decode(token, options={"verify_signature": False})


def alike(**settings: Any) -> Shop:
    """A shop whose ids are the same in each: only what is forbidden may differ."""
    shop = Shop(Served(SERVED), **settings)
    numbers = itertools.count()

    def new_id(_: float) -> str:
        return f"01a2006b-0000-7000-8000-{next(numbers):012x}"

    shop.services.intake._new_id = new_id
    shop.services.intake._prefix = "prefix"
    return shop


@hypothesis.settings(max_examples=25)
@hypothesis.given(st.lists(EVENTS, max_size=4), GRANTS, st.integers(1, 5), st.integers(6, 9))
async def test_what_is_not_granted_changes_nothing(
    events: list[Told], grants: int, one: int, other: int
) -> None:
    outcomes: list[bytes] = []
    for number in (one, other):
        shop = alike()
        changed = [forbidden(event, grants, number) for event in events]
        outcome = await history(shop, shop.browser(), changed, grants, 0)
        outcomes.append(msgspec.json.encode(outcome, order="sorted"))

    assert outcomes[0] == outcomes[1]


@hypothesis.settings(max_examples=15)
@hypothesis.given(
    st.lists(EVENTS, min_size=1, max_size=3),
    st.sampled_from([grants for grants in range(32) if not grants & consent.NEED_AN_ID]),
    st.integers(1, 4),
    st.integers(5, 8),
)
async def test_what_was_granted_once_changes_nothing_later(
    events: list[Told], grants: int, one: int, other: int
) -> None:
    outcomes: list[bytes] = []
    for past in (one, other):
        shop = alike()
        changed = [forbidden(event, grants, past) for event in events]
        outcome = await history(shop, shop.browser(), changed, grants, past)
        outcomes.append(msgspec.json.encode(outcome, order="sorted"))

    assert outcomes[0] == outcomes[1]


@hypothesis.settings(max_examples=15)
@hypothesis.given(GRANTS.filter(lambda grants: not grants & SENSITIVE), st.sampled_from(TYPES))
async def test_what_a_sensitive_event_is_about_is_nowhere(grants: int, type_: str) -> None:
    outcomes: list[bytes] = []
    for number in (1, 2):
        shop = alike()
        event = told(type_, "pharmacy", "a", 9.5)
        changed = [forbidden(event, grants, number)]
        outcome = await history(shop, shop.browser(), changed, grants, 0)
        outcomes.append(msgspec.json.encode(outcome, order="sorted"))

    assert outcomes[0] == outcomes[1]
    assert b"pharmacy" not in outcomes[0]
    assert b"pill" not in outcomes[0]


FLAGS = "ofrep/v1/evaluate/flags"


def told_of(grants: int, authenticated: bool, other: int) -> Told:
    """What a server says of somebody, with everything in it by `other` that is not granted."""
    of_everybody = {"geo": {"country": ("FR", "US")[grants % 2]}, "device.kind": "mobile"}
    context: Told = {"grants": consent.names(grants), "authenticated": authenticated}
    context |= of_everybody | {"targetingKey": "visitor-1", "customer": "ann"}
    interest = {"shoes": 50.0, "pharmacy": 0.0}
    traits = {"first_name": "Ada"}
    if not grants & consent.NEED_AN_ID:
        context["targetingKey"] = f"visitor-{other}"
    if not grants & FUNCTIONAL:
        context["cart"] = {"items": other, "value": float(other), "updated_at": NOW_S - 3_600}
    if not grants & SENSITIVE:
        interest["pharmacy"] = float(10 * other)
    if not grants & PERSONALIZATION:
        context["customer"] = ("ann", "bob")[other % 2]
        interest["shoes"] = float(10 * other)
        traits["tier"] = ("gold", "none")[other % 2]
        context |= {"segments": ["loyal"][: other % 2], "counts.article_read": other}
        context |= {
            "tags": ["cart_abandoner"][: other % 2],
            "lists": {"viewed": ["a"][: other % 2]},
        }
    if not (grants & PERSONALIZATION and authenticated):
        traits["first_name"] = f"Name {other}"
    return context | {"interest": interest, "traits": traits}


@hypothesis.settings(max_examples=40)
@hypothesis.given(GRANTS, st.booleans(), st.integers(1, 5), st.integers(6, 9))
async def test_what_a_server_says_of_somebody_and_is_not_granted_changes_no_flag(
    grants: int, authenticated: bool, one: int, other: int
) -> None:
    outcomes: list[Any] = []
    for number in (one, other):
        shop = alike()
        body = {"context": told_of(grants, authenticated, number)}
        replies = [await shop.ask(path, body) for path in (FLAGS, f"{FLAGS}/hero", f"{FLAGS}/test")]
        counted = shop.services.metrics.values().items()
        kept = {key: value for key, value in counted if not key.startswith(TIMES)}
        outcomes.append([[reply.text for reply in replies], shop.rows(), kept])

    assert outcomes[0] == outcomes[1]


@hypothesis.settings(max_examples=40)
@hypothesis.given(
    GRANTS,
    st.booleans(),
    st.sampled_from(["", "authenticated"]),
    st.integers(1, 5),
    st.integers(6, 9),
)
async def test_what_is_not_granted_of_somebody_recommends_nothing(
    grants: int, authenticated: bool, needs: str, one: int, other: int
) -> None:
    served = snapshot(recommendations={"needs": needs})
    is_personal = grants & PERSONALIZATION and (authenticated or not needs)
    outcomes: list[Any] = []
    for number in (one, other):
        shop = Shop(Served(served))
        customer = "ann" if is_personal else ("ann", "bob", "stranger")[number % 3]
        items, category = "boots", ""
        if not grants & SENSITIVE:
            items += ",pill" * (number % 2)
            category = ("", "pharmacy")[number % 2]
        query = f"grants={','.join(consent.names(grants))}&items={items}&category={category}"
        path = f"v1/users/{customer}/recommendations?{query}&authenticated={authenticated:d}"
        reply = await shop.ask(path, method="GET")
        assert reply.status_code == 200
        counted = shop.services.metrics.values().items()
        kept = {key: value for key, value in counted if not key.startswith(TIMES)}
        outcomes.append([reply.text, shop.rows(), kept])

    assert outcomes[0] == outcomes[1]
    assert ("pill" in outcomes[0][0]) <= bool(grants & SENSITIVE)

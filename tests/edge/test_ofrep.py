"""OFREP: a slot or an experiment is a flag; what a context grants is read, and nothing else."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from decisions import consent
from decisions.engine import Control
from decisions.ledger import visitor_key
from decisions.reasons import Reason
from edge.flags import MAX_KEY, REASONS
from edge.refresh import Served
from tests.decisions.written import rule
from tests.edge.shop import NOW_S, Shop, identify_token, snapshot

pytestmark = pytest.mark.anyio

FLAGS = "ofrep/v1/evaluate/flags"
EVERYTHING = [*consent.PURPOSES]
PERSONAL = {"grants": ["personalization"]}
OPENFEATURE = {"CACHED", "DEFAULT", "DISABLED", "ERROR", "SPLIT", "STATIC", "STALE"}
OPENFEATURE |= {"TARGETING_MATCH", "UNKNOWN"}


async def flag(shop: Shop, key: str, **context: Any) -> dict[str, Any]:
    reply = await shop.ask(f"{FLAGS}/{key}", {"context": context})
    assert reply.status_code == 200, reply.text
    told: dict[str, Any] = reply.json()
    assert told["key"] == key
    return told


def test_every_reason_of_ours_is_one_of_openfeatures() -> None:
    assert REASONS.keys() == set(Reason)
    assert set(REASONS.values()) <= OPENFEATURE


async def test_a_slot_is_a_flag_whose_value_is_what_it_shows() -> None:
    told = await flag(Shop(), "promo", geo={"country": "FR"})

    assert told == {
        "key": "promo",
        "reason": "TARGETING_MATCH",
        "variant": "promo/french",
        "metadata": {"slot": "promo", "rule": "french", "why": "MATCH", "fragment": "promo/french"},
        "value": "<p>Bonjour</p>",
    }
    dotted = await flag(Shop(), "promo", **{"geo.country": "FR", "geo.planet": "Earth"})
    assert dotted == told


async def test_a_slot_of_json_is_a_flag_whose_value_is_an_object() -> None:
    told = await flag(Shop(), "feed", page={"category": "shoes"})
    assert told["value"] == {"items": [1, 2]}
    told = await flag(Shop(), "feed")
    assert (told["value"], told["reason"]) == ({}, "DEFAULT")


async def test_an_experiment_is_a_flag_whose_value_is_the_variant_that_a_page_shows() -> None:
    shop = Shop()
    mobile = {"device": {"kind": "mobile"}, "grants": ["functional"], "targetingKey": "somebody"}

    told = await flag(shop, "test", **mobile)
    slot = await flag(shop, "promo", **mobile)

    assert told["reason"] == slot["reason"] == "SPLIT"
    assert told["value"] == told["variant"] == slot["variant"]
    assert slot["value"] == f"<p>{told['value'].upper()}</p>"
    variants = {(await flag(shop, "test", **mobile | {"targetingKey": f"v{n}"}))["value"]
                for n in range(20)}  # fmt: skip
    assert variants == {"a", "b"}


@pytest.mark.parametrize(
    "context",
    [
        {"grants": ["functional"]},  # a desktop
        {"device": {"kind": "mobile"}},  # nothing is granted: no id may be split by
        {"device": {"kind": "mobile"}, "grants": ["functional"], "geo": {"country": "FR"}},
    ],
)
async def test_who_is_in_no_variant_gets_the_callers_own_default(context: dict[str, Any]) -> None:
    told = await flag(Shop(), "test", targetingKey="somebody", **context)

    assert "value" not in told
    assert (told["reason"], told["variant"]) == ("DEFAULT", "")


async def test_a_page_and_a_server_that_has_its_id_see_the_same_variant() -> None:
    shop = Shop()
    for _ in range(6):
        browser = shop.browser(**{"user-agent": "Mozilla/5.0 (iPhone) Mobile Safari"})
        await browser.consent("functional")
        page = await browser.visit(slots=("promo",))
        claims = jwt.decode(
            browser.cookies["user_interest_score"], options={"verify_signature": False}
        )
        told = await flag(
            shop, "promo", targetingKey=claims["sub"], grants=["functional"],
            device={"kind": "mobile"},
        )  # fmt: skip
        assert told["value"] == page["decisions"][0]["html"]


async def test_experiments_over_customers_see_the_same_on_a_page_and_for_a_server() -> None:
    split = {v: {"weight": 50, "show": f"promo/{v}"} for v in "ab"}
    over = rule("over", "true", slot="promo", experiment={"unit": "customer", "variants": split})
    shop = Shop(Served(snapshot(rules=[over])))
    seen: set[str] = set()
    for number in range(12):
        browser, who = shop.browser(), f"customer-{number}"
        await browser.consent("functional", "personalization")
        await browser.hero(browser.event("identify", token=identify_token(who)))
        page = await browser.visit(slots=("promo",))
        signed_in = {"customer": who, "authenticated": True, "targetingKey": f"device {number}"}
        told = await flag(shop, "promo", **signed_in, **PERSONAL)
        assert told["value"] == page["decisions"][0]["html"]
        seen.add(told["variant"])
        recognised = await flag(shop, "promo", **signed_in | {"authenticated": False}, **PERSONAL)
        assert recognised["variant"] == "promo/none"
    assert seen == {"a", "b"}


async def test_what_operators_stopped_is_disabled() -> None:
    shop = Shop()
    who = {"device": {"kind": "mobile"}, "grants": ["functional"], "targetingKey": "somebody"}
    serving = shop.served.current
    assert serving is not None
    for stopped in (Control(frozenset({"test"})), Control(slots=frozenset({"promo"}))):
        shop.served.current = serving.obeying(stopped)
        told = await flag(shop, "test", **who)
        assert (told["reason"], "value" in told) == ("DISABLED", False)


async def test_a_customer_is_known_by_the_snapshot_if_that_is_granted() -> None:
    shop = Shop()

    assert (await flag(shop, "hero", customer="ann"))["variant"] == "hero/welcome"
    told = await flag(shop, "hero", customer="ann", **PERSONAL)
    assert (told["variant"], told["value"]) == ("hero/vip", "<p>Hello</p>")
    signed_in = await flag(shop, "hero", customer="ann", authenticated=True, **PERSONAL)
    assert signed_in["value"] == "<p>Hello Ann</p>"
    assert (await flag(shop, "hero", customer="bob", **PERSONAL))["variant"] == "hero/welcome"
    newer = await flag(shop, "hero", customer="ann", traits={"tier": "none"}, **PERSONAL)
    assert newer["variant"] == "hero/loyal", "what the server says goes before the snapshot"


async def test_interests_of_a_customer_are_those_of_a_page_and_fade_alike() -> None:
    shoes = rule("shoes", 'interest["shoes"] >= 40', show="hero/shoes")
    shop = Shop(Served(snapshot(rules=[shoes])))
    seen: list[str] = []
    for _ in range(2):
        browser = shop.browser()
        await browser.consent("functional", "personalization")
        page = await browser.hero(
            browser.event("identify", token=identify_token("ann", shop.clock()))
        )
        told = await flag(shop, "hero", customer="ann", authenticated=True, **PERSONAL)
        assert told["value"] == page
        seen.append(told["variant"])
        shop.clock.now_s += 60 * 86_400

    assert seen == ["hero/shoes", "hero/welcome"]


async def test_a_snapshot_past_its_date_is_one_to_servers_too() -> None:
    shop = Shop(Served(snapshot(rules=[rule("fresh", "true", show="hero/pills", stale="default")])))
    assert (await flag(shop, "hero"))["variant"] == "hero/pills"

    shop.clock.now_s += 2 * 86_400

    assert (await flag(shop, "hero"))["variant"] == "hero/welcome"


async def test_a_customer_who_is_forgotten_here_is_known_no_more() -> None:
    shop = Shop()
    serving = shop.served.current
    assert serving is not None

    shop.served.forget({visitor_key(serving.program.key_salt, "ann"): int(NOW_S)})

    assert (await flag(shop, "hero", customer="ann", **PERSONAL))["variant"] == "hero/welcome"


async def test_authenticated_counts_with_personalization_only() -> None:
    told = {"traits": {"tier": "gold", "first_name": "Ann"}, "authenticated": True}
    shop = Shop()

    assert (await flag(shop, "hero", **told))["variant"] == "hero/welcome"
    assert (await flag(shop, "hero", **told, **PERSONAL))["value"] == "<p>Hello Ann</p>"
    unvouched = told | {"authenticated": False}
    assert (await flag(shop, "hero", **unvouched, **PERSONAL))["value"] == "<p>Hello</p>"


async def test_a_bot_is_nobody() -> None:
    for device in ({"device": {"kind": "bot"}}, {"device.kind": "bot"}):
        told = await flag(Shop(), "hero", customer="ann", grants=EVERYTHING, **device)
        assert told["variant"] == "hero/welcome"


CONTEXTS: list[tuple[Any, str]] = [
    ({"context": 5}, "INVALID_CONTEXT"),
    ({"context": {"targetingKey": 5}}, "INVALID_CONTEXT"),
    ({"context": {"targetingKey": "a" * (MAX_KEY + 1)}}, "INVALID_CONTEXT"),
    ({"context": {"customer": None}}, "INVALID_CONTEXT"),
    ({"context": {"authenticated": 1}}, "INVALID_CONTEXT"),
    ({"context": {"grants": "functional"}}, "INVALID_CONTEXT"),
    ({"context": {"grants": ["authenticated"]}}, "INVALID_CONTEXT"),
    ({"context": {"grants": [["functional"]]}}, "INVALID_CONTEXT"),
    ([5], "INVALID_CONTEXT"),
]


@pytest.mark.parametrize(("body", "code"), CONTEXTS)
async def test_a_context_that_is_none_is_refused_in_the_protocols_words(
    body: Any, code: str
) -> None:
    shop = Shop()

    reply = await shop.ask(f"{FLAGS}/hero", body)

    assert reply.status_code == 400
    assert reply.json().keys() == {"key", "errorCode", "errorDetails"}
    assert (reply.json()["key"], reply.json()["errorCode"]) == ("hero", code)
    bulk = await shop.ask(FLAGS, body)
    assert (bulk.status_code, bulk.json()["errorCode"]) == (400, code)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"context": {"a": ' + b"[" * 9_000])
async def test_what_is_no_json_is_a_parse_error(raw: bytes) -> None:
    reply = await Shop().ask(f"{FLAGS}/hero", raw)

    assert (reply.status_code, reply.json()["errorCode"]) == (400, "PARSE_ERROR")


async def test_an_experiment_without_a_key_to_split_by_and_an_unknown_flag_are_told() -> None:
    shop = Shop()

    missing = await shop.ask(f"{FLAGS}/test")
    unknown = await shop.ask(f"{FLAGS}/no/such")

    assert (missing.status_code, missing.json()["errorCode"]) == (400, "TARGETING_KEY_MISSING")
    assert (unknown.status_code, unknown.json()["errorCode"]) == (404, "FLAG_NOT_FOUND")
    assert unknown.json()["key"] == "no/such"
    rule_ = await shop.ask(f"{FLAGS}/french")
    assert rule_.status_code == 404, "a rule without variants is no flag"


async def test_without_a_snapshot_a_server_is_told_to_come_again() -> None:
    for path in (FLAGS, f"{FLAGS}/hero"):
        reply = await Shop(Served()).ask(path)
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")


async def test_bulk_is_every_slot_and_the_experiments_that_this_key_is_in() -> None:
    shop = Shop()
    context = {"targetingKey": "somebody", "grants": ["functional"], "device": {"kind": "mobile"}}

    reply = await shop.ask(FLAGS, {"context": context})

    told = {each["key"]: each for each in reply.json()["flags"]}
    assert told.keys() == {"hero", "promo", "feed", "test"}
    for key, each in told.items():
        assert each == await flag(shop, key, **context)
    assert shop.counted('edgewise_flags_total{reason="SPLIT"}') == 4


async def test_bulk_is_not_sent_again_while_nothing_differs() -> None:
    shop = Shop()
    first = await shop.ask(FLAGS)
    etag = first.headers["etag"]

    same = await shop.ask(FLAGS, if_none_match=etag)
    other = await shop.ask(FLAGS, {"context": {"geo": {"country": "FR"}}}, if_none_match=etag)

    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    assert other.status_code == 200
    assert other.headers["etag"] != etag
    for reply in (first, same, other):
        assert reply.headers["cache-control"] == "private, no-store"


async def test_nothing_is_kept_of_an_evaluation_and_no_cookie_is_read_or_written() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent(*EVERYTHING)
    await browser.view("shoes", 9)
    shop.sink.clear()
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())

    replies = [await shop.ask(path, cookie=cookie) for path in (FLAGS, f"{FLAGS}/hero")]

    assert replies[1].json()["variant"] == "hero/welcome"
    assert all("set-cookie" not in reply.headers for reply in replies)
    assert shop.rows() == []


async def test_a_fragment_that_fails_gives_way_to_the_slots_default() -> None:
    shop = Shop()
    serving = shop.served.current
    assert serving is not None
    program = serving.program
    program.fragments = {k: v for k, v in program.fragments.items() if k != "promo/french"}

    told = await flag(shop, "promo", geo={"country": "FR"})

    assert (told["reason"], told["value"]) == ("ERROR", "")
    assert shop.counted("edgewise_errors_total") == 1

"""The public routes: what each answers, refuses, and never does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.refresh import Served
from tests.edge.shop import NOW_S, Shop

pytestmark = pytest.mark.anyio

PERSONAL = {
    "cache-control": "private, no-store",
    "cdn-cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
}


def problem(reply: httpx.Response) -> tuple[int, str, str]:
    """Status, slug and detail of a problem document."""
    assert reply.headers["content-type"] == "application/problem+json"
    told = reply.json()
    assert told["status"] == reply.status_code
    assert told["title"]
    return reply.status_code, told["type"].rpartition("/")[2], told["detail"]


async def test_a_fragment_is_the_html_of_one_slot() -> None:
    browser = Shop().browser(**{"x-geo-country": "FR"})

    reply = await browser.send("GET", "/_ew/v1/fragments/promo?path=/p/1")

    assert (reply.status_code, reply.text) == (200, "<p>Bonjour</p>")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["server-timing"].startswith("decide;dur=")
    assert reply.headers["content-security-policy"].endswith("; sandbox")
    assert dict(reply.headers).items() >= PERSONAL.items()


async def test_a_json_slot_is_json_and_an_unknown_one_is_empty() -> None:
    browser = Shop().browser()

    reply = await browser.send("GET", "/_ew/v1/fragments/feed?category=shoes")
    assert reply.headers["content-type"] == "application/json"
    assert reply.json() == {"items": [1, 2]}

    reply = await browser.send("GET", "/_ew/v1/fragments/no/where")
    assert (reply.status_code, reply.text) == (200, "")


async def test_several_slots_come_in_one_reply() -> None:
    browser = Shop().browser(**{"x-geo-country": "FR"})

    told = (await browser.send("GET", "/_ew/v1/fragments?slots=hero,promo")).json()

    assert [one["html"] for one in told["decisions"]] == ["<h1>Welcome</h1>", "<p>Bonjour</p>"]


async def test_no_get_writes_a_cookie() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent("functional", "personalization", "analytics")
    await browser.view("shoes", 6)
    before = dict(browser.cookies)

    for path in ("v1/fragments/hero", "v1/fragments?slots=hero", "v1/consent", "loader.js"):
        reply = await browser.send("GET", f"/_ew/{path}")
        assert "set-cookie" not in reply.headers
    assert browser.cookies == before
    assert (await browser.send("GET", "/_ew/v1/fragments/hero")).text == "<p>Shoes</p>"


async def test_a_fragment_that_left_is_a_served_row() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent("analytics")
    shop.sink.clear()

    for _ in range(2):
        await browser.send("GET", "/_ew/v1/fragments/hero?path=/p")

    rows = shop.rows()
    assert [row["type"] for row in rows] == ["served", "served"]
    assert rows[0]["id"] != rows[1]["id"]
    assert (rows[0]["page"], rows[0]["x"]["slot"]) == ("/p", "hero")


async def test_what_is_known_is_remembered_for_a_second_and_by_every_byte_it_follows_from() -> None:
    shop = Shop()
    french, german = (shop.browser(**{"x-geo-country": c}) for c in ("FR", "DE"))

    async def promo(browser: Any, query: str = "") -> str:
        return str((await browser.send("GET", f"/_ew/v1/fragments/promo{query}")).text)

    assert [await promo(french), await promo(german), await promo(french)] == [
        "<p>Bonjour</p>", "", "<p>Bonjour</p>",
    ]  # fmt: skip
    serving = shop.served.current
    assert serving is not None
    assert len(serving.asked) == 2
    shop.clock.now_s += 1
    assert await promo(french) == "<p>Bonjour</p>"
    assert len(serving.asked) == 1


async def test_a_query_that_is_too_long_and_too_many_slots_are_refused() -> None:
    browser = Shop().browser()

    reply = await browser.send("GET", "/_ew/v1/fragments/hero?path=" + "a" * 5_000)
    assert problem(reply)[:2] == (414, "query-too-long")
    reply = await browser.send("GET", "/_ew/v1/fragments?slots=" + "a," * 21)
    assert problem(reply)[:2] == (400, "invalid-request")


async def test_whatever_fails_inside_a_fragment_is_an_empty_one_and_counted() -> None:
    shop = Shop()
    shop.services.reception.ask = None  # type: ignore[method-assign,assignment] # to break it
    shop.services.reception.arrive = None  # type: ignore[method-assign,assignment] # to break it

    reply = await shop.browser().send("GET", "/_ew/v1/fragments/hero")
    assert (reply.status_code, reply.text) == (200, "")
    reply = await shop.browser().send("GET", "/_ew/v1/fragments?slots=hero")
    assert reply.json() == {"decisions": []}
    reply = await shop.browser().send("POST", "/_ew/v1/visit", json={"slots": ["hero"]})
    assert problem(reply)[:2] == (500, "internal")
    assert shop.counted("edgewise_errors_total") == 3


async def test_a_beacon_is_taken_as_text() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent("personalization")
    body = (
        '{"events":[{"type":"product_view","id":"1","item":"1","category":"shoes"},{"type":"?"}]}'
    )

    reply = await browser.send(
        "POST", "/_ew/v1/events", content=body, headers={"content-type": "text/plain"}
    )

    assert reply.status_code == 202
    assert reply.json()["accepted"] == 1
    assert reply.json()["refused"][0]["index"] == 1
    assert "user_interest_score" in browser.cookies


async def test_events_that_come_again_are_logged_and_teach_nothing_yet() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent("personalization", "analytics")
    events = [browser.event("product_view", item=str(n), category="shoes") for n in range(6)]
    events += [browser.event("sign_out")]

    reply = await browser.send("POST", "/_ew/v1/events", json={"events": events, "resend": True})

    assert "set-cookie" not in reply.headers
    assert len(shop.rows()) == 7
    assert await browser.hero(*events[:6]) == "<p>Shoes</p>"


async def test_too_many_events_of_a_client_are_told_to_wait() -> None:
    browser = Shop(events_per_minute=1).browser()
    body = {"events": [{"type": "article_read"}, {"type": "article_read"}]}

    reply = await browser.send("POST", "/_ew/v1/events", json=body)

    assert problem(reply)[:2] == (429, "too-many-events")
    assert reply.headers["retry-after"] == "60"


async def test_a_choice_is_stored_and_told() -> None:
    browser = Shop().browser()
    assert (await browser.send("GET", "/_ew/v1/consent")).json() == {
        "grants": [], "at": 0, "how": "", "policy": "", "ask": True,
    }  # fmt: skip

    body = {"grants": ["analytics", "functional"], "how": "settings", "policy": "v7"}
    reply = await browser.send("PUT", "/_ew/v1/consent", json=body)

    told = {
        "grants": ["functional", "analytics"], "at": NOW_S, "how": "settings", "policy": "v7",
        "ask": False,
    }  # fmt: skip
    assert reply.json() == told
    assert (await browser.send("GET", "/_ew/v1/consent")).json() == told
    for word in ("HttpOnly", "Secure", "SameSite=Lax", "Path=/_ew;"):
        assert word in reply.headers["set-cookie"]


async def test_the_policy_of_the_settings_counts_where_the_page_names_none() -> None:
    browser = Shop(policy="site-1", cookie_path="/").browser()

    reply = await browser.send("PUT", "/_ew/v1/consent", json={"grants": []})

    assert reply.json()["policy"] == "site-1"
    assert "Path=/;" in reply.headers["set-cookie"]


async def test_broken_cookies_are_a_stranger_and_counted() -> None:
    shop = Shop()
    browser = shop.browser()
    browser.cookies = {"consent": "a.b.c", "user_interest_score": "x" * 4_000}

    assert await browser.view("shoes", 6) == "<h1>Welcome</h1>"
    assert shop.counted('edgewise_cookies_refused_total{cookie="consent"') == 1
    assert browser.cookies == {"consent": "a.b.c"}  # the profile that may not be kept is deleted


async def test_without_a_snapshot_everything_is_empty_and_nothing_is_lost() -> None:
    shop = Shop(Served(), dev=True)
    browser = shop.browser()
    await browser.consent("personalization")
    browser.cookies["user_interest_score"] = "kept"

    told = await browser.visit(browser.event("article_read"), slots=("hero",))
    assert told["decisions"] == [{"slot": "hero", "html": "", "reason": "NO_SNAPSHOT"}]
    assert told["refused"][0]["code"] == "no-snapshot"
    assert told["retry"] is told["keep"] is True
    reply = await browser.send("GET", "/_ew/v1/fragments/hero")
    assert (reply.status_code, reply.text) == (200, "")
    reply = await browser.send("GET", "/_ew/v1/fragments?slots=hero")
    assert reply.json()["decisions"][0]["html"] == ""
    reply = await browser.send("POST", "/_ew/v1/events", json={"events": []})
    assert problem(reply)[:2] == (503, "no-snapshot")
    reply = await browser.send("GET", "/_ew/readyz")
    assert (reply.status_code, reply.text) == (503, "no snapshot yet\n")
    assert (await browser.send("GET", "/_ew/healthz")).status_code == 200
    await browser.consent("personalization", "functional")
    assert browser.cookies["user_interest_score"] == "kept"
    await browser.consent("functional")
    assert "user_interest_score" not in browser.cookies


async def test_readiness_fails_while_draining() -> None:
    shop = Shop()
    assert (await shop.browser().send("GET", "/_ew/readyz")).text == "ready\n"

    shop.served.is_draining = True

    reply = await shop.browser().send("GET", "/_ew/readyz")
    assert (reply.status_code, reply.text) == (503, "draining\n")


@pytest.mark.parametrize(
    ("script", "word"), [("loader.js", "edge-slot"), ("engagement.js", "user_engagement")]
)
async def test_a_script_may_be_kept_and_is_asked_after_by_its_tag(script: str, word: str) -> None:
    browser = Shop().browser()

    reply = await browser.send("GET", f"/_ew/{script}")
    assert reply.headers["content-type"].startswith("text/javascript")
    assert reply.headers["cache-control"].startswith("public")
    assert word in reply.text

    again = await browser.send(
        "GET", f"/_ew/{script}", headers={"if-none-match": reply.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["v1/visit", "v1/events", "v1/consent"])
async def test_another_sites_page_writes_nothing(path: str) -> None:
    browser = Shop().browser(**{"sec-fetch-site": "cross-site", "origin": "https://evil.example"})
    method = "PUT" if path.endswith("consent") else "POST"

    reply = await browser.send(method, f"/_ew/{path}", json={"grants": [], "events": []})

    assert problem(reply)[:2] == (403, "foreign-origin")
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize("path", ["v1/visit", "v1/events", "v1/consent"])
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed-json"),
        (b"5", 400, "invalid-request"),
        (b"[" * 70_000, 413, "body-too-large"),
    ],
)
async def test_bad_bodies_are_problems(path: str, body: bytes, status: int, code: str) -> None:
    method = "PUT" if path.endswith("consent") else "POST"

    reply = await Shop().browser().send(method, f"/_ew/{path}", content=body)

    assert problem(reply)[:2] == (status, code)


async def test_other_paths_and_methods_are_problems_too() -> None:
    browser = Shop().browser()
    told = problem(await browser.send("GET", "/_ew/nowhere"))
    assert told == (404, "not-found", "expected a path of docs/http-api.md, got /_ew/nowhere")
    reply = await browser.send("DELETE", "/_ew/v1/visit")
    assert problem(reply) == (405, "method-not-allowed", "expected POST, got DELETE")
    assert reply.headers["allow"] == "POST"


async def test_head_is_answered_like_get_without_a_body() -> None:
    browser = Shop().browser()

    for path in ("v1/fragments/hero", "healthz", "loader.js"):
        reply = await browser.send("HEAD", f"/_ew/{path}")
        assert (reply.status_code, reply.content) == (200, b"")


async def test_the_mount_can_be_another() -> None:
    browser = Shop(mount="/p13n").browser()

    assert (await browser.send("GET", "/p13n/v1/fragments/hero")).text == "<h1>Welcome</h1>"
    assert (await browser.send("GET", "/_ew/healthz")).status_code == 404


async def test_the_same_error_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    shop = Shop()
    for seconds in (0, 1, 70):
        shop.clock.now_s += seconds
        shop.services.complaints.about("visit", ValueError("x"))

    assert len(caplog.records) == 2
    assert shop.counted("edgewise_errors_total") == 3


@pytest.mark.parametrize("dev", [False, True])
async def test_an_error_is_logged_by_type_and_place_and_not_by_what_it_says(
    dev: bool, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = "01a2006b-7000-7000-8000-000000000001"
    with caplog.at_level("ERROR"):
        try:
            try:
                raise KeyError(visitor)
            except KeyError as error:
                raise ValueError(f"expected another, got {visitor}") from error
        except ValueError as error:
            Shop(dev=dev).services.complaints.about("visit", error)

    assert "visit failed and was answered without: KeyError" in caplog.text
    assert "which led to ValueError" in caplog.text
    assert "test_routes.py" in caplog.text
    assert (visitor in caplog.text) is dev


async def test_an_error_that_is_its_own_cause_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = ValueError("x")
    error.__cause__ = error

    Shop().services.complaints.about("visit", error)

    assert caplog.text.count("ValueError") == 1


async def test_a_websocket_is_left_unanswered() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    await Shop().edge({"type": "websocket"}, receive, send)
    assert sent == []


SHOP = Shop()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.text(max_size=60),
    query=st.binary(max_size=60),
    cookie=st.binary(max_size=80),
    country=st.binary(max_size=4),
)
async def test_no_request_makes_a_fragment_fail(
    path: str, query: bytes, cookie: bytes, country: bytes
) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/_ew/v1/fragments/" + path,
        "query_string": query,
        "headers": [(b"cookie", b"consent=" + cookie), (b"x-geo-country", country)],
    }
    await SHOP.edge(scope, None, send)  # type: ignore[arg-type] # a GET receives nothing

    assert sent[0]["status"] == 200


async def test_a_stream_that_never_ends_is_refused_at_the_limit() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1_024

    reply = await Shop().browser().send("POST", "/_ew/v1/events", content=endless())

    assert problem(reply)[:2] == (413, "body-too-large")


async def test_signing_in_again_or_seeing_the_default_teaches_nothing_wrong() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent("functional", "personalization")
    x = (await browser.visit())["decisions"][0]["x"]
    events = [browser.event("seen", x=x), browser.event("article_read", x="forged")]
    events += [browser.event("product_view", item="1", category="nobody-knows")]
    events += [browser.event("sign_out")]

    reply = await browser.send("POST", "/_ew/v1/events", json={"events": [*events, events[1]]})

    assert reply.json() == {"accepted": 5}
    assert shop.counted("edgewise_interest_keys_unknown_total") == 1
    assert shop.counted('edgewise_exposures_total{result="malformed"}') == 2

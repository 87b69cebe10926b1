"""Server routes: who may ask, by which credential, how often; what is refused, and how."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import httpx
import pytest

from edge.apikeys import ApiKeys, spelt
from edge.callers import FAILURES_PER_MINUTE, MAX_CREDENTIAL
from tests.edge.shop import NOW_S, SECRET, SERVER, Shop, api_key

pytestmark = pytest.mark.anyio

FLAG = "ofrep/v1/evaluate/flags/hero"
WRONG = spelt(SERVER.kid, b"S" * 32)


def calls(shop: Shop) -> dict[str, int]:
    """Calls by caller and result."""
    found = shop.services.metrics.values().items()
    start = "edgewise_server_calls_total"
    return {key.removeprefix(start): n for key, n in found if key.startswith(start)}


def challenge(reply: httpx.Response) -> str:
    return str(reply.headers["www-authenticate"])


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {SECRET}"},
        {"authorization": f"bearer  {SECRET} "},
        {"authorization": "", "x_api_key": SECRET},
        {"authorization": "Basic dTpw", "x_api_key": SECRET},
    ],
)
async def test_a_key_is_taken_as_bearer_or_as_x_api_key(headers: dict[str, str]) -> None:
    shop = Shop()

    reply = await shop.ask(FLAG, **headers)

    assert reply.status_code == 200
    assert calls(shop) == {'{caller="shop",result="ok"}': 1}


@pytest.mark.parametrize(
    ("sent", "result"),
    [
        (f"Bearer {WRONG}", "forged"),
        (f"Bearer {spelt('00000000', b's' * 32)}", "unknown_key"),
        ("Bearer nonsense", "malformed"),
        (f"Bearer {'a' * (MAX_CREDENTIAL + 1)}", "oversized"),
        ("Bearer ewk_\xe9", "malformed"),
    ],
)
async def test_a_credential_that_does_not_count_is_answered_like_any_other(
    sent: str, result: str, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop()

    with caplog.at_level(logging.DEBUG, "edgewise"):
        reply = await shop.ask(FLAG, authorization=sent)

    assert reply.status_code == 401
    assert challenge(reply) == 'Bearer realm="edgewise", error="invalid_token"'
    assert reply.json()["type"].endswith("/unauthorized")
    assert reply.json()["detail"] == "expected a credential that this edge knows, got another"
    assert calls(shop) == {f'{{caller="",result="{result}"}}': 1}
    assert caplog.text == ""


async def test_none_is_told_which_would_help_and_an_edge_without_keys_what_to_do() -> None:
    shop = Shop()
    for sent in ("", "Basic dTpw"):
        reply = await shop.ask(FLAG, authorization=sent)
        assert (reply.status_code, challenge(reply)) == (401, 'Bearer realm="edgewise"')
        assert reply.json()["detail"] == "expected Authorization: Bearer, or X-API-Key"

    shop.api_keys = ApiKeys()
    reply = await shop.ask(FLAG, authorization="")
    assert reply.status_code == 401
    assert "make api.keys.json with `edgewise keys api new`" in reply.json()["detail"]


async def test_the_holder_of_a_key_that_ended_is_told_so() -> None:
    shop = Shop()
    end = datetime.fromtimestamp(NOW_S, UTC)
    shop.api_keys = ApiKeys([api_key("shop", b"s" * 32, expires=end)])

    reply = await shop.ask(FLAG)

    assert reply.status_code == 401
    assert "got one that is past its date" in reply.json()["detail"]


async def test_a_key_without_the_scope_may_not() -> None:
    shop = Shop()
    shop.api_keys = ApiKeys([api_key("shop", b"s" * 32, scopes=("recommendations",))])

    reply = await shop.ask(FLAG)

    assert reply.status_code == 403
    told = 'Bearer realm="edgewise", error="insufficient_scope", scope="ofrep"'
    assert challenge(reply) == told
    assert "with scope ofrep, got one for recommendations" in reply.json()["detail"]
    assert calls(shop) == {'{caller="shop",result="scope"}': 1}


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://shop.example"},
        {"origin": "https://m.example.com"},
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "cross-site"},
    ],
)
async def test_no_page_may_ask_not_even_one_of_ours_with_a_key(headers: dict[str, str]) -> None:
    shop = Shop(origins=("https://m.example.com",))

    reply = await shop.ask(FLAG, **headers)

    assert reply.status_code == 403
    assert reply.json()["type"].endswith("/not-for-pages")
    assert calls(shop) == {'{caller="",result="page"}': 1}


async def test_a_browser_asks_first_and_hears_that_no_credential_may_be_sent() -> None:
    origin = "https://m.example.com"
    shop = Shop(origins=(origin,))
    asked = {"origin": origin, "access-control-request-method": "POST"}

    reply = await shop.browser().send("OPTIONS", f"/_ew/{FLAG}", headers=asked)

    assert reply.headers["access-control-allow-headers"] == "content-type"


async def test_each_caller_has_its_own_limit_and_rotation_does_not_double_it() -> None:
    shop = Shop(server_calls_per_minute=2)
    second, batch = b"2" * 32, b"b" * 32
    twin = api_key("shop", second, kid="0" * 8)
    shop.api_keys = ApiKeys([SERVER, twin, api_key("batch", batch)])
    for secret in (SECRET, spelt(twin.kid, second)):
        assert (await shop.ask(FLAG, authorization=f"Bearer {secret}")).status_code == 200

    limited = await shop.ask(FLAG)

    assert (limited.status_code, limited.headers["retry-after"]) == (429, "1")
    assert limited.json()["type"].endswith("/too-many-requests")
    other = spelt(shop.api_keys.keys[2].kid, batch)
    assert (await shop.ask(FLAG, authorization=f"Bearer {other}")).status_code == 200
    shop.clock.now_s += 60
    assert (await shop.ask(FLAG)).status_code == 200


async def test_a_bulk_of_flags_counts_as_one_for_each_slot() -> None:
    shop = Shop(server_calls_per_minute=5)  # of three slots

    assert (await shop.ask("ofrep/v1/evaluate/flags")).status_code == 200
    assert (await shop.ask("ofrep/v1/evaluate/flags")).status_code == 429
    assert (await shop.ask(FLAG)).status_code == 200
    narrow = Shop(server_calls_per_minute=1)
    assert (await narrow.ask("ofrep/v1/evaluate/flags")).status_code == 200, "as much as there is"


async def test_failures_of_an_address_are_limited_and_a_good_key_from_there_still_counts() -> None:
    shop = Shop()
    wrong = {"authorization": f"Bearer {WRONG}"}
    for _ in range(FAILURES_PER_MINUTE):
        assert (await shop.ask(FLAG, **wrong)).status_code == 401

    assert (await shop.ask(FLAG, **wrong)).status_code == 429
    elsewhere = await shop.ask(FLAG, **wrong, x_forwarded_for="192.0.2.1")
    assert elsewhere.status_code == 401
    assert (await shop.ask(FLAG)).status_code == 200


async def test_a_key_counts_until_it_is_revoked_and_not_a_request_longer() -> None:
    shop = Shop()
    assert (await shop.ask(FLAG)).status_code == 200

    shop.api_keys = ApiKeys()

    assert (await shop.ask(FLAG)).status_code == 401

"""Previews: a signed token shows names and picks variants, and leaves no trace among visitors."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cli import main
from edge.commands.keys import create
from edge.keyring import KeyFile, KeyRing, key_of
from edge.metrics import Metrics
from edge.previews import AUDIENCE, LONGEST_S, Preview, Previews, preview_token
from edge.tokens import sign
from tests.damage import damaged, within
from tests.edge.shop import COOKIE_KEYS, NOW_S, Shop

pytestmark = pytest.mark.anyio

MOBILE = {"user-agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile"}
OTHERS = KeyRing((key_of("test-1", b"o" * 32),))
NAMES = {"fragment", "variant", "reason", "because", "steps", "snapshot"}


def token(lifetime_s: int = 600, ring: KeyRing = COOKIE_KEYS, **variants: str) -> str:
    return preview_token(ring, Preview(variants), NOW_S, lifetime_s)


def read(text: str, now_s: float = NOW_S) -> tuple[Preview | None, dict[str, int]]:
    """What a token says, and what was counted."""
    metrics = Metrics()
    found = Previews(lambda: COOKIE_KEYS, metrics, lambda: now_s).read(text)
    counted = {
        key.split('"')[1]: count
        for key, count in metrics.values().items()
        if key.startswith("edgewise_previews_total")
    }
    return found, counted


def claims(**changes: Any) -> str:
    plain = {"aud": AUDIENCE, "iat": int(NOW_S), "exp": int(NOW_S) + 60} | changes
    return sign(msgspec.json.encode(plain), COOKIE_KEYS.signing).decode()


async def ask(shop: Shop, preview: str, slot: str = "promo", **headers: str) -> dict[str, Any]:
    body = {"slots": [slot], "preview": preview}
    reply = await shop.browser(**headers).send("POST", "/_ew/v1/visit", json=body)
    told: dict[str, Any] = reply.json()["decisions"][0]
    return told


def test_a_token_says_which_variants() -> None:
    assert read(token(test="b")) == (Preview({"test": "b"}), {"taken": 1})
    assert read("") == (None, {})


@pytest.mark.parametrize(
    ("text", "now_s", "reason"),
    [
        (token(ring=OTHERS), NOW_S, "forged"),
        (token(60), NOW_S + 60 + 120, "expired"),
        (token(), NOW_S - 1_000, "not_yet"),
        (token(LONGEST_S + 1), NOW_S, "bad_claims"),
        (token(0), NOW_S, "bad_claims"),
        (claims(aud="profile"), NOW_S, "wrong_audience"),
        (claims(aud="profile", iat="x"), NOW_S, "wrong_audience"),
        (claims(iat="x"), NOW_S, "bad_claims"),
        (claims(variants=[]), NOW_S, "bad_claims"),
        (sign(b"[]", COOKIE_KEYS.signing).decode(), NOW_S, "bad_claims"),
        ("nonsense", NOW_S, "malformed"),
        ("é.a.b", NOW_S, "unknown_key"),
        ("\ud800", NOW_S, "malformed"),
        ("x" * 5_000, NOW_S, "oversized"),
    ],
)
def test_a_token_that_does_not_hold_is_ignored_and_counted(
    text: str, now_s: float, reason: str
) -> None:
    assert read(text, now_s) == (None, {reason: 1})


async def test_who_shows_a_token_sees_names_and_the_variant_that_it_forces() -> None:
    shop = Shop()

    for variant in "ab":
        told = await ask(shop, token(test=variant), **MOBILE)
        assert told["html"] == f"<p>{variant.upper()}</p>"
        assert told.keys() == {"slot", "html"} | NAMES
        assert told["because"].endswith(f"gave this visitor variant {variant}, forced")
    assert NAMES.isdisjoint(await ask(shop, "", **MOBILE))
    assert NAMES.isdisjoint(await ask(shop, token(ring=OTHERS, test="b"), **MOBILE))
    assert shop.counted('edgewise_previews_total{result="forged"}') == 1


async def test_a_forced_variant_changes_nothing_but_the_variant() -> None:
    shop = Shop()

    assert (await ask(shop, token(test="b")))["reason"] == "DEFAULT"  # the rule does not match
    unknown = await ask(shop, token(test="c", nothing="a"), **MOBILE)
    assert unknown["steps"][0]["reason"] == "ABSENT"  # chance decides, and there is no id


async def test_a_preview_is_no_exposure_and_counted_apart() -> None:
    shop = Shop()
    browser = shop.browser(**MOBILE)
    await browser.consent("functional", "analytics", "personalization")
    body = {"slots": ["promo"], "preview": token(test="a")}

    await browser.send("POST", "/_ew/v1/visit", json=body)
    query = f"preview={token(test='b')}"
    one = await browser.send("GET", f"/_ew/v1/fragments/promo?{query}")
    many = await browser.send("GET", f"/_ew/v1/fragments?slots=promo&{query}")

    assert (one.text, many.json()["decisions"][0]["variant"]) == ("<p>B</p>", "b")
    assert "x" not in many.json()["decisions"][0]
    assert shop.rows() == []
    assert shop.counted("edgewise_decisions_total") == 0
    assert shop.counted('edgewise_preview_decisions_total{slot="promo",reason="SPLIT"}') == 3

    await browser.send("GET", "/_ew/v1/fragments/promo")
    assert len(shop.rows()) == 1


def test_the_command_prints_a_token(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    create(tmp_path)
    keys = ["preview", "--keys", str(tmp_path)]

    assert main([*keys, "--variant", "test=b", "--variant", "cart=x=y", "--minutes", "5"]) == 0

    ring = KeyFile(tmp_path / "cookie.jwks").ring
    printed = capsys.readouterr().out.strip()
    made = Previews(lambda: ring, Metrics(), time.time).read(printed)
    assert made == Preview({"test": "b", "cart": "x=y"})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--minutes", "0"], "expected 1 to 1440 minutes, got 0 - at --minutes"),
        (["--minutes", "1441"], "got 1441"),
        (["--variant", "test"], "expected EXPERIMENT=VARIANT, got 'test' - at --variant"),
        (["--variant", f"test={'b' * 4_000}"], "expected fewer variants, got 1"),
    ],
)
def test_the_command_says_what_it_expected(
    words: list[str], said: str, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    create(tmp_path)

    assert main(["preview", "--keys", str(tmp_path), *words]) == 2
    assert said in capsys.readouterr().err


GOOD = msgspec.json.encode({"aud": AUDIENCE, "iat": int(NOW_S), "exp": int(NOW_S) + 60})


@given(damaged(GOOD) | st.binary(max_size=100))
def test_whatever_a_key_of_ours_signed_is_a_preview_or_none(payload: bytes) -> None:
    with within(0.5):
        found, counted = read(sign(payload, COOKIE_KEYS.signing).decode())
    assert (found is not None) == (counted == {"taken": 1})


@given(damaged(token().encode()) | st.text(max_size=200).map(str.encode))
def test_no_other_text_is_one(text: bytes) -> None:
    if text != token().encode():
        assert read(text.decode("latin-1"))[0] is None

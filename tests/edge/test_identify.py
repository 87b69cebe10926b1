"""Sign-in tokens: only the site's server can make one, for one customer, for a short time."""

from __future__ import annotations

import hmac
from typing import Any

import jwt
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.base64url import encode64
from edge.identify import MOST_AUTH_S, MOST_RECOGNISED_S, Identities
from tests.damage import damaged, within
from tests.edge.shop import IDENTIFY_KEYS, NOW_S, identify_token

IDENTITIES = Identities(lambda: IDENTIFY_KEYS)


def test_a_token_names_the_customer_and_how_long_the_sign_in_counts() -> None:
    identity, problem = IDENTITIES.read(identify_token("ann"), NOW_S)

    assert identity is not None
    assert (identity.customer, identity.auth_s, problem) == ("ann", 1_800, "")


@pytest.mark.parametrize(
    ("claimed", "recognised_s"),
    [({}, 86_400), ({"recognised_s": 0}, 1_800), ({"recognised_s": 10**9}, MOST_RECOGNISED_S)],
)
def test_a_token_may_say_how_long_the_device_is_known_as_the_customers(
    claimed: dict[str, Any], recognised_s: int
) -> None:
    identities = Identities(lambda: IDENTIFY_KEYS, recognised_s=86_400)

    identity, _ = identities.read(identify_token("ann", **claimed), NOW_S)

    assert identity is not None
    assert identity.recognised_s == recognised_s, "never shorter than the sign-in counts"


def test_a_sign_in_counts_for_a_month_at_most() -> None:
    identity, _ = IDENTITIES.read(identify_token("ann", auth_s=10**9), NOW_S)

    assert identity is not None
    assert identity.auth_s == MOST_AUTH_S


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"aud": "edgewise"}, "expected a sign-in token, got: Audience"),
        ({"sub": ""}, "expected a sub of 1 to 256 characters, got 0"),
        ({"sub": "a" * 257}, "got 257"),
        ({"exp": int(NOW_S) + 301}, "expected exp at most 300 s after iat, got 301 s"),
        ({"exp": int(NOW_S) - 1}, "got -1 s"),
        ({"iat": int(NOW_S) - 400, "exp": int(NOW_S) - 130}, "one 130 s past its exp"),
        ({"iat": int(NOW_S) + 200, "exp": int(NOW_S) + 300}, "one from 200 s ahead"),
        ({"auth_s": -1}, "expected auth_s >= 0, got -1"),
        ({"auth_s": "long"}, "expected a sign-in token"),
        ({"recognised_s": -1}, "expected recognised_s >= 0, got -1"),
        ({"exp": "soon"}, "expected a sign-in token"),
    ],
)
def test_a_token_that_claims_something_else_is_refused(
    changes: dict[str, Any], problem: str
) -> None:
    identity, told = IDENTITIES.read(identify_token("ann", **changes), NOW_S)

    assert identity is None
    assert problem in told
    assert told.endswith(" - at `$.token`")


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "..", "é.é.é", "a" * 4_000])
def test_what_is_no_token_is_refused(token: str) -> None:
    assert IDENTITIES.read(token, NOW_S)[0] is None


def test_another_key_another_kid_and_no_signature_are_refused() -> None:
    claims = {"aud": "edgewise-identify", "sub": "a", "iat": int(NOW_S), "exp": int(NOW_S) + 60}
    forged = jwt.encode(claims, b"x" * 32, algorithm="HS256", headers={"kid": "site-1"})
    foreign = jwt.encode(claims, b"i" * 32, algorithm="HS256", headers={"kid": "site-2"})
    unsigned = jwt.encode(claims, "", algorithm="none", headers={"kid": "site-1"})

    assert "Signature" in IDENTITIES.read(forged, NOW_S)[1]
    assert "expected a kid of identify.jwks, got 'site-2'" in IDENTITIES.read(foreign, NOW_S)[1]
    assert IDENTITIES.read(unsigned, NOW_S)[0] is None


def spellings(token: str) -> list[str]:
    """Other texts that lenient base64 reads as the same bytes."""
    found: list[str] = []
    parts = token.split(".")
    for at, part in enumerate(parts):
        # Only a part whose last character has unused bits can be written another way.
        other = part[:-1] + chr(ord(part[-1]) + 1) if len(part) % 4 else part + "="
        for spelt in (other, part + "=" * (-len(part) % 4 or 4), part[:4] + "\n" + part[4:]):
            found.append(".".join([*parts[:at], spelt, *parts[at + 1 :]]))
    return found


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_token_has_one_spelling(length: int) -> None:
    token = identify_token("a" * length)
    assert IDENTITIES.read(token, NOW_S)[0] is not None

    for other in spellings(token):
        assert IDENTITIES.read(other, NOW_S)[0] is None, other


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "kid": "site-1"},
        {"alg": "RS256", "kid": "site-1"},
        {"alg": "HS512", "kid": "site-1"},
        {"alg": "HS256", "kid": "site-1", "crit": ["b64"], "b64": False},
        {"alg": "HS256", "kid": ["site-1"]},
        {"alg": "HS256"},
        {"alg": ["HS256"], "kid": "site-1"},
        ["HS256"],
    ],
)
def test_a_header_chooses_nothing(header: Any) -> None:
    claims = identify_token("ann").split(".")[1]
    signed = encode64(msgspec.json.encode(header)).decode() + "." + claims
    for digest in ("sha256", "sha512"):
        mac = encode64(hmac.digest(b"i" * 32, signed.encode(), digest)).decode()
        assert IDENTITIES.read(f"{signed}.{mac}", NOW_S)[0] is None
    assert IDENTITIES.read(f"{signed}.", NOW_S)[0] is None


@pytest.mark.parametrize(
    "payload", [b"[" * 3_000, b'{"a":' * 600, b"null", b"\xff", b'{"iat":1e999}']
)
def test_a_signed_payload_that_is_no_claims_is_refused(payload: bytes) -> None:
    head = identify_token("ann").split(".")[0]
    signed = head + "." + encode64(payload).decode()
    mac = encode64(hmac.digest(b"i" * 32, signed.encode(), "sha256")).decode()

    assert IDENTITIES.read(f"{signed}.{mac}", NOW_S)[0] is None


@pytest.mark.parametrize("claim", ["iat", "exp", "auth_s"])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 1e308, True])
def test_a_number_that_is_no_moment_is_refused_or_bounded(claim: str, number: float) -> None:
    identity, _ = IDENTITIES.read(identify_token("ann", **{claim: number}), NOW_S)

    assert identity is None or (claim == "auth_s" and 0 <= identity.auth_s <= MOST_AUTH_S)


def test_an_edge_without_keys_signs_nobody_in() -> None:
    assert Identities().read(identify_token("ann"), NOW_S) == (
        None,
        "expected identify.jwks on this edge, found none",
    )


HEADER = b'{"alg":"HS256","kid":"site-1"}'
CLAIMS = msgspec.json.encode(
    {"aud": "edgewise-identify", "sub": "ann", "iat": int(NOW_S), "exp": int(NOW_S) + 120}
)


@given(
    damaged(HEADER) | st.just(HEADER) | st.binary(max_size=60),
    damaged(CLAIMS) | st.just(CLAIMS) | st.binary(max_size=60),
    st.booleans(),
)
def test_whatever_header_and_claims_a_token_has_it_names_somebody_or_is_refused_with_a_reason(
    header: bytes, claims: bytes, signed: bool
) -> None:
    said = encode64(header) + b"." + encode64(claims)
    mac = hmac.digest(b"i" * 32, said, "sha256") if signed else b"?" * 32
    with within(0.5):
        identity, problem = IDENTITIES.read((said + b"." + encode64(mac)).decode(), NOW_S)
    assert (identity is None) == bool(problem)
    assert signed or identity is None


@given(damaged(identify_token("ann").encode()) | st.text(max_size=200).map(str.encode))
def test_no_other_text_names_anybody(text: bytes) -> None:
    if text != identify_token("ann").encode():
        assert IDENTITIES.read(text.decode("latin-1"), NOW_S)[0] is None

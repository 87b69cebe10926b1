"""Sign-in tokens: only the site's server can make one, for one customer, for a short time."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from edge.identify import MOST_AUTH_S, Identities
from tests.edge.shop import IDENTIFY_KEYS, NOW_S, identify_token

IDENTITIES = Identities(lambda: IDENTIFY_KEYS)


def test_a_token_names_the_customer_and_how_long_the_sign_in_counts() -> None:
    identity, problem = IDENTITIES.read(identify_token("ann"), NOW_S)

    assert identity is not None
    assert (identity.customer, identity.auth_s, problem) == ("ann", 1_800, "")


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


def test_an_edge_without_keys_signs_nobody_in() -> None:
    assert Identities().read(identify_token("ann"), NOW_S) == (
        None,
        "expected identify.jwks on this edge, found none",
    )

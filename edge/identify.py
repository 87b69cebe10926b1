"""Sign-in tokens: a JWT of the site's server in, the customer it names out, or why not.

HS256 by the keys of identify.jwks, `aud` edgewise-identify, at most five minutes from `iat` to
`exp`. It comes once per sign-in, so PyJWT reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jwt
import msgspec

from decisions.base64url import decode64
from edge.keyring import KeyRing

AUDIENCE = "edgewise-identify"
LONGEST_S = 300  # from `iat` to `exp`: it travels through the page, once
LEEWAY_S = 120  # clocks of the site and of this node differ
DEFAULT_AUTH_S = 1_800  # for a site that does not say how long a sign-in counts
MOST_AUTH_S = 30 * 86_400
MAX_CUSTOMER = 256

_REQUIRED: list[str] = ["sub", "iat", "exp", "aud"]


class Identity(msgspec.Struct, frozen=True):
    """Who signed in, and for how many seconds that counts."""

    customer: str
    auth_s: int


class _Claims(msgspec.Struct):
    sub: str
    iat: float
    exp: float
    auth_s: float = DEFAULT_AUTH_S


class Identities:
    """Reads sign-in tokens. ring: gives the keys of the moment; without one nobody can sign in."""

    def __init__(self, ring: Callable[[], KeyRing] | None = None) -> None:
        self._ring = ring

    def read(self, token: str, now_s: float) -> tuple[Identity | None, str]:
        """The identity, or None and what was expected and came. Never raises."""
        if self._ring is None:
            return None, "expected identify.jwks on this edge, found none"
        try:
            if not all(decode64(part.encode()) is not None for part in token.split(".")):
                return None, "expected base64url in its one spelling - at `$.token`"
            kid = str(jwt.get_unverified_header(token).get("kid", ""))
            if (key := self._ring().by_kid.get(kid)) is None:
                return None, f"expected a kid of identify.jwks, got {kid[:64]!r} - at `$.token`"
            options: Any = {"require": _REQUIRED, "verify_exp": False, "verify_iat": False}
            raw = jwt.decode(token, key.secret, ["HS256"], options=options, audience=AUDIENCE)
            claims = msgspec.convert(raw, _Claims)
        except (jwt.PyJWTError, msgspec.ValidationError, ValueError) as error:
            return None, f"expected a sign-in token, got: {error} - at `$.token`"
        if problem := _problem(claims, now_s):
            return None, f"{problem} - at `$.token`"
        return Identity(claims.sub, int(min(claims.auth_s, MOST_AUTH_S))), ""


def _problem(claims: _Claims, now_s: float) -> str:
    if not 0 < len(claims.sub) <= MAX_CUSTOMER:
        return f"expected a sub of 1 to {MAX_CUSTOMER} characters, got {len(claims.sub)}"
    if not 0 < claims.exp - claims.iat <= LONGEST_S:
        return f"expected exp at most {LONGEST_S} s after iat, got {claims.exp - claims.iat:.0f} s"
    if claims.exp + LEEWAY_S <= now_s:
        return f"expected a token that still holds, got one {now_s - claims.exp:.0f} s past its exp"
    if claims.iat - LEEWAY_S > now_s:
        return f"expected a token of now, got one from {claims.iat - now_s:.0f} s ahead"
    return "" if claims.auth_s >= 0 else f"expected auth_s >= 0, got {claims.auth_s:.0f}"

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
MOST_RECOGNISED_S = 390 * 86_400  # as long as a profile is kept at most
MAX_CUSTOMER = 256

_REQUIRED: list[str] = ["sub", "iat", "exp", "aud"]


class Identity(msgspec.Struct, frozen=True):
    """Who signed in, for how many seconds that counts, and for how many from now the device is
    known as theirs."""

    customer: str
    auth_s: int
    recognised_s: int


class _Claims(msgspec.Struct):
    sub: str
    iat: float
    exp: float
    auth_s: float = DEFAULT_AUTH_S
    recognised_s: float | None = None


class Identities:
    """Reads sign-in tokens. ring: gives the keys of the moment; without one nobody can sign in.
    recognised_s: for tokens that do not say it."""

    def __init__(
        self, ring: Callable[[], KeyRing] | None = None, recognised_s: float = 0.0
    ) -> None:
        self._ring, self._recognised_s = ring, recognised_s

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
        known_s = self._recognised_s if claims.recognised_s is None else claims.recognised_s
        auth_s = int(min(claims.auth_s, MOST_AUTH_S))
        return Identity(claims.sub, auth_s, max(auth_s, int(min(known_s, MOST_RECOGNISED_S)))), ""


def _problem(claims: _Claims, now_s: float) -> str:
    if not 0 < len(claims.sub) <= MAX_CUSTOMER:
        return f"expected a sub of 1 to {MAX_CUSTOMER} characters, got {len(claims.sub)}"
    if not 0 < claims.exp - claims.iat <= LONGEST_S:
        return f"expected exp at most {LONGEST_S} s after iat, got {claims.exp - claims.iat:.0f} s"
    if claims.exp + LEEWAY_S <= now_s:
        return f"expected a token that still holds, got one {now_s - claims.exp:.0f} s past its exp"
    if claims.iat - LEEWAY_S > now_s:
        return f"expected a token of now, got one from {claims.iat - now_s:.0f} s ahead"
    for name in ("auth_s", "recognised_s"):
        span_s = getattr(claims, name)
        if span_s is not None and not span_s >= 0:
            return f"expected {name} >= 0, got {span_s:.0f}"
    return ""

"""Preview tokens: names in replies and chosen variants for who shows a token of the site's keys.

A JWT (HS256, `aud` edgewise-preview) under a cookie key, made by `edgewise preview`, good for at
most a day. It opens nothing that a visitor could not see: it only says what was decided, and picks
among an experiment's variants. A token that does not hold is counted, and the request is one like
any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec

from edge.keyring import KeyRing
from edge.metrics import Metrics
from edge.tokens import Refusal, sign, timely, verify

AUDIENCE = "edgewise-preview"
LONGEST_S = 86_400  # it travels in addresses of pages, which are logged and shared
MAX_BYTES = 4_096
TAKEN = "taken"
RESULTS = 'edgewise_previews_total{{result="{}"}}'


class Preview(msgspec.Struct, frozen=True):
    """What its holder sees: the variants that experiments (by rule id) are forced to."""

    variants: dict[str, str] = {}


class _Addressed(msgspec.Struct, frozen=True):
    aud: str = ""


class _Claims(msgspec.Struct, frozen=True):
    aud: str
    iat: Annotated[int, msgspec.Meta(ge=0)]
    exp: int
    variants: dict[str, str] = {}


_DECODER = msgspec.json.Decoder(_Claims)
_ADDRESSED = msgspec.json.Decoder(_Addressed)


def preview_token(ring: KeyRing, preview: Preview, now_s: float, lifetime_s: int) -> str:
    """A token that counts until `lifetime_s` (at most LONGEST_S) from now."""
    issued_s = int(now_s)
    claims = _Claims(AUDIENCE, issued_s, issued_s + lifetime_s, preview.variants)
    return sign(msgspec.json.encode(claims), ring.signing).decode("ascii")


class Previews:
    """Reads preview tokens, and counts what became of each."""

    def __init__(
        self, ring: Callable[[], KeyRing], metrics: Metrics, clock: Callable[[], float]
    ) -> None:
        """ring: gives the cookie keys of the moment."""
        self._ring, self._metrics, self._clock = ring, metrics, clock

    def read(self, token: str) -> Preview | None:
        """The preview of a token, None for no token and for one that does not hold. Never
        raises."""
        if not token:
            return None
        found = self._read(token.encode("utf-8", "replace"))
        result = found.value if isinstance(found, Refusal) else TAKEN
        self._metrics.count(RESULTS.format(result))
        return None if isinstance(found, Refusal) else found

    def _read(self, token: bytes) -> Preview | Refusal:
        payload = verify(token, self._ring(), MAX_BYTES)
        if isinstance(payload, Refusal):
            return payload
        try:
            if _ADDRESSED.decode(payload).aud != AUDIENCE:
                return Refusal.WRONG_AUDIENCE
            claims = _DECODER.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return Refusal.BAD_CLAIMS
        if not 0 < claims.exp - claims.iat <= LONGEST_S:
            return Refusal.BAD_CLAIMS
        return timely(claims.exp, claims.iat, self._clock()) or Preview(claims.variants)

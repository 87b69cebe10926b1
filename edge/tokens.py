"""Signed tokens: HS256 JWTs that any library can read; verifying one takes microseconds, no raise.

A token has one of the ring's fixed headers, so that nothing of it is interpreted before its
signature is right, and no algorithm but ours exists. Base64url is taken in its one canonical
spelling only.
"""

from __future__ import annotations

import enum
import hmac

from decisions.base64url import decode64, encode64
from edge.keyring import Key, KeyRing

LEEWAY_S = 120  # nodes' clocks differ


class Refusal(enum.StrEnum):
    """Why a token counts for nothing: a closed list, the words of the metrics."""

    OVERSIZED = "oversized"
    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown_key"
    FORGED = "forged"
    WRONG_AUDIENCE = "wrong_audience"
    WRONG_VERSION = "wrong_version"
    BAD_CLAIMS = "bad_claims"
    UNOPENED = "unopened"  # sealed for another visitor, or by another key
    EXPIRED = "expired"
    NOT_YET = "not_yet"


def sign(payload: bytes, key: Key) -> bytes:
    """The compact JWS of a payload."""
    signed = key.header + b"." + encode64(payload)
    return signed + b"." + _mac(signed, key)


def _mac(signed: bytes, key: Key) -> bytes:
    return encode64(key.mac(signed))


def verify(token: bytes, ring: KeyRing, max_bytes: int) -> bytes | Refusal:
    """The payload of a token that this ring signed."""
    if len(token) > max_bytes:
        return Refusal.OVERSIZED
    header, _, rest = token.partition(b".")
    payload, dot, mac = rest.partition(b".")
    if not dot:
        return Refusal.MALFORMED
    key = ring.by_header.get(header)
    if key is None:
        return Refusal.UNKNOWN_KEY
    signed = token[: len(token) - len(mac) - 1]
    if not hmac.compare_digest(_mac(signed, key), mac):
        return Refusal.FORGED
    raw = decode64(payload)
    return Refusal.MALFORMED if raw is None else raw


def timely(exp: float, nbf: float, now_s: float) -> Refusal | None:
    """Whether a token counts now, give or take LEEWAY_S; None if it does."""
    if not now_s - LEEWAY_S < exp:
        return Refusal.EXPIRED
    return Refusal.NOT_YET if nbf > now_s + LEEWAY_S else None

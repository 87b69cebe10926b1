"""The x token: what was decided in, 52 characters out that events echo; and back, or why not.

It joins what was served, seen and acted on, and cannot be forged: a MAC of 104 bits under a key of
its own, derived from the cookie keys. The MAC is keyed BLAKE2b (RFC 7693 §2.9), which needs no HMAC
around it and takes a third of its time, five times a visit. It names nobody: a visitor is 4 bytes
of a hash. Layout, big-endian: key u8, snapshot version u32, slot u16, rule u32, variant u8,
probability u16, time u32, visitor 4, facts 4, MAC 13.
"""

from __future__ import annotations

import enum
import hmac
import struct
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple, TypeAlias

import msgspec

from decisions.base64url import decode64, encode64
from edge.keyring import Key, KeyRing
from edge.tokens import LEEWAY_S, Refusal

CHARACTERS = 52
MAX_AGE_S = 7 * 86_400.0  # the window of a goal, where a playbook does not say otherwise
NO_RULE, NO_VARIANT, HELD_OUT = 0xFFFFFFFF, 0xFF, 0xFE
NO_VISITOR = b"\0\0\0\0"
REMEMBERED = 16_384  # sightings; twice as many are 4 MB

_HEAD, _CHOICE, _TAIL = struct.Struct(">BI"), struct.Struct(">HIBH"), struct.Struct(">I4s4s")
_LAYOUT = struct.Struct(">BIHIBHI4s4s")  # the three of them
_MAC_BYTES = 13  # together 39 bytes, a multiple of 3
_ONE = 60_000  # probability 1; every share of 10,000 buckets is exact


Sign: TypeAlias = Callable[[int, int, int, float], str]  # slot, rule, variant, probability


class Exposure(msgspec.Struct, frozen=True):
    """One decision that left. slot, rule, variant: their places in the program of that snapshot
    (NO_RULE for the default, NO_VARIANT without an experiment, HELD_OUT for a unit of the holdout).
    probability: of this variant, 0 to 1. at_s: whole seconds. visitor: `visitor_hash`. facts:
    `Facts.digest`.
    """

    version: int
    slot: int
    rule: int = NO_RULE
    variant: int = NO_VARIANT
    probability: float = 1.0
    at_s: int = 0
    visitor: bytes = NO_VISITOR
    facts: bytes = NO_VISITOR


class Marks(NamedTuple):
    """The hashes of visitor and facts that `x` carries, the same for all slots of a visit, and what
    signs them."""

    visitor: bytes
    facts: bytes
    sign: Sign


def visitor_hash(visitor: str) -> bytes:
    """4 bytes of an id's hash; NO_VISITOR for nobody."""
    return blake2b(visitor.encode(), digest_size=4).digest() if visitor else NO_VISITOR


class Exposures:
    """Signs and opens x tokens with the keys of the moment.

    ring: gives the current keys. max_age_s: an older token is refused as expired.
    """

    def __init__(self, ring: Callable[[], KeyRing], *, max_age_s: float = MAX_AGE_S) -> None:
        self._ring, self._max_age_s = ring, max_age_s
        self._keys: KeyRing | None = None
        self._signing = (0, b"")
        self._secrets: dict[int, list[bytes]] = {}

    def sign(self, exposure: Exposure) -> str:
        """The token of an exposure whose numbers fit the layout. Raises struct.error otherwise."""
        one = exposure
        sign = self.signer(one.version, one.at_s, one.visitor, one.facts)
        return sign(one.slot, one.rule, one.variant, one.probability)

    def signer(self, version: int, at_s: int, visitor: bytes, facts: bytes) -> Sign:
        """Signs what one visit decides: what its tokens have in common is packed once."""
        self._derive()
        number, secret = self._signing
        head, tail = _HEAD.pack(number, version), _TAIL.pack(at_s, visitor, facts)

        def sign(slot: int, rule: int, variant: int, probability: float) -> str:
            body = head + _CHOICE.pack(slot, rule, variant, round(probability * _ONE)) + tail
            mac = blake2b(body, key=secret, digest_size=_MAC_BYTES).digest()
            return encode64(body + mac).decode()

        return sign

    def open(self, token: str, now_s: float) -> Exposure | Refusal:
        """What a token says; MALFORMED, UNKNOWN_KEY, FORGED, EXPIRED or NOT_YET. Never raises."""
        if len(token) != CHARACTERS or not token.isascii():
            return Refusal.MALFORMED
        raw = decode64(token.encode())
        if raw is None:
            return Refusal.MALFORMED
        self._derive()
        body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        secrets = self._secrets.get(body[0])
        if secrets is None:
            return Refusal.UNKNOWN_KEY
        macs = [blake2b(body, key=key, digest_size=_MAC_BYTES).digest() for key in secrets]
        if not any(hmac.compare_digest(ours, mac) for ours in macs):
            return Refusal.FORGED
        _, version, slot, rule, variant, chance, at_s, visitor, facts = _LAYOUT.unpack(body)
        if at_s > now_s + LEEWAY_S:
            return Refusal.NOT_YET
        if at_s < now_s - self._max_age_s:
            return Refusal.EXPIRED
        return Exposure(version, slot, rule, variant, chance / _ONE, at_s, visitor, facts)

    def _derive(self) -> None:
        """Own secrets for this ring, once per ring: a cookie's signature is never an x token's."""
        ring = self._ring()
        if ring is self._keys:
            return
        secrets: dict[int, list[bytes]] = {}
        for key in ring.keys:
            secrets.setdefault(_number(key), []).append(_secret(key))
        self._signing = (_number(ring.signing), _secret(ring.signing))
        self._secrets, self._keys = secrets, ring


class Sighting(enum.StrEnum):
    """What an event that says "seen" is, as far as is remembered; the words of the metrics."""

    FIRST = "first"
    REPEATED = "repeated"  # the same event, sent again
    REPLAYED = "replayed"  # another event about the same decision


class Sightings:
    """Which decisions were seen, and which event said so: of this process, and of late.

    Two generations; the older is forgotten as a whole, so that memory stays bounded whatever comes.
    """

    def __init__(self, most: int = REMEMBERED) -> None:
        """most: decisions that are remembered at least."""
        self._most = most
        self._young: dict[int, int] = {}  # hashes, keyed by Python itself: nobody can aim at one
        self._old: dict[int, int] = {}

    def note(self, x: str, event_id: str) -> Sighting:
        """What it is that this event says that it saw `x`, from now on the first to say so."""
        decision, event = hash(x), hash(event_id)
        first = self._young.get(decision)
        if first is None:
            first = self._old.get(decision)
        if first is not None:
            return Sighting.REPEATED if first == event else Sighting.REPLAYED
        if len(self._young) >= self._most:
            self._old, self._young = self._young, {}
        self._young[decision] = event
        return Sighting.FIRST


def _number(key: Key) -> int:
    return blake2b(key.kid.encode(), digest_size=1).digest()[0]


def _secret(key: Key) -> bytes:
    return hmac.digest(key.secret, b"edgewise x token 2", "sha256")

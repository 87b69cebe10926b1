"""Facts tokens: a JWT of the site's server in, what it knows of a visitor just now out, or why not.

HS256 by the keys of identify.jwks, `aud` edgewise-facts, at most five minutes from `iat` to `exp`.
It comes with every page view, so it is read without PyJWT, which is the oracle of the tests. It
names whom it is about, and counts for nobody else: a copy of it is worthless to another visitor.
Nothing of it is kept.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec

from decisions.base64url import decode64, encode64
from decisions.cart import named
from decisions.consent import FUNCTIONAL, PERSONALIZATION
from decisions.engine import NOTHING
from decisions.events import MAX_PRICE, MAX_QUANTITY, Price, Quantity, Word
from decisions.ledger import visitor_key
from decisions.profile import Profile
from edge.keyring import KeyRing
from edge.metrics import Metrics
from edge.tokens import Refusal, timely

AUDIENCE = "edgewise-facts"
LONGEST_S = 300  # from `iat` to `exp`: it is made for one page view
MAX_BYTES = 8_192  # it travels with every page view
TAKEN, FOREIGN, NO_KEYS = "taken", "foreign", "no_keys"
RESULTS = 'edgewise_facts_tokens_total{{result="{}"}}'


class Line(msgspec.Struct, frozen=True):
    """What the basket has of one product. category, brand: tell whether it is sensitive."""

    item: Word
    quantity: Quantity = 1
    price: Price = 0.0
    category: Word = ""
    brand: Word = ""


class Cart(msgspec.Struct, frozen=True):
    """The basket as the shop has it. updated_at: when it last changed, seconds since the epoch.
    lines: what it has of each product, as far as the shop tells."""

    items: Annotated[int, msgspec.Meta(ge=0, le=MAX_QUANTITY)]
    value: Annotated[float, msgspec.Meta(ge=0, le=MAX_PRICE)]
    updated_at: Annotated[float, msgspec.Meta(ge=0)]
    lines: tuple[Line, ...] = ()

    def facts(self, now_s: float, sensitive: frozenset[str]) -> dict[str, Any]:
        """The basket as attributes. Without lines no product of it is known: those of an older
        basket are not taken for its own."""
        pieces: dict[str, int] = {}
        for line in self.lines:
            name = named(line.item, line.category, line.brand, sensitive)
            if name and line.quantity:
                pieces[name] = pieces.get(name, 0) + line.quantity
        has_more = self.items > sum(pieces.values())  # it counts as one, as in a profile
        return {
            "cart.items": self.items,
            "cart.value": self.value,
            "cart.updated_at": min(self.updated_at, now_s),
            "cart.lines": len(pieces) + has_more,
            "cart.products": frozenset(pieces),
        }


class _Header(msgspec.Struct, frozen=True):
    alg: Literal["HS256"]
    kid: str
    crit: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET  # extensions: we understand none


class _Addressed(msgspec.Struct, frozen=True):
    aud: str | list[str] = ""


class _Claims(msgspec.Struct, frozen=True):
    iat: Annotated[float, msgspec.Meta(ge=0)]
    exp: float
    nbf: float = 0.0
    sub: str = ""
    visitor: str = ""
    traits: dict[str, Any] = {}
    scores: dict[str, Any] = {}
    segments: dict[str, bool] = {}
    cart: Cart | None = None


_HEADER = msgspec.json.Decoder(_Header)
_ADDRESSED = msgspec.json.Decoder(_Addressed)
_CLAIMS = msgspec.json.Decoder(_Claims)
_NO_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Fresh(msgspec.Struct, frozen=True):
    """What the site's server knew at `at_s`. values: attribute → value, None where there is none
    any more. segments: name → whether the customer is in it."""

    at_s: float
    values: dict[str, Any]
    segments: dict[str, bool]
    cart: Cart | None

    def over(
        self,
        sure: dict[str, Any],
        grants: int,
        built_at_s: float,
        now_s: float,
        sensitive: frozenset[str],
    ) -> Mapping[str, Any]:
        """Lays over `sure`, the facts so far, what is granted and later than they are; the values
        whose types are the playbook's business come back, those that are later than the build."""
        if grants & FUNCTIONAL and self.cart and self.at_s > sure.get("cart.updated_at", 0.0):
            sure |= self.cart.facts(now_s, sensitive)
        if not grants & PERSONALIZATION or self.at_s <= built_at_s:
            return NOTHING
        if self.segments:
            known = dict.fromkeys(sure.get("segments", ()), True) | self.segments
            sure["segments"] = frozenset(name for name, is_in in known.items() if is_in)
        return self.values


class FreshFacts:
    """Reads facts tokens, and counts what became of each."""

    def __init__(self, ring: Callable[[], KeyRing] | None, metrics: Metrics) -> None:
        """ring: gives the sign-in keys of the moment; None: no token counts."""
        self._ring, self._metrics = ring, metrics

    def read(
        self, token: str, profile: Profile, grants: int, key_salt: str, now_s: float
    ) -> Fresh | None:
        """What a token says of the visitor with this profile; None for no token, for one that does
        not hold, and for one about somebody else. Never raises.

        key_salt: makes a customer's key of `sub`. Without a grant that covers anything of it, it is
        not even looked at.
        """
        if not token or not profile.visitor or not grants & (FUNCTIONAL | PERSONALIZATION):
            return None
        found = self._read(token.encode("utf-8", "replace"), now_s)
        if isinstance(found, _Claims) and not _is_about(found, profile, key_salt):
            found = FOREIGN
        if isinstance(found, str):
            self._metrics.count((RESULTS, found))
            return None
        self._metrics.count((RESULTS, TAKEN))
        values = {f"traits.{name}": value for name, value in found.traits.items()}
        values |= {f"scores.{name}": value for name, value in found.scores.items()}
        return Fresh(found.iat, values, found.segments, found.cart)

    def _read(self, token: bytes, now_s: float) -> _Claims | str:
        """What a token claims, or why it does not hold."""
        if self._ring is None:
            return NO_KEYS
        payload = _verified(token, self._ring())
        if isinstance(payload, Refusal):
            return payload
        try:
            addressed = _ADDRESSED.decode(payload).aud
            if AUDIENCE not in ([addressed] if isinstance(addressed, str) else addressed):
                return Refusal.WRONG_AUDIENCE
            claims = _CLAIMS.decode(payload)
        except _NO_JSON:
            return Refusal.BAD_CLAIMS
        if not 0 < claims.exp - claims.iat <= LONGEST_S or not (claims.sub or claims.visitor):
            return Refusal.BAD_CLAIMS
        return timely(claims.exp, max(claims.iat, claims.nbf), now_s) or claims


def _verified(token: bytes, ring: KeyRing) -> bytes | Refusal:
    """The payload of a token that one of these keys signed, whatever library wrote its header."""
    if len(token) > MAX_BYTES:
        return Refusal.OVERSIZED
    signed, _, mac = token.rpartition(b".")
    header, _, payload = signed.partition(b".")
    raw, claims = decode64(header), decode64(payload)
    try:
        head = _HEADER.decode(raw or b"")
    except _NO_JSON:
        return Refusal.MALFORMED
    if claims is None or head.crit is not msgspec.UNSET:
        return Refusal.MALFORMED
    if (key := ring.by_kid.get(head.kid)) is None:
        return Refusal.UNKNOWN_KEY
    return claims if hmac.compare_digest(encode64(key.mac(signed)), mac) else Refusal.FORGED


def _is_about(claims: _Claims, profile: Profile, key_salt: str) -> bool:
    """Whether all that a token says of whom it is about is true of this profile."""
    if claims.visitor and claims.visitor != profile.visitor:
        return False
    if not claims.sub:
        return True
    return bool(profile.customer) and visitor_key(key_salt, claims.sub) == profile.customer

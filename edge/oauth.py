"""Access tokens of the site's authorization server: a JWT in; which client it is, what it may, out.

JWTs as RFC 9068 has them, verified by public keys in a file: no other service is asked, nothing is
fetched, and what a token says of where its key is (`jku`, `x5u`, `jwk`) is not looked at. A key has
one algorithm, so that none can be passed off as another's; what is not signed does not count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import jwt
import msgspec
from cachetools import LRUCache
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from decisions.base64url import decode64
from edge.apikeys import SCOPES
from edge.errors import CannotServe
from edge.tokens import LEEWAY_S, Refusal, timely

OAUTH_FILE = "oauth.jwks"
MAX_KEYS = 64
MIN_RSA_BITS = 2_048  # RFC 7518 §3.3
MAX_REMEMBERED = 1_024  # tokens; a client asks with one for minutes
MAX_CLIENT = 128
LONGEST_S = 86_400  # what nobody can revoke has to end
SCOPE_PREFIX = "edgewise."  # of ours among the scopes of all a site's services
TYPES = ("at+jwt", "application/at+jwt")

_ALGORITHMS = {("OKP", "Ed25519"): "EdDSA", ("EC", "P-256"): "ES256", ("RSA", None): "RS256"}
_SECRET = ("d", "p", "q", "k")  # members of a private or a symmetric key


class Client(msgspec.Struct, frozen=True):
    """Who has an access token. scopes: those of ours, without their prefix."""

    id: str
    scopes: frozenset[str]


class _Header(msgspec.Struct):
    alg: str
    kid: str = ""
    typ: str = ""
    crit: Any = None


class _Claims(msgspec.Struct):
    client_id: str
    exp: float
    iat: float
    nbf: float = 0.0
    scope: str = ""


class _Remembered(msgspec.Struct, frozen=True):
    """A token that was verified, and by which keys."""

    client: Client
    claims: _Claims
    keys: TokenKeys


_JWKS = msgspec.json.Decoder(dict[str, Any])
_HEADER = msgspec.json.Decoder(_Header)


class TokenKeys:
    """Immutable: the public keys of one JWKS that verify signatures of ours, by kid."""

    def __init__(self, by_kid: dict[str, tuple[str, Any]]) -> None:
        """by_kid: algorithm and key."""
        self.by_kid = by_kid

    @classmethod
    def parse(cls, raw: bytes | str, place: str) -> TokenKeys:
        """The keys of a JWKS; those for something else are passed over. Raises CannotServe for one
        that has none, or has a secret in it."""
        try:
            jwks = _JWKS.decode(raw)["keys"]
            found = [key for jwk in jwks if (key := _key(dict(jwk))) is not None]
        except (msgspec.MsgspecError, UnicodeDecodeError, jwt.PyJWTError) as error:
            what = f"expected a JWKS of public keys, got {type(error).__name__}"
            raise CannotServe(f"{what} - at {place}") from None
        except (KeyError, TypeError, ValueError) as error:
            raise CannotServe(f"expected a JWKS of public keys, got {error} - at {place}") from None
        by_kid = {kid: (algorithm, key) for kid, algorithm, key in found}
        if not found or len(found) > MAX_KEYS or len(by_kid) < len(found):
            what = f"expected 1 to {MAX_KEYS} keys for EdDSA, ES256 or RS256, each kid once"
            raise CannotServe(f"{what}, got {len(found)} - at {place}")
        return cls(by_kid)


def _key(jwk: dict[str, Any]) -> tuple[str, str, Any] | None:
    """Name, algorithm and key; None for one that is for something else. Raises ValueError."""
    kid = jwk.get("kid")
    if any(member in jwk for member in _SECRET):
        raise ValueError(f"a secret in {str(kid)[:64]!r}")
    algorithm = _ALGORITHMS.get((str(jwk.get("kty")), jwk.get("crv")))
    is_ours = jwk.get("use", "sig") == "sig" and jwk.get("alg", algorithm) == algorithm
    if algorithm is None or not is_ours or "verify" not in jwk.get("key_ops", ["verify"]):
        return None
    if not isinstance(kid, str) or not kid:
        raise ValueError("a key without a kid")
    key = jwt.PyJWK(jwk, algorithm).key
    if isinstance(key, RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        raise ValueError(f"{key.key_size} bits in {kid[:64]!r}")
    return kid, algorithm, key


class AccessTokens:
    """Reads access tokens of one issuer that are meant for us."""

    def __init__(self, keys: Callable[[], TokenKeys], issuer: str, audience: str) -> None:
        """keys: gives those of the moment. issuer, audience: `iss` and `aud`, by every
        character."""
        self._keys, self._issuer, self._audience = keys, issuer, audience
        self._remembered: LRUCache[bytes, _Remembered] = LRUCache(MAX_REMEMBERED)

    def recall(self, token: bytes, now_s: float) -> Client | None:
        """Whose token this is, if it was verified before by the keys that still count."""
        known = self._remembered.get(_digest(token))
        if known is None or known.keys is not self._keys():
            return None
        return None if timely(known.claims.exp, known.claims.nbf, now_s) else known.client

    def read(self, token: bytes, now_s: float) -> Client | Refusal:
        """The same, by its signature. Never raises."""
        keys = self._keys()
        parts = token.split(b".")
        decoded = [decode64(part) for part in parts]
        if len(parts) != 3 or None in decoded:
            return Refusal.MALFORMED
        try:
            header = _HEADER.decode(decoded[0] or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return Refusal.MALFORMED
        if header.typ.lower() not in TYPES or header.crit is not None:
            return Refusal.MALFORMED
        algorithm, key = keys.by_kid.get(header.kid, ("", None))
        if not algorithm or header.alg != algorithm:
            return Refusal.UNKNOWN_KEY
        claims = self._claims(token.decode(), algorithm, key)
        if isinstance(claims, Refusal):
            return claims
        if refusal := _untimely(claims, now_s):
            return refusal
        client = Client(claims.client_id, _scopes(claims.scope))
        self._remembered[_digest(token)] = _Remembered(client, claims, keys)
        return client

    def _claims(self, token: str, algorithm: str, key: Any) -> _Claims | Refusal:
        """What a token says, if it is signed, by whom, for us. Its times are not looked at."""
        required = ["iss", "aud", "sub", "client_id", "iat", "exp"]
        untimed = dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat"), False)
        options: Any = {"require": required, **untimed}
        try:
            raw = jwt.decode(
                token,
                key,
                [algorithm],
                options=options,
                audience=self._audience,
                issuer=self._issuer,
            )
            claims = msgspec.convert(raw, _Claims)
        except jwt.InvalidSignatureError:
            return Refusal.FORGED
        except jwt.InvalidAudienceError:
            return Refusal.WRONG_AUDIENCE
        except (jwt.PyJWTError, msgspec.ValidationError, ValueError, RecursionError):
            return Refusal.BAD_CLAIMS
        return claims if 0 < len(claims.client_id) <= MAX_CLIENT else Refusal.BAD_CLAIMS


def _untimely(claims: _Claims, now_s: float) -> Refusal | None:
    """Whether it does not count now, or would count for too long."""
    if not 0 < claims.exp - claims.iat <= LONGEST_S:
        return Refusal.BAD_CLAIMS
    if claims.iat > now_s + LEEWAY_S:
        return Refusal.NOT_YET
    return timely(claims.exp, claims.nbf, now_s)


def _scopes(claimed: str) -> frozenset[str]:
    """Those of ours among all that a token has."""
    held = set(claimed.split())
    return frozenset(scope for scope in SCOPES if SCOPE_PREFIX + scope in held)


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()

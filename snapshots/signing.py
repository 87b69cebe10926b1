"""Signatures: bytes and a key in, a compact JWS out, and back — or a reason why not.

Ed25519 (RFC 8037) and nothing else: the algorithm is ours to name, not the token's. Every token
says who signed (`kid`) and what it is (`typ`), so that a signed ledger can never pass for a
manifest. Each of the three segments must be canonical base64url: one meaning, one spelling.
"""

from __future__ import annotations

import re

import jwt
import msgspec

from snapshots import manifest as manifests
from snapshots.errors import BadSignature, Malformed, UnknownKey
from snapshots.keys import PrivateKey, PublicKeys, b64decode
from snapshots.manifest import Manifest

ALGORITHM = "EdDSA"
MANIFEST = "edgewise-manifest"
LEDGER = "edgewise-ledger"

_COMPACT = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{86})")
_JWS = jwt.PyJWS(algorithms=[ALGORITHM])


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    """A protected header: these three and no other (`crit`, `b64`, `jwk`, `jku`, `x5c`, …)."""

    alg: str
    kid: str
    typ: str


_HEADERS = msgspec.json.Decoder(_Header)


def sign(manifest: Manifest, key: PrivateKey) -> bytes:
    """The manifest as a compact JWS; the same manifest and key, the same bytes."""
    return sign_bytes(manifests.encode(manifest), key, MANIFEST)


def verify(token: bytes, keys: PublicKeys) -> Manifest:
    """The manifest that one of `keys` signed.

    Raises Malformed, UnknownKey, BadSignature; Unreadable for a format of the future. Whether it
    may be served is for `trust`.
    """
    return manifests.decode(verify_bytes(token, keys, MANIFEST))


def signer(token: bytes) -> str:
    """The id of the key that a *verified* token names."""
    return _HEADERS.decode(b64decode(token.split(b".", 1)[0].decode("ascii"))).kid


def sign_bytes(payload: bytes, key: PrivateKey, typ: str) -> bytes:
    """Any payload as a compact JWS of type `typ`."""
    headers = {"kid": key.kid, "typ": typ}
    return _JWS.encode(payload, key.key, ALGORITHM, headers, sort_headers=True).encode("ascii")


def verify_bytes(token: bytes, keys: PublicKeys, typ: str) -> bytes:
    """The payload of a compact JWS of type `typ` that one of `keys` signed."""
    segments = _COMPACT.fullmatch(token)
    if segments is None:
        raise Malformed(f"expected a signed {typ} (compact JWS), got {len(token)} other bytes")
    try:
        header_bytes, _, _ = (b64decode(segment.decode("ascii")) for segment in segments.groups())
        header = _HEADERS.decode(header_bytes)
    except (ValueError, msgspec.DecodeError) as error:  # not UTF-8 is a ValueError too
        raise Malformed(f"expected the header of a signed {typ}: {error}") from None
    if header.alg != ALGORITHM:
        raise BadSignature(f"expected alg {ALGORITHM}, got {header.alg[:40]!r}")
    if header.typ != typ:
        raise BadSignature(f"expected typ {typ}, got {header.typ[:40]!r}")
    key = keys.get(header.kid)
    if key is None:
        raise UnknownKey(f"expected one of the keys {_named(keys)}, got {header.kid[:80]!r}")
    try:
        payload = _JWS.decode(token, key, [ALGORITHM])
    except jwt.InvalidTokenError:
        raise BadSignature(f"expected a signature by {header.kid}, got one that is not") from None
    return bytes(payload)


def _named(keys: PublicKeys) -> str:
    return ", ".join(sorted(keys)) or "(none: no key is known here)"

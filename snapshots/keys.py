"""JWK sets on disk: who may sign, and whose signatures count. Ed25519 only, no other kind of key.

A key's id is its RFC 7638 thumbprint, so that two files cannot mean different keys by one name;
the keys of the demo carry DEMO in front of it, and `serve` refuses them. Sets are read leniently
(unknown members pass) but for what decides trust.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from snapshots.errors import KeysRefused

PRIVATE_FILE = "publisher.private.jwks"  # for `build` only; mode 0600
PUBLIC_FILE = "publisher.public.jwks"
DEMO = "demo-"
MAX_KEYS = 64  # a rotation has two; a set that is longer is a mistake

PublicKeys = Mapping[str, Ed25519PublicKey]


class PrivateKey(msgspec.Struct, frozen=True):
    """A publisher's key and the id that its signatures name."""

    kid: str
    key: Ed25519PrivateKey

    def public(self) -> dict[str, Ed25519PublicKey]:
        """The one-key set that verifies what this key signs."""
        return {self.kid: self.key.public_key()}


class _Jwk(msgspec.Struct, omit_defaults=True):
    """The members of a JSON Web Key (RFC 7517, RFC 8037) that matter here."""

    kty: str
    crv: str = ""
    x: str = ""
    d: str = ""
    kid: str = ""
    use: str = ""
    alg: str = ""
    key_ops: list[str] | None = None


class _Jwks(msgspec.Struct):
    keys: list[_Jwk]


def b64encode(raw: bytes) -> str:
    """Base64url without padding, as JOSE writes it."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def b64decode(text: str) -> bytes:
    """The bytes of canonical base64url without padding; raises ValueError for any other spelling
    of the same bytes."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise ValueError("expected base64url without padding") from None
    if b64encode(raw) != text:
        raise ValueError("expected base64url in its canonical form")
    return raw


def thumbprint(key: Ed25519PublicKey) -> str:
    """The key's id: RFC 7638, SHA-256 over the members that RFC 8037 requires of an OKP key."""
    x = b64encode(key.public_bytes_raw())
    canonical = f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'
    return b64encode(hashlib.sha256(canonical.encode("ascii")).digest())


def is_demo(kid: str) -> bool:
    """Whether this key belongs to a demonstration and must not guard anything real."""
    return kid.startswith(DEMO)


def private_key(seed: bytes, *, demo: bool = False) -> PrivateKey:
    """The key of a 32-byte secret seed."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return PrivateKey((DEMO if demo else "") + thumbprint(key.public_key()), key)


def new_key(*, demo: bool = False) -> PrivateKey:
    """A fresh key from the system's randomness."""
    return private_key(os.urandom(32), demo=demo)


def private_text(key: PrivateKey) -> str:
    """A JWK set with the secret half: for the publisher's own file, never for an edge."""
    secret = key.key.private_bytes(
        serialization.Encoding.Raw,
        serialization.PrivateFormat.Raw,
        serialization.NoEncryption(),
    )
    return _text(key.kid, key.key.public_key(), b64encode(secret))


def public_text(keys: PublicKeys) -> str:
    """A JWK set that edges may have, in the order given."""
    rows = [_row(kid, key) for kid, key in keys.items()]
    return msgspec.json.format(msgspec.json.encode(_Jwks(rows)), indent=2).decode() + "\n"


def write_keys(directory: Path, key: PrivateKey) -> None:
    """Both halves as files of `directory`; raises KeysRefused rather than replace a key."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text, mode in (
        (PRIVATE_FILE, private_text(key), 0o600),
        (PUBLIC_FILE, public_text(key.public()), 0o644),
    ):
        try:
            handle = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except OSError as error:
            raise KeysRefused(
                f"expected to write a new key, {error.strerror} - at {name}"
            ) from None
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)


def rotate_keys(directory: Path) -> PrivateKey:
    """A new key that signs from now on; those before it still count. Raises KeysRefused.

    The public set is written first: a publisher that dies between the two signs as before.
    """
    before = read_public(directory / PUBLIC_FILE)
    read_private(directory / PRIVATE_FILE)  # whoever has none is no publisher
    key = new_key(demo=any(map(is_demo, before)))
    _replace(directory / PUBLIC_FILE, public_text({**key.public(), **before}), 0o644)
    _replace(directory / PRIVATE_FILE, private_text(key), 0o600)
    return key


def retire_key(directory: Path, kid: str) -> None:
    """What this key signed counts no more. Raises KeysRefused for a key that is not in the set, is
    the last one, or still signs."""
    path = directory / PUBLIC_FILE
    keys = read_public(path)
    if kid not in keys:
        raise KeysRefused(f"expected one of {', '.join(keys)}, got {kid} - at {path}")
    private = directory / PRIVATE_FILE
    if len(keys) == 1 or (private.exists() and read_private(private).kid == kid):
        raise KeysRefused(
            f"expected a key that no longer signs, got {kid} - at {path}: rotate first"
        )
    _replace(path, public_text({name: key for name, key in keys.items() if name != kid}), 0o644)


def read_public(path: Path) -> dict[str, Ed25519PublicKey]:
    """The set of keys whose signatures count, from a JWK set file."""
    return parse_public(_read(path), path.name)


def read_private(path: Path) -> PrivateKey:
    """The key that signs: the first of a JWK set file."""
    return parse_private(_read(path), path.name)


def publisher_in(directory: Path) -> tuple[PrivateKey, dict[str, Ed25519PublicKey]]:
    """The key of a folder that signs, and the set whose signatures count besides. Raises
    KeysRefused."""
    private, public = read_private(directory / PRIVATE_FILE), directory / PUBLIC_FILE
    return private, {**(read_public(public) if public.exists() else {}), **private.public()}


def parse_public(text: bytes, where: str) -> dict[str, Ed25519PublicKey]:
    """A JWK set of public keys; `where` is named in errors. A private key in it is refused: it
    must not lie on an edge."""
    keys: dict[str, Ed25519PublicKey] = {}
    for place, row in _rows(text, where):
        if row.d:
            raise KeysRefused(f"expected public keys only, got a private one - at {place}")
        kid, key = _public(row, place)
        if kid in keys:
            raise KeysRefused(f"expected each key once, got kid {kid} again - at {place}")
        keys[kid] = key
    return keys


def parse_private(text: bytes, where: str) -> PrivateKey:
    """The first key of a JWK set, with its secret half."""
    place, row = _rows(text, where)[0]
    kid, public = _public(row, place)
    secret = _octets(row.d, "d", place)
    key = Ed25519PrivateKey.from_private_bytes(secret)
    if key.public_key() != public:
        raise KeysRefused(f"expected d and x of one key, they belong to two - at {place}")
    return PrivateKey(kid, key)


def _replace(path: Path, text: str, mode: int) -> None:
    """All or nothing; readable as it should be from its first byte."""
    unfinished = path.with_name(f"{path.name}.new")
    try:
        unfinished.unlink(missing_ok=True)
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        unfinished.replace(path)
    except OSError as error:
        raise KeysRefused(f"expected to write keys, {error.strerror} - at {path}") from None


def _text(kid: str, key: Ed25519PublicKey, secret: str) -> str:
    row = msgspec.structs.replace(_row(kid, key), d=secret)
    return msgspec.json.format(msgspec.json.encode(_Jwks([row])), indent=2).decode() + "\n"


def _row(kid: str, key: Ed25519PublicKey) -> _Jwk:
    x = b64encode(key.public_bytes_raw())
    return _Jwk("OKP", "Ed25519", x, kid=kid, use="sig", alg="EdDSA")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        fact = f"expected a key file, got {error.strerror} - at {path}"
        advice = "make keys with `edgewise keys new`, or name their folder with --keys"
        raise KeysRefused(f"{fact}: {advice}") from None


def _rows(text: bytes, where: str) -> list[tuple[str, _Jwk]]:
    try:
        rows = msgspec.json.decode(text, type=_Jwks).keys
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise KeysRefused(f"expected a JWK set, got something else: {error} - at {where}") from None
    if not 1 <= len(rows) <= MAX_KEYS:
        raise KeysRefused(f"expected 1 to {MAX_KEYS} keys, got {len(rows)} - at {where}")
    return [(f"{where}: keys[{index}]", row) for index, row in enumerate(rows)]


def _public(row: _Jwk, place: str) -> tuple[str, Ed25519PublicKey]:
    if row.kty != "OKP" or row.crv != "Ed25519":
        got = f"kty {row.kty}" + (f", crv {row.crv}" if row.crv else "")
        raise KeysRefused(f"expected kty OKP, crv Ed25519, got {got} - at {place}")
    if row.use not in ("", "sig") or not {"sign", "verify"}.issuperset(row.key_ops or ()):
        raise KeysRefused(f"expected a key for signatures, got another use - at {place}")
    if row.alg not in ("", "EdDSA", "Ed25519"):
        raise KeysRefused(f"expected alg EdDSA, got {row.alg} - at {place}")
    key = Ed25519PublicKey.from_public_bytes(_octets(row.x, "x", place))
    kid = row.kid or thumbprint(key)
    if kid not in (thumbprint(key), DEMO + thumbprint(key)):
        raise KeysRefused(f"expected the kid {thumbprint(key)}, got {kid} - at {place}")
    return kid, key


def _octets(text: str, member: str, place: str) -> bytes:
    try:
        raw = b64decode(text)
    except ValueError as error:
        raise KeysRefused(f"{error} in {member} - at {place}") from None
    if len(raw) != 32:
        raise KeysRefused(f"expected 32 bytes in {member}, got {len(raw)} - at {place}")
    return raw

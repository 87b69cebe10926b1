"""The secrets that sign: a JWKS in; the key that signs and those that verify out.

The first key signs, all verify. A rotation that logs nobody out gives every edge the new key as one
that only verifies, then puts it first, and drops the old one when the last cookie it signed is past
its date. Nothing here prints a secret.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Generic, TypeVar

import msgspec

from decisions.base64url import decode64, encode64
from edge.errors import CannotServe

MIN_SECRET_BYTES = 32  # RFC 7518 §3.2: as long as the hash at least
MAX_KEYS = 16
_BLOCK_BYTES = 64  # of SHA-256
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))
DEMO_PREFIX = "demo-"  # `serve` refuses such keys without --dev
DEMO_REFUSED = "expected keys of your own, got the demo's"
DEMO_HELP = "make some with `edgewise keys new`, or say --dev"


class _Jwk(msgspec.Struct, frozen=True):
    kty: str
    kid: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    k: str
    alg: str = "HS256"
    use: str = "sig"


class _Jwks(msgspec.Struct, frozen=True):
    keys: Annotated[list[_Jwk], msgspec.Meta(min_length=1, max_length=MAX_KEYS)]


Kept = TypeVar("Kept")

_DECODER = msgspec.json.Decoder(_Jwks)


class Key:
    """A secret under its name. header: the one JWS header of what it signs, as base64url."""

    __slots__ = ("_inner", "_outer", "header", "kid", "secret")

    def __init__(self, kid: str, secret: bytes, header: bytes) -> None:
        self.kid, self.secret, self.header = kid, secret, header
        block = hashlib.sha256(secret).digest() if len(secret) > _BLOCK_BYTES else secret
        block = block.ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(block.translate(_INNER))
        self._outer = hashlib.sha256(block.translate(_OUTER))

    def mac(self, signed: bytes) -> bytes:
        """HMAC-SHA256 (RFC 2104), with the key's two blocks hashed once for all: half the time of
        `hmac.digest`, which is what the tests compare it with."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(signed)
        outer.update(inner.digest())
        return outer.digest()

    def __repr__(self) -> str:
        return f"Key({self.kid!r})"


def key_of(kid: str, secret: bytes) -> Key:
    """A key that signs under `kid`, in the header that PyJWT would write too."""
    header = msgspec.json.encode({"alg": "HS256", "kid": kid, "typ": "JWT"})
    return Key(kid, secret, encode64(header))


class KeyRing:
    """Immutable: the keys of one JWKS, by name and by header."""

    def __init__(self, keys: tuple[Key, ...]) -> None:
        """keys: at least one; the first signs."""
        self.keys = keys
        self.signing = keys[0]
        self.by_kid = {key.kid: key for key in keys}
        self.by_header = {key.header: key for key in keys}

    @classmethod
    def parse(cls, jwks: bytes | str, place: str) -> KeyRing:
        """The ring of a JWKS text. Raises CannotServe, which names the place and never the
        secret."""
        try:
            read = _DECODER.decode(jwks)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise CannotServe(f"expected a JWKS of oct keys, got {error} - at {place}") from None
        ring = cls(tuple(_key(jwk, place) for jwk in read.keys))
        if len(ring.by_kid) < len(ring.keys):
            raise CannotServe(f"expected each kid once - at {place}")
        return ring

    @property
    def is_demo(self) -> bool:
        """Whether a key is one that everyone can know."""
        return any(key.kid.startswith(DEMO_PREFIX) for key in self.keys)

    def encode(self) -> bytes:
        """The JWKS, secrets included: for the key file, and nothing else."""
        keys = [
            {"kty": "oct", "kid": key.kid, "alg": "HS256", "use": "sig", "k": _spelt(key.secret)}
            for key in self.keys
        ]
        return msgspec.json.format(msgspec.json.encode({"keys": keys}), indent=2) + b"\n"

    def rotated(self, kid: str, secret: bytes) -> KeyRing:
        """The ring with a new key that signs from now on."""
        return KeyRing((key_of(kid, secret), *self.keys))

    def added(self, kid: str, secret: bytes) -> KeyRing:
        """The ring with a new key that only verifies."""
        return KeyRing((*self.keys, key_of(kid, secret)))

    def led_by(self, kid: str) -> KeyRing | None:
        """The ring whose key of that name signs; None if there is none."""
        if (first := self.by_kid.get(kid)) is None:
            return None
        return KeyRing((first, *(key for key in self.keys if key is not first)))

    def without(self, kid: str) -> KeyRing | None:
        """The ring without a key that only verifies; None if there is none of that name."""
        rest = tuple(key for key in self.keys if key.kid != kid)
        known = len(rest) < len(self.keys) and kid != self.signing.kid
        return KeyRing(rest) if known else None


def _key(jwk: _Jwk, place: str) -> Key:
    if jwk.kty != "oct" or jwk.alg != "HS256" or jwk.use != "sig":
        raise CannotServe(
            f"expected key {jwk.kid!r} to be oct, HS256 and for sig,"
            f" got {jwk.kty}, {jwk.alg}, {jwk.use} - at {place}"
        )
    secret = decode64(jwk.k.encode()) if jwk.k.isascii() else None
    if secret is None:
        what = f"expected k of {jwk.kid!r} in base64url, unpadded"
        raise CannotServe(f"{what} - at {place}")
    if len(secret) < MIN_SECRET_BYTES:
        raise CannotServe(
            f"expected at least {MIN_SECRET_BYTES} bytes in {jwk.kid!r}, got {len(secret)}"
            f" - at {place}"
        )
    return key_of(jwk.kid, secret)


def own(ring: KeyRing, place: str) -> KeyRing:
    """The ring itself. Raises CannotServe for one with a key that everyone can know."""
    if ring.is_demo:
        raise CannotServe(f"{DEMO_REFUSED} - at {place}: {DEMO_HELP}")
    return ring


def _spelt(secret: bytes) -> str:
    return encode64(secret).decode()


class Watched(Generic[Kept]):
    """What a file says that may be rewritten while we serve; the last good reading stays."""

    def __init__(
        self,
        path: str | Path,
        parse: Callable[[bytes, str], Kept],
        *,
        absent: Kept | None = None,
    ) -> None:
        """parse: bytes and their place to what is kept; may raise CannotServe. absent: what counts
        until there is a file, None where there must be one. Raises CannotServe for a file that is
        missing or that cannot be used."""
        self.path, self._parse, self._absent = Path(path), parse, absent
        self._stamp = self._look()
        self.value = self._read()

    def refresh(self) -> bool:
        """Whether it says something else now: one stat call while nothing changes.

        Raises CannotServe for a file that became unusable, once per change; `value` is then what it
        was.
        """
        stamp = self._look()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        self.value = self._read()
        return True

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None  # reading it says why
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> Kept:
        try:
            raw = self.path.read_bytes()
        except OSError as error:
            if self._absent is not None and isinstance(error, FileNotFoundError):
                return self._absent
            raise CannotServe(
                f"expected a key file, got {error.strerror} - at {self.path}"
            ) from error
        value = self._parse(raw, str(self.path))
        self._absent = None  # what was there and is gone is a fault, and no news
        return value


class KeyFile(Watched[KeyRing]):
    """The ring of a file."""

    def __init__(self, path: str | Path, *, demo: bool = True) -> None:
        """demo: whether keys that everyone can know are usable. Raises CannotServe."""
        super().__init__(path, _any if demo else _own)

    @property
    def ring(self) -> KeyRing:
        """The keys as they were last read."""
        return self.value


def _any(raw: bytes, place: str) -> KeyRing:
    return KeyRing.parse(raw, place)


def _own(raw: bytes, place: str) -> KeyRing:
    return own(KeyRing.parse(raw, place), place)

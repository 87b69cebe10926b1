"""API keys of the site's servers: a file of hashes in; whose a key is, and what it may, out.

A key is `ewk_<kid>_<secret>`: a prefix that scanners of secrets know, a name, and 256 random bits.
The file keeps the SHA-256 of the bits and never the bits. A fast hash is right here: slow ones make
guessing dear where people choose the secret, and nobody guesses 256 bits however fast the hash is
(NIST SP 800-63B §5.1.2.2 asks for slow ones below 112 bits only).
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Annotated

import msgspec

from edge.errors import CannotServe
from edge.tokens import Refusal

API_KEY_FILE = "api.keys.json"
PREFIX = "ewk_"
SECRET_BYTES = 32
MAX_API_KEYS = 64  # each name is a label of a counter
OFREP, RECOMMENDATIONS = "ofrep", "recommendations"
SCOPES = (OFREP, RECOMMENDATIONS)
SOON_S = 7 * 86_400.0  # who must make a new key by then is told so

NAME = r"^[a-z0-9][a-z0-9.-]{0,62}$"
_SENT = re.compile(rb"ewk_([0-9a-f]{8})_([0-9a-f]{64})")

Moment = Annotated[datetime.datetime, msgspec.Meta(tz=True)]


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key, as the file has it. name: of the server that sends it; two keys share it while one
    takes over from the other. sha256: of the secret's bytes. expires: None for never."""

    kid: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8}$")]
    name: Annotated[str, msgspec.Meta(pattern=NAME)]
    scopes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    created: Moment
    expires: Moment | None = None
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]

    def __repr__(self) -> str:
        return f"ApiKey({self.kid!r}, {self.name!r})"

    def is_over(self, now_s: float) -> bool:
        """Whether its date is past."""
        return self.expires is not None and self.expires.timestamp() <= now_s


class _File(msgspec.Struct, frozen=True):
    keys: Annotated[tuple[ApiKey, ...], msgspec.Meta(max_length=MAX_API_KEYS)]


_DECODER = msgspec.json.Decoder(_File)


class ApiKeys:
    """Immutable: the keys of one file; none at all where there is no file."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self.keys = tuple(keys)
        self.by_kid = {key.kid: key for key in self.keys}

    @classmethod
    def parse(cls, raw: bytes, place: str) -> ApiKeys:
        """The keys of a file. Raises CannotServe, which names the place and no hash."""
        try:
            found = cls(_DECODER.decode(raw).keys)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise CannotServe(f"expected API keys, got {error} - at {place}") from None
        if len(found.by_kid) < len(found.keys):
            raise CannotServe(f"expected each kid once - at {place}")
        return found

    def encode(self) -> bytes:
        """The file, without any secret."""
        return msgspec.json.format(msgspec.json.encode(_File(self.keys)), indent=2) + b"\n"

    def find(self, sent: bytes, now_s: float) -> ApiKey | Refusal:
        """Whose key this is. Never raises. That it is past its date is told to its holder only."""
        if (match := _SENT.fullmatch(sent)) is None:
            return Refusal.MALFORMED
        key = self.by_kid.get(match[1].decode())
        if key is None:
            return Refusal.UNKNOWN_KEY
        if not hmac.compare_digest(digest(bytes.fromhex(match[2].decode())), key.sha256):
            return Refusal.FORGED
        return Refusal.EXPIRED if key.is_over(now_s) else key

    def ending(self, now_s: float) -> list[tuple[ApiKey, float]]:
        """The last keys of their names that end within SOON_S, or have ended; and how many
        seconds are left of each."""
        last: dict[str, ApiKey] = {}
        for key in self.keys:
            if (known := last.get(key.name)) is None or _end_s(known) < _end_s(key):
                last[key.name] = key
        left = [(key, _end_s(key) - now_s) for key in last.values()]
        return [(key, left_s) for key, left_s in left if left_s <= SOON_S]


def spelt(kid: str, secret: bytes) -> str:
    """What a server sends."""
    return f"{PREFIX}{kid}_{secret.hex()}"


def digest(secret: bytes) -> str:
    """What the file keeps of a secret."""
    return hashlib.sha256(secret).hexdigest()


def _end_s(key: ApiKey) -> float:
    return float("inf") if key.expires is None else key.expires.timestamp()

"""What hides a profile from who reads cookies: bytes and the visitor's id in, sealed text out, and
back under the same key and for the same visitor only.

AES-SIV (RFC 5297) in its deterministic form. A fleet writes billions of cookies under one key: 96
random bits as a nonce would repeat, SIV needs none, and is the shortest. It tells one thing:
whether two profiles of one visitor are the same to the byte, their times included.
It does not say who wrote a cookie: the token around it is verified first.
"""

from __future__ import annotations

from cachetools import LRUCache
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from decisions.base64url import decode64, encode64
from edge.keyring import MAX_KEYS, Key

TAG_BYTES = 16
_KEY_BYTES = 64  # two AES-256 keys: one for the tag, one for the text
_PURPOSE = b"edgewise: profile cookie, AES-256-SIV, form 1"


def room(characters: int) -> int:
    """How many bytes can be sealed into so many characters; negative for none."""
    return characters * 3 // 4 - TAG_BYTES


class Sealer:
    """Seals and opens by keys that are derived (HKDF, RFC 5869) from those that sign, each once."""

    def __init__(self) -> None:
        self._ciphers: LRUCache[Key, AESSIV] = LRUCache(MAX_KEYS)

    def seal(self, raw: bytes, visitor: str, key: Key) -> bytes:
        """The text, base64url, that only `open` with the same visitor and key turns back. raw: not
        empty."""
        return encode64(self._cipher(key).encrypt(raw, [visitor.encode()]))

    def open(self, text: str, visitor: str, key: Key) -> bytes | None:
        """The bytes; None for text that was not sealed for this visitor by this key."""
        sealed = decode64(text.encode()) if text.isascii() else None
        if sealed is None:
            return None
        try:
            return self._cipher(key).decrypt(sealed, [visitor.encode()])
        except InvalidTag:
            return None

    def _cipher(self, key: Key) -> AESSIV:
        cipher = self._ciphers.get(key)
        if cipher is None:
            derive = HKDF(SHA256(), _KEY_BYTES, salt=None, info=_PURPOSE)
            cipher = self._ciphers[key] = AESSIV(derive.derive(key.secret))
        return cipher

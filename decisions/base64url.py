"""Base64url without padding (RFC 4648 §5): bytes in, text out, and back from the one canonical
spelling only, so that nothing signed or stored can be spelt in two ways."""

from __future__ import annotations

import binascii

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/=", b"+/!!!")
# What the last character may be, by length mod 4: its unused bits are 0.
_LAST = {0: None, 2: b"AQgw", 3: b"AEIMQUYcgkosw048"}


def encode64(raw: bytes) -> bytes:
    """The characters of these bytes."""
    return binascii.b2a_base64(raw, newline=False).translate(_TO_URL, b"=")


def decode64(text: bytes) -> bytes | None:
    """The bytes of canonical base64url; None for any other spelling."""
    last = _LAST.get(len(text) % 4, b"")
    if last is not None and text[-1:] not in last:
        return None
    try:
        padded = text.translate(_FROM_URL) + b"=" * (-len(text) % 4)
        return binascii.a2b_base64(padded, strict_mode=True)
    except binascii.Error:
        return None

"""The control object: what operators stopped at once, as a value, its JSON, and when it counts.

A small signed list beside the manifest, `channels/<channel>.control.jws`, numbered by itself: no
build makes it, no version carries it, and what it stops stays stopped until a later list leaves it
out. Whoever can only write into the store can withhold a list, or delete it, and a node then keeps
the one it has; an older one is refused, and a forged one is no list.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from snapshots import signing
from snapshots.errors import Conflict, Malformed, Rollback, Unreadable, WrongChannel
from snapshots.keys import PrivateKey, PublicKeys
from snapshots.manifest import CHANNELS, MAX_VERSION

TYPE = "edgewise-control"
FORMAT = 1
MAX_BYTES = 256 * 2**10  # a thousand pauses with their reasons
MAX_PAUSED = 1_000  # who has to stop more rolls back

Kind: TypeAlias = Literal["rule", "slot", "experiment"]
KINDS: tuple[Kind, ...] = ("rule", "slot", "experiment")


class Paused(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is stopped: a rule is passed over, so is an experiment; a slot shows its
    default. since_s: whole seconds. why: for people."""

    kind: Kind
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    since_s: int
    why: Annotated[str, msgspec.Meta(max_length=200)] = ""


class Pauses(msgspec.Struct, frozen=True, kw_only=True):
    """All that is stopped on a channel. number: grows with every change; 0 is the list that nobody
    has written yet."""

    channel: str
    number: int = 0
    created_s: int = 0
    format: int = FORMAT
    paused: Annotated[tuple[Paused, ...], msgspec.Meta(max_length=MAX_PAUSED)] = ()

    @property
    def rules(self) -> frozenset[str]:
        """The rules to pass over, those of experiments included."""
        return frozenset(one.id for one in self.paused if one.kind != "slot")

    @property
    def slots(self) -> frozenset[str]:
        """The slots that show their default."""
        return frozenset(one.id for one in self.paused if one.kind == "slot")


NO_PAUSES = Pauses(channel="")


class _Format(msgspec.Struct):
    format: int


_ENCODER = msgspec.json.Encoder()
_FORMATS = msgspec.json.Decoder(_Format)
_PAUSES = msgspec.json.Decoder(Pauses)


def control_path(channel: str) -> str:
    """Where a channel's newest list lies: rewritten by every change."""
    return f"{CHANNELS}{channel}.control.jws"


def controls_prefix(channel: str) -> str:
    """The folder of all lists of a channel: who stopped what, and when."""
    return f"{CHANNELS}{channel}.control/"


def numbered_path(channel: str, number: int) -> str:
    """Where that list lies for ever."""
    return f"{controls_prefix(channel)}{number}.jws"


def sign(pauses: Pauses, key: PrivateKey) -> bytes:
    """The list as a compact JWS; the same list and key, the same bytes."""
    return signing.sign_bytes(_ENCODER.encode(pauses), key, TYPE)


def verify(token: bytes, keys: PublicKeys) -> Pauses:
    """The list that one of `keys` signed.

    Raises Malformed, UnknownKey, BadSignature; Unreadable for a format of the future.
    """
    payload = signing.verify_bytes(token, keys, TYPE)
    try:
        if (number := _FORMATS.decode(payload).format) != FORMAT:
            raise Unreadable(f"expected a control of format {FORMAT}, got {number}: upgrade")
        pauses = _PAUSES.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"expected a control, got something else: {error}") from None
    if not 1 <= pauses.number <= MAX_VERSION:
        raise Malformed(f"expected a number from 1 to {MAX_VERSION}, got {pauses.number}")
    return pauses


def accept(offered: Pauses, trusted: Pauses | None, *, channel: str) -> Pauses | None:
    """The list to obey next, or None if `trusted` is still the newest. Pure.

    Raises WrongChannel, Rollback for an older one, Conflict for the same number with other content.
    """
    if offered.channel != channel:
        raise WrongChannel(f"expected a control of channel {channel}, got {offered.channel}")
    if trusted is None or offered.number > trusted.number:
        return offered
    if offered.number < trusted.number:
        raise Rollback(f"expected control >= {trusted.number}, got {offered.number}")
    if offered != trusted:
        raise Conflict(f"expected control {trusted.number} as trusted, got other content")
    return None

"""The manifest: which parts make a version of a channel, and until when it may be offered.

It is the one thing that is signed and the one object of a store that changes; what it names never
does. Here it is a value and its JSON; who may be believed is for `signing` and `trust`.
"""

from __future__ import annotations

import re

import msgspec

from snapshots.errors import Malformed, Unreadable

FORMAT = 1
READABLE = frozenset({1})
MAX_VERSION = 2**53 - 1  # what every JSON reader holds exactly
CHANNELS = "channels/"
PARTS = "parts/"
PATCH = "patch/"  # before the name of the part that it is for

_CHANNEL = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_PART = re.compile(r"[a-z0-9][a-z0-9-]{0,62}(/[a-z0-9][a-z0-9-]{0,62}){0,3}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


class PartRef(msgspec.Struct, frozen=True, kw_only=True):
    """One part: its format, and the hash and size of its bytes, as stored and as they are.

    sha256 (64 hex digits) and bytes are those of the stored, compressed bytes: the address.
    raw_sha256 and raw_bytes are those of what is inside.
    """

    name: str
    format: int
    sha256: str
    bytes: int
    raw_sha256: str
    raw_bytes: int


class PatchRef(msgspec.Struct, frozen=True, kw_only=True):
    """What makes one state of a part of another. part: the patch itself, `patch/` before the name
    of what it is for. base, result: SHA-256 of the raw bytes it leads from and to (64 hex digits).
    result_bytes: how many these are."""

    part: PartRef
    base: str
    result: str
    result_bytes: int


class LedgerRef(msgspec.Struct, frozen=True, kw_only=True):
    """Which ledger the store had when a version was made: its revision, and the SHA-256 of its
    bytes (64 hex digits). No edge needs the ledger; a publisher sees by this that it was lost."""

    revision: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a channel: times in seconds since the epoch, parts in the order of names.

    ledger: the one that the program was compiled with; along the versions of a channel its revision
    never goes back. patches: ways to parts from what a node may have; every part is whole in the
    store all the same.
    """

    channel: str
    version: int
    created_s: int
    not_after_s: int
    format: int = FORMAT
    ledger: LedgerRef
    parts: tuple[PartRef, ...] = ()
    patches: tuple[PatchRef, ...] = ()

    @property
    def everything(self) -> tuple[PartRef, ...]:
        """All that a store must hold for it: parts and patches."""
        return (*self.parts, *(patch.part for patch in self.patches))

    def part(self, name: str) -> PartRef | None:
        """The part of that name, or None."""
        return next((part for part in self.parts if part.name == name), None)

    def is_stale(self, now_s: float) -> bool:
        """Whether it is past its date: it may be served on, marked, and may not be offered."""
        return now_s >= self.not_after_s


class _Format(msgspec.Struct):
    format: int


_ENCODER = msgspec.json.Encoder()
_FORMATS = msgspec.json.Decoder(_Format)
_MANIFESTS = msgspec.json.Decoder(Manifest)


def encode(manifest: Manifest) -> bytes:
    """JSON, fields in the order of the class: the same manifest, the same bytes. Without patches it
    is what releases before them wrote."""
    if not manifest.patches:
        manifest = msgspec.structs.replace(manifest, patches=msgspec.UNSET)
    return _ENCODER.encode(manifest)


def decode(payload: bytes) -> Manifest:
    """The manifest in these bytes. Members it does not know pass (a newer publisher's).

    Raises Unreadable for a format of the future, Malformed for whatever is no manifest.
    """
    try:
        if (number := _FORMATS.decode(payload).format) not in READABLE:
            raise Unreadable(f"expected a manifest of format {FORMAT}, got {number}: upgrade")
        manifest = _MANIFESTS.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"expected a manifest, got something else: {error}") from None
    _check(manifest)
    return manifest


def is_channel(name: str) -> bool:
    """Whether a channel may be called so: lower case, digits, hyphens, at most 63."""
    return _CHANNEL.fullmatch(name) is not None


def channel_path(channel: str) -> str:
    """Where the channel's newest manifest lies: a hint, rewritten by every publish."""
    return f"{CHANNELS}{channel}.jws"


def version_path(channel: str, version: int) -> str:
    """Where that version's manifest lies for ever."""
    return f"{versions_prefix(channel)}{version}.jws"


def versions_prefix(channel: str) -> str:
    """The folder of a channel's versions."""
    return f"{CHANNELS}{channel}/"


def part_path(ref: PartRef) -> str:
    """Where the part's stored bytes lie: their own hash."""
    return f"{PARTS}{ref.sha256}"


def _check(manifest: Manifest) -> None:
    if not is_channel(manifest.channel):
        raise Malformed(f"expected a channel's name, got {manifest.channel[:80]!r}")
    if not 1 <= manifest.version <= MAX_VERSION:
        raise Malformed(f"expected a version from 1 to {MAX_VERSION}, got {manifest.version}")
    if not 0 <= manifest.created_s < manifest.not_after_s <= MAX_VERSION:
        raise Malformed(
            f"expected created < not_after, got {manifest.created_s} and {manifest.not_after_s}"
        )
    if not 1 <= manifest.ledger.revision <= MAX_VERSION:
        raise Malformed(f"expected a ledger's revision from 1, got {manifest.ledger.revision}")
    if not _SHA256.fullmatch(manifest.ledger.sha256):
        raise Malformed("expected 64 hex digits for a hash - at ledger")
    names = [part.name for part in manifest.parts]
    if names != sorted(set(names)):
        raise Malformed("expected each part once, in the order of names")
    for part in manifest.parts:
        _check_part(part)
    for patch in manifest.patches:
        _check_patch(patch)


def _check_patch(patch: PatchRef) -> None:
    _check_part(patch.part)
    if not patch.part.name.startswith(PATCH):
        raise Malformed(f"expected {PATCH} before a patch's name, got {patch.part.name}")
    if not _SHA256.fullmatch(patch.base) or not _SHA256.fullmatch(patch.result):
        raise Malformed(f"expected 64 hex digits for a hash - at {patch.part.name}")
    if not 0 <= patch.result_bytes <= MAX_VERSION:
        raise Malformed(f"expected a size, got {patch.result_bytes} - at {patch.part.name}")


def _check_part(part: PartRef) -> None:
    if not _PART.fullmatch(part.name):
        raise Malformed(f"expected a part's name, got {part.name[:80]!r}")
    if not _SHA256.fullmatch(part.sha256) or not _SHA256.fullmatch(part.raw_sha256):
        raise Malformed(f"expected 64 hex digits for a hash - at {part.name}")
    if not 1 <= part.bytes <= MAX_VERSION or not 0 <= part.raw_bytes <= MAX_VERSION:
        raise Malformed(
            f"expected sizes in bytes, got {part.bytes}, {part.raw_bytes} - at {part.name}"
        )

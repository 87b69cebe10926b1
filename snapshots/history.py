"""What a store holds, as our keys signed it: the newest ledger, the newest version of each channel,
and whether the ledger is still the one that those versions were made with.

It only reads. What lies at a numbered path and is not ours is passed over: whoever can merely write
into a store cannot stop a publisher by it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import msgspec

from decisions import ledger as ledgers
from decisions.errors import ProgramError
from decisions.ledger import Ledger
from snapshots import signing
from snapshots.errors import Conflict, Malformed, NotThere, Untrusted
from snapshots.keys import PublicKeys
from snapshots.manifest import (
    CHANNELS,
    LedgerRef,
    Manifest,
    is_channel,
    version_path,
    versions_prefix,
)
from snapshots.store.protocol import ReadableStore, Store
from snapshots.trust import Limits

LEDGERS = "ledger/"
MAX_LEDGER_BYTES = 64 * 2**20  # a million names

_NUMBERED = re.compile(r"([1-9][0-9]{0,15})\.jws", re.ASCII)


class Recorded(msgspec.Struct, frozen=True):
    """A store's ledger, its revision, the id of the key that signed it, and the SHA-256 of its
    bytes; revision 0 is a store that has none yet."""

    revision: int = 0
    ledger: Ledger | None = None
    signer: str = ""
    sha256: str = ""

    @property
    def ref(self) -> LedgerRef:
        """What a manifest says of it."""
        return LedgerRef(revision=self.revision, sha256=self.sha256)


def recorded(revision: int, raw: bytes, signer: str) -> Recorded:
    """The ledger of these bytes. Raises ProgramError."""
    return Recorded(revision, ledgers.decode(raw), signer, hashlib.sha256(raw).hexdigest())


def read_ledger(store: Store, keys: PublicKeys) -> Recorded:
    """The newest ledger that one of `keys` signed."""
    for revision in numbers(store, LEDGERS):
        if found := _ledger_at(store, revision, keys):
            return found
    return Recorded()


def read_manifest(store: Store, channel: str, keys: PublicKeys) -> Manifest | None:
    """The highest version of a channel that one of `keys` signed, or None."""
    found = highest(store, channel, keys)
    return found[0] if found else None


def highest(store: Store, channel: str, keys: PublicKeys) -> tuple[Manifest, bytes] | None:
    """The highest version that is really one, and its signed bytes. What lies at a version's path
    and is not ours is passed over."""
    for version in numbers(store, versions_prefix(channel)):
        try:
            token = store.read(version_path(channel, version), Limits().manifest_bytes)
            manifest = signing.verify(token, keys)
        except (Untrusted, NotThere):
            continue
        if (manifest.channel, manifest.version) == (channel, version):
            return manifest, token
    return None


def version_of(store: ReadableStore, channel: str, version: int, keys: PublicKeys) -> Manifest:
    """That version of a channel. Raises NotThere, and Untrusted for what is not ours."""
    token = store.read(version_path(channel, version), Limits().manifest_bytes)
    manifest = signing.verify(token, keys)
    if (manifest.channel, manifest.version) != (channel, version):
        found = f"version {manifest.version} of {manifest.channel}"
        raise Conflict(f"expected version {version} of {channel}, got {found} - at {store.where}")
    return manifest


def newest_ledger(store: Store, keys: PublicKeys) -> Recorded:
    """The newest ledger, which every channel's newest version still agrees with.

    Raises Conflict where it is lost, older than, or other than the one that a version names: built
    upon, it would give the numbers in visitors' cookies to other names, and no error would tell.
    """
    named = [manifest for name in channels(store) if (manifest := read_manifest(store, name, keys))]
    newest = read_ledger(store, keys)  # after the versions: a ledger is written before its version
    for manifest in named:
        _check_named(store, manifest, newest, keys)
    return newest


def channels(store: Store) -> list[str]:
    """The channels that have versions, in the order of names."""
    paths = (path.split("/") for path in store.list(CHANNELS))
    return sorted({words[1] for words in paths if len(words) == 3 and is_channel(words[1])})


def ledger_path(revision: int) -> str:
    """Where that revision of the ledger lies for ever."""
    return f"{LEDGERS}{revision}.jws"


def numbers(store: Store, prefix: str) -> list[int]:
    """The numbers of the numbered files of a folder, highest first."""
    found = (number_of(path, prefix) for path in store.list(prefix))
    return sorted(filter(None, found), reverse=True)


def number_of(path: str, prefix: str) -> int:
    """The number of a numbered file of a folder, 0 for any other path."""
    match = _NUMBERED.fullmatch(path.removeprefix(prefix))
    return int(match[1]) if match and path.startswith(prefix) else 0


def free_number(after: int, taken: Sequence[int]) -> int:
    """The lowest number above `after` that nobody has: a file of somebody else's at an absurd
    number neither stops us nor carries us there."""
    number, held = after + 1, set(taken)
    while number in held:
        number += 1
    return number


def _ledger_at(store: Store, revision: int, keys: PublicKeys) -> Recorded | None:
    """That revision, or None for what lies there and is not ours."""
    token = store.read(ledger_path(revision), MAX_LEDGER_BYTES)
    try:
        payload = signing.verify_bytes(token, keys, signing.LEDGER)
        number, raw = msgspec.msgpack.decode(payload, type=tuple[int, bytes])
        return recorded(number, raw, signing.signer(token)) if number == revision else None
    except Untrusted:
        return None
    except (msgspec.DecodeError, ProgramError) as error:
        raise Malformed(f"expected a ledger: {error} - at {ledger_path(revision)}") from error


def _check_named(store: Store, manifest: Manifest, newest: Recorded, keys: PublicKeys) -> None:
    """Raises Conflict unless the ledger that a manifest names is there, and `newest` is it or
    extends it."""
    named = manifest.ledger
    expected = (
        f"expected ledger revision {named.revision} (sha256 {named.sha256[:16]}), with which "
        f"version {manifest.version} of {manifest.channel} was built"
    )
    path = ledger_path(named.revision)
    at = f"at {store.where} {path}"
    put_back = f"put {path} back from the newest backup of {LEDGERS}, and publish nothing before"
    if newest.revision < named.revision:
        newer = f"revision {newest.revision} as the newest" if newest.revision else "no ledger"
        raise Conflict(
            f"{expected}, got {newer} that our keys signed - {at}: {put_back}; "
            "or put the public key that signed it into the key set"
        )
    found = newest if newest.revision == named.revision else named_ledger(store, named, keys)
    if found is None:
        raise Conflict(
            f"{expected}, got only the later revision {newest.revision} - {at}: {put_back}"
        )
    if found.sha256 != named.sha256:
        raise Conflict(
            f"{expected}, got another of that number (sha256 {found.sha256[:16]}) - {at}: "
            f"{put_back}"
        )
    if newest.ledger and found.ledger and not newest.ledger.extends(found.ledger):
        raise Conflict(
            f"{expected}, and every later one to extend it, got revision {newest.revision} that "
            f"does not - at {store.where} {ledger_path(newest.revision)}: empty the files of the "
            "revisions and versions that were made without it, and publish again"
        )


def named_ledger(store: Store, named: LedgerRef, keys: PublicKeys) -> Recorded | None:
    """The ledger that a manifest names, or None where it is lost or not ours."""
    try:
        return _ledger_at(store, named.revision, keys)
    except NotThere:
        return None

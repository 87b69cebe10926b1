"""Parts in, a new version in the store out, or nothing: two publishers at once cannot tear it.

The order is the safety: ledger, parts, the version (claimed by a create-only write), and last the
hint that edges poll. After a crash between any two the old bundle is still the one served; what was
written serves the next try. The version files decide: the hint is rewritten from the highest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from decisions import ledger as ledgers
from decisions.errors import ProgramError
from decisions.ledger import Ledger
from snapshots import signing
from snapshots.bundle import Packed
from snapshots.errors import (
    AlreadyThere,
    Conflict,
    LedgerMoved,
    Malformed,
    NotThere,
    SnapshotError,
    StoreUnavailable,
    TooLarge,
    Untrusted,
)
from snapshots.keys import PrivateKey, PublicKeys
from snapshots.manifest import (
    Manifest,
    channel_path,
    is_channel,
    part_path,
    version_path,
    versions_prefix,
)
from snapshots.store.protocol import Store
from snapshots.trust import Limits, check_sizes

TTL_S = 14 * 86_400  # a publisher that is ill for a fortnight is noticed; a weekly build fits twice
LEDGERS = "ledger/"
MAX_LEDGER_BYTES = 64 * 2**20  # a million names
TRIES = 20  # each lost race means that somebody else's publish went through

_NUMBERED = re.compile(r"(?:.*/)?([1-9][0-9]{0,15})\.jws", re.ASCII)


class Recorded(msgspec.Struct, frozen=True):
    """A store's ledger, its revision and the id of the key that signed it; revision 0 is a store
    that has none yet."""

    revision: int = 0
    ledger: Ledger | None = None
    signer: str = ""


def read_ledger(store: Store, keys: PublicKeys) -> Recorded:
    """The newest ledger that one of `keys` signed."""
    for revision in _numbers(store, LEDGERS):
        token = store.read(ledger_path(revision), MAX_LEDGER_BYTES)
        try:
            payload = signing.verify_bytes(token, keys, signing.LEDGER)
            recorded = msgspec.msgpack.decode(payload, type=tuple[int, bytes])
            if recorded[0] == revision:
                return Recorded(revision, ledgers.decode(recorded[1]), signing.signer(token))
        except Untrusted:  # not ours: whoever can write here cannot stop us by it
            continue
        except (msgspec.DecodeError, ProgramError) as error:
            raise Malformed(f"expected a ledger: {error} - at {ledger_path(revision)}") from error
    return Recorded()


def read_manifest(store: Store, channel: str, keys: PublicKeys) -> Manifest | None:
    """The highest version of a channel that one of `keys` signed, or None."""
    found = _highest(store, channel, keys)
    return found[0] if found else None


def publish(
    store: Store,
    channel: str,
    parts: Sequence[Packed],
    ledger: Ledger,
    key: PrivateKey,
    *,
    since: Recorded,
    now_s: float,
    ttl_s: float = TTL_S,
    keys: PublicKeys | None = None,
    limits: Limits | None = None,
) -> Manifest:
    """The manifest of the version that these parts have become.

    since: the ledger as it was read before the parts were made. now_s: the time by the clock, not
    the moment the data is built for. keys: whose versions and ledgers count besides this key's.
    Raises LedgerMoved when another publisher grew the ledger meanwhile (build again), Conflict for
    a ledger that forgets or is lost, TooLarge for parts that edges would refuse, StoreUnavailable.
    """
    trusted = {**(keys or {}), **key.public()}
    draft = Manifest(
        channel=_checked(channel),
        version=1,
        created_s=int(now_s),
        not_after_s=int(now_s) + max(int(ttl_s), 1),
        parts=tuple(sorted((part.ref for part in parts), key=lambda ref: ref.name)),
    )
    check_sizes(draft, limits or Limits())
    _check_not_lost(store, channel, since, trusted)
    _record(store, ledger, key, since, trusted)
    for part in parts:
        _upload(store, part)
    manifest = _claim(store, draft, key, trusted)
    point(store, channel, trusted)
    return manifest


def publish_built(
    store: Store,
    channel: str,
    build: Callable[[Ledger | None], tuple[Sequence[Packed], Ledger]],
    key: PrivateKey,
    *,
    now_s: float,
    ttl_s: float = TTL_S,
    keys: PublicKeys | None = None,
) -> Manifest:
    """Publishes what `build` makes of the store's ledger, and builds again when it lost the race
    for it. build: the ledger or None in; the parts and the grown ledger out."""
    trusted = {**(keys or {}), **key.public()}
    for _ in range(TRIES):
        since = read_ledger(store, trusted)
        parts, ledger = build(since.ledger)
        try:
            return publish(
                store,
                channel,
                parts,
                ledger,
                key,
                since=since,
                now_s=now_s,
                ttl_s=ttl_s,
                keys=trusted,
            )
        except LedgerMoved:
            continue
    raise _too_many(store, LEDGERS)


def point(store: Store, channel: str, keys: PublicKeys) -> None:
    """Writes the channel's hint from its highest version, until no higher one has come meanwhile:
    of two publishers the slower must not point back."""
    written = 0
    for _ in range(TRIES):
        found = _highest(store, channel, keys)
        if found is None or found[0].version == written:
            return
        store.replace(channel_path(channel), found[1])
        written = found[0].version
    raise _too_many(store, channel_path(channel))


def ledger_path(revision: int) -> str:
    """Where that revision of the ledger lies for ever."""
    return f"{LEDGERS}{revision}.jws"


def _check_not_lost(store: Store, channel: str, since: Recorded, keys: PublicKeys) -> None:
    """Raises Conflict where there were bundles and no ledger is found: a new one would deal every
    visitor anew and read every cookie wrongly."""
    if since.revision:
        return
    before = _highest(store, channel, keys)  # first: a ledger is written before its version
    if before is not None and read_ledger(store, keys).revision == 0:
        raise Conflict(
            f"expected the ledger that version {before[0].version} of {channel} was built with, "
            f"found none that our keys signed - at {store.where} {LEDGERS}: put it back from a "
            "backup, or the public key that signed it into the key set"
        )


def _record(
    store: Store, ledger: Ledger, key: PrivateKey, since: Recorded, keys: PublicKeys
) -> None:
    """The grown ledger as the revision after `since`, or LedgerMoved.

    The numbers are taken before the newest is looked for: a revision that comes between the two
    holds the number that is written here, and one that came before is the newest.
    """
    taken = _numbers(store, LEDGERS)
    newest = read_ledger(store, keys)
    if newest.revision != since.revision:
        raise LedgerMoved(ledger_path(since.revision + 1), store.where)
    if since.ledger is not None and not ledger.extends(since.ledger):
        raise Conflict(f"expected a ledger that extends revision {since.revision}, got another")
    if ledger == since.ledger and since.signer == key.kid:
        return  # of another key it is signed anew: that key may be retired
    revision = _free(since.revision, taken)
    payload = msgspec.msgpack.encode((revision, ledger.encode()))
    token = signing.sign_bytes(payload, key, signing.LEDGER)
    if len(token) > MAX_LEDGER_BYTES:  # nobody would read it again: the next would begin anew
        raise TooLarge(f"expected a ledger of at most {MAX_LEDGER_BYTES} bytes, got {len(token)}")
    try:
        store.create(ledger_path(revision), token)
    except AlreadyThere as error:
        raise LedgerMoved(error.path, store.where) from None


def _upload(store: Store, part: Packed) -> None:
    """The part at its address; what lies there already is compared, and mended if it is broken."""
    path = part_path(part.ref)
    try:
        store.create(path, part.stored)
    except AlreadyThere:
        try:
            there = store.read(path, part.ref.bytes)
        except TooLarge:
            there = b""
        if there != part.stored:
            store.replace(path, part.stored)


def _claim(store: Store, draft: Manifest, key: PrivateKey, keys: PublicKeys) -> Manifest:
    for _ in range(TRIES):
        highest = _highest(store, draft.channel, keys)
        after = highest[0].version if highest else 0
        version = _free(after, _numbers(store, versions_prefix(draft.channel)))
        manifest = msgspec.structs.replace(draft, version=version)
        try:
            store.create(version_path(draft.channel, version), signing.sign(manifest, key))
        except AlreadyThere:
            continue
        return manifest
    raise _too_many(store, versions_prefix(draft.channel))


def _highest(store: Store, channel: str, keys: PublicKeys) -> tuple[Manifest, bytes] | None:
    """The highest version that is really one, and its signed bytes. What lies at a version's path
    and is not ours is passed over."""
    for version in _numbers(store, versions_prefix(channel)):
        try:
            token = store.read(version_path(channel, version), Limits().manifest_bytes)
            manifest = signing.verify(token, keys)
        except (Untrusted, NotThere):
            continue
        if (manifest.channel, manifest.version) == (channel, version):
            return manifest, token
    return None


def _numbers(store: Store, prefix: str) -> list[int]:
    """The numbers of the numbered files of a folder, highest first."""
    found = (_NUMBERED.fullmatch(path) for path in store.list(prefix))
    return sorted((int(match[1]) for match in found if match), reverse=True)


def _free(after: int, taken: Sequence[int]) -> int:
    """The lowest number above `after` that nobody has: a file of somebody else's at an absurd
    number neither stops us nor carries us there."""
    number, held = after + 1, set(taken)
    while number in held:
        number += 1
    return number


def _checked(channel: str) -> str:
    if not is_channel(channel):
        raise Conflict(f"expected a channel of lower case, digits and hyphens, got {channel!r}")
    return channel


def _too_many(store: Store, path: str) -> SnapshotError:
    return StoreUnavailable(
        f"expected to win in {TRIES} tries, others did - at {store.where} {path}"
    )

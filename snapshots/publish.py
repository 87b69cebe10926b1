"""Parts in, a new version in the store out, or nothing: two publishers at once cannot tear it.

The order is the safety: ledger, parts, the version (claimed by a create-only write), and last the
hint that edges poll. After a crash between any two the old bundle is still the one served; what was
written serves the next try. The version files decide: the hint is rewritten from the highest.

Whoever claims a version carries on the list of erased visitors of the one before it, and the first
version of a channel those of all others: here, so that none who makes a version can leave it out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from decisions.ledger import Ledger
from snapshots import chains, history, signing
from snapshots.bundle import Packed, unpack
from snapshots.erased import ERASED, Erased, Times, erased_part, merged
from snapshots.errors import (
    AlreadyThere,
    Conflict,
    LedgerMoved,
    SnapshotError,
    StoreUnavailable,
    TooLarge,
)
from snapshots.history import LEDGERS, Recorded, free_number, ledger_path, numbers, read_ledger
from snapshots.keys import PrivateKey, PublicKeys
from snapshots.manifest import (
    LedgerRef,
    Manifest,
    PartRef,
    PatchRef,
    channel_path,
    is_channel,
    part_path,
    version_path,
    versions_prefix,
)
from snapshots.store.protocol import Store
from snapshots.trust import Limits, check_sizes

TTL_S = 14 * 86_400  # a publisher that is ill for a fortnight is noticed; a weekly build fits twice
TRIES = 20  # each lost race means that somebody else's publish went through


class Patched(msgspec.Struct, frozen=True):
    """A patch ready for a store: what the manifest will say of it, and its bytes."""

    ref: PatchRef
    packed: Packed


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
    patches: Sequence[Patched] = (),
) -> Manifest:
    """The manifest of the version that these parts have become.

    since: the ledger as it was read before the parts were made. now_s: the time by the clock, not
    the moment the data is built for. keys: whose versions and ledgers count besides this key's.
    patches: new ones; with those of the version before, each is named while it leads to a part.
    Raises LedgerMoved when another publisher grew the ledger meanwhile (build again), Conflict for
    a ledger that forgets or is not the one that a version names, TooLarge for parts that edges
    would refuse, StoreUnavailable.
    """
    trusted = {**(keys or {}), **key.public()}
    refs = tuple(sorted((part.ref for part in parts), key=lambda ref: ref.name))
    check_channel(channel)
    steps = _steps(store, channel, refs, patches, trusted)
    check_sizes((*refs, *(step.part for step in steps)), limits or Limits())
    draft = Manifest(
        channel=channel,
        version=1,
        created_s=int(now_s),
        not_after_s=int(now_s) + max(int(ttl_s), 1),
        ledger=_record(store, ledger, key, since, trusted),
        parts=refs,
        patches=steps,
    )
    held = _held(store, trusted)
    for part in (*parts, *(patch.packed for patch in patches if patch.ref in steps)):
        upload(store, part, is_held=part.ref.sha256 in held)
    manifest = claim(store, draft, key, trusted, limits=limits)
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
    patches: Callable[[Sequence[Packed]], Sequence[Patched]] = lambda _: (),
) -> Manifest:
    """Publishes what `build` makes of the store's ledger, and builds again when it lost the race
    for it. build: the ledger or None in; the parts and the grown ledger out. patches: the parts in;
    what leads to them from the version before out."""
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
                patches=patches(parts),
            )
        except LedgerMoved:
            continue
    raise _too_many(store, LEDGERS)


def _steps(
    store: Store,
    channel: str,
    parts: Sequence[PartRef],
    patches: Sequence[Patched],
    keys: PublicKeys,
) -> tuple[PatchRef, ...]:
    """The patches to name: the new ones, and those that the version before has."""
    before = history.read_manifest(store, channel, keys)
    known = [patch.ref for patch in patches] + list(before.patches if before else ())
    return chains.kept(parts, known)


def point(store: Store, channel: str, keys: PublicKeys) -> None:
    """Writes the channel's hint from its highest version, until no higher one has come meanwhile:
    of two publishers the slower must not point back."""
    written = 0
    for _ in range(TRIES):
        found = history.highest(store, channel, keys)
        if found is None or found[0].version == written:
            return
        store.replace(channel_path(channel), found[1])
        written = found[0].version
    raise _too_many(store, channel_path(channel))


def _record(
    store: Store, ledger: Ledger, key: PrivateKey, since: Recorded, keys: PublicKeys
) -> LedgerRef:
    """The grown ledger as the revision after `since`, or LedgerMoved.

    The numbers are taken before the newest is looked for: a revision that comes between the two
    holds the number that is written here, and one that came before is the newest.
    """
    taken = numbers(store, LEDGERS)
    newest = history.newest_ledger(store, keys)
    if newest.ref != since.ref:
        raise LedgerMoved(ledger_path(since.revision + 1), store.where)
    if since.ledger is not None and not ledger.extends(since.ledger):
        raise Conflict(f"expected a ledger that extends revision {since.revision}, got another")
    if ledger == since.ledger and since.signer == key.kid:
        return newest.ref  # of another key it is signed anew: that key may be retired
    raw = ledger.encode()
    grown = history.recorded(free_number(since.revision, taken), raw, key.kid)
    token = signing.sign_bytes(msgspec.msgpack.encode((grown.revision, raw)), key, signing.LEDGER)
    if len(token) > history.MAX_LEDGER_BYTES:  # nobody would read it again
        limit = history.MAX_LEDGER_BYTES
        raise TooLarge(f"expected a ledger of at most {limit} bytes, got {len(token)}")
    try:
        store.create(ledger_path(grown.revision), token)
    except AlreadyThere as error:
        raise LedgerMoved(error.path, store.where) from None
    return grown.ref


def _held(store: Store, keys: PublicKeys) -> set[str]:
    """The parts that some channel's newest version names: they stay."""
    newest = (history.read_manifest(store, name, keys) for name in history.channels(store))
    return {part.sha256 for manifest in newest if manifest for part in manifest.everything}


def upload(store: Store, part: Packed, *, is_held: bool = False) -> None:
    """The part at its address; what lies there already is compared, and mended if it is broken.

    One that nothing holds is written anew: as it is young then, no `garbage` takes it before its
    version is claimed.
    """
    path = part_path(part.ref)
    try:
        store.create(path, part.stored)
    except AlreadyThere:
        try:
            there = store.read(path, part.ref.bytes) if is_held else b""
        except TooLarge:
            there = b""
        if there != part.stored:
            store.replace(path, part.stored)


def claim(
    store: Store,
    draft: Manifest,
    key: PrivateKey,
    keys: PublicKeys,
    *,
    after: int | None = None,
    limits: Limits | None = None,
) -> Manifest:
    """The draft as the channel's next version, with all who were erased before; LedgerMoved if the
    one before names a later ledger, so that the newest version always names the latest ledger that
    its channel has seen.

    after: the version that must be the one before, None for any; AlreadyThere if it is not. As in
    `_record`, the numbers are taken before the highest is looked for.
    """
    for _ in range(TRIES):
        taken = numbers(store, versions_prefix(draft.channel))
        before = history.read_manifest(store, draft.channel, keys)
        newest = before.version if before else 0
        if before and before.ledger.revision > draft.ledger.revision:
            raise LedgerMoved(ledger_path(before.ledger.revision), store.where)
        if after not in (None, newest):
            raise AlreadyThere(version_path(draft.channel, newest), store.where)
        manifest = msgspec.structs.replace(
            draft,
            version=free_number(newest, taken),
            parts=_carrying(store, draft, before, keys),
        )
        check_sizes(manifest.everything, limits or Limits())
        try:
            path = version_path(draft.channel, manifest.version)
            store.create(path, signing.sign(manifest, key))
        except AlreadyThere:
            continue
        return manifest
    raise _too_many(store, versions_prefix(draft.channel))


def _carrying(
    store: Store, draft: Manifest, before: Manifest | None, keys: PublicKeys
) -> tuple[PartRef, ...]:
    """The draft's parts, its list of erased visitors joined with that of the version before."""
    theirs, ours = before.part(ERASED) if before else None, draft.part(ERASED)
    if before and theirs in (None, ours):
        return draft.parts
    if not (listed := erased_before(store, before, keys)):
        return draft.parts
    made = erased_part(merged((listed, erased_in(store, draft)), draft.created_s))
    return with_part(store, draft.parts, made, ours if made.ref == ours else theirs)


def erased_before(store: Store, before: Manifest | None, keys: PublicKeys) -> Times:
    """Who is listed as erased in a channel's newest version. None, for a channel that has none yet:
    in those of all channels, or who asked would be known again in a new one."""
    if before is not None:
        return erased_in(store, before)
    newest = (history.read_manifest(store, name, keys) for name in history.channels(store))
    return merged((erased_in(store, one) for one in newest if one is not None), 0.0)


def erased_in(store: Store, manifest: Manifest) -> Times:
    """Who is listed as erased in a version. Raises NotThere, and what `unpack` raises, for a part
    that is gone or broken: a list must not be lost in silence."""
    part = manifest.part(ERASED)
    if part is None:
        return {}
    return Erased(unpack(part, store.read(part_path(part), part.bytes))).times()


def with_part(
    store: Store, parts: Sequence[PartRef], made: Packed, held: PartRef | None = None
) -> tuple[PartRef, ...]:
    """These parts with one made anew, in the order of names; it is in the store then. held: what
    the store holds of that name already."""
    if made.ref != held:
        upload(store, made)
    others = (part for part in parts if part.name != made.ref.name)
    return tuple(sorted((*others, made.ref), key=lambda ref: ref.name))


def check_channel(channel: str) -> None:
    """Raises Conflict for what no channel can be called."""
    if not is_channel(channel):
        raise Conflict(f"expected a channel of lower case, digits and hyphens, got {channel!r}")


def _too_many(store: Store, path: str) -> SnapshotError:
    return StoreUnavailable(
        f"expected to win in {TRIES} tries, others did - at {store.where} {path}"
    )

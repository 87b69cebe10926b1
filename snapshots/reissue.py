"""A version that is there, once more under a new number: renewed, rolled back, promoted, or with
more of its visitors erased.

Nothing is built, and no part is written but the list of the erased: every part is read, hash and
all, before a number is claimed. The new version names the store's newest ledger, which extends the
one that its program was compiled with: to an edge it is a version like any other, and higher than
what it has.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec

from snapshots import history
from snapshots.bundle import check_stored
from snapshots.erased import ERASED, Times, erased_part, merged
from snapshots.errors import (
    AlreadyThere,
    Conflict,
    LedgerMoved,
    NotThere,
    StoreUnavailable,
    Untrusted,
)
from snapshots.keys import PrivateKey, PublicKeys
from snapshots.manifest import (
    Manifest,
    PartRef,
    PatchRef,
    part_path,
    version_path,
    versions_prefix,
)
from snapshots.publish import (
    TRIES,
    TTL_S,
    check_channel,
    claim,
    erased_in,
    point,
    with_part,
)
from snapshots.store.protocol import Store

LEAST_S = 86_400  # of a version that is made for its erasures alone


def reissue(
    store: Store,
    source: Manifest,
    channel: str,
    key: PrivateKey,
    *,
    now_s: float,
    ttl_s: float = TTL_S,
    keys: PublicKeys | None = None,
    after: int | None = None,
) -> Manifest:
    """The version of `channel` that the parts of `source` have become.

    now_s: by the clock; the new version is good for ttl_s from then. keys: whose versions and
    ledgers count besides this key's. after: as `claim` has it. Raises NotThere and the errors of
    `check_stored` for a part that is gone or broken, Conflict for a ledger that does not extend the
    source's; then nothing was published. StoreUnavailable.
    """
    trusted = {**(keys or {}), **key.public()}
    check_channel(channel)
    for part in source.parts:
        check_stored(part, store.read(part_path(part), part.bytes))
    patches = tuple(_whole(store, source))
    for _ in range(TRIES):
        newest = history.newest_ledger(store, trusted)
        _check_extends(store, newest, source, trusted)
        draft = Manifest(
            channel=channel,
            version=1,
            created_s=int(now_s),
            not_after_s=int(now_s) + max(int(ttl_s), 1),
            ledger=newest.ref,
            parts=source.parts,
            patches=patches,
        )
        try:
            made = claim(store, draft, key, trusted, after=after)
        except LedgerMoved:
            continue
        point(store, channel, trusted)
        return made
    raise StoreUnavailable(f"expected a ledger that stays for a moment - at {store.where}")


def erase(
    store: Store, channel: str, times: Times, key: PrivateKey, keys: PublicKeys, *, now_s: float
) -> Manifest | None:
    """The channel's newest version once more, with these listed as erased; None where it lists them
    already.

    times: hash → when it was asked for. It keeps its date, but is good for LEAST_S at least, so
    that edges take it. Whoever publishes meanwhile is not undone: then theirs is the version that
    is taken. Raises what `reissue` raises.
    """
    for _ in range(TRIES):
        newest = newest_of(store, channel, {**keys, **key.public()})
        listed = erased_in(store, newest)
        news = merged((times,), now_s)
        if all(listed.get(hash_, -1) >= at_s for hash_, at_s in news.items()):
            return None
        made = erased_part(merged((listed, news), now_s))
        parts = with_part(store, newest.parts, made, newest.part(ERASED))
        with contextlib.suppress(AlreadyThere):
            return reissue(
                store,
                msgspec.structs.replace(newest, parts=parts),
                channel,
                key,
                now_s=now_s,
                ttl_s=max(newest.not_after_s - now_s, LEAST_S),
                keys=keys,
                after=newest.version,
            )
    raise StoreUnavailable(f"expected a version that stays for a moment - at {store.where}")


def _whole(store: Store, source: Manifest) -> Iterator[PatchRef]:
    """The patches of `source` that are there: none is needed, so one that is gone is left out."""
    for patch in source.patches:
        with contextlib.suppress(NotThere, Untrusted):
            check_stored(patch.part, store.read(part_path(patch.part), patch.part.bytes))
            yield patch


def newest_of(store: Store, channel: str, keys: PublicKeys) -> Manifest:
    """The highest version of a channel. Raises NotThere where it has none that is ours."""
    found = history.read_manifest(store, channel, keys)
    if found is None:
        raise NotThere(versions_prefix(channel), store.where, "publish one, or mend the channel")
    return found


def before(store: Store, newest: Manifest, keys: PublicKeys) -> Manifest:
    """The version that a rollback goes to: the highest below `newest` with other parts, so that a
    version that was only renewed is no step back. Raises NotThere where there is none."""
    for version in history.numbers(store, versions_prefix(newest.channel)):
        if version >= newest.version:
            continue
        try:
            found = history.version_of(store, newest.channel, version, keys)
        except (Untrusted, NotThere, Conflict):
            continue
        if _serving(found) != _serving(newest):
            return found
    path = version_path(newest.channel, max(newest.version - 1, 1))
    raise NotThere(path, store.where, "no earlier version has other parts: nothing to go back to")


def _serving(manifest: Manifest) -> list[PartRef]:
    """What it decides by; who is erased is no step to go back."""
    return [part for part in manifest.parts if part.name != ERASED]


def _check_extends(
    store: Store, newest: history.Recorded, source: Manifest, keys: PublicKeys
) -> None:
    """The numbers that the source's program gives to names must still be theirs."""
    named = source.ledger
    if newest.ref == named:
        return
    found = history.named_ledger(store, named, keys)
    whole = found is not None and found.sha256 == named.sha256 and newest.ledger is not None
    if not whole or not newest.ledger.extends(found.ledger):  # type: ignore[union-attr,arg-type]
        raise Conflict(
            f"expected the newest ledger, revision {newest.revision}, to extend revision "
            f"{named.revision}, with which version {source.version} of {source.channel} was built "
            f"- at {store.where}: build the old playbook again instead"
        )

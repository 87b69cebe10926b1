"""What no version needs any more: found among a store's parts, versions and ledgers, and removed.

A publish that ends half-way leaves parts and a ledger that nothing names; every version leaves
those before it. Kept are the newest versions of each channel, all that these name, the newest
ledger, and whatever is young: it may belong to a publish that is under way. What is not ours, or
not at a path of ours, is left alone.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import msgspec

from snapshots import history
from snapshots.errors import Conflict, NotThere, Untrusted
from snapshots.history import LEDGERS, ledger_path
from snapshots.keys import PublicKeys
from snapshots.manifest import (
    CHANNELS,
    PARTS,
    Manifest,
    part_path,
    version_path,
    versions_prefix,
)
from snapshots.store.protocol import Listed, Store

KEEP = 10  # versions of a channel that a rollback can go to
GRACE_S = 86_400.0  # no publish takes a day

_PART = re.compile(re.escape(PARTS) + r"[0-9a-f]{64}", re.ASCII)


class Garbage(msgspec.Struct, frozen=True):
    """What can go, in the order in which it goes: first what names, then what is named."""

    versions: tuple[Listed, ...] = ()
    parts: tuple[Listed, ...] = ()
    ledgers: tuple[Listed, ...] = ()

    def all(self) -> tuple[Listed, ...]:
        """Everything of it."""
        return (*self.versions, *self.parts, *self.ledgers)


def find(
    store: Store,
    keys: PublicKeys,
    *,
    now_s: float,
    keep: int = KEEP,
    grace_s: float = GRACE_S,
) -> Garbage:
    """What can go. keep: versions of each channel, at least one. grace_s: what was written later
    than so long before now_s stays. Raises StoreUnavailable, and Conflict where a ledger is lost:
    nothing is removed from a store that is not whole."""
    newest = history.newest_ledger(store, keys)
    kept: list[Manifest] = []
    old: set[str] = set()
    for channel in history.channels(store):
        ours = list(_versions(store, channel, keys))
        kept += ours[: max(keep, 1)]
        old |= {version_path(channel, one.version) for one in ours[max(keep, 1) :]}
    named = {part_path(part) for manifest in kept for part in manifest.everything}
    named |= {ledger_path(manifest.ledger.revision) for manifest in kept}
    aged = [
        one
        for folder in (CHANNELS, PARTS, LEDGERS)
        for one in store.look(folder)
        if one.modified_s <= now_s - grace_s and one.path not in named
    ]
    return Garbage(
        versions=tuple(one for one in aged if one.path in old),
        parts=tuple(one for one in aged if _PART.fullmatch(one.path)),
        ledgers=tuple(
            one for one in aged if 0 < history.number_of(one.path, LEDGERS) < newest.revision
        ),
    )


def _versions(store: Store, channel: str, keys: PublicKeys) -> Iterator[Manifest]:
    """The versions of a channel that are ours, highest first."""
    for version in history.numbers(store, versions_prefix(channel)):
        with contextlib.suppress(Untrusted, NotThere, Conflict):
            yield history.version_of(store, channel, version, keys)


def remove(store: Store, found: Garbage) -> None:
    """Removes it. A version that comes meanwhile has parts that are young, and were not found."""
    for one in found.all():
        store.delete(one.path)

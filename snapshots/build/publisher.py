"""Store and keys in; where a version goes, who signs it and in which formats it is, out.

What is looked at before anything is published is asked here: what a version would change, what
leads to it from the one before, and whether parts that are kept are in the formats asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from decisions.ledger import first_ledger
from snapshots.build.identity import without
from snapshots.build.patches import patches_from
from snapshots.build.review import Policy, Review, judge, review
from snapshots.build.taught import Log
from snapshots.bundle import Packed
from snapshots.contents import written_formats
from snapshots.erased import Times
from snapshots.errors import Unwritable
from snapshots.eventfiles import open_events
from snapshots.history import read_ledger, read_manifest
from snapshots.keys import PrivateKey, PublicKeys, publisher_in
from snapshots.manifest import PartRef
from snapshots.publish import Patched, erased_before
from snapshots.store import Store, open_writable


class Publisher(NamedTuple):
    """Where a version goes, and who signs it. trusted: whose versions count. told: part → the
    format that it must have; formats: of every part, the newest where nothing was told."""

    store: Store
    channel: str
    private: PrivateKey
    trusted: PublicKeys
    clock: Callable[[], float]
    told: Mapping[str, int]
    formats: Mapping[str, int]
    policy: Policy | None = None

    def review(self, parts: Sequence[Packed]) -> Review | None:
        """What these parts would change, where there is a policy. Raises Unapproved."""
        if self.policy is None:
            return None
        before = read_manifest(self.store, self.channel, self.trusted)
        found = review(before, parts, self.store, self.clock())
        judge(found, self.policy)
        return found

    def without_erased(self, table: pa.Table, salt: str) -> pa.Table:
        """The customers, but for those who are listed as erased."""
        return without(table, salt, self.erased())

    def erased(self) -> Times:
        """Those whom the channel's version now lists as erased; as `erased_before`."""
        before = read_manifest(self.store, self.channel, self.trusted)
        return erased_before(self.store, before, self.trusted)

    def log(self, where: str, name: str) -> Log:
        """The event files at an address, of a folder or a store. name: the playbook's, which makes
        the salt of a store's first ledger. Raises StoreUnavailable."""
        return Log(open_events(where), self._salt(name), self.erased())

    def left(self, customers: pa.Table, name: str) -> pa.Table:
        """The same, before there is a ledger to publish with. name: as `log` has it."""
        return self.without_erased(customers, self._salt(name))

    def _salt(self, name: str) -> str:
        return (read_ledger(self.store, self.trusted).ledger or first_ledger(name)).salt

    def patches(self, parts: Sequence[Packed]) -> list[Patched]:
        """What leads to these parts from the channel's version now."""
        before = read_manifest(self.store, self.channel, self.trusted)
        return patches_from(before, parts, self.store)

    def check_kept(self, parts: Iterable[PartRef]) -> None:
        """Raises Unwritable for parts of the version before that are to be in another format."""
        for part in parts:
            told = self.told.get(part.name, part.format)
            if part.format != told:
                raise Unwritable(
                    f"expected {part.name} in format {told}, got format {part.format} in the "
                    "version that is there: build with --data"
                )


def publisher_of(
    store: str,
    channel: str,
    keys: Path,
    clock: Callable[[], float],
    *,
    policy: Policy | None = None,
    formats: Mapping[str, int] | None = None,
) -> Publisher:
    """keys: the folder of the publisher's keys. Raises KeysRefused, StoreUnavailable, Unwritable
    for formats that this release does not write."""
    told = formats or {}
    written = written_formats(told)
    private, trusted = publisher_in(keys)
    return Publisher(open_writable(store), channel, private, trusted, clock, told, written, policy)

"""A changed playbook in, a new version beside the segments that are there out: for `edgewise dev`.

Unlike `edgewise build` it never refuses segments that were computed otherwise, or not yet: it says
which, and an author goes on. It needs no data and none of the `build` extra.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from decisions import program as programs
from decisions.compiling import compile_with_ledger
from decisions.ledger import Ledger
from decisions.playbook import WrittenPlaybook
from snapshots.bundle import Packed, check_stored, pack, unpack
from snapshots.contents import PROGRAM, RECORD
from snapshots.history import read_manifest
from snapshots.keys import PrivateKey, PublicKeys
from snapshots.manifest import part_path
from snapshots.publish import publish_built
from snapshots.store import Store


class Computed(msgspec.Struct, frozen=True):
    """As much of the builder's record as counts here."""

    categories: tuple[str, ...] = ()
    segments: dict[str, str] = {}


class Republished(NamedTuple):
    """stale: segments of the playbook that the data is not, or no longer, computed by."""

    version: int
    stale: tuple[str, ...]


def republish(
    written: WrittenPlaybook,
    store: Store,
    channel: str,
    key: PrivateKey,
    *,
    keys: PublicKeys | None = None,
    now_s: float,
) -> Republished:
    """The new version. Raises PlaybookErrors, then nothing was published; and SnapshotError."""
    trusted = {**(keys or {}), **key.public()}
    manifest = read_manifest(store, channel, trusted)
    kept = [
        Packed(part, store.read(part_path(part), part.bytes))
        for part in (manifest.parts if manifest else ())
        if part.name != PROGRAM
    ]
    computed = Computed()
    for part in kept:
        check_stored(part.ref, part.stored)
        if part.ref.name == RECORD:
            computed = msgspec.json.decode(unpack(part.ref, part.stored), type=Computed)

    def build(ledger: Ledger | None) -> tuple[list[Packed], Ledger]:
        made = compile_with_ledger(written, ledger, {"category": computed.categories})
        program = pack(PROGRAM, programs.FORMAT, made.program.encode())
        return [program, *kept], made.ledger

    manifest = publish_built(store, channel, build, key, now_s=now_s, keys=trusted)
    stale = [n for n, s in written.segments.items() if computed.segments.get(n) != s.when]
    return Republished(manifest.version, tuple(stale))

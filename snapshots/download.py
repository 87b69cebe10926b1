"""One part from a store onto a node's disk: gone on with where it broke off, believed when whole.

The stored bytes are gathered in a file of their own, which outlives a failed attempt and a killed
node. What lies in it is nobody's word: the hash is taken over all of it once the last byte is
there, and where that is wrong, all of it is thrown away and fetched from the start.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from snapshots.bundle import unpacked
from snapshots.errors import DiskRefused, Untrusted
from snapshots.local import LocalCopy, disk
from snapshots.manifest import PartRef, part_path
from snapshots.store.protocol import ReadableStore

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW


def download(store: ReadableStore, local: LocalCopy, part: PartRef) -> None:
    """The part, whole and verified, in the local copy.

    What has come stays when the store fails (StoreUnavailable); nothing stays when the bytes are
    wrong (Untrusted), or when the disk has no room for them (DiskRefused). Never more than one
    piece is held in memory.
    """
    begun = local.partial_of(part).exists()
    try:
        _download(store, local, part)
    except Untrusted:
        if not begun:
            raise
        _download(store, local, part)  # what lay here before may be what was wrong


def _download(store: ReadableStore, local: LocalCopy, part: PartRef) -> None:
    partial = local.partial_of(part)
    try:
        _gather(store, part, partial)
        local.write(part, unpacked(part, local.mapped(partial.name)))
    except (Untrusted, DiskRefused):
        with contextlib.suppress(OSError):  # of a disk that refuses that, too
            partial.unlink(missing_ok=True)
        raise
    with disk(f"remove what {part.name} came from", partial):
        partial.unlink(missing_ok=True)


def _gather(store: ReadableStore, part: PartRef, partial: Path) -> None:
    """All bytes that the store has of the part, after those that are here."""
    doing = f"write {part.name}"

    def take(piece: bytes) -> None:
        with disk(doing, partial):  # here, so that no store takes it for an error of its own
            file.write(piece)

    with disk(doing, partial):
        partial.parent.mkdir(0o700, parents=True, exist_ok=True)  # it may have been cleared
        if partial.is_symlink():
            partial.unlink()
        with os.fdopen(os.open(partial, _APPEND, 0o600), "ab") as file:
            if (start := file.seek(0, os.SEEK_END)) < part.bytes:
                store.read_from(part_path(part), start, part.bytes, take)

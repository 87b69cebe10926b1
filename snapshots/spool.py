"""The spool: a node's folder of finished event files, oldest first, kept within its bytes.

What processes that died were writing is ended here. While a store is away files can be packed, to
a tenth of their size. When there are too many bytes the oldest files go, and their rows are
counted. Files with other names are nobody's business.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import zstandard

from snapshots.errors import Malformed
from snapshots.eventfiles import ENDING, NAME, PACKED, pieces
from snapshots.eventlog import MODE, PART, finish_left

LEVEL = 6  # 16 MiB take a tenth of a second
_NEW = ".new"


class Waiting(NamedTuple):
    """A finished file. closed_s: when its last row was written."""

    path: Path
    bytes: int
    closed_s: float

    @property
    def is_packed(self) -> bool:
        return self.path.name.endswith(PACKED)


class Spool:
    """One folder, with one caller. dropped, files_dropped: rows and files that had to go."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """max_bytes: of all event files in it, those that are being written included."""
        self.folder, self._max_bytes = folder, max_bytes
        self.dropped, self.files_dropped = 0, 0
        for path in folder.glob(f"*{PACKED}{_NEW}"):  # a life before ended in the middle of one
            with contextlib.suppress(OSError):
                path.unlink()

    def look(self) -> list[Waiting]:
        """What waits, oldest first, after what had to go has gone. Raises OSError for a folder that
        cannot be read; one that is not there yet is empty."""
        finish_left(self.folder)
        found = sorted(self._finished(), key=lambda one: (one.closed_s, one.path.name))
        used = sum(one.bytes for one in found) + self._unfinished_bytes()
        while found and used > self._max_bytes:
            oldest = found.pop(0)
            used -= oldest.bytes
            self._drop(oldest)
        return found

    def packed(self, one: Waiting) -> bytes:
        """A file as a store gets it. Raises OSError."""
        data = one.path.read_bytes()
        return data if one.is_packed else compress(data)

    def pack(self, one: Waiting) -> None:
        """Makes it small where it lies. It is there in one form or the other at any moment; a crash
        leaves both, and the next look keeps the packed one. Raises OSError, and has left nothing
        behind where there was no room."""
        data = self.packed(one)
        new = one.path.with_name(f"{stem(one.path)}{PACKED}{_NEW}")
        try:
            with open(new, "wb", opener=_owners) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.utime(new, (one.closed_s, one.closed_s))
            new.rename(new.with_name(new.name.removesuffix(_NEW)))
        except OSError:
            new.unlink(missing_ok=True)
            raise
        one.path.unlink()

    def _finished(self) -> Iterator[Waiting]:
        if not self.folder.exists():
            return
        names = {path.name for path in self.folder.iterdir() if NAME.fullmatch(path.name)}
        for name in names:
            path = self.folder / name
            with contextlib.suppress(FileNotFoundError):  # somebody took it away
                if name.endswith(ENDING) and f"{stem(path)}{PACKED}" in names:
                    path.unlink()
                    continue
                stat = path.stat()
                yield Waiting(path, stat.st_size, stat.st_mtime)

    def _unfinished_bytes(self) -> int:
        total = 0
        for path in self.folder.glob(f"*{ENDING}{PART}"):
            with contextlib.suppress(OSError):
                total += path.stat().st_size
        return total

    def _drop(self, one: Waiting) -> None:
        rows = 0
        with contextlib.suppress(Malformed, OSError):  # what cannot be read counts as a file
            for piece in pieces(one.path.read_bytes(), one.path.name):
                rows += piece.count(b"\n")
        with contextlib.suppress(OSError):
            one.path.unlink()
            self.dropped += rows
            self.files_dropped += 1


def stem(path: Path) -> str:
    """`<node>-<worker>-<seq>` of an event file."""
    return path.name.removesuffix(PACKED).removesuffix(ENDING)


def compress(rows: bytes) -> bytes:
    """Lines as one zstd frame with a checksum."""
    return zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(rows)


def _owners(path: str, flags: int) -> int:
    return os.open(path, flags, MODE)

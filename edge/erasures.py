"""Whom this node must forget at once: hashes in, a file beside the local copy out, until a snapshot
lists them.

    erased        16 bytes each: the hash, then whole seconds since the epoch, little-endian
    erased.lock   held by whoever writes, for as long as it takes

Any worker adds, the node's process lets go of what a snapshot lists by now, all of them read. What
is here outlives a restart. docs/operations.md says how an erasure goes on from here.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from edge.errors import NotKept
from snapshots.erased import Times, merged

FILE, LOCK, UNFINISHED = "erased", "erased.lock", "erased.unfinished"
_RECORD = struct.Struct("<QQ")

Seen = tuple[int, int, int]  # time, inode and size of the file that was read


class _Look(NamedTuple):
    """What was read of the file, and until where. last: the record that ends there."""

    seen: Seen | None
    waiting: Times
    last: bytes
    end: int


_NOTHING = _Look(None, {}, b"", 0)


class Erasures:
    """The file of one node. clock: seconds since the epoch."""

    def __init__(self, cache: Path, clock: Callable[[], float]) -> None:
        self._cache, self._path, self._clock = cache, cache / FILE, clock
        self._look = _NOTHING

    def waiting(self) -> Times:
        """Hash → when it was asked for; the same value while nothing changes, and as cheap as a
        look at the file's status. A file that cannot be read changes nothing."""
        look = self._look
        try:
            status = self._path.stat()
            seen = status.st_mtime_ns, status.st_ino, status.st_size
            if seen != look.seen:
                self._look = self._read_on(look, seen)
        except FileNotFoundError:
            self._look = _NOTHING
        except OSError:
            pass
        return self._look.waiting

    def add(self, times: Times) -> None:
        """Keeps them, on the disk itself. Raises NotKept; then none was kept."""
        records = b"".join(_RECORD.pack(hash_, at_s) for hash_, at_s in times.items())
        try:
            with self._locked(), open(self._path, "ab", opener=_private) as file:
                whole = os.fstat(file.fileno()).st_size // _RECORD.size * _RECORD.size
                try:
                    file.truncate(whole)  # a record that a crash left half-written
                    file.write(records)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    with contextlib.suppress(OSError):
                        file.truncate(whole)
                    raise
        except OSError as error:
            raise NotKept(
                f"expected to keep an erasure, {error.strerror} - at {self._path}"
            ) from error

    def settle(self, listed: Callable[[int], int | None]) -> None:
        """Lets go of what a snapshot lists, and of what no cookie can be as old as. listed: when it
        was asked for, by what a snapshot says. A disk that refuses leaves all as it is."""
        now_s = self._clock()
        waiting = merged((self.waiting(),), now_s)
        if not any(_is_listed(listed(hash_), at_s) for hash_, at_s in waiting.items()):
            return
        with contextlib.suppress(OSError), self._locked():
            kept = {
                hash_: at_s
                for hash_, at_s in merged((self._read(),), now_s).items()
                if not _is_listed(listed(hash_), at_s)
            }
            unfinished = self._cache / UNFINISHED
            with open(unfinished, "wb", opener=_private) as file:
                file.writelines(_RECORD.pack(hash_, at_s) for hash_, at_s in kept.items())
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self._path)

    def _read(self) -> Times:
        return _times(self._path.read_bytes(), self._clock())

    def _read_on(self, look: _Look, seen: Seen) -> _Look:
        """The next look: into a file that only grew, at no more than what is new. It did, if it is
        the same one and the last record stands where it stood."""
        with self._path.open("rb") as file:
            file.seek(max(look.end - _RECORD.size, 0))
            grew = look.seen is not None and look.seen[1] == seen[1]
            if not grew or file.read(_RECORD.size) != look.last:
                look = _NOTHING
                file.seek(0)
            raw = file.read()
        whole = len(raw) // _RECORD.size * _RECORD.size
        last = raw[:whole][-_RECORD.size :] or look.last
        known, news = look.waiting, _times(raw, self._clock())
        later = {hash_: max(at_s, known.get(hash_, 0)) for hash_, at_s in news.items()}
        return _Look(seen, {**known, **later}, last, look.end + whole)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._cache / LOCK).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _times(raw: bytes, now_s: float) -> Times:
    whole = len(raw) // _RECORD.size * _RECORD.size
    rows = ({hash_: at_s} for hash_, at_s in _RECORD.iter_unpack(raw[:whole]))
    return merged(rows, now_s)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _is_listed(listed_s: int | None, at_s: int) -> bool:
    return listed_s is not None and listed_s >= at_s


def oldest_s(waiting: Times, now_s: float) -> float:
    """How long the longest of them has waited, 0 for none."""
    return max(now_s - min(waiting.values()), 0.0) if waiting else 0.0

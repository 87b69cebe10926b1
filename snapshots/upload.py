"""Finished event files of a spool in, the same files in the store out; only then they leave the
disk.

A file goes to one path, create-only: a crash between the write and the removal brings it there
again, and the same bytes at the path are as good as a write. Other bytes there are another node's
of the same name, or a number used twice: then the file goes beside them, named after its hash.
Nothing is overwritten, nothing is lost, rows may come twice, and readers take each once.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence

import msgspec

from snapshots.errors import AlreadyThere, Malformed, SnapshotError, StoreUnavailable
from snapshots.eventfiles import NAME, PACKED, beside, lines, path_of
from snapshots.polling import next_poll_s
from snapshots.spool import Spool, Waiting, stem
from snapshots.store import Store

RETRY_S = 2.0  # after a failure; doubled by each, up to a minute
LONGEST_WAIT_S = 4_400.0  # what a store may ask for; a longer one is a clock that was set back
LATEST_S = 253_402_300_800.0  # the year 10000: no date begins there


class _First(msgspec.Struct):
    received: float


class UploadStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How uploads go. Counted since the start; times in seconds since the epoch, 0 never.

    to: where files go, "" where they stay on the disk. waiting, waiting_bytes: finished files on
    the disk; oldest_s: when the last row of the oldest was written. uploaded, uploaded_bytes:
    files, and their bytes as stored; beside: those whose path was taken by other bytes. dropped:
    rows of the oldest files, which had to go. trouble: what went wrong last, "" once all is well.
    failures: attempts since the last good one.
    """

    to: str = ""
    waiting: int = 0
    waiting_bytes: int = 0
    oldest_s: float = 0.0
    uploaded: int = 0
    uploaded_bytes: int = 0
    beside: int = 0
    dropped: int = 0
    trouble: str = ""
    failures: int = 0
    last_success_s: float = 0.0
    next_try_s: float = 0.0


class Uploader:
    """Brings a spool's files into a store. One thread calls it.

    store: None keeps files on the disk, within their bytes. node: spreads a fleet's attempts.
    """

    def __init__(
        self, spool: Spool, store: Store | None, *, clock: Callable[[], float], node: str = ""
    ) -> None:
        self._spool, self._store, self._clock, self._node = spool, store, clock, node
        self._gone: set[str] = set()  # in the store, though the disk does not let go of them
        self.status = UploadStatus(to=store.where if store else "")

    def once(self, *, at_once: bool = False, goes_on: Callable[[], bool] = lambda: True) -> None:
        """One pass: ends, bounds, uploads what waits, oldest first. Never raises what a disk or a
        store does: the status tells.

        at_once: whether or not it is time after a failure. goes_on: asked before each file.
        """
        now_s = self._clock()
        try:
            waiting = self._spool.look()
        except OSError as error:
            self._set(trouble=_said(error))
            return
        if not (waiting and self.status.failures):
            self._set(trouble="", failures=0, next_try_s=0.0)
        is_due = at_once or not now_s < self.status.next_try_s <= now_s + LONGEST_WAIT_S
        if self._store is not None and waiting and is_due:
            self._attempt(self._store, waiting, goes_on)
            waiting = [one for one in waiting if one.path.exists()]
        if self.status.failures and not at_once:
            self._make_small(waiting, goes_on)
        self._count(waiting)

    def _attempt(
        self, store: Store, waiting: Sequence[Waiting], goes_on: Callable[[], bool]
    ) -> None:
        trouble = ""
        for one in waiting:
            if not goes_on():
                return
            try:
                self._bring(store, one)
            except OSError as error:  # this file alone
                trouble = _said(error)
            except SnapshotError as error:
                self._failed(error)
                return
        self._set(trouble=trouble, failures=0, next_try_s=0.0, last_success_s=self._clock())

    def _bring(self, store: Store, one: Waiting) -> None:
        """One file into the store, then off the disk."""
        name = stem(one.path)
        if name not in self._gone:
            data = self._spool.packed(one)
            self._write(store, path_of(first_s(data, name), name + PACKED), data)
            self._gone.add(name)
            self._set(
                uploaded=self.status.uploaded + 1,
                uploaded_bytes=self.status.uploaded_bytes + len(data),
            )
        with contextlib.suppress(FileNotFoundError):
            one.path.unlink()
        self._gone.discard(name)

    def _write(self, store: Store, path: str, data: bytes) -> None:
        try:
            store.create(path, data)
        except AlreadyThere:
            if _is_there(store, path, data):
                return
            self._set(beside=self.status.beside + 1)
            with contextlib.suppress(AlreadyThere):  # of a life before: its name is its bytes
                store.create(beside(path, data), data)

    def _make_small(self, waiting: Sequence[Waiting], goes_on: Callable[[], bool]) -> None:
        """While the store is away: the disk lasts five times as long. A full one has no room for
        that either; then files stay as they are."""
        for one in waiting:
            if not one.is_packed and goes_on():
                with contextlib.suppress(OSError):
                    self._spool.pack(one)

    def _failed(self, error: SnapshotError) -> None:
        failures = self.status.failures + 1
        asked_s = error.retry_after_s if isinstance(error, StoreUnavailable) else None
        wait_s = next_poll_s(self._node, RETRY_S, failures - 1, asked_s)
        self._set(trouble=str(error), failures=failures, next_try_s=self._clock() + wait_s)

    def _count(self, waiting: Sequence[Waiting]) -> None:
        self._set(
            waiting=len(waiting),
            waiting_bytes=sum(one.bytes for one in waiting),
            oldest_s=waiting[0].closed_s if waiting else 0.0,
            dropped=self._spool.dropped,
        )

    def _set(self, **changes: object) -> None:
        self.status = msgspec.structs.replace(self.status, **changes)


def first_s(data: bytes, name: str) -> float:
    """When a packed file's first row was received: what decides its place in the store, the same
    whenever it is asked. For a row that does not say, the number in the file's name, which is the
    second in which it was begun."""
    try:
        line = next(lines(data, name + PACKED), b"")
        found = msgspec.json.decode(line, type=_First).received
    except (Malformed, msgspec.DecodeError, UnicodeDecodeError):
        found = math.nan
    if not 0.0 <= found < LATEST_S:
        match = NAME.fullmatch(name + PACKED)
        found = float(match["seq"]) if match else 0.0
    return min(found, LATEST_S - 1)


def _is_there(store: Store, path: str, data: bytes) -> bool:
    """Whether these bytes lie there; not if the store does not let us read."""
    try:
        return store.read(path, len(data)) == data
    except SnapshotError:
        return False


def _said(error: OSError) -> str:
    return f"expected the disk to give and take, {error.strerror} - at {error.filename}"

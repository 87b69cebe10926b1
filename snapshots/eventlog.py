"""The event log: rows in, rotating NDJSON files out. A crash loses what was never handed over.

A file is `<node>-<worker>-<seq>.ndjson.part` while it is written and loses `.part` when it is full
or old enough; seq only grows. Rows go straight to the operating system, which keeps them when this
process dies; once a second they are also forced to the disk. When the disk takes no more, rows are
dropped and counted until it does: serving never waits for the log. One writer thread per log; it
holds a lock on its file, so that others know a file that is still written from one that is left.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

PART = ".part"
MAX_BYTES = 64 * 2**20
MAX_AGE_S = 300.0
SYNC_S = 1.0
CALM_S = 30.0  # a disk that is nearly full takes small writes and refuses large ones, by turns
MODE = 0o600  # rows are about people

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


class EventLogStatus(msgspec.Struct, frozen=True):
    """file: what is being written, "" for none. failing: what the disk said last, "" while all is
    well, and again once it took all that was written for CALM_S; since_s: when it first said so.
    Rows are counted since the start."""

    file: str = ""
    written: int = 0
    dropped: int = 0
    failing: str = ""
    since_s: float = 0.0


class EventLog:
    """The log of one worker. `write` blocks on the disk: call it from a thread of its own."""

    def __init__(
        self,
        directory: Path,
        node: str,
        worker: int,
        *,
        clock: Callable[[], float],
        max_bytes: int = MAX_BYTES,
        max_age_s: float = MAX_AGE_S,
    ) -> None:
        self._directory = directory
        self._stem = f"{_UNSAFE.sub('_', node) or 'node'}-{worker}-"
        self._ours = re.compile(re.escape(self._stem) + r"([0-9]{1,15})\.ndjson(.*)", re.ASCII)
        self._clock, self._max_bytes, self._max_age_s = clock, max_bytes, max_age_s
        self._handle = -1
        self._path = Path()
        self._seq, self._bytes, self._opened_s, self._synced_s = 0, 0, 0.0, 0.0
        self._failed_s = 0.0
        self.status = EventLogStatus()

    def write(self, rows: Sequence[bytes]) -> None:
        """Appends rows, each one line without its newline. Never raises for what a disk does; the
        status tells. All rows of a call are kept, or none."""
        now_s = self._clock()
        try:
            if self._handle < 0:
                self._open(now_s)
            self._append(b"".join(row + b"\n" for row in rows))
        except OSError as error:
            self._failed(error, len(rows), now_s)
            return
        self._wrote(len(rows), now_s)
        self._force(now_s)
        if self._bytes >= self._max_bytes:
            self.rotate()

    def tick(self) -> None:
        """What time asks for even when no rows come: rotation by age, and the forced write."""
        now_s = self._clock()
        if self._handle < 0:
            return
        if self._bytes and now_s - self._opened_s >= self._max_age_s:
            self.rotate()
        else:
            self._force(now_s)

    def rotate(self) -> None:
        """Ends the current file, so that it may be taken away; the next row begins another."""
        if self._handle < 0:
            return
        with contextlib.suppress(OSError):
            os.fsync(self._handle)
        self._let_go()
        with contextlib.suppress(OSError):  # left as .part, it is finished with the next file
            finish(self._path)

    def close(self) -> None:
        """Ends the log."""
        self.rotate()

    def _open(self, now_s: float) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        newest = self._seq
        for path in self._directory.iterdir():
            if (ours := self._ours.fullmatch(path.name)) is None:
                continue
            newest = max(newest, int(ours[1]))
            if ours[2] == PART:  # of a life before this one
                with contextlib.suppress(OSError):
                    finish(path)
        # The time as the lowest seq: a number is not used again though its file was taken away.
        self._seq = max(newest, int(now_s) - 1)
        while self._handle < 0:
            self._seq += 1
            self._path = self._directory / f"{self._stem}{self._seq}.ndjson{PART}"
            self._handle = os.open(self._path, _NEW, MODE)
            with contextlib.suppress(OSError):  # a disk without locks: nobody can take it for left
                fcntl.flock(self._handle, fcntl.LOCK_EX)
            if os.fstat(self._handle).st_nlink == 0:  # taken for left before it was locked
                self._let_go()
        self._bytes, self._opened_s, self._synced_s = 0, now_s, now_s

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._handle, view) :]
        except OSError:
            try:
                os.ftruncate(self._handle, self._bytes)  # no half row before the next whole one
            except OSError:
                self._let_go()  # the next row begins a file of its own
            raise
        self._bytes += len(data)

    def _force(self, now_s: float) -> None:
        """Once a second: to the disk itself. A file that was taken away under us is let go."""
        if now_s - self._synced_s < SYNC_S:
            return
        self._synced_s = now_s
        try:
            os.fsync(self._handle)
        except OSError as error:
            self._failed(error, 0, now_s)
        if os.fstat(self._handle).st_nlink == 0:
            self._let_go()

    def _let_go(self) -> None:
        """Closes the file; whatever the disk says of that, the handle is not ours any more."""
        handle, self._handle = self._handle, -1
        with contextlib.suppress(OSError):
            os.close(handle)

    def _wrote(self, rows: int, now_s: float) -> None:
        status = self.status
        written, name = status.written + rows, self._path.name
        if status.failing and now_s - self._failed_s < CALM_S:
            self.status = msgspec.structs.replace(status, file=name, written=written)
        else:
            self.status = EventLogStatus(name, written, status.dropped)

    def _failed(self, error: OSError, dropped: int, now_s: float) -> None:
        status, self._failed_s = self.status, now_s
        since_s = status.since_s if status.failing else now_s
        failing = error.strerror or str(error)
        self.status = EventLogStatus(
            status.file, status.written, status.dropped + dropped, failing, since_s
        )


def finish_left(folder: Path) -> None:
    """Ends what nobody writes any more: the last files of processes that died. Never raises for
    what a disk does; what cannot be ended stays as it is."""
    for path in folder.glob(f"*.ndjson{PART}"):
        with contextlib.suppress(OSError), path.open("rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # or whoever writes it has it
            finish(path)


def finish(path: Path) -> None:
    """Renames a `.part` that holds rows, cut after the last whole one; removes an empty one."""
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        whole = _after_last_newline(file.fileno(), size)
        if whole != size:
            file.truncate(whole)
    if whole:
        path.rename(path.with_name(path.name.removesuffix(PART)))
    else:
        path.unlink()


def _after_last_newline(handle: int, size: int) -> int:
    step = 64 * 2**10
    end = size
    while end > 0:
        start = max(0, end - step)
        found = os.pread(handle, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0

"""Event files: a node's folder or a store's `events/` in; rows out, file by file, each once.

A file is `<node>-<worker>-<seq>.ndjson` on a node's disk and lies compressed in a store, in the
folder of the UTC hour of its first row. It gets there at least once, and a client repeats what was
not answered: who reads takes each row by its id once. Refused, with file and line, is a line that
is no row, and a file that is cut off.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec
import zstandard

from decisions.events import SERVED
from snapshots.errors import Malformed, StoreUnavailable, TooLarge
from snapshots.store import Listed, Store, open_writable

EVENTS = "events/"
ENDING, PACKED = ".ndjson", ".ndjson.zst"
MAX_FILE_BYTES = 256 * 2**20  # as stored; a node's files are a hundredth of it
MAX_LINE_BYTES = 2**20  # a row is 0.5 KiB
MAX_WINDOW_BYTES = 8 * 2**20
HOUR_S, DAY_S = 3_600.0, 86_400.0
REMEMBERED = 4_000_000  # rows; repeats come within minutes, and ~0.1 KiB is kept of each

NAME = re.compile(
    r"[A-Za-z0-9._-]+-[0-9]+-(?P<seq>[0-9]{1,15})(?P<hash>-[0-9a-f]{32})?\.ndjson(\.zst)?",
    re.ASCII,
)
_HOUR = re.compile(r"events/dt=(\d{4}-\d\d-\d\d)/hour=(\d\d)/[^/]+", re.ASCII)
_PIECE = 256 * 2**10
_MORSEL = 2**10  # of compressed bytes: a hostile kilobyte inflates to 32 MiB


class Identified(Protocol):
    """What makes a row itself."""

    @property
    def id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def received(self) -> float: ...
    @property
    def visitor(self) -> str: ...


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """As much of a row as says whose it is, of when, and under which grants."""

    id: str
    type: str
    received: float
    visitor: str = ""
    customer: str = ""
    session: str = ""
    grants: list[str] = []


R = TypeVar("R", bound=Identified)


class Placed(NamedTuple, Generic[R]):
    """A row and where it stands. line: counted from 1. raw: its bytes, without the newline."""

    row: R
    file: str
    line: int
    raw: bytes


class EventFiles(Protocol):
    """Where event files lie."""

    @property
    def where(self) -> str:
        """The place for people, without credentials."""
        ...

    def look(self) -> Sequence[Listed]:
        """The finished files, in the order in which they are read. Raises StoreUnavailable."""
        ...

    def read(self, path: str) -> bytes:
        """All bytes of a file, as they are stored. Raises StoreUnavailable, TooLarge."""
        ...


class StoredEvents:
    """The event files of a store."""

    def __init__(self, store: Store) -> None:
        self.store, self.where = store, store.where

    def look(self) -> Sequence[Listed]:
        """Hour by hour, and by name within it; what has no hour is not ours."""
        return [one for one in self.store.look(EVENTS) if hour_of(one.path) is not None]

    def read(self, path: str) -> bytes:
        return self.store.read(path, MAX_FILE_BYTES)


class FolderEvents:
    """The event files below a folder: a node's `events`, or a store that is a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.where = folder, str(folder)

    def look(self) -> Sequence[Listed]:
        """By path. What is still written (`.part`) is not finished."""
        if not self._folder.is_dir():
            got = "a file" if self._folder.exists() else "nothing there"
            raise StoreUnavailable(
                f"expected a folder of event files, got {got} - at {self._folder}"
            )
        events = self._folder / EVENTS
        found = sorted((events if events.is_dir() else self._folder).rglob("*.ndjson*"))
        ours = [path for path in found if NAME.fullmatch(path.name) and path.is_file()]
        stats = ((path, path.stat()) for path in ours)
        return [
            Listed(path.relative_to(self._folder).as_posix(), stat.st_size, stat.st_mtime)
            for path, stat in stats
        ]

    def read(self, path: str) -> bytes:
        try:
            with (self._folder / path).open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            what = error.strerror or str(error)
            raise StoreUnavailable(
                f"expected an event file, {what} - at {self._folder / path}"
            ) from error
        if len(data) > MAX_FILE_BYTES:
            raise TooLarge(f"expected at most {MAX_FILE_BYTES} bytes, got more - at {path}")
        return data


def open_events(where: str) -> EventFiles:
    """The event files at an address: a folder (a node's `events`, or a store), or a bucket.

    Raises StoreUnavailable for an address of no kind that can be listed.
    """
    if "://" not in where:
        return FolderEvents(Path(where))
    if where.startswith("file://"):
        return FolderEvents(Path(url2pathname(urlsplit(where).path)))
    return StoredEvents(open_writable(where))


def hour_of(path: str) -> float | None:
    """When the hour began whose folder a path in a store names, in seconds since the epoch; None
    for a path that is no event file's."""
    match = _HOUR.fullmatch(path)
    if match is None or NAME.fullmatch(path.rpartition("/")[2]) is None:
        return None
    try:
        return datetime.fromisoformat(f"{match[1]}T{match[2]}:00:00+00:00").timestamp()
    except ValueError:
        return None


def beside(path: str, data: bytes) -> str:
    """Where a file goes whose own path is taken, or that is written anew: named after its hash."""
    match = NAME.fullmatch(path.rpartition("/")[2])
    was = (match["hash"] or "") if match else ""
    hash_ = hashlib.sha256(data).hexdigest()[:32]
    return f"{path.removesuffix(PACKED).removesuffix(was)}-{hash_}{PACKED}"


def path_of(first_s: float, name: str) -> str:
    """Where a file belongs in a store: in the UTC hour of its first row."""
    at = datetime.fromtimestamp(first_s, UTC)
    return f"{EVENTS}dt={at:%Y-%m-%d}/hour={at:%H}/{name}"


def read_rows(
    files: EventFiles, kind: type[R], *, from_s: float = 0.0, to_s: float = float("inf")
) -> Iterator[Placed[R]]:
    """The rows of all files as `kind`, a struct that has at least what `Identified` says: in their
    order in each file, each once (as far as REMEMBERED rows apart).

    from_s, to_s: files whose hour in a store says that they hold nothing of this time are passed
    over; what they do hold is not cut. Raises Malformed, StoreUnavailable, TooLarge.
    """
    seen = Seen()
    for path in paths_of(files, from_s=from_s, to_s=to_s):
        for placed in rows_of(files.read(path), path, kind):
            if seen.is_new(placed.row, placed.raw):
                yield placed


def paths_of(
    files: EventFiles, *, from_s: float = 0.0, to_s: float = float("inf")
) -> Iterator[str]:
    """The files that may hold rows of this time, in the order in which they are read. Raises
    StoreUnavailable."""
    for one in files.look():
        began_s = hour_of(one.path)
        # It goes on after its hour for as long as a file may be written, a day at most.
        if began_s is None or from_s - HOUR_S - DAY_S <= began_s <= to_s:
            yield one.path


def rows_of(data: bytes, path: str, kind: type[R]) -> Iterator[Placed[R]]:
    """The rows of one file in order, repeats and all. data: as stored. Raises Malformed."""
    decoder = msgspec.json.Decoder(kind)
    for number, raw in enumerate(lines(data, path), 1):
        try:
            row = decoder.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Malformed(f"expected a row of the event log: {error} - at {path}:{number}") from (
                error
            )
        yield Placed(row, path, number, raw)


class Seen:
    """Which rows were there before. Two generations of hashes: the older is forgotten as a whole,
    so that memory stays bounded however much is read."""

    def __init__(self, most: int = REMEMBERED) -> None:
        """most: rows that are remembered at least."""
        self._most = most
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def is_new(self, row: Identified, raw: bytes = b"") -> bool:
        """Whether it is the first of its kind; from now on it is not. raw: its bytes."""
        key = _key(row, raw)
        if key in self._young or key in self._old:
            return False
        if len(self._young) >= self._most:
            self._old, self._young = self._young, set()
        self._young.add(key)
        return True


def _key(row: Identified, raw: bytes) -> bytes:
    """What two copies of a row have in common, and no two rows do. An id is the client's: that of
    one visitor says nothing of another's. A decision's is its `x`, which names a second: visits of
    nobody in particular may share it, but not the moment. A client that sends no id is taken by
    all that it said."""
    if not row.id:
        return hashlib.blake2b(raw, digest_size=12).digest()
    moment = repr(row.received) if row.type == SERVED else ""
    text = f"{row.visitor}\n{moment}\n{row.id}"
    return hashlib.blake2b(text.encode(), digest_size=12).digest()


def lines(data: bytes, path: str) -> Iterator[bytes]:
    """The lines of a file, without their newlines. Raises Malformed for one that is cut off."""
    for block in blocks(data, path):
        yield from block[:-1].split(b"\n")


def blocks(data: bytes, path: str) -> Iterator[bytes]:
    """The same, some lines at a time, with their newlines."""
    rest, number = b"", 0
    for piece in pieces(data, path):
        whole, newline, rest = (rest + piece).rpartition(b"\n")
        if newline:
            number += whole.count(b"\n") + 1
            yield whole + newline
        if len(rest) > MAX_LINE_BYTES:
            what = f"expected a row of at most {MAX_LINE_BYTES} bytes, got more"
            raise Malformed(f"{what} - at {path}:{number + 1}")
    if rest:
        raise Malformed(f"expected a whole row, got one cut off - at {path}:{number + 1}")


def pieces(data: bytes, path: str) -> Iterator[bytes]:
    """The bytes of a file, inflated if need be, never many at once. Raises Malformed."""
    if not path.endswith(PACKED):
        yield from (data[start : start + _PIECE] for start in range(0, len(data), _PIECE))
        return
    inflate = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).decompressobj()
    taken = 0
    try:
        while taken < len(data) and not inflate.eof:
            yield inflate.decompress(data[taken : taken + _MORSEL])
            taken += _MORSEL
    except zstandard.ZstdError as error:
        raise Malformed(f"expected a zstd frame: {error} - at {path}") from None
    if not inflate.eof or inflate.unused_data or taken < len(data):
        raise Malformed(f"expected one zstd frame, no more, no less - at {path}")

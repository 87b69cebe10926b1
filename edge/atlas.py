"""A client's address in; country, continent, region, city and time zone out, by an mmdb file.

The file may change. It is copied beside the node's other files and mapped from there, one copy for
all workers: whoever overwrites it in place cannot pull it from under them. At the start a file that
is missing or broken is an error; later the last good one serves on. Addresses are in memory only,
the last few thousand.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import CannotServe

if TYPE_CHECKING:
    from maxminddb import Reader

PLACE = b":place"  # in place of a header; none that comes over the wire has a colon
NOWHERE = b""
COPIES = "atlas-*.mmdb"
MAX_FOUND = 4_096  # addresses that are remembered; then all are forgotten

# In the order of context.PLACES, where a record of GeoIP2, GeoLite2 or DB-IP has each.
_RECORD = (
    ("country", "iso_code"),
    ("continent", "code"),
    ("subdivisions", 0, "iso_code"),
    ("city", "names", "en"),
    ("location", "time_zone"),
)

Identity = tuple[int, int, int]  # time, size and inode


class Atlas:
    """The file of one worker."""

    def __init__(self, path: Path, folder: Path) -> None:
        """folder: for the copy, which is found there by workers that start later. Raises
        CannotServe where neither the file nor a copy can be read."""
        self._path, self._folder = path, folder
        self._seen: Identity | None = None
        self._opened: tuple[Reader, dict[str, bytes]] | None = None
        self.trouble = ""
        self.refresh()
        if self._opened is None:
            for copy in folder.glob(COPIES):  # this worker starts again while the file is broken
                self._opened = _opened(copy), {}
        if self._opened is None:
            raise CannotServe(self.trouble)

    def find(self, address: str) -> bytes:
        """Where an address is: the values in order, a line each; NOWHERE if that is not known.
        Never raises."""
        if self._opened is None:  # pragma: no cover - it was opened at the start
            return NOWHERE
        reader, found = self._opened
        place = found.get(address)
        if place is None:
            place = _read(reader, address)
            if len(found) >= MAX_FOUND:
                found.clear()
            found[address] = place
        return place

    @property
    def is_newer(self) -> bool:
        """Whether the file is not the one that was looked at last: one stat call."""
        try:
            return _identity(self._path) != self._seen
        except OSError:
            return not self.trouble

    def refresh(self) -> None:
        """Takes the file as it is now, or says in `trouble` why not. Reads all of it: not for an
        event loop's thread. One assignment makes the new one count."""
        self._seen = None
        try:
            self._seen = _identity(self._path)
            self._opened = _opened(self._copied(self._seen)), {}
            self.trouble = ""
        except (OSError, ValueError) as error:
            what = getattr(error, "strerror", None) or str(error)
            self.trouble = f"expected an mmdb file, got {what} - at {self._path}"

    def _copied(self, identity: Identity) -> Path:
        """The copy of this state of the file, made unless another worker did."""
        mtime_ns, size, _ = identity
        copy = self._folder / f"atlas-{mtime_ns}-{size}.mmdb"
        if copy.exists():
            return copy
        unfinished = copy.with_suffix(f".{os.getpid()}")
        try:
            shutil.copyfile(self._path, unfinished)
            if _identity(self._path) != identity:
                raise ValueError("one that is being written")
            _opened(unfinished)
            unfinished.replace(copy)
        finally:
            unfinished.unlink(missing_ok=True)
        for other in self._folder.glob(COPIES):
            if other != copy:  # what is mapped stays until it is let go of
                other.unlink(missing_ok=True)
        return copy


def _identity(path: Path) -> Identity:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _opened(path: Path) -> Reader:
    """Raises OSError or ValueError."""
    import maxminddb  # only where there is such a file

    try:
        return maxminddb.open_database(path)
    except maxminddb.InvalidDatabaseError as error:
        raise ValueError("something else") from error


def _read(reader: Reader, address: str) -> bytes:
    try:
        record = reader.get(address)
    except (ValueError, RuntimeError):  # no address, one of a family it lacks, or broken inside
        return NOWHERE
    values = [_text(record, path) for path in _RECORD]
    return "\n".join(values).encode() if any(values) else NOWHERE


def _text(record: Any, path: tuple[str | int, ...]) -> str:
    """The text at a path of a record, on one line; "" if there is none."""
    for key in path:
        try:
            record = record[key]
        except (LookupError, TypeError):
            return ""
    return " ".join(record.split()) if isinstance(record, str) else ""

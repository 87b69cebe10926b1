"""The trail: the consent records of a node, each with the hash of the one before; here is its end.

    consents        the end: the trail's name, how many records it has, the last one's hash
    consents.lock   held by whoever adds one, for as long as it takes

All workers add to one trail. With each start of the node another begins, whose first record holds
the hash of the last one before: a power cut may have lost what was written last, and numbers must
not be given twice. The records themselves are rows of the event log.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from edge.sinks.row import Row, encode

FILE, LOCK, UNFINISHED = "consents", "consents.lock", "consents.unfinished"
_NAME_BYTES = 8

R = TypeVar("R", bound=Row)


class End(msgspec.Struct, frozen=True):
    """Where a trail ends. link: the last record's hash, also of the trail before; "" for none."""

    trail: str
    number: int = 0
    link: str = ""


_DECODER = msgspec.json.Decoder(End)


class Trail:
    """The end of one node's trail. folder: the node's cache; None keeps it in memory, for tests."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._end = self._new("")

    def begin(self) -> None:
        """Another trail after the one that is there. Raises OSError."""
        with self._locked():
            self._write(self._new(self._read().link))

    def add(self, make: Callable[[End], R]) -> R:
        """The next record. make: is given the end before it. Raises OSError; then the trail ends
        where it did."""
        with self._locked():
            end = self._read()
            record = make(end)
            self._write(End(end.trail, end.number + 1, hashlib.sha256(encode(record)).hexdigest()))
        return record

    @staticmethod
    def _new(link: str) -> End:
        return End(os.urandom(_NAME_BYTES).hex(), link=link)

    def _read(self) -> End:
        if self._folder is None:
            return self._end
        try:
            return _DECODER.decode((self._folder / FILE).read_bytes())
        except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
            return self._new("")

    def _write(self, end: End) -> None:
        self._end = end
        if self._folder is None:
            return
        unfinished = self._folder / UNFINISHED
        unfinished.write_bytes(msgspec.json.encode(end))
        unfinished.replace(self._folder / FILE)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        if self._folder is None:
            yield
            return
        with (self._folder / LOCK).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

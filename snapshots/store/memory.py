"""A store in memory: for tests, and the shortest statement of what a store is."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence

from snapshots.errors import AlreadyThere, NotThere, TooLarge
from snapshots.store.protocol import Fetched, Listed, Take


class MemoryStore:
    """A dict of paths. `objects` may be looked at and changed: that is what a fake is for.

    clock: gives the time of writes.
    """

    where = "memory"

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.objects: dict[str, bytes] = {}
        self._clock = clock
        self._written: dict[str, float] = {}

    def read(self, path: str, max_bytes: int) -> bytes:
        """As the protocol says."""
        if path not in self.objects:
            raise NotThere(path, self.where)
        data = self.objects[path]
        if len(data) > max_bytes:
            raise TooLarge(f"expected at most {max_bytes} bytes, got {len(data)} - at {path}")
        return data

    def read_if_changed(self, path: str, etag: str, max_bytes: int) -> Fetched | None:
        """As the protocol says; the tag is a hash."""
        data = self.read(path, max_bytes)
        tag = hashlib.sha256(data).hexdigest()
        return None if tag == etag else Fetched(data, tag)

    def read_from(self, path: str, start: int, max_bytes: int, take: Take) -> None:
        """As the protocol says, in one piece."""
        take(self.read(path, max_bytes)[start:])

    def create(self, path: str, data: bytes) -> None:
        """As the protocol says."""
        if self.objects.setdefault(path, data) is not data:
            raise AlreadyThere(path, self.where)
        self._written[path] = self._clock()

    def replace(self, path: str, data: bytes) -> None:
        """As the protocol says."""
        self.objects[path] = data
        self._written[path] = self._clock()

    def list(self, prefix: str) -> list[str]:
        """As the protocol says."""
        return sorted(path for path in self.objects if path.startswith(prefix))

    def look(self, prefix: str) -> Sequence[Listed]:
        """As the protocol says."""
        return [
            Listed(path, len(self.objects[path]), self._written.get(path, 0.0))
            for path in self.list(prefix)
        ]

    def delete(self, path: str) -> None:
        """As the protocol says."""
        self.objects.pop(path, None)

"""A store in memory: for tests, and the shortest statement of what a store is."""

from __future__ import annotations

import hashlib

from snapshots.errors import AlreadyThere, NotThere, TooLarge
from snapshots.store.protocol import Fetched


class MemoryStore:
    """A dict of paths. `objects` may be looked at and changed: that is what a fake is for."""

    where = "memory"

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

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

    def create(self, path: str, data: bytes) -> None:
        """As the protocol says."""
        if self.objects.setdefault(path, data) is not data:
            raise AlreadyThere(path, self.where)

    def replace(self, path: str, data: bytes) -> None:
        """As the protocol says."""
        self.objects[path] = data

    def list(self, prefix: str) -> list[str]:
        """As the protocol says."""
        return sorted(path for path in self.objects if path.startswith(prefix))

    def delete(self, path: str) -> None:
        """As the protocol says."""
        self.objects.pop(path, None)

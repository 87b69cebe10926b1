"""What a store must do; `tests/contracts` says it as tests. Synchronous: callers bring a thread.

Paths are relative, with `/` between their parts. Every method raises StoreUnavailable when the
store does not answer as a store, and NotThere for a path that holds nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import msgspec

Take: TypeAlias = Callable[[bytes], object]  # what is done with each piece as it arrives

_SECRETS = re.compile(r"(?<=//)[^/\s]*@|\?\S*")  # of URLs: user and password, and the query


def without_secrets(text: str) -> str:
    """A URL, or a message with URLs in it, as it may be shown to people and written to logs."""
    return _SECRETS.sub("", text)


class Fetched(msgspec.Struct, frozen=True):
    """Bytes and the tag of this state of them; etag is "" where the store has none."""

    data: bytes
    etag: str = ""


class Listed(msgspec.Struct, frozen=True):
    """What lies at a path: its size, and when it was written, in seconds since the epoch by the
    store's clock."""

    path: str
    bytes: int
    modified_s: float


class ReadableStore(Protocol):
    """What an edge needs."""

    @property
    def where(self) -> str:
        """The store's address for people, without credentials."""
        ...

    def read(self, path: str, max_bytes: int) -> bytes:
        """All bytes at a path; raises TooLarge as soon as there are more than max_bytes."""
        ...

    def read_if_changed(self, path: str, etag: str, max_bytes: int) -> Fetched | None:
        """The bytes unless they are still those that `etag` names ("" names none), else None."""
        ...

    def read_from(self, path: str, start: int, max_bytes: int, take: Take) -> None:
        """Hands over the bytes at a path from number `start` on, in order, as they arrive; none
        where the store holds no more than `start`, or has no way to go on from there.

        Whatever was taken before an error stays taken: that is what is gone on from. Raises
        TooLarge as soon as the whole would be more than max_bytes, start included.
        """
        ...


class Store(ReadableStore, Protocol):
    """What a publisher needs besides."""

    def create(self, path: str, data: bytes) -> None:
        """Writes, if nothing is there; else raises AlreadyThere. Of many at once, one wins."""
        ...

    def replace(self, path: str, data: bytes) -> None:
        """Writes, whatever is there; readers see the old bytes or the new ones, never a mixture."""
        ...

    def list(self, prefix: str) -> list[str]:
        """The paths under a folder (a prefix that ends in `/`), sorted; none if it is missing."""
        ...

    def look(self, prefix: str) -> Sequence[Listed]:
        """The same with sizes and times."""
        ...

    def delete(self, path: str) -> None:
        """Removes what is there; nothing there is no error."""
        ...

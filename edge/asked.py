"""What was known of those who asked just now: for the next slot of the same page.

It cannot outlive what it follows from: it lies at the snapshot it was decided with, and is emptied
with the second and with the keys of the cookies. MOST requests at once, the oldest goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

MOST = 64  # pages that are being put together at one time; more would only keep the collector busy
MAX_KEY_BYTES = 10_000  # of one request; cookies, query and agent are seldom half of that

Found = TypeVar("Found")
Key = tuple[bytes | None, ...]  # the bytes of a request that matter: query and headers


class Asked(Generic[Found]):
    """Requests and what was found for them, within one moment."""

    def __init__(self) -> None:
        self._moment: tuple[Hashable, ...] = ()
        self._found: OrderedDict[Key, Found] = OrderedDict()

    def __len__(self) -> int:
        return len(self._found)

    def find(self, key: Key, *moment: Any) -> Found | None:
        """What was kept for this request; None when that was in another moment.

        moment: all that an answer depends on besides the request and the snapshot.
        """
        if moment != self._moment:
            self._moment = moment
            self._found.clear()
        return self._found.get(key)

    def clear(self) -> None:
        """Forgets all. What was found may hold the snapshot that it was decided with, at which this
        lies: a ring, which keeps a snapshot that is served no more in memory for ever."""
        self._found.clear()

    def keep(self, key: Key, found: Found) -> None:
        """Keeps it for the moment that was asked about last, unless the request is very long."""
        if sum(map(len, filter(None, key))) <= MAX_KEY_BYTES:
            self._found[key] = found
            if len(self._found) > MOST:
                self._found.popitem(last=False)

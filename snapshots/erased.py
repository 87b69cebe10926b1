"""The part `erased`: who asked to be forgotten, as keyed hashes; mapped, never loaded.

A hash is that of a visitor's or a customer's id under the ledger's salt (`ledger.visitor_key`), so
that the list names nobody. It travels with every version of a channel: no publish, rollback or
promotion loses an entry. An entry is kept for as long as a cookie can turn up that was written
before it, and is let go after that. docs/bundle-format.md has the layout to the byte.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from decisions.ledger import visitor_key
from snapshots.bundle import Packed, pack
from snapshots.columns import frame, numbers, open_frame
from snapshots.errors import TooLarge

if TYPE_CHECKING:
    from typing_extensions import Buffer

ERASED = "erased"
FORMAT = 1
READABLE = frozenset({1})
MAGIC = b"EW erad\n"
KEEP_S = 400 * 86_400  # a profile's cookie lives 390 days at most, and clocks differ
MAX_ERASED = 10_000_000  # as many as there are members; 0.12 GB

_HASH_BYTES, _SECOND_BYTES = 8, 4  # seconds in 32 bits last until 2106

Times = Mapping[int, int]  # 64-bit hash → when it was asked for, whole seconds since the epoch


class _Head(msgspec.Struct, frozen=True):
    """Nothing yet: all that there is to say stands in the frame."""


class Erased:
    """The list over the bytes of its part, which it keeps alive. Immutable."""

    def __init__(self, raw: Buffer) -> None:
        """Checks the frame, not the rows: whatever these hold, a look-up answers. Raises Malformed,
        Unreadable."""
        opened = open_frame(ERASED, raw, MAGIC, READABLE)
        opened.expect(opened.rows * (_HASH_BYTES + _SECOND_BYTES))
        end = opened.rows * _HASH_BYTES
        self._hashes = numbers(opened.body[:end], _HASH_BYTES)
        self._seconds = numbers(opened.body[end:], _SECOND_BYTES)

    def __len__(self) -> int:
        return len(self._hashes)

    def get(self, hash_: int) -> int | None:
        """When it was asked to forget whose hash this is, or None. Never raises."""
        row = bisect_left(self._hashes, hash_)
        found = row < len(self._hashes) and self._hashes[row] == hash_
        return self._seconds[row] if found else None

    def times(self) -> Times:
        """All of it, loaded: for who makes the next list."""
        return dict(zip(self._hashes, self._seconds, strict=True))


def erased_part(times: Times) -> Packed:
    """The part of this list; the same list, the same bytes. Raises TooLarge for more than
    MAX_ERASED."""
    if len(times) > MAX_ERASED:
        raise TooLarge(f"expected at most {MAX_ERASED} erasures, got {len(times)}")
    rows = sorted(times.items())
    body = array("Q", (hash_ for hash_, _ in rows)).tobytes()
    body += array("I", (at_s for _, at_s in rows)).tobytes()
    framed = frame(MAGIC, FORMAT, _Head(), len(rows), len(body))
    framed.part[framed.start :] = body
    return pack(ERASED, FORMAT, framed.part)


def hashed(salt: str, ids: Mapping[str, int]) -> Times:
    """What is listed of these ids. ids: a visitor's or a customer's id → when it was asked for."""
    return {visitor_key(salt, id_): at_s for id_, at_s in ids.items()}


def merged(lists: Iterable[Times], now_s: float) -> Times:
    """All lists as one: of two times the later; what is older than KEEP_S is left out."""
    found: dict[int, int] = {}
    for times in lists:
        for hash_, at_s in times.items():
            if at_s + KEEP_S > now_s and at_s > found.get(hash_, -1):
                found[hash_] = at_s
    return found

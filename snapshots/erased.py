"""The part `erased`: who asked to be forgotten, as keyed hashes; mapped, never loaded.

A hash is that of a visitor's or a customer's id under the ledger's salt (`ledger.visitor_key`), so
that the list names nobody. It travels with every version of a channel: no publish, rollback or
promotion loses an entry. An entry is kept for as long as a cookie can turn up that was written
before it, and is let go after that. docs/bundle-format.md has the layout to the byte.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec

from decisions.events import ERASE
from decisions.ledger import visitor_key
from snapshots.bundle import Packed, pack
from snapshots.columns import frame, numbers, open_frame
from snapshots.errors import Malformed, TooLarge

if TYPE_CHECKING:
    from typing_extensions import Buffer

ERASED = "erased"
FORMAT = 1
READABLE = frozenset({1})
MAGIC = b"EW erad\n"
KEEP_S = 400 * 86_400  # a profile's cookie lives 390 days at most, and clocks differ
MAX_ERASED = 10_000_000  # as many as there are members; 0.12 GB

_HASH = re.compile(r"[0-9a-f]{16}", re.ASCII)
_HASH_BYTES, _SECOND_BYTES = 8, 4  # seconds in 32 bits last until 2106

Times = Mapping[int, int]  # 64-bit hash → when it was asked for, whole seconds since the epoch


class Whose(Protocol):
    """What a row of the event log says of whose it is: hashes in 16 hex digits, "" for nobody."""

    @property
    def type(self) -> str: ...
    @property
    def received(self) -> float: ...
    @property
    def visitor(self) -> str: ...
    @property
    def customer(self) -> str: ...


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


def is_of_erased(row: Whose, listed: Callable[[int], int | None]) -> bool:
    """Whether a row of the event log is of somebody who is listed, so that it must go.

    listed: hash → when it was asked for, None if it was not: `Erased.get`, or the `get` of Times.
    All rows of a visitor go; of a customer those from before, for who comes back later is new. A
    row that asks for it stays: the list is made of these, and it holds only hashes. Raises
    Malformed for a row that names somebody in another way.
    """
    if row.type == ERASE:
        return False
    if row.visitor and listed(hash_in(row.visitor)) is not None:
        return True
    asked_at_s = listed(hash_in(row.customer)) if row.customer else None
    return asked_at_s is not None and row.received < asked_at_s + 1  # asked for in that second


def hash_in(text: str) -> int:
    """A hash as rows spell it. Raises Malformed."""
    if not _HASH.fullmatch(text):
        raise Malformed(f"expected a hash of 16 hex digits, got {text[:64]!r}")
    return int(text, 16)

"""Ages by purpose in; rows of a store's event files that nobody may use any more, out.

A row may be used for a purpose that it was granted for until that purpose's age: then the purpose
leaves the row's grants, and with its last one the row goes. What was granted `sensitive` goes with
that, for it may say what nothing else allows. So do the rows of who is to be forgotten.

A file that holds both is written anew, beside itself and named after its hash, before the old one
goes: a crash between leaves rows twice, which readers take once, and the next run ends it. A file
that cannot be read stays, and is told.

What proves a consent outlives the rows around it. It is gathered into a file for each day, byte by
byte, so that years of files need not be kept, nor read, for a few of their rows.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from decisions.events import AGREED, CONSENT, ERASE
from snapshots.erased import Times, is_of_erased
from snapshots.errors import AlreadyThere, Malformed, NotThere, TooLarge
from snapshots.eventfiles import (
    DAY_S,
    HOUR_S,
    PACKED,
    Logged,
    StoredEvents,
    beside,
    hour_of,
    path_of,
    rows_of,
)
from snapshots.spool import compress
from snapshots.store import Listed, Store

SENSITIVE = "sensitive"
PROOFS = frozenset({CONSENT, AGREED})  # not a byte of them may be changed
WHATEVER_IS_GRANTED = PROOFS | {ERASE}  # rows that need no grant, whatever they say of grants
GATHERED = "consents-0-"  # how files of proofs begin; no process has the number 0
MAX_GATHERED = 16 * 2**20  # bytes of rows that wait to be written
# By then every node knows of an erasure and writes no more such rows: also one that was cut off
# from the store, which operators are told long before, and then brings what it wrote meanwhile.
OBEYED_S = 7 * DAY_S

_ENCODER = msgspec.json.Encoder()


class Ages(msgspec.Struct, frozen=True):
    """How long rows may be used. days: for a purpose that has no age of its own, and for rows that
    need no grant. purposes: purpose → its days."""

    days: float
    purposes: Mapping[str, float] = {}

    def of(self, purpose: str) -> float:
        """The age of a purpose in seconds."""
        return self.purposes.get(purpose, self.days) * DAY_S

    @property
    def shortest_s(self) -> float:
        return min([self.days, *self.purposes.values()]) * DAY_S

    @property
    def longest_s(self) -> float:
        return max([self.days, *self.purposes.values()]) * DAY_S


class Retained(msgspec.Struct, kw_only=True):
    """What a run did, or would do. removed, rewritten: paths. rows: that went, out of files that
    were read; erased: of these, because of who they are of; narrowed: that lost a purpose.
    gathered: paths of files that proofs went into. bytes: that the store is rid of. left: why a
    file was left as it is."""

    removed: list[str] = []
    rewritten: list[str] = []
    gathered: list[str] = []
    rows: int = 0
    erased: int = 0
    narrowed: int = 0
    bytes: int = 0
    left: list[str] = []


class _Rules(NamedTuple):
    """By what the rows of one file stay or go."""

    ages: Ages
    now_s: float
    erased: Times


class _Sifted(NamedTuple):
    """The lines of a file that stay, those that are to be gathered, by the day they came, and what
    became of the others."""

    lines: Sequence[bytes]
    proofs: Sequence[tuple[int, bytes]]
    gone: int
    erased: int
    narrowed: int


def grants_left(row: Logged, ages: Ages, now_s: float) -> list[str] | None:
    """What a row may still be used for; None for one that goes. Pure."""
    age_s = now_s - row.received
    if not row.grants or row.type in WHATEVER_IS_GRANTED:
        return row.grants if age_s <= ages.of("") else None
    if SENSITIVE in row.grants and age_s > ages.of(SENSITIVE):
        return None
    return [purpose for purpose in row.grants if age_s <= ages.of(purpose)] or None


def retain(
    store: Store, ages: Ages, *, now_s: float, erased: Times | None = None, is_dry: bool = False
) -> Retained:
    """Goes over all event files of a store. erased: the list of who is to be forgotten; what was
    written before they asked is read in every run. is_dry: finds, and changes nothing.

    Raises StoreUnavailable: what was done until then is done.
    """
    erased = erased or {}
    latest_s = max(erased.values(), default=-OBEYED_S) + OBEYED_S
    told = Retained()
    gathering = _Gathering(store, told, is_dry)
    for one in StoredEvents(store).look():
        began_s = hour_of(one.path) or 0.0
        if began_s > now_s + DAY_S:
            told.left.append(
                f"expected an hour that has been, a node's clock was ahead - at {one.path}"
            )
            continue
        # Its rows came between the hour's begin and, at the latest, a day after its end.
        if now_s - (began_s + HOUR_S + DAY_S) > ages.longest_s:
            _remove(store, one, told, is_dry)
        elif began_s <= latest_s or (
            now_s - began_s > ages.shortest_s and not _is_gathered(one.path)
        ):
            with contextlib.suppress(NotThere):  # another run was here
                _go_over(store, one, _Rules(ages, now_s, erased), told, is_dry, gathering)
    gathering.write()
    return told


def _is_gathered(path: str) -> bool:
    return path.rpartition("/")[2].startswith(GATHERED)


class _Gathering:
    """Proofs of many files on their way into a file for each day. They are there before the files
    that they come from go."""

    def __init__(self, store: Store, told: Retained, is_dry: bool) -> None:
        self._store, self._told, self._is_dry = store, told, is_dry
        self._sources: list[tuple[Listed, _Sifted]] = []
        self._bytes = 0

    def take(self, one: Listed, sifted: _Sifted) -> None:
        self._sources.append((one, sifted))
        self._bytes += sum(len(line) for _, line in sifted.proofs)
        if self._bytes > MAX_GATHERED:
            self.write()

    def write(self) -> None:
        """Writes what waits, and lets go of where it came from."""
        days: dict[int, list[bytes]] = {}
        for _, sifted in self._sources:
            for day, line in sifted.proofs:
                days.setdefault(day, []).append(line)
        for day, lines in sorted(days.items()):
            data = compress(b"".join(line + b"\n" for line in dict.fromkeys(lines)))
            path = beside(path_of(day * DAY_S, f"{GATHERED}{day}{PACKED}"), data)
            self._told.gathered.append(path)
            self._told.bytes -= len(data)
            if not self._is_dry:
                with contextlib.suppress(AlreadyThere):  # of a run that ended here
                    self._store.create(path, data)
        for one, sifted in self._sources:
            _apply(self._store, one, sifted, self._told, self._is_dry)
        self._sources, self._bytes = [], 0


def _go_over(
    store: Store,
    one: Listed,
    rules: _Rules,
    told: Retained,
    is_dry: bool,
    gathering: _Gathering,
) -> None:
    try:
        sifted = _sift(store, one, rules)
    except (Malformed, TooLarge) as error:
        told.left.append(str(error))
        return
    if sifted.proofs:
        gathering.take(one, sifted)
    else:
        _apply(store, one, sifted, told, is_dry)


def _sift(store: Store, one: Listed, rules: _Rules) -> _Sifted:
    lines: list[bytes] = []
    proofs: list[tuple[int, bytes]] = []
    gone = forgotten = narrowed = 0
    stays_s = math.inf if _is_gathered(one.path) else rules.ages.shortest_s
    for row, _, _, raw in rows_of(StoredEvents(store).read(one.path), one.path, Logged):
        if rules.erased and is_of_erased(row, rules.erased.get):
            forgotten += 1
            gone += 1
        elif (left := grants_left(row, rules.ages, rules.now_s)) is None:
            gone += 1
        elif row.type in PROOFS and rules.now_s - row.received > stays_s:
            proofs.append((int(row.received // DAY_S), raw))
        elif left != row.grants:
            narrowed += 1
            lines.append(_narrowed(raw, left))
        else:
            lines.append(raw)
    return _Sifted(lines, proofs, gone, forgotten, narrowed)


def _apply(store: Store, one: Listed, sifted: _Sifted, told: Retained, is_dry: bool) -> None:
    if not (sifted.gone or sifted.narrowed or sifted.proofs):
        return
    told.rows += sifted.gone
    told.erased += sifted.erased
    told.narrowed += sifted.narrowed
    if not sifted.lines:
        _remove(store, one, told, is_dry)
        return
    data = compress(b"".join(line + b"\n" for line in sifted.lines))
    told.rewritten.append(one.path)
    told.bytes += one.bytes - len(data)
    if not is_dry:
        with contextlib.suppress(AlreadyThere):  # of a run that ended here: its name is its bytes
            store.create(beside(one.path, data), data)
        store.delete(one.path)


def _remove(store: Store, one: Listed, told: Retained, is_dry: bool) -> None:
    told.removed.append(one.path)
    told.bytes += one.bytes
    if not is_dry:
        store.delete(one.path)


def _narrowed(raw: bytes, grants: list[str]) -> bytes:
    row: dict[str, Any] = msgspec.json.decode(raw)
    return _ENCODER.encode(row | {"grants": grants})

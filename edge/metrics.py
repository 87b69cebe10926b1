"""Counters in shared memory: one file a process, one writer a file, summed by whoever reads them.

A counter's cell is eight bytes of a mapped file, so that counting costs one addition and a process
that dies takes nothing with it. Files of dead workers keep counting in the sums; their gauges do
not. A full file counts what it has no room for under OVERFLOW.
"""

from __future__ import annotations

import contextlib
import logging
import math
import mmap
import os
import struct
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

FILE_BYTES = 256 * 2**10  # ~4,000 names; a playbook of 200 slots, events and reasons needs 1,000
SUFFIX = ".counters"
OVERFLOW = "edgewise_metrics_overflow_total"
BUCKETS_S = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1)

_LOG = logging.getLogger("edgewise")
_HEAD = struct.Struct("<Q")  # bytes used, written last: a reader never sees half an entry
_NAME = struct.Struct("<H")

Key: TypeAlias = str | tuple[str | int, ...]  # a series, or its template and what fills it


class Metrics:
    """The counters of this process. `key` is a Prometheus series, `name{label="value"}`, or the
    `str.format` template of one and its values: then its name is made once."""

    def __init__(self, path: Path | None = None) -> None:
        """path: the file to map; None keeps the counters in memory (tests, commands)."""
        self._map = self._mapped(path) if path else mmap.mmap(-1, FILE_BYTES)
        self._cells = memoryview(self._map).cast("Q")
        self._used = 8
        _HEAD.pack_into(self._map, 0, self._used)
        self._at: dict[Key, int] = {}
        self._overflow = self._add(OVERFLOW)

    @staticmethod
    def _mapped(path: Path) -> mmap.mmap:
        """The file in memory, with its room taken on the disk now: to count in a hole that a full
        disk cannot fill ends the process. A disk that has no room: nobody reads these counters."""
        unfinished = path.with_suffix(".making")  # readers see a whole file or none
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("w+b") as file:
                os.posix_fallocate(file.fileno(), 0, FILE_BYTES)
                unfinished.replace(path)
                return mmap.mmap(file.fileno(), FILE_BYTES)
        except OSError as error:
            with contextlib.suppress(OSError):
                unfinished.unlink()
            _LOG.warning("counters are kept in memory only: %s - at %s", error.strerror, path)
            return mmap.mmap(-1, FILE_BYTES)

    def _add(self, key: Key) -> int:
        """The cell of a new key, or the overflow's if the file is full."""
        if isinstance(key, tuple):
            name = str(key[0]).format(*key[1:])
            if (cell := self._at.get(name) or self._add(name)) != self._overflow:
                self._at[key] = cell
            return cell
        raw = key.encode()
        start = self._used
        cell = -(-(start + _NAME.size + len(raw)) // 8)
        if (cell + 1) * 8 > FILE_BYTES:
            return self._overflow
        _NAME.pack_into(self._map, start, len(raw))
        self._map[start + _NAME.size : start + _NAME.size + len(raw)] = raw
        self._at[key] = cell
        self._used = (cell + 1) * 8
        _HEAD.pack_into(self._map, 0, self._used)
        return cell

    def count(self, key: Key, by: int = 1) -> None:
        """Adds to a counter. Each key is counted by one thread only: an addition is no lock."""
        self._cells[self._at.get(key) or self._add(key)] += by

    def set(self, key: str, value: int) -> None:
        """Sets a gauge: a key whose value dies with this process."""
        self._cells[self._at.get(key) or self._add(key)] = value

    def timer(self, name: str) -> Callable[[int], None]:
        """A histogram: nanoseconds in, counted into buckets and summed up."""
        bounds_s = [*BUCKETS_S, math.inf]
        bounds_ns = [round(bound * 1e9) for bound in BUCKETS_S]
        cells = [self._add(f'{name}_bucket{{le="{bound}"}}') for bound in bounds_s]
        total = self._add(f"{name}_nanoseconds_total")
        values = self._cells

        def add(took_ns: int) -> None:
            values[cells[bisect_left(bounds_ns, took_ns)]] += 1
            values[total] += took_ns

        return add

    def values(self) -> dict[str, int]:
        """What was counted here."""
        return dict(_entries(self._map))


def _entries(raw: bytes | mmap.mmap) -> Iterator[tuple[str, int]]:
    used = min(_HEAD.unpack_from(raw, 0)[0], len(raw))
    start = 8
    while start < used:
        (length,) = _NAME.unpack_from(raw, start)
        name = bytes(raw[start + _NAME.size : start + _NAME.size + length]).decode()
        cell = -(-(start + _NAME.size + length) // 8) * 8
        yield name, _HEAD.unpack_from(raw, cell)[0]
        start = cell + 8


def is_gauge(key: str) -> bool:
    """Counters end in `_total` or are buckets; all else is a gauge."""
    name = key.split("{", 1)[0]
    return not name.endswith(("_total", "_bucket"))


def summed(folder: Path, alive: Iterable[int] | None = None) -> dict[str, int]:
    """Every process's counters added up; gauges only of processes that live.

    A file is named after its process id. alive: those ids, None asks the system.
    """
    total: dict[str, int] = {}
    living = None if alive is None else set(alive)
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        pid = int(path.stem)
        counts_all = lives(pid) if living is None else pid in living
        for key, value in _entries(path.read_bytes()):
            if counts_all or not is_gauge(key):
                total[key] = total.get(key, 0) + value
    return total


def lives(pid: int) -> bool:
    """Whether a process of this id runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def exposition(values: dict[str, int]) -> str:
    """The Prometheus text format, version 0.0.4; histogram buckets are made cumulative here."""
    lines: list[str] = []
    families: dict[str, list[str]] = {}
    for key in sorted(values):
        families.setdefault(_family(key), []).append(key)
    for family, keys in families.items():
        if any("_bucket{" in key for key in keys):
            lines += _histogram(family, values)
            continue
        lines.append(f"# TYPE {family} {'gauge' if is_gauge(family) else 'counter'}")
        lines += [f"{key} {values[key]}" for key in keys]
    return "\n".join(lines) + "\n"


def _family(key: str) -> str:
    name = key.split("{", 1)[0]
    for ending in ("_bucket", "_nanoseconds_total"):
        name = name.removesuffix(ending)
    return name


def _histogram(family: str, values: dict[str, int]) -> Iterator[str]:
    yield f"# TYPE {family} histogram"
    running = 0
    for bound in BUCKETS_S:
        running += values.get(f'{family}_bucket{{le="{bound}"}}', 0)
        yield f'{family}_bucket{{le="{bound}"}} {running}'
    running += values.get(f'{family}_bucket{{le="{math.inf}"}}', 0)
    yield f'{family}_bucket{{le="+Inf"}} {running}'
    yield f"{family}_sum {values.get(f'{family}_nanoseconds_total', 0) / 1e9}"
    yield f"{family}_count {running}"

"""What does it cost to know a visitor among ten million: time, bytes, and opening the parts?

Synthetic members: 0 to 12 of 200 segments, 5 traits of 256 values, 3 scores. Every look-up is of
another visitor, in no order, and reads everything that is known but the interests.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import cast

import msgspec
import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from bench import workload
from bench.measure import ROUNDS, Times, interleaved, median, report, timed
from decisions.program import Program
from snapshots.columns import frame
from snapshots.contents import NEWEST, PROGRAM
from snapshots.manifest import LedgerRef, Manifest, PartRef
from snapshots.membership import (
    KEYS,
    MAGIC,
    SCORES,
    SEGMENTS,
    TRAITS,
    KeysHead,
    Membership,
    ScoreHead,
    ScoresHead,
    SegmentsHead,
    TraitHead,
    TraitsHead,
)
from snapshots.snapshot import open_snapshot

VISITORS, SEGMENTS_EACH = 10_000_000, 12
BLOCK = 1_000_000  # rows that repeat: only their places must differ, and keys are all different
LOOKUPS, TURNS = 20_000, ROUNDS + 1  # a round, and rounds with the one that is thrown away
BUILD = "0" * 16


def test_knowing_a_visitor_among_ten_million(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    keys = np.sort(random.integers(0, 2**64, VISITORS, dtype=np.uint64))  # no two of them alike
    sizes = {name: write(tmp_path, name, len(keys), keys, random) for name in HEADS}
    membership, open_ms = opened(tmp_path, sizes)
    known = keys[random.integers(0, len(keys), LOOKUPS * TURNS)].tolist()
    strangers = random.integers(0, 2**64, LOOKUPS * TURNS, dtype=np.uint64).tolist()
    rounds = interleaved(
        benchmark,
        {
            "lookup": in_turn(membership.lookup, known),
            "stranger": in_turn(membership.lookup, strangers),
        },
    )
    report(
        benchmark,
        {
            f"{asked}_{figure}": median(getattr(each, figure) for each in found)
            for asked, found in rounds.items()
            for figure in ("mean_us", "p50_us", "p99_us")
        }
        | {"bytes_a_visitor": sum(sizes.values()) / len(keys), "open_ms": open_ms},
    )


HEADS: Mapping[str, msgspec.Struct] = {
    KEYS: KeysHead(BUILD, 1),
    SEGMENTS: SegmentsHead(BUILD, tuple(workload.SEGMENTS)),
    TRAITS: TraitsHead(
        BUILD,
        tuple(
            TraitHead(f"trait_{number}", 1, (None, *(f"value_{code}" for code in range(1, 256))))
            for number in range(5)
        ),
    ),
    SCORES: ScoresHead(BUILD, tuple(ScoreHead(f"score_{number}", 0.0, 1.0) for number in range(3))),
}


def write(folder: Path, name: str, rows: int, keys: np.ndarray, random: np.random.Generator) -> int:
    """Writes a part of `rows` rows and gives its bytes."""
    path = folder / name.replace("/", "-")
    block = rows_of(name, random)
    with path.open("wb") as file:
        file.write(frame(MAGIC[name], NEWEST[name], HEADS[name], rows, 0).part)
        if name == KEYS:
            keys.tofile(file)
        for first in range(0, rows if name != KEYS else 0, BLOCK):
            block[: rows - first].tofile(file)
    return path.stat().st_size


def rows_of(name: str, random: np.random.Generator) -> np.ndarray:
    """A block of rows of a part."""
    widths = {KEYS: 0, SEGMENTS: 25, TRAITS: 5, SCORES: 3}
    if name != SEGMENTS:
        return random.integers(0, 256, (BLOCK, widths[name]), dtype=np.uint8)
    bits = np.zeros((BLOCK, widths[name]), dtype=np.uint8)
    wanted = random.integers(0, SEGMENTS_EACH + 1, BLOCK, dtype=np.uint8)
    for number in range(SEGMENTS_EACH):
        held = np.flatnonzero(wanted > number)
        segment = random.integers(0, 200, len(held), dtype=np.uint8)
        bits[held, segment >> 3] |= np.left_shift(1, segment & 7).astype(np.uint8)
    return bits


def in_turn(call: Callable[[int], object], keys: list[int]) -> Callable[[], Times]:
    """A contender that asks for other visitors in each of its rounds."""
    turns = iter([timed(call, keys[turn::TURNS]) for turn in range(TURNS)])
    return lambda: next(turns)()


def no_program(raw: memoryview) -> Generator[None, None, Program]:
    """Stands for the decoding of a program, which is another question."""
    yield
    return cast(Program, raw)


def opened(folder: Path, sizes: Mapping[str, int]) -> tuple[Membership, float]:
    """The members as a worker maps them, beside a program of nothing, and the time that took."""
    (folder / PROGRAM).write_bytes(b"-")
    parts = tuple(
        PartRef(name=name, format=NEWEST[name], sha256="", bytes=1, raw_sha256="", raw_bytes=size)
        for name, size in sorted({**sizes, PROGRAM: 1}.items())
    )
    ledger = LedgerRef(revision=1, sha256="")
    manifest = Manifest(
        channel="live", version=1, created_s=0, not_after_s=1, ledger=ledger, parts=parts
    )
    started_s = time.perf_counter()
    snapshot = open_snapshot(
        manifest, lambda part: folder / part.name.replace("/", "-"), no_program
    )
    open_ms = (time.perf_counter() - started_s) * 1_000
    if snapshot.membership is None:
        raise ValueError("expected members")
    return snapshot.membership, open_ms

"""What travels to a node that has the build before, when one visitor in a hundred changed?

A million synthetic visitors: 0 to 12 of 200 segments, 5 traits of 256 values, 3 scores, and 4
interests. Once one in a hundred has all answers new; once half of these are gone, and as many have
come. The patches are made by the builder's own code, and applied by the node's to files.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from bench.measure import interleaved, median, report
from snapshots.build.patches import patches_from
from snapshots.bundle import Packed, pack, unpacked
from snapshots.census import Interests, Score, Trait, encode_membership
from snapshots.contents import NEWEST
from snapshots.local import LocalCopy
from snapshots.manifest import LedgerRef, Manifest, PatchRef, part_path
from snapshots.store import MemoryStore
from snapshots.upgrade import upgrade

VISITORS, CHANGED = 1_000_000, 10_000
SEGMENTS, SEGMENTS_EACH, CATEGORIES, SLOTS = 200, 12, 40, 4
TRAIT_VALUES = (None, *(f"value_{code}" for code in range(1, 256)))


class Moved(NamedTuple):
    """The patches in percent of the stored bytes; the seconds to make them, and to apply them."""

    percent: float
    make_s: float
    apply_s: float


class People(NamedTuple):
    """Keys in their order, and a row of answers for each."""

    keys: np.ndarray
    segments: np.ndarray
    codes: np.ndarray
    ids: np.ndarray
    weights: np.ndarray

    def picked(self, places: np.ndarray) -> People:
        """Those at these places."""
        return People(*(column[places] for column in self))


def people(random: np.random.Generator, count: int) -> People:
    """Visitors of whom no two are alike."""
    segments = np.zeros((count, SEGMENTS), dtype=bool)
    wanted = random.integers(0, SEGMENTS_EACH + 1, count)
    for number in range(SEGMENTS_EACH):
        held = np.flatnonzero(wanted > number)
        segments[held, random.integers(0, SEGMENTS, len(held))] = True
    return People(
        np.sort(random.integers(0, 2**64, count, dtype=np.uint64)),
        segments,
        random.integers(0, 256, (count, 8), dtype=np.uint8),
        random.integers(0, CATEGORIES, (count, SLOTS), dtype=np.uint16),
        random.random((count, SLOTS)).astype(np.float16),
    )


def joined(one: People, other: People) -> People:
    """Both, in the order of their keys."""
    both = People(*(np.concatenate(pair) for pair in zip(one, other, strict=True)))
    return both.picked(np.argsort(both.keys))


def parts_of(who: People, built_at_s: int) -> list[Packed]:
    """The membership as a build packs it."""
    parts = encode_membership(
        who.keys.tobytes(),
        built_at_s=built_at_s,
        segments=[
            (f"segment_{number:03}", who.segments[:, number].tobytes())
            for number in range(SEGMENTS)
        ],
        traits={
            f"trait_{number}": Trait(TRAIT_VALUES, who.codes[:, number].tobytes())
            for number in range(5)
        },
        scores={
            f"score_{number}": Score(who.codes[:, 5 + number].tobytes()) for number in range(3)
        },
        interests=Interests(
            [f"category_{number}" for number in range(CATEGORIES)],
            SLOTS,
            who.ids.tobytes(),
            who.weights.tobytes(),
        ),
    )
    return [pack(name, NEWEST[name], raw) for name, raw in sorted(parts.items())]


def test_patches(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    before, fresh = people(random, VISITORS), people(random, CHANGED)
    order, half = random.permutation(VISITORS), CHANGED // 2
    some, stay = order[:CHANGED], before.picked(order[CHANGED:])
    old = parts_of(before, 1)

    def contender(after: People) -> Callable[[], Moved]:
        new = parts_of(after, 2)
        return lambda: travelled(old, new, Path(tempfile.mkdtemp(dir=tmp_path)))

    all_new = fresh._replace(keys=before.keys[some])
    come = fresh.picked(np.arange(half))
    changed = all_new.picked(np.arange(half, CHANGED))
    contenders = {
        "changed": contender(joined(stay, all_new)),
        "come_and_gone": contender(joined(stay, joined(come, changed))),
    }
    rounds = interleaved(benchmark, contenders, 1)
    report(
        benchmark,
        {
            f"{name}_{figure}": median(getattr(each, figure) for each in found)
            for name, found in rounds.items()
            for figure in Moved._fields
        },
    )


def travelled(old: list[Packed], new: list[Packed], folder: Path) -> Moved:
    """What of `new` goes to a node that has `old`. Raises ValueError unless it comes to every part
    by patches alone."""
    store, local = MemoryStore(), LocalCopy(folder, {})
    local.prepare()
    for part in old:
        store.objects[part_path(part.ref)] = part.stored
        local.write(part.ref, unpacked(part.ref, part.stored))
    base = Manifest(
        channel="live",
        version=1,
        created_s=0,
        not_after_s=1,
        ledger=LedgerRef(revision=1, sha256=""),
        parts=tuple(part.ref for part in old),
    )
    started_s = time.perf_counter()
    made = patches_from(base, new, store)
    make_s = time.perf_counter() - started_s
    store.objects = {part_path(each.packed.ref): each.packed.stored for each in made}
    apply_s = applied(store, local, new, [each.ref for each in made])
    whole = sum(part.ref.bytes for part in new)
    percent = 100 * sum(each.packed.ref.bytes for each in made) / whole
    return Moved(percent, make_s, apply_s)


def applied(
    store: MemoryStore, local: LocalCopy, new: list[Packed], patches: list[PatchRef]
) -> float:
    """The seconds that a node takes to make all parts of what it has."""
    started_s = time.perf_counter()
    for part in new:
        if not upgrade(store, local, part.ref, patches):
            raise ValueError(f"expected {part.ref.name} to be made by patches")
    took_s = time.perf_counter() - started_s
    if not all(local.verify(part.ref) for part in new):
        raise ValueError("expected the parts of the full build, byte for byte")
    return took_s

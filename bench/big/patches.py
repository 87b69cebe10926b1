"""What does a publisher take to make patches at this size, and what do they weigh?

One member in a hundred changes: half of these are gone and as many have come, the others have all
answers new. `python -m bench.big.patches FOLDER` makes the patches between the two states that
`write` left there, with the builder's own code, applies them with the node's, and prints `Patches`
in JSON: in a process of its own, so that its peak is theirs.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from bench import membership
from bench.figures import commit
from bench.pace import pace, take_us
from bench.patches import applied
from snapshots.build.patches import patches_from
from snapshots.bundle import Packed, pack, unpacked
from snapshots.columns import frame
from snapshots.contents import NEWEST
from snapshots.local import LocalCopy
from snapshots.manifest import LedgerRef, Manifest, PartRef, part_path
from snapshots.membership import KEYS, MAGIC
from snapshots.store import MemoryStore, open_store, open_writable

ONE_IN = 100
STATES = "states.json"


class Patches(msgspec.Struct, frozen=True):
    """percent: of the stored bytes of all parts. make_s: by the clock, reading the state before
    from a folder included; make_cpu_s: processor time; apply_s: by the clock, on a node's disk.
    held_mib: what the process holds before it begins, the new parts as a builder has them among
    it; peak_mib: the most that it holds while they are made. pace: of the machine around that."""

    percent: float
    make_s: float
    make_cpu_s: float
    apply_s: float
    held_mib: float
    peak_mib: float
    pace: float
    commit: str


class States(msgspec.Struct, frozen=True):
    """The parts of both."""

    before: tuple[PartRef, ...]
    after: tuple[PartRef, ...]


def found(folder: Path, members: int) -> Patches:
    """What `measured` finds in a process of its own, for the members whose parts lie in `folder`
    as files."""
    with tempfile.TemporaryDirectory(dir=folder) as states:
        write(folder, members, Path(states))
        command = [sys.executable, "-m", "bench.big.patches", states]
        told = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return msgspec.json.decode(told, type=Patches)


def write(folder: Path, members: int, states: Path) -> None:
    """The stored parts of both states, and what they are."""
    store = open_writable(str(states / "store"))
    before, after = [], []
    for old, new in packed(folder, members):
        store.create(part_path(old.ref), old.stored)
        (states / new.ref.sha256).write_bytes(new.stored)
        before.append(old.ref)
        after.append(new.ref)
    told = States(tuple(before), tuple(after))
    (states / STATES).write_bytes(msgspec.json.encode(told))


def packed(folder: Path, members: int) -> Iterator[tuple[Packed, Packed]]:
    """Each part before and after."""
    random = np.random.default_rng(2)
    changed = members // ONE_IN
    half = changed // 2
    places = random.choice(members, changed, replace=False)
    gone, others = places[:half], places[half:]
    rows = rows_in(folder, KEYS, members).view(np.uint64).ravel()
    come = random.integers(0, 2**64, half, dtype=np.uint64)
    keys = np.concatenate([np.delete(rows, gone), come])
    order = np.argsort(keys)
    for name in membership.HEADS:
        rows = rows_in(folder, name, members)
        if name == KEYS:
            after = keys[order]
        else:
            fresh, edited = membership.rows_of(name, random)[:changed], rows.copy()
            edited[others] = fresh[half:]
            after = np.concatenate([np.delete(edited, gone, axis=0), fresh[:half]])[order]
        yield part(name, members, rows), part(name, members, after)


def rows_in(folder: Path, name: str, members: int) -> np.ndarray:
    """The rows of a part that lies in a file."""
    raw = np.fromfile(folder / name.replace("/", "-"), dtype=np.uint8)
    width = len(raw) // members
    return raw[len(raw) - members * width :].reshape(members, width)


def part(name: str, members: int, rows: np.ndarray) -> Packed:
    """These rows as a store has them."""
    begins = frame(MAGIC[name], NEWEST[name], membership.HEADS[name], members, 0).part
    return pack(name, NEWEST[name], bytes(begins) + rows.tobytes())


def measured(folder: Path) -> Patches:
    """Makes the patches, then applies them. Raises ValueError unless every part comes of them."""
    states = msgspec.json.decode((folder / STATES).read_bytes(), type=States)
    new = [Packed(ref, (folder / ref.sha256).read_bytes()) for ref in states.after]
    ledger = LedgerRef(revision=1, sha256="")
    before = Manifest(
        channel="live", version=1, created_s=0, not_after_s=1, ledger=ledger, parts=states.before
    )
    store = open_store(str(folder / "store"))
    held_mib, before_us = memory_mib("VmRSS"), take_us()
    started_s, cpu_s = time.perf_counter(), time.process_time()
    made = patches_from(before, new, store)
    make_s, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_s
    highest_mib = memory_mib("VmHWM")
    machine = pace((before_us + take_us()) / 2)
    travels = MemoryStore()
    travels.objects = {part_path(each.packed.ref): each.packed.stored for each in made}
    local = LocalCopy(folder / "copy", {})
    local.prepare()
    for ref in states.before:
        local.write(ref, unpacked(ref, store.read(part_path(ref), ref.bytes)))
    apply_s = applied(travels, local, new, [each.ref for each in made])
    return Patches(
        percent=100
        * sum(each.packed.ref.bytes for each in made)
        / sum(ref.bytes for ref in states.after),
        make_s=make_s,
        make_cpu_s=cpu_s,
        apply_s=apply_s,
        held_mib=held_mib,
        peak_mib=highest_mib,
        pace=machine,
        commit=commit(),
    )


def memory_mib(what: str) -> float:
    """Of this process: `VmRSS` is what it holds, `VmHWM` the most that it held since it began."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition(f"{what}:")[2].split()[0]) / 1_024


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(measured(Path(sys.argv[1]))))

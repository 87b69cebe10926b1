"""Members and two programs over them: the files of a local copy, or versions in a store.

The programs differ in what their fragments show, in both slots alike, so that a reply tells which
one it is of. Nothing is timed here.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import numpy as np

from bench import membership, workload
from decisions.compiling import compile_with_ledger
from decisions.ledger import Ledger, first_ledger
from decisions.playbook import SlotDecl
from snapshots.bundle import Packed, pack
from snapshots.contents import NEWEST, PROGRAM
from snapshots.keys import PRIVATE_FILE, read_private
from snapshots.manifest import LedgerRef, Manifest, PartRef
from snapshots.publish import publish_built
from snapshots.store import open_writable

RULES, SLOTS = 10_000, ("hero", "mark")  # W1 in the first; the second only tells the program
MARKS = ("one", "two")
KNOWN = 200_000  # members whose keys the measuring knows


def write_members(folder: Path, members: int) -> list[int]:
    """Their parts as files; some of the keys that are in them, in no order."""
    random = np.random.default_rng(1)
    keys = random.integers(0, 2**64, members, dtype=np.uint64)
    keys.sort()
    for name in membership.HEADS:
        membership.write(folder, name, members, keys, random)
    known: list[int] = keys[random.integers(0, members, KNOWN)].tolist()
    return known


def write_programs(folder: Path) -> None:
    """Both programs as files."""
    for mark in MARKS:
        (folder / f"{PROGRAM}-{mark}").write_bytes(program(mark))


def program(mark: str) -> bytes:
    """W1(10,000) in one slot and nothing in the other, every fragment showing the mark."""
    written = workload.playbook([one.cel() for one in workload.w1(RULES)])
    slots = {slot: SlotDecl(default="hero/f0") for slot in SLOTS}
    marked = msgspec.structs.replace(
        written,
        settings=msgspec.structs.replace(written.settings, slots=slots),
        fragments={
            name: msgspec.structs.replace(fragment, text=f"<p>{mark}</p>")
            for name, fragment in written.fragments.items()
        },
    )
    catalogue = {"category": workload.CATEGORIES}
    return compile_with_ledger(marked, None, catalogue, allow_shadowed=True).program.encode()


def files(folder: Path, mark: str) -> dict[str, Path]:
    """Where each part lies."""
    members = {name: folder / name.replace("/", "-") for name in membership.HEADS}
    return {**members, PROGRAM: folder / f"{PROGRAM}-{mark}"}


def manifest(folder: Path, version: int) -> Manifest:
    """A version over these files, the programs in turn; a part's file is named by its hash."""
    found = files(folder, MARKS[version % 2])
    parts = tuple(
        PartRef(
            name=name,
            format=1,
            sha256="",
            bytes=1,
            raw_sha256=path.name,
            raw_bytes=path.stat().st_size,
        )
        for name, path in sorted(found.items())
    )
    ledger = LedgerRef(revision=1, sha256="")
    return Manifest(
        channel="live", version=version, created_s=0, not_after_s=1, ledger=ledger, parts=parts
    )


def packed(folder: Path) -> dict[str, list[Packed]]:
    """The parts of each program's bundle."""
    members = [
        pack(name, NEWEST[name], path.read_bytes())
        for name, path in files(folder, MARKS[0]).items()
        if name != PROGRAM
    ]
    return {
        mark: [*members, pack(PROGRAM, 1, files(folder, mark)[PROGRAM].read_bytes())]
        for mark in MARKS
    }


def publish(folder: Path, parts: list[Packed]) -> int:
    """One more version in the folder's store; its number."""
    key = read_private(folder / "keys" / PRIVATE_FILE)

    def build(ledger: Ledger | None) -> tuple[list[Packed], Ledger]:
        return parts, ledger or first_ledger("bench")

    store = open_writable(str(folder / "store"))
    return publish_built(store, "live", build, key, now_s=time.time()).version

"""Small bundles for tests: keys from fixed seeds, two parts, a store that has them."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from decisions.ledger import Ledger, first_ledger
from decisions.program import Program
from snapshots import signing
from snapshots.bundle import Packed, pack
from snapshots.census import Score, Trait, encode_membership
from snapshots.contents import NEWEST
from snapshots.history import ledger_path
from snapshots.keys import PrivateKey, private_key
from snapshots.local import LocalCopy
from snapshots.manifest import LedgerRef, Manifest
from snapshots.publish import publish_built
from snapshots.snapshot import PathOf, open_snapshot
from snapshots.store import MemoryStore, Store
from snapshots.sync import Syncer

NOW_S = 1_795_000_000.0
KEY = private_key(b"\x01" * 32)
OTHER = private_key(b"\x02" * 32)
LEDGER = first_ledger("tests")
NAMED = LedgerRef(revision=1, sha256="c" * 64)  # what manifests name that no store has


class Clock:
    """A clock that stands until it is told."""

    def __init__(self, now_s: float = NOW_S) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


def members(built_at_s: int = 1) -> dict[str, bytearray]:
    """Three members with two segments, a trait and a score."""
    return encode_membership(
        array("Q", [5, 2**40, 2**63 + 9]),
        built_at_s=built_at_s,
        segments=[("loyal", bytes([1, 0, 1])), ("dormant", bytes([0b010]))],
        traits={"tier": Trait([None, "gold"], bytes([0, 1, 1]))},
        scores={"propensity": Score(bytes([0, 1, 255]))},
    )


def small_parts(program: bytes = b"a program") -> list[Packed]:
    """A bundle's parts; the program is words that only `fake_steps` takes."""
    parts = [pack(name, NEWEST[name], raw) for name, raw in members().items()]
    return [*parts, pack("program", 1, program)]


def fake_steps(raw: memoryview) -> Generator[None, None, Program]:
    """Decodes any bytes into themselves, in one step; b"broken" raises as the real one does."""
    from decisions.errors import ProgramError

    yield
    if bytes(raw) == b"broken":
        raise ProgramError("expected a program")
    return cast(Program, bytes(raw))


def opens(manifest: Manifest, path_of: PathOf) -> object:
    """Opens a bundle of `small_parts`."""
    return open_snapshot(manifest, path_of, fake_steps)


def publish_to(
    store: Store,
    program: bytes = b"a program",
    *,
    key: PrivateKey = KEY,
    channel: str = "live",
    now_s: float = NOW_S,
    grown: Sequence[str] = (),
    **rest: Any,
) -> Manifest:
    """A version of small parts in the store."""

    def build(ledger: Ledger | None) -> tuple[list[Packed], Ledger]:
        return small_parts(program), (ledger or LEDGER).grown(grown, {})

    return publish_built(store, channel, build, key, now_s=now_s, **rest)


def store_with(*programs: bytes) -> MemoryStore:
    """A store with a version for each program."""
    store = MemoryStore()
    for program in programs:
        publish_to(store, program)
    return store


def lay_ledger(store: MemoryStore, revision: int, *names: str) -> None:
    """A ledger at a number that was taken before, as a publisher writes it who lost the other."""
    payload = msgspec.msgpack.encode((revision, LEDGER.grown(names, {}).encode()))
    store.objects[ledger_path(revision)] = signing.sign_bytes(payload, KEY, signing.LEDGER)


def syncer_of(
    store: Any,
    directory: Path,
    *,
    clock: Callable[[], float] | None = None,
    key: PrivateKey = KEY,
    **rest: Any,
) -> Syncer:
    """A syncer of the channel live with a local copy in `directory`."""
    local = LocalCopy(directory, key.public())
    settings: dict[str, Any] = {
        "channel": "live",
        "clock": clock or Clock(),
        "node": "n",
        "opens": opens,
    } | rest
    return Syncer(store, local, **settings)

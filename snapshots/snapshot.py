"""A bundle, verified and opened, ready to serve: parts are mapped, the program decoded in steps.

It reads files that were verified before (`local`), so it checks sizes and frames, not hashes.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Generator
from pathlib import Path

import msgspec

from decisions.errors import DecisionsError
from decisions.program import Program
from snapshots.contents import PROGRAM, wanted
from snapshots.erased import ERASED, Erased
from snapshots.errors import DiskRefused, Malformed
from snapshots.manifest import Manifest, PartRef
from snapshots.membership import KEYS, Membership
from snapshots.recommendations import RECOMMENDATIONS, SEEDS, Recommendations

PathOf = Callable[[PartRef], Path]
DecodeSteps = Callable[[memoryview], Generator[None, None, Program]]


class Snapshot(msgspec.Struct, frozen=True):
    """What a request pins: one version, whole. membership is None for a playbook without data.
    erased: whom to forget, or None. recommendations: which items go together, or None."""

    manifest: Manifest
    program: Program
    membership: Membership | None = None
    erased: Erased | None = None
    recommendations: Recommendations | None = None

    @property
    def version(self) -> int:
        """The manifest's version."""
        return self.manifest.version

    def pieces(self) -> list[object]:
        """What it is made of: to be dropped one by one, when a newer one is served."""
        members = self.membership.pieces() if self.membership is not None else []
        items = self.recommendations.pieces() if self.recommendations is not None else []
        return [*self.program.pieces(), *members, *items]

    def is_stale(self, now_s: float) -> bool:
        """Whether it is past its date: served on, and marked."""
        return self.manifest.is_stale(now_s)


def open_snapshot(
    manifest: Manifest, path_of: PathOf, decode_steps: DecodeSteps = Program.decode_steps
) -> Snapshot:
    """The snapshot in one go, for those who have no event loop to spare."""
    steps = open_steps(manifest, path_of, decode_steps)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return] # StopIteration is not generic


def open_steps(
    manifest: Manifest, path_of: PathOf, decode_steps: DecodeSteps = Program.decode_steps
) -> Generator[None, None, Snapshot]:
    """Opens in steps of at most a few milliseconds: whoever drives it may do something else
    between two of them. The generator's return value is the snapshot.

    path_of: where the raw, verified bytes of a part lie. Raises Malformed, Unreadable, and
    DiskRefused when a file is missing or has another size.
    """
    mapped: dict[str, memoryview] = {}
    for part in wanted(manifest):
        mapped[part.name] = _mapped(part, path_of(part))
        yield
    members = None
    if KEYS in mapped:
        members = Membership.open(
            {name: view for name, view in mapped.items() if name.startswith("membership/")}
        )
        yield
    try:
        program = yield from decode_steps(mapped[PROGRAM])
    except DecisionsError as error:
        raise Malformed(f"{error} - at {PROGRAM}") from error
    erased = Erased(mapped[ERASED]) if ERASED in mapped else None
    items = None
    if RECOMMENDATIONS in mapped and members is not None:
        items = Recommendations(mapped[RECOMMENDATIONS], mapped.get(SEEDS), members)
    return Snapshot(manifest, program, members, erased, items)


def _mapped(part: PartRef, path: Path) -> memoryview:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size != part.raw_bytes:
                raise DiskRefused(f"expected {part.raw_bytes} bytes, got {size} - at {part.name}")
            if size == 0:
                return memoryview(b"")
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise DiskRefused(f"expected to map {part.name}, {error.strerror} - at {path}") from None
    mapping.madvise(mmap.MADV_RANDOM)
    return memoryview(mapping)

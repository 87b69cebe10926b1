"""The file through which a test reaches into a node's processes while they run."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

INSIDE = Path(__file__).parent / "inside"


class Switches:
    """What is wrong inside; all of it right until told.

    clock_s: how far the clock is ahead. no_names: whether host names resolve to nothing.
    die_at_step: before which step of its next sync the node's process is killed; steps are the
    calls that make something last on its disk (fsync, rename, link).
    """

    def __init__(self, folder: Path, name: str = "faults") -> None:
        self._path = folder / f"{name}.json"
        self.set()

    def set(self, *, clock_s: float = 0.0, no_names: bool = False, die_at_step: int = 0) -> None:
        """From now on; what is not named is right again."""
        told = {"clock_s": clock_s, "no_names": no_names, "die_at_step": die_at_step}
        unfinished = self._path.with_suffix(".new")
        unfinished.write_bytes(msgspec.json.encode(told))
        unfinished.replace(self._path)

    def environment(self) -> dict[str, str]:
        """Of a process that obeys them."""
        return os.environ | {"FAULTS": str(self._path), "PYTHONPATH": str(INSIDE)}

"""Runs every fault, writes docs/faults.md: `python -m tests.faults`, or names of faults to see."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.figures import commit, machine
from tests.faults.fault import Fault, Told, judged
from tests.faults.matrix import MATRIX, is_root
from tests.faults.scene import Scene

PAGE = Path(__file__).parent.parent.parent / "docs" / "faults.md"
HEAD = """# Faults

What a node does when one thing is wrong, measured. A node of two workers polls a real HTTP origin
every 0.2 s; a client asks for two slots all the time, each time by another connection; one fault is
made, told by `/status`, and ended. Of every line it is true, or the page could not be written: no
reply had another status than 200, none was of two versions, none was of a bundle that is not to be
trusted; and once the fault is over, every worker serves the newest version and `/status` tells of
no trouble.

*Seen* is what the client saw, in this order; `-` is an empty slot. *Mended* is the time from the
end of the fault until every worker serves the newest version, and obeys the newest pauses. Failures
back off, so that a fault that lasts longer takes up to a minute to be noticed as over. A process
that is killed answers nobody until another takes its place; no other fault left a request without
an answer.

"""


def main(names: Sequence[str]) -> int:
    """Runs the faults whose names contain one of `names`, all by default; then writes the page."""
    chosen = [one for one in MATRIX if not names or any(name in one.name for name in names)]
    if any(one.root for one in chosen) and not is_root():
        print("expected root for: " + ", ".join(one.name for one in chosen if one.root))
        return 1
    rows = []
    for fault in chosen:
        started_s = time.monotonic()
        scene, told = seen_through(fault)
        rows.append(row(fault, scene, told))
        print(f"{time.monotonic() - started_s:5.1f} s  {rows[-1]}", flush=True)
    if not names:
        PAGE.write_text(HEAD + "\n".join([*table(rows), "", *foot()]) + "\n", encoding="utf-8")
    return 0


def seen_through(fault: Fault) -> tuple[Scene, Told]:
    """A fault in a scene of its own, judged."""
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(Path(folder))
        try:
            told = fault.run(scene)
        finally:
            scene.end()
    judged(fault, scene)
    said = told.said.replace(folder, "…").replace(f":{scene.origin.port}", "")
    return scene, Told(said, told.mended_s)


def row(fault: Fault, scene: Scene, told: Told) -> str:
    """A line of the table."""
    versions = [str(one) if one else "-" for one in scene.seen.versions]
    seen = ", ".join(versions if len(versions) < 4 else [versions[0], "…", versions[-1]])
    said = told.said.replace("|", "\\|")
    return f"| {fault.name} | {seen} | {said} | {told.mended_s:.1f} s | {scene.seen.replies} |"


def table(rows: Sequence[str]) -> Iterator[str]:
    """The rows under their heads."""
    yield "| fault | seen | said by /status | mended in | replies |"
    yield "|---|---|---|---|---|"
    yield from rows


def foot() -> Iterator[str]:
    """What was measured, where, and how to do it again."""
    where = machine()
    yield (
        f"Written by `make faults` at commit {commit()}: {where['processor']}, "
        f"{where['cores']} cores, {where['python']}."
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

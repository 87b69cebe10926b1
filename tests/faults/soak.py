"""Load, swaps every few seconds and random pairs of faults, for ten minutes or as long as told.

`python -m tests.faults.soak [seconds]` writes docs/soak.md. No process is killed here: every reply
counts, and one that fails ends the run with exit code 1.
"""

from __future__ import annotations

import contextlib
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench.figures import commit, machine
from tests.faults import origin
from tests.faults.matrix import DAY_S, YEAR_S
from tests.faults.scene import Scene
from tests.snapshots.store.origins import Answer

PAGE = Path(__file__).parent.parent.parent / "docs" / "soak.md"
SECONDS, ASKERS, SEED = 600.0, 4, 11
LASTS_S, CALM_S = (0.5, 4.0), (0.5, 3.0)  # a fault, and the time after it

Change = Callable[[Scene], None]


def _origin(where: str, answer: Callable[[Scene], Answer]) -> tuple[Change, Change]:
    """A fault of the origin and its end."""
    return (
        lambda scene: setattr(scene.origin, where, answer(scene)),
        lambda scene: setattr(scene.origin, where, None),
    )


def _inside(**switched: float) -> tuple[Change, Change]:
    """A fault inside the node's processes and its end."""
    return lambda scene: scene.switches.set(**switched), lambda scene: scene.switches.set()


MANIFESTS = {
    "manifest 500": _origin("fault", lambda _: origin.status(500)),
    "manifest 404": _origin("fault", lambda _: origin.status(404)),
    "manifest truncated": _origin("fault", lambda scene: scene.origin.truncated),
    "manifest flipped": _origin("fault", lambda scene: scene.origin.flipped),
    "manifest endless": _origin("fault", lambda _: origin.endless),
    "manifest redirected": _origin("fault", lambda _: origin.looping),
    "old tag": _origin("fault", lambda scene: scene.origin.stale_tag),
}
PARTS = {
    "part 403": _origin("part_fault", lambda _: origin.status(403)),
    "part truncated": _origin("part_fault", lambda scene: scene.origin.truncated),
    "part flipped": _origin("part_fault", lambda scene: scene.origin.flipped),
    "part too short": _origin("part_fault", lambda scene: scene.origin.wrong_length),
    "part endless": _origin("part_fault", lambda _: origin.endless),
}
INSIDE = {
    "no names": _inside(no_names=True),
    "clock back": _inside(clock_s=-DAY_S),
    "clock forward": _inside(clock_s=YEAR_S),
}
CLOSED = {"origin down": (lambda s: s.origin.stop(), lambda s: s.origin.start())}
GROUPS = (MANIFESTS, PARTS, INSIDE, CLOSED)  # a pair is of two of them


class Result(msgspec.Struct):
    """What ten minutes gave. memory: of all processes of the node, resident, in MiB."""

    seconds: float
    versions: int
    faults: Counter[str]
    replies: int
    failed: list[str]
    memory_before: float
    memory_after: float


def main(arguments: Sequence[str]) -> int:
    """Soaks, writes the page, and exits with 1 if anything failed."""
    seconds = float(arguments[0]) if arguments else SECONDS
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(Path(folder))
        try:
            found = soaked(scene, seconds, random.Random(SEED))
        finally:
            with contextlib.suppress(OSError):
                scene.origin.stop()
    PAGE.write_text(page(found), encoding="utf-8")
    print(page(found))
    return 1 if found.failed else 0


def soaked(scene: Scene, seconds: float, dice: random.Random) -> Result:
    """Publishes, makes pairs of faults and ends them, again and again; then all must be well."""
    faults: Counter[str] = Counter()
    scene.publish()
    with contextlib.ExitStack() as stack:
        node = stack.enter_context(scene.node.running())
        scene.serves(1)
        for _ in range(ASKERS):
            stack.enter_context(scene.asked(node))
        memory_before, until_s = scene.memory_mib(), time.monotonic() + seconds
        while time.monotonic() < until_s:
            pair = [dice.choice(sorted(group)) for group in dice.sample(GROUPS, 2)]
            changes = [{**MANIFESTS, **PARTS, **INSIDE, **CLOSED}[name] for name in pair]
            for begin, _ in changes:
                begin(scene)
            scene.publish()
            time.sleep(dice.uniform(*LASTS_S))
            for _, end in changes:
                end(scene)
            scene.publish()
            time.sleep(dice.uniform(*CALM_S))
            faults.update(pair)
            print(f"{until_s - time.monotonic():5.0f} s left, {' and '.join(pair)}", flush=True)
        scene.serves(scene.version, within_s=90.0)
        scene.settles()
        memory_after = scene.memory_mib()
    seen = scene.seen
    failed = [*seen.broken, *["no answer"] * seen.unanswered]
    return Result(seconds, scene.version, faults, seen.replies, failed, memory_before, memory_after)


def page(found: Result) -> str:
    """docs/soak.md."""
    where = machine()
    lines = [
        "# Soak",
        "",
        f"{found.seconds / 60:.0f} minutes of {ASKERS} clients that ask a node of two workers for"
        " two slots all the time, each time by another connection, while versions are published"
        " and random pairs of faults are made and ended.",
        "",
        "| | |",
        "|---|---|",
        f"| replies | {found.replies:,} |",
        f"| **failed: no answer, another status than 200, or of two versions** |"
        f" **{len(found.failed)}** |",
        f"| versions published | {found.versions} |",
        f"| faults made, always two at once | {found.faults.total()} |",
        f"| memory of the node's processes, before and after |"
        f" {found.memory_before:.0f} MiB, {found.memory_after:.0f} MiB |",
        "",
        "| fault | times |",
        "|---|---|",
        *(f"| {name} | {times} |" for name, times in sorted(found.faults.items())),
        "",
        f"Written by `make soak` at commit {commit()}: {where['processor']}, {where['cores']}"
        f" cores, {where['python']}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

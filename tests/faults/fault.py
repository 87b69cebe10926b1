"""What a fault is, and what must be true of each that is over."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tests.faults.scene import Scene


class Told(msgspec.Struct, frozen=True):
    """What came of a fault. said: by /status while it lasted. mended_s: from its end until every
    worker serves what it should."""

    said: str
    mended_s: float


Change = Callable[[Scene], object]
Run = Callable[[Scene], Told]


class Fault(msgspec.Struct, frozen=True):
    """run: makes it, ends it. serves: the versions that are seen, in this order; 0 is nothing, and
    none named means that `run` has looked itself.

    slow: too long for every run of the tests. away: a process is killed, so that nobody answers for
    a moment. root: it needs the rights of root.
    """

    name: str
    run: Run
    serves: tuple[int, ...] = (1, 2)
    slow: bool = False
    away: bool = False
    root: bool = False


def judged(fault: Fault, scene: Scene) -> None:
    """Raises AssertionError if one reply was not as it should be."""
    seen, expected = scene.seen, list(fault.serves)
    begun = seen.versions[1:] if seen.versions[:1] == [0] != expected[:1] else seen.versions
    assert seen.broken == [], fault.name
    if expected:
        assert begun == expected, f"{fault.name}: {seen.versions}"
        assert seen.last == expected[-1], fault.name
    assert seen.replies, fault.name
    assert seen.unanswered == 0 or fault.away, f"{fault.name}: {seen.unanswered} without an answer"

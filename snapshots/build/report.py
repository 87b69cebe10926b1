"""What a build says of itself: its stages while it runs, and a report when it is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import msgspec

from decisions.errors import Problem
from snapshots.build.review import Review

STAGES = (
    "playbook",
    "catalogue",
    "events",
    "purchases",
    "segments",
    "recommended",
    "parts",
    "publish",
)


class Progress(NamedTuple):
    """One stage has begun. place, of: which of how many; detail: what is known by now."""

    stage: str
    place: int
    of: int
    detail: str = ""


OnProgress: TypeAlias = Callable[[Progress], None]


class BuildReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was read, made and published.

    rows: feed → rows read, `events` among them. left_out: reason → purchase lines; untaught: reason
    → event rows that taught nothing. erased: customers left out because they asked for it.
    segments: name → customers in it, in the playbook's order. parts: name →
    bytes as stored; patches: the same, of those that lead to the parts in one step. review: what it
    changes, where that was looked at. remarks: on parts that are not in the newest format. reused:
    without data, from the version before. peak_bytes: of this process, so far.
    """

    channel: str
    version: int
    customers: int = 0
    rows: dict[str, int] = {}
    left_out: dict[str, int] = {}
    untaught: dict[str, int] = {}
    erased: int = 0
    segments: dict[str, int] = {}
    parts: dict[str, int] = {}
    patches: dict[str, int] = {}
    warnings: tuple[Problem, ...] = ()
    review: Review | None = None
    remarks: tuple[str, ...] = ()
    reused: bool = False
    seconds: float = 0.0
    peak_bytes: int = 0


def stage(name: str, detail: str = "") -> Progress:
    """One of STAGES has begun."""
    return Progress(name, STAGES.index(name), len(STAGES), detail)

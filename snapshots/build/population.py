"""Two memberships in; a sample of their members out, each as the one and as the other knows them.

Visitors are known by hashes only. The sample is the lowest keys of both: by chance, since keys are
hashes, and the same visitors as long as they are members, whatever else has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from itertools import groupby, islice
from typing import Any, NamedTuple

from decisions.changes import Visitor
from decisions.consent import EVERYTHING, SENSITIVE
from decisions.interest import scores
from decisions.program import Program
from snapshots.erased import ERASED, Erased
from snapshots.membership import KEYS, MAGIC, Member, Membership

GRANTS = EVERYTHING & ~SENSITIVE
STRETCH_ROWS = 4_096  # keys that are read at a time


PARTS = (*MAGIC, ERASED)


class Version(NamedTuple):
    """A program, and whom it is shown to; members: None where it knows nobody. erased: of whom it
    knows nothing any more."""

    program: Program
    members: Membership | None = None
    erased: Erased | None = None


def version_of(program: Program, raw: Mapping[str, bytes]) -> Version:
    """A version with what its raw parts say of visitors. Raises Malformed, Unreadable."""
    parts = {name: part for name, part in raw.items() if name in MAGIC}
    members = Membership.open(parts) if KEYS in parts else None
    return Version(program, members, Erased(raw[ERASED]) if ERASED in raw else None)


def sampled(members: Iterable[Membership | None], wanted: int) -> Iterator[int]:
    """The keys of `wanted` members of any of these, 0 for all of them; read as they are asked
    for."""
    keys = merge(*(_keys(each) for each in members if each is not None))
    return islice((key for key, _ in groupby(keys)), wanted or None)


def both(
    old: Version, new: Version, keys: Iterable[int], now_s: float
) -> Iterator[tuple[Visitor, Visitor]]:
    """Each visitor as `old` knows them, and as `new` does; of whom it does not know, or who is
    erased there, nothing."""
    return ((_visitor(old, key, now_s), _visitor(new, key, now_s)) for key in keys)


def stranger(now_s: float) -> Visitor:
    """Somebody of whom nothing is known."""
    return Visitor({}, GRANTS, now_s)


def _keys(members: Membership) -> Iterator[int]:
    for start in range(0, members.rows, STRETCH_ROWS):
        yield from members.keys_at(range(start, min(start + STRETCH_ROWS, members.rows)))


def _visitor(version: Version, key: int, now_s: float) -> Visitor:
    member = version.members.lookup(key) if version.members is not None else None
    if version.erased is not None and version.erased.get(key) is not None:
        member = None
    half_life_s = version.program.learning.half_life_s
    facts = _facts(member, now_s, half_life_s) if member is not None else {}
    return Visitor(facts, GRANTS, now_s, unit=f"{key:016x}")


def _facts(member: Member, now_s: float, half_life_s: float) -> dict[str, Any]:
    return {
        "segments": member.segments,
        "traits": member.traits,
        "scores": member.scores,
        "interest": scores(member.interests, now_s - member.weighed_at_s, half_life_s),
    }

"""The version that is served and the parts of the next in; what it would change for whom out, or
Unapproved where that is more than a policy allows.

Asked before anything is written. The visitors are a sample of the members of both, each with what
the old version and the new one hold of them, and one of whom nothing is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import msgspec

from decisions.changes import Share, compared
from decisions.program import Program
from decisions.program import decode as decode_program
from snapshots.build.population import PARTS, both, sampled, stranger, version_of
from snapshots.bundle import Packed, unpack
from snapshots.contents import PROGRAM, RECORD
from snapshots.erased import ERASED
from snapshots.errors import NotThere, Unapproved, Unreadable, Untrusted
from snapshots.manifest import Manifest, part_path
from snapshots.store import ReadableStore

SAMPLE = 2_000  # members; a share of them is right to two percent


class _Record(msgspec.Struct):
    """As much of the builder's record as counts here: segment → how many are in it."""

    sizes: dict[str, int] = {}


_RECORDS = msgspec.json.Decoder(_Record)


class Policy(msgspec.Struct, frozen=True):
    """What a build may change without being told to. most_moved: of a slot's visitors, how many
    percent may get another fragment. An error, and a segment that empties, are always too much."""

    most_moved: float = 50.0


class Review(msgspec.Struct, frozen=True):
    """What a version would change. version: the one before. slots: for how many of the sample.
    emptied: segment → how many were in it, of those that nobody is in any more."""

    version: int
    slots: dict[str, Share]
    emptied: dict[str, int]


def review(
    before: Manifest | None, parts: Sequence[Packed], store: ReadableStore, now_s: float
) -> Review | None:
    """What these parts would change; None where there is nothing to compare with: a first version,
    or one that is gone, broken or of another format. Raises StoreUnavailable."""
    if before is None:
        return None
    try:
        stored = {
            part.name: unpack(part, store.read(part_path(part), part.bytes))
            for part in before.parts
            if part.name in (PROGRAM, RECORD, *PARTS)
        }
        old = version_of(decode_program(stored[PROGRAM]), stored)
    except (NotThere, Untrusted, Unreadable, KeyError):
        return None
    raw = {part.ref.name: unpack(part.ref, part.stored) for part in parts}
    lists = {name: stored[name] for name in (ERASED,) if name in stored}  # every version has it on
    new = version_of(decode_program(raw[PROGRAM]), lists | raw)
    members = both(old, new, sampled((old.members, new.members), SAMPLE), now_s)
    nobody = stranger(now_s)
    slots = compared(old.program, new.program, chain(members, [(nobody, nobody)]))
    return Review(before.version, slots, _emptied(new.program, _sizes(stored), _sizes(raw)))


def judge(found: Review | None, policy: Policy) -> None:
    """Raises Unapproved, with a line for everything that is too much."""
    if found is None:
        return
    too_much = []
    for slot, share in found.slots.items():
        percent = share.moved_percent
        if percent > policy.most_moved:
            too_much.append(
                f"slot {slot}: expected at most {policy.most_moved:g} % of {share.visitors:,} "
                f"visitors to get another fragment, got {percent:.0f} %"
            )
        if share.errors:
            too_much.append(
                f"slot {slot}: expected no errors, got {share.errors:,} of {share.visitors:,}"
            )
    for segment, members in found.emptied.items():
        too_much.append(
            f"segment {segment}: expected somebody in it, got nobody ({members:,} were)"
        )
    if too_much:
        raise Unapproved(found.version, too_much)


def _sizes(raw: Mapping[str, bytes]) -> dict[str, int]:
    return _RECORDS.decode(raw[RECORD]).sizes if RECORD in raw else {}


def _emptied(new: Program, before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """The segments of the new program that had members, and have none."""
    return {
        name: before[name]
        for name in sorted(new.schema.members.get("segments", ()))
        if before.get(name) and not after.get(name)
    }

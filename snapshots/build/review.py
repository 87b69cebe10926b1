"""The version that is served and the parts of the next in; what it would change for whom out, or
Unapproved where that is more than a policy allows.

Asked before anything is written. The visitors are a sample of the members, known by hashes only,
each with what the old version and the new one hold of them, and one of whom nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from decisions.changes import Share, Visitor, compared
from decisions.consent import EVERYTHING, SENSITIVE
from decisions.interest import fade, score
from decisions.program import Program
from decisions.program import decode as decode_program
from snapshots.bundle import Packed, unpack
from snapshots.contents import PROGRAM, RECORD
from snapshots.errors import NotThere, Unapproved, Unreadable, Untrusted
from snapshots.manifest import Manifest, part_path
from snapshots.membership import KEYS, MAGIC, Member, Membership
from snapshots.store import ReadableStore

SAMPLE = 2_000  # members; a share of them is right to two percent
GRANTS = EVERYTHING & ~SENSITIVE


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
            if part.name in (PROGRAM, RECORD, *MAGIC)
        }
        old, was = decode_program(stored[PROGRAM]), _members(stored)
    except (NotThere, Untrusted, Unreadable, KeyError):
        return None
    raw = {part.ref.name: unpack(part.ref, part.stored) for part in parts}
    new, now = decode_program(raw[PROGRAM]), _members(raw)
    keys = list(_sample(now))
    pairs = [(_visitor(was, key, now_s), _visitor(now, key, now_s)) for key in keys]
    stranger = Visitor({}, GRANTS, now_s)
    slots = compared(old, new, [*pairs, (stranger, stranger)])
    return Review(before.version, slots, _emptied(new, _sizes(stored), _sizes(raw)))


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


def _members(raw: Mapping[str, bytes]) -> Membership | None:
    parts = {name: part for name, part in raw.items() if name in MAGIC}
    return Membership.open(parts) if KEYS in parts else None


def _sample(members: Membership | None) -> Iterator[int]:
    """The keys of some members, spread evenly; keys are hashes, so that is by chance."""
    if members is not None:
        yield from members.keys_at(range(0, members.rows, max(1, members.rows // SAMPLE)))


def _visitor(members: Membership | None, key: int, now_s: float) -> Visitor:
    member = members.lookup(key) if members is not None else None
    facts = _facts(member, now_s) if member is not None else {}
    return Visitor(facts, GRANTS, now_s, unit=f"{key:016x}")


def _facts(member: Member, now_s: float) -> dict[str, Any]:
    age_s = now_s - member.weighed_at_s
    return {
        "segments": member.segments,
        "traits": member.traits,
        "scores": member.scores,
        "interest": {name: score(fade(weight, age_s)) for name, weight in member.interests.items()},
    }


def _sizes(raw: Mapping[str, bytes]) -> dict[str, int]:
    return _RECORDS.decode(raw[RECORD]).sizes if RECORD in raw else {}


def _emptied(new: Program, before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """The segments of the new program that had members, and have none."""
    return {
        name: before[name]
        for name in sorted(new.schema.members.get("segments", ()))
        if before.get(name) and not after.get(name)
    }

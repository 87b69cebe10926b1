"""Which parts a bundle must have, which formats of them are read here, and which are passed over.

A part of a name that is not in the table belongs to a newer release: it is neither fetched nor an
error, and `/status` names it. A known part in an unknown format is an error: half a bundle would
decide differently.
"""

from __future__ import annotations

import msgspec

from decisions import program
from snapshots import erased, membership
from snapshots.erased import ERASED
from snapshots.errors import Malformed, Unreadable
from snapshots.manifest import Manifest, PartRef
from snapshots.membership import INTERESTS, KEYS, SCORES, SEGMENTS, TRAITS

PROGRAM = "program"
RECORD = "record"  # for the builder alone: what the membership was computed from


class Content(msgspec.Struct, frozen=True):
    """formats: what this version reads. needs: another part without which it says nothing."""

    formats: frozenset[int]
    required: bool = False
    needs: str = ""


CONTENTS: dict[str, Content] = {
    PROGRAM: Content(frozenset({program.FORMAT}), required=True),
    KEYS: Content(membership.READABLE),
    SEGMENTS: Content(membership.READABLE, needs=KEYS),
    TRAITS: Content(membership.READABLE, needs=KEYS),
    SCORES: Content(membership.READABLE, needs=KEYS),
    INTERESTS: Content(membership.READABLE, needs=KEYS),
    ERASED: Content(erased.READABLE),
}


def wanted(manifest: Manifest) -> tuple[PartRef, ...]:
    """The parts that this version opens; raises Malformed for a missing one, Unreadable for a
    format of the future."""
    parts = {part.name: part for part in manifest.parts if part.name in CONTENTS}
    for name, content in CONTENTS.items():
        if content.required and name not in parts:
            raise Malformed(f"expected a part {name} in version {manifest.version}, got none")
    for name, part in parts.items():
        content = CONTENTS[name]
        if part.format not in content.formats:
            readable = ", ".join(map(str, sorted(content.formats)))
            raise Unreadable(
                f"expected format {readable} of {name}, got {part.format}: upgrade this edge, "
                "or publish in the older format"
            )
        if content.needs and content.needs not in parts:
            raise Malformed(f"expected {content.needs} beside {name}, got none")
    return tuple(parts.values())


def passed_over(manifest: Manifest) -> tuple[str, ...]:
    """The names of the parts that this version does not know."""
    return tuple(
        part.name for part in manifest.parts if part.name not in CONTENTS and part.name != RECORD
    )

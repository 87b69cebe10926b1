"""Which parts a bundle must have, which formats of them are read and written, which parts are
passed over.

A part of a name that is not in the table belongs to a newer release: it is neither fetched nor an
error, and `/status` names it. A known part in an unknown format is an error: half a bundle would
decide differently. Whatever format is read here is written here, too, so that a publisher can stay
on the one that its edges read.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

import msgspec

from decisions import program
from snapshots import erased, membership, recommendations
from snapshots.erased import ERASED
from snapshots.errors import Malformed, Unreadable, Unwritable
from snapshots.manifest import Manifest, PartRef
from snapshots.membership import INTERESTS, KEYS, SCORES, SEGMENTS, TRAITS
from snapshots.recommendations import RECOMMENDATIONS, SEEDS

PROGRAM = "program"
RECORD = "record"  # for the builder alone: what the membership was computed from


class Content(msgspec.Struct, frozen=True):
    """formats: what this version reads, and writes when told to; the newest is written else.
    needs: another part without which it says nothing."""

    formats: frozenset[int]
    required: bool = False
    needs: str = ""

    @property
    def newest(self) -> int:
        """The one that is written."""
        return max(self.formats)

    @property
    def listed(self) -> str:
        """`1, 2`."""
        return ", ".join(map(str, sorted(self.formats)))


CONTENTS: dict[str, Content] = {
    PROGRAM: Content(frozenset({program.FORMAT}), required=True),
    KEYS: Content(membership.FORMATS[KEYS]),
    SEGMENTS: Content(membership.FORMATS[SEGMENTS], needs=KEYS),
    TRAITS: Content(membership.FORMATS[TRAITS], needs=KEYS),
    SCORES: Content(membership.FORMATS[SCORES], needs=KEYS),
    INTERESTS: Content(membership.FORMATS[INTERESTS], needs=KEYS),
    ERASED: Content(erased.READABLE),
    RECOMMENDATIONS: Content(recommendations.FORMATS[RECOMMENDATIONS], needs=KEYS),
    SEEDS: Content(recommendations.FORMATS[SEEDS], needs=RECOMMENDATIONS),
}
NEWEST = {name: content.newest for name, content in CONTENTS.items()}


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
            raise Unreadable(
                f"expected format {content.listed} of {name}, got {part.format}: upgrade this "
                f"edge, or publish with --formats {name}={content.newest}"
            )
        if content.needs and content.needs not in parts:
            raise Malformed(f"expected {content.needs} beside {name}, got none")
    return tuple(parts.values())


def passed_over(manifest: Manifest) -> tuple[str, ...]:
    """The names of the parts that this version does not know."""
    return tuple(
        part.name for part in manifest.parts if part.name not in CONTENTS and part.name != RECORD
    )


def written_formats(told: Mapping[str, int]) -> dict[str, int]:
    """Part → the format to write it in: the newest, but for what a publisher was told.

    Raises Unwritable for a part that is not in the table, and a format that is not known here.
    """
    for name, number in told.items():
        content = CONTENTS.get(name)
        if content is None:
            near = get_close_matches(name, CONTENTS, 1)
            hint = f", did you mean {near[0]}?" if near else ""
            raise Unwritable(f"expected one of {', '.join(CONTENTS)}, got {name!r}{hint}")
        if number not in content.formats:
            alone = ", and there is no other" if len(content.formats) == 1 else ""
            raise Unwritable(f"expected format {content.listed} of {name}{alone}, got {number}")
    return NEWEST | dict(told)


def remarks(manifest: Manifest) -> dict[str, str]:
    """Part → what is to be said of its format, where that is not the one this version writes."""
    said = {}
    for part in manifest.parts:
        content = CONTENTS.get(part.name)
        if content is None or part.format == content.newest:
            continue
        newest = content.newest
        told = f"older than {newest}"
        if part.format not in content.formats:
            told = f"which is not read here, where {newest} is the newest"
        said[part.name] = f"{part.name} is in format {part.format}, {told}"
    return said

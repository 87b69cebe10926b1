"""`edgewise diff OLD NEW`: what differs between two versions, and how many visitors it changes."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from decisions.changes import Changed, Changes, Share, Visitor, changes, shares
from decisions.program import Program
from edge.commands.decide import GRANTS, read_grants, read_moment
from edge.errors import SettingError
from edge.published import Published, keys_in
from edge.publishing import as_json
from snapshots.contents import RECORD
from snapshots.errors import Malformed
from snapshots.keys import PublicKeys

_SIDE = re.compile(
    r"(?P<store>[^#]+)(?:#(?P<channel>[a-z0-9-]+)(?:/(?P<version>[1-9][0-9]{0,15}))?)?"
)


class _Record(msgspec.Struct):
    """As much of the builder's record as counts here: segment → what it is computed by."""

    segments: dict[str, str] = {}


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """A visitor as a line of the population says it."""

    facts: dict[str, Any]
    unit: str = ""
    grants: list[str] | None = None
    now: str | None = None


class _Side(NamedTuple):
    """One of the two versions."""

    channel: str
    version: int
    program: Program
    segments: dict[str, str]

    @property
    def told(self) -> dict[str, Any]:
        """Which one it is."""
        return {"channel": self.channel, "version": self.version}


_LINE = msgspec.json.Decoder(_Line)


def configure(parser: argparse.ArgumentParser) -> None:
    """Which two, and for whom."""
    what = "STORE#channel or STORE#channel/version; STORE alone is its channel live"
    parser.add_argument("old", metavar="OLD", help=what)
    parser.add_argument("new", metavar="NEW", help="the same")
    parser.add_argument("--keys", metavar="DIR", help="check the signatures by this folder's keys")
    parser.add_argument(
        "--population", metavar="FILE", help="a visitor a line as JSON, - for stdin (default none)"
    )
    parser.add_argument("--now", metavar="TIME", help="a date or RFC 3339 time (default: now)")
    parser.add_argument("--json", action="store_true", help="tell it as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints what differs; 0 whether or not something does."""
    keys = keys_in(arguments.keys)
    old, new = _side(arguments.old, keys, "OLD"), _side(arguments.new, keys, "NEW")
    found = changes(old.program, new.program, (old.segments, new.segments))
    counted: dict[str, Share] = {}
    if arguments.population:
        now_s = read_moment(arguments.now, time.time(), new.program.timezone, "--now")
        population = _visitors(arguments.population, new.program.timezone, now_s)
        counted = shares(old.program, new.program, population)
    if arguments.json:
        print(as_json({"old": old.told, "new": new.told, "changes": found, "slots": counted}))
        return 0
    print(f"{old.channel} version {old.version} -> {new.channel} version {new.version}")
    for sentence in (*_sentences(found), *_shares(counted)):
        print(sentence)
    return 0


def _side(text: str, keys: PublicKeys | None, place: str) -> _Side:
    match = _SIDE.fullmatch(text)
    if match is None:
        wanted = "STORE, STORE#channel or STORE#channel/version"
        raise SettingError(f"expected {wanted}, got {text!r} - at {place}")
    channel, version = match["channel"] or "live", int(match["version"] or 0)
    found = Published(match["store"], channel, keys, version=version)
    record = found.manifest.part(RECORD)
    segments: dict[str, str] = {}
    if record is not None:
        try:
            segments = msgspec.json.decode(found.part(record), type=_Record).segments
        except msgspec.DecodeError as error:
            raise Malformed(f"expected the builder's record: {error} - at {RECORD}") from error
    return _Side(channel, found.manifest.version, found.program(), segments)


def _visitors(file: str, timezone: str, now_s: float) -> Iterator[Visitor]:
    """The visitors of a file, read as they are asked for. Raises SettingError with the line."""
    everything = read_grants(GRANTS)
    try:
        with nullcontext(sys.stdin.buffer) if file == "-" else Path(file).open("rb") as lines:
            for number, text in enumerate(lines, 1):
                if text.strip():
                    yield _visitor(text, f"{file}:{number}", everything, timezone, now_s)
    except OSError as error:
        raise SettingError(f"expected a file of visitors, {error.strerror} - at {file}") from None


def _visitor(text: bytes, place: str, grants: int, timezone: str, now_s: float) -> Visitor:
    try:
        line = _LINE.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"expected a visitor: {error} - at {place}") from None
    if line.grants is not None:
        grants = read_grants(",".join(line.grants), place)
    return Visitor(line.facts, grants, read_moment(line.now, now_s, timezone, place), line.unit)


def _sentences(found: Changes) -> Iterator[str]:
    nothing = True
    for kind in msgspec.structs.fields(Changes):
        names = getattr(found, kind.name)
        rows = _rows(names) if isinstance(names, Changed) else (("reordered", names),)
        for what, which in rows:
            if which:
                nothing = False
                noun = "slots" if what == "reordered" else kind.name
                yield f"{noun:<10}{what:<10}{', '.join(which)}"
    if nothing:
        yield "nothing differs"


def _rows(names: Changed) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return ("added", names.added), ("removed", names.removed), ("changed", names.changed)


def _shares(counted: dict[str, Share]) -> Iterator[str]:
    for slot, share in counted.items():
        yield (
            f"{slot}: {share.percent:.2f} % of {share.visitors:,} visitors change "
            f"({share.changed:,}; another fragment: {share.moved:,})"
        )

"""`edgewise diff OLD NEW`: what differs between two versions, and how many visitors it changes.

The visitors are those of a file, the members of the two versions, or the customers of a folder of
data, with the segments that either version computes of them. It only reads.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from decisions.changes import Changed, Changes, Share, Visitor, changes, compared
from decisions.program import Program
from edge.commands.build import need_the_extra
from edge.commands.decide import GRANTS, read_grants, read_moment
from edge.errors import SettingError
from edge.published import Published, keys_in
from edge.publishing import as_json, date
from snapshots.build.population import PARTS, Version, both, sampled, version_of
from snapshots.contents import RECORD
from snapshots.erased import ERASED, Erased, Times
from snapshots.errors import Malformed
from snapshots.keys import PublicKeys

MEMBERS = "members"
SAMPLE = 10_000  # visitors: a share of them is right to one percent
SAY_EVERY_S = 2.0

_SIDE = re.compile(
    r"(?P<store>[^#]+)(?:#(?P<channel>[a-z0-9-]+)(?:/(?P<version>[1-9][0-9]{0,15}))?)?"
)


class _Record(msgspec.Struct):
    """As much of the builder's record as counts here: segment → what it is computed by, and how
    many are in it."""

    segments: dict[str, str] = {}
    sizes: dict[str, int] = {}


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """A visitor as a line of the population says it."""

    facts: dict[str, Any]
    unit: str = ""
    grants: list[str] | None = None
    now: str | None = None


class _Side(NamedTuple):
    """One of the two versions. raw: its record, None where it was published without data."""

    published: Published
    program: Program
    raw: bytes | None
    record: _Record

    @property
    def told(self) -> dict[str, Any]:
        """Which one it is."""
        manifest = self.published.manifest
        return {"channel": manifest.channel, "version": manifest.version}

    def __str__(self) -> str:
        return "{channel} version {version}".format(**self.told)

    def known(self) -> Version:
        """It, with its members."""
        parts = [part for part in self.published.manifest.parts if part.name in PARTS]
        return version_of(self.program, {part.name: self.published.part(part) for part in parts})

    def erased(self) -> Times:
        """Who is listed as erased in it."""
        part = self.published.manifest.part(ERASED)
        return Erased(self.published.part(part)).times() if part else {}


class _Population(NamedTuple):
    """Whom to ask. pairs: each as the old version and the new one know them. said: who they are.
    known: how many the two know in all. sizes: of the segments of the two, where data say so."""

    pairs: Iterable[tuple[Visitor, Visitor]]
    said: str
    known: tuple[int, int] | None = None
    sizes: tuple[dict[str, int], dict[str, int]] | None = None


class _Asked(msgspec.Struct):
    """Those who were asked. known: how many old and new version know in all."""

    of: str
    visitors: int
    now_s: float
    known: tuple[int, int] | None = None


class _Size(msgspec.Struct):
    """How many are in a segment; None in a version that does not have it, or has no data."""

    old: int | None
    new: int | None


_LINE = msgspec.json.Decoder(_Line)


def configure(parser: argparse.ArgumentParser) -> None:
    """Which two, and for whom."""
    what = "STORE#channel or STORE#channel/version; STORE alone is its channel live"
    parser.add_argument("old", metavar="OLD", help=what)
    parser.add_argument("new", metavar="NEW", help="the same")
    parser.add_argument("--keys", metavar="DIR", help="check the signatures by this folder's keys")
    parser.add_argument(
        "--population",
        metavar="DATA",
        help="for whom: a folder of data, as build reads it, with --playbook; or the word "
        f"{MEMBERS}, for those that the versions know; or a file that has a visitor a line as "
        "JSON, - for stdin (default nobody)",
    )
    parser.add_argument(
        "--playbook", metavar="DIR", help="its sources.yaml says what the columns of the data mean"
    )
    parser.add_argument(
        "--sample",
        type=int,
        metavar="N",
        help="ask so many of the customers or members, the same ones each time; 0 asks all "
        f"(default {SAMPLE:,})",
    )
    parser.add_argument("--now", metavar="TIME", help="a date or RFC 3339 time (default: now)")
    parser.add_argument("--json", action="store_true", help="tell it as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints what differs; 0 whether or not something does."""
    of = _kind(arguments)
    keys = keys_in(arguments.keys)
    old, new = _side(arguments.old, keys, "OLD"), _side(arguments.new, keys, "NEW")
    found = changes(old.program, new.program, (old.record.segments, new.record.segments))
    sizes = old.record.sizes, new.record.sizes
    asked, counted = None, dict[str, Share]()
    if of is not None:
        timezone = "UTC" if of == "data" else new.program.timezone  # as build reads its --now
        now_s = read_moment(arguments.now, time.time(), timezone, "--now")
        population = _POPULATIONS[of](arguments, old, new, now_s)
        sizes = population.sizes or sizes
        asked = _Asked(of, 0, now_s, population.known)
        counted = compared(old.program, new.program, _told(population.pairs, asked))
    table = _sizes(old, new, sizes)
    if arguments.json:
        told = {"old": old.told, "new": new.told, "changes": found, "sizes": table}
        print(as_json({**told, "population": asked, "slots": counted}))
        return 0
    print(f"{old} -> {new}")
    for sentence in (*_sentences(found), *_grown(table)):
        print(sentence)
    if asked:
        print(f"asked {asked.visitors:,} {population.said}")
    for sentence in _shares(counted):
        print(sentence)
    return 0


def _kind(arguments: argparse.Namespace) -> str | None:
    """What the population is, None for nobody. Raises SettingError for options that do not go
    together."""
    where, of = arguments.population, "file"
    if where == MEMBERS:
        of = MEMBERS
    elif where and Path(where).is_dir():
        of = "data"
    if of == "data" and not arguments.playbook:
        raise SettingError(
            "expected --playbook beside a folder of data, since its sources.yaml says what the "
            f"columns mean - at --population {where}"
        )
    if arguments.playbook and of != "data":
        got = f"got {where}" if where else "got none"
        raise SettingError(f"expected --population to be a folder of data, {got} - at --playbook")
    if arguments.sample is not None and of == "file":
        raise SettingError(
            f"expected --population to be a folder of data or {MEMBERS}: of a file everybody is "
            "asked - at --sample"
        )
    if arguments.sample is not None and arguments.sample < 0:
        raise SettingError(f"expected 0 or more, got {arguments.sample} - at --sample")
    return of if where else None


def _side(text: str, keys: PublicKeys | None, place: str) -> _Side:
    match = _SIDE.fullmatch(text)
    if match is None:
        wanted = "STORE, STORE#channel or STORE#channel/version"
        raise SettingError(f"expected {wanted}, got {text!r} - at {place}")
    channel, version = match["channel"] or "live", int(match["version"] or 0)
    found = Published(match["store"], channel, keys, version=version)
    part, raw, record = found.manifest.part(RECORD), None, _Record()
    if part is not None:
        raw = found.part(part)
        try:
            record = msgspec.json.decode(raw, type=_Record)
        except msgspec.DecodeError as error:
            raise Malformed(f"expected the builder's record: {error} - at {RECORD}") from error
    return _Side(found, found.program(), raw, record)


def _of_file(arguments: argparse.Namespace, old: _Side, new: _Side, now_s: float) -> _Population:
    """Both versions are told the same facts."""
    file = arguments.population
    visitors = _visitors(file, new.program.timezone, now_s)
    return _Population(((visitor, visitor) for visitor in visitors), f"visitors of {file}")


def _of_members(arguments: argparse.Namespace, old: _Side, new: _Side, now_s: float) -> _Population:
    """Each version decides with what it holds of a member."""
    if old.program.key_salt != new.program.key_salt:
        raise SettingError(
            "expected two versions that know their members by the same keys, as those of one store "
            f"do - at --population {MEMBERS}"
        )
    _say("reading the members")
    known = old.known(), new.known()
    rows = _rows_of(*known)
    said = f"of {rows[0]:,} members of {old} and {rows[1]:,} of {new}"
    return _Population(_pairs(arguments, known, now_s), said, rows)


def _of_data(arguments: argparse.Namespace, old: _Side, new: _Side, now_s: float) -> _Population:
    """Each version decides with what its segments, scores and interests make of the data."""
    need_the_extra()
    from snapshots.build.anew import computed_anew
    from snapshots.build.report import OnProgress, Progress
    from snapshots.build.sources import read_sources

    sides = (old, new)

    def on_progress(place: int) -> OnProgress:
        def say(progress: Progress) -> None:
            _say(f"{sides[place]}: {progress.stage}, {progress.detail}")

        return say

    computed = computed_anew(
        [(side.program, side.raw) for side in sides],
        read_sources(Path(arguments.playbook)),
        Path(arguments.population),
        now_s=now_s,
        salt=new.program.key_salt,
        erased=new.erased(),
        on_progress=on_progress,
    )
    was, now = (
        Version(side.program, each.members if each else None)
        for side, each in zip(sides, computed, strict=True)
    )
    before, after = (each.sizes if each else {} for each in computed)
    rows = _rows_of(was, now)
    said = f"of {max(rows):,} customers in {arguments.population}, as of {date(now_s)}"
    return _Population(_pairs(arguments, (was, now), now_s), said, rows, (before, after))


_POPULATIONS = {"file": _of_file, MEMBERS: _of_members, "data": _of_data}


def _pairs(
    arguments: argparse.Namespace, known: tuple[Version, Version], now_s: float
) -> Iterator[tuple[Visitor, Visitor]]:
    wanted = SAMPLE if arguments.sample is None else arguments.sample
    return both(*known, sampled((version.members for version in known), wanted), now_s)


def _rows_of(old: Version, new: Version) -> tuple[int, int]:
    rows = [version.members.rows if version.members else 0 for version in (old, new)]
    return rows[0], rows[1]


def _told(
    pairs: Iterable[tuple[Visitor, Visitor]], asked: _Asked
) -> Iterator[tuple[Visitor, Visitor]]:
    """The same, counted, with a line on stderr now and then."""
    due_s = time.monotonic() + SAY_EVERY_S
    for pair in pairs:
        yield pair
        asked.visitors += 1
        if time.monotonic() >= due_s:
            _say(f"asked {asked.visitors:,}")
            due_s = time.monotonic() + SAY_EVERY_S


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


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


def _sizes(
    old: _Side, new: _Side, sizes: tuple[dict[str, int], dict[str, int]]
) -> dict[str, _Size]:
    """Of the segments that either of the two has, in order of names."""
    there = [side.program.schema.members.get("segments", {}) for side in (old, new)]
    before, after = (
        {name: size for name, size in counted.items() if name in names}
        for counted, names in zip(sizes, there, strict=True)
    )
    return {
        name: _Size(before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
    }


def _grown(sizes: dict[str, _Size]) -> Iterator[str]:
    alike = 0
    for name, size in sizes.items():
        if size.old == size.new:
            alike += 1
        else:
            before, after = (
                "none" if each is None else f"{each:,}" for each in (size.old, size.new)
            )
            yield f"segment {name}: {before} -> {after} customers"
    if alike:
        yield f"{alike} of {len(sizes)} segments are as large as before"

"""`edgewise export STORE --subject ID`: all that a store holds of one person, as one JSON document.

It looks at the newest version of each channel and at every event file; it changes nothing. What
lies on the person's own device only is told by `GET v1/me`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import msgspec

from decisions.interest import scores
from decisions.ledger import row_key
from edge.errors import SettingError
from edge.published import Published, keys_in
from edge.publishing import as_json
from snapshots.erased import ERASED, Erased
from snapshots.errors import NotThere
from snapshots.eventfiles import EventFiles, open_events
from snapshots.history import channels
from snapshots.keys import PublicKeys
from snapshots.membership import FORMATS, KEYS, Membership
from snapshots.recommendations import RECOMMENDATIONS, SEEDS, Recommendations
from snapshots.store import open_writable
from snapshots.subject import Consented, Entered, consents, experiments, rows_about, visitors_of


class Sources(msgspec.Struct, frozen=True):
    """Where it was looked, without credentials. versions: the newest of each channel."""

    store: str
    versions: dict[str, int]
    events: str


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What the membership of one channel's newest version has of the person. interests: 0 to 100,
    faded until now. bought: the items bought last, by which others are recommended. built_at: the
    moment its data is built for."""

    channel: str
    version: int
    built_at: int
    segments: list[str]
    traits: dict[str, str]
    scores: dict[str, float]
    interests: dict[str, float]
    bought: list[str]


class Erasure(msgspec.Struct, frozen=True):
    """That a channel lists the person as erased, since when it was asked for."""

    channel: str
    asked_at: int


class Logged(msgspec.Struct, frozen=True):
    """A row of the event log as it stands, and where."""

    file: str
    line: int
    row: msgspec.Raw


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """The document. hash: the id's, as rows and versions name the person. visitors: the hashes of
    the visitors who were this customer, by the rows. Moments are seconds since the epoch."""

    subject: str
    hash: str
    made_at: int
    sources: Sources
    visitors: list[str]
    members: list[Kept]
    erased: list[Erasure]
    consents: list[Consented]
    experiments: list[Entered]
    events: list[Logged]


def configure(parser: argparse.ArgumentParser) -> None:
    """Of whom, from where, to where."""
    parser.add_argument("store", metavar="STORE", help="a folder or a bucket")
    parser.add_argument(
        "--subject", metavar="ID", required=True, help="a visitor's or a customer's own id"
    )
    parser.add_argument(
        "--events",
        metavar="WHERE",
        help="event files, a folder or a store (default: those of the store)",
    )
    parser.add_argument(
        "--keys", default="keys", metavar="DIR", help="has publisher.public.jwks (default keys)"
    )
    parser.add_argument(
        "--out", metavar="FILE", help="a new file that only you can read (default: stdout)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes the document, also that of somebody of whom nothing is held."""
    if arguments.out and Path(arguments.out).exists():  # told before all is read, not after
        raise SettingError(f"expected a file that is not there yet - at --out {arguments.out}")
    keys = keys_in(arguments.keys)
    events = open_events(arguments.events or arguments.store)
    told = export(arguments.store, events, arguments.subject, keys, int(time.time()))
    text = as_json(told)
    if not arguments.out:
        print(text)
        return 0
    try:
        with open(arguments.out, "x", encoding="utf-8", opener=_private) as file:
            file.write(text + "\n")
    except OSError as error:
        raise SettingError(
            f"expected to write a new file, {error.strerror} - at --out {arguments.out}"
        ) from error
    held = f"{len(told.members)} members, {len(told.events)} event rows"
    print(f"{arguments.out}: {held}", file=sys.stderr)
    return 0


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def export(
    store: str, events: EventFiles, subject: str, keys: PublicKeys | None, now_s: int
) -> Export:
    """All of one person. Raises SnapshotError for a store without versions, one that is not to be
    believed, and event files that cannot be read."""
    versions = [Published(store, channel, keys) for channel in channels(open_writable(store))]
    if not versions:
        raise NotThere("channels/", store, "publish a version first")
    hash_ = row_key(versions[0].program().key_salt, subject)
    visitors = visitors_of(events, hash_)
    found = list(rows_about(events, hash_, visitors))
    rows = [placed.row for placed in found]
    key = int(hash_, 16)
    newest = {one.manifest.channel: one.manifest.version for one in versions}
    return Export(
        subject=subject,
        hash=hash_,
        made_at=now_s,
        sources=Sources(versions[0].store.where, newest, events.where),
        visitors=sorted(visitors),
        members=[kept for one in versions if (kept := _kept(one, key, now_s)) is not None],
        erased=[gone for one in versions if (gone := _erasure(one, key)) is not None],
        consents=consents(rows),
        experiments=experiments(rows),
        events=[Logged(one.file, one.line, msgspec.Raw(one.raw)) for one in found],
    )


def _kept(version: Published, key: int, now_s: int) -> Kept | None:
    manifest = version.manifest
    refs = [part for part in manifest.parts if part.name in FORMATS]
    if not any(part.name == KEYS for part in refs):
        return None
    membership = Membership.open({part.name: version.part(part) for part in refs})
    member = membership.lookup(key)
    if member is None:
        return None
    half_life_s = version.program().learning.half_life_s
    items = _items(version, membership)
    return Kept(
        channel=manifest.channel,
        version=manifest.version,
        built_at=membership.built_at_s,
        segments=sorted(member.segments),
        traits=member.traits,
        scores={name: round(score, 4) for name, score in member.scores.items()},
        interests={
            name: round(interest, 1)
            for name, interest in scores(
                member.interests, now_s - member.weighed_at_s, half_life_s
            ).items()
        },
        bought=[items.id(item) for item in items.bought(key)] if items is not None else [],
    )


def _items(version: Published, membership: Membership) -> Recommendations | None:
    parts = [version.manifest.part(name) for name in (RECOMMENDATIONS, SEEDS)]
    items, seeds = (None if part is None else version.part(part) for part in parts)
    return None if items is None else Recommendations(items, seeds, membership)


def _erasure(version: Published, key: int) -> Erasure | None:
    part = version.manifest.part(ERASED)
    asked_at = Erased(version.part(part)).get(key) if part is not None else None
    return None if asked_at is None else Erasure(version.manifest.channel, asked_at)

"""`edgewise erase STORE`: who asked to be forgotten, on every node and in all versions to come.

Reads the `erase` rows of event files, or takes the ids that are given here, and signs a version of
each channel that lists their hashes, if it does not list them yet. Nothing is published unless
every row could be read.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterator

import msgspec

from decisions.events import ERASE
from edge import publishing
from edge.publishing import Publisher
from snapshots import erased
from snapshots.erased import Times
from snapshots.errors import Malformed, NotThere
from snapshots.eventfiles import open_events, read_rows
from snapshots.history import channels, read_ledger
from snapshots.manifest import Manifest
from snapshots.reissue import erase

DAY_S = 86_400
DAYS = 30  # a timer that stood still for longer is noticed by what nodes say of the oldest

_HASH = re.compile(r"[0-9a-f]{16}", re.ASCII)
_HASH_OR_NONE = re.compile(r"([0-9a-f]{16})?", re.ASCII)


class Asked(msgspec.Struct, frozen=True):
    """What matters here of a row. visitor, customer: hashes already, in 16 hex digits."""

    id: str
    type: str
    received: float
    visitor: str = ""
    customer: str = ""


def configure(parser: argparse.ArgumentParser) -> None:
    """Whom, and where."""
    publishing.configure(parser)
    parser.add_argument("--channel", default="", help="one line of bundles (default: all of them)")
    parser.add_argument(
        "--events",
        metavar="WHERE",
        help="event files of nodes, a folder or a store (default: the store, where no id is given)",
    )
    parser.add_argument(
        "--days", type=int, default=DAYS, help=f"how far back in a store's (default {DAYS})"
    )
    for who in ("visitor", "customer"):
        parser.add_argument(
            f"--{who}", metavar="ID", action="append", default=[], help=f"a {who}'s own id"
        )


def run(arguments: argparse.Namespace) -> int:
    """Publishes what is new; nodes obey at their next poll."""
    who = publishing.publisher(arguments)
    now_s = time.time()
    times = _times(arguments, _salt(who), now_s)
    made = []
    for channel in [arguments.channel] if arguments.channel else channels(who.store):
        listed = erase(who.store, channel, times, who.private, who.trusted, now_s=now_s)
        if listed is not None:
            made.append(listed)
    print(publishing.told(arguments, _said(made, len(times)), {"asked": len(times), "made": made}))
    return 0


def _salt(who: Publisher) -> str:
    found = read_ledger(who.store, who.trusted).ledger
    if found is None:
        raise NotThere("ledger/", who.store.where, "publish a version first")
    return found.salt


def _times(arguments: argparse.Namespace, salt: str, now_s: float) -> Times:
    ids = [*arguments.visitor, *arguments.customer]
    lists = [erased.hashed(salt, dict.fromkeys(ids, int(now_s)))]
    where = arguments.events or ("" if ids else arguments.store)
    for row in _asked(where, now_s - arguments.days * DAY_S) if where else ():
        at_s = int(row.received)
        lists.append({int(hash_, 16): at_s for hash_ in (row.visitor, row.customer) if hash_})
    return erased.merged(lists, now_s)


def _asked(where: str, from_s: float) -> Iterator[Asked]:
    """The `erase` rows of all event files. Raises Malformed for a row that cannot be read."""
    for row, file, line, _ in read_rows(open_events(where), Asked, from_s=from_s):
        if row.type != ERASE:
            continue
        if not _HASH.fullmatch(row.visitor) or not _HASH_OR_NONE.fullmatch(row.customer):
            raise Malformed(
                "expected 16 hex digits of a visitor, and as many or none of a customer, got "
                f"{row.visitor!r} and {row.customer!r} - at {file}:{line}"
            )
        yield row


def _said(made: list[Manifest], asked: int) -> str:
    if not made:
        return f"nothing new: {asked} asked for, every channel lists them"
    return "\n".join(
        f"published {publishing.dated(manifest)}: {asked} asked for, all of them listed"
        for manifest in made
    )

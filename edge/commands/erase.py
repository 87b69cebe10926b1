"""`edgewise erase STORE`: who asked to be forgotten, on every node and in all versions to come.

Reads the `erase` rows of event files, or takes the ids that are given here, and signs a version of
each channel that lists their hashes, if it does not list them yet. Of a subject it also lists the
visitors whom rows tie to that customer. Nothing is published unless every row could be read.
"""

from __future__ import annotations

import argparse
import time

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
END_S = 2**32  # the list has no room for a later second
DAYS = 30  # a timer that stood still for longer is noticed by what nodes say of the oldest


class Told(msgspec.Struct, frozen=True):
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
        "--days",
        type=int,
        help=f"how far back in a store's (default {DAYS}; with --subject all of them)",
    )
    for who in ("visitor", "customer"):
        parser.add_argument(
            f"--{who}", metavar="ID", action="append", default=[], help=f"a {who}'s own id"
        )
    parser.add_argument(
        "--subject",
        metavar="ID",
        action="append",
        default=[],
        help="either of the two, and the visitors whom event rows tie to that customer",
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
    subjects = erased.hashed(salt, dict.fromkeys(arguments.subject, int(now_s)))
    ids = [*arguments.visitor, *arguments.customer]
    lists = [erased.hashed(salt, dict.fromkeys(ids, int(now_s))), subjects]
    days = arguments.days if arguments.days is not None else (None if subjects else DAYS)
    from_s = 0.0 if days is None else now_s - days * DAY_S
    where = arguments.events or ("" if ids and not subjects else arguments.store)
    for placed in read_rows(open_events(where), Told, from_s=from_s) if where else ():
        try:
            lists.append(_listed(placed.row, subjects))
        except Malformed as error:
            raise Malformed(f"{error} - at {placed.file}:{placed.line}") from None
    return erased.merged(lists, now_s)


def _listed(row: Told, subjects: Times) -> Times:
    """Whom a row says to list: who asks in it; a visitor who was a subject. Raises Malformed."""
    if row.type == ERASE:
        if row.received >= END_S:
            raise Malformed(f"expected a time before 2106, got {row.received:.0f}")
        customer = [erased.hash_in(row.customer)] if row.customer else []
        return dict.fromkeys([erased.hash_in(row.visitor), *customer], int(row.received))
    if not subjects or not row.customer or not row.visitor:
        return {}
    at_s = subjects.get(erased.hash_in(row.customer))
    return {} if at_s is None else {erased.hash_in(row.visitor): at_s}


def _said(made: list[Manifest], asked: int) -> str:
    if not made:
        return f"nothing new: {asked} asked for, every channel lists them"
    return "\n".join(
        f"published {publishing.dated(manifest)}: {asked} asked for, all of them listed"
        for manifest in made
    )

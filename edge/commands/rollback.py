"""`edgewise rollback STORE`: the parts of an earlier version, under a new number."""

from __future__ import annotations

import argparse
import time

from edge import publishing
from snapshots.history import version_of
from snapshots.reissue import before, newest_of, reissue


def configure(parser: argparse.ArgumentParser) -> None:
    """Which channel of which store, and how far."""
    publishing.configure(parser)
    parser.add_argument("--channel", default="live", help="the line of bundles (default live)")
    parser.add_argument(
        "--to",
        type=int,
        metavar="VERSION",
        help="the version to go back to (default: the newest one with other parts)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Publishes the old parts; edges take them at their next poll, as any newer version."""
    who = publishing.publisher(arguments)
    newest = newest_of(who.store, arguments.channel, who.trusted)
    if arguments.to is None:
        source = before(who.store, newest, who.trusted)
    else:
        source = version_of(who.store, arguments.channel, arguments.to, who.trusted)
    made = reissue(
        who.store, source, arguments.channel, who.private, now_s=time.time(), keys=who.trusted
    )
    said = (
        f"published {publishing.dated(made)}: the parts of version {source.version}, "
        f"instead of those of version {newest.version}"
    )
    print(publishing.told(arguments, said, {"from": source.version, "made": made}))
    return 0

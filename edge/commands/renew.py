"""`edgewise renew STORE`: the newest version once more, with a new date."""

from __future__ import annotations

import argparse
import time

from edge import publishing
from snapshots.reissue import newest_of, reissue


def configure(parser: argparse.ArgumentParser) -> None:
    """Which channel of which store."""
    publishing.configure(parser)
    parser.add_argument("--channel", default="live", help="the line of bundles (default live)")


def run(arguments: argparse.Namespace) -> int:
    """Signs the same parts again."""
    who = publishing.publisher(arguments)
    source = newest_of(who.store, arguments.channel, who.trusted)
    made = reissue(
        who.store, source, arguments.channel, who.private, now_s=time.time(), keys=who.trusted
    )
    said = f"renewed   {publishing.dated(made)}: the parts of version {source.version}"
    print(publishing.told(arguments, said, {"from": source.version, "made": made}))
    return 0

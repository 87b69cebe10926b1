"""`edgewise promote STORE staging live`: what one channel has becomes another's next version."""

from __future__ import annotations

import argparse
import time

from edge import publishing
from snapshots.reissue import newest_of, reissue


def configure(parser: argparse.ArgumentParser) -> None:
    """From which channel to which."""
    publishing.configure(parser)
    parser.add_argument("source", metavar="FROM", help="the channel whose newest version it is")
    parser.add_argument("target", metavar="TO", help="the channel that gets it")


def run(arguments: argparse.Namespace) -> int:
    """Publishes the same parts to the other channel: byte for byte what was tried."""
    who = publishing.publisher(arguments)
    source = newest_of(who.store, arguments.source, who.trusted)
    made = reissue(
        who.store, source, arguments.target, who.private, now_s=time.time(), keys=who.trusted
    )
    said = (
        f"published {publishing.dated(made)}: the parts of {source.channel} version "
        f"{source.version}"
    )
    facts = {"from": source.version, "channel": source.channel, "made": made}
    print(publishing.told(arguments, said, facts))
    return 0

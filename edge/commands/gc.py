"""`edgewise gc STORE`: what no version needs any more, listed, and removed with --delete."""

from __future__ import annotations

import argparse
import time

from edge import publishing
from edge.errors import SettingError
from snapshots import garbage

HOUR_S = 3_600.0


def configure(parser: argparse.ArgumentParser) -> None:
    """What is kept."""
    publishing.configure(parser)
    parser.add_argument(
        "--keep",
        type=int,
        default=garbage.KEEP,
        metavar="N",
        help=f"versions of each channel that a rollback can go to (default {garbage.KEEP})",
    )
    parser.add_argument(
        "--older-than",
        type=float,
        default=garbage.GRACE_S / HOUR_S,
        metavar="HOURS",
        help="what was written later stays: it may belong to a publish under way (default 24)",
    )
    parser.add_argument("--delete", action="store_true", help="remove it, rather than list it")


def run(arguments: argparse.Namespace) -> int:
    """Lists what can go, or removes it."""
    if arguments.keep < 1 or not arguments.older_than >= 0.0:
        raise SettingError("expected at least one version to keep, and hours of at least 0")
    who = publishing.publisher(arguments)
    found = garbage.find(
        who.store,
        who.trusted,
        now_s=time.time(),
        keep=arguments.keep,
        grace_s=arguments.older_than * HOUR_S,
    )
    if arguments.delete:
        garbage.remove(who.store, found)
    size = sum(one.bytes for one in found.all())
    did = "removed  " if arguments.delete else "can go   "
    lines = [f"{did} {one.path}  {one.bytes:,} bytes" for one in found.all()]
    lines.append(
        f"{did} {len(found.versions)} versions, {len(found.parts)} parts, "
        f"{len(found.ledgers)} ledgers: {size / 2**20:.2f} MiB"
        + ("" if arguments.delete or not lines else "; --delete removes them")
    )
    facts = {"deleted": arguments.delete, "bytes": size, "found": found}
    print(publishing.told(arguments, "\n".join(lines), facts))
    return 0

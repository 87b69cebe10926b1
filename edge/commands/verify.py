"""`edgewise verify STORE`: signature, dates and every hash of a channel's newest version."""

from __future__ import annotations

import argparse
import time

from edge.published import Published, keys_in
from edge.publishing import as_json
from snapshots.contents import PROGRAM, passed_over, wanted
from snapshots.errors import SnapshotError
from snapshots.trust import Limits, accept


def configure(parser: argparse.ArgumentParser) -> None:
    """Which store, by whose keys."""
    parser.add_argument("store", metavar="STORE", help="a folder or a URL")
    parser.add_argument("--channel", default="live", help="the line of bundles (default live)")
    parser.add_argument(
        "--keys", default="keys", metavar="DIR", help="has publisher.public.jwks (default keys)"
    )
    parser.add_argument("--json", action="store_true", help="tell it as JSON")


def run(arguments: argparse.Namespace) -> int:
    """0 if an edge would take it, 1 with each thing that is wrong."""
    found = Published(arguments.store, arguments.channel, keys_in(arguments.keys))
    manifest, wrong = found.manifest, dict[str, str]()
    accept(manifest, None, channel=arguments.channel, now_s=time.time(), limits=Limits())
    wanted(manifest)
    for part in manifest.everything:
        try:
            found.part(part)
        except SnapshotError as error:
            wrong[part.name] = f"{error.reason}: {error}"
    rules = 0
    if not wrong:
        rules = sum(len(slot.rules) for slot in found.program().slots.values())
    unread = passed_over(manifest)
    if arguments.json:
        told = {"version": manifest.version, "signer": found.signer, "rules": rules}
        print(as_json(told | {"wrong": wrong, "passed_over": unread}))
        return 1 if wrong else 0
    print(f"ok      manifest, version {manifest.version}, signed by {found.signer}")
    for part in manifest.everything:
        name = part.name
        print(f"WRONG   {name}: {wrong[name]}" if name in wrong else f"ok      {name}")
    if not wrong:
        print(f"ok      {PROGRAM} opens: {rules} rules")
    for name in unread:
        print(f"note    {name}: a part of a newer release, not read here")
    return 1 if wrong else 0

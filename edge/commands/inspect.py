"""`edgewise inspect STORE`: a channel's newest version: its dates, parts and formats."""

from __future__ import annotations

import argparse
import time

from edge.published import Published, keys_in
from edge.publishing import as_json, date
from snapshots.contents import remarks


def configure(parser: argparse.ArgumentParser) -> None:
    """Which store, which channel."""
    parser.add_argument("store", metavar="STORE", help="a folder or a URL")
    parser.add_argument("--channel", default="live", help="the line of bundles (default live)")
    parser.add_argument("--keys", metavar="DIR", help="check the signature by this folder's keys")
    parser.add_argument("--json", action="store_true", help="tell it as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints what is there."""
    found = Published(arguments.store, arguments.channel, keys_in(arguments.keys))
    manifest = found.manifest
    said = remarks(manifest)
    if arguments.json:
        print(as_json({"signer": found.signer or None, "manifest": manifest, "remarks": said}))
        return 0
    stale = " (past)" if manifest.is_stale(time.time()) else ""
    signed = f"signed by {found.signer}" if found.signer else "signature not checked: name --keys"
    print(f"{manifest.channel} version {manifest.version}, {signed}")
    print(f"created    {date(manifest.created_s)}")
    print(f"not after  {date(manifest.not_after_s)}{stale}")
    print(f"ledger     revision {manifest.ledger.revision}, sha256 {manifest.ledger.sha256[:16]}")
    print(f"{'part':<26}{'format':>7}{'stored':>14}{'raw':>14}  sha256")
    for part in manifest.everything:
        sizes = f"{part.bytes:>14,}{part.raw_bytes:>14,}"
        print(f"{part.name:<26}{part.format:>7}{sizes}  {part.sha256[:16]}")
    for remark in said.values():
        print(remark)
    return 0

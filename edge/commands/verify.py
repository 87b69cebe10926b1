"""`edgewise verify STORE`: signature, dates and every hash of a channel's newest version; with an
id, whether it forgets who that is."""

from __future__ import annotations

import argparse
import time

import msgspec

from decisions.ledger import visitor_key
from edge.published import Published, keys_in
from edge.publishing import as_json, date
from snapshots.contents import PROGRAM, passed_over, wanted
from snapshots.erased import ERASED, Erased
from snapshots.errors import SnapshotError
from snapshots.membership import KEYS, Membership
from snapshots.trust import Limits, accept


def configure(parser: argparse.ArgumentParser) -> None:
    """Which store, by whose keys."""
    parser.add_argument("store", metavar="STORE", help="a folder or a URL")
    parser.add_argument("--channel", default="live", help="the line of bundles (default live)")
    parser.add_argument(
        "--keys", default="keys", metavar="DIR", help="has publisher.public.jwks (default keys)"
    )
    parser.add_argument(
        "--erased", metavar="ID", help="a visitor's or customer's id: does it forget who that is?"
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
    if arguments.erased is not None and not wrong:
        return _forgotten(arguments, found)
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


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """What a version that was checked says of one id. hash: of it, 16 hex digits. asked_at_s: when
    it was asked to forget it, 0 for never. is_member: whether the membership still has a row, which
    no node shows while the hash is listed; the next build with data leaves it out."""

    channel: str
    version: int
    hash: str
    asked_at_s: int
    is_member: bool


def _forgotten(arguments: argparse.Namespace, found: Published) -> int:
    """0 if every node that serves this version forgets them, 1 if it was never asked to."""
    manifest = found.manifest
    key = visitor_key(found.program().key_salt, arguments.erased)
    parts = {name: found.part(part) for name in (ERASED, KEYS) if (part := manifest.part(name))}
    asked_at_s = Erased(parts[ERASED]).get(key) if ERASED in parts else None
    is_member = KEYS in parts and Membership.open({KEYS: parts[KEYS]}).row(key) is not None
    told = Forgotten(
        channel=manifest.channel,
        version=manifest.version,
        hash=f"{key:016x}",
        asked_at_s=asked_at_s or 0,
        is_member=is_member,
    )
    print(as_json(told) if arguments.json else _said(told))
    return 1 if asked_at_s is None else 0


def _said(told: Forgotten) -> str:
    where = f"{told.channel} version {told.version}, which was checked"
    row = "no row in its membership"
    if told.is_member:
        row = "a row in its membership, which no node shows; the next build with data leaves it out"
    if not told.asked_at_s:
        row = "a row in its membership" if told.is_member else row
        return f"NOT     {told.hash} is not listed as erased in {where}; {row}"
    return f"erased  {told.hash}, asked for at {date(told.asked_at_s)}: {where}, lists it; {row}"

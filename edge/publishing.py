"""What commands that publish or tidy up have in common: store and keys, and how they tell what came
of it, to people or as JSON."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from snapshots.keys import PrivateKey, PublicKeys, publisher_in
from snapshots.manifest import Manifest
from snapshots.store import Store, open_writable


class Publisher(NamedTuple):
    """Who signs, into which store. trusted: whose versions and ledgers count."""

    store: Store
    private: PrivateKey
    trusted: PublicKeys


def configure(parser: argparse.ArgumentParser) -> None:
    """Which store, by whose keys, told how."""
    parser.add_argument("store", metavar="STORE", help="a folder or a bucket")
    _configure_keys(parser)


def configure_channel(parser: argparse.ArgumentParser) -> None:
    """The same for commands whose first words are something else, and one channel of the store."""
    parser.add_argument("--store", required=True, metavar="STORE", help="a folder or a bucket")
    parser.add_argument("--channel", default="live", help="the line of bundles (default live)")
    _configure_keys(parser)


def _configure_keys(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--keys", default="keys", metavar="DIR", help="has publisher.private.jwks (default keys)"
    )
    parser.add_argument("--json", action="store_true", help="tell it as JSON")


def publisher(arguments: argparse.Namespace) -> Publisher:
    """The publisher that the arguments name. Raises KeysRefused, StoreUnavailable."""
    private, trusted = publisher_in(Path(arguments.keys))
    return Publisher(open_writable(arguments.store), private, trusted)


def told(arguments: argparse.Namespace, said: str, facts: Any) -> str:
    """What to print: a sentence for people, or the same as JSON."""
    return as_json(facts) if arguments.json else said


def as_json(told: Any) -> str:
    """A struct or a dict, indented."""
    return msgspec.json.format(msgspec.json.encode(told), indent=2).decode()


def dated(manifest: Manifest) -> str:
    """`live version 7, good until 2026-12-10 08:00:00 UTC`."""
    return f"{manifest.channel} version {manifest.version}, good until {date(manifest.not_after_s)}"


def date(at_s: float) -> str:
    """A moment for people, in UTC."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

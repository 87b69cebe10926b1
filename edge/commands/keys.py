"""`edgewise keys new|rotate DIR`: what signs cookies, sign-ins and bundles."""

from __future__ import annotations

import argparse
import os
import secrets
from pathlib import Path

from edge.errors import CannotServe
from edge.keyring import DEMO_PREFIX, KeyFile, KeyRing, key_of
from edge.worker import COOKIE_FILE, IDENTIFY_FILE
from snapshots import keys as publisher

SECRET_BYTES = 32
PRIVATE_MODE = 0o600
ADVICE = {
    COOKIE_FILE: "signs cookies; every edge of the site needs the same",
    IDENTIFY_FILE: "signs sign-ins; the site's server needs it, too",
    publisher.PUBLIC_FILE: "whose bundles an edge believes",
    publisher.PRIVATE_FILE: "signs bundles; only where `edgewise build` runs",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """What to do, and where."""
    parser.add_argument(
        "action", choices=["new", "rotate"], help="make all keys, or a newer cookie key"
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="the folder of the keys")
    parser.add_argument("--demo", action="store_true", help="keys that only `serve --dev` takes")


def run(arguments: argparse.Namespace) -> int:
    """Makes or rotates, and says what lies where."""
    if arguments.action == "rotate":
        kid = rotate(arguments.directory)
        print(
            f"{arguments.directory / COOKIE_FILE}: {kid} signs from now on; the others still count."
        )
        print("Copy the file to every edge; nodes take it without a restart.")
        return 0
    create(arguments.directory, demo=arguments.demo)
    for name, purpose in ADVICE.items():
        print(f"{arguments.directory / name}  {purpose}")
    return 0


def create(directory: Path, *, demo: bool = False) -> None:
    """All keys of a site, new. Raises CannotServe rather than replace one, KeysRefused likewise."""
    for name in ADVICE:
        if (directory / name).exists():
            raise CannotServe(f"expected a folder without keys, found {name} - at {directory}")
    publisher.write_keys(directory, publisher.new_key(demo=demo))
    for name in (COOKIE_FILE, IDENTIFY_FILE):
        ring = KeyRing((key_of(_kid(demo=demo), secrets.token_bytes(SECRET_BYTES)),))
        _write(directory / name, ring.encode())


def rotate(directory: Path) -> str:
    """A newer cookie key in front of those that verify; its name. Raises CannotServe."""
    path = directory / COOKIE_FILE
    ring = KeyFile(path).ring
    kid = _kid(demo=ring.is_demo)
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    _write(unfinished, ring.rotated(kid, secrets.token_bytes(SECRET_BYTES)).encode())
    unfinished.replace(path)
    return kid


def _kid(*, demo: bool) -> str:
    return (DEMO_PREFIX if demo else "") + secrets.token_hex(4)


def _write(path: Path, data: bytes) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE)
    except OSError as error:
        raise CannotServe(f"expected to write a key file, {error.strerror} - at {path}") from None
    with os.fdopen(handle, "wb") as file:
        file.write(data)

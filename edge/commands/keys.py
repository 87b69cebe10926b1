"""`edgewise keys new|add|rotate|retire DIR`: what signs cookies, sign-ins and bundles."""

from __future__ import annotations

import argparse
import secrets
from pathlib import Path

from edge import private, publishing
from edge.commands import keys_api
from edge.errors import CannotServe, SettingError
from edge.keyring import DEMO_PREFIX, MAX_KEYS, KeyFile, KeyRing, key_of
from edge.worker import COOKIE_FILE, IDENTIFY_FILE
from snapshots import keys as publisher

SECRET_BYTES = 32
ADVICE = {
    COOKIE_FILE: "signs cookies; every edge of the site needs the same",
    IDENTIFY_FILE: "signs sign-ins; the site's server needs it, too",
    publisher.PUBLIC_FILE: "whose bundles an edge believes",
    publisher.PRIVATE_FILE: "signs bundles; only where `edgewise build` runs",
}


WHOSE = {"cookie": COOKIE_FILE, "identify": IDENTIFY_FILE, "publisher": publisher.PUBLIC_FILE}


ACTIONS = {
    "new": "make all keys",
    "add": "one more that only verifies",
    "rotate": "one that signs",
    "retire": "take an old one away",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """What to do, and where."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    for name, sentence in ACTIONS.items():
        action = actions.add_parser(name, help=sentence)
        action.add_argument("directory", metavar="DIR", type=Path, help="the folder of the keys")
        action.add_argument(
            "kid", nargs="?", metavar="KID", help="the key to retire, or that signs now"
        )
        action.add_argument(
            "--of", choices=list(WHOSE), default="cookie", help="which kind (default cookie)"
        )
        action.add_argument(
            "--demo", action="store_true", help="keys that only `serve --dev` takes"
        )
        action.add_argument("--json", action="store_true", help="tell it as JSON")
    keys_api.configure(actions.add_parser("api", help="keys of the site's servers"))


def run(arguments: argparse.Namespace) -> int:
    """Makes, rotates or retires, and says what lies where."""
    if arguments.action == "api":
        return keys_api.run(arguments)
    directory, of = arguments.directory, arguments.of
    path = directory / WHOSE[of]
    _check(arguments)
    if arguments.action == "new":
        create(directory, demo=arguments.demo)
        facts = {str(directory / name): purpose for name, purpose in ADVICE.items()}
        said = "\n".join(f"{name}  {purpose}" for name, purpose in facts.items())
        print(publishing.told(arguments, said, facts))
        return 0
    if arguments.action == "add":
        kid = add(directory, of)
        said = f"{path}: {kid} verifies.\n{_ADDED}, then: edgewise keys rotate {directory} {kid}"
        said += "" if of == "cookie" else f" --of {of}"
    elif arguments.action == "rotate":
        kid = rotate(directory, of, arguments.kid)
        said = f"{path}: {kid} signs from now on; the others still count.\n{_next(of)}"
    else:
        kid = arguments.kid
        retire(directory, of, kid)
        said = f"{path}: what {kid} signed counts no more.\nCopy the file to every edge."
    facts = {"action": arguments.action, "of": of, "kid": kid, "file": str(path)}
    print(publishing.told(arguments, said, facts))
    return 0


_ADDED = "Copy the file to every edge"


def _check(arguments: argparse.Namespace) -> None:
    """Raises SettingError for words that do not belong together."""
    action, of, kid = arguments.action, arguments.of, arguments.kid
    if (action == "retire" and not kid) or (action in ("new", "add") and kid):
        raise SettingError("expected a KID with retire, perhaps with rotate - at keys")
    if of == "publisher" and (action == "add" or (action == "rotate" and kid)):
        what = "expected a publisher's key to sign when the next bundle is built: rotate alone"
        raise SettingError(f"{what} - at keys")


def _next(of: str) -> str:
    if of == "publisher":
        return (
            "Copy it to every edge before the next build; when all have it, and the newest version "
            "is signed by the new key, retire the old one."
        )
    return "Copy the file to every edge; nodes take it without a restart."


def create(directory: Path, *, demo: bool = False) -> None:
    """All keys of a site, new. Raises CannotServe rather than replace one, KeysRefused likewise."""
    for name in ADVICE:
        if (directory / name).exists():
            raise CannotServe(f"expected a folder without keys, found {name} - at {directory}")
    publisher.write_keys(directory, publisher.new_key(demo=demo))
    for name in (COOKIE_FILE, IDENTIFY_FILE):
        ring = KeyRing((key_of(_kid(demo=demo), secrets.token_bytes(SECRET_BYTES)),))
        private.create(directory / name, ring.encode())


def add(directory: Path, of: str = "cookie") -> str:
    """One more key, which only verifies, so that edges know it before it signs; its name. Raises
    CannotServe."""
    path = directory / WHOSE[of]
    ring = _with_room(path)
    kid = _kid(demo=ring.is_demo)
    private.replace(path, ring.added(kid, secrets.token_bytes(SECRET_BYTES)).encode())
    return kid


def rotate(directory: Path, of: str = "cookie", kid: str | None = None) -> str:
    """The key of that name, or else a newer one, in front of those that verify; its name. Raises
    CannotServe, KeysRefused."""
    if of == "publisher":
        return publisher.rotate_keys(directory).kid
    path = directory / WHOSE[of]
    if kid:
        known = KeyFile(path).ring
        ring = known.led_by(kid)
        if ring is None:
            raise CannotServe(f"expected one of {', '.join(known.by_kid)}, got {kid} - at {path}")
    else:
        known = _with_room(path)
        kid = _kid(demo=known.is_demo)
        ring = known.rotated(kid, secrets.token_bytes(SECRET_BYTES))
    private.replace(path, ring.encode())
    return kid


def _with_room(path: Path) -> KeyRing:
    """The ring of a file. Raises CannotServe for one that holds as many keys as an edge takes."""
    ring = KeyFile(path).ring
    if len(ring.keys) >= MAX_KEYS:
        raise CannotServe(f"expected fewer than {MAX_KEYS} keys, retire one first - at {path}")
    return ring


def retire(directory: Path, of: str, kid: str) -> None:
    """Takes a key away. Raises CannotServe or KeysRefused for one that is not there, or signs."""
    if of == "publisher":
        publisher.retire_key(directory, kid)
        return
    path = directory / WHOSE[of]
    ring = KeyFile(path).ring
    rest = ring.without(kid)
    if rest is None:
        known = ", ".join(key.kid for key in ring.keys[1:]) or "none: rotate first"
        raise CannotServe(f"expected a key that only verifies ({known}), got {kid} - at {path}")
    private.replace(path, rest.encode())


def _kid(*, demo: bool) -> str:
    return (DEMO_PREFIX if demo else "") + secrets.token_hex(4)

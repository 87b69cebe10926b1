"""`edgewise keys api new|list|rotate|revoke`: what the site's servers send to server routes.

A secret is printed once, when it is made, and kept nowhere: the file has its hash.
"""

from __future__ import annotations

import argparse
import re
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from decisions.playbook import duration_s
from edge import private, publishing
from edge.apikeys import (
    API_KEY_FILE,
    MAX_API_KEYS,
    NAME,
    SCOPES,
    SECRET_BYTES,
    ApiKey,
    ApiKeys,
    digest,
    spelt,
)
from edge.errors import CannotServe, SettingError

GRACE = "7d"  # how long the old key counts after a rotation, unless told otherwise
_COPY = "Copy the file to every edge; nodes take it without a restart."


def configure(parser: argparse.ArgumentParser) -> None:
    """What to do with whose key."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="api", required=True)
    new = actions.add_parser("new", help="a key for a server; its secret is printed once")
    new.add_argument("--name", required=True, help="of the server that sends it")
    new.add_argument(
        "--scopes", required=True, metavar="A,B", help=f"what it may: {', '.join(SCOPES)}"
    )
    listed = actions.add_parser("list", help="names, scopes and dates")
    rotate = actions.add_parser("rotate", help="one more key of a name; the old one gets an end")
    rotate.add_argument("--name", required=True, help="whose key")
    rotate.add_argument(
        "--grace", default=GRACE, metavar="SPAN", help=f"how long the old one counts ({GRACE})"
    )
    for making in (new, rotate):
        making.add_argument("--expires", metavar="SPAN", help="such as 365d (default: never)")
    revoke = actions.add_parser("revoke", help="a key counts no more")
    revoke.add_argument("kid", metavar="KID", help="the key, as list shows it")
    for action in (new, listed, rotate, revoke):
        action.add_argument(
            "--keys", default="keys", metavar="DIR", help=f"has {API_KEY_FILE} (default keys)"
        )
        action.add_argument("--json", action="store_true", help="tell it as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Makes, lists, rotates or revokes, and says what is next."""
    path = Path(arguments.keys) / API_KEY_FILE
    now_s = time.time()
    if arguments.api == "list":
        keys = read(path).keys
        said = "\n".join(_line(key, now_s) for key in keys) or f"no API keys - at {path}"
        print(publishing.told(arguments, said, [_facts(key) for key in keys]))
        return 0
    if arguments.api == "revoke":
        revoke(path, arguments.kid)
        said = f"{path}: {arguments.kid} counts no more.\n{_COPY}"
        print(publishing.told(arguments, said, {"kid": arguments.kid, "file": str(path)}))
        return 0
    lasts_s = _span_s(arguments.expires, "--expires") if arguments.expires else None
    if arguments.api == "new":
        scopes = [word.strip() for word in arguments.scopes.split(",") if word.strip()]
        key, sent = new(path, arguments.name, scopes, now_s, lasts_s)
    else:
        grace_s = _span_s(arguments.grace, "--grace", least_s=0.0)
        key, sent = rotate(path, arguments.name, now_s, lasts_s, grace_s)
    said = f"{sent}\n{path}: {_line(key, now_s)}\nThe key is shown this once. {_COPY}"
    print(publishing.told(arguments, said, _facts(key) | {"key": sent, "file": str(path)}))
    return 0


def read(path: Path) -> ApiKeys:
    """The keys of a file, none where there is no file. Raises CannotServe."""
    try:
        return ApiKeys.parse(path.read_bytes(), str(path))
    except FileNotFoundError:
        return ApiKeys()
    except OSError as error:
        raise CannotServe(f"expected API keys, got {error.strerror} - at {path}") from error


def new(
    path: Path, name: str, scopes: list[str], now_s: float, lasts_s: float | None = None
) -> tuple[ApiKey, str]:
    """A key under a new name, and what its server sends. Raises SettingError, CannotServe."""
    if not re.fullmatch(NAME, name):
        what = "expected a name of small letters, digits, dots and dashes"
        raise SettingError(f"{what}, got {name!r} - at --name")
    if not scopes or not set(scopes) <= set(SCOPES):
        what = f"expected some of {', '.join(SCOPES)}, got {', '.join(scopes) or 'none'}"
        raise SettingError(f"{what} - at --scopes")
    known = read(path)
    if any(key.name == name for key in known.keys):
        raise CannotServe(f"expected a new name, {name} has a key: rotate it - at {path}")
    return _add(path, known, name, tuple(scopes), now_s, lasts_s)


def rotate(
    path: Path, name: str, now_s: float, lasts_s: float | None, grace_s: float
) -> tuple[ApiKey, str]:
    """One more key of that name, and what its server sends; those before end after `grace_s`
    seconds if not sooner. Raises CannotServe."""
    known = read(path)
    old = [key for key in known.keys if key.name == name and not key.is_over(now_s)]
    if not old:
        names = ", ".join(sorted({key.name for key in known.keys})) or "none"
        raise CannotServe(f"expected a name of a key that counts ({names}), got {name} - at {path}")
    end = _moment(now_s + grace_s)
    rest = ApiKeys(_ended(key, end) if key in old else key for key in known.keys)
    return _add(path, rest, name, old[-1].scopes, now_s, lasts_s)


def revoke(path: Path, kid: str) -> None:
    """Takes a key away. Raises CannotServe for one that is not there."""
    known = read(path)
    if kid not in known.by_kid:
        there = ", ".join(known.by_kid) or "none"
        raise CannotServe(f"expected the KID of a key ({there}), got {kid[:64]} - at {path}")
    private.replace(path, ApiKeys(key for key in known.keys if key.kid != kid).encode())


def _add(
    path: Path,
    known: ApiKeys,
    name: str,
    scopes: tuple[str, ...],
    now_s: float,
    lasts_s: float | None,
) -> tuple[ApiKey, str]:
    if len(known.keys) >= MAX_API_KEYS:
        raise CannotServe(f"expected fewer than {MAX_API_KEYS} keys, revoke one first - at {path}")
    secret = secrets.token_bytes(SECRET_BYTES)
    key = ApiKey(
        kid=secrets.token_hex(4),
        name=name,
        scopes=scopes,
        created=_moment(now_s),
        expires=None if lasts_s is None else _moment(now_s + lasts_s),
        sha256=digest(secret),
    )
    private.replace(path, ApiKeys((*known.keys, key)).encode())
    return key, spelt(key.kid, secret)


def _ended(key: ApiKey, end: datetime) -> ApiKey:
    sooner = end if key.expires is None else min(end, key.expires)
    return msgspec.structs.replace(key, expires=sooner)


def _moment(at_s: float) -> datetime:
    return datetime.fromtimestamp(int(at_s), UTC)


def _span_s(text: str, place: str, least_s: float = 1.0) -> float:
    try:
        span_s = duration_s(text)
    except ValueError as error:
        raise SettingError(f"{error} - at {place}") from None
    if not least_s <= span_s <= 100 * 365 * 86_400:
        raise SettingError(f"expected {least_s:g} s to a hundred years, got {text} - at {place}")
    return span_s


def _line(key: ApiKey, now_s: float) -> str:
    end = "never ends" if key.expires is None else f"ends {_day(key.expires)}"
    end = f"ended {_day(key.expires)}" if key.expires and key.is_over(now_s) else end
    return f"{key.kid}  {key.name}  {','.join(key.scopes)}  made {_day(key.created)}, {end}"


def _day(moment: datetime) -> str:
    return publishing.date(moment.timestamp())


def _facts(key: ApiKey) -> dict[str, Any]:
    """What may be told of a key: all but its hash."""
    facts: dict[str, Any] = msgspec.to_builtins(key)
    del facts["sha256"]
    return facts

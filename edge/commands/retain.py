"""`edgewise retain STORE --days N`: event rows that nobody may use any more leave the store, and
with them the rows of who asked to be forgotten."""

from __future__ import annotations

import argparse
import math
import time
from itertools import chain

from decisions.consent import PURPOSES
from edge.errors import SettingError
from edge.published import keys_in
from edge.publishing import as_json
from snapshots import erased
from snapshots.erased import Times
from snapshots.history import channels, read_manifest
from snapshots.publish import erased_in
from snapshots.retention import Ages, Retained, retain
from snapshots.store import Store, open_writable


def configure(parser: argparse.ArgumentParser) -> None:
    """For how long, and where."""
    parser.add_argument("store", metavar="STORE", help="where the event files are")
    parser.add_argument(
        "--days", metavar="N", required=True, help="how old a row may become, in days"
    )
    parser.add_argument(
        "--purpose",
        metavar="P=N",
        action="append",
        default=[],
        help=f"another age for one purpose ({', '.join(PURPOSES)})",
    )
    parser.add_argument(
        "--bundles", metavar="STORE", help="whose versions list the erased (default: the same)"
    )
    parser.add_argument(
        "--keys", default="keys", metavar="DIR", help="has publisher.public.jwks (default keys)"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would go; change nothing")
    parser.add_argument("--json", action="store_true", help="tell it as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Removes what is too old, or says it; 1 if a file had to be left as it is."""
    ages = Ages(_days(arguments.days, "--days"), dict(map(_purpose, arguments.purpose)))
    now_s = time.time()
    store = open_writable(arguments.store)
    bundles = open_writable(arguments.bundles) if arguments.bundles else store
    listed = _erased(bundles, arguments.keys, now_s)
    found = retain(store, ages, now_s=now_s, erased=listed, is_dry=arguments.dry_run)
    if arguments.json:
        print(as_json({"dry_run": arguments.dry_run, "found": found}))
    else:
        print(_said(found, arguments.dry_run))
    return 1 if found.left else 0


def _days(text: str, place: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = math.nan
    if not 0.0 < days < math.inf:
        raise SettingError(f"expected a number of days above 0, got {text!r} - at {place}")
    return days


def _purpose(text: str) -> tuple[str, float]:
    purpose, _, days = text.partition("=")
    if purpose not in PURPOSES:
        known = ", ".join(PURPOSES)
        raise SettingError(f"expected P=N with one of {known}, got {text!r} - at --purpose")
    return purpose, _days(days, f"--purpose {purpose}")


def _erased(store: Store, keys: str, now_s: float) -> Times:
    """Who is listed in any channel's newest version. Raises KeysRefused where there are channels
    and no keys to believe them by."""
    if not (names := channels(store)):
        return {}
    trusted = keys_in(keys) or {}
    newest = (read_manifest(store, channel, trusted) for channel in names)
    lists = (erased_in(store, manifest) for manifest in newest if manifest is not None)
    return erased.merged(chain(lists), now_s)


def _said(found: Retained, is_dry: bool) -> str:
    did, anew = ("can go", "to rewrite") if is_dry else ("removed", "rewritten")
    rows = [(did, path) for path in found.removed] + [(anew, path) for path in found.rewritten]
    rows += [("to gather" if is_dry else "gathered", path) for path in found.gathered]
    lines = [f"{what:<11}{path}" for what, path in (*rows, *(("LEFT", why) for why in found.left))]
    lines.append(
        f"{did} {len(found.removed)} files, {anew} {len(found.rewritten)}: "
        f"{found.bytes / 2**20:.2f} MiB; of what was read {found.rows:,} rows gone "
        f"({found.erased:,} of erased visitors), {found.narrowed:,} with fewer grants"
    )
    return "\n".join(lines)

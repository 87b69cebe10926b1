"""`edgewise preview`: a token that shows, on the live site, what was decided and other variants."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from edge.errors import SettingError
from edge.keyring import KeyFile
from edge.previews import LONGEST_S, MAX_BYTES, Preview, preview_token
from edge.worker import COOKIE_FILE

MINUTE_S = 60


def configure(parser: argparse.ArgumentParser) -> None:
    """Whose keys sign, what is forced, and for how long."""
    parser.add_argument(
        "--keys", metavar="DIR", required=True, help=f"the site's keys: {COOKIE_FILE} signs"
    )
    parser.add_argument(
        "--variant",
        metavar="EXPERIMENT=VARIANT",
        action="append",
        default=[],
        help="show this variant wherever the experiment's rule matches; may be repeated",
    )
    parser.add_argument(
        "--minutes", type=int, default=60, help="how long it counts (default 60, at most 1440)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints the token, and nothing else: `?edgewise_preview=$(edgewise preview …)`."""
    lifetime_s = arguments.minutes * MINUTE_S
    if not 0 < lifetime_s <= LONGEST_S:
        most = LONGEST_S // MINUTE_S
        raise SettingError(f"expected 1 to {most} minutes, got {arguments.minutes} - at --minutes")
    ring = KeyFile(Path(arguments.keys) / COOKIE_FILE).ring
    preview = Preview(dict(map(_forced, arguments.variant)))
    token = preview_token(ring, preview, time.time(), lifetime_s)
    if len(token) > MAX_BYTES:
        raise SettingError(f"expected fewer variants, got {len(preview.variants)} - at --variant")
    print(token)
    return 0


def _forced(text: str) -> tuple[str, str]:
    experiment, _, variant = text.partition("=")
    if not experiment or not variant:
        raise SettingError(f"expected EXPERIMENT=VARIANT, got {text!r} - at --variant")
    return experiment, variant

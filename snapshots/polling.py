"""How long a node waits before it asks the store again: a node's name in, seconds out; pure.

It asks nobody, and knows no clock: whoever polls brings its failures and what the store said.
"""

from __future__ import annotations

import hashlib
import math

INTERVAL_S = 5.0
LONGEST_BACK_OFF_S = 60.0  # an origin that comes back is noticed within a minute
DOUBLINGS = 10


def next_poll_s(
    node: str, interval_s: float, failures: int = 0, retry_after_s: float | None = None
) -> float:
    """How long to wait before the next attempt; pure, and different for each node.

    A healthy node waits 3/4 to 4/4 of the interval, always the same share, so that a fleet started
    in one moment drifts apart. Each failure doubles it, up to LONGEST_BACK_OFF_S, with another
    share each time. What the origin asked for is never undercut, and overrun by up to a fifth.
    """
    share = _share(f"{node}/{failures}")
    longest_s = max(interval_s, LONGEST_BACK_OFF_S)
    doubled_s = math.ldexp(interval_s, min(failures, DOUBLINGS))
    wait_s = min(doubled_s, longest_s) * (0.75 + 0.25 * share)
    return max(wait_s, (retry_after_s or 0.0) * (1.0 + 0.2 * share))


def _share(seed: str) -> float:
    """A number from 0 to below 1, the same for the same seed everywhere."""
    return int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=6).digest(), "big") / 2**48

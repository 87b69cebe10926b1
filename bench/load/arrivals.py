"""When requests are due in an open loop, and what their times say: pure, no clock, no socket.

Those who ask do not wait for each other: they come as a Poisson process, however slow the node is,
and each one's time counts from the moment at which it was due. A client that waits for a reply
before it asks again would leave out just those who would have had to wait (coordinated omission).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence

import msgspec

IN_A_ROW = 10  # probes that must be quick again, so that one lucky one is not taken for recovery


class Taken(msgspec.Struct, frozen=True):
    """Percentiles in milliseconds, by the nearest rank; the longest; how many there were."""

    p50_ms: float
    p99_ms: float
    p999_ms: float
    longest_ms: float
    count: int


def due(per_s: float, from_s: float, until_s: float, seed: int) -> Iterator[float]:
    """The moments in [from_s, until_s) at which requests are due; `per_s` on average, > 0."""
    dice = random.Random(seed)
    at_s = from_s
    while (at_s := at_s + dice.expovariate(per_s)) < until_s:
        yield at_s


def taken(seconds: Sequence[float]) -> Taken:
    """What these times say. Raises ValueError where there are none."""
    if not seconds:
        raise ValueError("expected at least one reply, got none")
    ordered = sorted(seconds)

    def rank(share: float) -> float:
        return ordered[max(1, math.ceil(share * len(ordered))) - 1] * 1e3

    return Taken(rank(0.5), rank(0.99), rank(0.999), ordered[-1] * 1e3, len(ordered))


def recovered_s(
    due_s: Sequence[float], took_s: Sequence[float], stopped_s: float, within_s: float
) -> float:
    """How long after `stopped_s` the first of `IN_A_ROW` probes was answered that all took less
    than `within_s`; infinite if that never came.

    due_s, took_s: of the probes, in any order. Those due before `stopped_s` do not count.
    """
    after = sorted(pair for pair in zip(due_s, took_s, strict=True) if pair[0] >= stopped_s)
    quick = 0
    for place, (_, took) in enumerate(after):
        quick = quick + 1 if took < within_s else 0
        if quick == IN_A_ROW:
            return sum(after[place - IN_A_ROW + 1]) - stopped_s
    return math.inf

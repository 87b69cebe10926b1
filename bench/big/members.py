"""How long does it take to know a member, right after opening and later, and what do they take?

Pages of a part are mapped when they are first touched: the first look-ups pay for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench import membership
from bench.measure import Times, timed
from bench.pace import pace, take_us

LOOKUPS = 20_000


class Members(msgspec.Struct, frozen=True):
    """By the clock. first: of the look-ups after opening; later: once most pages were touched.
    pace: of the machine around these."""

    first: Times
    later: Times
    bytes_a_visitor: float
    open_ms: float
    pace: float


def measured(folder: Path, members: int, keys: Sequence[int]) -> Members:
    """Opens the parts in `folder`, and looks the keys up, each once."""
    sizes = {name: (folder / name.replace("/", "-")).stat().st_size for name in membership.HEADS}
    people, open_ms = membership.opened(folder, sizes)
    first = timed(people.lookup, keys[:LOOKUPS])()
    for key in keys[LOOKUPS:-LOOKUPS]:
        people.lookup(key)
    before_us = take_us()
    later = timed(people.lookup, keys[-LOOKUPS:])()
    machine = pace((before_us + take_us()) / 2)
    return Members(first, later, sum(sizes.values()) / members, open_ms, machine)

"""How slow is this machine just now? A fixed piece of work in, its time against the reference out.

The same machine takes half as long again for the same instructions while its neighbours are busy.
So a round runs, beside its contenders, a piece of work that never changes, of the kind that a
visit is: a JSON body read and written, two HMACs, small objects, dictionaries, wide integers; and
it finds the caches as a visit finds them, full of what others did. Its time over `REFERENCE_US` is
the round's pace; budgets in units of time are compared at the reference's pace
(docs/adr/0007-pace.md). Nothing here imports what is measured.
"""

from __future__ import annotations

import hashlib
import hmac
import statistics
from time import perf_counter_ns
from typing import Any

import msgspec

REFERENCE_US = 45.0  # where a visit took 243 µs and W1(1,000) 10.1 µs: CPython 3.11, quiet
SLOWEST = 2.5  # a machine slower than this is no place to measure on
CALLS = 15  # a round: some 10 ms

_KEY = b"a key of thirty-two bytes, or so"
_BODY = msgspec.json.encode(
    {
        "events": [
            {"type": "product_view", "id": f"{n}", "at": 1_767_225_600 + n, "price": n + 0.5}
            for n in range(3)
        ],
        "slots": [f"slot-{n}" for n in range(5)],
        "page": {"path": "/p/1", "category": "c1", "query": "utm_source=mail"},
    }
)
_WEIGHTS = {f"c{n}": float(n) for n in range(40)}
_OTHERS = bytes(4 * 2**20)  # as much as a core's caches hold
_PLANES = tuple(pow(3, 600 + n) for n in range(12))  # a thousand bits each, as a block's planes


class _Score(msgspec.Struct):
    """A small object that changes, as a profile does."""

    total: float = 0.0
    seen: int = 0

    def add(self, weight: float | None) -> None:
        """One event's worth."""
        if weight is not None:
            self.total = self.total * 0.5 + weight
            self.seen += 1


def work() -> int:
    """The piece of work. It must not change, or no figure can be compared with an older one."""
    read: dict[str, Any] = msgspec.json.decode(_BODY)
    score = _Score()
    for number in range(120):
        score.add(_WEIGHTS.get(f"c{number % 60}"))
    matching = -1
    for _ in range(8):
        for plane in _PLANES:
            matching &= plane | score.seen
    tag = hmac.digest(_KEY, _BODY, hashlib.sha256) + hmac.new(_KEY, _BODY, "sha256").digest()
    found = {name: value for name, value in sorted(_WEIGHTS.items()) if value > score.total}
    return len(msgspec.json.encode({**read, **found})) + len(tag) + matching.bit_length()


def pace(taken_us: float) -> float:
    """How many times the reference's time the work took; from 1 to `SLOWEST`.

    A machine that is faster than the reference still has to keep the budget by the clock.
    """
    return min(SLOWEST, max(1.0, taken_us / REFERENCE_US))


def take_us() -> float:
    """The median time of the work, over `CALLS` of it."""
    taken_ns = []
    for _ in range(CALLS):
        _OTHERS.find(b"x")  # reads all of it
        started_ns = perf_counter_ns()
        work()
        taken_ns.append(perf_counter_ns() - started_ns)
    return statistics.median(taken_ns) / 1_000

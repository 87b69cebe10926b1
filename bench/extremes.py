"""What does a decision cost where the index has little to hold on to, or a great deal to hold?

A hundred thousand rules; all of them behind one segment that everybody has; each with a value of
its own, one of which every visitor has; none that can be indexed, so that each is computed. In
processor time: these calls are long enough for the system to take turns within them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from pytest_benchmark.fixture import BenchmarkFixture

from bench import workload
from bench.measure import Times, interleaved, median, report, timed
from decisions.compiling import compile_playbook

GRANTS = frozenset({"functional", "personalization"})
VISITORS = workload.visitors(500)
RULES = 1_000


def deciding(whens: list[str], visitors: Sequence[dict[str, Any]]) -> Callable[[], Times]:
    """A contender: every visitor gets a decision of a program of these rules."""
    program = compile_playbook(workload.playbook(whens), allow_shadowed=True)

    def decide(facts: dict[str, Any]) -> object:
        return program.decide("hero", facts, grants=GRANTS, now=workload.NOW_S)

    return timed(decide, visitors, time.thread_time_ns)


def with_segment(segment: str) -> list[dict[str, Any]]:
    """Visitors who all have it."""
    return [facts | {"segments": facts["segments"] | {segment}} for facts in VISITORS]


def on_pages() -> list[dict[str, Any]]:
    """Visitors each on a page that exactly one of the rules is for."""
    dice = random.Random(5)
    return [
        facts | {"page": {"path": f"/products/item-{dice.randrange(RULES)}"}} for facts in VISITORS
    ]


def test_extremes(benchmark: BenchmarkFixture) -> None:
    w1 = [rule.cel() for rule in workload.w1(100_000)]
    contenders = {
        "w1_100000": deciding(w1, VISITORS),
        "hot_segment": deciding(workload.hot_segment(RULES), with_segment("s0")),
        "own_value": deciding(workload.own_value(RULES), on_pages()),
        "residual": deciding(workload.residual(RULES), VISITORS[:100]),
    }
    rounds = interleaved(benchmark, contenders)
    report(
        benchmark,
        {
            f"{name}_{percentile}_us": median(getattr(each, f"{percentile}_us") for each in found)
            for name, found in rounds.items()
            for percentile in ("p50", "p99")
        },
    )

"""How long does one decision take, by the number of rules? Nested facts in, decision and steps
out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_benchmark.fixture import BenchmarkFixture

from bench import workload
from bench.measure import Times, interleaved, median, median_ratio, report, timed
from decisions.compiling import compile_playbook

SIZES = (100, 1_000, 10_000)
VISITORS = workload.visitors(1_000)
GRANTS = frozenset({"functional", "personalization"})


def deciding(whens: list[str]) -> Callable[[], Times]:
    """A contender: every visitor gets a decision of a program of these rules."""
    program = compile_playbook(workload.playbook(whens), allow_shadowed=True)

    def decide(facts: dict[str, Any]) -> object:
        return program.decide("hero", facts, grants=GRANTS, now=workload.NOW_S)

    return timed(decide, VISITORS)


def test_w1(benchmark: BenchmarkFixture) -> None:
    whens = {size: [rule.cel() for rule in workload.w1(size)] for size in SIZES}
    rounds = interleaved(benchmark, {str(size): deciding(whens[size]) for size in SIZES})
    figures = {"growth": median_ratio(rounds["10000"], rounds["1000"])}
    for size, found in rounds.items():
        figures[f"w1_{size}_p50_us"] = median(times.p50_us for times in found)
        figures[f"w1_{size}_p99_us"] = median(times.p99_us for times in found)
    report(benchmark, figures)

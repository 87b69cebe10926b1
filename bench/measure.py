"""Contenders in, medians of interleaved rounds out; what is measured, the question's file says.

pytest-benchmark drives the rounds (and keeps their times and the machine in its report); one round
calls every contender once, in an order that turns, so that what the machine does meanwhile hits
them alike. The machine's pace is taken before each of them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import perf_counter_ns
from typing import Any, TypeVar

import msgspec
from pytest_benchmark.fixture import BenchmarkFixture

from bench.pace import pace, take_us

Result = TypeVar("Result")
Case = TypeVar("Case")

ROUNDS = 7


class Times(msgspec.Struct, frozen=True):
    """One round's calls, in microseconds each."""

    p50_us: float
    p99_us: float
    mean_us: float


def interleaved(
    benchmark: BenchmarkFixture,
    contenders: Mapping[str, Callable[[], Result]],
    rounds: int = ROUNDS,
) -> dict[str, list[Result]]:
    """The results of every contender, one a round; a round more, the first, is thrown away."""
    results: dict[str, list[Result]] = {name: [] for name in contenders}
    order = list(contenders)
    paces_us: list[float] = []

    def one_round() -> None:
        for name in order:
            paces_us.append(take_us())
            results[name].append(contenders[name]())
        order.append(order.pop(0))

    drive = benchmark.pedantic
    drive(one_round, rounds=rounds, warmup_rounds=1)  # type: ignore[no-untyped-call]  # theirs
    benchmark.extra_info["pace"] = pace(median(paces_us[len(order) :]))
    return {name: found[1:] for name, found in results.items()}


def by_the_clock(
    benchmark: BenchmarkFixture, contender: Callable[[], Result], rounds: int
) -> list[Result]:
    """The results of a contender that waits rather than works: timers are no slower on a slow
    machine, so that its times are compared as they are."""
    results: list[Result] = []
    drive = benchmark.pedantic
    drive(lambda: results.append(contender()), rounds=rounds)  # type: ignore[no-untyped-call]  # theirs
    benchmark.extra_info["pace"] = 1.0
    return results


def timed(
    call: Callable[[Case], Any],
    cases: Sequence[Case],
    clock_ns: Callable[[], int] = perf_counter_ns,
) -> Callable[[], Times]:
    """A contender: a round calls `call` once with each case, and times each call by itself.

    clock_ns: `time.thread_time_ns` for calls so long that the system takes turns within them.
    """

    def one_round() -> Times:
        taken_ns = []
        for case in cases:
            started_ns = clock_ns()
            call(case)
            taken_ns.append(clock_ns() - started_ns)
        return times(taken_ns)

    return one_round


def times(taken_ns: Iterable[float]) -> Times:
    """The percentiles of single calls."""
    ordered = sorted(taken_ns)
    last = len(ordered) - 1
    return Times(
        p50_us=statistics.median(ordered) / 1_000,
        p99_us=ordered[min(last, round(last * 0.99))] / 1_000,
        mean_us=statistics.fmean(ordered) / 1_000,
    )


def median(values: Iterable[float]) -> float:
    """The median over rounds."""
    return statistics.median(values)


def median_ratio(large: Iterable[Times], small: Iterable[Times]) -> float:
    """How many times the median call of `small` the one of `large` takes, within each round."""
    return median(one.p50_us / other.p50_us for one, other in zip(large, small, strict=True))


def report(
    benchmark: BenchmarkFixture,
    figures: Mapping[str, float],
    versions: Mapping[str, str] | None = None,
) -> None:
    """Hands the figures to `python -m bench`, which knows their budgets by these names.

    versions: of what was measured besides this project: `{name}` in a budget's `says`.
    """
    benchmark.extra_info.setdefault("figures", {}).update(figures)
    benchmark.extra_info.setdefault("versions", {}).update(versions or {})

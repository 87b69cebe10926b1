"""What does the index itself cost: to ask, to decode, to keep in memory?"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

from pytest_benchmark.fixture import BenchmarkFixture

from bench import workload
from bench.measure import Times, interleaved, median, report, timed
from decisions.consent import EVERYTHING
from decisions.facts import Facts, Gate
from decisions.index import Index, build, decode_block
from decisions.lowering import lower
from decisions.rules.checker import check
from decisions.rules.parser import parse
from decisions.schema import schema_of

SCHEMA = schema_of()
RULES = 10_000


def blocks_of(whens: list[str]) -> list[bytes]:
    """The encoded index of these rules."""
    typed = [check(parse(when), when, SCHEMA) for when in whens]
    return build([lower(each.expr, SCHEMA) for each in typed]).encode_blocks()


def bytes_a_rule(blocks: list[bytes]) -> float:
    """The memory that the decoded blocks take."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    index = Index([decode_block(block) for block in blocks])
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / RULES if index.blocks else 0.0


def asking(index: Index, cases: list[Facts]) -> Callable[[], Times]:
    """A contender: the first candidate for every visitor."""
    return timed(lambda facts: next(index.candidates(facts, EVERYTHING)), cases)


def test_asking_it(benchmark: BenchmarkFixture) -> None:
    gate = Gate(SCHEMA)
    cases = [gate.facts(facts, EVERYTHING, workload.NOW_S) for facts in workload.visitors(1_000)]
    indexes = {
        size: Index(map(decode_block, blocks_of([rule.cel() for rule in workload.w1(size)])))
        for size in (1_000, RULES)
    }
    rounds = interleaved(
        benchmark, {str(size): asking(index, cases) for size, index in indexes.items()}
    )
    report(
        benchmark,
        {
            f"first_candidate_{size}_{name}_us": median(
                getattr(each, f"{name}_us") for each in found
            )
            for size, found in rounds.items()
            for name in ("p50", "p99")
        },
    )


def test_decoding_and_keeping_it(benchmark: BenchmarkFixture) -> None:
    w1 = blocks_of([rule.cel() for rule in workload.w1(RULES)])
    own = blocks_of(workload.own_value(RULES))

    def decode() -> list[float]:
        taken = []
        for block in w1:
            started_s = time.process_time()
            decode_block(block)
            taken.append((time.process_time() - started_s) * 1_000)
        return taken

    rounds = interleaved(benchmark, {"decode": decode})["decode"]
    report(
        benchmark,
        {
            "decode_10000_ms": median(map(sum, rounds)),
            "decode_block_ms": median(map(max, rounds)),
            "encoded_w1_bytes_a_rule": sum(map(len, w1)) / RULES,
            "w1_bytes_a_rule": bytes_a_rule(w1),
            "own_value_bytes_a_rule": bytes_a_rule(own),
        },
    )

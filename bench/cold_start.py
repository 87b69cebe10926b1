"""How long does a node take from the end of its imports to ready, from the local copy alone?

A million visitors, 10,000 rules, the origin down. The node's process verifies, maps and decodes;
then a worker opens the same.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import nodes
from bench.measure import interleaved, median, report
from edge.config import Config
from edge.node import Background, fresh
from edge.sinks.sink import ListSink
from edge.worker import create_worker

RULES, MEMBERS = 10_000, 1_000_000


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A node that synced once; then its origin went away."""
    folder = tmp_path_factory.mktemp("node")
    nodes.published(folder, RULES, MEMBERS)
    settings: dict[str, Any] = {"keys": str(folder / "keys"), "cache": str(folder / "cache")}
    before = Background(Config(store=str(folder / "store"), **settings))
    before.syncer.start()
    assert before.syncer.once().version == 1
    return Config(store=str(folder / "gone"), **settings)


def test_ready_from_the_local_copy(benchmark: BenchmarkFixture, config: Config) -> None:
    def start() -> float:
        began_s = time.perf_counter()
        fresh(config.run_dir)
        background = Background(config)
        assert background.syncer.start().version == 1
        _, worker = create_worker(config, ListSink())
        asyncio.run(worker.look())
        assert worker.is_ready
        return time.perf_counter() - began_s

    rounds = interleaved(benchmark, {"start": start}, 5)
    report(benchmark, {"ready_s": median(rounds["start"])})

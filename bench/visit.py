"""How long do a whole visit and a batch of events take in-process, from the ASGI scope to the bytes
of the reply?

Two tokens never seen before, three events, five slots of a thousand rules, a million members; the
batch is what a page reports when it goes away: the same three events, and no slot.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from time import perf_counter_ns
from typing import Any

import msgspec
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import site, workload
from bench.measure import Times, interleaved, median, report, times
from edge.app import Edge

MEMBERS = 1_000_000
ROUNDS, VISITS = 35, 200  # a round; every one with tokens of its own
WRONG = ("edgewise_errors_total", "edgewise_events_refused_total")  # what may not be counted


def learnt(number: int) -> dict[str, Any]:
    """A page view of a product, one product put into the cart."""
    events = [
        {
            "type": type_,
            "id": f"{number}-{place}",
            "at": site.NOW_S,
            "item": f"item-{number % 97}-{place}",
            "category": workload.CATEGORIES[(number + place) % 40],
            "price": 9.5,
        }
        for place, type_ in enumerate(("product_view", "product_view", "add_to_cart"))
    ]
    page = {"path": f"/p/{number}", "category": "c1", "query": "utm_source=mail"}
    return {"events": events, "page": page}


@pytest.fixture(scope="module")
def where() -> site.Site:
    """What both are asked of."""
    return site.Site(MEMBERS)


def asking(
    edge: Edge, path: str, slots: dict[str, Any], status: int, cookies: Iterator[bytes]
) -> Callable[[], Times]:
    """A contender: every round takes the next visitors, none of whom was seen before."""
    fresh = enumerate(cookies)

    def one(number: int, cookie: bytes) -> int:
        raw = msgspec.json.encode(learnt(number) | slots)
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": b"",
            "headers": [*site.headers(cookie), (b"content-length", str(len(raw)).encode())],
            "client": ("127.0.0.1", 1),
        }
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": raw, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        started_ns = perf_counter_ns()
        with contextlib.suppress(StopIteration):
            edge(scope, receive, send).send(None)  # it never waits for anything
        taken_ns = perf_counter_ns() - started_ns
        assert sent[0]["status"] == status
        return taken_ns

    def one_round() -> Times:
        edge.services.sink.clear()  # type: ignore[attr-defined] # the list of create_services
        return times([one(number, cookie) for number, cookie in itertools.islice(fresh, VISITS)])

    return one_round


def test_a_whole_visit(benchmark: BenchmarkFixture, where: site.Site) -> None:
    cookies = iter(list(where.cookies(VISITS * (ROUNDS + 1))))
    slots = {"slots": site.SLOTS}
    visiting = asking(where.edge, "/_ew/v1/visit", slots, 200, cookies)
    rounds = interleaved(benchmark, {"visit": visiting}, ROUNDS)["visit"]
    assert where.services.metrics.values().get('edgewise_errors_total{where="visit"}', 0) == 0
    report(
        benchmark,
        {
            "p50_us": median(times.p50_us for times in rounds),
            "p99_us": median(times.p99_us for times in rounds),
        },
    )


def test_a_batch_of_events(benchmark: BenchmarkFixture, where: site.Site) -> None:
    cookies = iter(list(where.cookies(VISITS * (ROUNDS + 1), seed=6)))
    reporting = asking(where.edge, "/_ew/v1/events", {}, 202, cookies)
    rounds = interleaved(benchmark, {"events": reporting}, ROUNDS)["events"]
    counted = where.services.metrics.values()
    assert not [name for name in counted if name.startswith(WRONG)]
    report(
        benchmark,
        {
            "events_p50_us": median(times.p50_us for times in rounds),
            "events_p99_us": median(times.p99_us for times in rounds),
        },
    )

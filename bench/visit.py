"""How long does a whole visit take in-process, from the ASGI scope to the bytes of the reply?

Two tokens never seen before, three events, five slots of a thousand rules, a million members.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import msgspec
from pytest_benchmark.fixture import BenchmarkFixture

from bench import site, workload
from bench.measure import Times, interleaved, median, report, times
from edge.app import Edge

MEMBERS = 1_000_000
ROUNDS, VISITS = 35, 200  # a round; every one with tokens of its own


def body(number: int) -> bytes:
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
    return msgspec.json.encode({"events": events, "slots": site.SLOTS, "page": page})


def visiting(edge: Edge, cookies: list[bytes]) -> Callable[[], Times]:
    """A contender: every round takes the next visitors, none of whom was seen before."""
    fresh = iter(enumerate(cookies))
    sizes: list[int] = []

    def one(number: int, cookie: bytes) -> int:
        raw = body(number)
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/_ew/v1/visit",
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
        assert sent[0]["status"] == 200
        sizes.append(len(sent[1]["body"]))
        return taken_ns

    def one_round() -> Times:
        edge.services.sink.clear()  # type: ignore[attr-defined] # the list of create_services
        return times([one(number, cookie) for number, cookie in itertools.islice(fresh, VISITS)])

    return one_round


def test_a_whole_visit(benchmark: BenchmarkFixture) -> None:
    where = site.Site(MEMBERS)
    rounds = interleaved(
        benchmark,
        {"visit": visiting(where.edge, list(where.cookies(VISITS * (ROUNDS + 1))))},
        ROUNDS,
    )["visit"]
    assert where.services.metrics.values().get('edgewise_errors_total{where="visit"}', 0) == 0
    report(
        benchmark,
        {
            "p50_us": median(times.p50_us for times in rounds),
            "p99_us": median(times.p99_us for times in rounds),
        },
    )

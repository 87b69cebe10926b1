"""What does a fragment cost over HTTP, against a bare ASGI app behind the same server?

`GET fragments/{slot}` of a visitor with cookies, one worker, W1(1,000), server and client on a core
each; the bare app gets the same requests and returns as many bytes and headers. The budget is for
one request again and again, against the bare app that gets the same. What real traffic costs is
measured beside it: `first` are visitors so many that none comes twice in a round, so that nothing
is remembered of anybody; `page` are as many, each asking for the four slots of a page; `logged`
are first ones of whom rows are written; a `stranger` has no cookies. Ratios are of the processor
time that a request takes the server (`nodes.processor_s`).
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import nodes, site, workload
from bench.measure import interleaved, median, report
from decisions.consent import ANALYTICS, FUNCTIONAL, PERSONALIZATION
from decisions.profile import Profile
from edge.cookies import Choice, CookieJar, new_visitor
from edge.keyring import KeyFile

SECONDS = 1
VISITORS = 20_000  # more than there are requests in a round
PATH = "/_ew/v1/fragments/hero?path=/p/1&category=c1"
FLOORS = {  # contender → the bare app that gets the same requests
    "visitor": "bare",
    "stranger": "bare",
    "first": "bare_first",
    "page": "bare_first",
    "logged": "bare_first",
}
SLOTS = 4  # of a page put together by ESI, which asks for one after the other
HEADERS = {
    name.decode(): value.decode()
    for name, value in site.headers(b"")
    if name not in (b"accept-encoding", b"cookie")
}


class Server(NamedTuple):
    """Where one listens, and its process."""

    port: int
    process: int


class Servers(NamedTuple):
    """Both, and the node's folder."""

    folder: Path
    edge: Server
    bare: Server


class Round(NamedTuple):
    """What one contender did in one round."""

    per_s: float
    processor_us: float  # of the server, for one request


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A node and the bare app, each on a port of its own, on the same core."""
    folder = tmp_path_factory.mktemp("node")
    nodes.published(folder, 1_000, 100_000)
    cores = nodes.cores()
    core = cores[0] if cores else None
    if cores:
        os.sched_setaffinity(0, {cores[1]})
    edge = nodes.free_port()
    with nodes.running(nodes.serve(folder, edge), core) as node:
        nodes.wait_for(f"http://127.0.0.1:{edge}/_ew/readyz")
        url = f"http://127.0.0.1:{edge}{PATH}"
        one = next(cookies(folder, PERSONALIZATION, 1))
        reply = httpx.get(url, headers=HEADERS | {"cookie": one})
        with nodes.bare(folder, reply, core) as app:
            yield Servers(folder, Server(edge, node.pid), Server(*app))


def cookies(
    folder: Path, purposes: int, visitors: int, customers: Sequence[int] = ()
) -> Iterator[str]:
    """The Cookie headers of visitors, signed with the node's key, each with four interests.

    customers: the members' keys that they are known by, in turn; none for strangers.
    """
    ring, now_s, dice = KeyFile(folder / "keys" / "cookie.jwks").ring, time.time(), random.Random(5)
    names = site.program(1_000, ("hero",)).dictionary
    jar = CookieJar(lambda: ring)
    for number in range(visitors):
        chosen = dice.sample(workload.CATEGORIES, 4) if purposes & PERSONALIZATION else ()
        profile = Profile(
            visitor=new_visitor(now_s, dice.randbytes(10)),
            seen_s=now_s,
            at_s=now_s,
            first_seen_s=int(now_s) - 90_000,
            visits=2,
            interests={category: dice.uniform(0.5, 20.0) for category in chosen},
            customer=customers[number % len(customers)] if customers else 0,
        )
        choice = Choice(FUNCTIONAL | purposes, now_s - number, "banner", "1")
        written = (jar.write_choice(choice, now_s), jar.write_profile(profile, names, now_s))
        yield b"; ".join(one.split(b";", 1)[0] for one in written).decode()


def test_a_fragment_over_http(benchmark: BenchmarkFixture, servers: Servers) -> None:
    def asking(server: Server, lines: Iterable[str]) -> Callable[[], Round]:
        turns = servers.folder / f"{next(numbers)}.cookies"
        turns.write_text("\n".join(lines), encoding="utf-8")

        def one_round() -> Round:
            before_s = nodes.processor_s(server.process)
            per_s = nodes.requests_per_s(server.port, PATH, HEADERS, SECONDS, turns)
            took_s = nodes.processor_s(server.process) - before_s
            return Round(per_s, took_s * 1e6 / max(1.0, per_s * SECONDS))

        return one_round

    numbers = itertools.count()
    visitors = list(cookies(servers.folder, PERSONALIZATION, VISITORS))
    logged = cookies(servers.folder, PERSONALIZATION | ANALYTICS, VISITORS)
    page = [cookie for cookie in visitors[: VISITORS // SLOTS] for _ in range(SLOTS)]
    found = interleaved(
        benchmark,
        {
            "bare": asking(servers.bare, visitors[:1]),
            "visitor": asking(servers.edge, visitors[:1]),
            "bare_first": asking(servers.bare, visitors),
            "first": asking(servers.edge, visitors),
            "page": asking(servers.edge, page),
            "logged": asking(servers.edge, logged),
            "stranger": asking(servers.edge, ["none=1"]),
        },
    )
    figures = {
        f"{name}_per_s": median(one.per_s for one in rounds) for name, rounds in found.items()
    }
    for name, floor in FLOORS.items():
        pairs = zip(found[name], found[floor], strict=True)
        figures[f"{name}_ratio"] = median(
            bare.processor_us / edge.processor_us
            for edge, bare in pairs
            if edge.processor_us and bare.processor_us  # a server that got no time says nothing
        )
    report(benchmark, figures)

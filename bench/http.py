"""What does a fragment cost over HTTP, against a bare ASGI app behind the same server?

`GET fragments/{slot}` of a visitor with cookies, one worker, W1(1,000), server and client on a core
each; the bare app gets the same request and returns as many bytes and headers.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import nodes, site
from bench.measure import interleaved, median, report
from decisions.consent import ANALYTICS, FUNCTIONAL, PERSONALIZATION
from decisions.profile import Profile
from edge.cookies import Choice, CookieJar, new_visitor
from edge.keyring import KeyFile

SECONDS = 1
PATH = "/_ew/v1/fragments/hero?path=/p/1&category=c1"
INTERESTS = {"c1": 9.0, "c2": 1.5, "c3": 4.0, "c4": 12.0}


class Servers(NamedTuple):
    """The ports of both, and the node's folder."""

    folder: Path
    edge: int
    bare: int


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
    with nodes.running(nodes.serve(folder, edge), core):
        nodes.wait_for(f"http://127.0.0.1:{edge}/_ew/readyz")
        bare = nodes.free_port()
        url = f"http://127.0.0.1:{edge}{PATH}"
        reply = httpx.get(url, headers=headers(folder, PERSONALIZATION))
        told = [(n, v) for n, v in reply.headers.multi_items() if n not in ("server", "date")]
        sample = folder / "reply.json"
        sample.write_bytes(msgspec.json.encode((told, reply.text)))
        command = [sys.executable, "-m", "bench.bare", str(bare), str(sample)]
        with nodes.running(command, core):
            nodes.wait_for(f"http://127.0.0.1:{bare}/")
            yield Servers(folder, edge, bare)


def headers(folder: Path, purposes: int) -> dict[str, str]:
    """A browser's headers, its cookies signed with the node's key."""
    ring, now_s = KeyFile(folder / "keys" / "cookie.jwks").ring, time.time()
    names = site.program(1_000, ("hero",)).dictionary
    jar = CookieJar(lambda: ring)
    profile = Profile(
        visitor=new_visitor(now_s, bytes(10)),
        seen_s=now_s,
        at_s=now_s,
        first_seen_s=int(now_s) - 90_000,
        visits=2,
        interests=INTERESTS if purposes & PERSONALIZATION else {},
    )
    written = (
        jar.write_choice(Choice(FUNCTIONAL | purposes, now_s, "banner", "1"), now_s),
        jar.write_profile(profile, names, now_s),
    )
    cookie = b"; ".join(one.split(b";", 1)[0] for one in written)
    given = {n.decode(): v.decode() for n, v in site.headers(cookie)}
    given.pop("accept-encoding")
    return given


def test_a_fragment_over_http(benchmark: BenchmarkFixture, servers: Servers) -> None:
    visitor = headers(servers.folder, PERSONALIZATION)
    kinds = {
        "visitor": visitor,
        "logged": headers(servers.folder, PERSONALIZATION | ANALYTICS),
        "stranger": {name: value for name, value in visitor.items() if name != "cookie"},
    }

    def asking(port: int, given: dict[str, str]) -> Callable[[], float]:
        return lambda: nodes.requests_per_s(port, PATH, given, SECONDS)

    found = interleaved(
        benchmark,
        {
            "bare": asking(servers.bare, visitor),
            **{name: asking(servers.edge, given) for name, given in kinds.items()},
        },
    )
    figures = {f"{name}_per_s": median(rates) for name, rates in found.items()}
    for name in kinds:
        pairs = zip(found[name], found["bare"], strict=True)
        figures[f"{name}_ratio"] = median(edge / bare for edge, bare in pairs)
    report(benchmark, figures)

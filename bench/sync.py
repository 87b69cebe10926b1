"""How long until every worker of every node does what was published, or paused?

Two nodes of two workers each poll one folder every second, with 10,000 rules and 100,000 members.
A round publishes a version and pauses a rule, or resumes it, at two moments of the interval that a
seed picks; each worker is asked all the time over a connection of its own until its replies show
both. The worst worker of all rounds counts, from before the write until its first such reply.
These are waits, which no slow machine makes longer: they are compared by the clock.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import random
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import nodes, site, workload
from bench.measure import by_the_clock, report
from decisions.compiling import compile_with_ledger
from decisions.ledger import Ledger, first_ledger
from decisions.playbook import FragmentText, Rule, SlotDecl
from edge.commands.keys import create
from edge.wire import VisitReply
from snapshots.bundle import Packed, pack
from snapshots.contents import NEWEST, PROGRAM
from snapshots.keys import PRIVATE_FILE, read_private
from snapshots.local import SERVING
from snapshots.pauses import Paused
from snapshots.pausing import change
from snapshots.publish import publish_built
from snapshots.store import open_writable

INTERVAL_S, ROUNDS, SEED = 1.0, 8, 11
RULES, MEMBERS, WORKERS = 10_000, 100_000, 2
WITHIN_S = 20.0  # of a round: far beyond the budgets, so that what is late is told, not cut off
ASKED_EVERY_S = 0.005
MARKS = ("<p>one</p>", "<p>two</p>")  # what the versions show, in turn
OFFER = "<p>offer</p>"  # of the rule that is paused in turn
PATH = "/_ew/v1/fragments?slots=hero,promo"


class Worker(NamedTuple):
    """One serving process, asked over a connection that it holds. copy: its node's local copy."""

    copy: Path
    connection: http.client.HTTPConnection

    def shows(self) -> tuple[str, str]:
        """What a visitor sees now, in the slots hero and promo."""
        self.connection.request("GET", PATH)
        reply = msgspec.json.decode(self.connection.getresponse().read(), type=VisitReply)
        hero, promo = (str(one.html) for one in reply.decisions)
        return hero, promo


class Delays(NamedTuple):
    """Of one round, for each worker, in seconds: from the publish, and from the pause or its end,
    until it shows; from its node's pointer to the version until it shows."""

    publish: list[float]
    pause: list[float]
    noticed: list[float]


def program(mark: str) -> Packed:
    """W1(10,000), each fragment showing the mark, and a slot with an offer for everybody."""
    written = workload.playbook([one.cel() for one in workload.w1(RULES)])
    default = SlotDecl(default="hero/f0")
    fragments = {
        name: msgspec.structs.replace(fragment, text=mark)
        for name, fragment in written.fragments.items()
    }
    offer = FragmentText("promo/offer", OFFER, "fragments/promo/offer.html")
    marked = msgspec.structs.replace(
        written,
        settings=msgspec.structs.replace(
            written.settings, slots={"hero": default, "promo": default}
        ),
        rules=(*written.rules, Rule(id="offer", slot="promo", when="true", show=offer.name)),
        fragments={**fragments, offer.name: offer},
    )
    catalogue = {"category": workload.CATEGORIES}
    compiled = compile_with_ledger(marked, None, catalogue, allow_shadowed=True)
    return pack(PROGRAM, 1, compiled.program.encode())


class Fleet:
    """The store, whose versions and pauses follow each other, and the workers behind it."""

    def __init__(self, folder: Path) -> None:
        create(folder / "keys")
        self._key = read_private(folder / "keys" / PRIVATE_FILE)
        self._store = open_writable(str(folder / "store"))
        members = [pack(name, NEWEST[name], raw) for name, raw in site.census(MEMBERS).items()]
        bundles = [(mark, [program(mark), *members]) for mark in MARKS]
        self._bundles = itertools.cycle(bundles)
        self._is_paused = False
        self.workers: list[Worker] = []

    def publish(self) -> str:
        """One more version; what it shows in the slot hero."""
        mark, parts = next(self._bundles)

        def build(ledger: Ledger | None) -> tuple[list[Packed], Ledger]:
            return parts, ledger or first_ledger("bench")

        publish_built(self._store, "live", build, self._key, now_s=time.time())
        return mark

    def pause(self) -> bool:
        """The offer is paused, or no longer; whether it is shown from now on."""
        self._is_paused = not self._is_paused
        stop = Paused(kind="rule", id="offer", since_s=0)
        paused = (stop,) if self._is_paused else ()
        change(self._store, "live", lambda _: paused, self._key, {}, now_s=time.time())
        return not self._is_paused

    def round(self, publish_after_s: float, pause_after_s: float) -> Delays:
        """Publishes and pauses so many seconds from now, and asks until every worker shows it."""
        begun_s = time.time()
        published = Watched(begun_s + publish_after_s, self.publish)
        paused = Watched(begun_s + pause_after_s, self.pause)
        noticed: dict[Worker, float] = {}
        while not (published.is_over(self.workers) and paused.is_over(self.workers)):
            if time.time() > begun_s + WITHIN_S:
                raise TimeoutError(f"expected every worker to follow within {WITHIN_S} s")
            published.happen()
            paused.happen()
            for worker in self.workers:
                hero, promo = worker.shows()
                if published.seen(worker, hero):
                    noticed[worker] = time.time() - (worker.copy / SERVING).stat().st_mtime
                paused.seen(worker, promo == OFFER)
            time.sleep(ASKED_EVERY_S)
        return Delays(published.delays(), paused.delays(), list(noticed.values()))


class Watched:
    """A publish or a pause: what workers show once it has happened, and when each did so first."""

    def __init__(self, due_s: float, make: Callable[[], object]) -> None:
        self._due_s, self._make = due_s, make
        self._begun_s = 0.0
        self._shown: object = None
        self._seen_s: dict[Worker, float] = {}

    def happen(self) -> None:
        """Once it is due, and once only."""
        if not self._begun_s and time.time() >= self._due_s:
            self._begun_s = time.time()
            self._shown = self._make()

    def seen(self, worker: Worker, shown: object) -> bool:
        """Whether a worker shows it now, and did not before. Raises ValueError for one that goes
        back."""
        if shown == self._shown:
            return self._seen_s.setdefault(worker, now_s := time.time()) == now_s
        if worker in self._seen_s:
            raise ValueError(f"expected {self._shown} from now on, got {shown}")
        return False

    def is_over(self, workers: list[Worker]) -> bool:
        """Whether all of these have shown it."""
        return len(self._seen_s) == len(workers)

    def delays(self) -> list[float]:
        """Of each worker."""
        return [at_s - self._begun_s for at_s in self._seen_s.values()]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two nodes on one folder, whose workers all serve the first version."""
    folder = tmp_path_factory.mktemp("fleet")
    fleet = Fleet(folder)
    fleet.publish()
    with contextlib.ExitStack() as open_:
        for name in ("north", "south"):
            port, admin = nodes.free_port(), f"127.0.0.1:{nodes.free_port()}"
            copy = folder / name
            own = ("--node", name, "--cache", str(copy), "--admin", admin)
            more = ("--workers", str(WORKERS), "--poll-interval-s", str(INTERVAL_S))
            open_.enter_context(nodes.running(nodes.serve(folder, port, *own, *more)))
            connections = nodes.each_worker(port, f"http://{admin}/status", WORKERS)
            fleet.workers += [Worker(copy, one) for one in connections]
        yield fleet


def test_every_worker_follows(benchmark: BenchmarkFixture, fleet: Fleet) -> None:
    dice = random.Random(SEED)

    def one_round() -> Delays:
        return fleet.round(dice.uniform(0.0, INTERVAL_S), dice.uniform(0.0, INTERVAL_S))

    rounds = by_the_clock(benchmark, one_round, ROUNDS)
    publish = [delay for one in rounds for delay in one.publish]
    pause = [delay for one in rounds for delay in one.pause]
    report(
        benchmark,
        {
            "publish_over_interval_s": max(publish) - INTERVAL_S,
            "publish_p50_s": statistics.median(publish),
            "pause_over_interval_s": max(pause) - INTERVAL_S,
            "pause_p50_s": statistics.median(pause),
            "noticed_s": max(delay for one in rounds for delay in one.noticed),
        },
    )

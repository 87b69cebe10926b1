"""kill -9 under load: of the events that were acknowledged, at most the last second is lost."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.edge.nodes import PERSON, Node, kill, publish, wait_until

PER_S = 100  # events a second: a busy worker's, and little enough for a busy machine
BOUND_S = 1.0
READ_S = 0.25  # the last replies are read a moment after the kill that came upon them


class Load:
    """Numbered events at a steady rate; when each was acknowledged."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.acknowledged: dict[str, float] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        yield
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        one_each = httpx.Limits(max_keepalive_connections=0)  # so that every worker gets some
        with httpx.Client(base_url=self._url, headers=PERSON, limits=one_each) as client:
            reply = client.put("/v1/consent", json={"grants": ["analytics"]})
            cookie = {"cookie": reply.headers["set-cookie"].split(";")[0]}
            began_s, number = time.monotonic(), 0
            while not self._stopping.is_set():
                number += 1
                body = {"events": [{"type": "article_read", "id": f"n{number}"}]}
                # Killed under the request: nobody was told that it counts.
                with contextlib.suppress(httpx.HTTPError):
                    if client.post("/v1/events", json=body, headers=cookie).status_code == 202:
                        self.acknowledged[f"n{number}"] = time.monotonic()
                time.sleep(max(0.0, began_s + number / PER_S - time.monotonic()))


def test_a_kill_under_load_loses_at_most_a_second_of_what_was_acknowledged(
    tmp_path: Path,
) -> None:
    options = ("--workers", "2", "--events-per-minute", "100000", "--log-file-s", "1")
    node = Node(tmp_path, *options)
    publish(tmp_path)
    killed_s: list[float] = []
    with node.running():
        wait_until(lambda: node.answers("readyz") == 200 and len(node.workers()) == 2)
        load = Load(node.url)
        with load.running():
            for _ in range(2):  # one worker after the other; the node replaces each
                before = node.workers()
                time.sleep(1.5)
                kill(before[0])
                killed_s.append(time.monotonic())
                wait_until(lambda: len(node.workers()) == 2 and node.workers() != before)  # noqa: B023
            time.sleep(1.5)
            workers = node.workers()
            assert node.process is not None
            for pid in (node.process.pid, *workers):  # all of it at once
                kill(pid)
            killed_s.append(time.monotonic())
        node.process.wait()

    with Node(tmp_path, *options).running() as again:
        wait_until(lambda: again.answers("readyz") == 200)
        wait_until(lambda: not list((tmp_path / "cache" / "events").iterdir()))
    rows = Counter(row["id"] for row in node.logged())
    lost = load.acknowledged.keys() - rows.keys()

    assert len(load.acknowledged) > 2 * PER_S
    assert max(rows.values()) == 1
    for id_ in lost:
        gaps_s = [at_s - load.acknowledged[id_] for at_s in killed_s]
        assert any(-READ_S <= gap_s <= BOUND_S for gap_s in gaps_s), (id_, gaps_s)
    assert len(lost) <= len(killed_s) * PER_S * BOUND_S

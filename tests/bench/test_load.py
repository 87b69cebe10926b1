"""The open loop: when requests are due, what their times say, and what the page makes of it."""

from __future__ import annotations

import itertools
import math
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from bench.load import page
from bench.load.arrivals import IN_A_ROW, due, recovered_s, taken
from bench.load.calm import failures
from bench.load.client import Seen, Stream, ask
from bench.load.overload import KEPT, Recovery
from bench.load.page import Found
from bench.pages import OPERATIONS, with_block
from tests.edge.nodes import Node, publish, wait_until

GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
PROBES_S = [number / 10 for number in range(40)]

Answers = Iterator[bytes | None]


def test_requests_are_due_at_their_rate_whatever_becomes_of_them() -> None:
    moments = list(due(500.0, 2.0, 22.0, seed=1))
    assert 9_500 < len(moments) < 10_500
    assert moments == sorted(moments)
    assert moments[0] >= 2.0
    assert moments[-1] < 22.0
    assert moments == list(due(500.0, 2.0, 22.0, seed=1))
    gaps = [later - one for one, later in itertools.pairwise(moments)]
    assert sum(gap > 2 / 500 for gap in gaps) / len(gaps) == pytest.approx(math.exp(-2), abs=0.02)


def test_percentiles_are_of_the_nearest_rank() -> None:
    found = taken([number / 1_000 for number in range(1_000, 0, -1)])
    assert (found.p50_ms, found.p99_ms, found.p999_ms) == pytest.approx((500, 990, 999))
    assert (found.longest_ms, found.count) == (1_000.0, 1_000)
    assert taken([0.25]).p999_ms == 250.0
    with pytest.raises(ValueError, match="expected at least one reply"):
        taken([])


def test_a_node_has_recovered_when_probes_stay_quick() -> None:
    slow_until = [2.0 if due_s < 1.5 else 0.01 for due_s in PROBES_S]
    assert recovered_s(PROBES_S, slow_until, 1.0, 0.1) == pytest.approx(0.51)

    lucky = list(slow_until)
    lucky[12], lucky[20] = 0.01, 0.5  # quick once too early; slow once more
    assert recovered_s(PROBES_S, lucky, 1.0, 0.1) == pytest.approx(1.11)

    assert recovered_s(PROBES_S, [0.01] * 40, 1.0, 0.1) == pytest.approx(0.01)
    assert recovered_s(PROBES_S, [2.0] * 40, 1.0, 0.1) == math.inf
    few = IN_A_ROW - 1
    assert recovered_s(PROBES_S[:few], [0.01] * few, 0.0, 0.1) == math.inf


def test_failures_are_summed_and_who_was_never_sent_is_among_them() -> None:
    seen = [Seen(failed={"closed": 1}), Seen(failed={"closed": 2}, given_up=3), Seen()]
    assert failures(seen) == {"closed": 3, "never sent": 3}
    assert failures([Seen()]) == {}


@pytest.fixture
def serving() -> Iterator[Callable[[Answers], int]]:
    """A server that answers the requests of all connections with these replies in turn, ends the
    connection for None; its port."""
    listening: list[socket.socket] = []

    def serve(answers: Answers) -> int:
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        listening.append(listener)

        def answer(connection: socket.socket) -> None:
            with connection:
                while connection.recv(4_096):
                    reply = next(answers)
                    if reply is None:
                        return
                    connection.sendall(reply)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return int(listener.getsockname()[1])

    yield serve
    for one in listening:
        one.shutdown(socket.SHUT_RDWR)
        one.close()


def stream(folder: Path, port: int, **more: object) -> Stream:
    """Forty requests a second for half a second."""
    file = folder / "requests"
    file.write_bytes(msgspec.msgpack.encode([b"GET / HTTP/1.1\r\n\r\n"]))
    whole = {"name": "s", "port": port, "file": str(file), "per_s": 40.0, "from_s": 0.0}
    return msgspec.convert({**whole, "until_s": 0.5, "seed": 3, **more}, Stream)


def count(seen: Seen) -> int:
    """All requests of a stream."""
    return len(seen.took_s) + seen.given_up + sum(seen.failed.values())


@pytest.mark.parametrize("keeps", [True, False])
def test_every_request_that_was_due_is_accounted_for(
    tmp_path: Path, serving: Callable[[Answers], int], keeps: bool
) -> None:
    told = ask([stream(tmp_path, serving(itertools.repeat(GOOD)), keeps=keeps)])
    seen = told.seen["s"]
    assert sorted(seen.due_s) == list(due(40.0, 0.0, 0.5, seed=3))
    assert (seen.failed, seen.given_up) == ({}, 0)
    assert all(0 <= late <= took for late, took in zip(seen.late_s, seen.took_s, strict=True))
    assert 0 < told.busy < 1


def test_what_is_no_good_reply_is_a_failure_by_its_reason(
    tmp_path: Path, serving: Callable[[Answers], int]
) -> None:
    broken = [
        b"HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 204 OK\r\n\r\n",
        None,
    ]
    seen = ask([stream(tmp_path, serving(itertools.chain(broken, itertools.repeat(GOOD))))]).seen[
        "s"
    ]
    assert seen.failed == {"status 503": 1, "empty": 1, "status 204": 1, "closed": 1}
    assert count(seen) == len(list(due(40.0, 0.0, 0.5, seed=3)))


def test_a_connection_that_the_reply_ends_is_not_used_again(
    tmp_path: Path, serving: Callable[[Answers], int]
) -> None:
    ending = GOOD.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    seen = ask([stream(tmp_path, serving(itertools.repeat(ending)))]).seen["s"]
    assert seen.failed == {}
    assert len(seen.took_s) == len(list(due(40.0, 0.0, 0.5, seed=3)))


def test_a_slow_reply_makes_those_behind_it_late_and_the_impatient_give_up(
    tmp_path: Path, serving: Callable[[Answers], int]
) -> None:
    def slow() -> Iterator[bytes]:
        threading.Event().wait(0.8)
        yield from itertools.repeat(GOOD)

    def asked(**more: object) -> Seen:
        return ask([stream(tmp_path, serving(slow()), most=1, **more)]).seen["s"]

    patient, hasty = asked(), asked(patience_s=0.1)
    assert max(patient.took_s) > 0.7  # counted from when it was due, not from when it was sent
    assert max(patient.late_s) > 0.6
    assert max(patient.at_node_s[1:]) < max(patient.took_s)
    assert patient.given_up == 0
    assert hasty.given_up > 0
    assert max(hasty.late_s) < 0.5
    assert count(patient) == count(hasty)


def test_nobody_listening_is_a_failure_too(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    seen = ask([stream(tmp_path, port)]).seen["s"]
    assert sum(seen.failed.values()) == len(list(due(40.0, 0.0, 0.5, seed=3)))


def test_a_real_node_answers_all_that_is_asked_in_an_open_loop(tmp_path: Path) -> None:
    node = Node(tmp_path)
    publish(tmp_path)
    request = b"GET /_ew/v1/fragments/hero HTTP/1.1\r\nhost: x\r\nuser-agent: Mozilla/5.0\r\n\r\n"
    with node.running():
        wait_until(lambda: node.answers("readyz") == 200)
        asked = stream(tmp_path, node.port, per_s=200.0, until_s=1.0)
        Path(asked.file).write_bytes(msgspec.msgpack.encode([request]))
        seen = ask([asked]).seen["s"]
    assert (seen.failed, seen.given_up) == ({}, 0)
    assert len(seen.took_s) == len(list(due(200.0, 0.0, 1.0, seed=3)))


def broken(found: Found) -> list[str]:
    """What the rows in bold say."""
    return [row.says for row in page.rows(found) if row.is_broken]


def test_the_page_shows_what_the_committed_results_say() -> None:
    kept = page.kept()
    assert page.page(kept) == page.PAGE.read_text(encoding="utf-8"), "make load writes it"
    assert (kept.calm.seconds, kept.overload.seconds) == (60.0, 60.0)


def test_the_page_of_operations_shows_the_figures_that_have_a_budget() -> None:
    shown = with_block(OPERATIONS, page.block(page.kept()), page.MARK)
    assert shown == OPERATIONS.read_text(encoding="utf-8"), "make load writes it"


def test_what_the_node_adds_failures_memory_and_slow_recovery_are_budgets() -> None:
    kept = page.kept()
    calm, over = kept.calm, kept.overload
    replace = msgspec.structs.replace
    slow = replace(calm.node, p999_ms=calm.bare.p999_ms + 5.1)
    assert broken(replace(kept, calm=replace(calm, node=slow)))[0].startswith("the node's p99.9")
    rounds = replace(calm, over_ms=[1.0, 5.2, 6.0])
    assert "(1, 5.2, 6)" in broken(replace(kept, calm=rounds))[-1]
    lost = replace(over, failed={"closed": 1})
    assert broken(replace(kept, overload=lost))[0].startswith("failed: no answer")
    grown = [*over.memory, replace(over.memory[-1], resident=over.memory[-1].resident * 1.2)]
    assert broken(replace(kept, overload=replace(over, memory=grown))) == [
        "memory of the worker at the end of the load"
    ]
    late = Recovery(over.probes[KEPT].before, over.probes[KEPT].meanwhile, 1.2)
    later = replace(over, probes={**over.probes, KEPT: late})
    assert broken(replace(kept, overload=later)) == [
        "recovered, by probes over kept connections, after"
    ]

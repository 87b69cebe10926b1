"""Connections that are short: replies end them, and whoever is new gets in."""

from __future__ import annotations

import http.client
import resource
from pathlib import Path

import httpx
import pytest

from edge.connections import OWN_FILES, SHORT, Connections, open_files, room_for
from tests.edge.nodes import Node, publish, wait_until
from tests.edge.shop import Shop

NONE = resource.RLIM_INFINITY


def test_they_are_short_from_seven_eighths_of_what_a_worker_takes() -> None:
    files = [20]
    ours = Connections(80, lambda: files[0])
    assert not ours.look()

    files[0] += 71
    assert ours.look()
    assert ours.are_short

    files[0] -= 1
    assert not ours.look()
    assert not ours.are_short


@pytest.mark.anyio
async def test_a_reply_ends_its_connection_only_while_they_are_short() -> None:
    shop = Shop()
    browser = shop.browser()
    for are_short in (False, True, False):
        shop.services.connections.are_short = are_short
        reply = await browser.send("GET", "/_ew/v1/fragments/hero")
        assert reply.headers.get("connection") == ("close" if are_short else None)
        assert reply.status_code == 200


def test_open_files_are_counted_where_the_system_tells(tmp_path: Path) -> None:
    before = open_files()
    with (tmp_path / "one").open("w"):
        assert open_files() == before + 1 > 1
    assert open_files(Path("/proc/self/task")) >= 1  # its size is 0, as an older Linux has it
    assert open_files(tmp_path / "nothing") == 0


@pytest.mark.parametrize(
    ("limits", "raised", "room"),
    [
        ((1_024, NONE), (4_096 + OWN_FILES, NONE), 4_096),
        ((1_024, 524_288), (4_096 + OWN_FILES, 524_288), 4_096),
        ((1_024, 2_048), (2_048, 2_048), 2_048 - OWN_FILES),
        ((64, 64), (64, 64), 1),
        ((20_000, 20_000), None, 4_096),
        ((NONE, NONE), None, 4_096),
    ],
)
def test_the_limit_of_open_files_is_raised_as_far_as_it_goes(
    monkeypatch: pytest.MonkeyPatch,
    limits: tuple[int, int],
    raised: tuple[int, int] | None,
    room: int,
) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: told.append(new))

    assert room_for(4_096) == room
    assert told == ([raised] if raised else [])


def test_connections_that_are_kept_make_room_for_new_ones(tmp_path: Path) -> None:
    most = 64
    node = Node(tmp_path, "--max-connections", str(most))
    publish(tmp_path)
    with node.running():
        wait_until(lambda: node.answers("readyz") == 200)
        kept = [http.client.HTTPConnection("127.0.0.1", node.port, timeout=20) for _ in range(most)]

        def ask() -> list[bool]:
            """Whether each connection was ended with its reply; it is opened again then."""
            ended = []
            for one in kept:
                one.request("GET", "/_ew/healthz")
                reply = one.getresponse()
                reply.read()
                ended.append(reply.will_close)
            return ended

        ask()
        wait_until(lambda: any(ask()))

        assert node.hero() == "<h1>Welcome</h1>"
        assert SHORT in httpx.get(f"http://127.0.0.1:{node.admin}/metrics").text
        for one in kept:
            one.close()

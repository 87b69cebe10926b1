"""A node as its operator meets it: real processes, a real store, real keys."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from edge.cli import main
from edge.commands.keys import create, rotate
from edge.config import Config
from edge.node import Background
from snapshots.pauses import control_path
from snapshots.store import open_writable
from tests.decisions.written import rule
from tests.edge.nodes import PERSON, Node, kill, publish, wait_until


def test_a_node_without_a_snapshot_is_alive_and_recovers_by_itself(tmp_path: Path) -> None:
    with Node(tmp_path).running() as node:
        assert node.answers("readyz") == 503
        assert node.hero() == ""
        wait_until(lambda: node.status()["snapshot"]["failures"] > 0)
        status = node.status()
        assert status["summary"].startswith("nothing to serve")
        assert status["troubles"][0].startswith("sync: not-there: expected channels/live.jws")

        publish(tmp_path)

        wait_until(lambda: node.answers("readyz") == 200)
        assert node.hero() == "<h1>Welcome</h1>"
        wait_until(lambda: node.status()["troubles"] == [])
        assert main(["health", "--port", str(node.port), "--ready"]) == 0


def test_every_worker_follows_a_new_version_and_counts_are_summed(tmp_path: Path) -> None:
    node = Node(tmp_path, "--workers", "2")
    publish(tmp_path)
    with node.running():
        wait_until(lambda: len(node.workers()) == 2 and node.status()["is_ready"])

        publish(tmp_path, "<h1>Second</h1>")

        wait_until(lambda: {w["version"] for w in node.status()["workers"]} == {2})
        assert {node.hero() for _ in range(20)} == {"<h1>Second</h1>"}
        text = httpx.get(f"http://127.0.0.1:{node.admin}/metrics").text
        assert 'edgewise_replies_total{route="fragment",status="200"} 20' in text
        assert "edgewise_snapshot_version 2" in text


def test_past_its_date_a_snapshot_serves_on_but_for_the_rules_that_give_way(
    tmp_path: Path,
) -> None:
    rules = [
        rule("price", "true", show="hero/loyal", stale="default"),
        rule("spring", "true", slot="promo", show="promo/spring"),
    ]
    node = Node(tmp_path)
    publish(tmp_path, rules=rules)
    with node.running():  # however long that takes: the seconds of the short date run after it
        wait_until(lambda: node.answers("readyz") == 200)
        fresh = node.hero()
        publish(tmp_path, rules=rules, ttl_s=4)

        wait_until(lambda: bool(node.status()["snapshot"]["stale"]))
        wait_until(lambda: node.hero() == "<h1>Welcome</h1>")

        assert fresh == "<p>Welcome back</p>"
        assert httpx.get(f"{node.url}/v1/fragments/promo").text == "<p>Spring</p>"


def test_requests_that_never_end_hold_nobody_up(tmp_path: Path) -> None:
    begun = b"POST /_ew/v1/events HTTP/1.1\r\nHost: x\r\n"
    halves = (begun, begun + b"Content-Length: 99\r\n\r\n{")
    node = Node(tmp_path, "--body-s", "1")
    publish(tmp_path)
    with node.running(), contextlib.ExitStack() as open_:
        wait_until(lambda: node.answers("readyz") == 200)
        slow = []
        for half in halves * 100:
            slow.append(open_.enter_context(socket.create_connection(("127.0.0.1", node.port))))
            slow[-1].sendall(half)

        assert node.hero() == "<h1>Welcome</h1>"

        for one in slow[1::2]:
            one.settimeout(20)
            assert one.recv(64).startswith(b"HTTP/1.1 408 ")
        assert node.hero() == "<h1>Welcome</h1>"


def test_an_origin_that_is_down_at_start_does_not_matter_with_a_local_copy(tmp_path: Path) -> None:
    node = Node(tmp_path)
    publish(tmp_path)
    with node.running():
        wait_until(lambda: node.answers("readyz") == 200)
    shutil.rmtree(tmp_path / "store")

    with Node(tmp_path).running() as again:
        wait_until(lambda: again.answers("readyz") == 200)
        assert again.hero() == "<h1>Welcome</h1>"
        wait_until(lambda: again.status()["snapshot"]["failures"] > 0)
        assert again.status()["snapshot"]["from_disk"] is True
        assert "from the local copy" in again.status()["summary"]


def test_being_told_to_stop_fails_readiness_first_and_uploads_the_log(tmp_path: Path) -> None:
    node = Node(tmp_path)
    publish(tmp_path)
    with node.running(), httpx.Client(base_url=node.url, headers=PERSON) as client:
        wait_until(lambda: node.answers("readyz") == 200)
        reply = client.put("/v1/consent", json={"grants": ["analytics"]})
        cookie = {"cookie": reply.headers["set-cookie"].split(";")[0]}
        events = {"events": [{"type": "article_read", "id": "last"}]}

        assert node.process is not None
        node.process.terminate()

        wait_until(lambda: node.answers("readyz") == 503)
        assert client.post("/v1/events", json=events, headers=cookie).status_code == 202
        node.stop()
    assert node.exit_code == 0
    assert [row["type"] for row in node.logged()] == ["agreed", "consent", "article_read"]
    assert main(["audit", "verify", str(tmp_path / "store")]) == 0
    assert list((tmp_path / "cache" / "events").iterdir()) == [], "it is in the store"


def test_a_worker_that_dies_again_and_again_is_replaced_and_serves_the_same(tmp_path: Path) -> None:
    node = Node(tmp_path)
    publish(tmp_path)
    with node.running():
        dead = [0]

        def replaced() -> bool:
            return node.answers("readyz") == 200 and node.workers() not in ([], dead[-1:])

        for _ in range(3):
            wait_until(replaced)
            assert node.hero() == "<h1>Welcome</h1>"
            dead += node.workers()
            kill(dead[-1])
        wait_until(replaced)
        assert len(set(dead)) == 4


def test_new_cookie_keys_are_taken_without_a_restart_and_broken_ones_are_told(
    tmp_path: Path,
) -> None:
    node = Node(tmp_path)
    publish(tmp_path)
    with node.running():
        wait_until(lambda: node.answers("readyz") == 200)

        kid = rotate(tmp_path / "keys")

        def signed_by() -> str:
            reply = httpx.put(f"{node.url}/v1/consent", json={"grants": []}, headers=PERSON)
            token = reply.headers["set-cookie"].split("=", 1)[1]
            return str(httpx_kid(token))

        wait_until(lambda: signed_by() == kid)
        (tmp_path / "keys" / "cookie.jwks").write_text("nonsense")
        wait_until(lambda: "keys: expected a JWKS" in " ".join(node.status()["troubles"]))
        assert signed_by() == kid
        create(tmp_path / "demo", demo=True)
        for name in ("cookie.jwks", "publisher.public.jwks"):
            (tmp_path / "demo" / name).replace(tmp_path / "keys" / name)
        wait_until(lambda: " ".join(node.status()["troubles"]).count("got the demo's") == 2)
        assert signed_by() == kid


def httpx_kid(token: str) -> str:
    import jwt

    return str(jwt.get_unverified_header(token.split(";")[0])["kid"])


def run(node: Node) -> subprocess.CompletedProcess[str]:
    return subprocess.run(node.command, capture_output=True, text=True, timeout=60)


def test_the_demos_keys_serve_only_developers(tmp_path: Path) -> None:
    node = Node(tmp_path, demo=True)

    done = run(node)

    assert done.returncode == 1
    assert "expected keys of your own, got the demo's - at" in done.stderr


def test_a_folder_or_port_that_another_node_uses_is_refused(tmp_path: Path) -> None:
    with Node(tmp_path).running() as node:
        done = run(Node(tmp_path))
        assert done.returncode == 1
        assert "expected a cache folder of this node's own, another node uses it" in done.stderr

        taken = Node(tmp_path)
        taken.command += ["--port", str(node.port), "--cache", str(tmp_path / "other")]
        done = run(taken)
        assert done.returncode == 1
        assert f"expected a free port, Address already in use - at 127.0.0.1:{node.port}" in (
            done.stderr
        )


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--keys", "nowhere"], 1, "expected a key file"),
        (["--store", "ftp://x"], 1, "expected a folder, file://"),
        (["--store", ""], 2, "expected a store to follow, got none"),
        (["--workers", "many"], 2, "at --workers"),
        (["--cache", "/proc/edgewise"], 1, "expected a cache folder that can be written, got"),
        (["--cache", "/dev/null"], 1, "expected a cache folder that can be written, got"),
        (["--cache", "/dev/null/cache"], 1, "expected a cache folder that can be written, got"),
    ],
)
def test_settings_that_cannot_serve_are_one_clear_message(
    tmp_path: Path, more: list[str], code: int, message: str
) -> None:
    node = Node(tmp_path, *more)

    done = run(node)

    assert done.returncode == code
    assert message in done.stderr
    assert done.stderr.startswith("edgewise: error: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def background(tmp_path: Path) -> Background:
    create(tmp_path / "keys")
    (tmp_path / "store").mkdir()
    folders = {name: str(tmp_path / name) for name in ("store", "keys", "cache")}
    made = Background(Config(poll_interval_s=0.01, **folders))  # type: ignore[arg-type]  # texts
    made.syncer.start()
    return made


def test_a_loop_that_asks_the_store_outlives_whatever_asking_raises(
    background: Background, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []

    def ask() -> float:
        asked.append("once more")
        if len(asked) == 3:
            background._stopping.set()
        raise ZeroDivisionError

    background._repeat(ask)

    assert len(asked) == 3
    assert caplog.text.count("failed in a way that it should not") == 3


def test_what_is_wrong_with_the_control_object_is_logged_once_by_itself(
    background: Background, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish(tmp_path)
    open_writable(str(tmp_path / "store")).create(control_path("live"), b"nonsense")

    assert background.control() <= 0.01
    background.control()
    background.sync()

    assert caplog.text.count("control: malformed: expected a signed edgewise-control") == 1
    assert background.syncer.status.version == 1
    assert background.syncer.status.refused is None

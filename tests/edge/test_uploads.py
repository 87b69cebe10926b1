"""Uploads: event files leave the node for the store, in a thread that holds up nobody."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from edge import uploads as uploading
from edge.config import Config
from edge.uploads import Uploads, destination
from snapshots.errors import StoreUnavailable
from snapshots.store import MemoryStore
from tests.edge.nodes import PERSON, Node, publish, wait_until
from tests.snapshots.test_eventfiles import line
from tests.snapshots.test_spool import lay, names


def test_files_go_to_the_store_of_the_snapshots_unless_another_place_is_named(
    tmp_path: Path,
) -> None:
    (tmp_path / "store").mkdir()
    default = destination(Config(store=str(tmp_path / "store")))
    assert default and default.where == str(tmp_path / "store")
    bucket = destination(Config(store="s3://bucket/path"))
    assert bucket and bucket.where == "s3://bucket/path"
    named = destination(Config(store="s3://bucket/path", events=str(tmp_path / "events")))
    assert named and named.where == str(tmp_path / "events")


def test_files_stay_where_the_store_takes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert destination(Config(store="https://example.com/store")) is None
    assert destination(Config(store="s3://bucket", events="")) is None
    monkeypatch.setattr(os, "access", lambda path, how: False)
    assert destination(Config(store=str(tmp_path))) is None


def test_a_place_that_is_named_and_takes_no_files_is_refused() -> None:
    with pytest.raises(StoreUnavailable, match="read-only origin"):
        Uploads(Config(store="s3://bucket", events="https://example.com/"))


def test_a_store_that_is_mistyped_is_not_made_by_an_upload(tmp_path: Path) -> None:
    config = Config(store=str(tmp_path / "misyped"), cache=str(tmp_path / "cache"))
    lay(tmp_path / "cache", "x").unlink()
    lay(config.event_dir, "paris-2-1.ndjson", line("a"))
    uploads = Uploads(config)
    uploads.start()
    wait_until(lambda: uploads.status.failures > 0)
    uploads.stop()
    assert "found no folder" in uploads.status.trouble
    assert not (tmp_path / "misyped").exists()
    assert names(config.event_dir) == ["paris-2-1.ndjson.zst"]


def test_a_fault_of_ours_does_not_end_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(uploading, "PAUSE_S", 0.01)
    (tmp_path / "store").mkdir()
    uploads = Uploads(Config(store=str(tmp_path / "store"), cache=str(tmp_path / "cache")))
    calls = []

    def broken(**_: object) -> None:
        calls.append(1)
        raise ZeroDivisionError

    monkeypatch.setattr(uploads._uploader, "once", broken)
    uploads.start()
    wait_until(lambda: len(calls) > 2)
    uploads.stop()
    assert "uploads failed in a way that they should not" in caplog.text


def test_a_store_that_hangs_holds_up_no_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging(MemoryStore):
        def create(self, path: str, data: bytes) -> None:
            asked.set()
            let_go.wait(20.0)

    asked, let_go = threading.Event(), threading.Event()
    monkeypatch.setattr(uploading, "destination", lambda config: Hanging())
    monkeypatch.setattr(uploading, "PAUSE_S", 0.01)
    monkeypatch.setattr(uploading, "LAST_S", 0.1)
    config = Config(cache=str(tmp_path / "cache"))
    lay(tmp_path / "cache", "x").unlink()
    lay(config.event_dir, "paris-2-1.ndjson", line("a"))
    uploads = Uploads(config)
    uploads.start()
    assert asked.wait(20.0)
    began_s = time.monotonic()
    uploads.stop()
    assert time.monotonic() - began_s < 5.0
    let_go.set()


def test_a_node_uploads_while_it_runs_and_keeps_what_an_outage_leaves_until_it_ends(
    tmp_path: Path,
) -> None:
    away = tmp_path / "events"
    away.write_bytes(b"a file where the store should be")
    node = Node(tmp_path, "--events", str(away), "--log-file-s", "0.3")
    publish(tmp_path)
    with node.running(), httpx.Client(base_url=node.url, headers=PERSON) as client:
        wait_until(lambda: node.answers("readyz") == 200)
        reply = client.put("/v1/consent", json={"grants": ["analytics"]})
        cookie = {"cookie": reply.headers["set-cookie"].split(";")[0]}

        def send(id_: str) -> None:
            body = {"events": [{"type": "article_read", "id": id_}]}
            assert client.post("/v1/events", json=body, headers=cookie).status_code == 202

        send("first")
        wait_until(lambda: node.status()["uploads"]["failures"] > 0)
        told = node.status()
        assert told["uploads"]["to"] == str(away)
        assert any(text.startswith("uploads: expected an answer") for text in told["troubles"])
        assert node.answers("readyz") == 200
        assert told["snapshot"]["failures"] == 0

        away.unlink()
        wait_until(lambda: node.status()["uploads"]["uploaded"] > 0)
        send("second")
        wait_until(lambda: node.status()["uploads"]["uploaded"] > 1)
        assert node.status()["troubles"] == []
        rows = sum(path.name.endswith(".ndjson.zst") for path in away.rglob("*"))
        assert rows == 2


def test_a_bucket_that_never_answers_delays_neither_sync_nor_admin_nor_the_end(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:  # takes, and says nothing
        port = silent.getsockname()[1]
        environment = os.environ | {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "s",
            "AWS_REGION": "eu-west-1",
        }
        node = Node(tmp_path, "--events", "s3://logs", environment=environment)
        publish(tmp_path)
        waiting = lay(tmp_path / "cache", "x").parent / "events" / "paris-2-1.ndjson"
        lay(waiting.parent, waiting.name, line("a"))
        with node.running():
            wait_until(lambda: node.answers("readyz") == 200)
            silent.settimeout(20.0)
            asked, _ = silent.accept()  # the upload is under way, and stays so
            for version in (2, 3):
                publish(tmp_path, f"<h1>{version}</h1>")
                began_s = time.monotonic()
                wait_until(lambda: node.hero() == f"<h1>{version}</h1>")  # noqa: B023
                assert time.monotonic() - began_s < 5.0
                began_s = time.monotonic()
                assert node.status()["uploads"]["waiting"] <= 1
                assert time.monotonic() - began_s < 2.0
            began_s = time.monotonic()
            node.stop()
            assert time.monotonic() - began_s < 12.0
            asked.close()
    assert node.exit_code == 0
    assert waiting.exists() or waiting.with_name("paris-2-1.ndjson.zst").exists()

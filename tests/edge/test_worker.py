"""A worker: opens what its node verified, says how it is, lives through faults, ends when told."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import httpx
import msgspec
import pytest

from edge.admin import reports
from edge.apikeys import API_KEY_FILE, ApiKeys
from edge.config import Config
from edge.errors import CannotServe
from edge.node import Background, check_keys
from edge.sinks.sink import ListSink
from edge.worker import (
    DRAINING,
    KEYS_S,
    RESPAWN_S,
    SETTINGS,
    Report,
    Worker,
    application,
    cookie_keys,
    create_worker,
    publisher_keys,
)
from tests.edge.nodes import publish
from tests.edge.shop import SECRET, SERVER, Clock
from tests.edge.test_admin import admin_of, config

__all__ = ["config"]  # a fixture
pytestmark = pytest.mark.anyio


def worker_of(config: Config) -> Worker:
    return create_worker(config, ListSink(), Clock())[1]


def said(config: Config) -> Report:
    (report,) = reports(config.run_dir)
    return report


async def test_a_worker_opens_what_the_node_verified_and_says_so(
    config: Config, tmp_path: Path
) -> None:
    publish(tmp_path)
    background = Background(config)
    background.syncer.start()
    worker = worker_of(config)
    await worker.look()
    assert (said(config).version, said(config).is_ready) == (0, False)

    assert background.sync() > 0
    await worker.look()

    assert (said(config).version, said(config).is_ready) == (1, True)
    (config.run_dir / DRAINING).touch()
    await worker.look()
    assert not said(config).is_ready


async def test_a_worker_lives_through_faults_and_ends_when_told(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = msgspec.structs.replace(config, follow_interval_s=0.01)
    edge, worker = create_worker(config, ListSink(), Clock())
    await worker.start()

    async def failing() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(worker, "look", failing)
    counted = edge.services.metrics.values
    for _ in range(200):
        if counted().get('edgewise_errors_total{where="follow"}', 0) > 1:
            break
        await asyncio.sleep(0.01)

    await worker.stop()

    assert counted()['edgewise_errors_total{where="follow"}'] > 1


async def test_a_worker_ends_when_its_node_is_gone(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = msgspec.structs.replace(config, follow_interval_s=0.01)
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr("edge.worker.os.kill", lambda pid, signal: killed.append((pid, signal)))
    worker = worker_of(config)
    await worker.start()
    monkeypatch.setattr("edge.worker.os.getppid", lambda: 1)

    for _ in range(200):
        if killed:
            break
        await asyncio.sleep(0.01)
    await worker.stop()

    assert killed[0][0] == os.getpid()


def test_a_worker_that_cannot_start_takes_its_time_to_say_so(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("edge.worker.time.sleep", waited.append)
    broken = msgspec.structs.replace(config, keys="nowhere")
    monkeypatch.setenv(SETTINGS, msgspec.json.encode(broken).decode())

    with pytest.raises(CannotServe, match="expected a key file"):
        application()

    assert waited == [RESPAWN_S]


def test_publisher_keys_that_break_are_told_and_the_last_good_ones_stay(config: Config) -> None:
    background = Background(config)
    background.syncer.start()
    (Path(config.keys) / "publisher.public.jwks").write_text("nonsense")

    background.sync()

    assert "keys: expected a JWK set" in " ".join(background.admin.status().troubles)


def test_keys_may_come_from_the_settings(config: Config, tmp_path: Path) -> None:
    folder = Path(config.keys)
    texts = msgspec.structs.replace(
        config,
        keys=str(tmp_path / "none"),
        cookie_jwks=(folder / "cookie.jwks").read_text(),
        identify_jwks=(folder / "identify.jwks").read_text(),
        publisher_jwks=(folder / "publisher.public.jwks").read_text(),
    )

    check_keys(texts)
    assert publisher_keys(texts) == publisher_keys(config)
    source = cookie_keys(texts)
    source.refresh()
    assert source().signing.kid
    with pytest.raises(CannotServe, match="- at cookie"):
        cookie_keys(msgspec.structs.replace(texts, cookie_jwks="{}"))


async def test_keys_of_servers_come_change_and_break_while_a_worker_serves(config: Config) -> None:
    clock = Clock()
    edge, worker = create_worker(config, ListSink(), clock)
    node, path = Background(config), Path(config.keys) / API_KEY_FILE
    transport = httpx.ASGITransport(app=edge)

    async def status() -> int:
        clock.now_s += KEYS_S
        await worker.look()
        node.control()
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            sent = {"x-api-key": SECRET}
            flag = await client.post("/_ew/ofrep/v1/evaluate/flags/hero", json={}, headers=sent)
            return flag.status_code

    assert await status() == 401
    path.write_bytes(ApiKeys([SERVER]).encode())
    assert await status() == 503, "let in; there is no snapshot"
    path.write_bytes(b"{}")
    assert await status() == 503
    assert "missing required field `keys`" in said(config).keys_trouble
    assert [key["name"] for key in msgspec.to_builtins(node.admin.status().api_keys)] == ["shop"]
    path.write_bytes(ApiKeys().encode())
    assert await status() == 401
    assert said(config).keys_trouble == ""

    path.write_bytes(b"[]")
    with pytest.raises(CannotServe, match="expected API keys"):
        check_keys(config)


def test_signing_in_is_optional(config: Config) -> None:
    (Path(config.keys) / "identify.jwks").unlink()

    check_keys(config)
    assert worker_of(config) is not None


async def test_a_disk_too_full_for_a_workers_report_is_told_all_the_same(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path)
    sink = ListSink()
    worker = create_worker(config, sink, Clock())[1]
    await worker.look()
    assert not any("event log" in line for line in admin_of(config).status().troubles)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sink, "trouble", lambda: "No space left on device")
    monkeypatch.setattr(Path, "write_bytes", full)
    await worker.look()

    troubles = admin_of(config).status().troubles
    assert "event log: not written, nor can a worker say why: look at the disk" in troubles

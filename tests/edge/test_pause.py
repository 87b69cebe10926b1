"""`edgewise pause` and `resume`: commands, and every worker of a real node."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
import pytest

from edge.cli import main
from edge.commands.keys import create
from tests.decisions.written import OFFER, rule
from tests.edge.nodes import Node, publish, wait_until
from tests.faults.origin import FaultyOrigin

RULES = [
    rule("french", 'geo.country == "FR"', slot="promo", show="promo/spring"),
    rule("shoes", 'interest["shoes"] > 40.0', experiment=OFFER),
]


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """The options that name a store with one version, and its keys."""
    create(tmp_path / "keys")
    (tmp_path / "store").mkdir()
    publish(tmp_path, rules=RULES)
    return ["--store", str(tmp_path / "store"), "--keys", str(tmp_path / "keys")]


def test_a_rule_is_paused_listed_and_resumed(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pause", "rule", "shoes", "--why", "wrong price", *words]) == 0
    assert main(["pause", "rule", "shoes", *words]) == 0, "twice is once"
    assert main(["pause", "slot", "promo", *words]) == 0
    capsys.readouterr()

    assert main(["pause", "--json", *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["kind"], one["id"]) for one in told["paused"]] == [
        ("rule", "shoes"), ("slot", "promo"),
    ]  # fmt: skip
    assert main(["resume", "rule", "shoes", *words]) == 0
    assert main(["pause", *words]) == 0
    said = capsys.readouterr().out
    assert "resumed   rule shoes on live: control 3" in said
    assert "live: 1 paused, control 3\n  slot promo  since 20" in said


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["pause", "rule", "shose"], "there is no rule shose in live, did you mean shoes?"),
        (["pause", "experiment", "french"], "there is no experiment french in live"),
        (["pause", "rule"], "expected the id of a rule after it, got nothing"),
        (["resume", "rule", "shoes"], "rule shoes is not paused"),
    ],
)
def test_what_is_not_there_is_not_paused(
    words: list[str], asked: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*asked, *words]) == 1
    assert says in capsys.readouterr().err


def test_every_worker_obeys_through_a_new_version_and_a_restart_until_it_is_resumed(
    tmp_path: Path,
) -> None:
    node = Node(tmp_path, "--workers", "2", "--dev", demo=True)
    words = ["--store", str(tmp_path / "store"), "--keys", str(tmp_path / "keys")]
    publish(tmp_path, rules=RULES)

    def french() -> set[str]:
        headers = {"x-geo-country": "FR"}
        return {
            httpx.get(f"{node.url}/v1/fragments/promo", headers=headers).text for _ in range(12)
        }

    def controls() -> list[int]:
        return [worker["control"] for worker in node.status()["workers"]]

    with node.running():
        wait_until(lambda: len(node.workers()) == 2 and node.status()["is_ready"])
        assert french() == {"<p>Spring</p>"}

        assert main(["pause", "rule", "french", *words]) == 0
        wait_until(lambda: controls() == [1, 1])
        assert french() == {""}
        publish(tmp_path, rules=RULES)
        wait_until(lambda: {w["version"] for w in node.status()["workers"]} == {2})
        assert french() == {""}
        status = node.status()
        assert "rule french paused" in status["summary"]
        metrics = httpx.get(f"http://127.0.0.1:{node.admin}/metrics").text
        assert "edgewise_paused 1" in metrics

    with node.running():
        wait_until(lambda: len(node.workers()) == 2 and node.status()["is_ready"])
        assert french() == {""}
        assert main(["resume", "rule", "french", *words]) == 0
        wait_until(lambda: controls() == [2, 2])
        assert french() == {"<p>Spring</p>"}


SOON_S = 0.2 + 2.0  # the nodes' interval here, and two seconds


def test_an_origin_that_is_slow_for_one_of_the_two_delays_neither_a_version_nor_a_pause(
    tmp_path: Path,
) -> None:
    origin = FaultyOrigin(tmp_path)
    node = Node(tmp_path, "--workers", "2", "--store", f"{origin.start()}/store")
    words = ["--store", str(tmp_path / "store"), "--keys", str(tmp_path / "keys")]
    publish(tmp_path, rules=RULES)

    def shows(what: str, wanted: int) -> bool:
        return [worker[what] for worker in node.status()["workers"]] == [wanted] * 2

    def hangs(path: str) -> None:
        asked = len(origin.requests)
        wait_until(lambda: path in "".join(origin.requests[asked:]))

    with node.running():
        wait_until(lambda: shows("version", 1))
        assert main(["pause", "rule", "french", *words]) == 0
        wait_until(lambda: shows("control", 1))

        origin.control_fault = origin.slow
        hangs("live.control.jws")
        publish(tmp_path, rules=RULES)
        wait_until(lambda: shows("version", 2), SOON_S)

    origin.control_fault = origin.serve
    with node.running():
        wait_until(lambda: shows("version", 2) and shows("control", 1))
        origin.fault = origin.slow
        hangs("live.jws")
        assert main(["resume", "rule", "french", *words]) == 0
        wait_until(lambda: shows("control", 2), SOON_S)
        stopped_s = time.monotonic()
        node.stop()
        assert time.monotonic() - stopped_s < 10.0, "a fetch under way is left where it is"
    origin.stop()

"""The admin listener and the worker's reports: what an operator reads at three in the morning."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from edge.admin import Admin, reports
from edge.apikeys import ApiKeys
from edge.commands.keys import create
from edge.config import Config
from edge.node import fresh
from edge.worker import (
    DRAINING,
    Report,
)
from snapshots.pauses import Paused, Pauses
from snapshots.snapshot import Snapshot
from snapshots.sync import Refusal, SyncStatus
from snapshots.upload import UploadStatus
from tests.decisions.written import rule
from tests.edge.shop import NOW_S, Clock, api_key, snapshot

pytestmark = pytest.mark.anyio

GOOD = SyncStatus(
    channel="live",
    source="/store",
    version=3,
    created_s=int(NOW_S) - 600,
    not_after_s=int(NOW_S) + 600,
    highest_version=3,
    last_success_s=NOW_S - 4,
)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    create(tmp_path / "keys")
    (tmp_path / "store").mkdir()
    made = Config(
        store=str(tmp_path / "store"), keys=str(tmp_path / "keys"), cache=str(tmp_path / "cache")
    )
    fresh(made.run_dir)
    return made


def tell(config: Config, **changes: Any) -> None:
    """A worker's report, as it would write it."""
    report = Report(pid=os.getpid(), started_s=NOW_S, version=3, is_ready=True)
    report = msgspec.structs.replace(report, **changes)
    (config.run_dir / f"{report.pid}.json").write_bytes(msgspec.json.encode(report))


def admin_of(
    config: Config, sync: SyncStatus = GOOD, served: Snapshot | None = None, keys: str = ""
) -> Admin:
    return Admin(config, lambda: sync, lambda: served, lambda: keys, Clock())


async def ask(admin: Admin, method: str, path: str, **rest: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app=admin.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://admin") as client:
        return await client.request(method, path, **rest)


async def test_a_good_state_is_one_sentence_and_no_troubles(config: Config) -> None:
    tell(config)

    told = (await ask(admin_of(config), "GET", "/status")).json()

    assert told["summary"] == "serving live version 3, made 10 min ago; store asked 4 s ago"
    assert told["troubles"] == []
    assert told["is_ready"] is True
    assert told["snapshot_age_s"] == 600


@pytest.mark.parametrize(
    ("changes", "summary"),
    [
        ({"version": 0}, "nothing to serve: no snapshot of live could be opened yet"),
        ({"stale": True}, "serving live version 3, made 10 min ago, past its date; store asked"),
        ({"from_disk": True}, "from the local copy, the store has not confirmed it yet"),
        ({"created_s": int(NOW_S) - 5 * 86_400}, "made 5 d ago"),
    ],
)
def test_the_summary_says_what_matters_most(
    config: Config, changes: dict[str, Any], summary: str
) -> None:
    tell(config)

    assert summary in admin_of(config, msgspec.structs.replace(GOOD, **changes)).status().summary


async def test_keys_of_servers_are_told_without_their_hashes_and_a_week_before_they_end(
    config: Config,
) -> None:
    tell(config)
    end = datetime.fromtimestamp(NOW_S + 3 * 86_400, UTC)
    gone = datetime.fromtimestamp(NOW_S - 3_600, UTC)
    ending = api_key("shop", b"s" * 32, expires=end)
    keys = ApiKeys([ending, api_key("mail", b"m" * 32, expires=gone), api_key("batch", b"b" * 32)])
    admin = Admin(config, lambda: GOOD, lambda: None, clock=Clock(), api_keys=lambda: keys)

    reply = await ask(admin, "GET", "/status")

    told = reply.json()
    assert told["api_keys"][0] == {
        "kid": ending.kid,
        "name": "shop",
        "scopes": ["ofrep", "recommendations"],
        "expires_s": int(NOW_S) + 3 * 86_400,
    }
    assert told["api_keys"][2]["expires_s"] == 0
    assert ending.sha256 not in reply.text
    assert told["troubles"] == [
        "API keys: the last one of shop ends in 3 d: rotate it, or revoke it",
        "API keys: the last one of mail ended 60 min ago: rotate it, or revoke it",
    ]
    assert "edgewise_api_keys_ending 2\n" in (await ask(admin, "GET", "/metrics")).text


def test_troubles_name_who_and_what(config: Config) -> None:
    refused = Refusal("bad-signature", "expected a signature", NOW_S, 4)
    sync = msgspec.structs.replace(GOOD, refused=refused, failures=7, stale=True)
    tell(
        config,
        version=2,
        trouble="malformed: x",
        keys_trouble="expected a JWKS",
        log_trouble="No space left on device",
    )

    troubles = admin_of(config, sync, keys="expected a key file").status().troubles

    pid = os.getpid()
    assert troubles == [
        "sync: bad-signature: expected a signature (7 in a row)",
        "snapshot: past its date; publish a new one or renew it",
        "keys: expected a key file",
        f"worker {pid}: snapshot: malformed: x",
        f"worker {pid}: keys: expected a JWKS",
        f"worker {pid}: event log: not written: No space left on device",
        f"worker {pid}: serves version 2, not 3",
    ]


async def test_uploads_are_told_with_what_waits_and_what_went_wrong(config: Config) -> None:
    tell(config)
    uploads = UploadStatus(
        to="s3://shop",
        waiting=3,
        waiting_bytes=2_000,
        oldest_s=NOW_S - 60,
        dropped=7,
        trouble="expected an answer, 503",
        failures=4,
    )
    admin = Admin(config, lambda: GOOD, lambda: None, clock=Clock(), uploads=lambda: uploads)

    told = (await ask(admin, "GET", "/status")).json()
    series = (await ask(admin, "GET", "/metrics")).text

    assert told["uploads"]["waiting"] == 3
    assert told["troubles"] == ["uploads: expected an answer, 503 (4 in a row); 3 event files wait"]
    assert told["events"] == {'edgewise_log_dropped_total{reason="spool-full"}': 7}
    for line in (
        'edgewise_log_dropped_total{reason="spool-full"} 7',
        "edgewise_upload_waiting_files 3",
        "edgewise_upload_waiting_bytes 2000",
        f"edgewise_upload_oldest_seconds {NOW_S - 60:.0f}",
        "edgewise_upload_failures 4",
        "# TYPE edgewise_upload_files_total counter",
    ):
        assert line in series


def test_missing_workers_and_draining_are_told(config: Config) -> None:
    assert admin_of(config).status().troubles == ["workers: expected 1, 0 have reported"]
    tell(config)
    (config.run_dir / DRAINING).touch()

    status = admin_of(config).status()

    assert status.is_draining
    assert status.summary.startswith("stopping: ")


def test_reports_of_the_dead_and_half_written_ones_are_passed_over(config: Config) -> None:
    tell(config)
    tell(config, pid=2**22 + 7)
    (config.run_dir / "5.json").write_bytes(b'{"pid":')

    assert [report.pid for report in reports(config.run_dir)] == [os.getpid()]


async def test_metrics_are_prometheus_text(config: Config) -> None:
    refused = Refusal("rollback", "x", NOW_S)
    admin = admin_of(config, msgspec.structs.replace(GOOD, refused=refused))

    reply = await ask(admin, "GET", "/metrics")

    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "edgewise_snapshot_version 3\n" in reply.text
    assert 'edgewise_sync_refused{reason="rollback"} 1\n' in reply.text
    assert f"edgewise_sync_next_poll_seconds {int(GOOD.next_poll_at_s)}\n" in reply.text
    assert "edgewise_snapshot_from_disk 0\n" in reply.text


async def test_explain_tells_the_steps_in_sentences(config: Config) -> None:
    admin = admin_of(config, served=snapshot(3))
    question = {"slot": "hero", "facts": {"segments": ["loyal"]}, "grants": ["personalization"]}

    told = (await ask(admin, "POST", "/explain", json=question)).json()

    assert (told["fragment"], told["reason"], told["snapshot"]) == ("hero/loyal", "MATCH", 3)
    said = "hero shows hero/loyal because segments contains loyal (rule again)"
    assert told["sentences"][-1] == told["because"] == said
    assert "why_not" not in told


async def test_explain_decides_as_the_workers_do_under_a_control_and_past_the_date(
    config: Config,
) -> None:
    again = rule("again", '"loyal" in segments', show="hero/loyal", stale="default")
    question = {"slot": "hero", "facts": {"segments": ["loyal"]}, "grants": ["personalization"]}
    question["why_not"] = "again"
    pauses = Pauses(channel="live", number=1, paused=(Paused(kind="rule", id="again", since_s=1),))
    for changes, said in (
        ({"stale": True}, "rule again matched, and does not serve from a snapshot past its date"),
        ({"pauses": pauses}, "rule again matched, and is paused"),
    ):
        sync = msgspec.structs.replace(GOOD, **changes)
        admin = admin_of(config, sync, snapshot(3, rules=[again]))

        told = (await ask(admin, "POST", "/explain", json=question)).json()

        assert (told["fragment"], told["reason"]) == ("hero/welcome", "DEFAULT")
        assert said in told["sentences"]
        assert told["why_not"][0] == said


async def test_what_is_paused_is_told_and_what_is_not_there_to_be_paused(config: Config) -> None:
    gone = Paused(kind="rule", id="gone", since_s=1)
    slots = (Paused(kind="slot", id=name, since_s=1) for name in ("hero", "attic"))
    pauses = Pauses(channel="live", number=2, paused=(gone, *slots))
    sync = msgspec.structs.replace(GOOD, pauses=pauses, control_trouble="rollback: older")
    tell(config, control=1)
    status = admin_of(config, sync, snapshot(3)).status()

    assert "rule gone and 2 more paused" in status.summary
    assert status.troubles == [
        "control: rollback: older",
        f"worker {os.getpid()}: obeys control 1, not 2",
        "control: rule gone is paused, and version 3 has none",
        "control: slot attic is paused, and version 3 has none",
    ]


async def test_explain_tells_why_a_rule_did_not_take_its_slot(config: Config) -> None:
    admin = admin_of(config, served=snapshot(3))
    question = {"slot": "hero", "facts": {"interest": {"shoes": 12.0}}, "why_not": "shoes"}
    question |= {"grants": ["personalization"]}

    told = (await ask(admin, "POST", "/explain", json=question)).json()

    assert told["why_not"] == [
        'rule shoes did not match: interest["shoes"] 12 is not >= 40',
        "hero shows hero/welcome, its default: no rule took the slot",
    ]
    assert told["conditions"] == [
        {
            "text": 'interest["shoes"] >= 40',
            "holds": False,
            "said": 'interest["shoes"] 12 is not >= 40',
        }
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"slot":"hero","grants":["x"]}', 400),
        (b'{"slot":"hero","why_not":"french"}', 400),
        (b'{"slot":"nowhere","why_not":"french"}', 400),
        (b"x" * 70_000, 413),
    ],
)
async def test_questions_that_make_no_sense_are_problems(
    config: Config, body: bytes, status: int
) -> None:
    reply = await ask(admin_of(config, served=snapshot()), "POST", "/explain", content=body)

    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"


async def test_without_a_snapshot_there_is_nothing_to_explain(config: Config) -> None:
    reply = await ask(admin_of(config), "POST", "/explain", json={"slot": "hero"})

    assert reply.status_code == 503

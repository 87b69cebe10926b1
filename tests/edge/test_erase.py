"""`edgewise erase` and `verify --erased`; and an erasure on its way from one node to another."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard

from decisions.ledger import row_key, visitor_key
from edge.cli import main
from edge.commands.keys import create
from snapshots.eventfiles import path_of
from snapshots.history import read_ledger, read_manifest
from snapshots.keys import PUBLIC_FILE, read_public
from snapshots.manifest import Manifest
from snapshots.publish import erased_in
from snapshots.store import open_writable
from tests.decisions.written import rule
from tests.edge.nodes import PERSON, Node, publish, wait_until

VISITOR = "0190f5a0-0000-7000-8000-000000000001"
SHOES = [rule("shoes", 'interest["shoes"] >= 10', show="hero/shoes")]


class Publisher:
    """A store with one version, its keys, and what commands are told of both."""

    def __init__(self, folder: Path) -> None:
        create(folder / "keys")
        (folder / "store").mkdir()
        publish(folder)
        self.folder, self.logs = folder, folder / "logs"
        self.logs.mkdir()
        self.words = [str(folder / "store"), "--keys", str(folder / "keys")]
        self.keys = read_public(folder / "keys" / PUBLIC_FILE)
        self.store = open_writable(str(folder / "store"))

    @property
    def salt(self) -> str:
        ledger = read_ledger(self.store, self.keys).ledger
        assert ledger is not None
        return ledger.salt

    def newest(self, channel: str = "live") -> Manifest:
        found = read_manifest(self.store, channel, self.keys)
        assert found is not None
        return found

    def log(self, *rows: dict[str, Any], file: str = "n-1-1.ndjson") -> None:
        lines = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
        (self.logs / file).parent.mkdir(exist_ok=True, parents=True)
        (self.logs / file).write_text(lines)


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher(tmp_path)


def asked(visitor: str = "00000000000000fe", **more: Any) -> dict[str, Any]:
    return {"id": "a", "type": "erase", "received": int(time.time()), "visitor": visitor, **more}


def test_who_asked_in_a_log_is_listed_by_hash_and_by_no_name(
    publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    view = {"id": "b", "type": "product_view", "received": 1.0, "item": '"erase"'}
    publisher.log(view, asked(customer="00000000000000ff"))
    publisher.log(asked("00000000000000fd"), file="day/n-2-1.ndjson")
    at_s = int(time.time())

    assert main(["erase", *publisher.words, "--events", str(publisher.logs)]) == 0

    said = capsys.readouterr().out
    assert said.startswith("published live version 2, good until 20")
    assert said.endswith(": 3 asked for, all of them listed\n")
    times = erased_in(publisher.store, publisher.newest())
    assert times.keys() == {255, 254, 253}
    assert all(abs(each - at_s) < 60 for each in times.values())


def test_a_run_with_nothing_new_makes_no_version(
    publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    publisher.log(asked())
    words = ["erase", *publisher.words, "--events", str(publisher.logs)]
    assert main(words) == 0
    capsys.readouterr()

    assert main(words) == 0
    assert capsys.readouterr().out == "nothing new: 1 asked for, every channel lists them\n"
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"asked": 1, "made": []}
    assert publisher.newest().version == 2


def test_every_channel_of_the_store_lists_them_or_the_one_that_is_named(
    publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["promote", *publisher.words, "live", "staging"]) == 0
    capsys.readouterr()

    words = ["erase", *publisher.words, "--json"]
    assert main([*words, "--visitor", VISITOR, "--channel", "staging"]) == 0
    (made,) = json.loads(capsys.readouterr().out)["made"]
    assert (made["channel"], made["version"]) == ("staging", 2)
    assert publisher.newest().version == 1

    assert main([*words, "--customer", "ann", "--customer", "bob"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["asked"] == 2
    assert [(one["channel"], one["version"]) for one in told["made"]] == [
        ("live", 2), ("staging", 3),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ('{"id":"a","type":"erase","received":"x"}', "Expected `float`, got `str`"),
        (
            '{"id":"f","type":"erase","received":4294967296,"visitor":"00000000000000fe"}',
            "expected a time before 2106, got 4294967296",
        ),
        ('{"id":"a","type":"erase","received":1}', "expected a hash of 16 hex digits, got ''"),
        (f'{{"id":"a","type":"erase","received":1,"visitor":"{VISITOR}"}}', f"got {VISITOR!r}"),
        (
            '{"id":"c","type":"erase","received":1,"visitor":"00000000000000fe","customer":"12"}',
            "digits, got '12'",
        ),
        ('{"id":"a","type":"erase"', "Input data was truncated"),
    ],
)
def test_one_row_that_cannot_be_read_stops_it_all_and_is_named(
    publisher: Publisher, row: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    publisher.log(asked())
    seen = '{"id":"b","type":"seen","received":1}'
    (publisher.logs / "z-1-1.ndjson").write_text(f"{seen}\n{row}\n")

    assert main(["erase", *publisher.words, "--events", str(publisher.logs)]) == 1

    said = capsys.readouterr().err
    assert says in said
    assert "at z-1-1.ndjson:2" in said
    assert publisher.newest().version == 1


def test_a_file_that_is_being_written_waits_for_the_next_run(publisher: Publisher) -> None:
    (publisher.logs / "z-1-1.ndjson.part").write_text('{"type":"erase","received":1,"vis')

    assert main(["erase", *publisher.words, "--events", str(publisher.logs)]) == 0
    assert publisher.newest().version == 1


def test_without_ids_it_reads_what_nodes_sent_to_the_store(
    publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    row = json.dumps(asked()).encode() + b"\n"
    publisher.store.create(path_of(time.time(), "n-1-1.ndjson.zst"), zstandard.compress(row))

    assert main(["erase", *publisher.words, "--json"]) == 0

    assert json.loads(capsys.readouterr().out)["asked"] == 1
    assert publisher.newest().version == 2


def test_a_subject_is_listed_by_either_id_and_with_the_visitors_who_were_that_customer(
    publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    salt = publisher.salt
    ann, bob = row_key(salt, "ann"), row_key(salt, "bob")
    view = {"id": "b", "type": "seen", "received": 1.0}
    publisher.log(
        view | {"visitor": "0" * 15 + "a", "customer": ann},
        view | {"visitor": "0" * 15 + "b", "customer": bob},
        view | {"visitor": "0" * 15 + "c"},
        view | {"id": "c", "customer": ann},
    )
    words = ["erase", *publisher.words, "--events", str(publisher.logs), "--json"]

    assert main([*words, "--subject", "ann", "--subject", VISITOR]) == 0

    assert json.loads(capsys.readouterr().out)["asked"] == 3
    times = erased_in(publisher.store, publisher.newest())
    assert times.keys() == {int(ann, 16), visitor_key(salt, VISITOR), 10}


def test_for_a_subject_the_whole_log_of_the_store_is_read_and_for_who_asked_the_last_month(
    publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    old_s = time.time() - 200 * 86_400
    row = asked("0" * 15 + "a", customer=row_key(publisher.salt, "ann")) | {
        "type": "seen", "received": old_s,
    }  # fmt: skip
    packed = zstandard.compress(json.dumps(row).encode() + b"\n")
    publisher.store.create(path_of(old_s, "n-1-1.ndjson.zst"), packed)
    packed = zstandard.compress(json.dumps(row | {"type": "erase"}).encode() + b"\n")
    publisher.store.create(path_of(old_s, "n-1-2.ndjson.zst"), packed)

    words = ["erase", *publisher.words, "--json"]
    assert main([*words]) == 0
    assert json.loads(capsys.readouterr().out)["asked"] == 0
    assert main([*words, "--subject", "ann"]) == 0
    assert json.loads(capsys.readouterr().out)["asked"] == 2
    assert main([*words, "--subject", "ann", "--days", "7"]) == 0
    assert json.loads(capsys.readouterr().out)["asked"] == 1


def test_what_it_cannot_do_it_says(
    publisher: Publisher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["erase", *publisher.words, "--events", str(tmp_path / "no")]) == 1
    assert "expected a folder of event files, got nothing there" in capsys.readouterr().err

    (tmp_path / "empty").mkdir()
    words = [str(tmp_path / "empty"), "--keys", str(tmp_path / "keys"), "--visitor", "x"]
    assert main(["erase", *words]) == 1
    assert "publish a version first" in capsys.readouterr().err


def test_verify_proves_that_a_version_forgets_somebody(
    publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    verify = ["verify", *publisher.words, "--erased", VISITOR]
    assert main(verify) == 1
    said = capsys.readouterr().out
    assert said.startswith(f"NOT     {visitor_key(publisher.salt, VISITOR):016x} is not listed")

    assert main(["erase", *publisher.words, "--visitor", VISITOR]) == 0
    capsys.readouterr()

    assert main(verify) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"erased  {visitor_key(publisher.salt, VISITOR):016x}, asked for at 20")
    assert said.endswith("live version 2, which was checked, lists it; no row in its membership\n")
    assert main([*verify, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["version"], told["is_member"]) == (2, False)
    assert abs(told["asked_at_s"] - time.time()) < 60


def test_a_version_that_is_broken_proves_nothing(
    publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["erase", *publisher.words, "--visitor", VISITOR])
    part = publisher.newest().part("erased")
    assert part is not None
    (publisher.folder / "store" / "parts" / part.sha256).write_bytes(b"x" * part.bytes)

    assert main(["verify", *publisher.words, "--erased", VISITOR]) == 1
    assert "WRONG   erased: hash-mismatch" in capsys.readouterr().out


def test_who_asks_one_node_is_forgotten_by_the_next_and_by_whatever_is_published_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole way: DELETE at one node, its upload, `erase`, and the other node's next poll."""
    first = Node(tmp_path, "--workers", "2", "--dev", "--log-file-s", "0.3", demo=True)
    second = Node(tmp_path, "--workers", "2", "--dev", demo=True)
    second.command[second.command.index("--cache") + 1] = str(tmp_path / "cache2")
    words = [str(tmp_path / "store"), "--keys", str(tmp_path / "keys")]
    publish(tmp_path, rules=SHOES, fragments={"hero/shoes": "<p>Shoes</p>"})
    with first.running(), second.running():
        wait_until(lambda: first.answers("readyz") == 200 == second.answers("readyz"))
        cookies = _shopper(first)
        assert {_hero(second, cookies) for _ in range(6)} == {"<p>Shoes</p>"}

        reply = httpx.delete(f"{first.url}/v1/me", headers={"cookie": cookies})
        assert reply.json() == {"visitor": True, "customer": False}
        wait_until(lambda: {_hero(first, cookies) for _ in range(8)}.isdisjoint(["<p>Shoes</p>"]))
        assert first.status()["erased"]["waiting"] == 1
        assert _hero(second, cookies) == "<p>Shoes</p>", "nobody has told it yet"

        wait_until(lambda: "published" in _erase(words, capsys))
        published_s = time.monotonic()
        wait_until(lambda: {_hero(second, cookies) for _ in range(8)}.isdisjoint(["<p>Shoes</p>"]))
        assert time.monotonic() - published_s < 10.0

        wait_until(lambda: first.status()["erased"] == {"waiting": 0, "oldest_s": 0, "listed": 1})
        publish(tmp_path, rules=SHOES, fragments={"hero/shoes": "<p>Shoes</p>"})
        wait_until(lambda: second.status()["snapshot"]["version"] == 3)
        for node in (first, second):
            assert {_hero(node, cookies) for _ in range(6)}.isdisjoint(["<p>Shoes</p>"])
            assert "edgewise_erasures_listed 1" in node.metrics()


def _shopper(node: Node) -> str:
    """The cookies of somebody who likes shoes."""
    grants = {"grants": ["functional", "personalization"]}
    told = httpx.put(f"{node.url}/v1/consent", json=grants, headers=PERSON)
    consent = told.headers["set-cookie"].partition(";")[0]
    events = [
        {"type": "product_view", "id": f"e{n}", "item": f"i{n}", "category": "shoes"}
        for n in range(30)
    ]
    headers = {"cookie": consent, **PERSON}
    told = httpx.post(f"{node.url}/v1/visit", json={"events": events}, headers=headers)
    return f"{consent}; {told.headers['set-cookie'].partition(';')[0]}"


def _hero(node: Node, cookies: str) -> str:
    headers = {"cookie": cookies, **PERSON}
    return httpx.get(f"{node.url}/v1/fragments/hero", headers=headers).text


def _erase(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["erase", *words]) == 0
    return capsys.readouterr().out

"""`edgewise export`: all that a store holds of one person, and nothing of anybody else."""

from __future__ import annotations

import json
import stat
import time
from array import array
from pathlib import Path
from typing import Any

import pytest
import zstandard

from decisions.compiling import compile_with_ledger
from decisions.ledger import Ledger, row_key, visitor_key
from edge.cli import main
from snapshots.bundle import Packed, pack
from snapshots.census import Interests, Score, Trait, encode_membership
from snapshots.eventfiles import path_of
from snapshots.keys import PRIVATE_FILE, read_private
from snapshots.membership import FORMATS, NO_INTEREST
from snapshots.publish import publish_built
from snapshots.recommendations import RECOMMENDATIONS, SEEDS
from tests.decisions.written import playbook
from tests.edge.shop import CATALOGUE, recommended
from tests.edge.test_erase import VISITOR, Publisher

BUILT_AT_S = int(time.time()) - 14 * 86_400  # a half-life ago


def with_members(publisher: Publisher, channel: str = "live") -> None:
    """A version in which Ann is a member: loyal, gold, keen on shoes; and Bob is another."""

    def build(ledger: Ledger | None) -> tuple[list[Packed], Ledger]:
        compiled = compile_with_ledger(playbook(), ledger, CATALOGUE)
        parts = _members(compiled.ledger.salt)
        packed = [pack(name, max(FORMATS[name]), raw) for name, raw in parts.items()]
        items, seeds = recommended(compiled.ledger.salt)
        packed += [pack(RECOMMENDATIONS, 1, items), pack(SEEDS, 1, seeds)]
        return [pack("program", 1, compiled.program.encode()), *packed], compiled.ledger

    key = read_private(publisher.folder / "keys" / PRIVATE_FILE)
    publish_built(publisher.store, channel, build, key, now_s=time.time())


def _members(salt: str) -> Any:
    keys = sorted([visitor_key(salt, "ann"), visitor_key(salt, "bob")])
    ann = keys.index(visitor_key(salt, "ann"))
    mine = [number == ann for number in range(2)]
    return encode_membership(
        array("Q", keys),
        built_at_s=BUILT_AT_S,
        segments=[("loyal", bytes(mine)), ("family", bytes(not each for each in mine))],
        traits={"tier": Trait([None, "gold"], bytes(mine))},
        scores={"propensity": Score(bytes(255 * each for each in mine))},
        interests=Interests(
            ["shoes"],
            1,
            array("H", [0 if each else NO_INTEREST for each in mine]),
            array("H", [0x4A00, 0x4A00]),  # 12.0 in half floats
        ),
    )


def view(visitor: str, received: float = 10.0, **more: Any) -> dict[str, Any]:
    return {
        "id": f"{visitor}{received}", "type": "product_view", "received": received,
        "visitor": visitor, "grants": ["analytics"], "policy": "p1", "item": f"of {visitor}",
    } | more  # fmt: skip


def export(
    publisher: Publisher, capsys: pytest.CaptureFixture[str], *words: str, subject: str = "ann"
) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["export", *publisher.words, "--subject", subject, *words]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher(tmp_path)


def test_a_customer_is_told_with_membership_rows_consent_and_experiments(
    publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    with_members(publisher)
    ann, bob = row_key(publisher.salt, "ann"), row_key(publisher.salt, "bob")
    one, two, other = "0" * 15 + "1", "0" * 15 + "2", "0" * 15 + "3"
    x = {"snapshot": 1, "slot": "cart", "rule": "cart-offer", "variant": "code", "phase": 1}
    everything = ["functional", "analytics", "personalization"]
    publisher.log(
        view(one),
        view(one, 20.0, customer=ann, grants=everything),
        view(one, 21.0, type="served", customer=ann, grants=everything, x=x),
        view(one, 22.0, type="seen", grants=everything, x=x),
        view(one, 23.0, type="purchase", grants=everything, x=x),
        view(two, 30.0, customer=ann, x={"snapshot": 1, "slot": "cart", "holdout": "control"}),
        view(other, 40.0, customer=bob),
        view(other, 41.0),
    )

    told = export(publisher, capsys, "--events", str(publisher.logs))

    assert (told["subject"], told["hash"], told["visitors"]) == ("ann", ann, [one, two])
    assert abs(told["made_at"] - time.time()) < 60
    assert told["sources"] == {
        "store": str(publisher.folder / "store"),
        "versions": {"live": 2},
        "events": str(publisher.logs),
    }
    (member,) = told["members"]
    assert member == {
        "channel": "live", "version": 2, "built_at": BUILT_AT_S, "segments": ["loyal"],
        "traits": {"tier": "gold"}, "scores": {"propensity": 1.0}, "interests": {"shoes": 50.0},
        "bought": ["pill", "boots"],
    }  # fmt: skip
    assert [(row["file"], row["line"]) for row in told["events"]] == [
        ("n-1-1.ndjson", line) for line in range(1, 7)
    ]
    assert told["events"][0]["row"] == view(one)
    assert told["consents"] == [
        {"grants": ["analytics"], "policy": "p1", "first": 10.0, "last": 30.0, "rows": 2},
        {"grants": everything, "policy": "p1", "first": 20.0, "last": 23.0, "rows": 4},
    ]
    assert told["experiments"] == [
        {"experiment": "cart-offer", "variant": "code", "phase": 1, "holdout": "",
         "assigned": 21.0, "served": 1, "seen": 1, "acted": 1},
        {"experiment": "", "variant": "", "phase": 0, "holdout": "control",
         "assigned": 30.0, "served": 0, "seen": 0, "acted": 1},
    ]  # fmt: skip
    assert told["erased"] == []
    text = json.dumps(told)
    assert other not in text and bob not in text and "family" not in text


def test_a_visitor_is_told_by_the_id_of_their_cookie(
    publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    hash_ = row_key(publisher.salt, VISITOR)
    row = json.dumps(view(hash_)).encode() + b"\n"
    publisher.store.create(path_of(10.0, "n-1-1.ndjson.zst"), zstandard.compress(row))

    told = export(publisher, capsys, subject=VISITOR)

    assert (told["visitors"], told["members"]) == ([], [])
    assert [one["row"]["visitor"] for one in told["events"]] == [hash_]
    assert told["events"][0]["file"].startswith("events/dt=1970-01-01/hour=00/")


def test_every_channel_is_looked_at_and_says_if_it_lists_them_as_erased(
    publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    with_members(publisher)
    with_members(publisher, "staging")
    words = ["erase", *publisher.words, "--customer", "ann", "--channel", "staging"]
    assert main(words) == 0

    told = export(publisher, capsys)

    assert [(one["channel"], one["version"]) for one in told["members"]] == [
        ("live", 2), ("staging", 2),
    ]  # fmt: skip
    (gone,) = told["erased"]
    assert gone["channel"] == "staging"
    assert abs(gone["asked_at"] - time.time()) < 60


def test_of_a_stranger_it_says_that_nothing_is_held(
    publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    with_members(publisher)
    publisher.log(view("0" * 16))

    told = export(publisher, capsys, "--events", str(publisher.logs), subject="carla")

    for name in ("visitors", "members", "erased", "consents", "experiments", "events"):
        assert told[name] == []


def test_the_file_is_new_and_its_writers_alone(
    publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    out = publisher.folder / "ann.json"
    words = ["export", *publisher.words, "--subject", "ann", "--out", str(out)]

    assert main(words) == 0
    assert capsys.readouterr().err == f"{out}: 0 members, 0 event rows\n"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert json.loads(out.read_text())["subject"] == "ann"

    assert main(words) == 2
    assert "expected a file that is not there yet" in capsys.readouterr().err
    assert main([*words[:-1], str(publisher.folder / "no" / "ann.json")]) == 2
    assert "expected to write a new file, No such file" in capsys.readouterr().err


def test_what_it_cannot_do_it_says(
    publisher: Publisher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    words = [str(tmp_path / "empty"), "--keys", str(tmp_path / "keys"), "--subject", "x"]
    assert main(["export", *words]) == 1
    assert "publish a version first" in capsys.readouterr().err

    (publisher.logs / "n-1-1.ndjson").write_text('{"id": 5}\n')
    words = ["export", *publisher.words, "--events", str(publisher.logs), "--subject", "x"]
    assert main(words) == 1
    assert "at n-1-1.ndjson:1" in capsys.readouterr().err

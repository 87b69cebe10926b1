"""`edgewise diff --population`: the members of two versions, or a folder of data, in; how large the
segments are and for whom it changes, out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.cli import main
from edge.commands import build as build_command
from edge.commands import diff
from snapshots.erased import hashed
from snapshots.keys import publisher_in
from snapshots.reissue import erase
from tests.snapshots.build.market import NOW_S, PLAYBOOK, SEGMENTS, Market, sales
from tests.snapshots.build.test_pipeline import CLOCK_S, Published, built

NOW = ["--now", "2026-01-01"]


@pytest.fixture
def market(tmp_path: Path) -> Market:
    """Version 2 takes nobody but its best customer, 1, for a pet owner; 1 was one already, and so
    was 2 by then."""
    found = Market(tmp_path)
    found.write("segments.yaml", SEGMENTS.replace('orders_90d["pet"]', 'orders_all["bakery"]'))
    built(found)
    found.write("segments.yaml", SEGMENTS)
    built(found)
    return found


def told(market: Market, *words: str) -> int:
    store = str(market.store)
    return main(["diff", f"{store}#live/1", store, "--keys", str(market.keys), *words])


def over_data(market: Market) -> list[str]:
    return ["--population", str(market.data), "--playbook", str(market.playbook), *NOW]


def test_a_folder_of_data_is_asked_with_the_segments_of_either_version(
    market: Market, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(market, *over_data(market)) == 0

    said = capsys.readouterr()
    assert said.out == (
        "live version 1 -> live version 2\n"
        "segments  changed   pet_owner\n"
        "segment pet_owner: 2 -> 1 customers\n"
        "4 of 5 segments are as large as before\n"
        f"asked 4 of 4 customers in {market.data}, as of 2026-01-01 00:00:00 UTC\n"
        "hero: 25.00 % of 4 visitors change (1; another fragment: 1)\n"
    )
    assert "live version 1: purchases, sales.parquet\n" in said.err
    assert "live version 2: segments, 12 lines\n" in said.err


def test_other_data_than_the_versions_were_built_from_count_as_they_are(
    market: Market, capsys: pytest.CaptureFixture[str]
) -> None:
    bread = "bread", "2025-12-30T12:00:00", 2.50, 1, 0.0
    market.put("sales", sales([(who, who, *bread) for who in range(10, 30)]))

    assert told(market, *over_data(market), "--json") == 0

    found = json.loads(capsys.readouterr().out)
    assert found["sizes"]["pet_owner"] == {"old": 20, "new": 0}
    assert found["population"]["known"] == [24, 24], "four more have traits and bought nothing"
    assert found["slots"]["hero"] == {"visitors": 24, "moved": 20, "changed": 20, "errors": 0}


def test_the_members_of_the_two_versions_are_asked_as_each_knows_them(
    market: Market, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(market, "--population", "members", *NOW) == 0

    said = capsys.readouterr()
    assert "segment pet_owner: 2 -> 1 customers\n" in said.out
    assert "asked 4 of 4 members of live version 1 and 4 of live version 2\n" in said.out
    assert "hero: 25.00 % of 4 visitors change (1; another fragment: 1)\n" in said.out
    assert said.err == "reading the members\n"


def test_a_sample_is_so_many_and_the_same_each_time(
    market: Market, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert told(market, "--population", "members", "--sample", "3", *NOW, "--json") == 0
    one = capsys.readouterr().out
    assert told(market, *over_data(market), "--sample", "3", "--json") == 0
    other = json.loads(capsys.readouterr().out)

    first = json.loads(one[: len(one) // 2])
    assert one == one[: len(one) // 2] * 2
    assert first["population"] == {
        "of": "members",
        "visitors": 3,
        "now_s": 1767225600.0,
        "known": [4, 4],
    }
    assert other["population"]["visitors"] == 3
    assert other["slots"] == first["slots"], "the same three, known by the same keys"
    assert told(market, "--population", "members", "--sample", "0", *NOW) == 0
    assert "asked 4 of 4 members" in capsys.readouterr().out


def test_a_first_version_without_data_knows_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    market = Market(tmp_path)
    (market.playbook / "sources.yaml").rename(market.playbook / "later")
    built(market, data=False)
    (market.playbook / "later").rename(market.playbook / "sources.yaml")
    built(market)

    for words in (["--population", "members", *NOW], over_data(market)):
        assert told(market, *words) == 0
        said = capsys.readouterr().out
        assert "segment gold: none -> 2 customers\n" in said
        assert "hero: 25.00 % of 4 visitors change (1; another fragment: 1)\n" in said


def test_who_is_erased_in_the_new_version_is_not_asked_by_what_was_known(
    market: Market, capsys: pytest.CaptureFixture[str]
) -> None:
    published = Published(market)
    private, _ = publisher_in(market.keys)
    times = hashed(published.program().key_salt, {"1": NOW_S})
    erase(published.store, "live", times, private, published.keys, now_s=CLOCK_S)

    assert told(market, *over_data(market), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["population"]["known"] == [3, 3]
    assert found["sizes"]["pet_owner"] == {"old": 1, "new": 0}
    assert told(market, "--population", "members", *NOW) == 0
    assert "hero: 50.00 % of 4 visitors change" in capsys.readouterr().out


def test_long_asking_says_how_far_it_is(
    market: Market, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diff, "SAY_EVERY_S", 0.0)
    assert told(market, "--population", "members", *NOW) == 0
    assert "asked 1\nasked 2\nasked 3\nasked 4\n" in capsys.readouterr().err


def test_options_that_do_not_go_together_are_refused_with_their_place(
    market: Market, capsys: pytest.CaptureFixture[str]
) -> None:
    data, playbook = str(market.data), str(market.playbook)
    for words, complaint in (
        (["--population", data], f"what the columns mean - at --population {data}"),
        (["--playbook", playbook], "folder of data, got none - at --playbook"),
        (["--population", "members", "--playbook", playbook], "got members - at --playbook"),
        (["--population", "-", "--sample", "3"], "everybody is asked - at --sample"),
        (["--population", "members", "--sample", "-1"], "expected 0 or more, got -1 - at --sample"),
    ):
        assert told(market, *words) == 2
        assert complaint in capsys.readouterr().err


def test_a_playbook_without_sources_is_told(
    market: Market, capsys: pytest.CaptureFixture[str]
) -> None:
    (market.playbook / "sources.yaml").unlink()
    assert told(market, *over_data(market)) == 1
    assert "sources.yaml:1:1: error: expected a file that says which" in capsys.readouterr().err


def test_members_of_two_stores_are_not_compared(
    market: Market, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").mkdir()
    other = Market(tmp_path / "other")
    other.write("playbook.yaml", PLAYBOOK.replace("name: market", "name: bazaar"))
    built(other)

    words = [str(market.store), str(other.store), "--population", "members"]

    assert main(["diff", *words]) == 2
    assert (
        "expected two versions that know their members by the same keys" in capsys.readouterr().err
    )


def test_data_need_the_build_extra_and_members_do_not(
    market: Market, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_command, "NEEDED", ("no_such_package",))
    assert told(market, "--population", "members") == 0
    assert told(market, *over_data(market)) == 1
    assert "no_such_package is not installed: pip install" in capsys.readouterr().err

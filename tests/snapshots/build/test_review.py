"""What a build would change is looked at before it is published, and too much is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from decisions.changes import Share
from edge.cli import main
from snapshots.build.report import BuildReport
from snapshots.build.review import Policy, Review, judge
from snapshots.errors import Unapproved
from snapshots.manifest import part_path
from snapshots.store import open_writable
from tests.snapshots.build.market import Market, sales
from tests.snapshots.build.test_pipeline import Published, built

GOLD = "- {id: p, slot: hero, when: '\"gold\" in segments', show: hero/pets}\n"
ALL = "- {id: p, slot: hero, when: 'true', show: hero/pets}\n"


def reviewed(market: Market, most_moved: float = 50.0, **how: Any) -> BuildReport:
    return built(market, policy=Policy(most_moved), **how)


def test_a_first_version_has_nothing_to_be_compared_with(market: Market) -> None:
    assert reviewed(market).review is None


def test_what_changes_for_whom_is_reported(market: Market) -> None:
    built(market)
    market.write(
        "rules.yaml", "- {id: p, slot: hero, when: '\"gold\" in segments', show: hero/pets}\n"
    )

    report = reviewed(market, data=False)

    # Of four customers two are gold; one of them had the fragment as a pet owner. And a stranger.
    assert report.review == Review(1, {"hero": Share(visitors=5, moved=1, changed=1)}, {})
    assert report.version == 2


def test_more_than_the_policy_allows_is_refused_and_nothing_is_published(market: Market) -> None:
    built(market)
    market.write("rules.yaml", ALL)

    with pytest.raises(Unapproved) as refused:
        reviewed(market, data=False)

    assert refused.value.too_much == (
        "slot hero: expected at most 50 % of 5 visitors to get another fragment, got 80 %",
    )
    assert "publish it all the same with --approve" in str(refused.value)
    assert Published(market).manifest.version == 1
    assert reviewed(market, 80.0, data=False).version == 2
    assert built(market, data=False).version == 3, "without a policy whatever is published"


def test_a_segment_that_empties_is_refused(market: Market) -> None:
    built(market)
    market.put("sales", sales([(2, 20, "bread", "2025-10-01T08:00:00", 2.50, 1, 0.0)]))

    with pytest.raises(Unapproved) as refused:
        reviewed(market, 100.0)

    assert refused.value.too_much == (
        "segment parent: expected somebody in it, got nobody (1 were)",
        "segment pet_owner: expected somebody in it, got nobody (1 were)",
        "segment steady: expected somebody in it, got nobody (1 were)",
    )


def test_errors_that_there_were_not_are_refused_whatever_the_share() -> None:
    found = Review(3, {"hero": Share(visitors=2_001, errors=7)}, {})
    with pytest.raises(Unapproved, match="slot hero: expected no errors, got 7 of 2,001"):
        judge(found, Policy(100.0))
    judge(Review(3, {"hero": Share(visitors=9, moved=4)}, {}), Policy())


def test_before_there_is_data_only_a_stranger_is_asked(market: Market) -> None:
    (market.playbook / "sources.yaml").unlink()
    built(market, data=False)
    market.write("rules.yaml", ALL)

    assert reviewed(market, 100.0, data=False).review == Review(
        1, {"hero": Share(visitors=1, moved=1, changed=1)}, {}
    )


def test_a_version_that_is_gone_in_part_is_nothing_to_be_compared_with(market: Market) -> None:
    built(market)
    market.write("rules.yaml", ALL)
    program = Published(market).manifest.part("program")
    assert program is not None
    open_writable(str(market.store)).delete(part_path(program))

    assert reviewed(market).review is None


def test_the_command_refuses_approves_and_says_what_changes(
    market: Market, capsys: pytest.CaptureFixture[str]
) -> None:
    built(market)
    market.write("rules.yaml", ALL)
    words = [
        "build",
        str(market.playbook),
        "--store",
        str(market.store),
        "--keys",
        str(market.keys),
    ]

    assert main(words) == 1
    told = capsys.readouterr()
    assert "slot hero: expected at most 50 % of 5 visitors" in told.err
    assert "published" not in told.out
    assert main([*words, "--most-moved", "80"]) == 0
    assert "changes   hero for 80 % of 5 visitors, against version 1" in capsys.readouterr().out
    market.write("rules.yaml", "[]")
    assert main([*words, "--approve"]) == 0
    assert json.loads(Published(market).parts["record"])["customers"] == 4

"""`edgewise audit verify`: what was written by real sinks holds together, and what was touched does
not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.cli import main
from edge.cookies import Choice
from edge.metrics import Metrics
from edge.sinks.consents import ConsentRows
from edge.sinks.logged import LoggedSink
from edge.sinks.trail import Trail
from snapshots.eventlog import EventLog
from tests.edge.shop import NOW_S, Clock


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """The event files of two workers who wrote two choices each, one of them of nobody."""
    folder = tmp_path / "events"
    for worker in (1, 2):
        sink = LoggedSink(EventLog(folder, "node", worker, clock=Clock()), Metrics(), 10)
        trail = Trail(tmp_path)
        for visitor in ("ab" * 8, ""):
            choice = Choice(5, NOW_S, "banner", "2026-11")
            sink.put(ConsentRows(trail, choice, NOW_S + worker, visitor, "", ""))
        sink.close()
    return folder


def verify(events: Path, *more: str) -> int:
    return main(["audit", "verify", str(events), *more])


def test_what_workers_wrote_holds_together(
    events: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(events, "--of", "ab" * 8) == 0

    said = capsys.readouterr().out.splitlines()
    assert "4 records, 1 to 4, ends with" in said[0]
    assert said[1].startswith(
        "agreed 2026-11-18 11:06:41 UTC: functional, personalization, by banner, to text '2026-11'"
        " (record 1 of "
    )
    assert said[-1].startswith("2 proven to be of somebody, 2 of nobody in particular, 0 whose row")


def test_a_record_that_was_removed_is_named(
    events: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(events, "--json") == 0
    before = tmp_path / "before.json"
    before.write_text(capsys.readouterr().out)
    last = max(events.iterdir())
    last.unlink()

    assert verify(events) == 0  # nobody can tell from what is left
    assert verify(events, "--since", str(before)) == 1
    assert "WRONG  trail " in capsys.readouterr().out
    assert verify(events, "--since", str(before), "--json") == 1
    assert "which was there before" in json.loads(capsys.readouterr().out)["problems"][0]


@pytest.mark.parametrize(("text", "why"), [(None, "No such file"), ("{}", "missing required")])
def test_an_earlier_report_that_is_none_is_refused(
    events: Path, tmp_path: Path, text: str | None, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tmp_path / "before.json"
    if text is not None:
        before.write_text(text)

    assert verify(events, "--since", str(before)) == 2
    assert why in capsys.readouterr().err


def test_a_choice_to_no_text_of_nothing_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "events"
    sink = LoggedSink(EventLog(folder, "node", 1, clock=Clock()), Metrics(), 10)
    sink.put(ConsentRows(Trail(tmp_path), Choice(0, NOW_S, "settings"), NOW_S, "cd" * 8, "", ""))
    sink.close()

    assert verify(folder, "--of", "cd" * 8) == 0
    assert "nothing, by settings, to a text without a version" in capsys.readouterr().out

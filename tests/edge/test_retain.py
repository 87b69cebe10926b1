"""`edgewise retain`: what is too old, or of who is forgotten, leaves the store."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from decisions.ledger import row_key
from edge.cli import main
from edge.commands.keys import create
from snapshots.eventfiles import Logged, open_events, path_of, read_rows
from snapshots.history import read_ledger
from snapshots.keys import PUBLIC_FILE, read_public
from snapshots.spool import compress
from snapshots.store import open_writable
from tests.edge.nodes import publish
from tests.snapshots.test_eventfiles import line

DAY_S = 86_400.0
GRANTS = ["functional", "analytics"]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a row of today, one of 40 days ago, and one of 400."""
    folder = tmp_path / "store"
    for number, days in enumerate((0, 40, 400)):
        lay(folder, f"{days}", days, number)
    return folder


def lay(folder: Path, id_: str, days: float, number: int, visitor: str = "") -> None:
    at_s = time.time() - days * DAY_S
    data = compress(line(id_, received=at_s, grants=GRANTS, visitor=visitor))
    open_writable(str(folder)).create(path_of(at_s, f"paris-2-{number}.ndjson.zst"), data)


def kept(store: Path) -> dict[str, list[str]]:
    events = open_events(str(store))
    return {placed.row.id: placed.row.grants for placed in read_rows(events, Logged)}


def test_a_dry_run_says_what_would_go_and_a_run_removes_it(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["retain", str(store), "--days", "90", "--purpose", "analytics=30"]

    assert main([*words, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "can go     events/dt=" in said
    assert "can go 1 files, to rewrite 1: 0.00 MiB" in said
    assert len(kept(store)) == 3

    assert main(words) == 0
    said = capsys.readouterr().out
    assert "removed 1 files, rewritten 1: " in said
    assert "0 rows gone (0 of erased visitors), 1 with fewer grants" in said
    assert kept(store) == {"0": GRANTS, "40": ["functional"]}

    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["dry_run"] is False
    assert (told["found"]["removed"], told["found"]["rewritten"]) == ([], [])


def test_rows_of_who_is_forgotten_go_with_the_next_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys, store = tmp_path / "keys", tmp_path / "store"
    create(keys)
    publish(tmp_path)
    ledger = read_ledger(open_writable(str(store)), read_public(keys / PUBLIC_FILE)).ledger
    assert ledger is not None
    for number, visitor in enumerate(("ann", "ben")):
        lay(store, visitor, 1, number, visitor=row_key(ledger.salt, visitor))
    assert main(["erase", str(store), "--keys", str(keys), "--visitor", "ann"]) == 0

    lay(tmp_path / "logs", "of ann", 1, 0, visitor=row_key(ledger.salt, "ann"))
    for words in ([str(store)], [str(tmp_path / "logs"), "--bundles", str(store)]):
        assert main(["retain", *words, "--keys", str(keys), "--days", "30"]) == 0
        assert "1 rows gone (1 of erased visitors)" in capsys.readouterr().out

    assert list(kept(store)) == ["ben"]
    assert kept(tmp_path / "logs") == {}


def test_a_list_that_nobody_can_believe_stops_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create(tmp_path / "keys")
    publish(tmp_path)
    words = ["retain", str(tmp_path / "store"), "--days", "30", "--keys", str(tmp_path / "none")]
    assert main(words) == 1
    assert "expected a key file" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_told_and_fails_the_run(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (broken,) = store.rglob("paris-2-1.ndjson.zst")
    broken.write_bytes(b"nothing")
    assert main(["retain", str(store), "--days", "39.5"]) == 1
    said = capsys.readouterr().out
    assert "LEFT       expected a zstd frame" in said
    assert "removed 1 files" in said


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--days", "0"], "expected a number of days above 0, got '0' - at --days"),
        (["--days", "ten"], "expected a number of days above 0, got 'ten' - at --days"),
        (["--days", "inf"], "got 'inf' - at --days"),
        (["--days", "9", "--purpose", "ads=3"], "expected P=N with one of functional, analytics"),
        (["--days", "9", "--purpose", "analytics"], "got '' - at --purpose analytics"),
    ],
)
def test_an_age_that_is_none_is_refused(
    words: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["retain", str(tmp_path), *words]) == 2
    assert why in capsys.readouterr().err

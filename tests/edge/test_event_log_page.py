"""The page on the event log: every field is there, and what it shows runs."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import msgspec
import pytest

from edge.sinks.row import Decided, Row, encode
from snapshots.eventfiles import path_of
from snapshots.spool import compress
from snapshots.store import open_writable
from tests.snapshots.bundles import NOW_S

PAGE = Path(__file__).parent.parent.parent / "docs" / "event-log.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROWS, DECIDED = TEXT.split("`x` holds", 1)


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return str(found)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose `store` has the same decision of nobody three times, one of them a repeat."""
    store = open_writable(str(tmp_path / "store"))
    decided = Decided(snapshot=1, slot="hero", rule="loyal", variant="code")
    served = [
        Row(id="x1", type="served", received=NOW_S + moment, grants=["analytics"], x=decided)
        for moment in (0.25, 0.5)
    ]
    other = Row(id="a", type="product_view", received=NOW_S, visitor="9f2c4b1e00d7a3c8")
    for number, rows in enumerate((served, [other], served[:1])):
        data = compress(b"".join(encode(row) + b"\n" for row in rows))
        store.create(path_of(NOW_S, f"paris-2-{number}.ndjson.zst"), data)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", [field.name for field in msgspec.structs.fields(Row)])
def test_every_field_of_a_row_is_documented(name: str) -> None:
    assert re.search(rf"^\|.*`{name}`.*\|.*\|$", ROWS, re.MULTILINE)


@pytest.mark.parametrize("name", [field.name for field in msgspec.structs.fields(Decided)])
def test_every_field_of_a_decision_is_documented(name: str) -> None:
    assert re.search(rf"^\|.*`{name}`.*\|.*\|$", DECIDED, re.MULTILINE)


def test_the_row_that_is_shown_is_one() -> None:
    shown = block("json").replace("\n", "")
    assert msgspec.json.decode(shown, type=Row, strict=True).item == "beans-1kg"
    assert msgspec.json.decode(shown).keys() <= {f.name for f in msgspec.structs.fields(Row)}


@pytest.mark.usefixtures("folder")
def test_the_query_takes_each_row_once() -> None:
    assert duckdb.execute(block("sql")).fetchall() == [("hero", "loyal", "code", 2)]


@pytest.mark.usefixtures("folder")
def test_the_loop_takes_each_row_once(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block("python"), str(PAGE), "exec"), {})  # noqa: S102 - our own page
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3
    assert said[0].startswith(f"served {NOW_S + 0.25} ['analytics'] events/dt=2026-11-18/hour=11/")

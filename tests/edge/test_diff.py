"""`edgewise diff`: two published versions in; what differs, and for how many visitors, out."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from edge.cli import main
from edge.published import Published
from snapshots.bundle import Packed, check_stored, pack
from snapshots.contents import RECORD
from snapshots.history import read_ledger
from snapshots.keys import PRIVATE_FILE, read_private
from snapshots.manifest import part_path
from snapshots.publish import publish as publish_parts
from snapshots.store import open_writable
from tests.edge.nodes import publish

VISITORS = "\n".join(
    json.dumps(line)
    for line in (
        {"facts": {"interest": {"shoes": 60.0}}, "unit": "one", "grants": ["personalization"]},
        {"facts": {}, "now": "2026-12-24T18:00:00Z"},
        {"facts": {"interest": {"shoes": 90.0}}},
        {"facts": {"interest": {"shoes": 90.0}}, "grants": []},
    )
)


@pytest.fixture
def store(tmp_path: Path) -> str:
    """Version 1 and, with another welcome, version 2; keys beside it."""
    assert main(["keys", "new", str(tmp_path / "keys")]) == 0
    publish(tmp_path)
    publish(tmp_path, "<h1>Hello</h1>")
    return str(tmp_path / "store")


@pytest.fixture
def visitors(tmp_path: Path) -> str:
    """A file of four visitors, with an empty line at its end."""
    path = tmp_path / "visitors.ndjson"
    path.write_text(VISITORS + "\n\n")
    return str(path)


def record(store: str, keys: Path, when: object) -> None:
    """One more version, with the same parts and the builder's record of one segment."""
    opened, key = open_writable(store), read_private(keys / PRIVATE_FILE)
    since = read_ledger(opened, key.public())
    parts = []
    for part in Published(store, "live", None).manifest.parts:
        if part.name != RECORD:
            stored = opened.read(part_path(part), part.bytes)
            check_stored(part, stored)
            parts.append(Packed(part, stored))
    parts.append(pack(RECORD, 1, json.dumps({"segments": {"loyal": when}}).encode()))
    assert since.ledger
    publish_parts(opened, "live", parts, since.ledger, key, since=since, now_s=2e9)


def test_two_versions_are_told_apart_and_the_share_of_visitors_by_slot(
    store: str, visitors: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    keys = ["--keys", str(tmp_path / "keys"), "--now", "2026-12-01"]

    assert main(["diff", f"{store}#live/1", store, *keys, "--population", visitors]) == 0

    said = capsys.readouterr().out
    assert said.startswith("live version 1 -> live version 2\n")
    assert "fragments changed   hero/welcome\n" in said
    assert "hero: 50.00 % of 4 visitors change (2; another fragment: 0)" in said
    assert "promo: 0.00 % of 4 visitors change" in said


def test_the_same_as_json_with_the_population_from_the_standard_input(
    store: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(VISITORS.encode())))

    assert main(["diff", f"{store}#live/1", f"{store}#live", "--population", "-", "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert (told["old"], told["new"]["version"]) == ({"channel": "live", "version": 1}, 2)
    assert told["changes"]["fragments"]["changed"] == ["hero/welcome"]
    assert told["slots"]["hero"] == {"visitors": 4, "moved": 0, "changed": 2, "errors": 0}


def test_of_two_equal_versions_nothing_differs(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()

    assert main(["diff", store, store]) == 0
    assert capsys.readouterr().out == "live version 2 -> live version 2\nnothing differs\n"


def test_a_segment_that_is_computed_otherwise_is_told_from_the_builders_records(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for when in ("orders >= 10", "orders >= 20"):
        record(store, tmp_path / "keys", when)
    capsys.readouterr()

    assert main(["diff", f"{store}#live/3", store]) == 0
    assert "segments  changed   loyal\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nonsense", "expected a visitor: "),
        ('{"unit": "one"}', "missing required field `facts`"),
        ('{"facts": {}, "fact": 1}', "unknown field `fact`"),
        ('{"facts": {}, "grants": ["all"]}', "expected of none, functional"),
        ('{"facts": {}, "now": "soon"}', "expected a time such as"),
    ],
)
def test_a_line_that_is_no_visitor_is_told_with_its_place(
    line: str, said: str, store: str, visitors: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(visitors).write_text(f'{{"facts": {{}}}}\n{line}\n')

    assert main(["diff", store, store, "--population", visitors]) == 2
    complaint = capsys.readouterr().err
    assert said in complaint
    assert f"{visitors}:2" in complaint


def test_what_is_not_there_is_told(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", f"{store}#staging", store]) == 1
    assert "channels/staging.jws" in capsys.readouterr().err
    assert main(["diff", f"{store}#live/first", store]) == 2
    assert "expected STORE, STORE#channel or STORE#channel/version" in capsys.readouterr().err
    assert main(["diff", store, store, "--population", str(tmp_path / "none")]) == 2
    assert "expected a file of visitors, No such file" in capsys.readouterr().err


def test_a_record_that_is_none_is_told(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(store, tmp_path / "keys", when=7)

    assert main(["diff", store, store]) == 1
    assert "expected the builder's record: " in capsys.readouterr().err

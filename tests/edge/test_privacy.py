"""`edgewise privacy`: a record of the example that a data protection officer can complete."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from edge.cli import main
from edge.commands.privacy import CONTROLLER

GROCER = Path(__file__).parent.parent.parent / "examples" / "grocer"


def told(capsys: pytest.CaptureFixture[str], *words: str, playbook: Path = GROCER) -> str:
    capsys.readouterr()
    assert main(["privacy", str(playbook), *words]) == 0
    return capsys.readouterr().out


def test_the_record_has_every_heading_and_marks_what_is_the_controllers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = told(capsys)

    assert re.findall(r"^## (.*)$", text, re.M) == [
        "Who", "Purposes", "Sensitive values", "Where it lies, and how long", "What is not kept",
        "Rights of visitors and customers", "Security",
    ]  # fmt: skip
    purposes = re.findall(r"^### (.*)$", text, re.M)
    assert purposes == ["none", "functional", "analytics", "personalization", "sensitive"]
    assert text.count(f"Legal basis: {CONTROLLER}") == len(purposes)
    for line in ("controller, contact", "transfers to third countries", "event log"):
        assert re.search(rf"^\| {line} \|.*{re.escape(CONTROLLER)} \|$", text, re.M), line
    assert "* category: `baby`, `pharmacy`, `alcohol`" in text
    assert "| rule | `wine-evening` | sensitive |" in text
    assert "(390 if not set)" in text and "| 400 days |" in text
    assert told(capsys) == text, "the same playbook, the same bytes"


def test_no_word_of_a_playbook_breaks_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys)

    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_as_json_it_is_what_was_inferred(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found = json.loads(told(capsys, "--json"))

    assert (found["playbook"], found["half_life_days"]) == ("grocer", 14.0)
    personal = next(each for each in found["purposes"] if each["purpose"] == "personalization")
    assert {"kind": "score", "name": "scores.propensity", "needs": ["personalization"],
            "about": "the membership"} in personal["uses"]  # fmt: skip

    out = tmp_path / "record.json"
    assert told(capsys, "--json", "--out", str(out)) == ""
    assert json.loads(out.read_text(encoding="utf-8")) == found


def test_a_playbook_without_sensitive_values_is_asked_about(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["new", str(tmp_path / "own")]) == 0
    settings = tmp_path / "own" / "playbook.yaml"
    kept = re.sub(r"^sensitive_values:.*\n(  .*\n)*", "", settings.read_text(), flags=re.M)
    settings.write_text(kept)

    assert "The playbook declares none." in told(capsys, playbook=tmp_path / "own")


def test_a_purpose_that_is_not_asked_for_is_marked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    own = tmp_path / "grocer"
    shutil.copytree(GROCER, own)
    settings = own / "playbook.yaml"
    settings.write_text(settings.read_text() + "purposes: [functional, personalization]\n")

    text = told(capsys, playbook=own)

    assert text.count("do not list it: no grant reaches any of this.") == 2
    assert text.count("Legal basis: ") == 3


def test_what_it_cannot_do_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["privacy", str(GROCER), "--out", str(tmp_path / "no" / "r.md")]) == 2
    assert "expected to write a file, No such file" in capsys.readouterr().err

    broken = tmp_path / "grocer"
    shutil.copytree(GROCER, broken)
    (broken / "rules.yaml").write_text("- {id: a, slot: nowhere, when: 'true', show: hero/loyal}\n")
    assert main(["privacy", str(broken)]) == 1
    assert "nowhere" in capsys.readouterr().err

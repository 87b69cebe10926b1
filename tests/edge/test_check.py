"""`edgewise check` for people, programs and code hosts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from decisions.lint import WARNINGS
from edge.cli import main
from snapshots.build.scaffold import new_playbook

LEVELS = {"none", "note", "warning", "error"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return new_playbook(tmp_path / "site")


def change(folder: Path, file: str, old: str, new: str) -> None:
    path = folder / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def typed_wrongly(folder: Path) -> None:
    change(folder, "rules.yaml", '"loyal" in segments', '"loyal" in segmnets')


def unused(folder: Path) -> None:
    (folder / "fragments" / "hero" / "lost.html").write_text("<p>Lost</p>", encoding="utf-8")


def checked(capsys: pytest.CaptureFixture[str], folder: Path, *flags: str) -> tuple[int, Any, str]:
    code = main(["check", str(folder), *flags])
    said = capsys.readouterr()
    return code, json.loads(said.out) if flags else said.out, said.err


def test_a_good_playbook_is_summed_up_with_what_each_slot_can_show(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked(capsys, folder) == (
        0,
        "my-site: 3 rules in 1 slot, 1 segment, 4 fragments, 4 tests; no errors, no warnings\n"
        "outcomes: hero 5; a page with all slots can look 5 ways\n",
        "",
    )


def test_warnings_are_told_and_do_not_fail(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unused(folder)
    code, out, err = checked(capsys, folder)
    assert (code, err) == (0, "")
    assert "fragments/hero/lost.html:1:1: warning: nothing shows hero/lost [unused-" in out
    assert "no errors, 1 warning\n" in out


def test_errors_of_every_file_go_to_stderr_with_carets(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed_wrongly(folder)
    (folder / "sources.yaml").write_text("purchases: 3\n", encoding="utf-8")
    code, out, err = checked(capsys, folder)
    assert (code, out) == (1, "")
    assert "unknown name" in err or "unknown attribute" in err
    assert "^^^^^^^^" in err
    assert "sources.yaml:1:" in err


def test_an_event_of_sources_that_no_signal_declares_is_found_before_a_build(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = Path(__file__).parent.parent.parent / "examples" / "grocer"
    text = (example / "sources.yaml").read_text(encoding="utf-8")
    (folder / "sources.yaml").write_text(
        text.replace("top: 8}", "top: 8, bought: [purchase, purhcase]}"), encoding="utf-8"
    )
    code, _, err = checked(capsys, folder)
    assert code == 1
    assert 'is for "purhcase", did you mean purchase? [unknown-event]' in err
    assert f"{' ' * 50}^^^^^^^^" in err


def test_a_finding_beside_expressions_shows_its_line_too(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = (folder / "rules.yaml").read_text(encoding="utf-8").split("id: ", 1)[1].split("\n")[0]
    with (folder / "rules.yaml").open("a", encoding="utf-8") as file:
        file.write(f"- id: {first}\n  slot: heros\n  when: 'true'\n  show: 'hero/no where'\n")
    code, _, err = checked(capsys, folder)
    assert code == 1
    assert f"[duplicate-rule]\n  - id: {first}\n        {'^' * len(first)}\n" in err
    assert "did you mean hero? [unknown-slot]\n    slot: heros\n          ^^^^^\n" in err
    assert "[unknown-fragment]\n    show: 'hero/no where'\n           ^^^^^^^^^^^^^\n" in err


def test_json_has_every_problem_in_place_and_the_outcomes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unused(folder)
    code, told, _ = checked(capsys, folder, "--json")
    assert (code, told["ok"], told["outcomes"]) == (0, True, {"hero": 5})
    (problem,) = told["problems"]
    assert problem == {
        "file": "fragments/hero/lost.html",
        "line": 1,
        "column": 1,
        "severity": "warning",
        "code": "unused-fragment",
        "message": "nothing shows hero/lost",
        "length": 0,
        "text": "",
    }


def test_json_of_a_playbook_with_errors_fails_and_has_no_outcomes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed_wrongly(folder)
    code, told, err = checked(capsys, folder, "--json")
    assert (code, told["ok"], told["outcomes"], err) == (1, False, {}, "")
    assert told["problems"][0]["length"] == len("segmnets")


def test_a_folder_that_is_no_playbook_is_told_in_every_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told, _ = checked(capsys, tmp_path, "--json")
    assert (code, told["problems"][0]["code"]) == (1, "no-playbook")
    code, log, _ = checked(capsys, tmp_path, "--sarif")
    (result,) = log["runs"][0]["results"]
    assert (code, result["ruleId"]) == (1, "no-playbook")
    place = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place["uri"] == (tmp_path / "playbook.yaml").as_uri()
    assert main(["check", str(tmp_path)]) == 1


def test_json_and_sarif_exclude_each_other(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(folder), "--json", "--sarif"]) == 2
    assert "not allowed with" in capsys.readouterr().err


def is_sarif(log: Any) -> bool:
    """What SARIF 2.1.0 requires of a log, and what code hosts require besides."""
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    for run in log["runs"]:
        driver = run["tool"]["driver"]
        assert driver["name"] and driver["version"]
        ids = [rule["id"] for rule in driver["rules"]]
        assert len(ids) == len(set(ids))
        assert all(rule["shortDescription"]["text"] for rule in driver["rules"])
        assert run["columnKind"] in {"utf16CodeUnits", "unicodeCodePoints"}
        for result in run["results"]:
            assert ids[result["ruleIndex"]] == result["ruleId"]
            assert result["level"] in LEVELS
            assert result["message"]["text"]
            (location,) = result["locations"]
            physical = location["physicalLocation"]
            assert "\\" not in physical["artifactLocation"]["uri"]
            region = physical["region"]
            assert region["startLine"] >= 1 and region["startColumn"] >= 1
            assert region.get("endColumn", 10**6) > region["startColumn"]
    return True


def test_sarif_has_what_the_standard_requires(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    code, log, _ = checked(capsys, Path("site"), "--sarif")
    assert (code, is_sarif(log), log["runs"][0]["results"]) == (0, True, [])
    unused(folder)
    code, log, _ = checked(capsys, Path("site"), "--sarif")
    assert (code, is_sarif(log)) == (0, True)
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    assert rules[0]["shortDescription"]["text"] == WARNINGS["unused-fragment"]
    typed_wrongly(folder)
    code, log, _ = checked(capsys, Path("site"), "--sarif")
    assert (code, is_sarif(log)) == (1, True)
    (result,) = log["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "site/rules.yaml"
    assert place["region"]["endColumn"] - place["region"]["startColumn"] == len("segmnets")


def test_sarif_from_inside_the_folder_names_files_as_they_are(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    unused(folder)
    _, log, _ = checked(capsys, Path(), "--sarif")
    location = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "fragments/hero/lost.html"


def test_sarif_of_a_folder_below_the_working_directory_is_relative_however_it_is_called(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    unused(folder)
    _, log, _ = checked(capsys, folder, "--sarif")
    location = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "site/fragments/hero/lost.html"

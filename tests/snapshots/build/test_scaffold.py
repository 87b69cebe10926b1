from __future__ import annotations

from pathlib import Path

import pytest

from decisions.compiling import compile_playbook
from decisions.errors import PlaybookErrors
from decisions.lint import warnings
from decisions.rehearsal import rehearse
from snapshots.build import read_playbook
from snapshots.build.scaffold import files, new_playbook

NOW_S = 1_795_000_000.0


def test_a_new_playbook_passes_its_own_check_and_tests(tmp_path: Path) -> None:
    written = read_playbook(new_playbook(tmp_path / "deep" / "site"))
    program = compile_playbook(written)
    assert warnings(written) == ()
    results = rehearse(program, written.tests, NOW_S)
    assert len(results) >= 4
    assert [result for result in results if not result.passed] == []


def test_everything_is_written_and_nothing_else(tmp_path: Path) -> None:
    folder = new_playbook(str(tmp_path / "site"))
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written == set(files())
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_an_empty_folder_may_be_there_already(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    assert (new_playbook(tmp_path / "site") / "playbook.yaml").exists()


@pytest.mark.parametrize("what", ["a file", "one with files in it"])
def test_nothing_is_overwritten(tmp_path: Path, what: str) -> None:
    target = tmp_path / "site"
    if what == "a file":
        target.write_text("mine")
    else:
        target.mkdir()
        (target / "mine").write_text("mine")
    with pytest.raises(PlaybookErrors, match=f"expected a new or empty folder, got {what}"):
        new_playbook(target)
    assert (target if what == "a file" else target / "mine").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_failure_leaves_nothing_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, *args: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(PlaybookErrors, match="got: No space left on device"):
        new_playbook(tmp_path / "site")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(PlaybookErrors, match="expected a folder to write"):
        new_playbook(tmp_path / "file" / "site")

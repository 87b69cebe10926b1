"""Private files: their owner alone reads them, and whoever reads has a whole one."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from edge import private
from edge.errors import CannotServe


def test_a_file_is_its_owners_and_is_replaced_whole_whatever_an_earlier_try_left(
    tmp_path: Path,
) -> None:
    path = tmp_path / "api.keys.json"
    private.create(path, b"one")
    held = path.open("rb")
    path.with_suffix(".new").write_bytes(b"half")

    private.replace(path, b"two")

    assert (held.read(), path.read_bytes()) == (b"one", b"two")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["api.keys.json"]
    held.close()


def test_a_file_that_is_there_or_has_no_folder_is_said(tmp_path: Path) -> None:
    path = tmp_path / "api.keys.json"
    private.create(path, b"one")
    with pytest.raises(CannotServe, match="expected to write a key file, File exists - at "):
        private.create(path, b"two")
    assert path.read_bytes() == b"one"
    with pytest.raises(CannotServe, match="No such file or directory - at "):
        private.replace(tmp_path / "none" / "api.keys.json", b"two")

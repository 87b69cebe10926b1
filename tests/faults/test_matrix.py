"""Every fault that takes no time, with all that is true of a fault that is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.fault import Fault, judged
from tests.faults.matrix import MATRIX, is_root
from tests.faults.scene import Scene


@pytest.mark.parametrize("fault", [one for one in MATRIX if not one.slow], ids=lambda one: one.name)
def test_a_fault_is_told_and_mended_and_no_reply_shows_it(fault: Fault, tmp_path: Path) -> None:
    if fault.root and not is_root():
        pytest.skip("needs root, which can mount and give up its power over files")
    scene = Scene(tmp_path)
    try:
        told = fault.run(scene)
    finally:
        scene.end()
    assert told.said
    judged(fault, scene)

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from decisions.templates import render

SPEC = Path(__file__).parent.parent / "spec" / "mustache"
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in sorted(SPEC.glob("*.json"))
    for case in json.loads(path.read_text(encoding="utf-8"))["tests"]
]


def test_the_specification_is_here_in_full() -> None:
    assert len(CASES) == 136


@pytest.mark.parametrize("case", CASES)
def test_mustache_follows_its_specification(case: dict[str, Any]) -> None:
    assert render(case["template"], case["data"], case.get("partials")) == case["expected"]

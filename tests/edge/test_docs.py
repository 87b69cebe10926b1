"""Docs are tested: settings, metrics, routes and problems are those that the code has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from edge.app import ROUTES
from edge.config import settings
from tests.edge.settings_table import PAGE, page

ROOT = Path(__file__).parent.parent.parent
OPERATIONS = PAGE.read_text(encoding="utf-8")
HTTP_API = (ROOT / "docs" / "http-api.md").read_text(encoding="utf-8")
SOURCES = {path: path.read_text(encoding="utf-8") for path in (ROOT / "edge").rglob("*.py")}


def test_the_table_of_settings_is_the_one_of_the_code() -> None:
    assert page() == OPERATIONS, "run python -m tests.edge.settings_table"


@pytest.mark.parametrize("entry", ROUTES, ids=lambda entry: f"{entry.method} {entry.path}")
def test_every_route_is_documented(entry: object) -> None:
    path = str(getattr(entry, "path", "")).replace(":path", "")

    assert f"/_ew{path}" in HTTP_API


def test_every_metric_is_documented() -> None:
    named = set(re.findall(r"\"?'?(edgewise_[a-z_]+)[{\"']", "\n".join(SOURCES.values())))

    assert len(named) > 15
    assert not {name for name in named if name not in OPERATIONS and name != "edgewise_log_"}


SERIES = re.compile(r"\bedgewise_[a-z_]+")


def test_alerts_and_dashboard_ask_for_series_that_there_are() -> None:
    table = OPERATIONS.partition("Alert on these first")[0]
    known = {*SERIES.findall(table), "edgewise_decide_seconds_bucket"}
    (alerts,) = re.findall(r"```yaml\n(groups:.*?)```", OPERATIONS, re.DOTALL)
    rules = yaml.safe_load(alerts)["groups"][0]["rules"]
    dashboard = json.loads((ROOT / "docs" / "dashboard.json").read_text(encoding="utf-8"))
    asked = [rule["expr"] for rule in rules]
    asked += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]

    assert len(asked) > 15
    assert {name for expression in asked for name in SERIES.findall(expression)} - known == set()
    assert all(SERIES.search(expression) for expression in asked)


def test_every_problem_is_documented() -> None:
    codes = set(re.findall(r"Refused\(\s*\d{3}, \"([a-z-]+)\"", "\n".join(SOURCES.values())))

    assert len(codes) > 6
    assert {code for code in codes if f"`{code}`" not in HTTP_API} == set()


def test_every_setting_that_the_docs_name_is_one() -> None:
    known = {setting.name for setting in settings()}
    named = set(
        re.findall(
            r"`([a-z]+_(?:days|s|bytes|minute|path|jwks|proxies|header))`", HTTP_API + OPERATIONS
        )
    )

    assert named - known - {"auth_s", "recognised_s"} == set(), "or a claim of sign-in tokens"

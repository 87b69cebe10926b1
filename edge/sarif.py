"""Problems in, a SARIF 2.1.0 log out: the form in which code hosts take findings.

SARIF is an OASIS standard; what is written here is the part of it that hosts show: a rule for each
code, and for each problem its level, its message, its file and its span.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import msgspec

from decisions.errors import Problem
from decisions.lint import WARNINGS

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(problems: Iterable[Problem], folder: str) -> str:
    """The log. folder: of the playbook, as it is called from where hosts look: their names of files
    begin with it."""
    found = list(problems)
    codes = sorted({problem.code for problem in found})
    driver = {
        "name": "edgewise",
        "version": version("edgewise"),
        "rules": [_rule(c) for c in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(problem, codes.index(problem.code), folder) for problem in found],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return msgspec.json.format(msgspec.json.encode(log), indent=2).decode()


def _rule(code: str) -> dict[str, Any]:
    meaning = WARNINGS.get(code, f"{code.replace('-', ' ').capitalize()}.")
    return {"id": code, "shortDescription": {"text": meaning}}


def _result(problem: Problem, rule: int, folder: str) -> dict[str, Any]:
    region = {"startLine": problem.at.line, "startColumn": problem.at.column}
    line_end = (problem.text + "\n").find("\n", problem.start)
    if length := min(problem.length, line_end - problem.start):
        region["endColumn"] = problem.at.column + length
    uri = "/".join(
        part for part in (folder.removesuffix("/"), problem.at.file) if part not in (".", "")
    )
    return {
        "ruleId": problem.code,
        "ruleIndex": rule,
        "level": problem.severity,
        "message": {"text": problem.message},
        "locations": [
            {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}},
        ],
    }

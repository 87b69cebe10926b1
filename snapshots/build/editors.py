"""JSON Schemas of a playbook's files, for editors: made from the structs that read them.

An editor that speaks the YAML language server completes keys and marks typos while they are typed.
What `edgewise check` says counts: it knows the names, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from decisions.consent import NEEDS, PURPOSES
from decisions.errors import PlaybookErrors, Position, Problem
from decisions.events import KEY_FIELDS, VALUE_FIELDS
from decisions.lint import WARNINGS
from decisions.measures import MAX_MOST
from decisions.playbook import PlaybookTest, Rule, SegmentDecl, Settings
from decisions.schema import TYPES
from snapshots.build.sources import Sources

FOLDER = ".schema"  # hidden: no part of the playbook
DIALECT = "http://json-schema.org/draft-07/schema#"  # what YAML language servers speak

_EXPRESSION = {"type": ["string", "boolean"]}  # `when: true` is an expression, too
_ONE_OR_MORE = {
    "anyOf": [{"enum": [*NEEDS, ""]}, {"type": "array", "items": {"enum": list(NEEDS)}}]
}

# What the structs leave to the compiler, which knows the words: (struct, key) → what is narrower.
_NARROWER: Mapping[tuple[str, str], dict[str, Any]] = {
    ("AttributeDecl", "type"): {"enum": list(TYPES)},
    ("AttributeDecl", "purpose"): _ONE_OR_MORE,
    ("AttributeDecl", "needs"): {"enum": ["authenticated", ""]},
    ("RecommendationsDecl", "needs"): {"enum": ["authenticated", ""]},
    ("SegmentDecl", "purpose"): _ONE_OR_MORE,
    ("SegmentDecl", "when"): _EXPRESSION,
    ("Rule", "when"): _EXPRESSION,
    ("Settings", "tags"): {"type": "object", "additionalProperties": _EXPRESSION},
    ("Settings", "purposes"): {"type": "array", "items": {"enum": list(PURPOSES)}},
    ("Settings", "silence"): {"propertyNames": {"enum": list(WARNINGS)}},
    ("InterestGain", "key"): {"enum": sorted(KEY_FIELDS)},
    ("Preference", "key"): {"enum": sorted(KEY_FIELDS)},
    ("ListDecl", "of"): {"enum": sorted(KEY_FIELDS)},
    ("MeasureDecl", "sum"): {"enum": [*sorted(VALUE_FIELDS), ""]},
    ("MeasureDecl", "max"): {"enum": [*sorted(VALUE_FIELDS), ""]},
    ("MeasureDecl", "distinct"): {"enum": [*sorted(KEY_FIELDS), ""]},
    ("MeasureDecl", "most"): {"type": "integer", "minimum": 1, "maximum": MAX_MOST},
    ("MeasureDecl", "per"): {"enum": [*sorted(KEY_FIELDS), ""]},
    ("Goal", "value"): {"enum": [*sorted(VALUE_FIELDS), ""]},
    ("PlaybookTest", "grants"): {"type": "array", "items": {"enum": list(NEEDS)}},
}


def schemas() -> dict[str, bytes]:
    """File name → its JSON Schema, for `playbook.yaml` and its like, and for files in folders."""
    return {
        "playbook.json": _schema("playbook.yaml", Settings, lambda ref: ref),
        "rules.json": _schema("rules.yaml and rules/*.yaml", Rule, _list),
        "segments.json": _schema("segments.yaml and segments/*.yaml", SegmentDecl, _segments),
        "tests.json": _schema("tests.yaml and tests/*.yaml", PlaybookTest, _list),
        "sources.json": _schema("sources.yaml", Sources, lambda ref: ref),
    }


def write_schemas(directory: str | Path) -> Path:
    """The schemas in the folder `.schema` of a playbook; older ones are replaced. Raises
    PlaybookErrors."""
    folder = Path(directory) / FOLDER
    try:
        folder.mkdir(exist_ok=True)
        for name, schema in schemas().items():
            (folder / name).write_bytes(schema)
    except OSError as error:
        message = f"expected a folder to write, got: {error.strerror}"
        problem = Problem(code="unwritable", message=message, at=Position(str(folder)))
        raise PlaybookErrors([problem]) from error
    return folder


def _list(ref: dict[str, Any]) -> dict[str, Any]:
    return {"type": ["array", "null"], "items": ref}


def _segments(ref: dict[str, Any]) -> dict[str, Any]:
    return {"type": ["object", "null"], "additionalProperties": {"anyOf": [_EXPRESSION, ref]}}


def _schema(title: str, struct: type, around: Any) -> bytes:
    (ref,), parts = msgspec.json.schema_components([struct], ref_template="#/definitions/{name}")
    for (name, key), narrower in _NARROWER.items():
        if name in parts:
            was = parts[name]["properties"][key]
            kept = {word: was[word] for word in ("default",) if word in was}
            parts[name]["properties"][key] = kept | narrower
    for part in parts.values():
        if "description" in part:
            part["description"] = " ".join(part["description"].split())
    whole = {"$schema": DIALECT, "title": title, **around(ref), "definitions": parts}
    return msgspec.json.format(msgspec.json.encode(whole, order="sorted"), indent=1) + b"\n"

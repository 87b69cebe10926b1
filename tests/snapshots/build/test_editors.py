"""Schemas for editors: in step with the structs, true of every playbook, strict about typos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from decisions import playbook
from decisions.errors import PlaybookErrors
from edge.cli import main
from snapshots.build.editors import FOLDER, schemas, write_schemas
from snapshots.build.scaffold import new_playbook
from snapshots.build.yaml12 import load

ROOT = Path(__file__).parents[3]
GROCER = ROOT / "examples" / "grocer"
SCHEMAS: dict[str, Any] = {name: json.loads(text) for name, text in schemas().items()}
NAMES = [name.removesuffix(".json") for name in SCHEMAS]
KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}


def fits(value: Any, schema: dict[str, Any], whole: dict[str, Any]) -> bool:
    """As much of JSON Schema as these use; an unknown word fails."""
    unknown = schema.keys() - CHECKS.keys() - {"title", "description", "default", "$schema"}
    assert unknown <= {"definitions", "properties"}, unknown
    return all(check(value, schema[w], schema, whole) for w, check in CHECKS.items() if w in schema)


def typed(value: Any, kinds: Any) -> bool:
    names = [kinds] if isinstance(kinds, str) else kinds
    return any(type(value) in KINDS[name] for name in names)


def members(value: Any, rest: Any, schema: dict[str, Any], whole: dict[str, Any]) -> bool:
    known = schema.get("properties", {})
    return all(
        fits(item, known[key], whole)
        if key in known
        else rest is not False and fits(item, rest, whole)
        for key, item in (value.items() if isinstance(value, dict) else ())
    )


CHECKS: dict[str, Any] = {
    "type": lambda value, kinds, _, __: typed(value, kinds),
    "enum": lambda value, words, _, __: value in words,
    "anyOf": lambda value, some, _, whole: any(fits(value, one, whole) for one in some),
    "items": lambda value, one, _, whole: (
        not isinstance(value, list) or all(fits(item, one, whole) for item in value)
    ),
    "required": lambda value, keys, _, __: not isinstance(value, dict) or set(keys) <= set(value),
    "propertyNames": lambda value, one, _, whole: all(fits(name, one, whole) for name in value),
    "additionalProperties": members,
    "$ref": lambda value, ref, _, whole: fits(
        value, whole["definitions"][ref.rpartition("/")[2]], whole
    ),
}


def accepts(name: str, text: str) -> bool:
    document = load(text, name)
    assert not document.problems
    return fits(document.value, SCHEMAS[f"{name}.json"], SCHEMAS[f"{name}.json"])


@pytest.mark.parametrize("name", NAMES)
def test_the_schemas_in_the_docs_are_those_of_the_structs(name: str) -> None:
    """When this fails: `edgewise schema` made a newer one; copy it to docs/schema."""
    shipped = ROOT / "docs" / "schema" / f"{name}.json"
    assert shipped.read_bytes() == schemas()[f"{name}.json"]


@pytest.mark.parametrize("name", NAMES)
def test_every_file_of_the_example_fits_and_names_its_schema(name: str) -> None:
    text = (GROCER / f"{name}.yaml").read_text(encoding="utf-8")
    assert accepts(name, text)
    first = text.splitlines()[0]
    assert first == f"# yaml-language-server: $schema=../../docs/schema/{name}.json"
    assert (GROCER / first.partition("=")[2]).exists()


def test_every_file_of_a_new_playbook_fits_and_names_its_schema(tmp_path: Path) -> None:
    folder = new_playbook(tmp_path / "site")
    files = sorted(folder.glob("*.yaml"))
    assert len(files) == 4
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert accepts(file.stem, text)
        assert (folder / text.splitlines()[0].partition("$schema=")[2]).exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rules", "- {id: a, slot: hero, when: true, show: hero/a, priorty: 3}"),
        ("rules", "- {id: a, slot: hero, show: hero/a}"),
        ("rules", "- {id: a, slot: hero, when: 'true', experiment: {unit: user, variants: {}}}"),
        ("rules", "id: a"),
        ("playbook", "{name: a, slots: {}, purposes: [marketting]}"),
        ("playbook", "{name: a, slots: {}, silence: {unused: {x: y}}}"),
        ("playbook", "{name: a, slots: {}, attributes: {traits.a: {type: text}}}"),
        ("playbook", "{name: a, slots: {}, signals: [{on: x, interest: {key: shop, add: 1}}]}"),
        ("segments", "loyal: {when: 'true', purpose: shopping}"),
        ("segments", "loyal: 3"),
        ("tests", "- {expect: {hero: a}, grants: [everything]}"),
        ("sources", "purchases: {files: a}"),
    ],
)
def test_what_check_would_refuse_is_marked_while_it_is_typed(name: str, text: str) -> None:
    assert not accepts(name, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rules", ""),
        ("segments", "everybody: true\nloyal: {when: 'true', purpose: [marketing]}"),
        ("playbook", "{name: a, slots: {}, tags: {always: true}}"),
        ("tests", "- {expect: {hero: a}, now: 2026-12-24}"),
    ],
)
def test_what_check_takes_is_not_marked(name: str, text: str) -> None:
    assert accepts(name, text)


def test_every_key_of_a_rule_is_in_its_schema() -> None:
    keys = {field.encode_name for field in msgspec.structs.fields(playbook.Rule)}
    assert SCHEMAS["rules.json"]["definitions"]["Rule"]["properties"].keys() == keys


def test_the_command_writes_them_beside_the_playbook_and_replaces_older_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "rules.json").write_text("{}")
    assert main(["schema", str(tmp_path)]) == 0
    assert "$schema=.schema/rules.json" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / FOLDER).iterdir()} == set(SCHEMAS)
    assert (tmp_path / FOLDER / "rules.json").read_bytes() == schemas()["rules.json"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(PlaybookErrors, match="expected a folder to write"):
        write_schemas(tmp_path / "file")
    assert main(["schema", str(tmp_path / "nothing")]) == 1

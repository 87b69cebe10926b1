from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from decisions import compile_playbook
from decisions.errors import PlaybookErrors, Position
from snapshots.build import read_playbook, reading
from snapshots.build.scaffold import FILES
from tests.damage import damaged, within

SMALL = {
    "playbook.yaml": "name: shop\nslots: {hero: {default: hero/a}}\n",
    "fragments/hero/a.html": "<p>A</p>\n",
}


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def problems(folder: Path, files: dict[str, str | bytes]) -> list[str]:
    with pytest.raises(PlaybookErrors) as raised:
        read_playbook(write(folder, {**SMALL, **files}))
    return [
        f"{problem.at.file}:{problem.at.line}:{problem.at.column}: {problem.message}"
        for problem in raised.value.problems
    ]


RULE = "- {id: %s, slot: hero, when: 'true', show: hero/a}\n"


def test_a_whole_playbook_is_read_with_the_place_of_every_word(tmp_path: Path) -> None:
    written = read_playbook(
        write(
            tmp_path,
            {
                "playbook.yaml": "name: shop\nslots:\n  hero: {default: hero/a}\n"
                "tags:\n  left: cart.items > 0\n  all: true\n",
                "rules.yaml": "- id: one\n  slot: hero\n  when: |\n    a &&\n    b\n  show: a\n",
                "segments.yaml": "loyal: 'x > 3'\nbig:\n  when: \"y > 3\"\n  about: Much\n",
                "tests.yaml": "- expect: {hero: hero/a}\n  given: {segments: [loyal]}\n",
                "fragments/hero/a.html": "\ufeff<p>\r\nA</p>\r\n",
                "fragments/feed/b.json": "{}",
                "fragments/README.md": "read by people",
                "fragments/.hidden.html": "by nobody",
                "sources.yaml": "not: ours",
                ".git": "whatever",
            },
        )
    )
    assert written.settings.name == "shop"
    assert written.settings.tags == {"left": "cart.items > 0", "all": "true"}
    assert [rule.when for rule in written.rules] == ["a &&\nb\n"]
    assert {name: segment.when for name, segment in written.segments.items()} == {
        "loyal": "x > 3",
        "big": "y > 3",
    }
    assert written.tests[0].expect == {"hero": "hero/a"}
    assert {n: (f.text, f.kind, f.file) for n, f in written.fragments.items()} == {
        "feed/b": ("{}", "json", "fragments/feed/b.json"),
        "hero/a": ("<p>\nA</p>", "html", "fragments/hero/a.html"),
    }
    for path, place in {
        ("settings", "slots", "hero", "default"): ("playbook.yaml", 3, 19),
        ("settings", "tags", "left"): ("playbook.yaml", 5, 9),
        ("rules", 0): ("rules.yaml", 1, 3),
        ("rules", 0, "when"): ("rules.yaml", 4, 5),
        ("segments", "loyal"): ("segments.yaml", 1, 1),
        ("segments", "loyal", "when"): ("segments.yaml", 1, 9),
        ("segments", "big"): ("segments.yaml", 2, 1),
        ("segments", "big", "when"): ("segments.yaml", 3, 10),
        ("tests", 0, "expect", "hero"): ("tests.yaml", 1, 18),
        ("fragments", "hero/a"): ("fragments/hero/a.html", 1, 1),
    }.items():
        assert written.where(*path) == Position(*place)


def test_files_are_read_in_name_order_and_counted_through(tmp_path: Path) -> None:
    written = read_playbook(
        write(
            tmp_path,
            {
                **SMALL,
                "rules/20-b.yaml": RULE % "third" + RULE % "fourth",
                "rules/10-a.yaml": RULE % "second",
                "rules.yaml": "\n" + RULE % "first",
                "rules/30-empty.yaml": "# nothing yet\n",
                "segments/a.yaml": "a: 'true'\n",
                "segments/b/c.yaml": "b: true\n",
                "tests/x.yaml": "- expect: {}\n",
            },
        )
    )
    assert [rule.id for rule in written.rules] == ["first", "second", "third", "fourth"]
    assert written.where("rules", 0, "id") == Position("rules.yaml", 2, 8)
    assert written.where("rules", 3, "id") == Position("rules/20-b.yaml", 2, 8)
    assert list(written.segments) == ["a", "b"]
    assert written.segments["b"].when == "true"


def test_an_expression_may_look_like_another_value(tmp_path: Path) -> None:
    rule = "- id: x\n  slot: hero\n  when: true\n  show: hero/a\n"
    written = read_playbook(write(tmp_path, {**SMALL, "rules.yaml": rule}))
    assert written.rules[0].when == "true"


def test_a_folder_is_needed(tmp_path: Path) -> None:
    with pytest.raises(PlaybookErrors, match="expected the folder of a playbook, got nothing"):
        read_playbook(tmp_path / "none")
    (tmp_path / "file").write_text("x")
    with pytest.raises(PlaybookErrors, match="expected the folder of a playbook, got a file"):
        read_playbook(str(tmp_path / "file"))
    with pytest.raises(PlaybookErrors, match=r"expected a file playbook\.yaml, found none"):
        read_playbook(tmp_path)


def test_every_error_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        {
            "playbook.yaml": "name: 3\nslotz: {}\n",
            "rules/a.yaml": "- id: x\n  priorty: 3\n  slot: hero\n- 4\n",
            "rules/b.yaml": "a: [\n",
            "rules/c.yaml": "rules: []\n",
            "rules/d.yml": "[]",
            "segments.yaml": "- loyal\n",
            "segments/b.yaml": "a: {whn: x}\nb: [1]\nc:\nd: x\n",
            "segments/c.yaml": "d: y\ne: {when: z}\n",
            "tests.yaml": "- {expect: {hero: 3}}\n",
            "fragments/hero/a.json": "{}",
            "fragments/hero/c.htm": "",
            "fragments/hero/d.html": b"a\nb\xff",
            "test.yaml": "",
        },
    )
    text = "text (in quotes, if it looks like something else)"
    keys = (
        "id, slot, when, band, show, experiment, with, from, until, hours, once_per_page, cap, hold"
    )
    assert [line.replace(", stale", "") for line in found] == [
        "fragments/hero/a.json:1:1: fragment hero/a is there twice, first as fragments/hero/a.html",
        "fragments/hero/c.htm:1:1: expected .html, got .htm",
        "fragments/hero/d.html:2:1: expected UTF-8, got the byte 0xff",
        "playbook.yaml:1:1: expected the key slots, got none",
        f"playbook.yaml:1:7: expected {text}, got the number 3",
        "playbook.yaml:2:1: unknown key slotz, did you mean slots; expected one of name, slots, "
        "bands, goals, attributes, sensitive_values, signals, measures, lists, tags, interest, "
        "recommendations, holdout, timezone, query_keys, purposes, silence",
        "rules/a.yaml:1:3: expected the key when, got none",
        f"rules/a.yaml:2:3: unknown key priorty, did you mean band; expected one of {keys}",
        f"rules/a.yaml:4:3: expected a map of {keys}, got the number 4",
        "rules/b.yaml:2:1: while parsing a flow node expected the node content, "
        "but found '<stream end>'",
        "rules/c.yaml:1:1: expected a list of rules, got a map",
        "rules/d.yml:1:1: expected .yaml, got .yml",
        "segments.yaml:1:1: expected a map of segments, got a list",
        "segments/b.yaml:1:1: expected the key when, got none",
        "segments/b.yaml:1:5: unknown key whn, did you mean when; "
        "expected one of when, purpose, about",
        "segments/b.yaml:2:1: expected an expression, or a map with when, got a list",
        "segments/b.yaml:3:3: expected an expression, or a map with when, got nothing",
        "segments/c.yaml:1:1: segment d is there twice, first at segments/b.yaml:4",
        "test.yaml:1:1: expected tests.yaml, got test.yaml",
        f"tests.yaml:1:19: expected {text}, got the number 3",
    ]


def test_an_error_shows_the_line_and_a_caret_below_the_word(tmp_path: Path) -> None:
    with pytest.raises(PlaybookErrors) as raised:
        read_playbook(write(tmp_path, {**SMALL, "rules.yaml": "- id: x\n  shwo: hero/a\n"}))
    assert "\n    shwo: hero/a\n    ^^^^" in str(raised.value)


def test_a_playbook_that_cannot_be_read_is_told_once(tmp_path: Path) -> None:
    assert problems(tmp_path, {"playbook.yaml": "a: ["}) == [
        "playbook.yaml:1:5: while parsing a flow node expected the node content, "
        "but found '<stream end>'"
    ]
    assert problems(tmp_path, {"playbook.yaml": b"\xff"}) == [
        "playbook.yaml:1:1: expected UTF-8, got the byte 0xff"
    ]
    assert problems(tmp_path, {"playbook.yaml": ""})[0].startswith(
        "playbook.yaml:1:1: expected a map of name, slots"
    )


def test_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_FRAGMENT_BYTES", 10)
    monkeypatch.setattr(reading, "MAX_FILE_BYTES", 60)
    assert problems(tmp_path, {"fragments/b.html": "x" * 11, "rules.yaml": "#" * 61}) == [
        "fragments/b.html:1:1: expected at most 10 bytes, got more",
        "rules.yaml:1:1: expected at most 60 bytes, got more",
    ]
    monkeypatch.setattr(reading, "MAX_FILES", 1)
    found = problems(tmp_path, {"fragments/b.html": "", "rules.yaml": ""})
    assert found == ["fragments:1:1: expected at most 1 files, got 2"]


def test_what_is_no_file_or_folder_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "playbook.yaml").mkdir(parents=True)
    (tmp_path / "rules").write_text("x")
    with pytest.raises(PlaybookErrors) as raised:
        read_playbook(tmp_path)
    assert [problem.message for problem in raised.value.problems] == [
        "expected a file to read, got Is a directory",
        "expected a folder, got a file",
    ]


def test_reading_needs_none_of_what_the_builder_needs() -> None:
    code = (
        "import sys, snapshots.build\n"
        "sys.exit(any(name.split('.')[0] in ('ibis', 'pyarrow', 'duckdb') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(st.sampled_from(sorted(FILES)), st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_playbook_with_a_damaged_file_is_read_and_compiled_or_refused_with_places(
    tmp_path: Path, name: str, data: st.DataObject
) -> None:
    strange = damaged(FILES[name].encode()) | st.binary(max_size=200)
    folder = write(tmp_path, {**FILES, name: data.draw(strange)})

    try:
        with within(2.0):
            compile_playbook(read_playbook(folder))
    except PlaybookErrors as errors:
        assert errors.problems
        assert all(problem.message and problem.at.file for problem in errors.problems)

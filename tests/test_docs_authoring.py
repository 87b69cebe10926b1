"""The pages for authors: every key is explained, every example is a playbook that passes."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from decisions import errors, playbook
from decisions.compiling import compile_playbook
from decisions.errors import PlaybookErrors
from decisions.placing import place
from decisions.playbook import WrittenPlaybook
from decisions.rehearsal import rehearse
from decisions.schema import BUILT_IN, TYPES
from decisions.templates import parse
from edge.cli import main
from snapshots.build import read_playbook

ROOT = Path(__file__).parent.parent
PLAYBOOK = (ROOT / "docs" / "playbook.md").read_text(encoding="utf-8")
FRAGMENTS = (ROOT / "docs" / "fragments.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)

STRUCTS: list[type[msgspec.Struct]] = [
    playbook.Settings, playbook.Holdout, playbook.SlotDecl, playbook.Goal, playbook.AttributeDecl,
    playbook.InterestGain, playbook.Preference, playbook.MeasureDecl, playbook.ListDecl,
    playbook.Signal,
    playbook.InterestSettings, playbook.Cap, playbook.Variant, playbook.Experiment, playbook.Rule,
    playbook.SegmentDecl,
    playbook.PlaybookTest,
]  # fmt: skip
KEYS = [
    (struct.__name__, field.encode_name)
    for struct in STRUCTS
    for field in msgspec.structs.fields(struct)
]


def blocks(page: str, language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(page) if found == language]


@pytest.mark.parametrize(("struct", "key"), KEYS)
def test_every_key_of_a_playbook_is_explained_and_shown(struct: str, key: str) -> None:
    assert f"`{key}`" in PLAYBOOK, f"the page does not explain {struct}.{key}"
    assert re.search(rf"\b{key}:", "".join(blocks(PLAYBOOK, "yaml"))), "no example has it"


def test_every_type_and_built_in_attribute_is_listed() -> None:
    assert [name for name in TYPES if f"`{name}`" not in PLAYBOOK] == []
    names = [a.name for a in BUILT_IN if f"`{a.name}`" not in PLAYBOOK]
    assert names == []


@pytest.fixture
def documented(tmp_path: Path) -> WrittenPlaybook:
    """The examples of the page as the folder they describe; fragments that it only names are
    empty."""
    for text in blocks(PLAYBOOK, "yaml"):
        if found := re.match(r"# (\w+\.yaml)\n", text):
            (tmp_path / found[1]).write_text(text, encoding="utf-8")
    for name in re.findall(r"\b(?:hero|feed)/\w+\b", PLAYBOOK):
        kind = "json" if name.startswith("feed/") else "html"
        path = tmp_path / "fragments" / f"{name}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}" if kind == "json" else "", encoding="utf-8")
    for text in blocks(PLAYBOOK, "html"):
        if found := re.match(r"<!-- (fragments/\S+) -->\n", text):
            (tmp_path / found[1]).write_text(text, encoding="utf-8")
    return read_playbook(tmp_path)


def test_the_examples_are_a_playbook_that_passes_its_own_tests(documented: WrittenPlaybook) -> None:
    results = rehearse(compile_playbook(documented), documented.tests, 1_795_000_000.0)
    assert len(results) == 9
    assert [str(d) for result in results for d in (*result.differences, *result.faults)] == []


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (
            "{lists: {wish_list: ['4711']}, measures: {searched: {coffee: 2}},"
            " session: {campaign: spring}}",
            "teaser: hero/wanted (MATCH, rule still-wanted)\n",
        ),
        (
            "{interest: {acme: 55.0}, measures: {last_order: -40d}}",
            "teaser: hero/acme (MATCH, rule acme)\n",
        ),
    ],
)
@pytest.mark.usefixtures("documented")
def test_decide_takes_what_events_teach_as_tests_do(
    facts: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(facts))
    assert main(["decide", str(tmp_path), "--slot", "teaser", "--facts", "-"]) == 0
    assert capsys.readouterr().out == said


@pytest.mark.parametrize("kind", ["html", "json"])
def test_every_fragment_on_the_page_may_be_shown(kind: str) -> None:
    found = blocks(FRAGMENTS, kind)
    assert found
    partials = {"parts/card": next((text for text in found if "{{$title}}" in text), "")}
    for text in found:
        _, wrong = place(parse(text, kind, partials), text)
        assert wrong == ()


def test_the_layout_on_the_page_makes_what_it_says() -> None:
    layout, user, made = blocks(FRAGMENTS.partition("\n## Layouts\n")[2], "html")
    template = parse(user, "html", {"parts/card": layout})
    assert template.render({"traits.first_name": "Ada", "cart.items": 2}) == made


def test_the_refusal_on_the_page_is_the_one_that_is_given() -> None:
    text = '<button onclick="go({{cart.items}})">x</button>'
    _, (error,) = place(parse(text), text)
    place_ = f"fragments/hero/cart.html:1:{error.start + 1}"
    head, _, lines = str(error).partition("\n")
    assert f"{place_}: error: {head} [{error.code}]\n{lines}\n" in FRAGMENTS


def raised_codes(*files: str) -> set[str]:
    """The codes that stand in these files' sources, as they are written there."""
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in files)
    direct = re.findall(r'code="([a-z0-9-]+)"|_refuse\(\s*"([a-z0-9-]+)"', text)
    passed = re.findall(
        r'(?:_problem|problem|Mismatch|problem_on)\((?:lines, )?\s*"([a-z0-9-]+)"', text
    )
    return {code for pair in direct for code in pair if code} | set(passed)


def test_every_code_of_reading_is_listed() -> None:
    names = ("reading", "yaml12", "shapes", "scaffold")
    codes = raised_codes(*(f"snapshots/build/{name}.py" for name in names))
    assert len(codes) >= 10
    assert {code for code in codes if f"`{code}`" not in PLAYBOOK} == set()


def test_every_code_of_templates_is_listed() -> None:
    text = "".join(
        (ROOT / "decisions" / f"{name}.py").read_text(encoding="utf-8")
        for name in ("templates", "markup", "jsonform")
    )
    codes = set(re.findall(r'"((?:token|raw|unknown|recursive)-[a-z]+)"', text))
    codes |= {errors.TemplateError.code, "html", "json"}
    assert {code for code in codes if f"`{code}`" not in FRAGMENTS} == set()


def test_a_typo_of_the_page_is_told(documented: WrittenPlaybook) -> None:
    changed: Any = msgspec.structs.replace(
        documented, rules=(msgspec.structs.replace(documented.rules[0], slot="herro"),)
    )
    with pytest.raises(PlaybookErrors, match="did you mean hero"):
        compile_playbook(changed)

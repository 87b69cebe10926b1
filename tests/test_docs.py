"""What is not checked rots: links, the first rule of README and quickstart, and the changelog."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from decisions import compile_playbook
from edge.cli import main
from snapshots.build import read_playbook

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
FIRST_RULE = re.compile(r"```yaml\n(- id: my-first-rule\n.*?)```", re.DOTALL)
FIRST_FRAGMENT = re.compile(r"```html\n(<section.*?)```", re.DOTALL)
COFFEE = {"interest": {"coffee": 30.0}, "device": {"kind": "desktop"}}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_each_adr_has_a_number_of_its_own_and_bears_it_in_its_title() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for number, record in enumerate(records, 1):
        assert record.read_text(encoding="utf-8").startswith(f"# {number}. "), record.name


@pytest.mark.parametrize("name", ["README.md", "docs/quickstart.md"])
def test_the_first_rule_of_the_docs_does_what_they_say(name: str, tmp_path: Path) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    playbook = tmp_path / "grocer"
    shutil.copytree(ROOT / "examples" / "grocer", playbook)
    rules = playbook / "rules.yaml"
    written = FIRST_RULE.findall(text)
    assert len(written) == 1
    rules.write_text(written[0] + rules.read_text(encoding="utf-8"), encoding="utf-8")
    for fragment in FIRST_FRAGMENT.findall(text):
        (playbook / "fragments" / "hero" / "my-first.html").write_text(fragment, encoding="utf-8")
    program = compile_playbook(read_playbook(playbook))
    decision = program.decide("hero", COFFEE, grants={"personalization"}, now=1_795_000_000.0)
    assert decision.rule == "my-first-rule"
    assert "coffee" in program.render(decision, program.facts(COFFEE, {"personalization"}))


def test_the_page_on_checks_shows_what_check_says_of_the_example(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", str(ROOT / "examples" / "grocer")]) == 0
    said = capsys.readouterr().out
    page = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    assert said in page, f"docs/checks.md shows something else than {said}"

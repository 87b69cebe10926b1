"""The pages about experiments, checks and words are held to the code."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from decisions import compile_playbook
from decisions.consent import PURPOSES
from decisions.lint import WARNINGS
from decisions.reasons import Reason
from tests.decisions.written import playbook

ROOT = Path(__file__).parent.parent.parent
EXPERIMENTS = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
CHECKS = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", EXPERIMENTS, re.DOTALL)
WORDS = re.findall(r"^\| ([a-z]+) \| (.*) \|$", GLOSSARY, re.MULTILINE)[1:]


@pytest.mark.parametrize("block", BLOCKS)
def test_an_experiment_of_the_docs_compiles(block: str) -> None:
    rules = yaml.safe_load(block)
    compiled = compile_playbook(playbook(rules=rules))
    decision = compiled.decide("hero", {"cart": {"items": 1}}, grants={"functional"}, unit="v2")
    assert decision.probability in (0.25, 0.5)
    assert set(rules[0]) <= {field.encode_name for field in msgspec.structs.fields(rule_type())}


def rule_type() -> type[msgspec.Struct]:
    return type(playbook().rules[0])


def test_every_code_of_a_check_is_documented() -> None:
    codes = set(WARNINGS)
    for name in ("declaring", "drafts", "measuring", "tokens"):
        text = (ROOT / "decisions" / f"{name}.py").read_text(encoding="utf-8")
        codes |= set(re.findall(r'findings\.add\(\s*"([a-z-]+)"', text))
        unknown = re.findall(r'findings\.unknown\(\s*"([a-z ]+)"', text)
        codes |= {f"unknown-{what.replace(' ', '-')}" for what in unknown}
    assert {code for code in codes if f"`{code}`" not in CHECKS} == set()
    for code, meaning in WARNINGS.items():
        assert f"| `{code}` | {meaning} |" in CHECKS


def test_every_word_of_the_glossary_has_one_sentence_and_the_order_of_the_alphabet() -> None:
    assert [word for word, _ in WORDS] == sorted(word for word, _ in WORDS)
    for word, meaning in WORDS:
        assert re.fullmatch(r"[A-Z][^.]*(\.[^ ][^.]*)*\.", meaning), word


def test_the_glossary_knows_the_purposes() -> None:
    assert all(f"`{purpose}`" in GLOSSARY for purpose in PURPOSES)


def test_the_steps_of_an_experiment_are_reasons() -> None:
    assert {"SPLIT", "HOLDOUT", "ABSENT"} <= {str(reason) for reason in Reason}
    assert all(f"`{name}`" in EXPERIMENTS for name in ("SPLIT", "HOLDOUT", "ABSENT"))

"""Silences: a warning that is meant, its reason, and silences that have nothing to silence."""

from __future__ import annotations

from typing import Any

import pytest

from decisions.lint import OF_DATA, WARNINGS, outcomes, warnings
from decisions.silences import subject
from tests.decisions.written import OFFER, complaint, playbook, rule

READER = {"reader": "counts.article_read > 3"}
QUIET: dict[str, Any] = {
    "segments": {"loyal": "true"},
    "tags": READER,
    "rules": [rule("a", '"loyal" in segments && "reader" in tags')],
}


def said(**changes: Any) -> list[tuple[str, str]]:
    return [(w.code, w.message) for w in warnings(playbook(**QUIET | changes))]


@pytest.mark.parametrize(
    ("code", "name", "changes"),
    [
        ("unused-segment", "lost", {"segments": {"loyal": "true", "lost": "true"}}),
        ("unused-tag", "lost", {"tags": {**READER, "lost": "visitor.new"}}),
        ("unused-fragment", "hero/lost", {"fragments": {"hero/lost": ""}}),
        ("absent-token", "hero/loyal", {"fragments": {"hero/loyal": "{{geo.city}}"}}),
        (
            "catches-all",
            "z",
            {"rules": [rule("z", "true", until="2027-01-31"), *QUIET["rules"]]},
        ),
        ("many-segments", "grocer", {"segments": {f"s{n}": "true" for n in range(16)}}),
    ],
)
def test_a_warning_is_silenced_by_the_name_of_what_it_is_about(
    code: str, name: str, changes: dict[str, Any]
) -> None:
    if code == "many-segments":
        changes = changes | {
            "rules": [rule("a", 'segments.exists(s, s == "x") && "reader" in tags')]
        }
    assert [found for found, _ in said(**changes)] == [code]
    assert said(**changes, silence={code: {name: "it is meant"}}) == []


def test_a_silence_is_for_one_name_only() -> None:
    segments = {"loyal": "true", "lost": "true", "found": "true"}
    assert said(segments=segments, silence={"unused-segment": {"lost": "soon"}}) == [
        ("unused-segment", 'no rule reads segment "found"')
    ]


def test_a_silence_without_effect_is_a_warning() -> None:
    assert said(silence={"unused-segment": {"loyal": "soon"}}) == [
        ("idle-silence", 'there is no unused-segment of "loyal" to silence')
    ]
    assert said(silence={"unused-segmnet": {"loyal": "soon"}}) == [
        ("idle-silence", 'there is no warning "unused-segmnet", did you mean unused-segment?')
    ]


@pytest.mark.parametrize("code", OF_DATA)
def test_silences_that_only_the_data_can_judge_are_not_judged_without_it(code: str) -> None:
    assert said(silence={code: {"pharmacy": "not sold yet"}}) == []


def test_a_value_that_the_data_lacks_can_be_silenced() -> None:
    silence = {"unseen-sensitive-value": {"pharmacy": "from May on"}}
    assert warnings(playbook(**QUIET, silence=silence), {"category": ["shoes"]}) == ()


def test_a_silence_needs_a_reason_and_errors_cannot_be_silenced() -> None:
    assert complaint("no-reason", "expected the reason", silence={"unused-tag": {"x": " "}})
    silence = {"unknown-slot": {"a": "why not"}}
    assert complaint("unknown-slot", "herro", rules=[rule("a", "visitor.new", slot="herro")])
    assert said(silence=silence)[0][0] == "idle-silence"


def test_purposes_are_those_that_there_are() -> None:
    assert complaint("unknown-purpose", "did you mean marketing?", purposes=["marketting"])
    assert complaint("unknown-purpose", "authenticated", purposes=["authenticated"])


def test_what_is_about_the_whole_playbook_goes_by_its_name() -> None:
    assert subject(playbook(), ("settings", "bands", 0)) == "grocer"


def test_every_warning_says_what_it_means_in_a_sentence() -> None:
    assert all(meaning.endswith((".", "?")) for meaning in WARNINGS.values())


def test_outcomes_are_fragments_with_what_they_are_given_and_the_default() -> None:
    rules = [
        rule("a", "visitor.new"),
        rule("b", "cart.items > 0"),
        rule("c", "true", show="hero/welcome", **{"with": {"x": 1}}),
        rule("d", "true", experiment=OFFER, **{"with": {"y": 1}}),
        rule("e", "true", experiment={"variants": {"off": {"weight": 0, "show": "hero/shoes"}}}),
    ]
    assert outcomes(playbook(rules=rules)) == {"hero": 5, "promo": 1, "feed": 1}

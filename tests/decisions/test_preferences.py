"""Declared preferences: what a visitor says beats what was inferred, and does not fade."""

from __future__ import annotations

from typing import Any

import pytest

from decisions.compact import pack, unpack
from decisions.compiling import compile_playbook
from decisions.consent import FUNCTIONAL, PERSONALIZATION, SENSITIVE
from decisions.events import Event
from decisions.fitting import fit
from decisions.learn import begin, learn, signed_out, withdraw
from decisions.ledger import Dictionary
from decisions.lesson import MAX_PREFERENCES, Learning, Lesson, Wish
from decisions.profile import Profile, profile_facts
from tests.decisions.written import SETTINGS, playbook, problems

NOW_S = 1_795_000_000.0
GRANTS = FUNCTIONAL | PERSONALIZATION
LEARNING = Learning(
    events=frozenset({"like", "dislike", "unsay", "view"}),
    known=frozenset({"shoes", "garden", "pharmacy", *(f"c{n}" for n in range(30))}),
    sensitive=frozenset({"pharmacy"}),
    more=frozenset({"like", "dislike", "unsay"}),
    wishes={
        "like": Wish("category", 100),
        "dislike": Wish("category", 0),
        "unsay": Wish("category", None),
    },
)


def after(*told: tuple[str, str], grants: int = GRANTS, profile: Profile | None = None) -> Profile:
    found = begin(profile or Profile(), grants, NOW_S, "01a1c0de-0000-7000-8000-00000000000a")
    for number, (type_, category) in enumerate(told):
        event = Event(type=type_, id=f"{type_}{number}", category=category)
        found = learn(found, event, LEARNING, grants, NOW_S + number)
    return found


def interest(profile: Profile, after_s: float = 0.0) -> dict[str, float]:
    found: dict[str, float] = profile_facts(profile, GRANTS, NOW_S + after_s)["interest"]
    return found


def test_what_is_declared_beats_what_is_inferred_and_does_not_fade() -> None:
    inferred = Profile(at_s=NOW_S, seen_s=NOW_S, interests={"shoes": 30.0, "garden": 6.0})
    profile = after(("dislike", "shoes"), ("like", "c1"), profile=inferred)

    found = interest(profile, 10_000_000.0)

    assert (found["shoes"], found["c1"]) == (0, 100)
    assert 0 < found["garden"] < 50


def test_the_newest_word_counts_and_can_be_taken_back() -> None:
    profile = after(("like", "shoes"), ("dislike", "shoes"))
    assert interest(profile) == {"shoes": 0}

    assert interest(after(("like", "shoes"), ("unsay", "shoes"))) == {}


def test_two_words_of_one_visit_are_learnt_together() -> None:
    lesson = Lesson(after(), LEARNING, GRANTS, NOW_S)
    for category in ("shoes", "garden"):
        lesson.learn(Event(type="like", id=category, category=category))

    assert lesson.learnt().preferences == {"shoes": 100, "garden": 100}


def test_what_nobody_knows_or_granted_is_not_kept() -> None:
    assert after(("like", "never heard of"), ("like", "pharmacy")).preferences == {}
    assert after(("like", "shoes"), grants=FUNCTIONAL).preferences == {}
    opted = after(("like", "pharmacy"), ("like", "shoes"), grants=GRANTS | SENSITIVE)
    assert opted.preferences == {"pharmacy": 100, "shoes": 100}
    kept = withdraw(opted, GRANTS, frozenset({"pharmacy"}), SENSITIVE)
    assert kept.preferences == {"shoes": 100}
    assert withdraw(opted, FUNCTIONAL).preferences == {}
    assert signed_out(opted).preferences == {}


def test_the_one_declared_longest_ago_goes_first() -> None:
    told = [("like", f"c{n}") for n in range(MAX_PREFERENCES + 1)] + [("like", "c1")]

    assert [*after(*told).preferences] == [f"c{n}" for n in range(2, MAX_PREFERENCES + 1)] + ["c1"]


def test_they_travel_in_the_cookie_and_go_last() -> None:
    names = Dictionary(("k/shoes", "k/garden", "c/view"))
    profile = Profile(seen_s=NOW_S, preferences={"shoes": 100, "garden": 0}, counts={"view": 9})

    assert unpack(pack(profile, names), names).preferences == {"shoes": 100, "garden": 0}
    whole = fit(profile, names, aim=10_000, limit=10_000)
    assert b"[0,100,1,0]" in fit(profile, names, aim=0, limit=len(whole) - 2)
    assert b"[0,100,1,0]" not in fit(profile, names, aim=0, limit=10)


SIGNALS: list[dict[str, Any]] = [
    *SETTINGS["signals"],
    {"on": "like", "preference": {"key": "category", "score": 100}},
    {"on": "unsay", "preference": {"key": "brand"}},
]


def test_a_playbook_declares_them_with_signals() -> None:
    learnt = compile_playbook(playbook(signals=SIGNALS)).learning

    assert learnt.wishes == {"like": Wish("category", 100), "unsay": Wish("brand", None)}
    assert set(learnt.fields) == {"interest.brand", "interest.category"}


@pytest.mark.parametrize(
    ("wish", "code", "says"),
    [
        ({"key": "colour", "score": 1}, "unknown-event-field", 'unknown event field "colour"'),
        ({"key": "brand", "score": 101}, "bad-weight", "expected a score of 0 to 100, got 101"),
        ({"key": "brand", "score": -1}, "bad-weight", "got -1"),
    ],
)
def test_one_that_makes_no_sense_is_refused(wish: dict[str, Any], code: str, says: str) -> None:
    (one,) = problems(signals=[*SETTINGS["signals"], {"on": "like", "preference": wish}])

    assert one.code == code
    assert says in one.message

"""Lists: the last things viewed or wished for, in their order; and what a session came by."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from decisions.cart import MAX_THING
from decisions.compact import pack, unpack
from decisions.compiling import compile_playbook
from decisions.consent import EVERYTHING, FUNCTIONAL, PERSONALIZATION
from decisions.errors import ProfileError
from decisions.events import Event
from decisions.fitting import fit
from decisions.learn import MAX_CAMPAIGN, begin, learn, signed_out, withdraw
from decisions.ledger import Dictionary
from decisions.lesson import Entry, Learning, Lesson
from decisions.profile import IDLE_S, Profile, profile_facts
from tests.decisions.written import SETTINGS, playbook, problems, rule

NOW_S = 1_795_000_000.0
GRANTS = FUNCTIONAL | PERSONALIZATION
VISITOR = "01a1c0de-0000-7000-8000-00000000000a"
NAMES = Dictionary(("l/recent", "l/wishes"))
LEARNING = Learning(
    events=frozenset({"view", "wish", "unwish"}),
    sensitive=frozenset({"pharmacy"}),
    more=frozenset({"view", "wish", "unwish"}),
    entries={
        "view": (Entry("recent", "item", 3),),
        "wish": (Entry("wishes", "item", 20),),
        "unwish": (Entry("wishes", "item", 20, adds=False),),
    },
)


def after(*told: tuple[str, str], grants: int = GRANTS, **about: Any) -> Profile:
    profile = begin(Profile(), grants, NOW_S, VISITOR)
    for number, (type_, item) in enumerate(told):
        event = Event(type=type_, id=f"e{number}", item=item, **about)
        profile = learn(profile, event, LEARNING, grants, NOW_S)
    return profile


def test_the_newest_comes_last_once_and_the_oldest_goes() -> None:
    told = [("view", item) for item in ("a", "b", "a", "c", "d")]

    assert after(*told).lists == {"recent": ("a", "c", "d")}


def test_one_visit_lists_as_many_things_as_it_brings() -> None:
    lesson = Lesson(Profile(), LEARNING, GRANTS, NOW_S)
    for type_, item in (("view", "a"), ("view", "b"), ("wish", "a")):
        lesson.learn(Event(type=type_, item=item))

    assert lesson.learnt().lists == {"recent": ("a", "b"), "wishes": ("a",)}


def test_what_is_wished_for_can_be_taken_back() -> None:
    assert after(("wish", "a"), ("wish", "b"), ("unwish", "a")).lists == {"wishes": ("b",)}
    assert after(("wish", "a"), ("unwish", "a"), ("unwish", "x")).lists == {}


@pytest.mark.parametrize("item", ["", "x" * (MAX_THING + 1), "ä" * 21, "\ud800", "a\nb"])
def test_what_is_no_short_word_is_not_listed(item: str) -> None:
    assert after(("view", item)).lists == {}


def test_nothing_sensitive_is_listed_not_even_with_its_opt_in() -> None:
    assert after(("view", "pill"), grants=EVERYTHING, category="pharmacy").lists == {}
    assert after(("view", "pharmacy"), grants=EVERYTHING).lists == {}


def test_a_thing_that_a_later_playbook_calls_sensitive_leaves_without_its_opt_in() -> None:
    profile = after(("view", "pills"), ("view", "tea"), ("wish", "pills"))
    now = frozenset({"pills"})
    assert withdraw(profile, PERSONALIZATION, now).lists == {"recent": ("tea",)}
    assert withdraw(profile, EVERYTHING, now).lists == profile.lists


def test_lists_go_with_the_grant_and_with_the_person() -> None:
    profile = after(("wish", "a"))

    assert withdraw(profile, FUNCTIONAL).lists == {}
    assert signed_out(profile).lists == {}
    assert after(("wish", "a"), grants=FUNCTIONAL).lists == {}


def test_rules_read_a_list_as_a_set() -> None:
    signals = [*SETTINGS["signals"], {"on": "wish"}, {"on": "unwish"}]
    lists = {"wishes": {"add": "wish", "remove": "unwish", "keep": 5}}
    rules = [rule("r", '"4711" in lists.wishes && size(lists.wishes) > 1')]
    program = compile_playbook(playbook(signals=signals, lists=lists, rules=rules))

    assert program.learning.entries == {
        "wish": (Entry("wishes", "item", 5),),
        "unwish": (Entry("wishes", "item", 5, adds=False),),
    }
    facts = {"lists": {"wishes": ["4711", "4712"]}}
    assert program.decide("hero", facts, grants={"personalization"}, now=NOW_S).rule == "r"
    assert program.decide("hero", {}, grants={"personalization"}, now=NOW_S).rule == ""
    assert profile_facts(after(("wish", "a")), GRANTS, NOW_S)["lists.wishes"] == frozenset("a")


@pytest.mark.parametrize(
    ("decl", "code"),
    [
        ({"add": "purhase"}, "unknown-event"),
        ({"add": "purchase", "remove": "nothing"}, "unknown-event"),
        ({"add": "purchase", "of": "colour"}, "unknown-event-field"),
        ({"add": "purchase", "keep": 0}, "bad-list"),
        ({"add": "purchase", "keep": 21}, "bad-list"),
        ({"add": "purchase", "remove": "purchase"}, "bad-list"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(decl: dict[str, Any], code: str) -> None:
    assert [one.code for one in problems(lists={"l": decl})] == [code]


def test_names_and_numbers_of_lists_are_bounded() -> None:
    assert [one.code for one in problems(lists={"in": {"add": "purchase"}})] == ["bad-name"]
    many = {f"l{n}": {"add": "purchase"} for n in range(9)}
    assert [one.code for one in problems(lists=many)] == ["too-many"]


def test_lists_travel_in_the_cookie_and_go_first() -> None:
    profile = Profile(seen_s=NOW_S, lists={"recent": ("ä", '"'), "wishes": ("4711",)})

    assert unpack(pack(profile, NAMES), NAMES).lists == profile.lists
    whole = fit(profile, NAMES, aim=10_000, limit=10_000)
    poorer = msgspec.json.decode(fit(profile, NAMES, aim=0, limit=len(whole) - 1))
    assert unpack(poorer, NAMES).lists == {"wishes": ("4711",)}


def test_things_that_do_not_add_up_are_refused() -> None:
    packed = msgspec.structs.replace(
        pack(Profile(seen_s=NOW_S), NAMES), listed=[0, 2], things=["a"]
    )

    with pytest.raises(ProfileError, match="expected 2 things of lists, got 1"):
        unpack(packed, NAMES)


def test_the_first_campaign_of_a_session_stays_until_it_ends() -> None:
    first = begin(Profile(), GRANTS, NOW_S, VISITOR, "spring")
    later = begin(first, GRANTS, NOW_S + 60, "", "other")

    facts = profile_facts(later, GRANTS, NOW_S + 60)
    assert facts["session.campaign"] == "spring"
    there = unpack(pack(later, NAMES), NAMES, VISITOR)
    assert there.session is not None
    assert there.session.campaign == "spring"
    again = begin(there, GRANTS, NOW_S + 60 + IDLE_S, "")
    assert "session.campaign" not in profile_facts(again, GRANTS, NOW_S + 60 + IDLE_S)


@pytest.mark.parametrize(("campaign", "kept"), [("x" * 99, "x" * MAX_CAMPAIGN), ("\ud800", "")])
def test_a_campaign_is_a_short_word(campaign: str, kept: str) -> None:
    session = begin(Profile(), GRANTS, NOW_S, VISITOR, campaign).session

    assert session is not None
    assert session.campaign == kept

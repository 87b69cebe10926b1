from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.cart import MAX_ITEMS, MAX_VALUE
from decisions.consent import (
    ANALYTICS,
    EVERYTHING,
    FUNCTIONAL,
    MARKETING,
    NOTHING,
    PERSONALIZATION,
    SENSITIVE,
)
from decisions.events import Event
from decisions.interest import fade
from decisions.learn import begin, is_repeat, learn, seen, signed_in, withdraw
from decisions.ledger import UNKNOWN
from decisions.lesson import (
    MAX_INTERESTS,
    MAX_VIEWED,
    MAX_WEIGHT,
    Gain,
    Learning,
)
from decisions.profile import (
    IDLE_S,
    NO_CART,
    NOBODY,
    VIEW_BYTES,
    Cart,
    Profile,
    Session,
)
from tests.decisions.profiles import KEYS, NOW_S, VISITOR, profiles

HALF_LIFE_S = 86_400.0
LEARNING = Learning(
    events=frozenset({"view", "add", "remove", "buy", "read", "tag"}),
    gains={
        "view": (Gain("category", 1.0), Gain("brand", 0.5)),
        "add": (Gain("category", 3.0),),
        "tag": (Gain("item", 1.0), Gain("category", -9.0)),
    },
    carts={"add": "add", "remove": "remove", "buy": "clear"},
    known=frozenset({"tea", "coffee", "pharmacy", "acme", *KEYS}),
    sensitive=frozenset({"pharmacy"}),
    caps={"often": (3, 3_600.0), "rarely": (20, 86_400.0)},
    half_life_s=HALF_LIFE_S,
)
START = begin(NOBODY, EVERYTHING, NOW_S, VISITOR)
PERSONAL = {
    "first_seen_s", "visits", "interests", "counts", "session", "customer", "at_s",
    "authenticated_until_s", "recognised_until_s",
}  # fmt: skip


def after(
    *events: Event, grants: int = EVERYTHING, now_s: float = NOW_S, start: Profile = START
) -> Profile:
    profile = start
    for event in events:
        profile = learn(profile, event, LEARNING, grants, now_s)
    return profile


def fields(profile: Profile) -> dict[str, Any]:
    return msgspec.structs.asdict(profile)


# A visit begins.


def test_a_first_visit_gives_an_id_and_starts_a_session() -> None:
    assert (
        Profile(
            visitor=VISITOR,
            seen_s=NOW_S,
            first_seen_s=int(NOW_S),
            visits=1,
            session=Session(int(NOW_S), int(NOW_S)),
        )
        == START
    )


def test_a_session_goes_on_until_it_was_idle_for_half_an_hour() -> None:
    soon = begin(START, EVERYTHING, NOW_S + IDLE_S - 1, "")
    assert soon.visits == 1
    assert soon.session == Session(int(NOW_S), int(NOW_S) + IDLE_S - 1)
    late = begin(soon, EVERYTHING, NOW_S + 2 * IDLE_S, "")
    assert late.visits == 2
    assert late.session == Session(int(NOW_S) + 2 * IDLE_S, int(NOW_S) + 2 * IDLE_S)
    assert late.first_seen_s == int(NOW_S)
    assert late.visitor == VISITOR


@pytest.mark.parametrize("grants", [NOTHING, MARKETING, SENSITIVE])
def test_without_a_grant_that_needs_an_id_there_is_nobody(grants: int) -> None:
    assert begin(START, grants, NOW_S, VISITOR) is NOBODY


@pytest.mark.parametrize("grants", [FUNCTIONAL, ANALYTICS])
def test_without_personalization_there_is_an_id_and_no_session(grants: int) -> None:
    assert begin(NOBODY, grants, NOW_S, VISITOR) == Profile(visitor=VISITOR, seen_s=NOW_S)


# Events.


def test_interest_grows_by_what_the_signals_say() -> None:
    profile = after(Event("view", category="tea", brand="acme"), Event("add", category="tea"))
    assert profile.interests == {"tea": 4.0, "acme": 0.5}
    assert profile.counts == {"view": 1, "add": 1}


def test_interest_fades_between_events() -> None:
    first = after(Event("view", category="tea"))
    later = learn(
        first, Event("view", category="coffee"), LEARNING, EVERYTHING, NOW_S + HALF_LIFE_S
    )
    assert later.interests == pytest.approx({"tea": 0.5, "coffee": 1.0})
    assert later.at_s == NOW_S + HALF_LIFE_S


@given(st.lists(st.tuples(st.sampled_from(["tea", "coffee"]), st.floats(0, 1e6)), max_size=12))
def test_interest_is_the_sum_of_faded_gains_whatever_the_steps(
    visits: list[tuple[str, float]],
) -> None:
    visits.sort(key=lambda visit: visit[1])
    profile = START
    for category, after_s in visits:
        event = Event("view", category=category)
        profile = learn(profile, event, LEARNING, EVERYTHING, NOW_S + after_s)
    for key in ("tea", "coffee"):
        direct = sum(
            fade(1.0, profile.at_s - round(NOW_S + after_s, 3), HALF_LIFE_S)
            for category, after_s in visits
            if category == key
        )
        assert profile.interests.get(key, 0.0) == pytest.approx(direct, rel=1e-9)


def test_a_weight_that_sinks_to_nothing_is_gone_and_none_grows_without_end() -> None:
    assert after(Event("view", category="tea"), Event("tag", category="tea")).interests == {}
    heavy = msgspec.structs.replace(START, interests={"tea": MAX_WEIGHT}, at_s=NOW_S)
    assert after(Event("view", category="tea"), start=heavy).interests == {"tea": MAX_WEIGHT}


def test_only_the_strongest_interests_stay() -> None:
    events = [Event("view", category=key) for key in KEYS]
    profile = after(*events, Event("view", category=KEYS[-1]))
    assert len(profile.interests) == MAX_INTERESTS
    assert profile.interests[KEYS[-1]] == 2.0
    assert KEYS[-2] in profile.interests, "of equal ones the newest stay"
    assert KEYS[0] not in profile.interests


def test_a_category_outside_the_dictionary_is_counted_and_not_learnt() -> None:
    event = Event("view", item="i", category="gibberish", brand="acme")
    profile = after(event)
    assert profile.interests == {"acme": 0.5}
    assert profile.counts == {"view": 1}
    assert profile.session is not None
    assert profile.session.views == {}
    assert LEARNING.strangers(event) == ["category"]
    assert LEARNING.strangers(Event("view", category="tea")) == []


def test_an_undeclared_event_teaches_nothing() -> None:
    assert after(Event("gossip", id="1", category="tea")) is START


def test_a_repeated_event_counts_once_among_the_last_eight() -> None:
    profile = after(*[Event("read", id="a"), Event("read", id="a"), Event("read")])
    assert profile.counts == {"read": 2}
    assert is_repeat(profile, "a")
    assert not is_repeat(profile, "")
    forgotten = after(*[Event("read", id=str(number)) for number in range(8)], start=profile)
    assert not is_repeat(forgotten, "a")
    assert len(forgotten.recent) == 8


def test_views_count_distinct_items_of_a_category() -> None:
    events = [Event("view", item=item, category="tea") for item in "aabbc"]
    profile = after(*events, Event("read", item="essay", category="coffee"))
    assert profile.session is not None
    views = {key: len(items) // VIEW_BYTES for key, items in profile.session.views.items()}
    assert views == {"tea": 3, "coffee": 1}
    assert list(views) == ["tea", "coffee"], "the category viewed last comes last"
    again = after(Event("view", item="a", category="tea"), start=profile)
    assert again.session is not None
    assert list(again.session.views) == ["coffee", "tea"]


def test_views_stop_at_eight_items_and_eight_categories() -> None:
    many = [Event("view", item=str(number), category="tea") for number in range(20)]
    profile = after(*many, *[Event("view", item="x", category=key) for key in KEYS[:8]])
    assert profile.session is not None
    assert list(profile.session.views) == list(KEYS[:8])
    profile = after(*many)
    assert profile.session is not None
    assert len(profile.session.views["tea"]) == MAX_VIEWED * VIEW_BYTES


def test_an_event_without_item_or_session_or_about_the_cart_is_no_view() -> None:
    for event in (Event("view", category="tea"), Event("add", item="a", category="tea")):
        profile = after(event)
        assert profile.session is not None
        assert profile.session.views == {}
    lost = msgspec.structs.replace(START, session=None)
    assert after(Event("view", item="a", category="tea"), start=lost).session is None


# The cart.


def test_the_cart_follows_add_remove_and_clear() -> None:
    profile = after(Event("add", price=2.5, quantity=2), Event("add", price=1.0))
    assert profile.cart == Cart(3, 6.0, int(NOW_S))
    profile = after(Event("remove", price=2.5), start=profile)
    assert profile.cart == Cart(2, 3.5, int(NOW_S))
    assert after(Event("buy"), start=profile).cart == Cart(0, 0.0, int(NOW_S))
    assert after(Event("remove", quantity=9), start=profile).cart == Cart(0, 0.0, int(NOW_S))


@given(
    st.lists(
        st.builds(
            Event,
            type=st.sampled_from(["add", "remove", "buy"]),
            price=st.floats(),
            quantity=st.integers(),
        ),
        max_size=6,
    )
)
def test_no_number_that_a_page_sends_makes_a_cart_that_cannot_be(events: list[Event]) -> None:
    cart = after(*events).cart
    assert 0 <= cart.items <= MAX_ITEMS
    assert 0.0 <= cart.value <= MAX_VALUE
    assert cart.items or not cart.value


# Consent.


@given(
    st.integers(0, EVERYTHING),
    st.lists(
        st.builds(
            Event,
            type=st.sampled_from(sorted(LEARNING.events)),
            id=st.sampled_from(["", "1", "2"]),
            item=st.sampled_from(["", "tea", "i"]),
            category=st.sampled_from(["", "tea", "pharmacy"]),
            brand=st.sampled_from(["", "acme", "pharmacy"]),
        ),
        max_size=6,
    ),
)
def test_nothing_is_learnt_that_is_not_granted(grants: int, events: list[Event]) -> None:
    profile = after(*events, grants=grants, start=begin(NOBODY, grants, NOW_S, VISITOR))
    profile = seen(profile, "often", LEARNING, grants, NOW_S)
    profile = signed_in(profile, 7, NOW_S + 60, {"tea": 1.0}, LEARNING, grants, NOW_S)
    untouched = fields(NOBODY)
    if not grants & FUNCTIONAL:
        assert (profile.cart, profile.caps) == (NO_CART, {})
    if not grants & PERSONALIZATION:
        assert {name for name, value in fields(profile).items() if value != untouched[name]} <= {
            "visitor", "seen_s", "recent", "cart", "caps",
        }  # fmt: skip
    if not grants & SENSITIVE:
        assert "pharmacy" not in profile.interests
        assert profile.session is None or "pharmacy" not in profile.session.views
    if not grants & (FUNCTIONAL | ANALYTICS | PERSONALIZATION):
        assert profile is NOBODY


def test_a_sensitive_category_is_not_learnt_under_any_name() -> None:
    event = Event("view", item="i", category="pharmacy", brand="acme")
    profile = after(event, grants=EVERYTHING & ~SENSITIVE)
    assert profile.interests == {}
    assert profile.session is not None
    assert profile.session.views == {}
    assert profile.counts == {"view": 1}
    assert after(event).interests == {"pharmacy": 1.0, "acme": 0.5}


@given(profiles, st.integers(0, EVERYTHING))
def test_withdrawal_removes_the_claims_of_each_purpose(profile: Profile, grants: int) -> None:
    sensitive = frozenset(KEYS[:20])
    left = withdraw(profile, grants, sensitive)
    untouched = fields(NOBODY)
    gone: set[str] = set()
    if not grants & FUNCTIONAL:
        gone |= {"cart", "caps"}
    if not grants & PERSONALIZATION:
        gone |= PERSONAL
    for name in gone:
        assert fields(left)[name] == untouched[name]
    if not grants & SENSITIVE:
        assert not sensitive & left.interests.keys()
        assert left.session is None or not sensitive & left.session.views.keys()
    if not grants & (FUNCTIONAL | ANALYTICS | PERSONALIZATION):
        assert left is NOBODY
    assert withdraw(left, grants, sensitive) == left


def test_withdrawal_of_nothing_leaves_the_profile_itself() -> None:
    assert withdraw(START, EVERYTHING & ~SENSITIVE, frozenset({"pharmacy"})) is START


def test_unknown_names_go_with_the_opt_in_that_may_have_been_theirs() -> None:
    stranger = f"{UNKNOWN}99"
    session = Session(1, 2, {stranger: b"abc", "tea": b"abc"})
    profile = Profile(visitor="v", interests={stranger: 1.0, "tea": 1.0}, session=session)
    grants = FUNCTIONAL | PERSONALIZATION
    assert withdraw(profile, grants) is profile
    left = withdraw(profile, grants, lost=SENSITIVE)
    assert left.interests == {"tea": 1.0}
    assert left.session == Session(1, 2, {"tea": b"abc"})


# Caps.


def test_a_cap_keeps_the_newest_times_of_its_window() -> None:
    profile = START
    for minute in range(0, 100, 20):
        profile = seen(profile, "often", LEARNING, FUNCTIONAL, NOW_S + minute * 60)
    assert profile.caps == {"often": tuple(int(NOW_S) + minute * 60 for minute in (40, 60, 80))}
    for _ in range(12):
        profile = seen(profile, "rarely", LEARNING, FUNCTIONAL, NOW_S + 6_000)
    assert len(profile.caps["rarely"]) == 8


def test_times_out_of_their_window_go_with_the_next_one() -> None:
    profile = seen(START, "often", LEARNING, FUNCTIONAL, NOW_S)
    foreign = msgspec.structs.replace(profile, caps=profile.caps | {"other": (int(NOW_S),)})
    hours = seen(foreign, "rarely", LEARNING, FUNCTIONAL, NOW_S + 7_200)
    assert hours.caps.keys() == {"rarely", "other"}
    week = seen(hours, "rarely", LEARNING, FUNCTIONAL, NOW_S + 8 * 86_400)
    assert week.caps.keys() == {"rarely"}


def test_a_rule_without_a_cap_or_a_repeated_report_counts_nothing() -> None:
    assert seen(START, "uncapped", LEARNING, FUNCTIONAL, NOW_S) is START
    once = seen(START, "often", LEARNING, FUNCTIONAL, NOW_S, "event-1")
    assert seen(once, "often", LEARNING, FUNCTIONAL, NOW_S, "event-1") is once
    assert seen(START, "often", LEARNING, PERSONALIZATION, NOW_S) is START

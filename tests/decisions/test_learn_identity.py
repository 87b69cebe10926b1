"""Who signs in and out, and what a session holds."""

from __future__ import annotations

from hypothesis import given

from decisions.consent import (
    EVERYTHING,
    FUNCTIONAL,
    MARKETING,
    PERSONALIZATION,
    SENSITIVE,
)
from decisions.events import Event
from decisions.learn import MAX_HELD, begin, hold, is_repeat, learn, signed_in, signed_out, withdraw
from decisions.lesson import Learning
from decisions.profile import (
    IDLE_S,
    NOBODY,
    Profile,
    Session,
    is_left,
)
from tests.decisions.profiles import NOW_S, VISITOR, profiles
from tests.decisions.test_learn import LEARNING, START, after

# Sign-in and sign-out.


def test_signing_in_keeps_the_higher_interest_of_each_key() -> None:
    start = after(Event("view", category="tea"), Event("add", category="coffee"))
    built = {"tea": 2.0, "coffee": 1.0, "gibberish": 9.0, "pharmacy": 9.0}
    grants = EVERYTHING & ~SENSITIVE
    profile = signed_in(start, 7, NOW_S + 60, built, LEARNING, grants, NOW_S)
    assert profile.interests == {"coffee": 3.0, "tea": 2.0}
    assert (profile.customer, profile.authenticated_until_s) == (7, int(NOW_S) + 60)
    assert profile.visitor == VISITOR
    again = signed_in(profile, 7, NOW_S + 90, {}, LEARNING, grants, NOW_S)
    assert again.interests == profile.interests


def test_signing_in_anew_leaves_what_was_known_before_behind_once() -> None:
    start = after(Event("add", id="1", category="tea"))
    anew = signed_in(
        start, 7, NOW_S + 60, {}, LEARNING, EVERYTHING, NOW_S, "other", "signs-in", anew=True
    )
    assert (anew.visitor, anew.customer, anew.interests) == ("other", 7, {})
    assert anew.first_seen_s == int(NOW_S)
    again = signed_in(
        anew, 7, NOW_S + 90, {}, LEARNING, EVERYTHING, NOW_S, "third", "signs-in", anew=True
    )
    assert again is anew


def test_a_device_is_known_as_a_customers_for_as_long_as_said_and_as_the_sign_in_counts() -> None:
    for recognised_s, until_s in ((0.0, 60), (3_600.0, 3_600)):
        inside = signed_in(
            START, 7, NOW_S + 60, {}, LEARNING, EVERYTHING, NOW_S, recognised_s=recognised_s
        )
        assert inside.recognised_until_s == int(NOW_S) + until_s
        assert not is_left(inside, NOW_S + until_s - 1, 0.0)
        assert is_left(inside, NOW_S + until_s, 86_400.0)
    before = Profile(customer=7, authenticated_until_s=int(NOW_S))
    assert not is_left(before, NOW_S + 86_399, 86_400.0)
    assert is_left(before, NOW_S + 86_400, 86_400.0)
    assert not is_left(START, NOW_S + 10**9, 0.0), "who never signed in has nothing to leave"


def test_nobody_signs_in_as_nobody_or_without_personalization() -> None:
    assert signed_in(START, 0, NOW_S, {}, LEARNING, EVERYTHING, NOW_S) is START
    assert signed_in(START, 7, NOW_S, {}, LEARNING, FUNCTIONAL, NOW_S) is START


def test_another_customer_at_the_device_inherits_nothing_personal() -> None:
    first = after(Event("add", id="1", category="tea", price=3.0))
    first = signed_in(first, 7, NOW_S + 60, {}, LEARNING, EVERYTHING, NOW_S)
    other = signed_in(
        first, 8, NOW_S + 60, {"coffee": 1.0}, LEARNING, EVERYTHING, NOW_S, visitor="new"
    )
    assert other == Profile(
        visitor="new",
        seen_s=NOW_S,
        at_s=NOW_S,
        first_seen_s=int(NOW_S),
        visits=1,
        interests={"coffee": 1.0},
        session=Session(int(NOW_S), int(NOW_S)),
        recent=first.recent,
        customer=8,
        authenticated_until_s=int(NOW_S) + 60,
        recognised_until_s=int(NOW_S) + 60,
    )


@given(profiles)
def test_signing_out_leaves_an_id_and_which_events_were_handled(profile: Profile) -> None:
    left = signed_out(profile)
    assert left == Profile(visitor=VISITOR, seen_s=profile.seen_s, recent=profile.recent)
    assert signed_out(profile, "another").visitor == "another"


def test_a_sign_in_or_sign_out_that_is_sent_again_does_not_undo_what_came_since() -> None:
    inside = signed_in(START, 7, NOW_S + 60, {}, LEARNING, EVERYTHING, NOW_S, event_id="in")
    outside = signed_out(inside, event_id="out")
    assert outside.customer == 0
    assert (
        signed_in(outside, 7, NOW_S + 60, {}, LEARNING, EVERYTHING, NOW_S, event_id="in") is outside
    )
    back = signed_in(outside, 7, NOW_S + 60, {}, LEARNING, EVERYTHING, NOW_S, event_id="in-2")
    assert signed_out(back, event_id="out") is back


def test_a_clock_that_is_behind_learns_at_the_last_moment_seen() -> None:
    first = after(Event("view", category="tea"))
    behind = learn(first, Event("view", category="tea"), LEARNING, EVERYTHING, NOW_S - 86_400)
    assert behind.interests == {"tea": 2.0}
    assert (behind.seen_s, behind.at_s) == (NOW_S, NOW_S)


def test_half_a_surrogate_pair_is_an_event_as_any_other() -> None:
    event = Event("view", id="\ud800", item="\udc00", category="tea")
    found = learn(START, event, LEARNING, EVERYTHING, NOW_S)
    assert is_repeat(found, "\ud800")


HOLDING = Learning(held={"a": "hero", "b": "hero", "c": "promo"})
IN_SESSION = Profile(visitor=VISITOR, session=Session(int(NOW_S), int(NOW_S), {"tea": b"abc"}))


def held(profile: Profile) -> tuple[str, ...]:
    return profile.session.held if profile.session else ()


def test_a_slot_is_held_by_the_rule_that_was_shown_last() -> None:
    profile = IN_SESSION
    for rule in ("a", "c", "a", "b", "unheard-of"):
        profile = hold(profile, rule, HOLDING, PERSONALIZATION)
    assert held(profile) == ("c", "b")
    assert profile.session is not None
    assert profile.session.views == {"tea": b"abc"}


def test_nothing_is_held_without_a_grant_or_a_session() -> None:
    assert held(hold(IN_SESSION, "a", HOLDING, FUNCTIONAL)) == ()
    assert hold(NOBODY, "a", HOLDING, PERSONALIZATION) == NOBODY


def test_what_is_held_is_bounded() -> None:
    many = Learning(held={f"r{number}": f"slot-{number}" for number in range(MAX_HELD + 1)})
    profile = IN_SESSION
    for rule in many.held:
        profile = hold(profile, rule, many, PERSONALIZATION)
    assert held(profile) == tuple(many.held)[1:]


def test_a_hold_lasts_for_the_session_and_goes_with_any_purpose_that_is_taken_back() -> None:
    profile = hold(IN_SESSION, "a", HOLDING, PERSONALIZATION)
    soon = begin(profile, PERSONALIZATION, NOW_S + 60, VISITOR)
    assert held(soon) == ("a",)
    assert held(begin(profile, PERSONALIZATION, NOW_S + IDLE_S, VISITOR)) == ()
    assert held(withdraw(soon, PERSONALIZATION)) == ("a",)
    assert held(withdraw(soon, PERSONALIZATION, lost=MARKETING)) == ()
    assert withdraw(IN_SESSION, PERSONALIZATION, lost=MARKETING) == IN_SESSION
    assert withdraw(NOBODY, PERSONALIZATION, lost=MARKETING) == NOBODY
    assert held(withdraw(soon, FUNCTIONAL)) == ()
    assert held(signed_out(soon)) == ()

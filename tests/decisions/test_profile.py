from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from decisions.consent import EVERYTHING, FUNCTIONAL, NOTHING, PERSONALIZATION
from decisions.interest import fade, score, scores
from decisions.ledger import UNKNOWN
from decisions.profile import (
    IDLE_S,
    MOST_AHEAD_S,
    NOBODY,
    Cart,
    Line,
    Profile,
    Session,
    is_authenticated,
    live_session,
    moment,
    profile_facts,
    seen_rules,
)
from decisions.schema import BUILT_IN
from tests.decisions.profiles import LISTS, NOW_S, profiles

HALF_LIFE_S = 86_400.0
KNOWN = Profile(
    visitor="v",
    seen_s=NOW_S,
    at_s=NOW_S - HALF_LIFE_S,
    first_seen_s=int(NOW_S) - 100,
    visits=1,
    interests={"tea": 12.0, f"{UNKNOWN}77": 5.0},
    counts={"view": 3, f"{UNKNOWN}78": 5},
    cart=Cart(2, 7.5, int(NOW_S) - 60, {"4711": Line(1, 500)}),
    session=Session(int(NOW_S) - 100, int(NOW_S), {"tea": b"abcdef", f"{UNKNOWN}79": b"abc"}),
    caps={"rule": (5, 9)},
)


def test_a_profile_reads_as_facts() -> None:
    assert profile_facts(KNOWN, EVERYTHING, NOW_S, HALF_LIFE_S) == {
        "cart.items": 2,
        "cart.value": 7.5,
        "cart.updated_at": NOW_S - 60,
        "cart.lines": 2,
        "cart.products": {"4711"},
        "visitor.new": True,
        "visitor.visits": 1,
        "visitor.first_seen": NOW_S - 100,
        "interest": {"tea": score(6.0)},
        "counts": {"view": 3},
        "session.started_at": NOW_S - 100,
        "session.seconds": 100.0,
        "session.views": {"tea": 2},
    }


@given(st.dictionaries(st.text(), st.floats(0, 1e6)), st.floats(-100, 1e8), st.floats(1, 1e8))
def test_scores_are_the_score_of_each_weight_as_it_faded(
    weights: dict[str, float], age_s: float, half_life_s: float
) -> None:
    left = fade(1.0, age_s, half_life_s)

    assert scores(weights, age_s, half_life_s) == {
        name: score(weight * left) for name, weight in weights.items()
    }


@given(profiles, st.sampled_from([NOTHING, FUNCTIONAL, PERSONALIZATION]))
def test_facts_are_built_in_attributes_that_the_grants_cover(profile: Profile, grants: int) -> None:
    needs = {attribute.name: attribute.needs for attribute in BUILT_IN}
    needs |= {f"lists.{name}": PERSONALIZATION for name in LISTS}
    assert not any(
        needs[name] & ~grants for name in profile_facts(profile, grants, NOW_S, HALF_LIFE_S)
    )


def test_an_idle_session_is_over_and_a_cart_is_not() -> None:
    facts = profile_facts(KNOWN, EVERYTHING, NOW_S + IDLE_S)
    assert not any(name.startswith("session.") for name in facts)
    assert facts["cart.items"] == 2
    assert live_session(KNOWN, NOW_S + IDLE_S - 1) is KNOWN.session


def test_nobody_has_empty_interests_and_no_visit() -> None:
    assert profile_facts(NOBODY, EVERYTHING, NOW_S) == {"interest": {}, "counts": {}}
    assert live_session(NOBODY, NOW_S) is None
    assert NOBODY.session_id == ""
    assert Profile(session=Session(1, 2)).session_id == ""


def test_the_second_visit_is_not_new_any_more() -> None:
    assert profile_facts(Profile(visits=2), EVERYTHING, NOW_S)["visitor.new"] is False


def test_profile_time_never_runs_backwards() -> None:
    assert moment(KNOWN, NOW_S - 86_400) == NOW_S
    assert moment(KNOWN, NOW_S + 0.0004) == NOW_S
    behind = profile_facts(KNOWN, EVERYTHING, NOW_S - 86_400, HALF_LIFE_S)
    assert behind == profile_facts(KNOWN, EVERYTHING, NOW_S, HALF_LIFE_S)


def test_a_session_has_an_id_of_visitor_and_start() -> None:
    assert KNOWN.session_id == f"v.{int(NOW_S) - 100}"


def test_a_sign_in_counts_until_its_end() -> None:
    signed_in = Profile(customer=5, authenticated_until_s=int(NOW_S))
    assert is_authenticated(signed_in, NOW_S - 1)
    assert not is_authenticated(signed_in, NOW_S)
    assert not is_authenticated(Profile(authenticated_until_s=int(NOW_S)), NOW_S - 1)


def test_a_clock_that_is_set_back_does_not_sign_in_again() -> None:
    late = Profile(customer=5, authenticated_until_s=int(NOW_S), seen_s=NOW_S + 1)
    assert not is_authenticated(late, NOW_S - 1)


def test_a_profile_from_days_ahead_signs_nobody_in() -> None:
    until_s = int(NOW_S) + 10 * 86_400
    tomorrow = Profile(customer=5, authenticated_until_s=until_s, seen_s=NOW_S + 86_400)
    assert is_authenticated(tomorrow, NOW_S)
    ahead = Profile(customer=5, authenticated_until_s=until_s, seen_s=NOW_S + MOST_AHEAD_S)
    assert not is_authenticated(ahead, NOW_S)


def test_capped_rules_are_told_one_by_one() -> None:
    assert seen_rules(KNOWN) == [("rule", 5), ("rule", 9)]

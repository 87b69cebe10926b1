"""The order of events, and clocks that go back: what a profile makes of them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.consent import EVERYTHING
from decisions.events import Event
from decisions.learn import begin, learn
from decisions.profile import Profile
from tests.decisions.profiles import NOW_S, VISITOR
from tests.decisions.test_learn import LEARNING, START

EVENTS = st.lists(
    st.builds(
        Event,
        type=st.sampled_from(["view", "read"]),
        id=st.uuids().map(str),
        item=st.sampled_from(["a", "b"]),
        category=st.sampled_from(["tea", "coffee", "nowhere"]),
    ),
    max_size=7,
    unique_by=lambda event: event.id,
)


def learnt(profile: Profile, events: list[Event], now_s: float = NOW_S) -> Profile:
    for event in events:
        profile = learn(profile, event, LEARNING, EVERYTHING, now_s)
    return profile


@given(EVENTS, st.data())
def test_views_teach_the_same_in_any_order(events: list[Event], data: st.DataObject) -> None:
    other = data.draw(st.permutations(events))

    first, second = learnt(START, events), learnt(START, other)

    assert first.counts == second.counts
    assert first.interests == pytest.approx(second.interests, rel=1e-12)
    assert set(first.recent) == set(second.recent)


@given(EVENTS, st.floats(-1e12, 1e12))
def test_when_the_client_says_that_it_happened_teaches_nothing(
    events: list[Event], at_s: float
) -> None:
    moved = [msgspec.structs.replace(event, at=at_s) for event in events]

    assert learnt(START, moved) == learnt(START, events)


@given(EVENTS, st.data())
def test_what_is_sent_again_changes_nothing(events: list[Event], data: st.DataObject) -> None:
    once = learnt(START, events)
    again = data.draw(st.lists(st.sampled_from(events), max_size=9) if events else st.just([]))

    assert learnt(once, again, NOW_S + 5) == once


@given(EVENTS, st.integers(0, 86_400))
def test_a_clock_behind_the_profile_is_read_as_its_last_moment(
    events: list[Event], behind_s: int
) -> None:
    visited = begin(START, EVERYTHING, NOW_S - behind_s, VISITOR)

    assert visited == begin(START, EVERYTHING, NOW_S, VISITOR)
    assert learnt(visited, events, NOW_S - behind_s) == learnt(visited, events, NOW_S)

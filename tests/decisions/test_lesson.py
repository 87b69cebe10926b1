"""A lesson: events share the work of a visit, and teach what they would have taught one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from decisions.consent import EVERYTHING
from decisions.events import Event
from decisions.learn import learn
from decisions.lesson import Entry, Gain, Learning, Lesson
from decisions.measures import Measure
from decisions.profile import Profile
from tests.decisions.profiles import KEYS, NOW_S, profiles

DAY_S = 86_400.0
TYPES = ("view", "add", "remove", "buy", "tag", "undeclared")
LEARNING = Learning(
    events=frozenset(TYPES) - {"undeclared"},
    gains={
        "view": (Gain("category", 1.0), Gain("brand", 0.5)),
        "add": (Gain("category", 3.0),),
        "tag": (Gain("category", -2.0), Gain("item", 1.0)),
    },
    carts={"add": "add", "remove": "remove", "buy": "clear"},
    known=frozenset(KEYS),
    sensitive=frozenset(KEYS[:3]),
    measures={
        "measure-0": Measure(kind="count", on="view", per="category"),
        "measure-1": Measure(kind="sum", on="buy", field="price", within_s=DAY_S),
        "looked_at": Measure(kind="distinct", on="view", field="item", within_s=DAY_S, most=3),
        "brands": Measure(kind="distinct", on="view", field="brand", per="category", session=True),
    },
    measuring={"view": ("measure-0", "looked_at", "brands"), "buy": ("measure-1",)},
    entries={"view": (Entry("recent", "item", 3),), "tag": (Entry("recent", "item", 3, False),)},
    more=frozenset({"view", "buy", "tag"}),
)
events = st.lists(
    st.builds(
        Event,
        type=st.sampled_from(TYPES),
        id=st.sampled_from(["", *"123456789"]),
        item=st.sampled_from(["", *KEYS[:8]]),
        category=st.sampled_from(["", "gibberish", *KEYS]),
        brand=st.sampled_from(["", *KEYS[2:6]]),
        price=st.floats(0, 100),
        quantity=st.integers(0, 3),
    ),
    max_size=12,
)


@given(profiles, events, st.integers(0, EVERYTHING), st.floats(-86_400, 30 * 86_400))
def test_a_lesson_teaches_what_its_events_teach_one_by_one(
    profile: Profile, events: list[Event], grants: int, later_s: float
) -> None:
    now_s = NOW_S + later_s
    one_by_one, learnt = profile, []
    for event in events:
        after = learn(one_by_one, event, LEARNING, grants, now_s)
        learnt.append(after is not one_by_one)
        one_by_one = after

    lesson = Lesson(profile, LEARNING, grants, now_s)
    assert [lesson.learn(event) for event in events] == learnt
    repeated = [event for event in events if event.id and lesson.is_repeat(event)]
    assert all(not lesson.learn(event) for event in repeated)
    at_once = lesson.learnt()

    assert at_once == one_by_one
    assert list(at_once.interests) == list(one_by_one.interests), "of equal ones the newest stay"
    assert list(at_once.counts) == list(one_by_one.counts)
    for name in ("measures", "distinct", "lists"):  # who comes first goes first
        assert list(getattr(at_once, name)) == list(getattr(one_by_one, name))
    assert (
        at_once.session is None
        or one_by_one.session is None
        or (list(at_once.session.views) == list(one_by_one.session.views))
    )


@given(profiles, events)
def test_a_lesson_leaves_the_profile_that_it_began_with_alone(
    profile: Profile, events: list[Event]
) -> None:
    before = repr(profile)

    lesson = Lesson(profile, LEARNING, EVERYTHING, NOW_S)
    for event in events:
        lesson.learn(event)

    assert repr(profile) == before
    if not events:
        assert lesson.learnt() is profile

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from decisions import consent
from decisions.errors import PlaybookErrors
from decisions.events import Event
from decisions.ledger import row_key, visitor_key
from decisions.lesson import MAX_WEIGHT, Gain, Learning, Lesson, faded
from decisions.profile import NOBODY, Profile, moment
from edge.cookies import Choice
from edge.sinks.row import Row
from edge.sinks.rows import Rows
from edge.wire import Page
from snapshots.build import eventrows, taught
from snapshots.build.interests import landmark_s, stride_s
from snapshots.errors import DataRefused
from tests.snapshots.build.eventlogs import ALL, CUSTOMER, NOW_S, SALT, key_of, learnt, row, stored

DAY_S = 86_400.0
LEARNING = Learning(
    events=frozenset({"product_view", "purchase", "dislike", "flood", "article_read"}),
    gains={
        "product_view": (Gain("category", 1.0), Gain("item", 0.3)),
        "purchase": (Gain("category", 5.0), Gain("item", -1_000.0), Gain("brand", 2.5)),
        "dislike": (Gain("category", -0.7), Gain("brand", 0.2)),
        "flood": (Gain("category", 400_000.0),),
    },
    known=frozenset({"shoes", "hats", "wine", "x1", "acme", "both"}),
    sensitive=frozenset({"wine"}),
)
NEVER: list[str] = []  # no event is taken to be in the feed of purchases

KEYS = ("shoes", "hats", "wine", "both", "unheard")
EVENTS = st.builds(
    Event,
    st.sampled_from(sorted({*LEARNING.events, "undeclared"} - {"flood"}) * 3 + ["flood"]),
    item=st.sampled_from(["", "x1", "x2", "both"]),
    category=st.sampled_from(["", *KEYS]),
    brand=st.sampled_from(["", "acme", "both", "other"]),
)
GRANTS = st.sampled_from([ALL, ALL, ALL, [*ALL, "sensitive"], ["analytics", "functional"]])
GAPS_S = st.one_of(st.just(0.0), st.floats(0.001, 90.0), st.floats(0.0, 40 * DAY_S))
VISITS = st.lists(st.tuples(GAPS_S, GRANTS, st.lists(EVENTS, max_size=5)), max_size=12)

Visit = tuple[float, list[str], list[Event]]


def lived(visits: list[Visit]) -> tuple[Profile, list[Row]]:
    """The profile after these visits, cookie by cookie, and what they left in the log. The last
    one is now, the others by their gaps before it."""
    profile, number = NOBODY, 0
    rows: list[Row] = []
    customer = visitor_key(SALT, CUSTOMER)
    at_s = NOW_S - math.fsum(gap_s for gap_s, _, _ in visits)
    for gap_s, names, events in visits:
        at_s = round(at_s + gap_s, 3)
        grants = consent.mask(names)
        choice = Choice(grants=grants, at_s=1.0, how="banner", policy="1")
        who = Profile(visitor="v", customer=customer)
        told = Rows(1, SALT, LEARNING.sensitive, at_s, choice, who, Page())
        lesson = Lesson(profile, LEARNING, grants, at_s)
        for event in events:
            number += 1
            event = Event(
                f"{event.type}", f"e{number}", 0.0, event.item, event.category, event.brand
            )
            lesson.learn(event)
            told.events.append((event, None))
        profile = lesson.learnt()
        rows += told
    return profile, rows


def spread(rows: list[Row], files: int) -> list[list[Row]]:
    """The rows in several files, those of one moment in one: a node writes what a visit left at
    once."""
    moments = sorted({row.received for row in rows})
    return [
        [row for row in rows if moments.index(row.received) % files == file]
        for file in range(files)
    ]


@settings(max_examples=25, deadline=None, phases=[Phase.generate])  # shrinking takes minutes
@given(VISITS, st.integers(1, 3))
def test_the_builders_interest_is_the_cookies_to_a_millionth(
    visits: list[Visit], files: int
) -> None:
    profile, rows = lived(visits)
    now_s = NOW_S + 1.0
    wanted = faded(profile, LEARNING.half_life_s, moment(profile, now_s))

    lessons = learnt(
        LEARNING,
        stored(*spread(rows, files)),
        now_s,
        categories=("hats", "shoes"),
        bought=NEVER,
    )

    half_life_s = LEARNING.half_life_s
    next_s = landmark_s(now_s, half_life_s) + stride_s(half_life_s)
    until = math.exp2((next_s - now_s) / half_life_s)
    found = {key: weight * until for key, weight in lessons.of().items()}
    for key in wanted.keys() | found.keys():
        assert found.get(key, 0.0) == pytest.approx(wanted.get(key, 0.0), rel=1e-6, abs=1e-9)
    assert lessons.taught.rows == {"events": len(rows)}


SIMPLE = Learning(
    events=frozenset({"product_view", "purchase"}),
    gains={
        "product_view": (Gain("category", 1.0), Gain("item", 1.0)),
        "purchase": (Gain("category", 5.0), Gain("item", -1_000.0)),
    },
    known=frozenset({"shoes", "wine", "x1"}),
    sensitive=frozenset({"wine"}),
)
HALF = 0.5  # of a weight of now is left at the next landmark, a half-life away


def view(id_: str, **more: Any) -> Row:
    said: dict[str, Any] = {"received": NOW_S, "category": "shoes", "item": "x1"}
    return row(id_, **(said | more))


def bought(id_: str, **more: Any) -> Row:
    return view(id_, type_="purchase", **more)


def test_a_purchase_adds_to_the_item_and_leaves_the_category_to_the_feed() -> None:
    log = stored([bought("1"), view("2")])
    assert learnt(SIMPLE, log, NOW_S).of() == {"shoes": HALF, "x1": HALF}
    assert learnt(SIMPLE, log, NOW_S, bought=NEVER).of() == {"shoes": 6 * HALF, "x1": HALF}
    assert learnt(SIMPLE, log, NOW_S, bought=["product_view"]).of()["shoes"] == 5 * HALF


def test_a_word_of_bought_that_is_no_event_is_refused() -> None:
    with pytest.raises(PlaybookErrors, match=r'is for "sold", .*product_view, purchase'):
        learnt(SIMPLE, stored(), NOW_S, bought=["purchase", "sold"])
    silent = Learning()
    assert learnt(silent, stored([view("1")]), NOW_S).left_out == {"event not declared": 1}
    with pytest.raises(PlaybookErrors, match=r"is for \"sold\" \[unknown-event\]"):
        learnt(silent, stored(), NOW_S, bought=["sold"])


def test_many_small_files_are_taken_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventrows, "MAX_TABLES", 2)
    log = stored(*([view(str(number))] for number in range(5)))
    found = learnt(SIMPLE, log, NOW_S)
    assert (found.of()["shoes"], found.taught.rows) == (5 * HALF, {"events": 5})
    monkeypatch.setattr(eventrows, "MIN_ROWS", 1)
    assert learnt(SIMPLE, log, NOW_S).of() == found.of()


def test_what_was_taken_away_stays_away_whatever_file_it_lies_in() -> None:
    hour_s = 3_600.0
    rows = [view("1", received=NOW_S - 2 * hour_s), bought("2", received=NOW_S - hour_s)]
    assert learnt(SIMPLE, stored(rows), NOW_S).of()["x1"] == 0.0
    assert learnt(SIMPLE, stored(rows[::-1]), NOW_S).of()["x1"] == 0.0
    again = stored([view("3")], rows)
    assert learnt(SIMPLE, again, NOW_S).of()["x1"] == HALF


def test_a_weight_ends_at_the_most_that_a_profile_keeps() -> None:
    flood = Learning(
        events=frozenset({"product_view"}),
        gains={"product_view": (Gain("category", MAX_WEIGHT - 1.0),)},
        known=frozenset({"shoes"}),
    )
    assert learnt(flood, stored([view("1")]), NOW_S).of() == {"shoes": (MAX_WEIGHT - 1.0) * HALF}
    assert learnt(flood, stored([view("1"), view("2")]), NOW_S).of() == {"shoes": MAX_WEIGHT * HALF}


def test_events_of_several_devices_teach_of_one_customer_and_none_of_another() -> None:
    phone = {"visitor": row_key(SALT, "phone")}
    log = stored([view("1"), view("1", **phone), view("2", customer=key_of("Bob"))])
    found = learnt(SIMPLE, log, NOW_S, customers=["Ann", "Bob"])
    assert found.of("Ann")["shoes"] == 2 * HALF
    assert found.of("Bob")["shoes"] == HALF
    assert found.left_out == {}


def test_every_row_that_teaches_nothing_is_counted_with_its_reason() -> None:
    rows = [
        view("used"),
        view("anonymous", customer=""),
        view("unwilling", grants=["analytics"]),
        view("early", received=NOW_S + 1.0),
        view("old", received=NOW_S - 600 * DAY_S),
        view("odd", type_="wave"),
        view("said", type_="seen"),
        view("wine", category="wine"),
        view("blank", category="", item=""),
        view("unheard", category="boats", item="x9"),
        view("used", category="boats"),
        view("Bob", customer=key_of("Bob")),
        view("shown", type_="served"),
    ]
    found = learnt(SIMPLE, stored(rows), NOW_S)
    assert found.left_out == {
        "no customer": 1,
        "no grant of personalization": 1,
        "after the moment of the build": 1,
        "too old to weigh anything": 1,
        "event not declared": 1,
        "event without interest to learn": 2,
        "sensitive category without its grant": 1,
        "nothing that interest is known for, or may be learnt for": 2,
        "there before": 1,
        "of a customer whom no feed names": 1,
    }
    assert found.taught.rows == {"events": len(rows)}
    assert found.of() == {"shoes": HALF, "x1": HALF}


def test_a_sensitive_value_is_learnt_only_by_the_opt_in_of_its_own_row() -> None:
    opted = view("1", category="wine", grants=[*ALL, "sensitive"])
    log = stored([opted, view("2", category="wine"), view("3", grants=[*ALL, "later purpose"])])
    assert learnt(SIMPLE, log, NOW_S).of() == {"wine": HALF, "x1": 2 * HALF, "shoes": HALF}
    tainted = msgspec.structs.replace(SIMPLE, sensitive=frozenset({"x1"}))
    assert learnt(tainted, stored([view("1")]), NOW_S).of() == {"shoes": HALF}


def test_rows_of_somebody_erased_teach_nothing_until_the_customer_comes_back() -> None:
    hour_s = 3_600
    before, after = view("1", received=NOW_S - 2 * hour_s), view("2")
    phone = view("3", visitor=row_key(SALT, "phone"))
    erased = {
        visitor_key(SALT, CUSTOMER): int(NOW_S) - hour_s,
        visitor_key(SALT, "phone"): int(NOW_S) - hour_s,
    }
    found = learnt(SIMPLE, stored([before, after, phone]), NOW_S, erased=erased)
    assert found.of() == {"shoes": HALF, "x1": HALF}
    assert found.left_out == {"of somebody erased": 2}


def test_more_interests_than_a_membership_can_number_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(taught, "NO_INTEREST", 2)
    with pytest.raises(DataRefused, match="at most 2 interests in all rules, got 3"):
        learnt(SIMPLE, stored(), NOW_S)


def test_without_a_log_nothing_is_taught() -> None:
    nothing = taught.Taught()
    assert taught.for_customers(None, nothing, lambda: pytest.fail("asked")) == taught.Named()

"""Thresholds are found at build time: where comparisons of the clock turn, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from decisions.clock import Calendar
from decisions.facts import _timing
from decisions.tables import Thresholds
from decisions.thresholds import SESSION
from decisions.timed import _CLOCK
from tests.decisions.written import OFFER, program, rule

DAY = 1_440
EVERY_HOUR = tuple(range(0, 7 * DAY, 60))
MIDNIGHTS = tuple(range(0, 7 * DAY, DAY))


def table(*whens: str, **changes: Any) -> Thresholds | None:
    """The hero's table for rules of these conditions."""
    rules = [rule(f"r{number}", when) for number, when in enumerate(whens)]
    return program(rules=rules, **changes).slots["hero"].thresholds


def test_a_slot_whose_rules_do_not_read_the_clock_has_no_table() -> None:
    found = program(rules=[rule("one", 'geo.country == "FR" && "engaged_reader" in tags')])
    assert [slot.thresholds for slot in found.slots.values()] == [None, None, None]


AGES: dict[str, dict[str, tuple[float, ...]]] = {
    'now - cart.updated_at >= duration("15m")': {"cart.updated_at": (900.0,)},
    'duration("15m") < now - cart.updated_at': {"cart.updated_at": (900.0,)},
    'cart.updated_at + duration("15m") <= now': {"cart.updated_at": (900.0,)},
    '!(now < cart.updated_at + duration("15m"))': {"cart.updated_at": (900.0,)},
    'now - duration("1h") > visitor.first_seen': {"visitor.first_seen": (3_600.0,)},
    'cart.updated_at - now > duration("-90s")': {"cart.updated_at": (90.0,)},
    "-session.seconds < -300.0": {"session.seconds": (300.0,)},
    "session.seconds >= 300.0": {"session.seconds": (300.0,)},
    "session.seconds / 60.0 > 5.0": {"session.seconds": (300.0,)},
    "2.0 * session.seconds - 1.0 == 9.0": {"session.seconds": (5.0,)},
    "session.seconds * 2.0 != 10.0": {"session.seconds": (5.0,)},
    "session.seconds in [3.0, 9.0]": {"session.seconds": (3.0, 9.0)},
    "session.seconds > 5.0 ? cart.items > 1 : session.seconds > 2.0": {
        "session.seconds": (2.0, 5.0)
    },
    'session.views.exists(c, session.views[c] > 1 && now - cart.updated_at > duration("9s"))': {
        "cart.updated_at": (9.0,)
    },
}


@pytest.mark.parametrize("when", AGES)
def test_an_age_turns_at_the_constant_that_it_is_compared_with(when: str) -> None:
    assert table(when) == Thresholds(ages=AGES[when])


def test_a_moment_is_compared_with_now_itself() -> None:
    when = 'now >= timestamp("2027-01-01T00:00:00Z") || now < timestamp("2026-12-01T00:00:00Z")'
    assert table(when) == Thresholds(moments=(1_796_083_200.0, 1_798_761_600.0))


def test_only_the_hours_at_which_a_comparison_turns_are_kept() -> None:
    found = table("time.hour >= 9 && time.hour < 17")  # each half turns at midnight, too
    hours = tuple(day * DAY + hour * 60 for day in range(7) for hour in (0, 9, 17))
    assert found == Thresholds(week=hours)
    assert table('time.weekday in ["sat", "sun"]') == Thresholds(week=(0, 5 * DAY))


def test_the_visitors_own_clock_turns_by_itself() -> None:
    assert table('local.weekday == "mon"') == Thresholds(local=(0, DAY))
    assert table("local.hour > time.hour") == Thresholds(week=EVERY_HOUR, local=EVERY_HOUR)
    assert table("local.date == time.date") == Thresholds(week=MIDNIGHTS, local=MIDNIGHTS)


def test_a_measure_over_a_window_changes_when_a_cell_may_leave_it() -> None:
    measures = {
        "today": {"count": "article_read", "within": "24h"},
        "ever": {"count": "article_read"},
        "here": {"count": "article_read", "within": "session"},
        "read": {"last": "article_read"},
    }
    found = table("measures.today + measures.ever + measures.here > 3", measures=measures)
    assert found == Thresholds(windows={"measures.today": 3 * 3_600})
    found = table('now - measures.read > duration("3s")', measures=measures)
    assert found == Thresholds(ages={"measures.read": (3.0,)})


@pytest.mark.parametrize(
    ("when", "week"),
    [
        ("time.hour * 2 > cart.items", EVERY_HOUR),
        ('time.date >= "2026-12-01"', MIDNIGHTS),
        ('time.date.startsWith("2026-12")', MIDNIGHTS),
        ("time.weekday == device.kind", MIDNIGHTS),
    ],
)
def test_what_else_reads_the_clock_on_the_wall_turns_with_it(
    when: str, week: tuple[int, ...]
) -> None:
    assert table(when) == Thresholds(week=week)


VAGUE = [
    "session.seconds > scores.propensity",
    "now - cart.updated_at > now - visitor.first_seen + (now - session.started_at)",
    "session.seconds * session.seconds > 9.0",
    "9.0 / session.seconds > 1.0",
    "int(session.seconds) % 7 == 0",
    "[3.0, 5.0].exists(t, session.seconds > t)",
    "[session.seconds].exists(t, t > 3.0)",
    "now.getMinutes() == 30",
    '(now - cart.updated_at).getMinutes() > 3 && string(now) != ""',
]


@pytest.mark.parametrize("when", VAGUE)
def test_any_other_use_of_the_clock_is_vague(when: str) -> None:
    assert table(when) == Thresholds(vague=True)


@pytest.mark.parametrize(
    "when",
    [
        "has(session.seconds) && cart.items > 1",
        "now - visitor.first_seen > now - cart.updated_at",
        "session.seconds > 1e308 * 10.0",
        "session.seconds in []",
    ],
)
def test_where_time_makes_no_difference_there_is_no_threshold(when: str) -> None:
    assert table(when) is None


def test_a_tag_brings_its_thresholds_to_the_slots_whose_rules_read_it() -> None:
    tags = {"slow": "session.seconds > 300.0", "old": 'now - cart.updated_at > duration("1h")'}
    assert table('"slow" in tags', tags=tags) == Thresholds(ages={"session.seconds": (300.0,)})
    assert table('tags.exists(t, t == "slow")', tags=tags) == Thresholds(
        ages={"cart.updated_at": (3_600.0,), "session.seconds": (300.0,)}
    )


def test_schedules_hours_and_caps_are_thresholds() -> None:
    found = program(
        rules=[
            rule("a", "cart.items > 1", **{"from": "2027-03-01"}, until="2027-03-31T12:00:00Z"),
            rule("b", "cart.items > 2", hours={"sun": "22:00-24:00"}),
            rule("c", "cart.items > 3", cap={"times": 2, "per": "1h"}),
        ]
    ).slots["hero"]
    assert found.thresholds == Thresholds(
        moments=(1_803_855_600.0, 1_806_494_400.0),
        week=(0, 6 * DAY + 22 * 60),
        caps={"c": (2, 3_600.0)},
    )


SIGNED_IN: list[dict[str, Any]] = [
    {"rules": [rule("one", 'traits.first_name == "Ada"')]},
    {"rules": [rule("one", "cart.items > 1", show="hero/shoes")]},
    {"rules": [], "slots": {"hero": {"default": "hero/shoes"}}},
    {"rules": [rule("one", "cart.items > 1", experiment=OFFER | {"unit": "customer"})]},
    {"rules": [], "holdout": {"share": 5, "unit": "customer"}},
]


@pytest.mark.parametrize("changes", SIGNED_IN)
def test_what_needs_a_sign_in_may_change_when_it_ends(changes: dict[str, Any]) -> None:
    found = program(fragments={"hero/shoes": "{{traits.first_name}}"}, **changes).slots["hero"]
    assert found.thresholds == Thresholds(signed_in=True)


def test_whatever_is_derived_from_the_clock_is_watched() -> None:
    assert _timing(Calendar("UTC")).keys() == _CLOCK - {SESSION}

"""How long until time alone may change what a slot shows: never too late, seldom too early."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from decisions.compiling import compile_playbook
from decisions.consent import AUTHENTICATED, FUNCTIONAL, PERSONALIZATION
from decisions.measures import measured
from decisions.profile import Cart, Profile, Session, is_authenticated, profile_facts, seen_rules
from decisions.program import Program, decode
from decisions.tables import SlotHead, Thresholds
from decisions.thresholds import AHEAD_S, VAGUE_S, merged, next_in
from tests.decisions.written import OFFER, playbook, program, rule

NOW = 1_795_000_000.0  # Wednesday 2026-11-18, 12:06:40 in Paris
SPRING = 1_774_746_000.0  # 2026-03-29 01:00 UTC, when 02:00 becomes 03:00 in Paris
KNOWN = FUNCTIONAL | PERSONALIZATION

ATTRIBUTES = {
    "traits.first_name": {"type": "string", "purpose": "personalization", "needs": "authenticated"},
    "traits.renewal": {"type": "timestamp", "purpose": "personalization"},
    "scores.propensity": {"type": "double", "purpose": "personalization"},
}
MEASURES = {
    "viewed": {"count": "product_view", "within": "20m"},
    "spent": {"sum": "price", "of": "purchase", "per": "category", "within": "100s"},
    "bought": {"last": "purchase"},
    "looked": {"distinct": "item", "of": "product_view", "within": "15m"},
}
TAGS = {
    "abandoner": 'cart.items > 0 && now - cart.updated_at >= duration("15m")',
    "browser": "session.seconds > 300.0",
    "early": "time.hour < 13",
}


def asked(compiled: Program, profile: Profile, now_s: float, grants: int) -> dict[str, Any]:
    """What a visit knows of this profile."""
    if is_authenticated(profile, now_s):
        grants |= AUTHENTICATED
    values = profile_facts(profile, grants, now_s)
    values["traits.renewal"], values["traits.first_name"] = NOW + 600.5, "Ada"
    if grants & PERSONALIZATION:
        values |= measured(profile, compiled.learning.measures, now_s)
    if profile.visits == 2:
        values["local.zone"] = "Asia/Kathmandu"  # 17:51:40
    facts = compiled.gate.flat(values, grants, now_s)
    return {"facts": facts, "seen": seen_rules(profile)}


def wait(compiled: Program, profile: Profile, now_s: float, grants: int = KNOWN) -> int:
    until_s = float(profile.authenticated_until_s)
    slots = ("hero", "promo", "nowhere")
    known = asked(compiled, profile, now_s, grants)
    return next_in(compiled.thresholds(slots), **known, signed_in_until_s=until_s)


def page(compiled: Program, profile: Profile, now_s: float, grants: int) -> list[tuple[str, ...]]:
    """What both slots show, by which rule, and why; the steps to it tell the time of day."""
    known = asked(compiled, profile, now_s, grants)
    around = compiled.around(known["facts"], unit="v1", seen=known["seen"])
    made = [compiled.decided(slot, known["facts"], around) for slot in ("hero", "promo")]
    return [(one.fragment, one.rule, one.variant, one.reason) for one in made]


WHENS = [
    '"abandoner" in tags',
    '!("abandoner" in tags)',
    '"browser" in tags && cart.items == 0',
    '"early" in tags',
    'now - visitor.first_seen <= duration("20m")',
    'now - visitor.first_seen == duration("1200s")',
    "session.seconds >= 3.0 && session.seconds < 3.5",
    "session.seconds / 60.0 > 9.0 || cart.value > 5.0",
    'traits.renewal < now || cart.updated_at + duration("7m") > now',
    'traits.renewal - now <= duration("1m30s")',
    "time.hour in [12, 14, 2]",
    "time.hour * 60 > 750",
    'time.weekday == "sun"',
    'time.date < "2026-11-19"',
    'now >= timestamp("2026-11-18T11:20:00Z")',
    'traits.first_name == "Ada"',
    'visitor.new ? session.seconds < 100.0 : now - cart.updated_at < duration("10m")',
    "cart.items >= 0",
    "local.hour in [17, 2]",
    'local.hour < 18 && local.weekday == "wed"',
    'local.date != "2026-11-19"',
    "local.hour + time.hour > 29",
    "measures.viewed > 1",
    "measures.looked > 1",
    'measures.spent["shoes"] >= 3.0',
    'now - measures.bought < duration("11m")',
]
EXTRA: list[dict[str, Any]] = [
    {},
    {},
    {"cap": {"times": 2, "per": "20m"}},
    {"from": "2026-11-18T11:07:00Z", "until": "2026-11-18T11:25:00.250Z"},
    {"hours": {"wed": ["12:00-12:10", "12:15-12:20"], "sun": "01:50-03:05"}},
    {"experiment": OFFER},
    {"hours": {"mon-sun": "23:30-02:10"}},
]
COMPILED: dict[tuple[tuple[int, int], ...], Program] = {}


def of_rules(places: tuple[tuple[int, int], ...]) -> Program:
    """The rules of these conditions and extras, by turns in two slots."""
    if places not in COMPILED:
        rules = [
            rule(
                f"r{number}",
                WHENS[when],
                **(EXTRA[extra] | ({"slot": "promo"} if number % 2 else {})),
            )
            for number, (when, extra) in enumerate(places)
        ]
        written = playbook(rules=rules, tags=TAGS, attributes=ATTRIBUTES, measures=MEASURES)
        made = compile_playbook(written, allow_shadowed=True)
        COMPILED[places] = decode(made.encode())
    return COMPILED[places]


PLACES = st.lists(
    st.tuples(st.integers(0, len(WHENS) - 1), st.integers(0, len(EXTRA) - 1)),
    min_size=1,
    max_size=4,
).map(tuple)
STARTS = st.sampled_from([NOW, SPRING - 900, SPRING - 100, NOW + 42_800]) | st.floats(
    NOW - 4_000, NOW + 4_000
).map(lambda at: round(at, 3))
AGES = st.integers(0, 1_300)


@st.composite
def visitors(draw: st.DrawFn) -> tuple[Profile, float]:
    """A visitor at the end of a visit, and when that is."""
    now_s = draw(STARTS)
    whole = int(now_s)
    cells = tuple(sorted((whole - draw(AGES), 1_00) for _ in range(4)))
    profile = Profile(
        visitor="v1",
        seen_s=now_s,
        first_seen_s=whole - draw(AGES),
        visits=draw(st.integers(1, 2)),
        cart=Cart(draw(st.integers(0, 2)), 9.0, whole - draw(AGES)),
        session=Session(whole - draw(AGES), whole),
        caps={
            f"r{number}": tuple(sorted(whole - draw(AGES) for _ in range(draw(st.integers(0, 3)))))
            for number in range(2)
        },
        customer=7,
        authenticated_until_s=whole + draw(st.integers(-10, 1_000)),
        measures={
            "viewed": {"": tuple((at - at % 150, 1) for at, _ in cells)},
            "spent": {"shoes": tuple((at - at % 13, paid) for at, paid in cells)},
            "bought": {"": cells[-1:]},
        },
        distinct={"looked": {"": tuple((at - at % 113, at % 5) for at, _ in cells)}},
    )
    return profile, now_s


ANN = Profile(
    visitor="v1",
    first_seen_s=int(NOW) - 90,
    visits=2,
    cart=Cart(1, 9.0, int(NOW)),
    session=Session(int(NOW) - 60, int(NOW)),
    caps={"r0": (int(NOW) - 900, int(NOW) - 300)},
    customer=7,
    authenticated_until_s=int(NOW) + 60,
)


@settings(max_examples=150, deadline=None)
@given(PLACES, visitors(), st.sampled_from([KNOWN, FUNCTIONAL, PERSONALIZATION, 0]))
@example(((WHENS.index('"abandoner" in tags'), 0), (6, 0)), (ANN, NOW), KNOWN)
@example(((WHENS.index("cart.items >= 0"), 2),), (ANN, NOW), KNOWN)
@example(((WHENS.index("local.hour in [17, 2]"), 0),), (ANN, NOW), KNOWN)
@example(((WHENS.index('traits.first_name == "Ada"'), 0),), (ANN, NOW), KNOWN)
@example(((WHENS.index("cart.items >= 0"), 3),), (ANN, NOW), 0)
def test_no_decision_changes_before_the_time_that_was_named(
    places: tuple[tuple[int, int], ...], visitor: tuple[Profile, float], grants: int
) -> None:
    compiled, (profile, now_s) = of_rules(places), visitor
    first = page(compiled, profile, now_s, grants)
    named = wait(compiled, profile, now_s, grants) or AHEAD_S
    assert 1 <= named <= AHEAD_S
    for later_s in range(1, named):
        then = page(compiled, profile, now_s + later_s, grants)
        assert then == first, f"expected no change within {named} s, got one after {later_s} s"


def test_a_basket_and_five_minutes_of_browsing_are_named_to_the_second() -> None:
    compiled = program(rules=[rule("one", '"abandoner" in tags || "browser" in tags')], tags=TAGS)
    start = int(NOW)
    there = Profile(
        visitor="v1", cart=Cart(1, 9.0, start - 200), session=Session(start - 10, start)
    )
    assert wait(compiled, there, NOW) == 290
    assert wait(compiled, there, NOW + 0.5) == 290
    assert wait(compiled, there, NOW + 289.5) == 1
    assert wait(compiled, there, NOW + 291) == 409
    assert wait(compiled, there, NOW + 701) == 0
    assert wait(compiled, there, NOW, FUNCTIONAL) == 700
    assert wait(compiled, there, NOW, 0) == 0


def test_a_cap_that_is_used_up_is_named_when_it_runs_out_and_one_that_is_not_is_no_threshold() -> (
    None
):
    compiled = program(rules=[rule("one", "cart.items == 0", cap={"times": 2, "per": "10m"})])
    start = int(NOW)

    def seen(*ages: int) -> int:
        return wait(compiled, Profile(caps={"one": tuple(start - age for age in ages)}), NOW)

    assert seen(590) == 0
    assert seen(590, 30) == 10
    assert seen(590, 500, 30) == 100
    assert seen(600, 30) == 0
    assert wait(compiled, Profile(caps={"two": (start, start)}), NOW) == 0


def test_what_is_further_ahead_than_a_session_lasts_is_not_named() -> None:
    compiled = program(rules=[rule("one", 'now - cart.updated_at > duration("30m")')])
    start = int(NOW)
    assert wait(compiled, Profile(cart=Cart(1, 9.0, start)), NOW) == AHEAD_S
    assert wait(compiled, Profile(cart=Cart(1, 9.0, start + 1)), NOW) == 0


def test_a_threshold_of_this_very_instant_is_named_once_more() -> None:
    compiled = program(rules=[rule("one", 'now - cart.updated_at > duration("10m")')])
    reached = Profile(cart=Cart(1, 9.0, int(NOW) - 600))
    assert wait(compiled, reached, NOW) == 1
    assert wait(compiled, reached, NOW + 0.001) == 0


def test_a_vague_use_of_the_clock_is_looked_at_again_after_a_minute() -> None:
    compiled = program(rules=[rule("one", "now.getMinutes() == 30")])
    assert wait(compiled, Profile(), NOW) == VAGUE_S


def test_the_end_of_a_sign_in_is_named_to_who_is_signed_in() -> None:
    compiled = program(rules=[rule("one", 'traits.first_name == "Ada"')])
    ann = Profile(visitor="v1", customer=7, authenticated_until_s=int(NOW) + 60)
    assert wait(compiled, ann, NOW) == 60
    assert wait(compiled, ann, NOW + 60) == 0


def test_where_the_calendar_ends_nothing_is_named() -> None:
    compiled = program(rules=[rule("one", "time.hour == 3")])
    assert wait(compiled, Profile(), NOW) == 0
    for now_s in (1e12, -1e12, math.inf):
        assert next_in(compiled.thresholds(["hero"]), compiled.facts({}, (), now_s)) == 0


def test_a_slot_of_an_older_build_has_no_thresholds_and_is_read() -> None:
    head = program(rules=[rule("one", "time.hour == 3")]).head.slots[0]
    newer = msgspec.msgpack.encode(head)
    older = msgspec.msgpack.encode(msgspec.msgpack.decode(newer)[:3])
    assert isinstance(msgspec.msgpack.decode(newer, type=SlotHead).thresholds, Thresholds)
    assert msgspec.msgpack.decode(older, type=SlotHead) == SlotHead(head.name, head.default, False)


@pytest.mark.parametrize("slots", [("hero",), ("promo",), ()])
def test_only_the_slots_asked_for_count(slots: tuple[str, ...]) -> None:
    compiled = program(rules=[rule("one", "session.seconds > 9.0")])
    facts = compiled.facts({"session": {"seconds": 2.5}}, ["personalization"], NOW)
    assert next_in(compiled.thresholds(slots), facts) == (7 if "hero" in slots else 0)


def test_the_tables_of_a_page_are_one_table() -> None:
    one = Thresholds(
        ages={"cart.updated_at": (9.0,)},
        moments=(1.0,),
        week=(60,),
        caps={"a": (1, 60.0)},
        windows={"measures.views": 225},
    )
    other = Thresholds(
        ages={"session.seconds": (3.0,), "cart.updated_at": (5.0, 9.0)},
        week=(0, 60),
        local=(120,),
        signed_in=True,
        vague=True,
    )
    assert merged([one, other]) == Thresholds(
        ages={"cart.updated_at": (5.0, 9.0), "session.seconds": (3.0,)},
        moments=(1.0,),
        week=(0, 60),
        local=(120,),
        caps={"a": (1, 60.0)},
        windows={"measures.views": 225},
        signed_in=True,
        vague=True,
    )
    assert (merged([one]), merged([])) == (one, None)

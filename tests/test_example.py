"""The example's rules as visitors meet them: events in, what the shop shows out."""

from __future__ import annotations

from pathlib import Path

import pytest

from decisions.compiling import compile_playbook
from decisions.consent import FUNCTIONAL, PERSONALIZATION
from decisions.events import Event
from decisions.learn import begin, learn
from decisions.measures import measured
from decisions.profile import NOBODY, Profile, profile_facts
from decisions.program import Program
from snapshots.build import read_playbook

GROCER = Path(__file__).parent.parent / "examples" / "grocer"
GRANTS = FUNCTIONAL | PERSONALIZATION
NOW_S = 1_795_000_000.0
DAY_S = 86_400.0
ROSES, STRAWBERRIES = "919766", "1127831"


@pytest.fixture(scope="module")
def program() -> Program:
    return compile_playbook(read_playbook(GROCER))


def promo(program: Program, *events: tuple[str, str, str, float]) -> str:
    """What the strip shows now, after these events: type, item, category, days ago."""
    profile: Profile = NOBODY
    for number, (type_, item, category, days) in enumerate(events):
        at_s = NOW_S - days * DAY_S
        profile = begin(profile, GRANTS, at_s, "01a1ee56-5e00-7834-8b54-ac73d45c70b4")
        event = Event(type=type_, id=str(number), at=at_s, item=item, category=category, price=5.0)
        profile = learn(profile, event, program.learning, GRANTS, at_s)
    facts = profile_facts(profile, GRANTS, NOW_S, program.learning.half_life_s)
    facts |= measured(profile, program.learning.measures, NOW_S)
    flat = program.gate.flat(facts, GRANTS, NOW_S)
    return program.decide("promo", flat).fragment


def test_a_heart_on_the_roses_counts_until_it_is_taken_back(program: Program) -> None:
    heart, back = ("wish", ROSES, "floral", 1.0), ("unwish", ROSES, "floral", 0.5)
    assert promo(program, heart) == "promo/roses"
    assert promo(program, heart, back) == "promo/none"


def test_a_month_of_orders_of_a_hundred_dollars_is_thanked(program: Program) -> None:
    orders = [("purchase", str(n), "dairy", (20 - n) / 2) for n in range(20)]
    assert promo(program, *orders[1:]) == "promo/none"  # 95 dollars
    assert promo(program, *orders) == "promo/delivery"


def test_ten_products_of_a_week_without_a_heart_call_for_hearts(program: Program) -> None:
    seen = [("product_view", str(n), "dairy", (30 - n) / 5) for n in range(10)]
    assert promo(program, *seen[1:], *seen[1:]) == "promo/none"
    assert promo(program, *seen) == "promo/hearts"
    assert promo(program, *seen, ("wish", "3", "dairy", 0.0)) == "promo/none"
    pills = [("product_view", f"pill {n}", "pharmacy", 0.0) for n in range(10)]
    assert promo(program, *pills) == "promo/none"


def looks(*days: float) -> list[tuple[str, str, str, float]]:
    return [("product_view", ROSES, "floral", day) for day in days]


@pytest.mark.parametrize("days", [(0, 0, 0, 0), (7, 7, 7, 0), (7, 5, 2, 0), (3, 3, 2, 1)])
def test_roses_looked_at_four_times_within_a_week_are_on_the_mind(
    program: Program, days: tuple[float, ...]
) -> None:
    assert promo(program, *looks(*days)) == "promo/roses"


@pytest.mark.parametrize("days", [(0, 0, 0), (30, 20, 10, 0)])
def test_three_looks_or_old_ones_are_not(program: Program, days: tuple[float, ...]) -> None:
    assert promo(program, *looks(*days)) == "promo/none"


def test_who_has_bought_them_is_done_with_it(program: Program) -> None:
    bought = ("purchase", ROSES, "floral", 0.0)

    assert promo(program, *looks(1, 1, 1, 1), bought) == "promo/none"
    assert promo(program, *looks(1, 1, 1, 1), bought, *looks(0)) == "promo/none"


def test_strawberries_that_were_looked_at_call_for_cream_once_the_basket_is_filled(
    program: Program,
) -> None:
    looked = ("product_view", STRAWBERRIES, "produce", 0.1)

    assert promo(program, looked) == "promo/none"
    assert promo(program, looked, ("add_to_cart", "1", "dairy", 0.05)) == "promo/cream"


def test_strawberries_in_the_basket_call_for_cream_until_they_are_taken_out(
    program: Program,
) -> None:
    put, out = (
        (type_, STRAWBERRIES, "produce", 0.01) for type_ in ("add_to_cart", "remove_from_cart")
    )
    other = ("add_to_cart", ROSES, "floral", 0.02)

    assert promo(program, other, put) == "promo/cream"
    assert promo(program, other, put, out) == "promo/none"

"""The fast path and the plain scan agree, and nothing depends on what is not granted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.consent import AUTHENTICATED, FUNCTIONAL, PERSONALIZATION, SENSITIVE
from decisions.program import Program, decode
from tests.decisions.test_engine import NOW
from tests.decisions.written import OFFER, program, rule

# The fast path and the plain scan agree, and nothing depends on what is not granted.

WHENS = [
    'geo.country == "FR"',
    'geo.country != "FR"',
    'geo.country in ["FR", "DE"] && device.kind == "mobile"',
    '!("loyal" in segments)',
    '"loyal" in segments || "patient" in segments',
    '!("patient" in segments) && interest["shoes"] < 50',
    'interest["pharmacy"] > 10 || cart.items > 1',
    'interest["shoes"] >= 40 && interest["shoes"] <= 60',
    '!(interest["shoes"] >= 40)',
    "cart.items * 2 > cart.items + 1",
    "cart.value / double(cart.items) > 3.0",
    '"cart_abandoner" in tags',
    '"engaged_reader" in tags && !("category_browser" in tags)',
    "counts.article_read < 2",
    "time.hour >= 8 && time.hour < 18",
    'visitor.new || traits.first_name.startsWith("A")',
    "has(geo.city) && !visitor.new",
    'session.views.exists(c, session.views[c] > 1) && geo.country == "FR"',
]
COUNTRIES = st.sampled_from(["FR", "DE", "fr", "", "日本"])
NUMBERS = st.sampled_from([0.0, 10.0, 39.99, 40.0, 60.0, float("nan"), float("inf"), -1.0])
FACTS = st.fixed_dictionaries(
    {},
    optional={
        "geo": st.fixed_dictionaries({}, optional={"country": COUNTRIES, "city": st.just("Lyon")}),
        "device": st.fixed_dictionaries({"kind": st.sampled_from(["mobile", "desktop"])}),
        "segments": st.sets(st.sampled_from(["loyal", "patient", "unheard-of"])),
        "interest": st.dictionaries(st.sampled_from(["shoes", "pharmacy"]), NUMBERS),
        "cart": st.fixed_dictionaries(
            {},
            optional={
                "items": st.sampled_from([0, 1, 2, True, 1.0]),
                "value": st.sampled_from([0.0, 12.5]),
                "updated_at": st.sampled_from([NOW, NOW - 3_600]),
            },
        ),
        "counts": st.dictionaries(st.just("article_read"), st.integers(0, 4)),
        "visitor": st.fixed_dictionaries({"new": st.sampled_from([True, False, 1])}),
        "traits": st.fixed_dictionaries({"first_name": st.sampled_from(["Ada", "Bo"])}),
        "session": st.fixed_dictionaries(
            {"views": st.dictionaries(st.sampled_from(["shoes", "pharmacy"]), st.integers(0, 9))}
        ),
    },
)
MASKS = st.sampled_from(
    [
        0,
        FUNCTIONAL,
        PERSONALIZATION,
        FUNCTIONAL | PERSONALIZATION,
        FUNCTIONAL | PERSONALIZATION | SENSITIVE,
        FUNCTIONAL | PERSONALIZATION | SENSITIVE | AUTHENTICATED,
        63,
    ]
)
SEEN = st.lists(st.tuples(st.sampled_from(["r0", "r3", "r6"]), st.just(NOW - 60)), max_size=3)
MOMENTS = st.sampled_from([NOW, NOW + 12 * 3_600])  # inside hours, outside
SHOWN = st.sampled_from([set[str](), {"hero/loyal"}, {"hero/cart"}])
UNIT = st.sampled_from([None, "v1", "v2", "v3", "v4"])
HOLDS = st.sampled_from([(), ("r0",), ("r3", "r5"), ("r8", "r1")])
SKIPS = {0: "experiments", 2: "rules"}
COMPILED: dict[tuple[int, ...], Program] = {}


def of_whens(places: tuple[int, ...]) -> Program:
    """The rules of these places; every third has a cap, every fourth an experiment, every fifth
    hours, every seventh is shown once per page, every
    eighth holds."""
    if places not in COMPILED:
        rules = []
        for number, place in enumerate(places):
            more: dict[str, Any] = {"cap": {"times": 1, "per": "1h"}} if place % 3 == 0 else {}
            more |= {"experiment": OFFER} if place % 4 == 0 else {}
            more |= {"hours": {"wed-thu": "00:00-12:30"}} if place % 5 == 0 else {}
            more |= {"once_per_page": True} if place % 7 == 0 else {}
            more |= {"hold": "session"} if place % 8 == 0 else {}
            rules.append(rule(f"r{number}", WHENS[place], **more))
        holdout = None if sum(places) % 2 else {"share": 50, "skips": SKIPS[sum(places) % 4]}
        COMPILED[places] = program(rules=rules, holdout=holdout)
    return COMPILED[places]


ORDERS = st.sampled_from(
    [
        tuple((start + step * n) % len(WHENS) for n in range(9))
        for start in range(6)
        for step in (1, 5)
    ]
)


@settings(max_examples=400)
@given(ORDERS, FACTS, MASKS, SEEN, UNIT, MOMENTS, SHOWN, HOLDS)
def test_the_index_and_the_plain_scan_decide_alike(
    places: tuple[int, ...],
    facts: dict[str, Any],
    grants: int,
    seen: list[tuple[str, float]],
    unit: str | None,
    now: float,
    shown: set[str],
    held: tuple[str, ...],
) -> None:
    compiled = of_whens(places)
    more: dict[str, Any] = {"grants": grants, "now": now, "seen": seen, "unit": unit}
    more |= {"shown": shown, "held": held}
    fast = compiled.decide("hero", facts, **more)
    scan = compiled.decide("hero", facts, explain=True, **more)
    kept = tuple(s for s in scan.steps if s in fast.steps or s.reason not in ("ABSENT", "ERROR"))
    assert kept == fast.steps
    for name in (
        "fragment",
        "variant",
        "reason",
        "rule",
        "experiment",
        "probability",
        "with_",
        "holdout",
        "phase",
    ):
        assert getattr(fast, name) == getattr(scan, name)


FORBIDDEN = {
    0: ["segments", "interest", "cart", "counts", "visitor", "traits", "session"],
    FUNCTIONAL: ["segments", "interest", "counts", "visitor", "traits", "session"],
    PERSONALIZATION: ["cart", "traits"],
    FUNCTIONAL | PERSONALIZATION: ["traits"],
}


@settings(max_examples=300)
@given(ORDERS, FACTS, FACTS, st.sampled_from(list(FORBIDDEN)), SEEN, HOLDS, st.booleans())
def test_no_change_of_what_is_not_granted_changes_decision_or_steps(
    places: tuple[int, ...],
    facts: dict[str, Any],
    others: dict[str, Any],
    grants: int,
    seen: list[tuple[str, float]],
    held: tuple[str, ...],
    explain: bool,
) -> None:
    compiled = of_whens(places)
    changed = {name: value for name, value in facts.items() if name not in FORBIDDEN[grants]}
    changed |= {name: value for name, value in others.items() if name in FORBIDDEN[grants]}
    for mapping, key in (("interest", "pharmacy"), ("session", "views")):
        if mapping in changed and mapping in facts and mapping not in FORBIDDEN[grants]:
            inner = dict(facts[mapping])
            if mapping == "interest":
                inner[key] = 77.0
            else:
                inner[key] = {**inner[key], "pharmacy": 9}
            changed[mapping] = inner
    if "segments" in changed and "segments" not in FORBIDDEN[grants]:
        changed["segments"] = set(facts["segments"]) ^ {"patient"}
    more: dict[str, Any] = {"grants": grants, "now": NOW, "explain": explain}
    unit = "v1" if grants else None
    granted: dict[str, Any] = {
        "seen": seen if grants & FUNCTIONAL else (),
        "held": held if grants & PERSONALIZATION else (),
    }
    first = compiled.decide("hero", facts, unit=unit, **granted, **more)
    second = compiled.decide("hero", changed, unit=unit or "v9", seen=seen, held=held, **more)
    assert first == second


class Untouchable:
    """A value that nobody may look at: not its type, not whether it equals or is true."""

    def refuse(self, *_: object) -> Any:
        raise AssertionError("what is not granted was read")

    __getattribute__ = __eq__ = __hash__ = __bool__ = __lt__ = __gt__ = refuse
    __len__ = __iter__ = __contains__ = __getitem__ = __float__ = __index__ = refuse


def test_who_touches_the_untouchable_is_caught() -> None:
    forbidden = Untouchable()
    for touch in (bool, len, hash, list, float, lambda it: isinstance(it, dict)):
        with pytest.raises(AssertionError, match="not granted"):
            touch(forbidden)


@settings(max_examples=200)
@given(ORDERS, FACTS, st.sampled_from(list(FORBIDDEN)), SEEN, st.booleans())
def test_what_is_not_granted_is_never_looked_at(
    places: tuple[int, ...],
    facts: dict[str, Any],
    grants: int,
    seen: list[tuple[str, float]],
    explain: bool,
) -> None:
    known = {name: value for name, value in facts.items() if name not in FORBIDDEN[grants]}
    if "interest" in known:
        known["interest"] = {"shoes": 41.0}
    guarded = known | dict.fromkeys(FORBIDDEN[grants], Untouchable())
    if "interest" in known:
        guarded["interest"] = known["interest"] | {"pharmacy": Untouchable()}
    more: dict[str, Any] = {"grants": grants, "now": NOW, "seen": seen, "explain": explain}
    compiled = of_whens(places)
    assert compiled.decide("hero", guarded, **more) == compiled.decide("hero", known, **more)


ANSWERS = """
from tests.decisions.test_engine_agreement import NOW, WHENS, of_whens
asked = {"geo": {"country": "FR", "city": "Lyon"}, "segments": ["loyal", "patient", "x"],
         "interest": {"shoes": 50, "pharmacy": 12}, "cart": {"items": 2, "value": 12.5},
         "counts": {"article_read": 3}, "session": {"views": {"shoes": 7}}}
for start in range(len(WHENS)):
    program = of_whens(tuple((start + n) % len(WHENS) for n in range(9)))
    for more in ({"unit": "v1"}, {"unit": "v2"}, {"explain": True}):
        print(program.decide("hero", asked, grants=63, now=NOW, **more))
"""


def test_other_processes_with_other_hash_seeds_give_the_same_answers() -> None:
    printed = {
        subprocess.run(
            [sys.executable, "-c", ANSWERS],
            capture_output=True,
            check=True,
            cwd=Path(__file__).parents[2],
            env={"PYTHONHASHSEED": seed},
            text=True,
        ).stdout
        for seed in ("0", "1", "77")
    }
    (answers,) = printed
    assert answers.count("MATCH") > len(WHENS)


@settings(max_examples=100)
@given(ORDERS, FACTS, MASKS)
def test_a_program_that_went_through_its_bytes_decides_the_same(
    places: tuple[int, ...], facts: dict[str, Any], grants: int
) -> None:
    compiled = of_whens(places)
    key = (-1, *places)
    if key not in COMPILED:
        COMPILED[key] = decode(compiled.encode())
    for explain in (False, True):
        more: dict[str, Any] = {"grants": grants, "now": NOW, "unit": "v1", "explain": explain}
        assert COMPILED[key].decide("hero", facts, **more) == compiled.decide("hero", facts, **more)

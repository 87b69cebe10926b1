"""Workload W1(N) of the design: N rules for one slot and visitors to decide for; nothing is timed
here.

Each rule needs all of 2-3 of 200 segments; with probability .6 a country in 1-5 of 60; .5 a device
kind of 3; .6 `interest[c] >= t` (40 categories, t 40-95); .3 an hour range of 3; the last rule is a
catch-all. A visitor has 0-12 segments and 4 interests. The same N and seed give the same rules.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec

from decisions.playbook import (
    FragmentText,
    Rule,
    SegmentDecl,
    Settings,
    SlotDecl,
    WrittenPlaybook,
)

SEGMENTS = [f"s{number}" for number in range(200)]
COUNTRIES = [a + b for a in "ABCDEFGHIJ" for b in "KLMNOP"]
KINDS = ["mobile", "tablet", "desktop"]
CATEGORIES = [f"c{number}" for number in range(40)]
NOW_S = 1_795_000_000.0


class Condition(msgspec.Struct, frozen=True):
    """One rule's conditions; each reader (CEL, JSONLogic, a scan) spells them its own way."""

    segments: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    kind: str = ""
    category: str = ""
    at_least: int = 0
    hours: tuple[int, int] | None = None  # first, last

    def cel(self) -> str:
        """The rule's `when`."""
        parts = [f'"{segment}" in segments' for segment in self.segments]
        if self.countries:
            listed = ", ".join(f'"{country}"' for country in self.countries)
            parts.append(f"geo.country in [{listed}]")
        if self.kind:
            parts.append(f'device.kind == "{self.kind}"')
        if self.category:
            parts.append(f'interest["{self.category}"] >= {self.at_least}.0')
        if self.hours:
            parts.append(f"time.hour >= {self.hours[0]} && time.hour <= {self.hours[1]}")
        return " && ".join(parts) or "true"


def w1(count: int, seed: int = 1) -> list[Condition]:
    """The conditions of W1(count) in match order."""
    dice = random.Random(seed)
    return [*(_condition(dice) for _ in range(count - 1)), Condition()]


def _condition(dice: random.Random) -> Condition:
    category = dice.choice(CATEGORIES) if dice.random() < 0.6 else ""
    first_hour = dice.randrange(22)
    return Condition(
        segments=tuple(dice.sample(SEGMENTS, dice.randint(2, 3))),
        countries=tuple(dice.sample(COUNTRIES, dice.randint(1, 5))) if dice.random() < 0.6 else (),
        kind=dice.choice(KINDS) if dice.random() < 0.5 else "",
        category=category,
        at_least=dice.randint(40, 95) if category else 0,
        hours=(first_hour, first_hour + 2) if dice.random() < 0.3 else None,
    )


def visitors(count: int, seed: int = 2) -> list[dict[str, Any]]:
    """Nested facts, as `program.decide` takes them; the hour is given, not derived from now."""
    dice = random.Random(seed)
    return [
        {
            "segments": frozenset(dice.sample(SEGMENTS, dice.randint(0, 12))),
            "geo": {"country": dice.choice(COUNTRIES)},
            "device": {"kind": dice.choice(KINDS)},
            "interest": {
                category: round(dice.uniform(0, 100), 1) for category in dice.sample(CATEGORIES, 4)
            },
            "time": {"hour": dice.randrange(24)},
        }
        for _ in range(count)
    ]


def own_value(count: int) -> list[str]:
    """The `when` of rules that each test a value of their own."""
    return [f'page.path == "/products/item-{number}"' for number in range(count)]


def hot_segment(count: int) -> list[str]:
    """The `when` of rules that all need one segment, and a threshold of 40 categories' interest:
    from 100 for the first down to 1."""
    return [
        f'"s0" in segments && interest["c{number % 40}"] >= {100 - number * 100 // count}.0'
        for number in range(count)
    ]


def residual(count: int) -> list[str]:
    """The `when` of rules that no index can answer, and that never match."""
    return [
        f"size(geo.country) + {number} < {number} || geo.country.endsWith('{number}')"
        for number in range(count)
    ]


def playbook(whens: Sequence[str], slots: Sequence[str] = ("hero",)) -> WrittenPlaybook:
    """A written playbook with the rules in each of `slots`, each showing one of ten fragments."""
    shown = [f"hero/f{number}" for number in range(10)]
    return WrittenPlaybook(
        settings=Settings(name="bench", slots={slot: SlotDecl(default=shown[0]) for slot in slots}),
        segments={name: SegmentDecl(when='purchases.orders["all"] > 0') for name in SEGMENTS},
        rules=tuple(
            Rule(id=f"{slot}-{number}", slot=slot, when=when, show=shown[number % 10])
            for slot in slots
            for number, when in enumerate(whens)
        ),
        fragments={
            name: FragmentText(name, f"<p>{name}</p>", f"fragments/{name}.html") for name in shown
        },
    )

"""Memberships for tests, as a full build of some visitors packs them."""

from __future__ import annotations

import struct
from array import array
from typing import NamedTuple

from snapshots.bundle import Packed, pack
from snapshots.census import Interests, Score, Trait, encode_membership
from snapshots.contents import NEWEST

SEGMENT_NAMES = [f"s{number:02}" for number in range(11)]


class Visitor(NamedTuple):
    """What a membership says of one visitor."""

    bits: int
    tier: int
    score: int
    weight: float


Population = dict[int, Visitor]


def membership(people: Population, built_at_s: int = 1) -> list[Packed]:
    """The five parts of a full build."""
    keys = sorted(people)
    rows = [people[key] for key in keys]
    parts = encode_membership(
        array("Q", keys),
        built_at_s=built_at_s,
        segments=[
            (name, bytes(row.bits >> bit & 1 for row in rows))
            for bit, name in enumerate(SEGMENT_NAMES)
        ],
        traits={"tier": Trait([None, "gold", "silver"], bytes(row.tier for row in rows))},
        scores={"propensity": Score(bytes(row.score for row in rows))},
        interests=Interests(
            ["shoes"],
            1,
            array("H", [0] * len(rows)),
            struct.pack(f"<{len(rows)}e", *(row.weight for row in rows)),
        ),
    )
    return [pack(name, NEWEST[name], raw) for name, raw in sorted(parts.items())]

"""Who is asked when two versions are compared: the same ones each time, as either version knows
them."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence

import pytest

from decisions.compiling import compile_playbook
from decisions.consent import SENSITIVE
from decisions.interest import fade, score
from snapshots.build.population import (
    GRANTS,
    STRETCH_ROWS,
    Version,
    both,
    sampled,
    stranger,
    version_of,
)
from snapshots.bundle import unpack
from snapshots.census import Interests, encode_membership
from snapshots.erased import ERASED, erased_part
from snapshots.membership import Membership
from tests.decisions.written import playbook

DAY_S = 86_400
PROGRAM = compile_playbook(playbook())


def members(keys: Sequence[int]) -> Membership:
    """Members who are all loyal, with an interest in shoes of weight 2 as of the epoch."""
    rows = len(keys)
    parts = encode_membership(
        array("Q", keys),
        built_at_s=DAY_S,
        segments=[("loyal", b"\1" * rows)],
        interests=Interests(["shoes"], 1, array("H", [0] * rows), struct.pack("<e", 2.0) * rows, 1),
    )
    found = version_of(PROGRAM, {name: bytes(raw) for name, raw in parts.items()})
    assert found.members
    return found.members


def test_the_sample_is_the_lowest_keys_of_both_each_once() -> None:
    was, now = members([2, 4, 6, 9]), members([1, 4, 7, 9])
    assert list(sampled((was, now), 4)) == [1, 2, 4, 6]
    assert list(sampled((was, None), 2)) == [2, 4]
    assert list(sampled((None, None), 2)) == []
    assert list(sampled((was, now), 0)) == [1, 2, 4, 6, 7, 9], "0 is everybody"


def test_keys_beyond_a_stretch_are_read_as_well() -> None:
    keys = range(0, 3 * STRETCH_ROWS, 2)
    assert list(sampled((members(keys),), 0)) == list(keys)


def test_a_visitor_is_what_each_version_knows_of_them_as_of_now() -> None:
    programs = [
        compile_playbook(playbook(interest={"half_life": half_life})) for half_life in ("1d", "2d")
    ]
    old, new = Version(programs[0], members([5])), Version(programs[1], members([7]))
    now_s = 1.0 + 2 * DAY_S

    (was, gone), (unknown, come) = both(old, new, [5, 7], now_s)

    assert was.facts["segments"] == frozenset({"loyal"})
    assert was.facts["interest"] == {"shoes": pytest.approx(score(0.5))}
    assert come.facts["interest"] == {"shoes": pytest.approx(score(fade(2.0, 1.0, 1.0)))}
    assert (gone.facts, unknown.facts) == ({}, {})
    assert was.unit == gone.unit == f"{5:016x}"
    assert was.grants == GRANTS and not GRANTS & SENSITIVE
    assert stranger(now_s).facts == {} and stranger(now_s).now_s == now_s


def test_of_who_is_erased_a_version_knows_nothing() -> None:
    part = erased_part({5: 7})
    version = version_of(PROGRAM, {ERASED: unpack(part.ref, part.stored)})
    version = version._replace(members=members([5, 6]))
    (forgotten, _), (kept, _) = both(version, version, [5, 6], 1.0)
    assert forgotten.facts == {}
    assert kept.facts["segments"] == frozenset({"loyal"})


def test_a_version_without_keys_knows_nobody() -> None:
    found = version_of(PROGRAM, {"program": b"", "membership/segments": b""})
    assert (found.members, found.erased) == (None, None)

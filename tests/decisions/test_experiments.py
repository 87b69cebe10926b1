"""Buckets and variants: the arithmetic, the fewest moves, uniformity."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions import experiments
from decisions.experiments import BUCKETS, Holdout, Runs, Split, Units, bucket, remapped, shares

SPEC = json.loads(
    (Path(__file__).parent.parent / "spec" / "bucketing.json").read_text(encoding="utf-8")
)
WEIGHTS = st.dictionaries(
    st.sampled_from("abcdef"), st.integers(0, 1000), min_size=1, max_size=5
).filter(lambda weights: sum(weights.values()) > 0)


def split_of(variants: dict[str, float], traffic: float = 100.0) -> Split:
    return Split(
        "offer",
        experiments.VISITOR,
        "order",
        experiments.traffic_salt("offer"),
        experiments.variant_salt("offer"),
        remapped((), shares({"offer": traffic, "": 100.0 - traffic})),
        remapped((), shares(variants)),
    )


def owners(runs: Runs) -> list[str]:
    found: list[str] = []
    for name, end in runs:
        found += [name] * (end - len(found))
    return found


@pytest.mark.parametrize("case", SPEC["buckets"], ids=lambda case: case["name"])
def test_a_bucket_follows_the_shared_table(case: dict[str, Any]) -> None:
    assert bucket(case["salt"], case["unit"]) == case["bucket"]


@pytest.mark.parametrize("case", SPEC["salts"], ids=lambda case: case["experiment"])
def test_salts_follow_the_shared_table(case: dict[str, Any]) -> None:
    assert experiments.traffic_salt(case["experiment"]) == case["traffic"]
    assert experiments.variant_salt(case["experiment"]) == case["variant"]


@pytest.mark.parametrize("case", SPEC["maps"], ids=lambda case: case["name"])
def test_maps_follow_the_shared_table(case: dict[str, Any]) -> None:
    before = tuple((name, end) for name, end in case["before"])
    assert remapped(before, shares(case["weights"])) == tuple(map(tuple, case["after"]))


@pytest.mark.parametrize("case", SPEC["assignments"], ids=lambda case: case["unit"])
def test_assignments_follow_the_shared_table(case: dict[str, Any]) -> None:
    split = split_of(SPEC["experiment"]["weights"], SPEC["experiment"]["traffic"])
    assert split.enters(case["unit"]) is case["enters"]
    assert split.variant(case["unit"]) == case["variant"]


@given(WEIGHTS)
def test_shares_are_exact_and_a_weight_of_zero_gets_no_traffic(weights: dict[str, int]) -> None:
    found = shares(weights)
    total = sum(weights.values())
    assert sum(found.values()) == BUCKETS
    for name, weight in weights.items():
        assert abs(found[name] - weight * BUCKETS / total) < 1
        assert weight or not found[name]


@given(WEIGHTS, WEIGHTS)
def test_a_changed_weight_moves_the_computed_minimum_of_buckets(
    first: dict[str, int], second: dict[str, int]
) -> None:
    before, wanted = remapped((), shares(first)), shares(second)
    after = remapped(before, wanted)
    held = Counter(owners(before))
    fewest = sum(max(0, count - wanted.get(name, 0)) for name, count in held.items())
    moved = sum(old != new for old, new in zip(owners(before), owners(after), strict=True))
    assert moved == fewest
    assert {name: count for name, count in wanted.items() if count} == Counter(owners(after))
    assert remapped(after, wanted) == after


@given(st.integers(0, 100), st.integers(0, 100))
def test_growing_traffic_keeps_those_who_are_in(first: int, second: int) -> None:
    low, high = sorted((first, second))
    small, large = split_of({"a": 1}, low), split_of({"a": 1}, high)
    units = [f"visitor-{number}" for number in range(50)]
    assert {u for u in units if small.enters(u)} <= {u for u in units if large.enters(u)}
    assert large.traffic() == high / 100


def test_a_share_is_the_part_of_those_who_enter() -> None:
    split = split_of({"plain": 3, "code": 1}, 50)
    assert (split.traffic(), split.share("plain"), split.share("code")) == (0.5, 0.75, 0.25)


MILLION = 1_000_000
CELLS = 100  # of a hundred buckets each


def chi_squared(found: Counter[Any], expected: dict[Any, float]) -> float:
    assert found.keys() <= expected.keys()
    return sum((found[cell] - count) ** 2 / count for cell, count in expected.items())


@pytest.fixture(scope="module")
def drawn() -> list[list[int]]:
    """The buckets of a million ids: who enters `offer`, its variants, the variants of `banner`, and
    the holdout. The ids are fixed, so a test of chance comes out the same each time."""
    salts = (
        experiments.traffic_salt("offer"),
        experiments.variant_salt("offer"),
        experiments.variant_salt("banner"),
        experiments.holdout_salt("holdout"),
    )
    units = [f"visitor-{number}" for number in range(MILLION)]
    return [[bucket(salt, unit) for unit in units] for salt in salts]


def test_the_buckets_of_a_million_ids_are_uniform(drawn: list[list[int]]) -> None:
    for buckets in drawn:
        counts = Counter(buckets)
        assert chi_squared(counts, dict.fromkeys(range(BUCKETS), MILLION / BUCKETS)) < 10_443
        coarse = Counter(place * CELLS // BUCKETS for place in buckets)
        assert chi_squared(coarse, dict.fromkeys(range(CELLS), MILLION / CELLS)) < 148.2
    # 9,999 and 99 degrees of freedom, p = 0.001


@pytest.mark.parametrize(
    ("one", "other"),
    [(0, 1), (1, 2), (0, 3), (1, 3)],
    ids=["traffic and variant", "two experiments", "holdout and traffic", "holdout and variant"],
)
def test_two_draws_of_a_million_ids_are_independent(
    drawn: list[list[int]], one: int, other: int
) -> None:
    pairs = Counter(
        (a // 1_000) * 10 + b // 1_000 for a, b in zip(drawn[one], drawn[other], strict=True)
    )
    assert chi_squared(pairs, dict.fromkeys(range(100), MILLION / 100)) < 148.2


def test_among_those_who_enter_every_variant_has_its_share(drawn: list[list[int]]) -> None:
    split = split_of({"a": 50, "b": 30, "c": 20}, 50)
    entry, variants = owners(split.entry), owners(split.variants)
    cells = Counter((entry[a], variants[b]) for a, b in zip(drawn[0], drawn[1], strict=True))
    expected = {
        (enters, variant): MILLION * 0.5 * split.share(variant)
        for enters in ("offer", "")
        for variant in "abc"
    }
    assert chi_squared(cells, expected) < 20.5  # 5 degrees of freedom, p = 0.001


def test_experiments_of_one_layer_exclude_each_other() -> None:
    entry = remapped((), shares({"one": 30, "two": 40, "": 30}))
    salt = experiments.layer_salt("checkout")
    one, two = (
        Split(name, "visitor", "", salt, experiments.variant_salt(name), entry, (("a", BUCKETS),))
        for name in ("one", "two")
    )
    units = [f"visitor-{number}" for number in range(2_000)]
    assert not any(one.enters(unit) and two.enters(unit) for unit in units)
    assert any(one.enters(unit) for unit in units)
    assert any(two.enters(unit) for unit in units)


def test_half_a_surrogate_pair_is_no_unit() -> None:
    with pytest.raises(UnicodeEncodeError):
        bucket("0123456789abcdef", "\ud800")


def test_a_layer_is_no_experiment_of_the_same_name() -> None:
    assert experiments.layer_salt("checkout") != experiments.traffic_salt("checkout")


def test_units_are_asked_by_kind() -> None:
    units = Units(visitor="v", session="s")
    assert [units.of(kind) for kind in experiments.UNITS] == ["v", "", "s"]


def test_a_greater_holdout_keeps_those_of_a_smaller_one() -> None:
    salt = experiments.holdout_salt("control")
    assert salt not in {experiments.layer_salt("control"), experiments.traffic_salt("control")}
    small, large = (Holdout("control", "visitor", salt, end, False) for end in (500, 1_000))
    units = [f"visitor-{number}" for number in range(5_000)]
    in_small, in_large = ({u for u in units if out.keeps(u)} for out in (small, large))
    assert in_small < in_large
    assert (small.share(), large.share()) == (0.05, 0.1)
    assert len(in_large) == pytest.approx(500, abs=100)


def test_each_draw_has_a_salt_of_its_own_that_never_changes() -> None:
    assert experiments.traffic_salt("prices") == "64e91c439674cb73"
    assert experiments.layer_salt("prices") == "5d4d471c02e6ad4a"
    assert experiments.variant_salt("prices") == "07f2f81c0f42c6a9"
    assert experiments.holdout_salt("control") == "bbcfbc00fa7ce88d"


def test_a_run_may_be_a_single_bucket() -> None:
    runs = remapped((), {"a": 1, "b": BUCKETS - 1})
    assert runs == (("a", 1), ("b", BUCKETS))


def test_a_holdout_ends_before_its_end() -> None:
    place = bucket("salt", "unit")
    assert Holdout("h", "visitor", "salt", place + 1, False).keeps("unit")
    assert not Holdout("h", "visitor", "salt", place, False).keeps("unit")


def test_nobody_has_no_id_of_any_kind_and_an_experiment_begins_in_its_first_phase() -> None:
    assert [Units().of(kind) for kind in experiments.UNITS] == ["", "", ""]
    assert Split("offer", "visitor", "", "s", "s", (), ()).phase == 1

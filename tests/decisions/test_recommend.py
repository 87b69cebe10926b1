from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.recommend import AT_HAND, BOUGHT, Ranked, Seed, rank

ITEMS = st.integers(0, 9)
SIMILAR = st.dictionaries(ITEMS, st.dictionaries(ITEMS, st.floats(0.0, 1.0), max_size=5))
SEEDS = st.dictionaries(ITEMS, st.sampled_from([AT_HAND, BOUGHT]), max_size=4)


def plainly(
    seeds: dict[int, float],
    similar: dict[int, dict[int, float]],
    shares: list[float],
    closed: set[int],
) -> list[tuple[int, float]]:
    """Items with their scores, from the definition: each by itself."""
    near: dict[int, float] = {}
    for item in range(10):
        said = [
            w * similar[seed][item] for seed, w in seeds.items() if item in similar.get(seed, {})
        ]
        if said and item not in seeds and item not in closed:
            near[item] = 1.0 - math.prod(1.0 - each for each in said)
    first = sorted(near.items(), key=lambda pair: (-pair[1], pair[0]))
    lowest = min(near.values(), default=1.0)
    rest = [item for item in range(len(shares)) if item not in {*seeds, *closed, *near}]
    return first + [(item, lowest * shares[item]) for item in rest]


@given(SEEDS, SIMILAR, st.lists(st.floats(0, 1), max_size=10), st.sets(ITEMS), st.integers(1, 12))
def test_a_ranking_is_what_its_definition_says(
    seeds: dict[int, float],
    similar: dict[int, dict[int, float]],
    shares: list[float],
    closed: set[int],
    limit: int,
) -> None:
    shares.sort(reverse=True)
    ranked = rank(
        [Seed(*pair) for pair in seeds.items()],
        lambda item: similar.get(item, {}).items(),
        enumerate(shares),
        lambda item: item not in closed,
        limit,
    )

    wanted = plainly(seeds, similar, shares, closed)
    near = [pair for pair in wanted if any(pair[0] in similar.get(seed, {}) for seed in seeds)]
    if len(near) >= limit:
        wanted = near[:limit]
    wanted = wanted[:limit]
    assert [one.item for one in ranked] == [item for item, _ in wanted]
    assert [one.score for one in ranked] == pytest.approx([score for _, score in wanted])
    assert all(0.0 <= one.score <= 1.0 for one in ranked)
    assert all(a.score >= b.score for a, b in pairwise(ranked))
    for one in ranked:
        assert one.item not in closed
        if one.because is not None:
            said = {seed: w * similar.get(seed, {}).get(one.item, -1) for seed, w in seeds.items()}
            assert said[one.because] == max(said.values())


def test_what_is_near_two_seeds_comes_before_what_is_near_one() -> None:
    similar = {1: {3: 0.5, 4: 0.6}, 2: {3: 0.5}}

    ranked = rank(
        [Seed(1, 1.0), Seed(2, 1.0)],
        lambda item: similar[item].items(),
        [(0, 1.0), (3, 0.9), (1, 0.8), (5, 0.5)],
        lambda item: True,
        10,
    )

    assert ranked[0] == Ranked(3, 0.75, 1)
    assert [(one.item, one.because) for one in ranked[1:]] == [(4, 1), (0, None), (5, None)]
    assert [one.score for one in ranked[1:]] == pytest.approx([0.6, 0.6, 0.3])


def test_what_is_at_hand_says_more_than_what_was_bought() -> None:
    seeds = [Seed(1, BOUGHT), Seed(2, AT_HAND)]

    ranked = rank(seeds, lambda item: [(item + 2, 0.8)], [], lambda item: True, 2)

    assert [(one.item, one.because) for one in ranked] == [(4, 2), (3, 1)]

"""Items at hand and items bought in; ranked items, each with a score and why, out.

Which items are near each other was counted by the builder, and comes in as a function; items are
numbers here, the most popular one first. It reads nothing by itself: who calls hands in what is
granted, and says which items may be shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

AT_HAND, BOUGHT = 1.0, 0.5  # what a page is about now says more than what somebody bought once

Neighbours: TypeAlias = Callable[[int], Iterable[tuple[int, float]]]


class Seed(NamedTuple):
    """An item that others are recommended for. weight: above 0, at most 1."""

    item: int
    weight: float


class Ranked(NamedTuple):
    """A recommended item. score: 0 to 1, falling along one list, and no probability. because: the
    seed that it is nearest to, None for an item that is popular."""

    item: int
    score: float
    because: int | None


def rank(
    seeds: Sequence[Seed],
    neighbours: Neighbours,
    popular: Iterable[tuple[int, float]],
    allowed: Callable[[int], bool],
    limit: int,
) -> list[Ranked]:
    """At most `limit` items, each once, none of them a seed or one that is not allowed.

    neighbours: item → others with their similarity, 0 to 1. popular: items with their share, 0 to
    1, in the order in which they fill what neighbours leave free.

    Near ones come first, by 1 - Π(1 - weight · similarity) over the seeds: to be near two seeds
    counts for more than to be near one (a "noisy or": Pearl, "Probabilistic Reasoning in
    Intelligent Systems", 1988, 4.3.2). Equal scores go by number. `because` is the seed with the
    largest weight · similarity, the first of equals. Popular ones keep their order; their share is
    of the lowest score before them.
    """
    found = _near(seeds, neighbours, allowed)[:limit]
    taken = {seed.item for seed in seeds} | {ranked.item for ranked in found}
    lowest = found[-1].score if found else 1.0
    for item, share in popular:
        if len(found) >= limit:
            break
        if item not in taken and allowed(item):
            taken.add(item)
            found.append(Ranked(item, lowest * share, None))
    return found


def _near(
    seeds: Sequence[Seed], neighbours: Neighbours, allowed: Callable[[int], bool]
) -> list[Ranked]:
    """All neighbours of the seeds, the best first."""
    unlike: dict[int, float] = {}
    best: dict[int, tuple[float, int]] = {}
    for seed, weight in seeds:
        for item, similarity in neighbours(seed):
            said = weight * similarity
            unlike[item] = unlike.get(item, 1.0) * (1.0 - said)
            if item not in best or said > best[item][0]:
                best[item] = (said, seed)
    own = {seed.item for seed in seeds}
    found = [
        Ranked(item, 1.0 - rest, best[item][1])
        for item, rest in unlike.items()
        if item not in own and allowed(item)
    ]
    return sorted(found, key=lambda ranked: (-ranked.score, ranked.item))

"""Experiments: a unit in, its bucket and variant out; the same at every edge, in every language.

`bucket = (murmur3_32(salt + unit) * 10000) >> 32`, on UTF-8. Who enters and who gets what are
hashed apart, with salts of their own, so that a share of traffic says nothing about a variant.
Which buckets are whose is a map of runs that the ledger keeps: a changed weight moves the fewest.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from hashlib import blake2b
from typing import TypeAlias

import mmh3
import msgspec

BUCKETS = 10_000

# (variant, end) in bucket order: the buckets from the previous end up to, not including, this one.
# The last end is BUCKETS. "" stands for nobody.
Runs: TypeAlias = tuple[tuple[str, int], ...]

VISITOR, CUSTOMER, SESSION = "visitor", "customer", "session"
UNITS = (VISITOR, CUSTOMER, SESSION)


class Units(msgspec.Struct, frozen=True, kw_only=True):
    """The ids a visit may be split by, as far as they are granted; "" is none."""

    visitor: str = ""
    customer: str = ""  # of someone signed in, never of someone merely recognised
    session: str = ""

    def of(self, kind: str) -> str:
        """The id of one of UNITS, "" for none."""
        return str(getattr(self, kind))


def bucket(salt: str, unit: str) -> int:
    """0 to 9,999, uniform over units. Raises UnicodeEncodeError for what UTF-8 cannot carry."""
    # Encoded here: mmh3 takes the process down with it when it meets half of a surrogate pair.
    return mmh3.hash((salt + unit).encode(), signed=False) * BUCKETS >> 32


def traffic_salt(experiment: str) -> str:
    """16 hex digits: who enters an experiment of no layer."""
    return _salt("traffic", experiment)


def layer_salt(layer: str) -> str:
    """16 hex digits: who enters which experiment of a layer; no experiment's of the same name."""
    return _salt("layer", layer)


def variant_salt(experiment: str) -> str:
    """16 hex digits: who gets what."""
    return _salt("variant", experiment)


def holdout_salt(name: str) -> str:
    """16 hex digits: who is held out."""
    return _salt("holdout", name)


def _salt(role: str, name: str) -> str:
    return blake2b(f"{role}/{name}".encode(), digest_size=8).hexdigest()


def shares(weights: Mapping[str, float]) -> dict[str, int]:
    """BUCKETS shared out by weight, exactly, by largest remainder; equal remainders go by order.

    weights: >= 0 with a sum > 0, checked by `compiling`. A weight of 0 gets no bucket.
    """
    total = sum(weights.values())
    exact = {name: weight * BUCKETS / total for name, weight in weights.items()}
    whole = {name: int(share) for name, share in exact.items()}
    left = BUCKETS - sum(whole.values())
    by_remainder = sorted(exact, key=lambda name: whole[name] - exact[name])
    for name in by_remainder[:left]:
        whole[name] += 1
    return whole


def remapped(runs: Runs, wanted: Mapping[str, int]) -> Runs:
    """The map that gives each name as many buckets as `wanted`, and moves the fewest.

    runs: the map so far, () for none. wanted: sums to BUCKETS. The buckets that move are the sum
    over names of what each had too many: no map can move fewer. The last ones of a name move.
    """
    owners = _owners(runs)
    had: dict[str, int] = {}
    free: list[int] = []
    for place, name in enumerate(owners):
        had[name] = had.get(name, 0) + 1
        if had[name] > wanted.get(name, 0):
            free.append(place)
    places = iter(free)
    for name, count in wanted.items():
        for _ in range(count - had.get(name, 0)):
            owners[next(places)] = name
    return _runs(owners)


def _owners(runs: Runs) -> list[str]:
    owners: list[str] = []
    for name, end in runs or (("", BUCKETS),):
        owners.extend([name] * (end - len(owners)))
    return owners


def _runs(owners: list[str]) -> Runs:
    ends = [i for i in range(1, BUCKETS) if owners[i] != owners[i - 1]]
    return tuple((owners[end - 1], end) for end in (*ends, BUCKETS))


class Split(msgspec.Struct, frozen=True, array_like=True):
    """What the edge needs of one experiment.

    entry: the runs of the traffic map, of which those named `id` enter; in a layer they are also
    other experiments', which makes these exclude each other. phase: how often its terms changed,
    and 1.
    """

    id: str
    unit: str
    goal: str
    entry_salt: str
    variant_salt: str
    entry: Runs
    variants: Runs
    phase: int = 1

    def enters(self, unit: str) -> bool:
        """Whether this unit is in the experiment's share of traffic."""
        return _owner(self.entry, bucket(self.entry_salt, unit)) == self.id

    def variant(self, unit: str) -> str:
        """The variant of a unit that enters."""
        return _owner(self.variants, bucket(self.variant_salt, unit))

    def traffic(self) -> float:
        """The share of units that enter, 0 to 1."""
        return _share(self.entry, self.id)

    def share(self, variant: str) -> float:
        """The share of a variant among those who enter, 0 to 1."""
        return _share(self.variants, variant)


class Holdout(msgspec.Struct, frozen=True, array_like=True):
    """A share of units that sees no experiment, or no rule at all: those in the first buckets, up
    to, not including, `end`. A greater share keeps everybody who is in a smaller one."""

    name: str
    unit: str
    salt: str
    end: int
    skips_rules: bool

    def keeps(self, unit: str) -> bool:
        """Whether this unit is held out."""
        return bucket(self.salt, unit) < self.end

    def share(self) -> float:
        """The share of units that are held out, 0 to 1."""
        return self.end / BUCKETS


def _owner(runs: Runs, place: int) -> str:
    return runs[bisect_right(runs, place, key=lambda run: run[1])][0]


def _share(runs: Runs, name: str) -> float:
    start, held = 0, 0
    for owner, end in runs:
        held += end - start if owner == name else 0
        start = end
    return held / BUCKETS

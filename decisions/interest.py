"""Interest: how a weight fades with time, and how faded weight reads on the scale of 0 to 100."""

from __future__ import annotations

import math
from collections.abc import Mapping

HALF_LIFE_S = 14 * 86_400.0  # a fortnight: two shopping trips; a playbook may say otherwise
HALF_SCORE = 6.0  # the weight that reads as 50: six product views


def fade(weight: float, age_s: float, half_life_s: float = HALF_LIFE_S) -> float:
    """The weight as it stands `age_s` seconds after it was given.

    weight: weighted events, finite. age_s: negative counts as 0 (clocks differ). half_life_s: > 0,
    checked by the playbook. Never raises; |result| <= |weight|.
    Source: Cormode et al., "Forward Decay", ICDE 2009, exponential case.
    """
    return weight * math.exp2(-max(age_s, 0.0) / half_life_s)


def score(weight: float) -> float:
    """A faded weight on the scale of 0 to 100: each HALF_SCORE more halves what is missing.

    weight: >= 0, a negative one counts as 0. Strictly growing and concave, so that the tenth view
    of a category says less than the first. Never raises.
    """
    return 100.0 - 100.0 * math.exp2(-max(weight, 0.0) / HALF_SCORE)


def scores(weights: Mapping[str, float], age_s: float, half_life_s: float) -> dict[str, float]:
    """Weights as they read `age_s` seconds after they were given: `score(fade(...))` of each.

    weights: name → weight >= 0.
    """
    left, exp2 = fade(1.0, age_s, half_life_s), math.exp2
    return {
        name: 100.0 - 100.0 * exp2(weight * left / -HALF_SCORE) for name, weight in weights.items()
    }

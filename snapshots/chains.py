"""Patches in, those that lead to a part out: which a publisher keeps, and which a node takes. Pure.

A node that missed versions goes on by several patches, one after another. They are worth it only
while they are few and small; beyond that the whole part is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from snapshots.manifest import PATCH, PartRef, PatchRef

LONGEST = 8  # each patch writes the part once more
WORTH = 4  # all patches of a part are at most this share, a quarter, of its stored bytes


def leading_to(part: PartRef, patches: Sequence[PatchRef]) -> tuple[PatchRef, ...]:
    """The patches that end in the part, the last first, as far as they are worth it."""
    steps: list[PatchRef] = []
    wanted, left = part.raw_sha256, part.bytes // WORTH
    while len(steps) < LONGEST:
        step = next((one for one in patches if _leads(one, part, wanted)), None)
        if step is None or step.part.bytes > left:
            break
        steps.append(step)
        wanted, left = step.base, left - step.part.bytes
    return tuple(steps)


def kept(parts: Sequence[PartRef], patches: Sequence[PatchRef]) -> tuple[PatchRef, ...]:
    """What a manifest of these parts names, of all the patches there are."""
    return tuple(step for part in parts for step in leading_to(part, patches))


def path_to(
    part: PartRef, patches: Sequence[PatchRef], holds: Callable[[str], bool]
) -> tuple[PatchRef, ...]:
    """The patches to apply, the first first; none if no way begins at what is held. holds: whether
    the raw bytes of a SHA-256 are here."""
    steps = leading_to(part, patches)
    for number, step in enumerate(steps, 1):
        if holds(step.base):
            return steps[:number][::-1]
    return ()


def _leads(patch: PatchRef, part: PartRef, wanted: str) -> bool:
    return patch.result == wanted and patch.part.name == PATCH + part.name

"""A part that is here in an older state in, the newer one out: by patches, not by the whole part.

Each state on the way is written and checked like a part that was fetched. A patch that is missing
or wrong is no refusal of the version: the whole part is in the store, and is judged by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from snapshots import patch as patches_
from snapshots.chains import path_to
from snapshots.download import download
from snapshots.errors import Malformed, NotThere, Untrusted
from snapshots.local import LocalCopy
from snapshots.manifest import PartRef, PatchRef
from snapshots.store.protocol import ReadableStore


def upgrade(
    store: ReadableStore, local: LocalCopy, part: PartRef, patches: Sequence[PatchRef]
) -> bool:
    """Whether patches made the part of what is here, whole and verified; False where none lead
    there, or one of them is not what it should be. Raises StoreUnavailable, DiskRefused."""
    readable = [one for one in patches if one.part.format in patches_.READABLE]
    steps = path_to(part, readable, local.holds)
    try:
        for step in steps:
            _apply(store, local, part, step)
    except (Untrusted, NotThere):
        return False
    return bool(steps)


def _apply(store: ReadableStore, local: LocalCopy, part: PartRef, step: PatchRef) -> None:
    if not local.verify(step.part):
        download(store, local, step.part)
    patch = patches_.decode(local.mapped(step.part.raw_sha256), step.base, step.result)
    if patch.result_bytes != step.result_bytes:
        raise Malformed(
            f"expected a patch to {step.result_bytes} bytes, got one to {patch.result_bytes}"
            f" - at {step.part.name}"
        )
    made = msgspec.structs.replace(part, raw_sha256=step.result, raw_bytes=step.result_bytes)
    local.write(made, patches_.applied(patch, local.mapped(step.base)))

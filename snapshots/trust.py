"""Trust: what a manifest may claim before anything it names is fetched. Pure; carries no bytes.

A manifest comes here with a good signature. It is believed when it is of our channel, not older
than what was ever trusted, not past its date, and within limits; the worker above fetches,
checks hashes and opens, and only then calls it trusted.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from snapshots.errors import Conflict, Expired, Rollback, TooLarge, WrongChannel
from snapshots.manifest import Manifest, PartRef

# Stored and raw, for publisher and edge alike: ten million visitors are 0.45 GB, and the old and
# the new bundle lie side by side during a swap.
MAX_BUNDLE_BYTES = 2 * 2**30


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a bundle may be; each limit stops somebody from filling a node."""

    manifest_bytes: int = 256 * 2**10  # ~300 bytes a part: a thousand parts fit
    parts: int = 256  # a full bundle has 8; patches and recommendations come on top
    part_bytes: int = 2 * 2**30  # stored; the largest of ten million visitors is 0.25 GB
    bundle_bytes: int = MAX_BUNDLE_BYTES
    expansion: int = 1_000  # raw bytes for one stored byte; bitsets of rare segments reach hundreds
    free_bytes: int = 64 * 2**20  # so small that its expansion does not matter
    clock_skew_s: float = 120.0  # how far this node's clock may be ahead of the publisher's


def accept(
    offered: Manifest,
    trusted: Manifest | None,
    *,
    channel: str,
    now_s: float,
    limits: Limits,
    highest: int = 0,
) -> Manifest | None:
    """The manifest to fetch and open next, or None if `trusted` is still the newest.

    trusted: what this node trusted last. highest: the highest version it ever trusted, which
    survives the loss of `trusted`. Raises WrongChannel, Rollback, Conflict, TooLarge, Expired.
    What is trusted already stays so past its date: that is for `Manifest.is_stale` to say.
    """
    if offered.channel != channel:
        raise WrongChannel(f"expected channel {channel}, got {offered.channel}")
    floor = max(highest, trusted.version if trusted else 0)
    if offered.version < floor:
        raise Rollback(f"expected version >= {floor}, got {offered.version}")
    if trusted and offered.version == trusted.version:
        if offered != trusted:
            raise Conflict(f"expected version {trusted.version} as trusted, got other content")
        return None
    if trusted and offered.ledger.revision < trusted.ledger.revision:
        # Cookies out there hold numbers that an older ledger would give to other names.
        raise Rollback(
            f"expected ledger >= {trusted.ledger.revision}, got {offered.ledger.revision}"
            f" in version {offered.version}"
        )
    check_sizes(offered.everything, limits)
    for patch in offered.patches:
        if patch.result_bytes > limits.bundle_bytes:
            raise TooLarge(
                f"expected at most {limits.bundle_bytes} bytes, got {patch.result_bytes} out of "
                f"{patch.part.name}"
            )
    if offered.not_after_s + limits.clock_skew_s <= now_s:
        age_s = now_s - offered.not_after_s
        raise Expired(f"expected an offer within its date, got one that ended {age_s:.0f} s ago")
    return offered


def check_sizes(parts: Sequence[PartRef], limits: Limits) -> None:
    """Raises TooLarge unless number, sizes and expansion of all parts are within limits."""
    if len(parts) > limits.parts:
        raise TooLarge(f"expected at most {limits.parts} parts, got {len(parts)}")
    for part in parts:
        if part.bytes > limits.part_bytes:
            raise TooLarge(
                f"expected at most {limits.part_bytes} bytes, got {part.bytes} - at {part.name}"
            )
        if part.raw_bytes > max(limits.free_bytes, part.bytes * limits.expansion):
            raise TooLarge(
                f"expected at most {limits.expansion} bytes out of one, "
                f"got {part.raw_bytes} out of {part.bytes} - at {part.name}"
            )
    total = max(sum(part.bytes for part in parts), sum(part.raw_bytes for part in parts))
    if total > limits.bundle_bytes:
        raise TooLarge(f"expected a bundle of at most {limits.bundle_bytes} bytes, got {total}")

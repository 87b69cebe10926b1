"""Pausing: a change in, the channel's next control object in the store out; two operators at once
lose neither's change.

A number is claimed by a create-only write, and the object that edges poll is rewritten from the
highest. What lies at a numbered path and is not ours is passed over.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from snapshots import pauses
from snapshots.errors import AlreadyThere, Malformed, NotThere, StoreUnavailable, Untrusted
from snapshots.history import free_number, numbers
from snapshots.keys import PrivateKey, PublicKeys
from snapshots.pauses import (
    MAX_BYTES,
    MAX_PAUSED,
    Paused,
    Pauses,
    control_path,
    controls_prefix,
    numbered_path,
)
from snapshots.publish import TRIES, check_channel
from snapshots.store.protocol import Store

Change = Callable[[tuple[Paused, ...]], tuple[Paused, ...]]


def newest(store: Store, channel: str, keys: PublicKeys) -> tuple[Pauses, bytes]:
    """The highest list that one of `keys` signed, and its bytes; an empty one where there is
    none."""
    for number in numbers(store, controls_prefix(channel)):
        try:
            token = store.read(numbered_path(channel, number), MAX_BYTES)
            found = pauses.verify(token, keys)
        except (Untrusted, NotThere):
            continue
        if (found.channel, found.number) == (channel, number):
            return found, token
    return Pauses(channel=channel), b""


def change(
    store: Store, channel: str, wanted: Change, key: PrivateKey, keys: PublicKeys, *, now_s: float
) -> Pauses:
    """The list after a change, written; the one that is there where nothing changes.

    wanted: what is paused in; what shall be out. keys: whose lists count besides this key's.
    Raises Malformed for a list that is too long, StoreUnavailable.
    """
    trusted = {**keys, **key.public()}
    check_channel(channel)
    for _ in range(TRIES):
        taken = numbers(store, controls_prefix(channel))
        before, _token = newest(store, channel, trusted)
        after = wanted(before.paused)
        if len(after) > MAX_PAUSED:
            raise Malformed(f"expected at most {MAX_PAUSED} pauses, got {len(after)}: roll back")
        if after == before.paused:
            break
        made = msgspec.structs.replace(
            before,
            number=free_number(before.number, taken),
            created_s=int(now_s),
            paused=after,
        )
        try:
            store.create(numbered_path(channel, made.number), pauses.sign(made, key))
        except AlreadyThere:
            continue
        break
    else:
        place = f"{store.where} {controls_prefix(channel)}"
        raise StoreUnavailable(f"expected to win in {TRIES} tries, others did - at {place}")
    return _point(store, channel, trusted)


def _point(store: Store, channel: str, keys: PublicKeys) -> Pauses:
    """Rewrites what edges poll from the highest list."""
    for _ in range(TRIES):
        found, token = newest(store, channel, keys)
        if not token:
            return found
        store.replace(control_path(channel), token)
        if newest(store, channel, keys)[0] == found:
            return found
    return found

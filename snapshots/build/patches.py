"""The version before and new membership parts in, patches between them out where they are worth it.

Rows are found again by their keys and compared by the engine's columns, a stretch at a time. There
is no patch where rows have another width, where too many changed, or where the version before is
not whole: the new parts are in the store anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from snapshots import membership, patch
from snapshots.bundle import Packed, pack, unpack
from snapshots.chains import WORTH
from snapshots.columns import Frame, open_frame
from snapshots.errors import NotThere, Unreadable, Untrusted
from snapshots.manifest import PATCH, Manifest, PartRef, PatchRef, part_path
from snapshots.membership import KEYS
from snapshots.patch import Rows, rows_of
from snapshots.publish import Patched
from snapshots.store import ReadableStore

STRETCH_ROWS = 2**20


class Found(NamedTuple):
    """Which rows are whose: gone in the base, new in the result; stayed: places of the others in
    the base and in the result, side by side."""

    gone: Any
    new: Any
    stayed: tuple[Any, Any]


def patches_from(
    before: Manifest | None, parts: Sequence[Packed], store: ReadableStore
) -> list[Patched]:
    """The patches from the membership of `before` to these parts; none where something of it is
    gone, broken or of another format. Raises StoreUnavailable."""
    try:
        return list(_patches(before, parts, store)) if before else []
    except (NotThere, Untrusted, Unreadable):
        return []


def _patches(before: Manifest, parts: Sequence[Packed], store: ReadableStore) -> Iterator[Patched]:
    pairs = [
        (old, new)
        for new in parts
        if new.ref.name in membership.MAGIC and (old := before.part(new.ref.name))
    ]
    keys = next(((old, new) for old, new in pairs if new.ref.name == KEYS), None)
    if keys is None or all(old.raw_sha256 == new.ref.raw_sha256 for old, new in pairs):
        return
    found = _found(_keys(_read(store, keys[0]), KEYS), _keys(_unpacked(keys[1]), KEYS))
    for old, new in pairs:
        if old.raw_sha256 == new.ref.raw_sha256:
            continue
        if made := _patch(old, _read(store, old), new, _unpacked(new), found):
            yield made


def _patch(old: PartRef, base: bytes, new: Packed, result: bytes, found: Found) -> Patched | None:
    """None where it is not worth it."""
    name = new.ref.name
    before, after = _rows(base, name), _rows(result, name)
    if before.count and after.count and before.width != after.width:
        return None
    changed_from, changed_to = _changed(before, after, found)
    gone, come = (found.gone, changed_from), (found.new, changed_to)
    if max(_together(gone), _together(come)) * WORTH > after.count:
        return None  # the rows alone would be more than that share of the part
    raw = patch.encode(before, after, _ascending(*gone), _ascending(*come))
    packed = pack(PATCH + name, patch.FORMAT, raw)
    if packed.ref.bytes * WORTH > new.ref.bytes:
        return None
    ref = PatchRef(
        part=packed.ref,
        base=old.raw_sha256,
        result=new.ref.raw_sha256,
        result_bytes=new.ref.raw_bytes,
    )
    return Patched(ref, packed)


def _found(before: Any, after: Any) -> Found:
    """The rows of two arrays of keys."""
    places = pc.index_in(after, value_set=before)  # null for a key that is new
    known = pc.is_valid(places)
    gone = pc.invert(pc.is_in(before, value_set=after))
    return Found(
        pc.indices_nonzero(gone),
        pc.indices_nonzero(pc.invert(known)),
        (places.drop_null(), pc.indices_nonzero(known)),
    )


def _changed(before: Rows, after: Rows, found: Found) -> tuple[Any, Any]:
    """Of the rows that stayed, the places where their bytes did not."""
    if not (before.width and after.width):
        none = pa.array([], pa.uint64())
        return none, none
    columns = [
        pa.Array.from_buffers(
            pa.binary(rows.width), rows.count, [None, pa.py_buffer(rows.raw[rows.begins :])]
        )
        for rows in (before, after)
    ]
    changed: tuple[list[Any], list[Any]] = ([], [])
    for start in range(0, len(found.stayed[0]), STRETCH_ROWS):
        places = [side.slice(start, STRETCH_ROWS) for side in found.stayed]
        rows = [column.take(place) for column, place in zip(columns, places, strict=True)]
        differs = pc.not_equal(*rows)
        for side, place in zip(changed, places, strict=True):
            side.append(place.filter(differs).cast(pa.uint64()))
    return pa.chunked_array(changed[0], pa.uint64()), pa.chunked_array(changed[1], pa.uint64())


def _together(columns: tuple[Any, Any]) -> int:
    return sum(map(len, columns))


def _ascending(one: Any, other: Any) -> list[int]:
    places = [*one.to_pylist(), *other.to_pylist()]
    places.sort()
    return places


def _keys(raw: bytes, name: str) -> Any:
    rows = _rows(raw, name)
    return pa.Array.from_buffers(
        pa.uint64(), rows.count, [None, pa.py_buffer(rows.raw[rows.begins :])]
    )


def _rows(raw: bytes, name: str) -> Rows:
    return rows_of(_frame(raw, name), raw)


def _frame(raw: bytes, name: str) -> Frame:
    return open_frame(name, raw, membership.MAGIC[name], membership.FORMATS[name])


def _read(store: ReadableStore, part: PartRef) -> bytes:
    return unpack(part, store.read(part_path(part), part.bytes))


def _unpacked(part: Packed) -> bytes:
    return unpack(part.ref, part.stored)

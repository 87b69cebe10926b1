from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapshots import patch as patches
from snapshots.build import patches as built
from snapshots.build.patches import patches_from
from snapshots.bundle import Packed, pack, unpack
from snapshots.census import Trait, encode_membership
from snapshots.contents import NEWEST
from snapshots.manifest import Manifest, part_path
from snapshots.membership import KEYS, MAGIC, SEGMENTS, TRAITS
from snapshots.publish import Patched
from snapshots.store import MemoryStore
from tests.snapshots.bundles import NAMED
from tests.snapshots.populations import SEGMENT_NAMES, Population, Visitor, membership

VISITORS = st.builds(
    Visitor,
    st.integers(0, 2 ** len(SEGMENT_NAMES) - 1),
    st.integers(0, 2),
    st.integers(0, 255),
    st.sampled_from([0.5, 1.0, 2.0]),
)
POPULATIONS = st.dictionaries(st.integers(0, 40), VISITORS, max_size=30)


def stored(parts: Sequence[Packed]) -> tuple[Manifest, MemoryStore]:
    """A store that has these parts, and the version that names them."""
    store = MemoryStore()
    for part in parts:
        store.objects[part_path(part.ref)] = part.stored
    manifest = Manifest(
        channel="live",
        version=1,
        created_s=0,
        not_after_s=9,
        ledger=NAMED,
        parts=tuple(part.ref for part in parts),
    )
    return manifest, store


def applied(made: Patched, base: Sequence[Packed]) -> bytes:
    """What the patch makes of the part it is for."""
    name = made.ref.part.name.removeprefix("patch/")
    old = next(part for part in base if part.ref.name == name)
    raw = unpack(made.packed.ref, made.packed.stored)
    patch = patches.decode(raw, made.ref.base, made.ref.result)
    return b"".join(patches.applied(patch, unpack(old.ref, old.stored)))


def raw_hashes(parts: Sequence[Packed]) -> set[str]:
    return {part.ref.raw_sha256 for part in parts}


def between(before: Sequence[Packed], after: Sequence[Packed]) -> list[Patched]:
    return patches_from(stored(before)[0], after, stored(before)[1])


@settings(max_examples=60)
@given(POPULATIONS, POPULATIONS)
def test_the_base_and_any_patch_are_byte_for_byte_the_full_build(
    before: Population, after: Population
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(built, "WORTH", 0)  # however much it costs
        patched.setattr(built, "STRETCH_ROWS", 7)
        old, new = membership(before, 1), membership(after, 2)
        made = between(old, new)
    assert {one.ref.result for one in made} == raw_hashes(new) - raw_hashes(old)
    full = {part.ref.raw_sha256: unpack(part.ref, part.stored) for part in new}
    for one in made:
        assert applied(one, old) == full[one.ref.result]
        assert one.ref.result_bytes == len(full[one.ref.result])


@settings(max_examples=30)
@given(POPULATIONS, POPULATIONS, POPULATIONS)
def test_compaction_is_deterministic_a_chain_of_patches_is_the_next_full_part(
    first: Population, second: Population, third: Population
) -> None:
    states = [membership(one, at) for at, one in enumerate((first, second, third))]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(built, "WORTH", 0)
        steps = [between(*pair) for pair in pairwise(states)]
    for one in steps[0]:
        for two in steps[1]:
            if two.ref.base == one.ref.result:
                middle = applied(one, states[0])
                raw = unpack(two.packed.ref, two.packed.stored)
                patch = patches.decode(raw, two.ref.base, two.ref.result)
                last = b"".join(patches.applied(patch, middle))
                assert last in [unpack(part.ref, part.stored) for part in states[2]]


MANY: Population = {key: Visitor(key % 2_048, key % 3, key % 256, 1.0) for key in range(4_000)}


def test_a_visitor_in_a_hundred_costs_patches_that_are_far_smaller_than_the_parts() -> None:
    after = MANY | {key: Visitor(5, 1, 9, 2.0) for key in range(0, 4_000, 100)}
    del after[17]
    after[10**9] = Visitor(1, 1, 1, 1.0)
    old, new = membership(MANY, 1), membership(after, 2)
    made = between(old, new)
    names = {one.ref.part.name.removeprefix("patch/") for one in made}
    assert {KEYS, SEGMENTS} <= names
    full = {part.ref.raw_sha256: unpack(part.ref, part.stored) for part in new}
    assert all(applied(one, old) == full[one.ref.result] for one in made)


def test_the_same_membership_needs_no_patch() -> None:
    assert between(membership(MANY), membership(MANY)) == []


def test_segments_that_changed_for_the_same_visitors_are_patched_alone() -> None:
    after = MANY | {5: Visitor(7, 2, 5, 1.0)}
    made = between(membership(MANY), membership(after))
    assert [one.ref.part.name for one in made] == [f"patch/{SEGMENTS}"]


def test_what_changed_for_most_is_no_patch() -> None:
    after = {key: visitor._replace(bits=visitor.bits ^ 1) for key, visitor in MANY.items()}
    names = [one.ref.part.name for one in between(membership(MANY, 1), membership(after, 2))]
    assert f"patch/{SEGMENTS}" not in names
    assert f"patch/{KEYS}" in names


def test_rows_of_another_width_are_no_patch() -> None:
    old = membership(MANY, 1)
    wider = encode_membership(
        array("Q", sorted(MANY)),
        built_at_s=2,
        traits={name: Trait([None, "gold"], bytes(len(MANY))) for name in ("tier", "another")},
    )
    new = [pack(name, NEWEST[name], raw) for name, raw in sorted(wider.items())]
    names = [one.ref.part.name for one in between(old, new)]
    assert f"patch/{TRAITS}" not in names


def test_without_a_version_before_there_is_nothing_to_come_from() -> None:
    assert patches_from(None, membership(MANY), MemoryStore()) == []
    assert between([pack("program", 1, b"words")], membership(MANY)) == []


@pytest.mark.parametrize("harm", ["gone", "broken", "of the future", "no part"])
def test_a_version_before_that_is_not_whole_gives_no_patches_and_no_error(harm: str) -> None:
    after = membership(MANY | {5: Visitor(7, 2, 5, 1.0)}, 2)
    manifest, store = stored(membership(MANY, 1))
    keys = manifest.part(KEYS)
    assert keys
    if harm == "gone":
        del store.objects[part_path(keys)]
    elif harm == "broken":
        store.objects[part_path(keys)] = bytes(keys.bytes)
    else:
        raw = MAGIC[KEYS] + b"\2" + bytes(99) if harm == "of the future" else b"no part"
        other = pack(KEYS, 1, raw)
        store.objects[part_path(other.ref)] = other.stored
        parts = tuple(other.ref if part.name == KEYS else part for part in manifest.parts)
        manifest = msgspec.structs.replace(manifest, parts=parts)
    assert patches_from(manifest, after, store) == []

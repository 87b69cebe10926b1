"""Patches through a whole sync: what a node fetches, and what it serves when a patch is wrong."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from snapshots import garbage, signing
from snapshots import manifest as manifests
from snapshots.build.patches import patches_from
from snapshots.bundle import pack
from snapshots.errors import StoreUnavailable
from snapshots.history import read_ledger, read_manifest
from snapshots.manifest import Manifest, PartRef, PatchRef, channel_path, part_path, version_path
from snapshots.membership import INTERESTS, KEYS, SCORES, SEGMENTS, Membership
from snapshots.publish import publish
from snapshots.reissue import reissue
from snapshots.store import MemoryStore, Take
from snapshots.sync import Syncer
from snapshots.trust import Limits
from tests.snapshots.bundles import KEY, LEDGER, NOW_S, syncer_of
from tests.snapshots.populations import Population, Visitor, membership

DICE = random.Random(4)
MANY: Population = {
    key * 2**50: Visitor(DICE.randrange(2_048), DICE.randrange(3), DICE.randrange(256), 1.0)
    for key in range(4_000)
}
PATCHED = {KEYS, SEGMENTS, SCORES}


class Origin(MemoryStore):
    """Remembers what is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []

    def read_from(self, path: str, start: int, max_bytes: int, take: Take) -> None:
        self.fetched.append(path)
        super().read_from(path, start, max_bytes, take)


def state(number: int) -> Population:
    """The visitors of a build: each has other answers of a few, one gone and one come."""
    people = MANY | {
        key * 2**50: Visitor(number, 1, number, 1.0) for key in range(number, 4_000, 400)
    }
    del people[number * 2**50]
    return people | {number * 2**50 + 1: Visitor(1, 1, 1, 1.0)}


def publish_state(
    store: MemoryStore, number: int, people: Population | None = None, *, patched: bool = True
) -> Manifest:
    """A version of that state, with the patches from the one before."""
    members = membership(state(number) if people is None else people, number)
    parts = [*members, pack("program", 1, b"words %d" % number)]
    before = read_manifest(store, "live", KEY.public()) if patched else None
    return publish(
        store,
        "live",
        parts,
        LEDGER,
        KEY,
        since=read_ledger(store, KEY.public()),
        now_s=NOW_S,
        patches=patches_from(before, parts, store),
    )


@pytest.fixture
def store() -> Origin:
    store = Origin()
    publish_state(store, 1)
    return store


@pytest.fixture
def node(store: Origin, tmp_path: Path) -> Syncer:
    """A node that serves version 1."""
    syncer = syncer_of(store, tmp_path)
    assert syncer.once().version == 1
    store.fetched.clear()
    return syncer


def names_of(manifest: Manifest, store: Origin) -> list[str]:
    """What was fetched, by the names that the manifest has for it."""
    names = {part_path(part): part.name for part in manifest.everything}
    return [names[path] for path in store.fetched]


def serves(node: Syncer, number: int) -> None:
    """The node serves that version, and holds the full build's parts to the byte."""
    status = node.once()
    assert (status.version, status.refused) == (number, None)
    manifest = node.local.serving()
    assert manifest
    full = {part.ref.name: part.ref for part in membership(state(number), number)}
    for part in manifest.parts:
        if part.name in full:
            assert part.raw_sha256 == full[part.name].raw_sha256
            assert node.local.verify(part)
    parts = {p.name: node.local.path_of(p).read_bytes() for p in manifest.parts if p.name in full}
    member = Membership.open(parts).lookup(number * 2**50 + 1)
    assert member and member.segments == {"s00"}


def test_a_node_that_has_the_base_fetches_patches_and_none_of_the_parts(
    store: Origin, node: Syncer
) -> None:
    manifest = publish_state(store, 2)
    serves(node, 2)
    names = names_of(manifest, store)
    assert {f"patch/{name}" for name in PATCHED} <= set(names)
    assert not PATCHED & set(names)


def test_a_node_without_the_base_fetches_the_parts(store: Origin, tmp_path: Path) -> None:
    manifest = publish_state(store, 2)
    store.fetched.clear()
    node = syncer_of(store, tmp_path)
    serves(node, 2)
    assert not [name for name in names_of(manifest, store) if name.startswith("patch/")]


def test_a_node_that_missed_a_version_applies_both_patches(store: Origin, node: Syncer) -> None:
    publish_state(store, 2)
    manifest = publish_state(store, 3)
    serves(node, 3)
    names = names_of(manifest, store)
    assert names.count(f"patch/{SEGMENTS}") == 2
    assert SEGMENTS not in names


def test_nothing_is_left_of_patches_and_states_on_the_way(store: Origin, node: Syncer) -> None:
    publish_state(store, 2)
    publish_state(store, 3)
    serves(node, 3)
    manifest, before = node.local.serving(), read_manifest(store, "live", KEY.public())
    assert manifest == before
    held = {file.name for file in (node.local.directory / "parts").iterdir()}
    assert {part.raw_sha256 for part in manifest.parts} <= held if manifest else False
    assert len(held) <= 2 * 6


def harmed(store: Origin, harm: Callable[[bytes], bytes | None]) -> None:
    """Does it to the bytes of every patch."""
    for patch in manifest_of(store).patches:
        path = part_path(patch.part)
        if (bytes_ := harm(store.objects[path])) is None:
            del store.objects[path]
        else:
            store.objects[path] = bytes_


@pytest.mark.parametrize(
    "harm",
    [
        lambda stored: None,
        lambda stored: stored[:-1],
        lambda stored: stored + b"?",
        lambda stored: stored[:40] + bytes([stored[40] ^ 1]) + stored[41:],
    ],
    ids=["gone", "cut", "longer", "flipped"],
)
def test_a_patch_that_is_wrong_is_not_applied_and_the_whole_part_is_fetched(
    harm: Callable[[bytes], bytes | None], store: Origin, node: Syncer
) -> None:
    manifest = publish_state(store, 2)
    harmed(store, harm)
    serves(node, 2)
    assert set(names_of(manifest, store)) >= PATCHED


def republished(store: Origin, change: Callable[[PatchRef], PatchRef]) -> Manifest:
    """The hint with other words about its patches, signed by our own key."""
    manifest = signing.verify(store.objects[channel_path("live")], KEY.public())
    changed = tuple(change(patch) for patch in manifest.patches)
    manifest = msgspec.structs.replace(manifest, patches=changed)
    store.objects[channel_path("live")] = signing.sign(manifest, KEY)
    return manifest


def test_a_patch_that_is_chained_to_another_base_is_not_applied(
    store: Origin, node: Syncer
) -> None:
    first = signing.verify(store.objects[channel_path("live")], KEY.public())
    program = first.part("program")
    assert program
    publish_state(store, 2)
    manifest = republished(
        store, lambda patch: msgspec.structs.replace(patch, base=program.raw_sha256)
    )
    serves(node, 2)
    assert set(names_of(manifest, store)) >= PATCHED


def test_a_patch_that_makes_another_size_than_named_is_not_applied(
    store: Origin, node: Syncer
) -> None:
    publish_state(store, 2)
    manifest = republished(store, lambda patch: msgspec.structs.replace(patch, result_bytes=7))
    serves(node, 2)
    assert set(names_of(manifest, store)) >= PATCHED


def test_a_patch_of_a_future_format_is_passed_over(store: Origin, node: Syncer) -> None:
    def newer(patch: PatchRef) -> PatchRef:
        return msgspec.structs.replace(patch, part=msgspec.structs.replace(patch.part, format=2))

    publish_state(store, 2)
    manifest = republished(store, newer)
    serves(node, 2)
    assert not [name for name in names_of(manifest, store) if name.startswith("patch/")]


def test_a_base_that_rots_on_disk_is_found_by_the_result(store: Origin, node: Syncer) -> None:
    manifest = node.local.serving()
    segments = manifest.part(SEGMENTS) if manifest else None
    assert segments
    raw = bytearray(node.local.path_of(segments).read_bytes())
    raw[-1] ^= 1
    node.local.path_of(segments).write_bytes(raw)
    newer = publish_state(store, 2)
    serves(node, 2)
    names = names_of(newer, store)
    assert SEGMENTS in names
    assert KEYS not in names


def test_a_patch_that_makes_more_than_a_bundle_may_be_is_refused_unfetched(
    store: Origin, node: Syncer
) -> None:
    publish_state(store, 2)
    republished(
        store,
        lambda patch: msgspec.structs.replace(patch, result_bytes=Limits().bundle_bytes + 1),
    )
    status = node.once()
    assert status.refused and status.refused.reason == "too-large"
    assert (status.version, store.fetched) == (1, [])


def test_a_part_whose_every_row_changed_is_fetched_beside_patches_of_the_others(
    store: Origin, node: Syncer
) -> None:
    people = {key: visitor._replace(weight=2.0) for key, visitor in state(2).items()}
    manifest = publish_state(store, 2, people)
    assert node.once().version == 2
    names = names_of(manifest, store)
    assert INTERESTS in names
    assert f"patch/{INTERESTS}" not in names
    assert f"patch/{SEGMENTS}" in names


def test_patches_that_came_before_the_line_broke_are_not_fetched_again(
    store: Origin, node: Syncer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise StoreUnavailable("expected an answer, the line is dead")

    publish_state(store, 2)
    with monkeypatch.context() as patched:
        patched.setattr("snapshots.patch.applied", dies)
        assert node.once().failures == 1
    first = list(store.fetched)
    serves(node, 2)
    assert first and store.fetched.count(first[0]) == 1


def test_a_version_without_patches_breaks_the_chain_and_nothing_else(
    store: Origin, node: Syncer
) -> None:
    """As a publisher of a release before patches makes one."""
    publish_state(store, 2, patched=False)
    manifest = publish_state(store, 3)
    serves(node, 3)
    assert set(names_of(manifest, store)) >= PATCHED


def test_a_changed_rule_keeps_the_patches_for_nodes_that_missed_a_build(
    store: Origin, node: Syncer
) -> None:
    two = publish_state(store, 2)
    parts = [*membership(state(2), 2), pack("program", 1, b"another rule")]
    since = read_ledger(store, KEY.public())
    manifest = publish(store, "live", parts, LEDGER, KEY, since=since, now_s=NOW_S)
    assert manifest.patches == two.patches != ()
    assert node.once().version == 3
    assert not PATCHED & set(names_of(manifest, store))


def test_patches_of_what_is_served_are_no_garbage(store: Origin, node: Syncer) -> None:
    publish_state(store, 2)
    manifest = publish_state(store, 3)
    found = garbage.find(store, KEY.public(), now_s=NOW_S * 2, keep=1)
    paths = {one.path for one in found.parts}
    assert paths
    assert not paths & {part_path(part) for part in manifest.everything}
    garbage.remove(store, found)
    serves(node, 3)
    assert not PATCHED & set(names_of(manifest, store))


@pytest.mark.parametrize("gone", [False, True])
def test_a_version_that_is_promoted_brings_the_patches_that_are_there(
    gone: bool, store: Origin
) -> None:
    manifest = publish_state(store, 2)
    if gone:
        harmed(store, lambda stored: None)
    made = reissue(store, manifest, "staging", KEY, now_s=NOW_S)
    assert made.patches == (() if gone else manifest.patches)
    assert made.parts == manifest.parts


def test_a_release_before_patches_reads_the_manifest_and_passes_over_them(store: Origin) -> None:
    class Older(msgspec.Struct):
        version: int
        parts: tuple[PartRef, ...]

    manifest = publish_state(store, 2)
    older = msgspec.json.decode(manifests.encode(manifest), type=Older)
    assert (older.version, older.parts) == (2, manifest.parts)
    assert not any(part.name.startswith("patch/") for part in older.parts)


class Killed(BaseException):
    pass


@pytest.fixture(scope="module")
def two_builds() -> dict[str, bytes]:
    """What a store holds after two builds."""
    store = MemoryStore()
    publish_state(store, 1)
    publish_state(store, 2)
    return store.objects


@pytest.mark.parametrize("step", range(0, 60, 4))
def test_a_node_killed_at_any_step_of_an_upgrade_comes_to_the_same_parts(
    step: int, two_builds: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Origin()
    store.objects = two_builds | {channel_path("live"): two_builds[version_path("live", 1)]}
    syncer = syncer_of(store, tmp_path)
    assert syncer.once().version == 1
    store.objects = dict(two_builds)
    store.fetched.clear()
    left = step

    def killing(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **rest: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:  # and everything after it
                raise Killed
            return call(*arguments, **rest)

        return called

    with monkeypatch.context() as patched:
        for place, name in ((os, "fsync"), (os, "open"), (Path, "replace"), (Path, "unlink")):
            patched.setattr(place, name, killing(getattr(place, name)))
        with contextlib.suppress(Killed):
            syncer.once()
    again = syncer_of(store, tmp_path)
    assert again.start().version in (1, 2)
    serves(again, 2)
    assert not PATCHED & set(names_of(manifest_of(store), store))


def manifest_of(store: MemoryStore) -> Manifest:
    return signing.verify(store.objects[channel_path("live")], KEY.public())

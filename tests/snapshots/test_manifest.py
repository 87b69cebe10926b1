from __future__ import annotations

from typing import Any

import msgspec
import pytest

from snapshots import manifest as manifests
from snapshots.errors import Malformed, Unreadable
from snapshots.manifest import Manifest, PartRef, PatchRef, channel_path, part_path, version_path
from tests.snapshots.bundles import NAMED

PART = PartRef(name="program", format=1, sha256="a" * 64, bytes=1, raw_sha256="b" * 64, raw_bytes=1)
MANIFEST = Manifest(
    channel="live", version=7, created_s=1, not_after_s=2, ledger=NAMED, parts=(PART,)
)

STEP = PatchRef(
    part=msgspec.structs.replace(PART, name="patch/membership/keys", sha256="d" * 64),
    base="e" * 64,
    result="f" * 64,
    result_bytes=9,
)
PATCHED = msgspec.structs.replace(MANIFEST, patches=(STEP,))


def changed(**changes: Any) -> bytes:
    return msgspec.json.encode(msgspec.to_builtins(MANIFEST) | changes)


def with_part(**changes: Any) -> bytes:
    return changed(parts=[msgspec.to_builtins(PART) | changes])


def with_patch(**changes: Any) -> bytes:
    return changed(patches=[msgspec.to_builtins(STEP) | changes])


def test_a_manifest_comes_back_as_it_went() -> None:
    assert manifests.decode(manifests.encode(MANIFEST)) == MANIFEST
    assert MANIFEST.part("program") == PART
    assert MANIFEST.part("other") is None


def test_patches_come_back_as_they_went_and_a_store_must_hold_them() -> None:
    assert manifests.decode(manifests.encode(PATCHED)) == PATCHED
    assert PATCHED.everything == (PART, STEP.part)


def test_a_manifest_without_patches_is_what_releases_before_them_wrote() -> None:
    assert b"patches" not in manifests.encode(MANIFEST)


def test_what_a_newer_publisher_adds_passes() -> None:
    assert manifests.decode(changed(note="of a newer release")) == MANIFEST


def test_a_manifest_is_stale_from_its_date_on() -> None:
    assert [MANIFEST.is_stale(now_s) for now_s in (1.9, 2.0)] == [False, True]


def test_paths_are_those_of_the_format() -> None:
    assert channel_path("live") == "channels/live.jws"
    assert version_path("live", 7) == "channels/live/7.jws"
    assert part_path(PART) == "parts/" + "a" * 64


def test_a_format_of_the_future_is_named_whatever_else_it_holds() -> None:
    with pytest.raises(Unreadable, match="expected a manifest of format 1, got 2: upgrade"):
        manifests.decode(b'{"format":2,"shape":"unknown"}')


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"", "something else"),
        (b"[]", "something else"),
        (b'{"format":1}', "something else"),
        (b"\xff", "something else"),
        (changed(channel="Live"), "a channel's name"),
        (changed(channel="../live"), "a channel's name"),
        (changed(version=0), "expected a version from 1"),
        (changed(version=2**53), "expected a version from 1"),
        (changed(not_after_s=1), "expected created < not_after"),
        (changed(created_s=-1), "expected created < not_after"),
        (changed(ledger=None), "something else"),
        (changed(ledger={"revision": 0, "sha256": "c" * 64}), "a ledger's revision from 1"),
        (changed(ledger={"revision": 2**53, "sha256": "c" * 64}), "a ledger's revision from 1"),
        (changed(ledger={"revision": 1, "sha256": "C" * 64}), "64 hex digits .* at ledger"),
        (changed(parts=[msgspec.to_builtins(PART)] * 2), "each part once"),
        (with_part(name="../program"), "a part's name"),
        (with_part(name="Program"), "a part's name"),
        (with_part(sha256="A" * 64), "64 hex digits"),
        (with_part(raw_sha256="a" * 63), "64 hex digits"),
        (with_part(bytes=0), "sizes in bytes"),
        (with_part(raw_bytes=-1), "sizes in bytes"),
        (with_part(raw_bytes=2**53), "sizes in bytes"),
        (with_patch(part=msgspec.to_builtins(PART)), "expected patch/ before a patch's name"),
        (with_patch(part=msgspec.to_builtins(PART) | {"bytes": 0}), "sizes in bytes"),
        (with_patch(base="E" * 64), "64 hex digits .* at patch/membership/keys"),
        (with_patch(result="f"), "64 hex digits .* at patch/membership/keys"),
        (with_patch(result_bytes=-1), "expected a size, got -1"),
        (with_patch(result_bytes=2**53), "expected a size"),
        (changed(patches=None), "something else"),
    ],
)
def test_what_is_no_manifest_is_refused(payload: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        manifests.decode(payload)

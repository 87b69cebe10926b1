from __future__ import annotations

import pytest

from snapshots.contents import passed_over, wanted
from snapshots.errors import Malformed, Unreadable
from snapshots.manifest import Manifest, PartRef
from tests.snapshots.bundles import NAMED


def manifest(*parts: tuple[str, int]) -> Manifest:
    refs = tuple(
        PartRef(name=name, format=number, sha256="", bytes=1, raw_sha256="", raw_bytes=1)
        for name, number in parts
    )
    return Manifest(channel="live", version=3, created_s=0, not_after_s=1, ledger=NAMED, parts=refs)


def names(*parts: tuple[str, int]) -> list[str]:
    return [part.name for part in wanted(manifest(*parts))]


def test_a_program_alone_is_a_bundle() -> None:
    assert names(("program", 1)) == ["program"]


def test_parts_of_a_newer_release_are_passed_over_and_named() -> None:
    offered = manifest(("program", 1), ("oracle", 9))
    assert [part.name for part in wanted(offered)] == ["program"]
    assert passed_over(offered) == ("oracle",)


def test_a_bundle_without_a_program_is_refused() -> None:
    with pytest.raises(Malformed, match="expected a part program in version 3, got none"):
        wanted(manifest(("membership/keys", 1)))


def test_columns_without_keys_are_refused() -> None:
    with pytest.raises(Malformed, match="expected membership/keys beside membership/scores"):
        wanted(manifest(("membership/scores", 1), ("program", 1)))


def test_a_known_part_in_an_unknown_format_is_named_with_the_way_out() -> None:
    with pytest.raises(Unreadable, match="expected format 1 of program, got 2: upgrade this edge"):
        wanted(manifest(("program", 2)))

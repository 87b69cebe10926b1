from __future__ import annotations

import pytest

from snapshots.contents import CONTENTS, NEWEST, passed_over, remarks, wanted, written_formats
from snapshots.errors import Malformed, Unreadable, Unwritable
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
    for part, said in (
        (("program", 2), "expected format 1 of program, got 2: .* --formats program=1"),
        (
            ("membership/interests", 3),
            "expected format 1, 2 of membership/interests, got 3: upgrade this edge, "
            "or publish with --formats membership/interests=2",
        ),
    ):
        with pytest.raises(Unreadable, match=said):
            wanted(manifest(*(NEWEST | dict([part])).items()))


def test_the_newest_format_is_written_but_for_what_was_told() -> None:
    assert written_formats({}) == NEWEST
    told = written_formats({"membership/interests": 1})
    assert told == NEWEST | {"membership/interests": 1}
    assert written_formats(NEWEST) == NEWEST
    assert all(told[name] in content.formats for name, content in CONTENTS.items())


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            {"membership/interest": 1},
            "'membership/interest', did you mean membership/interests",
        ),
        ({"record": 1}, "expected one of program, membership/keys, .*, got 'record'"),
        ({"membership/interests": 3}, "expected format 1, 2 of membership/interests, got 3"),
        ({"program": 0}, "expected format 1 of program, and there is no other, got 0"),
    ],
)
def test_what_cannot_be_written_is_refused(told: dict[str, int], said: str) -> None:
    with pytest.raises(Unwritable, match=said):
        written_formats(told)


def test_parts_in_another_format_than_the_newest_are_remarked() -> None:
    found = manifest(("membership/interests", 1), ("program", 7), ("oracle", 9), ("record", 1))
    assert remarks(found) == {
        "membership/interests": "membership/interests is in format 1, older than 2",
        "program": "program is in format 7, which is not read here, where 1 is the newest",
    }
    assert remarks(manifest(*NEWEST.items())) == {}

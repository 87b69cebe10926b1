from __future__ import annotations

import hashlib

import msgspec

from snapshots.chains import LONGEST, WORTH, kept, leading_to, path_to
from snapshots.manifest import PartRef, PatchRef

SEGMENTS = "membership/segments"


def sha256(state: int) -> str:
    return hashlib.sha256(b"%d" % state).hexdigest()


def part(state: int, name: str = SEGMENTS, bytes_: int = 1_000) -> PartRef:
    return PartRef(
        name=name,
        format=1,
        sha256=sha256(-state),
        bytes=bytes_,
        raw_sha256=sha256(state),
        raw_bytes=9,
    )


def patch(base: int, result: int, bytes_: int = 10, name: str = SEGMENTS) -> PatchRef:
    return PatchRef(
        part=part(1_000 + result, f"patch/{name}", bytes_),
        base=sha256(base),
        result=sha256(result),
        result_bytes=9,
    )


def test_a_node_that_missed_versions_goes_on_by_several_patches_in_their_order() -> None:
    first, second, third = patch(1, 2), patch(2, 3), patch(3, 4)
    known = (third, first, second)
    assert leading_to(part(4), known) == (third, second, first)
    assert path_to(part(4), known, {sha256(2)}.__contains__) == (second, third)
    assert path_to(part(4), known, {sha256(1)}.__contains__) == (first, second, third)


def test_the_shortest_way_from_what_is_held_is_taken() -> None:
    known = (patch(1, 2), patch(2, 3))
    assert path_to(part(3), known, {sha256(1), sha256(2)}.__contains__) == (known[1],)


def test_there_is_no_way_from_what_is_not_held() -> None:
    assert path_to(part(3), (patch(1, 2), patch(2, 3)), {sha256(9)}.__contains__) == ()
    assert path_to(part(3), (), {sha256(2)}.__contains__) == ()


def test_a_patch_of_another_part_leads_nowhere() -> None:
    assert leading_to(part(2), (patch(1, 2, name="membership/keys"),)) == ()


def test_no_more_patches_are_followed_than_are_worth_writing_the_part_for() -> None:
    known = [patch(state, state + 1, 1) for state in range(LONGEST + 5)]
    steps = leading_to(part(LONGEST + 5), known)
    assert len(steps) == LONGEST
    assert path_to(part(LONGEST + 5), known, {sha256(0)}.__contains__) == ()


def test_patches_that_lead_in_a_circle_come_to_an_end() -> None:
    known = (patch(1, 2), patch(2, 1))
    assert len(leading_to(part(1), known)) == LONGEST
    assert path_to(part(1), known, {sha256(9)}.__contains__) == ()


def test_all_patches_of_a_part_together_are_at_most_a_share_of_it() -> None:
    whole = part(3)
    share = whole.bytes // WORTH
    last = patch(2, 3, share - 10)
    assert leading_to(whole, (patch(1, 2, 10), last)) == (last, patch(1, 2, 10))
    assert leading_to(whole, (patch(1, 2, 11), last)) == (last,)
    assert leading_to(whole, (patch(2, 3, share + 1),)) == ()


def test_a_manifest_keeps_what_leads_to_its_parts_and_nothing_else() -> None:
    known = (patch(1, 2), patch(2, 3), patch(7, 8), patch(4, 5, name="membership/keys"))
    parts = (part(5, "membership/keys"), part(3), part(9, "program"))
    assert kept(parts, known) == (known[3], known[1], known[0])
    assert kept([msgspec.structs.replace(parts[1], raw_sha256=sha256(6))], known) == ()

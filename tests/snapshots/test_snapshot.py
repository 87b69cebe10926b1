from __future__ import annotations

import mmap
import weakref
from pathlib import Path

import pytest

from decisions.compiling import compile_playbook
from decisions.program import FORMAT
from snapshots.bundle import Packed, pack
from snapshots.errors import DiskRefused, Malformed
from snapshots.manifest import Manifest
from snapshots.snapshot import PathOf, Snapshot, open_snapshot, open_steps
from tests.decisions.written import playbook
from tests.snapshots.bundles import NAMED, fake_steps, members, small_parts


def laid_out(directory: Path, parts: list[Packed], raws: dict[str, bytes]) -> Manifest:
    for part in parts:
        path_in(directory)(part.ref).write_bytes(raws[part.ref.name])
    refs = tuple(sorted((part.ref for part in parts), key=lambda ref: ref.name))
    return Manifest(
        channel="live", version=4, created_s=0, not_after_s=10, ledger=NAMED, parts=refs
    )


def path_in(directory: Path) -> PathOf:
    return lambda ref: directory / ref.raw_sha256


def whole(directory: Path, program: bytes = b"a program") -> Manifest:
    raws = {name: bytes(raw) for name, raw in members().items()} | {"program": program}
    return laid_out(directory, small_parts(program), raws)


def decoded(snapshot: Snapshot) -> object:
    """What `fake_steps` made of the program: its bytes."""
    return snapshot.program


def opened(directory: Path, manifest: Manifest) -> Snapshot:
    return open_snapshot(manifest, path_in(directory), fake_steps)


def test_a_bundle_on_disk_becomes_a_snapshot_with_its_members(tmp_path: Path) -> None:
    snapshot = opened(tmp_path, whole(tmp_path))
    assert snapshot.version == 4
    assert decoded(snapshot) == b"a program"
    assert snapshot.membership
    member = snapshot.membership.lookup(5)
    assert member and member.segments == {"loyal"}
    assert [snapshot.is_stale(now_s) for now_s in (9.0, 10.0)] == [False, True]


def test_it_is_opened_in_steps_so_that_others_may_run_between(tmp_path: Path) -> None:
    steps = list(open_steps(whole(tmp_path), path_in(tmp_path), fake_steps))
    assert len(steps) == 6 + 1 + 1  # each part, the membership, the program


def test_a_playbook_without_data_has_no_membership(tmp_path: Path) -> None:
    manifest = laid_out(tmp_path, [pack("program", 1, b"p")], {"program": b"p"})
    assert opened(tmp_path, manifest).membership is None


def test_each_part_of_the_members_is_unmapped_when_its_piece_is_dropped(tmp_path: Path) -> None:
    compiled = compile_playbook(playbook()).encode()
    snapshot = open_snapshot(whole(tmp_path, compiled), path_in(tmp_path))
    pieces = snapshot.pieces()
    mappings = [
        weakref.ref(piece.obj)
        for piece in pieces
        if isinstance(piece, memoryview) and isinstance(piece.obj, mmap.mmap)
    ]

    del snapshot

    assert len({mapping() for mapping in mappings}) == len(mappings) == 5
    while pieces:
        pieces.pop()
    assert {mapping() for mapping in mappings} == {None}


def test_the_bytes_stay_readable_after_the_files_are_pruned(tmp_path: Path) -> None:
    snapshot = opened(tmp_path, whole(tmp_path))
    for file in tmp_path.iterdir():
        file.unlink()
    assert snapshot.membership and snapshot.membership.lookup(5)


def test_a_missing_or_shortened_file_is_the_disks_fault(tmp_path: Path) -> None:
    manifest = whole(tmp_path)
    program = manifest.part("program")
    assert program
    path = path_in(tmp_path)(program)
    path.write_bytes(b"a")
    with pytest.raises(DiskRefused, match="expected 9 bytes, got 1 - at program"):
        opened(tmp_path, manifest)
    path.unlink()
    with pytest.raises(DiskRefused, match="expected to map program, No such file"):
        opened(tmp_path, manifest)


def test_an_empty_file_is_mapped_as_nothing(tmp_path: Path) -> None:
    assert decoded(opened(tmp_path, whole(tmp_path, b""))) == b""


def test_a_program_that_does_not_decode_is_malformed(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="expected a program - at program"):
        opened(tmp_path, whole(tmp_path, b"broken"))


def test_a_real_program_decodes_from_mapped_bytes_and_decides(tmp_path: Path) -> None:
    raw = compile_playbook(playbook()).encode()
    manifest = laid_out(tmp_path, [pack("program", FORMAT, raw)], {"program": raw})
    program = open_snapshot(manifest, path_in(tmp_path)).program
    decision = program.decide("hero", {"interest": {"shoes": 50.0}}, grants={"personalization"})
    assert decision.fragment == "hero/shoes"
    broken = laid_out(tmp_path, [pack("program", FORMAT, b"?")], {"program": b"?"})
    with pytest.raises(Malformed, match="at program"):
        open_snapshot(broken, path_in(tmp_path))

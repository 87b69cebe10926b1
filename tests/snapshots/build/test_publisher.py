"""A publisher stays on an older format: an edge that reads no newer one takes what it is given."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from decisions.interest import fade
from decisions.ledger import visitor_key
from edge.cli import main
from snapshots import membership
from snapshots.build.pipeline import build
from snapshots.build.report import BuildReport
from snapshots.contents import CONTENTS, NEWEST, Content
from snapshots.errors import Unwritable
from snapshots.keys import PUBLIC_FILE, read_public
from snapshots.local import LocalCopy
from snapshots.manifest import part_path
from snapshots.membership import AS_OF_BUILD, INTERESTS, KEYS, MAGIC, Membership
from snapshots.store import open_writable
from snapshots.sync import Syncer
from tests.snapshots.build.market import NOW_S, PLAYBOOK, Market, sales
from tests.snapshots.build.test_pipeline import Published, built
from tests.snapshots.build.test_pipeline_patches import BOUGHT

HALF_LIFE_S = 9 * 86_400.0  # so that the moment of the build is no landmark
STAY = {INTERESTS: AS_OF_BUILD}
REMARK = "membership/interests is in format 1, older than 2"


class OlderHead(msgspec.Struct, frozen=True):
    """The head of interests as releases before format 2 knew it."""

    build: str
    names: tuple[str, ...]
    slots: int
    weighed_at_s = 0


@contextmanager
def older_release() -> Iterator[None]:
    """Whoever reads meanwhile is a release before format 2 of interests."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(membership.FORMATS, INTERESTS, frozenset({1}))
        patched.setitem(CONTENTS, INTERESTS, Content(frozenset({1}), needs=KEYS))
        patched.setattr(membership, "InterestsHead", OlderHead)
        yield


def node_of(market: Market, folder: Path) -> Syncer:
    keys = read_public(market.keys / PUBLIC_FILE)
    store = open_writable(str(market.store))
    return Syncer(store, LocalCopy(folder, keys), channel="live", clock=lambda: NOW_S + 86_400.0)


def crowd(market: Market, now_s: float, formats: dict[str, int] | None = None) -> BuildReport:
    """A build of three thousand members."""
    market.put("sales", sales(BOUGHT))
    return build(
        market.playbook,
        market.data,
        str(market.store),
        market.keys,
        now_s=now_s,
        clock=lambda: now_s,
        formats=formats,
    )


def test_a_part_in_the_older_format_says_the_same_of_everybody(market: Market) -> None:
    market.write("playbook.yaml", PLAYBOOK + "interest: {half_life: 9d}\n")
    built(market)
    newest = Published(market)
    report = built(market, formats=STAY)
    stays = Published(market)

    assert report.remarks == (REMARK,)
    ref = stays.manifest.part(INTERESTS)
    assert ref and ref.format == AS_OF_BUILD
    assert {part.name: part.format for part in newest.manifest.parts if part.name in MAGIC} == {
        name: NEWEST[name] for name in MAGIC
    }
    one, other = newest.members(), stays.members()
    assert (one.weighed_at_s < NOW_S, other.weighed_at_s) == (True, NOW_S)
    left = fade(1.0, NOW_S - one.weighed_at_s, HALF_LIFE_S)
    for key in one.keys_at(range(one.rows)):
        now, then = one.lookup(key), other.lookup(key)
        assert now and then
        weights = {name: weight * left for name, weight in now.interests.items()}
        assert then.interests == pytest.approx(weights, rel=2e-3)
    assert newest.parts["membership/segments"] == stays.parts["membership/segments"]


def test_an_older_edge_refuses_the_newest_format_with_the_way_out_and_takes_the_older(
    market: Market, tmp_path: Path
) -> None:
    node = node_of(market, tmp_path / "cache")
    built(market, formats=STAY)
    with older_release():
        status = node.once()
        assert (status.version, status.refused) == (1, None)
        parts = [part for part in Published(market).manifest.parts if part.name in MAGIC]
        raw = {part.name: node.local.path_of(part).read_bytes() for part in parts}
        members = Membership.open(raw)
        member = members.lookup(visitor_key(Published(market).program().key_salt, "1"))
        assert member and member.weighed_at_s == NOW_S
        assert member.interests["bakery"] == pytest.approx(2 * 2 ** (-0.5 / 14), rel=1e-3)

    built(market)
    with older_release():
        status = node.once()
        assert (status.version, status.highest_version) == (1, 1), "the last good one serves on"
        assert status.refused and status.refused.reason == "unreadable-format"
        assert status.refused.what.endswith("or publish with --formats membership/interests=1")

    built(market, formats=STAY)
    with older_release():
        status = node.once()
        assert (status.version, status.refused) == (3, None)


def test_nodes_go_from_format_to_format_by_patches(market: Market, tmp_path: Path) -> None:
    # The moment is a landmark, so that weights are the same in both: only the beginning differs.
    node = node_of(market, tmp_path / "cache")
    store = open_writable(str(market.store))
    crowd(market, NOW_S)
    assert node.once().version == 1
    for version, formats in ((2, STAY), (3, None), (4, STAY)):
        report = crowd(market, NOW_S, formats)
        found = Published(market).manifest
        assert INTERESTS in {name.removeprefix("patch/") for name in report.patches}
        whole = found.part(INTERESTS)
        assert whole
        stored = store.read(part_path(whole), whole.bytes)
        store.delete(part_path(whole))  # whoever needs it now is stuck
        status = node.once()
        store.create(part_path(whole), stored)
        assert (status.version, status.refused) == (version, None)
        assert all(node.local.verify(part) for part in found.parts if part.name in MAGIC)
        frame = node.local.path_of(whole).read_bytes()
        assert frame[8] == whole.format == (formats or NEWEST)[INTERESTS]


def test_an_older_node_that_missed_the_newer_format_takes_the_next_older_one(
    market: Market, tmp_path: Path
) -> None:
    node = node_of(market, tmp_path / "cache")
    crowd(market, NOW_S, STAY)
    with older_release():
        assert node.once().version == 1
    crowd(market, NOW_S)
    with older_release():
        assert node.once().refused
    crowd(market, NOW_S + 3_600.0, STAY)
    with older_release():
        status = node.once()
        assert (status.version, status.refused) == (3, None)


def test_without_data_parts_stay_in_the_format_that_they_are_in(market: Market) -> None:
    built(market, formats=STAY)
    report = built(market, data=False)
    assert report.remarks == (REMARK,)
    assert built(market, data=False, formats=STAY).version == 3

    newest = {INTERESTS: 2}
    with pytest.raises(Unwritable) as refused:
        built(market, data=False, formats=newest)
    assert str(refused.value) == (
        "expected membership/interests in format 2, got format 1 in the version that is there: "
        "build with --data"
    )
    assert built(market, formats=newest).remarks == ()


def test_a_format_that_cannot_be_written_is_refused_before_anything_is_read(
    market: Market,
) -> None:
    market.write("playbook.yaml", "nonsense: [")
    with pytest.raises(Unwritable, match="expected format 1 of program, and there is no other"):
        built(market, formats={"program": 2})


def test_the_commands_stay_on_a_format_and_say_so(
    market: Market, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--store", str(market.store), "--keys", str(market.keys)]
    build_words = ["build", str(market.playbook), "--data", str(market.data), *words]

    assert main([*build_words, "--formats", "membership/interests=1,program=1"]) == 0
    assert f"formats   {REMARK}\n" in capsys.readouterr().out
    assert main(["inspect", str(market.store)]) == 0
    assert capsys.readouterr().out.endswith(f"\n{REMARK}\n")
    assert main(["inspect", str(market.store), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["remarks"] == {INTERESTS: REMARK}
    assert main([*build_words, "--formats", "membership/interests=3"]) == 1
    assert "expected format 1, 2 of membership/interests, got 3" in capsys.readouterr().err
    for text in ("interests", "program=one", "program=", "program=1=1"):
        assert main([*build_words, "--formats", text]) == 2
        assert f"expected PART=N, got '{text}' - at --formats" in capsys.readouterr().err

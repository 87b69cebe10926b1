"""The page of the large measurements shows what the committed results say."""

from __future__ import annotations

import msgspec
import pytest

from bench.big import page
from bench.big.members import Members
from bench.big.node import Load
from bench.big.page import Found, Node, Row
from bench.big.patches import Patches
from bench.big.swaps import Memory, Swaps
from bench.figures import machine
from bench.measure import Times

TIMES = Times(4.0, 9.0, 5.0)
MEMORY = {10: Memory(400.0, 390.0, 80.0), 100: Memory(401.0, 391.0, 80.5)}
NODE = Node(
    Swaps(80, 3.5, 2.5, 40.0, 15.0, MEMORY, pace=1.1),
    Load(10, 20_000, [], TIMES, 40.0),
    {1: 500.0, 2: 570.0, 3: 640.0},
)
FOUND = Found("abc", {"processor": "Some", "cores": "2", "python": "CPython 3"},
              Members(TIMES, TIMES, 41.0, 2.0, 1.1), NODE)  # fmt: skip

PATCHES = Patches(1.2, 9.0, 8.0, 2.0, 310.0, 1_400.0, 1.1, "def")


def broken(found: Found) -> list[str]:
    """What the rows in bold say."""
    return [row.says for row in page.rows(found) if row.is_broken]


def changed(part: str, **values: object) -> Found:
    """The same with another figure."""
    node = msgspec.structs.replace(getattr(NODE, part), **values)
    return msgspec.structs.replace(FOUND, node=msgspec.structs.replace(NODE, **{part: node}))


def test_the_page_shows_what_the_committed_results_say() -> None:
    kept = page.kept()
    assert page.page(kept) == page.PAGE.read_text(encoding="utf-8"), "make big writes it"
    assert kept[10_000_000].node is not None
    assert kept[100_000_000].members.bytes_a_visitor < 44


def test_a_row_in_bold_has_broken_its_budget() -> None:
    assert str(Row("a turn", 5.2, "ms", 5)) == "| **a turn** | ≤ 5 ms | 5.2 ms |  |"
    assert str(Row("a turn", 5.2, "ms", 5, pace=1.1)) == "| a turn | ≤ 5 ms | 5.2 ms | 1.10 |"
    assert str(Row("replies", 9_000.0, "")) == "| replies |  | 9,000 |  |"


def test_a_long_turn_a_failed_reply_and_memory_that_grows_are_broken_budgets() -> None:
    grown = {**MEMORY, 100: Memory(401.0, 391.0, 85.0)}
    assert broken(FOUND) == []
    assert broken(changed("swaps", longest_ms=5.6))[0].startswith("a swap of 80 turns")
    assert broken(changed("load", failed=["status 500"]))[0].startswith("failed or mixed")
    assert broken(changed("swaps", after=grown)) == ["memory but for files, after 100 swaps"]


def test_a_worker_may_add_sixty_megabytes_and_its_program() -> None:
    node = msgspec.structs.replace(NODE, memory_mib={1: 500.0, 2: 572.0, 3: 645.0})
    found = msgspec.structs.replace(FOUND, node=node)
    assert broken(found) == ["of which worker 3: 60 MB + its program"]


def test_members_alone_are_held_to_no_budget_of_ten_million() -> None:
    alone = msgspec.structs.replace(FOUND, node=None, members=Members(TIMES, TIMES, 50.0, 900.0, 1))
    assert broken(alone) == []
    assert "python -m bench.big 100_000_000" in page.page({100_000_000: alone})


def test_patches_of_a_run_of_their_own_say_where_they_come_from() -> None:
    ours = msgspec.structs.replace(FOUND, machine=machine()).with_patches(PATCHES)
    text = page.page({10_000_000: ours})
    assert "at commit abc, patches by `python -m bench.big patches` at commit def: " in text
    same = msgspec.structs.replace(PATCHES, commit="abc")
    assert "patches by" not in page.page({10_000_000: ours.with_patches(same)})
    assert ours.node == FOUND.node


def test_patches_of_more_than_two_percent_are_a_broken_budget() -> None:
    large = msgspec.structs.replace(PATCHES, percent=2.1)
    assert broken(msgspec.structs.replace(FOUND, patches=PATCHES)) == []
    assert broken(msgspec.structs.replace(FOUND, patches=large))[0].startswith(
        "patches for 1 member"
    )


def test_patches_are_not_put_beside_figures_of_another_machine() -> None:
    with pytest.raises(ValueError, match="expected the machine"):
        FOUND.with_patches(PATCHES)

"""Refresh: one assignment changes the snapshot; whatever fails, the last good one serves on."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Coroutine, Generator, Iterator
from typing import Any

import pytest

from decisions.engine import NOTHING_PAUSED, Control
from decisions.facts import Facts
from decisions.program import Program
from decisions.tables import Thresholds
from edge.exposure import NO_RULE, NO_VARIANT, Exposure
from edge.refresh import MAX_PAGES, Names, Served, Serving, Turns
from snapshots.erased import Times
from snapshots.errors import DiskRefused, Malformed
from snapshots.manifest import Manifest
from snapshots.pauses import Paused, Pauses
from snapshots.snapshot import Snapshot
from tests.edge.shop import NOW_S, Clock, Shop, program, snapshot

pytestmark = pytest.mark.anyio

ONE, TWO = snapshot(1), snapshot(2)
NONE: Times = {}  # erasures


class Pointer:
    """Points at what it is told; raises what it is told."""

    def __init__(self, at: Snapshot | None = None) -> None:
        self.at = at
        self.fails: Exception | None = None
        self.paused: Pauses | None = None

    def control(self) -> Pauses | None:
        if self.fails:
            raise self.fails
        return self.paused

    def serving(self) -> Manifest | None:
        if self.fails:
            raise self.fails
        return self.at.manifest if self.at else None


def opened(manifest: Manifest) -> Generator[None, None, Snapshot]:
    yield
    yield
    return ONE if manifest.version == 1 else TWO


def broken(manifest: Manifest) -> Generator[None, None, Snapshot]:
    yield
    raise Malformed("expected a program")


def served_program(served: Served) -> Program:
    """The one that is served now."""
    assert served.current is not None
    return served.current.program


def turns_of(looking: Coroutine[Any, Any, bool]) -> Iterator[None]:
    """The turns of an event loop that a look takes after this one."""
    while True:
        try:
            looking.send(None)
        except StopIteration:
            return
        yield


async def test_a_pointer_that_moves_changes_what_is_served() -> None:
    served, pointer, clock = Served(), Pointer(), Clock()
    assert not await served.look(pointer, opened, clock)
    assert not served.is_ready

    pointer.at = ONE
    assert await served.look(pointer, opened, clock)
    assert not await served.look(pointer, opened, clock)
    pointer.at = TWO
    assert await served.look(pointer, opened, clock)

    assert served.current is not None
    assert served.current.version == 2
    assert served.is_ready


def test_what_was_served_before_is_let_go_of_piece_by_piece() -> None:
    served, pieces = Served(snapshot(1)), len(snapshot(1).pieces())
    before = weakref.ref(served_program(served))
    looking = served.look(Pointer(TWO), opened, Clock())
    while served_program(served) is not TWO.program:
        looking.send(None)

    turns = sum(1 for _ in turns_of(looking))

    assert turns + 1 == pieces
    assert before() is None


async def test_whoever_asked_just_now_keeps_no_version_that_is_served_no_more() -> None:
    served = Served(snapshot(1))
    before = weakref.ref(served_program(served))
    browser = Shop(served).browser()
    await browser.consent("functional")
    gc.disable()  # what is frozen at a swap is never looked at again
    try:
        for waiting in (NONE, {1: int(NOW_S)}, NONE):
            reply = await browser.send("GET", "/_ew/v1/fragments/hero")
            assert reply.status_code == 200
            assert served.current is not None
            assert len(served.current.asked) == 1
            served.forget(waiting)
        await browser.send("GET", "/_ew/v1/fragments/hero")
        assert await served.look(Pointer(TWO), opened, Clock())
        assert before() is None
    finally:
        gc.enable()


def test_a_visit_keeps_the_snapshot_that_it_began_with() -> None:
    served = Served(snapshot(1))
    visit = served.current
    for _ in turns_of(served.look(Pointer(TWO), opened, Clock())):
        pass
    assert served.current is not visit
    assert visit is not None
    assert visit.program.decide("hero", {}).fragment == "hero/welcome"
    assert visit.membership is not None and visit.membership.lookup(1) is None


async def test_a_pointer_that_is_taken_down_changes_nothing() -> None:
    served = Served(ONE)

    assert not await served.look(Pointer(), opened, Clock())

    assert served.current is not None


async def test_what_does_not_open_leaves_the_last_good_one_and_is_tried_again_later() -> None:
    served, pointer, clock = Served(ONE), Pointer(TWO), Clock()
    tries = 0

    def broken(manifest: Manifest) -> Generator[None, None, Snapshot]:
        nonlocal tries
        tries += 1
        yield
        raise Malformed("expected a program")

    await served.look(pointer, broken, clock)
    await served.look(pointer, broken, clock)
    assert (tries, served.trouble) == (1, "malformed: expected a program")
    assert served.current is not None
    assert served.current.version == 1

    clock.now_s += 6
    assert await served.look(pointer, opened, clock)
    assert served.trouble == ""


async def test_what_comes_after_something_that_did_not_open_is_opened_at_once() -> None:
    served, pointer, clock = Served(), Pointer(TWO), Clock()

    await served.look(pointer, broken, clock)
    pointer.at = ONE
    assert await served.look(pointer, opened, clock)


async def test_a_clock_that_is_put_back_does_not_put_off_the_next_try() -> None:
    served, pointer, clock = Served(), Pointer(TWO), Clock()

    await served.look(pointer, broken, clock)
    clock.now_s -= 86_400
    assert await served.look(pointer, opened, clock)


async def test_what_is_paused_is_obeyed_now_and_by_what_is_opened_later() -> None:
    served, pointer, clock = Served(ONE), Pointer(ONE), Clock()
    pointer.paused = Pauses(
        channel="live",
        number=1,
        paused=(
            Paused(kind="rule", id="shoes", since_s=1), Paused(kind="slot", id="promo", since_s=1),
        ),
    )  # fmt: skip
    before = served.current

    assert not await served.look(pointer, opened, clock)

    assert served.current is not None and served.current is not before
    assert served.current.control == Control(frozenset({"shoes"}), frozenset({"promo"}))
    assert before is not None and before.control == NOTHING_PAUSED, "a visit keeps its own"
    pointer.at = TWO
    assert await served.look(pointer, opened, clock)
    assert served.current.control.paused == {"shoes"}
    pointer.fails = DiskRefused("expected to read")
    await served.look(pointer, opened, clock)
    assert served.current.control.paused == {"shoes"}, "what cannot be read ends no pause"
    pointer.fails = pointer.paused = None
    await served.look(pointer, opened, clock)
    assert served.current.control.paused == {"shoes"}, "nor does a cache that was cleared"


async def test_a_pointer_that_cannot_be_read_is_told() -> None:
    served, pointer = Served(ONE), Pointer(ONE)
    pointer.fails = DiskRefused("expected to read")

    await served.look(pointer, opened, Clock())

    assert served.trouble == "disk-refused: expected to read"


def test_an_exposure_is_named_by_the_program_it_came_from() -> None:
    made: Program = program()
    names = Names(made)
    decision = made.decide("promo", {"device": {"kind": "mobile"}}, grants={"functional"}, unit="u")

    exposure = Exposure(1, *names.numbers(decision))
    decided = names.decided(exposure)

    assert (decided.slot, decided.rule, decided.variant) == ("promo", "test", decision.variant)
    default = names.decided(Exposure(1, 0, NO_RULE, NO_VARIANT))
    assert (default.slot, default.rule, default.variant) == ("hero", "", "")


def test_numbers_that_no_program_had_mean_nothing() -> None:
    served = Served(ONE)

    assert served.decided(Exposure(1, 99)) is None
    assert served.decided(Exposure(1, 0, 99)) is None
    assert served.decided(Exposure(1, 0, 0, 7)) is None
    assert served.decided(Exposure(5, 0)) is None


def test_the_thresholds_of_a_page_are_found_once_and_not_for_ever() -> None:
    serving = Serving(snapshot())
    found = serving.turns(["hero", "promo"])
    assert found is not None
    assert found is serving.turns(["hero", "promo"])
    assert serving.turns(["promo"]) is serving.turns(["promo"]) is None
    for number in range(MAX_PAGES):
        serving.turns([f"slot-{number}"])
    again = serving.turns(["hero", "promo"])
    assert again is not None
    assert again.thresholds == found.thresholds


def test_when_the_clock_turns_is_worked_out_once_until_then_and_anew_where_it_was_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program, asked = snapshot().program, []

    def turns_in(_: Thresholds, facts: Facts) -> float:
        asked.append(facts.now_s)
        return 30.0

    monkeypatch.setattr("edge.refresh.turns_in", turns_in)
    turns = Turns(Thresholds(week=(600,)))
    waits = [turns.ahead_s(program.facts({}, (), at)) for at in (100.0, 129.0, 130.0, 99.0)]

    assert waits == [30.0, 1.0, 30.0, 30.0]
    assert asked == [100.0, 130.0, 99.0]

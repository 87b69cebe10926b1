"""A playbook's own tests against its program: what each expected, what came, and the steps to it.

Pure, as deciding is. Facts that the program does not know, or knows as another type, are faults of
the test: it would test nothing. Facts that the test's own grants do not cover are none.
"""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from decisions import schema as types
from decisions.consent import EVERYTHING, NEEDS, mask
from decisions.playbook import PlaybookTest, duration_s
from decisions.program import Program
from decisions.reasons import Step
from decisions.schema import Attribute


class Difference(msgspec.Struct, frozen=True):
    """A slot that shows something else. steps: of the decision, absent values included."""

    slot: str
    expected: str
    got: str
    reason: str
    steps: tuple[Step, ...] = ()

    def __str__(self) -> str:
        head = f"{self.slot}: expected {self.expected}, got {self.got or 'nothing'}"
        lines = [f"  {step.rule or 'default'}: {step.reason} {step.detail}" for step in self.steps]
        return "\n".join([f"{head} ({self.reason})", *(line.rstrip() for line in lines)])


class Fault(msgspec.Struct, frozen=True):
    """What makes a test mean nothing. path: inside the test, as it is written."""

    path: tuple[str | int, ...]
    message: str


class Rehearsed(msgspec.Struct, frozen=True):
    """What came of one test; place: its number in the playbook, from 0."""

    place: int
    name: str
    differences: tuple[Difference, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.differences and not self.faults


def rehearse(
    program: Program, tests: Iterable[PlaybookTest], now_s: float
) -> tuple[Rehearsed, ...]:
    """Every test of a playbook, in order. now_s: for the tests that do not say when they happen."""
    return tuple(_Rehearsal(program, test).run(place, now_s) for place, test in enumerate(tests))


def untaken(program: Program, given: Mapping[str, Any], now_s: float) -> tuple[Fault, ...]:
    """What of nested facts means nothing to a program, whatever is granted: names it does not know,
    values of another type, members that were never declared."""
    told = _Rehearsal(program, PlaybookTest(expect={}, given=dict(given)))
    told.refuse_what_is_dropped(now_s)
    return tuple(told.faults)


def moment_s(text: str, now_s: float, timezone: str = "UTC") -> float:
    """`-20m` from now, `2026-12-24` (its beginning) or `2026-12-24T18:00:00Z` in seconds.

    A time without an offset is in `timezone`. Raises ValueError for anything else.
    """
    try:
        return now_s + duration_s(text)
    except ValueError:
        pass
    try:
        moment = datetime.datetime.fromisoformat(text)
        zone = moment.tzinfo or ZoneInfo(timezone)
        return moment.replace(tzinfo=zone).timestamp()
    except (ValueError, OverflowError):
        wanted = "a time such as -20m, 2026-12-24 or 2026-12-24T18:00:00Z"
        raise ValueError(f"expected {wanted}, got {text!r}") from None


class _Rehearsal:
    """One test on its way."""

    def __init__(self, program: Program, test: PlaybookTest) -> None:
        self.program, self.test = program, test
        self.faults: list[Fault] = []

    def run(self, place: int, now_s: float) -> Rehearsed:
        now_s = self._moment(self.test.now, now_s, "now") if self.test.now else now_s
        given = self.refuse_what_is_dropped(now_s)
        grants, seen = self._grants(), self._seen(now_s)
        differences = tuple(self._differences(given, grants, now_s, seen))
        return Rehearsed(place, self.test.name, differences, tuple(self.faults))

    def _differences(
        self, given: Mapping[str, Any], grants: int, now_s: float, seen: list[tuple[str, float]]
    ) -> Iterator[Difference]:
        shown: set[str] = set()
        for slot in sorted(self.test.expect, key=[*self.program.slots, *self.test.expect].index):
            expected = self.test.expect[slot]
            if slot not in self.program.slots:
                self._fault(f"unknown slot {slot}", slot, self.program.slots, "expect", slot)
            elif expected not in self.program.fragments and expected:
                known = self.program.fragments
                self._fault(f"unknown fragment {expected}", expected, known, "expect", slot)
            else:
                decision = self.program.decide(
                    slot,
                    given,
                    grants=grants,
                    now=now_s,
                    unit=self.test.unit or None,
                    seen=seen,
                    explain=True,
                    shown=shown,
                    held=self.test.held,
                )
                shown.add(decision.fragment)
                if decision.fragment != expected:
                    got, reason = decision.fragment, decision.reason.value
                    yield Difference(slot, expected, got, reason, decision.steps)

    def _given(
        self, nested: Mapping[str, Any], path: tuple[str, ...], now_s: float
    ) -> Iterator[tuple[str, Any]]:
        """Attribute → value, in seconds where the attribute is a time or a duration."""
        for key, value in nested.items():
            here = (*path, key)
            name = ".".join(here)
            attributes = self.program.schema.attributes
            if (attribute := attributes.get(name)) is not None:
                yield name, self._in_seconds(attribute, value, here, now_s)
            elif isinstance(value, dict):
                yield from self._given(value, here, now_s)
            else:
                self._fault(f"unknown attribute {name}", name, attributes, "given", *here)

    def _in_seconds(
        self, attribute: Attribute, value: Any, path: tuple[str, ...], now_s: float
    ) -> Any:
        if not isinstance(value, str):
            return value
        if attribute.type == types.TIMESTAMP:
            return self._moment(value, now_s, "given", *path)
        if attribute.type == types.DURATION:
            return self._moment(value, 0.0, "given", *path)
        return value

    def refuse_what_is_dropped(self, now_s: float) -> dict[str, Any]:
        """What is given, by attribute. Whatever is granted, an unknown name, a value of another
        type or an undeclared member gets nowhere: those are faults."""
        given = dict(self._given(self.test.given, (), now_s))
        taken = self.program.facts(given, EVERYTHING, now_s)
        for name, value in given.items():
            type_ = self.program.schema.attributes[name].type
            if name not in set(taken):  # asking for a name would derive it
                path = ("given", *name.split("."))
                self.faults.append(Fault(path, f"expected {name} to be of type {type_}"))
            elif isinstance(value, (list, dict)):
                for member in value:
                    if not isinstance(member, str) or member not in taken[name]:
                        known = self.program.schema.members.get(name, ())
                        what = f"unknown member {member} of {name} ({type_})"
                        if (whole := f"{name}.{member}") in self.program.schema.attributes:
                            what = f'expected "{whole}" as one name, got {member} inside {name}'
                        self._fault(what, str(member), known, "given", *name.split("."))
        return given

    def _grants(self) -> int:
        for place, grant in enumerate(self.test.grants):
            if grant not in NEEDS:
                self._fault(f"unknown purpose {grant}", grant, NEEDS, "grants", place)
        return mask(grant for grant in self.test.grants if grant in NEEDS)

    def _seen(self, now_s: float) -> list[tuple[str, float]]:
        return [
            (rule, self._moment(text, now_s, "seen", rule))
            for rule, times in self.test.seen.items()
            for text in times
        ]

    def _moment(self, text: str, now_s: float, *path: str | int) -> float:
        try:
            return moment_s(text, now_s, self.program.timezone)
        except ValueError as error:
            self.faults.append(Fault(path, str(error)))
            return now_s

    def _fault(self, what: str, name: str, known: Iterable[str], *path: str | int) -> None:
        near = difflib.get_close_matches(name, sorted(known), 1)
        self.faults.append(Fault(path, f"{what}, did you mean {near[0]}?" if near else what))

"""Timed: a slot's checked rules in, the thresholds of time that their conditions hold out.

A comparison of the clock turns where both sides are equal. Where that is lies in its text, if it is
a sum of `now` or `session.seconds`, at most one timestamp and constants; `time.…` and `local.…`
turn with the clock on the wall, a window with its cells. Any other use of the clock is vague. What
makes no difference to one visitor (another fact decides) is still a threshold: too early is
allowed, too late is not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from decisions.clock import DAYS, WEEK_MIN
from decisions.consent import AUTHENTICATED
from decisions.drafts import Draft
from decisions.experiments import CUSTOMER
from decisions.leaves import MIRRORED, leaf
from decisions.measures import Measure
from decisions.playbook import Holdout
from decisions.predicates import holds
from decisions.rules.checker import Typed
from decisions.rules.syntax import (
    Attr,
    Binary,
    Call,
    Expr,
    ListOf,
    Literal,
    Macro,
    Ternary,
    Unary,
    children,
)
from decisions.rules.values import NS, Duration, Timestamp
from decisions.schema import Schema
from decisions.tables import NEVER_S, Fragment, Thresholds
from decisions.thresholds import SESSION

_NOW = "now"
_WALL = frozenset(  # these turn at full hours and at midnight
    f"{clock}.{hand}" for clock in ("time", "local") for hand in ("hour", "weekday", "date")
)
_CLOCK = _WALL | {_NOW, SESSION}
_CONSTANT = ""  # the name of a sum's constant

_DAY_MIN = 1_440
_MOMENTS: dict[str, Any] = {"duration": Duration, "timestamp": Timestamp}


class Timed:
    """What all slots of a playbook have in common: `thresholds` is asked for each."""

    def __init__(
        self,
        schema: Schema,
        tags: Mapping[str, Typed],
        fragments: Mapping[str, Fragment],
        measures: Mapping[str, Measure],
        holdout: Holdout | None,
    ) -> None:
        self.schema, self._tags, self._fragments = schema, tags, fragments
        self._windows = {
            f"measures.{name}": measure.cell_s
            for name, measure in measures.items()
            if measure.within_s
        }
        self._held_out = holdout is not None and holdout.unit == CUSTOMER

    def thresholds(self, default: str, drafts: Sequence[Draft]) -> Thresholds | None:
        """The table of one slot; None where time alone changes nothing. drafts: its rules."""
        found = _Found(self.schema)
        reads: set[str] = set()
        for typed in self._conditions(drafts):
            read = {name for name, _ in typed.reads}
            reads |= read
            if read & _CLOCK:
                found.condition(typed.expr)
        for draft in drafts:
            found.moments |= {draft.from_s, draft.until_s} - {-NEVER_S, NEVER_S}
            found.week |= {minute % WEEK_MIN for minute in draft.hours}
        made = Thresholds(
            {name: tuple(sorted(marks)) for name, marks in sorted(found.ages.items())},
            tuple(sorted(found.moments)),
            tuple(sorted(found.week)),
            tuple(sorted(found.local)),
            {d.rule.id: (d.limit.times, d.limit.per_s) for d in drafts if d.limit is not None},
            {name: self._windows[name] for name in sorted(reads & self._windows.keys())},
            self._is_signed_in(default, drafts),
            found.vague,
        )
        return None if made == Thresholds() else made

    def _conditions(self, drafts: Iterable[Draft]) -> Iterator[Typed]:
        """Those of the rules, and of the tags that they read."""
        read: set[str] = set()
        for draft in drafts:
            yield draft.typed
            for name, key in draft.typed.reads:
                if name == "tags":
                    read |= self._tags.keys() if key is None else {key}
        for tag in sorted(read):
            yield self._tags[tag]

    def _is_signed_in(self, default: str, drafts: Sequence[Draft]) -> bool:
        """Whether the end of a sign-in may change what the slot shows, or what stands in it."""
        shown = {default, *(arm.fragment for draft in drafts for arm in draft.arms.values())}
        experiments = (d.rule.experiment for d in drafts if d.rule.experiment is not None)
        return (
            self._held_out
            or any(draft.needs & AUTHENTICATED for draft in drafts)
            or any(self._fragments[name].needs & AUTHENTICATED for name in shown)
            or any(experiment.unit == CUSTOMER for experiment in experiments)
        )


class _Found:
    """What the conditions of one slot hold, as it fills."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.ages: dict[str, set[float]] = {}
        self.moments: set[float] = set()
        self.week: set[int] = set()
        self.local: set[int] = set()
        self.vague = False

    def condition(self, expr: Expr) -> None:
        """Goes down to the comparisons."""
        match expr:
            case Unary("!") | Binary("&&" | "||") | Ternary() | Macro():
                for part in children(expr):
                    self.condition(part)
            case Call("has"):
                pass  # what is known now is known until the session ends
            case _:
                self._compared(expr)

    def _compared(self, expr: Expr) -> None:
        reads = _clock_reads(expr)
        if reads and reads <= _WALL:
            self.week |= set(_turns(expr, reads, "time", self.schema))
            self.local |= set(_turns(expr, reads, "local", self.schema))
        elif reads:
            marks = [_mark(line) for line in _differences(expr)]
            self.vague |= None in marks
            for name, at in filter(None, marks):
                if math.isfinite(at):
                    named = self.moments if name == _NOW else self.ages.setdefault(name, set())
                    named.add(at)


def _clock_reads(expr: Expr) -> set[str]:
    if isinstance(expr, Attr):
        return {expr.name} & _CLOCK
    return {name for part in children(expr) for name in _clock_reads(part)}


def _turns(expr: Expr, reads: set[str], clock: str, schema: Schema) -> Iterator[int]:
    """The minutes of the week, by one of the clocks on the wall, at which what reads nothing else
    of the time may change."""
    predicate = leaf(expr, schema)

    def turning(hand: str, values: Sequence[int | str]) -> list[int]:
        name = f"{clock}.{hand}"
        if name not in reads:
            return []
        if predicate is None:  # of which it is not known where it holds
            return [*range(len(values))]
        truth = [holds(predicate, {name: value}) for value in values]
        return [place for place in range(len(values)) if truth[place] != truth[place - 1]]

    yield from (day * _DAY_MIN for day in turning("weekday", DAYS))
    hours = turning("hour", range(24))
    for day in range(len(DAYS)):
        if f"{clock}.date" in reads:
            yield day * _DAY_MIN
        yield from (day * _DAY_MIN + hour * 60 for hour in hours)


# Sums: name → how often it is added, with the constant as one more name; None for what is no sum.

_Sum: TypeAlias = dict[str, float] | None


def _differences(expr: Expr) -> list[_Sum]:
    """What a comparison compares with 0."""
    match expr:
        case Binary(op, left, right) if op in MIRRORED:
            return [_added(_sum(left), _sum(right), -1.0)]
        case Binary("in", item, ListOf(items)):
            return [_added(_sum(item), _sum(each), -1.0) for each in items]
    return [None]


def _sum(expr: Expr) -> _Sum:
    match expr:
        case Attr(name):
            return {name: 1.0}
        case Literal(value) if type(value) in {int, float}:
            return {_CONSTANT: float(value)}  # type: ignore[arg-type]  # a number by the line above
        case Call(name, None, (Literal(str(text)),)) if name in _MOMENTS:
            return {_CONSTANT: _MOMENTS[name].parse(text).ns / NS}
        case Unary("-", operand):
            return _scaled(_sum(operand), -1.0)
        case Binary("+" | "-" as op, left, right):
            return _added(_sum(left), _sum(right), 1.0 if op == "+" else -1.0)
        case Binary("*", left, right):
            return _multiplied(_sum(left), _sum(right))
        case Binary("/", left, Literal(float(divisor))) if divisor:
            return _scaled(_sum(left), 1.0 / divisor)
    return None


def _added(one: _Sum, other: _Sum, sign: float) -> _Sum:
    if one is None or other is None:
        return None
    return {
        name: one.get(name, 0.0) + sign * other.get(name, 0.0)
        for name in sorted(one.keys() | other.keys())
    }


def _scaled(one: _Sum, factor: float) -> _Sum:
    return one and {name: rate * factor for name, rate in one.items()}


def _multiplied(one: _Sum, other: _Sum) -> _Sum:
    """A product of which one side is a constant."""
    for sum_, factor in ((one, other), (other, one)):
        if factor is not None and factor.keys() == {_CONSTANT}:
            return _scaled(sum_, factor[_CONSTANT])
    return None


def _mark(sum_: _Sum) -> tuple[str, float] | None:
    """Where a sum is 0: a name and its age, or `now` and its moment; None where that depends on
    more than one fact. A sum in which time cancels out never turns: a moment that never comes."""
    if sum_ is None:
        return None
    terms = {name: rate for name, rate in sum_.items() if rate and name != _CONSTANT}
    clock = [name for name in terms if name in _CLOCK]
    if not clock:
        return _NOW, math.inf
    name, others = clock[0], [name for name in terms if name not in _CLOCK]
    at = -sum_.get(_CONSTANT, 0.0) / terms[name]
    if not others:
        return name, at
    if len(others) == 1 and name == _NOW and terms[others[0]] == -terms[name]:
        return others[0], at
    return None

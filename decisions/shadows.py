"""Shadowed rules: those that no visitor can reach, because an earlier rule always takes the slot.

Proved on lowered clauses, never guessed: a rule is reported only when each of its alternatives
implies one of an earlier rule that the index decides alone and that nothing can hold back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

from decisions.predicates import (
    Clause,
    Lowered,
    Member,
    OneOf,
    Predicate,
    Prefix,
    Span,
    Within,
)

# Where a predicate is filed, and where those that imply it look: what it speaks of, and a value.
Mark: TypeAlias = tuple[Any, ...]

_ALWAYS: Mark = ()  # where a clause without predicates is filed


class _Above(NamedTuple):
    """A clause of a rule that always takes the slot where it matches."""

    place: int
    clause: Clause
    subjects: frozenset[Mark]


def shadowed(rules: Iterable[tuple[Lowered, bool]]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """(place of a rule that is never reached, places of those that always come before it).

    rules: one slot's in match order; the bool says whether a match always takes the slot (no
    schedule, cap, experiment). Works in about the number of rules; in its square only for rules
    that have nothing but ranges of one number, or refused values of one attribute.
    """
    listed = list(rules)
    common = Counter(
        mark
        for lowered, _ in listed
        for clause in lowered.clauses
        for predicate in clause.predicates
        for mark in _filed(predicate)
    )
    above: dict[Mark, list[_Above]] = {}
    for place, (lowered, takes_all) in enumerate(listed):
        by = [_covering(clause, above) for clause in lowered.clauses]
        if by and None not in by:
            yield place, tuple(sorted({each for each in by if each is not None}))
        elif takes_all and lowered.exact:
            for clause in lowered.clauses:
                entry = _Above(place, clause, _subjects(clause))
                for mark in _rarest(clause, common):
                    above.setdefault(mark, []).append(entry)


def _rarest(clause: Clause, common: Counter[Mark]) -> Iterable[Mark]:
    """The marks of the predicate under which the fewest others are filed."""
    marks = [_filed(predicate) for predicate in clause.predicates]
    return min(marks, key=lambda m: max(common[mark] for mark in m), default=(_ALWAYS,))


def _covering(clause: Clause, above: dict[Mark, list[_Above]]) -> int | None:
    """The first rule of those above with a clause that is true wherever this one is."""
    marks = dict.fromkeys([_ALWAYS])
    for predicate in clause.predicates:
        marks |= dict.fromkeys(_looked_up(predicate))
    subjects = _subjects(clause)
    return min(
        (
            place
            for mark in marks
            for place, weaker, asked in above.get(mark, ())
            # Nearly all are told apart by what they speak of, at a twentieth of the price.
            if asked <= subjects and not weaker.needs & ~clause.needs and _weaker(weaker, clause)
        ),
        default=None,
    )


def _subjects(clause: Clause) -> frozenset[Mark]:
    return frozenset(map(_subject, clause.predicates))


def _filed(predicate: Predicate) -> tuple[Mark, ...]:
    """The marks of which everything that implies the predicate looks up one, at least one."""
    match predicate:
        case OneOf(attribute, values, False) if values:
            return tuple((OneOf, attribute, value) for value in values)
        case Within(attribute, key, spans) if spans and all(map(_is_point, spans)):
            return tuple((Within, attribute, key, span[0]) for span in spans)
        case Prefix(attribute, prefix, False):
            return ((Prefix, attribute, prefix),)
    return (_subject(predicate),)


def _looked_up(predicate: Predicate) -> Iterator[Mark]:
    """The marks under which all that the predicate may imply are filed."""
    yield _subject(predicate)
    match predicate:
        case OneOf(attribute, (first, *_), False):
            yield OneOf, attribute, first
        case Within(attribute, key, (first, *_)) if _is_point(first):
            yield Within, attribute, key, first[0]
        case Prefix(attribute, prefix, False):
            for length in range(len(prefix) + 1):
                yield Prefix, attribute, prefix[:length]


def _is_point(span: Span) -> bool:
    low, _, high, _ = span
    return low is not None and low == high


def _subject(predicate: Predicate) -> Mark:
    """What a predicate speaks of, which two must share for one to imply the other."""
    match predicate:
        case Member(attribute, member):
            return Member, attribute, member
        case Within(attribute, key):
            return Within, attribute, key
    return type(predicate), predicate.attribute


def _weaker(weaker: Clause, clause: Clause) -> bool:
    return all(
        any(implies(stronger, wanted) for stronger in clause.predicates)
        for wanted in weaker.predicates
    )


def implies(stronger: Predicate, weaker: Predicate) -> bool:
    """Whether the one is true only where the other is; False where that is not plain to see."""
    if stronger == weaker:
        return True
    if _subject(stronger) != _subject(weaker):
        return False
    match stronger, weaker:
        case OneOf(_, few, negated), OneOf(_, many, other) if negated == other:
            return set(many) <= set(few) if negated else set(few) <= set(many)
        case OneOf(_, values, False), OneOf(_, refused, True):
            return set(values).isdisjoint(refused)
        case Within(zero=a), Within(zero=b) if a == b:
            return (not stronger.nan or weaker.nan) and all(
                any(_holds_in(inner, outer) for outer in weaker.spans) for inner in stronger.spans
            )
        case Prefix(_, long, False), Prefix(_, short, False):
            return long.startswith(short)
    return False


def _holds_in(inner: Span, outer: Span) -> bool:
    low: Any  # bounds of one attribute are of one kind: numbers or strings
    high: Any
    low, low_in, high, high_in = inner
    outer_low, outer_low_in, outer_high, outer_high_in = outer
    starts = outer_low is None or (
        low is not None and (low > outer_low or (low == outer_low and (outer_low_in or not low_in)))
    )
    ends = outer_high is None or (
        high is not None
        and (high < outer_high or (high == outer_high and (outer_high_in or not high_in)))
    )
    return starts and ends

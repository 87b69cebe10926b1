"""Shadowed rules: those that no visitor can reach, because an earlier rule always takes the slot.

Proved on lowered clauses, never guessed: a rule is reported only when each of its alternatives
implies one of an earlier rule that the index decides alone and that nothing can hold back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from decisions.predicates import Clause, Lowered, Member, OneOf, Predicate, Prefix, Span, Within

# What two predicates must share for one to imply the other.
Mark: TypeAlias = tuple[type[Predicate], str, str | None]


def shadowed(rules: Iterable[tuple[Lowered, bool]]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """(place of a rule that is never reached, places of those that always come before it).

    rules: one slot's in match order; the bool says whether a match always takes the slot (no
    schedule, cap, experiment). Works in about the number of rules, not its square.
    """
    listed = list(rules)
    common = Counter(
        mark(each) for lowered, _ in listed for c in lowered.clauses for each in c.predicates
    )
    above: dict[Mark | None, list[tuple[int, Clause]]] = {}
    for place, (lowered, takes_all) in enumerate(listed):
        by = [_covering(clause, above) for clause in lowered.clauses]
        if by and None not in by:
            yield place, tuple(sorted({each for each in by if each is not None}))
        elif takes_all and lowered.exact:
            for clause in lowered.clauses:
                marks = sorted((mark(p) for p in clause.predicates), key=lambda m: common[m])
                above.setdefault(marks[0] if marks else None, []).append((place, clause))


def _covering(clause: Clause, above: dict[Mark | None, list[tuple[int, Clause]]]) -> int | None:
    """The first rule of those above with a clause that is true wherever this one is."""
    marks: list[Mark | None] = [None, *(mark(predicate) for predicate in clause.predicates)]
    return min(
        (
            place
            for each in dict.fromkeys(marks)
            for place, weaker in above.get(each, ())
            if not weaker.needs & ~clause.needs and _weaker(weaker, clause)
        ),
        default=None,
    )


def _weaker(weaker: Clause, clause: Clause) -> bool:
    return all(
        any(implies(stronger, wanted) for stronger in clause.predicates)
        for wanted in weaker.predicates
    )


def mark(predicate: Predicate) -> Mark:
    """What a predicate speaks of."""
    match predicate:
        case Member(attribute, member):
            return Member, attribute, member
        case Within(attribute, key):
            return Within, attribute, key
        case _:
            return type(predicate), predicate.attribute, None


def implies(stronger: Predicate, weaker: Predicate) -> bool:
    """Whether the one is true only where the other is; False where that is not plain to see."""
    if stronger == weaker:
        return True
    if mark(stronger) != mark(weaker):
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

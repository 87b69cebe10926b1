"""Two programs in; what differs between them, and how many of a population see something else, out.

Pure, as deciding is: who the visitors are is the caller's business. Names tell what people changed;
the shares tell what it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from decisions.engine import Decision
from decisions.facts import Facts
from decisions.program import Program
from decisions.reasons import Reason

SEGMENTS = "segments"


class Changed(msgspec.Struct, frozen=True):
    """The names of one kind that came, went, or mean something else; each in order of names."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


class Changes(msgspec.Struct, frozen=True):
    """What differs. reordered: slots whose remaining rules come in another order."""

    slots: Changed
    rules: Changed
    reordered: tuple[str, ...]
    fragments: Changed
    tags: Changed
    segments: Changed


class Visitor(msgspec.Struct, frozen=True):
    """One of a population. facts: nested. grants: bits. unit: what experiments split by, or ""."""

    facts: dict[str, Any]
    grants: int = 0
    now_s: float = 0.0
    unit: str = ""


class Share(msgspec.Struct, frozen=True):
    """Of a slot: how many visitors were asked for; how many get another fragment (moved), and how
    many another fragment or other text in it (changed). errors: for how many the new program could
    not decide or render, and the old one could."""

    visitors: int = 0
    moved: int = 0
    changed: int = 0
    errors: int = 0

    @property
    def moved_percent(self) -> float:
        """Those that get another fragment, of a hundred; 0 of nobody."""
        return 100.0 * self.moved / max(self.visitors, 1)

    @property
    def percent(self) -> float:
        """Those that change, of a hundred; 0 of nobody."""
        return 100.0 * self.changed / max(self.visitors, 1)


def changes(
    old: Program, new: Program, segments: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})
) -> Changes:
    """What differs by name. segments: what old and new segments are computed by, where that is
    known; of the others only coming and going tells."""
    rules = [
        {rule.id: (slot.name, rule) for slot in program.slots.values() for rule in slot.rules}
        for program in (old, new)
    ]
    tags = [{tag.name: tag for tag in program.head.tags} for program in (old, new)]
    slots = [
        {slot.name: (slot.default, slot.json) for slot in program.slots.values()}
        for program in (old, new)
    ]
    computed = [
        {name: (needs, texts.get(name)) for name, needs in _segments(program).items()}
        for program, texts in zip((old, new), segments, strict=True)
    ]
    return Changes(
        slots=_changed(*slots),
        rules=_changed(*rules),
        reordered=tuple(
            sorted(name for name in old.slots if name in new.slots and _reordered(old, new, name))
        ),
        fragments=_changed(old.fragments, new.fragments),
        tags=_changed(*tags),
        segments=_changed(*computed),
    )


def shares(old: Program, new: Program, population: Iterable[Visitor]) -> dict[str, Share]:
    """Of each slot that both have: whom the new program shows something else. The visitors are
    asked for one by one, and none is kept."""
    return compared(old, new, ((visitor, visitor) for visitor in population))


def compared(
    old: Program, new: Program, population: Iterable[tuple[Visitor, Visitor]]
) -> dict[str, Share]:
    """The same for visitors of whom the old program and the new one know different things."""
    slots = [name for name in new.slots if name in old.slots]
    visitors = 0
    moved, changed, errors = (dict.fromkeys(slots, 0) for _ in range(3))
    for then, now in population:
        visitors += 1
        before, after = _page(old, then), _page(new, now)
        for name in slots:
            moved[name] += before[name][0] != after[name][0]
            changed[name] += before[name] != after[name]
            errors[name] += after[name][1] is None and before[name][1] is not None
    return {name: Share(visitors, moved[name], changed[name], errors[name]) for name in slots}


def _page(program: Program, visitor: Visitor) -> dict[str, tuple[str, str | None]]:
    """Slot → fragment and text, None for an error, of a page that has every slot."""
    facts = program.facts(visitor.facts, visitor.grants, visitor.now_s)
    page: dict[str, tuple[str, str | None]] = {}
    shown: set[str] = set()
    for name in program.slots:
        decision = program.decide(name, facts, unit=visitor.unit or None, shown=shown)
        shown.add(decision.fragment)
        page[name] = (decision.fragment, _text(program, decision, facts))
    return page


def _text(program: Program, decision: Decision, facts: Facts) -> str | None:
    if decision.reason is Reason.ERROR:
        return None
    try:
        return program.render(decision, facts)
    except Exception:  # the shell around fragments, as at an edge: here it is counted
        return None


def _segments(program: Program) -> Mapping[str, int]:
    return program.schema.members.get(SEGMENTS, {})


def _reordered(old: Program, new: Program, slot: str) -> bool:
    before = [rule.id for rule in old.slots[slot].rules]
    after = [rule.id for rule in new.slots[slot].rules]
    both = set(before) & set(after)
    return [name for name in before if name in both] != [name for name in after if name in both]


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> Changed:
    return Changed(
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed=tuple(sorted(name for name in old.keys() & new.keys() if old[name] != new[name])),
    )

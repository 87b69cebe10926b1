"""A decision and the facts it was made of in, why it came out so in sentences; it decides nothing.

The steps come from the deciding code, and what is said of a condition from its evaluator, so that
what is said here is what happened. Why not a certain rule: the engine is asked about that rule
alone.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from decisions.conditions import Condition, Weighing, joined, tree_of
from decisions.engine import Decision
from decisions.facts import Facts
from decisions.index import Index
from decisions.program import Program
from decisions.reasons import Reason, Step
from decisions.rules.syntax import Attr, Binary, Expr, Literal, children
from decisions.rules.values import ABSENT
from decisions.tables import Limit, Rule, Slot, SlotHead

SENTENCES: dict[Reason, str] = {
    Reason.MATCH: "{slot} shows {shown} because {why} (rule {rule})",
    Reason.SPLIT: "{slot} shows {shown} because {why} (rule {rule}), and its experiment gave this "
    "{unit} variant {detail}",
    Reason.DEFAULT: "{slot} shows {shown}, its default: no rule took the slot",
    Reason.ABSENT: "rule {rule} did not match: {why}",
    Reason.CAPPED: "rule {rule} matched, and {cap}",
    Reason.PAUSED: "rule {rule} matched, and is paused",
    Reason.OUT_OF_SCHEDULE: "rule {rule} matched, and is out of schedule{schedule}",
    Reason.HOLDOUT: "rule {rule} matched, and this {unit} is outside its experiment's {traffic} "
    "of traffic",
    Reason.STALE: "rule {rule} matched, and does not serve from a snapshot past its date",
    Reason.NO_SNAPSHOT: "{slot} shows nothing: there is no snapshot yet",
    Reason.UNKNOWN_SLOT: "{slot} shows nothing: the playbook has no such slot",
    Reason.ERROR: "{what} could not be decided: {detail}",
}
IN_HOLDOUT = "rule {rule} matched, and this {held_out} is in the holdout {detail}"
ALL_HELD_OUT = "{slot} shows {shown}, its default: this {held_out} is in the holdout {detail}"
SLOT_PAUSED = "{slot} shows {shown}, its default: the slot is paused"
NO_ID = "rule {rule} matched, and {detail}"  # the one absence that is not the condition's


class WhyNot(msgspec.Struct, frozen=True):
    """Why a rule did not take its slot (or that it did).

    sentences: what held it back, and what took the slot instead. conditions: each of the rule's
    conditions, in written order.
    """

    rule: str
    sentences: list[str]
    conditions: list[Condition]


def sentences(program: Program, decision: Decision, facts: Facts) -> list[str]:
    """One sentence for each step, in the order of the steps. facts: what was decided by."""
    slot = program.slots.get(decision.slot)
    rules = {rule.id: rule for rule in slot.rules} if slot else {}
    speaker = _Speaker(program, decision, facts)
    return [speaker.sentence(step, rules.get(step.rule)) for step in decision.steps]


def because(program: Program, decision: Decision, facts: Facts) -> str:
    """The last of `sentences`: what decided."""
    slot, last = program.slots.get(decision.slot), decision.steps[-1]
    rules = (rule for rule in (slot.rules if slot else ()) if rule.id == last.rule)
    return _Speaker(program, decision, facts).sentence(last, next(rules, None))


def why_not(
    program: Program, rule_id: str, decision: Decision, facts: Facts, **asked: Any
) -> WhyNot:
    """Why `rule_id` did not take the slot of this decision.

    asked: what `Program.decide` was asked with besides (unit, seen, control, stale). Raises
    KeyError for a rule that the slot does not have.
    """
    slot = program.slots[decision.slot]
    rule = {rule.id: rule for rule in slot.rules}[rule_id]
    only = Slot(SlotHead(slot.name, slot.default, slot.json), slot.schema, (rule,), Index([]))
    alone = Program(program.head, [only], program.fragments)
    step = alone.decide(slot.name, facts, explain=True, **asked).steps[0]
    speaker = _Speaker(program, decision, facts)
    tree = tree_of(rule.tree)
    said = [speaker.refused(step, rule), *speaker.tags(tree)]
    if decision.rule != rule_id:
        said.append(because(program, decision, facts))
    return WhyNot(rule_id, said, list(speaker.weighing.every(tree)))


class _Speaker:
    """Who speaks of one decision."""

    def __init__(self, program: Program, decision: Decision, facts: Facts) -> None:
        self.program, self.decision, self.facts = program, decision, facts
        self.weighing = Weighing(program.schema, facts, self.why_absent)

    def why_absent(self, name: str) -> str:
        return self.program.why_absent(name, self.facts.grants)

    def why(self, rule: Rule) -> str:
        """What settled the rule's condition; or that it was not asked, the session holding it."""
        for step in self.decision.steps:
            if (step.rule, step.reason) == (rule.id, Reason.MATCH) and step.detail:
                return f"it was {step.detail}"
        return joined(self.weighing.deciding(tree_of(rule.tree)))

    def sentence(self, step: Step, rule: Rule | None) -> str:
        """What one step says of the decision. rule: the step's, None for the slot's default."""
        form = self._form(step, rule)
        holdout = self.program.head.holdout
        split, limit = (rule.split, rule.limit) if rule else (None, None)
        return form.format(
            slot=self.decision.slot,
            shown=self.decision.fragment or "nothing",
            rule=step.rule,
            what=f"rule {step.rule}" if step.rule else self.decision.slot,
            why=self.why(rule) if rule and "{why}" in form else "",
            detail=step.detail,
            held_out=holdout.unit if holdout else "",
            unit=split.unit if split else "visitor",
            traffic=f"{split.traffic():.0%}" if split else "share",
            cap=step.detail or (_spent(limit) if limit else ""),
            schedule=self._schedule(step.detail, rule) if rule and "{schedule}" in form else "",
        )

    def _form(self, step: Step, rule: Rule | None) -> str:
        if step.reason is Reason.ABSENT and rule and self.weighing.holds(tree_of(rule.tree)):
            return NO_ID
        if step.reason is Reason.HOLDOUT and step.detail:
            return IN_HOLDOUT if step.rule else ALL_HELD_OUT
        if step.reason is Reason.PAUSED and not step.rule:
            return SLOT_PAUSED
        return SENTENCES[step.reason]

    def refused(self, step: Step, rule: Rule) -> str:
        """Why the rule did not take the slot. step: what came of it when no other was asked."""
        decision = self.decision
        if decision.rule == rule.id:
            return f"rule {rule.id} took it: {because(self.program, decision, self.facts)}"
        if step.reason is Reason.DEFAULT:
            return f"rule {rule.id} did not match: {self.why(rule)}"
        if step.reason not in {Reason.MATCH, Reason.SPLIT}:
            return self.sentence(step, rule)
        matched = f"rule {rule.id} matched ({self.why(rule)})"
        if decision.rule:
            return f"{matched}, and rule {decision.rule} took the slot first"
        return f"{matched}, and failed: {decision.steps[-1].detail}"

    def tags(self, tree: Expr) -> Iterator[str]:
        """Why each live tag that the expression asks for is there, or is not."""
        present, asked = self.facts["tags"], set(_tags(tree))
        for tag in self.program.head.tags:
            live = tree_of(tag.tree)
            if tag.name not in asked or present is ABSENT:
                continue
            if (tag.name in present) is (self.weighing.holds(live) is True):  # not given as a fact
                yield f"tag {tag.name}: {joined(self.weighing.deciding(live))}"

    def _schedule(self, detail: str, rule: Rule) -> str:
        if detail:
            return f": {detail}"
        zone = ZoneInfo(self.program.timezone)
        if self.facts.now_s >= rule.until_s:
            ended = datetime.datetime.fromtimestamp(rule.until_s, zone)
            return f": it ended at {ended.isoformat()}"
        begins = datetime.datetime.fromtimestamp(rule.from_s, zone)
        return f": it begins at {begins.isoformat()}"


def _tags(expr: Expr) -> Iterator[str]:
    """The tags that an expression asks for by name."""
    match expr:
        case Binary("in", Literal(str(name)), Attr("tags")):
            yield name
    for part in children(expr):
        yield from _tags(part)


def _spent(limit: Limit) -> str:
    return f"was seen as often as its cap allows: {limit.times} in {_span(limit.per_s)}"


def _span(seconds: float) -> str:
    """86,400 as `1 d`: the largest unit that divides it."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds % size == 0:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:g} s"

"""Steps in sentences: a decision in, what led to it out, for people; it decides nothing.

Used by the `why this?` panel and by `edgewise decide --explain`. The steps come from the deciding
code itself, so that what is said here is what happened.
"""

from __future__ import annotations

from decisions.engine import Decision
from decisions.program import Program
from decisions.reasons import Reason, Step
from decisions.tables import Rule

SENTENCES: dict[Reason, str] = {
    Reason.MATCH: "{slot} shows {shown} because rule {rule} matched: {text}",
    Reason.SPLIT: "{slot} shows {shown} because rule {rule} matched ({text}), and its experiment "
    "gave this {unit} variant {detail}",
    Reason.DEFAULT: "{slot} shows {shown}, its default: no rule took the slot",
    Reason.ABSENT: "rule {rule} did not match: {detail}",
    Reason.CAPPED: "rule {rule} matched, and was seen as often as its cap allows: {cap}",
    Reason.PAUSED: "rule {rule} matched, and is paused",
    Reason.OUT_OF_SCHEDULE: "rule {rule} matched, and is out of schedule",
    Reason.HOLDOUT: "rule {rule} matched, and this {unit} is outside its experiment's {traffic} "
    "of traffic",
    Reason.STALE: "rule {rule} matched, and does not serve from a snapshot past its date",
    Reason.NO_SNAPSHOT: "{slot} shows nothing: there is no snapshot yet",
    Reason.UNKNOWN_SLOT: "{slot} shows nothing: the playbook has no such slot",
    Reason.ERROR: "{what} could not be decided: {detail}",
}


def sentences(program: Program, decision: Decision) -> list[str]:
    """One sentence for each step, in the order of the steps."""
    slot = program.slots.get(decision.slot)
    rules = {rule.id: rule for rule in slot.rules} if slot else {}
    return [_sentence(step, decision, rules.get(step.rule)) for step in decision.steps]


def _sentence(step: Step, decision: Decision, rule: Rule | None) -> str:
    split, limit = (rule.split, rule.limit) if rule else (None, None)
    return SENTENCES[step.reason].format(
        slot=decision.slot,
        shown=decision.fragment or "nothing",
        rule=step.rule,
        what=f"rule {step.rule}" if step.rule else decision.slot,
        text=rule.text if rule else "",
        detail=step.detail,
        unit=split.unit if split else "visitor",
        traffic=f"{split.traffic():.0%}" if split else "share",
        cap=f"{limit.times} in {_span(limit.per_s)}" if limit else "",
    )


def _span(seconds: float) -> str:
    """86,400 as `1 d`: the largest unit that divides it."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds % size == 0:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:g} s"

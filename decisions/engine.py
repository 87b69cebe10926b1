"""Decide: one slot's rules and a visitor's facts in, the fragment to show and the steps to it out.

First match wins. The index names the candidates in order; what it cannot tell, the rule's own
condition does; then come the operator's pause, the schedule, the cap and the experiment. The plain
scan of `explain` takes every rule through the very same code. Rendering comes after.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from decisions.clock import DAYS
from decisions.consent import AUTHENTICATED, FUNCTIONAL, NEED_AN_ID, PERSONALIZATION, allows
from decisions.errors import EvaluationError
from decisions.experiments import CUSTOMER, Holdout, Split, Units
from decisions.facts import Facts
from decisions.hours import is_open
from decisions.reasons import Reason, Step
from decisions.tables import Limit, Rule, Slot

NOTHING: Mapping[str, Any] = {}
HELD = "shown earlier in this session"  # the detail of a MATCH whose condition was not asked
MAX_STEPS = 20  # in replies; a decision itself keeps them all


class Control(msgspec.Struct, frozen=True):
    """What operators stopped since the program was built. paused: rule ids, those of experiments
    among them. slots: names; such a slot shows its default."""

    paused: frozenset[str] = frozenset()
    slots: frozenset[str] = frozenset()


NOTHING_PAUSED = Control()


class Circumstances(msgspec.Struct, frozen=True):
    """What a decision depends on besides the facts; nothing in it that is not granted is read.

    unit: one id for whatever an experiment splits by, or an id of each kind. seen: (rule id,
    seconds since the epoch) of what this visitor saw. shown: the fragments of the page's slots that
    were decided before this one. held: the rules that this session was shown and holds.
    holdout: the playbook's, of whose share this unit may be. forced: experiment → its variant.
    """

    grants: int = 0
    now_s: float = 0.0
    unit: str | Units | None = None
    seen: Iterable[tuple[str, float]] = ()
    control: Control = NOTHING_PAUSED
    stale: bool = False
    shown: Collection[str] = ()
    held: Collection[str] = ()
    holdout: Holdout | None = None
    forced: Mapping[str, str] = NOTHING

    def unit_of(self, kind: str) -> str:
        """The id to split by, "" for none or none that is granted."""
        if not self.grants & NEED_AN_ID or (kind == CUSTOMER and not self.grants & AUTHENTICATED):
            return ""
        return self.unit.of(kind) if isinstance(self.unit, Units) else self.unit or ""


class Decision(msgspec.Struct, frozen=True):
    """The answer for one slot.

    fragment: "" shows nothing. steps: the rules that would have matched and were held back, then
    what decided; in explain mode also those whose value was absent. probability: how likely chance
    made it this one, over the experiments met on the way. with_: values for the fragment's tokens.
    holdout: its name, for a unit of its share that met an experiment, or rules, that it skips.
    phase: of the experiment.
    """

    slot: str
    fragment: str
    reason: Reason
    steps: tuple[Step, ...]
    variant: str = ""
    rule: str = ""
    experiment: str = ""
    probability: float = 1.0
    with_: Mapping[str, Any] = NOTHING
    holdout: str = ""
    phase: int = 0


class Outcome(NamedTuple):
    """What came of a rule that matches. chance: how likely its experiment made it this, after what
    the experiments before it said."""

    step: Step
    variant: str | None = None  # None: held back
    chance: float = 1.0


def decide(
    slot: Slot,
    facts: Facts,
    around: Circumstances,
    why_absent: Callable[[str], str] | None = None,
) -> Decision:
    """The first rule that matches and is not held back, or the slot's default.

    why_absent: absent name → sentence; with it, every rule is scanned and absences become steps.
    Never raises: a rule that breaks is a step, and whatever else breaks leaves the default.
    """
    try:
        return _first(slot, facts, around, why_absent)
    except Exception as error:  # a page must get its default, not our mistake in a tag or the index
        step = Step("", Reason.ERROR, type(error).__name__)
        return Decision(slot.name, slot.default, Reason.ERROR, (step,))


def _first(
    slot: Slot, facts: Facts, around: Circumstances, why_absent: Callable[[str], str] | None
) -> Decision:
    if slot.name in around.control.slots:
        step = Step("", Reason.PAUSED)
        return Decision(slot.name, slot.default, step.reason, (step,))
    chance = 1.0
    if (out := around.holdout) is not None and out.skips_rules:
        if (unit := around.unit_of(out.unit)) and out.keeps(unit):
            return _held_out(slot, out)
        chance = 1.0 - out.share() if unit else 1.0
    if slot.held and around.held and (kept := _kept(slot, facts, around, chance)):
        return kept
    scan = why_absent is not None
    unsure = slot.index.residual
    steps: list[Step] = []
    left: dict[str, float] = {}
    for place in range(len(slot.rules)) if scan else slot.index.candidates(facts, around.grants):
        rule = slot.rules[place]
        try:
            if (scan or place in unsure) and slot.condition(place)(facts) is not True:
                continue
            if rule.plain and chance == 1.0 and not (steps or left or around.control.paused):
                return slot.plain.get(place) or _plain(slot, place)
            outcome = _consider(rule, facts, around, left)
        except Exception as error:  # one broken rule must not take the slot from the others
            steps += _broken(rule, error, why_absent)
            continue
        steps.append(outcome.step)
        chance *= outcome.chance
        if outcome.variant is not None:
            return _taken(slot, rule, outcome, tuple(steps), chance, _skipped(around, left))
    steps.append(Step("", Reason.DEFAULT))
    return Decision(
        slot.name,
        slot.default,
        Reason.DEFAULT,
        tuple(steps),
        probability=chance,
        holdout=_skipped(around, left),
    )


def _plain(slot: Slot, place: int) -> Decision:
    """What the first rule that matches shows, if nothing but its condition can hold it back; made
    once, the same for everybody."""
    rule = slot.rules[place]
    outcome = Outcome(Step(rule.id, Reason.MATCH), "")
    made = slot.plain[place] = _taken(slot, rule, outcome, (outcome.step,), 1.0)
    return made


def _held_out(slot: Slot, out: Holdout) -> Decision:
    """What somebody sees whom all rules pass over."""
    step = Step("", Reason.HOLDOUT, out.name)
    return Decision(
        slot.name, slot.default, step.reason, (step,), probability=out.share(), holdout=out.name
    )


def _skipped(around: Circumstances, left: dict[str, float]) -> str:
    """The name of the holdout, if an experiment passed this unit over because of it."""
    out = around.holdout
    return out.name if left and out is not None and left.get(out.salt) == 0.0 else ""


def _kept(slot: Slot, facts: Facts, around: Circumstances, chance: float) -> Decision | None:
    """What a rule shows that holds the slot for this session, None if there is none.

    It is spared its condition and the rules above it, and nothing else: pause, schedule, cap, page
    and traffic hold it back as ever, and everything that its condition may read must be granted.
    """
    if not around.grants & PERSONALIZATION:
        return None
    for rule_id in around.held:
        rule = slot.rules[place] if (place := slot.held.get(rule_id)) is not None else None
        if rule is None or not allows(around.grants, rule.needs):
            continue
        outcome = _consider(rule, facts, around, {})
        if outcome.variant is not None:
            step = Step(rule.id, Reason.MATCH, HELD)
            steps = (step,) if rule.split is None else (step, outcome.step)
            return _taken(slot, rule, outcome, steps, chance * outcome.chance)
    return None


def _taken(
    slot: Slot,
    rule: Rule,
    outcome: Outcome,
    steps: tuple[Step, ...],
    chance: float,
    holdout: str = "",
) -> Decision:
    variant = outcome.variant or ""
    arm = rule.arms[variant]
    return Decision(
        slot.name,
        arm.fragment,
        outcome.step.reason,
        steps,
        variant,
        rule.id,
        rule.id if rule.split is not None else "",
        chance,
        arm.values,
        holdout,
        rule.split.phase if rule.split is not None else 0,
    )


def _consider(rule: Rule, facts: Facts, around: Circumstances, left: dict[str, float]) -> Outcome:
    """A rule that matches: is it shown, and which variant?

    left: salt of a traffic map → the share of it that no experiment met so far could have taken;
    salt of the holdout → 0 or 1, once it was drawn.
    """
    if rule.id in around.control.paused:
        return Outcome(Step(rule.id, Reason.PAUSED))
    if rule.plain:
        return Outcome(Step(rule.id, Reason.MATCH), "")
    if around.stale and not rule.serves_stale:
        return Outcome(Step(rule.id, Reason.STALE))
    if not rule.from_s <= around.now_s < rule.until_s:
        return Outcome(Step(rule.id, Reason.OUT_OF_SCHEDULE))
    if rule.hours and not is_open(rule.hours, minute := facts.minute()):
        return Outcome(Step(rule.id, Reason.OUT_OF_SCHEDULE, _wall_clock(minute)))
    if rule.limit is not None and _is_spent(rule.id, rule.limit, around):
        return Outcome(Step(rule.id, Reason.CAPPED))
    if rule.once and (twice := _on_page(rule, around)):
        return Outcome(Step(rule.id, Reason.CAPPED, f"{twice} is on the page already"))
    if rule.split is None:
        return Outcome(Step(rule.id, Reason.MATCH), "")
    if around.forced and (variant := around.forced.get(rule.id)) in rule.arms:
        return Outcome(Step(rule.id, Reason.SPLIT, f"{variant}, forced"), variant)
    return _enter(rule.id, rule.split, around, left)


def _wall_clock(minute: int) -> str:
    """A minute of the week as `fri 23:05 is outside its hours`."""
    day, minute = divmod(minute, 1_440)
    return f"{DAYS[day]} {minute // 60:02}:{minute % 60:02} is outside its hours"


def _is_spent(rule_id: str, limit: Limit, around: Circumstances) -> bool:
    """Whether a cap is used up; what was seen may be read with the functional purpose only."""
    if not around.grants & FUNCTIONAL:
        return False
    since_s = around.now_s - limit.per_s
    return sum(seen == rule_id and at_s > since_s for seen, at_s in around.seen) >= limit.times


def _on_page(rule: Rule, around: Circumstances) -> str:
    """The first of the rule's fragments that the page shows already, "" for none. All variants of
    an experiment are asked alike, before it is known who gets which."""
    fragments = (arm.fragment for arm in rule.arms.values())
    return next((name for name in fragments if name in around.shown), "")


def _enter(rule_id: str, split: Split, around: Circumstances, left: dict[str, float]) -> Outcome:
    unit = around.unit_of(split.unit)
    if not unit:
        return Outcome(Step(rule_id, Reason.ABSENT, f"there is no {split.unit} id to split by"))
    kept = _draw(around, left)
    if around.holdout is not None and left.get(around.holdout.salt) == 0.0:
        return Outcome(Step(rule_id, Reason.HOLDOUT, around.holdout.name), chance=kept)
    # The experiments of a layer are one draw: to be outside of one makes the others likelier.
    before = left.get(split.entry_salt, 1.0)
    entering = kept * split.traffic() / before
    if not split.enters(unit):
        left[split.entry_salt] = before - split.traffic()
        return Outcome(Step(rule_id, Reason.HOLDOUT), chance=kept - entering)
    variant = split.variant(unit)
    return Outcome(Step(rule_id, Reason.SPLIT, variant), variant, entering * split.share(variant))


def _draw(around: Circumstances, left: dict[str, float]) -> float:
    """How likely the holdout's draw came out as it did; 1 where there is none, or it was drawn
    before: it is one draw for all experiments."""
    out = around.holdout
    if out is None or out.skips_rules or out.salt in left:
        return 1.0
    if not (unit := around.unit_of(out.unit)):
        return 1.0
    left[out.salt] = 0.0 if out.keeps(unit) else 1.0
    return out.share() if left[out.salt] == 0.0 else 1.0 - out.share()


def _broken(
    rule: Rule, error: Exception, why_absent: Callable[[str], str] | None
) -> tuple[Step, ...]:
    """What a rule that breaks adds to the steps. CEL's error value is no match, and a step only
    where absences are steps: which value was absent and why, or what else went wrong."""
    if not isinstance(error, EvaluationError):
        return (Step(rule.id, Reason.ERROR, type(error).__name__),)
    if why_absent is None:
        return ()
    if error.absent:
        return (Step(rule.id, Reason.ABSENT, why_absent(error.absent)),)
    return (Step(rule.id, Reason.ERROR, str(error)),)

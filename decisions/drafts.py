"""Rules as written in, checked and lowered drafts in match order out.

Match order is by band, then by place in the file. What a draft lacks to be a compiled rule is its
experiment's bucket map, which only the ledger knows.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import NamedTuple

from decisions.declaring import check_name, checked, needs_of, zone_of
from decisions.experiments import UNITS
from decisions.findings import Findings, check_duration
from decisions.hours import Edges, edges_of
from decisions.learn import MAX_TIMES
from decisions.lowering import lower
from decisions.playbook import Experiment, Rule, Settings, duration_s
from decisions.predicates import Lowered
from decisions.rules.checker import Typed
from decisions.schema import Schema
from decisions.shadows import shadowed
from decisions.tables import NEVER_S, Arm, Limit

MAX_VARIANTS = 100  # of one experiment; `x` tokens number them in a byte
ROUNDING = 1e-9  # 18.1 + 48.2 + 33.7 is more than 100 to a computer, and to nobody else
_DAY = datetime.timedelta(days=1)


class Draft(NamedTuple):
    """A rule without errors. place: in `written.rules`. needs: of all that its condition reads."""

    place: int
    rule: Rule
    typed: Typed
    lowered: Lowered
    needs: int
    from_s: float
    until_s: float
    hours: Edges

    @property
    def plain(self) -> bool:
        """Whether a match always takes the slot."""
        rule = self.rule
        scheduled = self.from_s > -NEVER_S or self.until_s < NEVER_S or self.hours != ()
        held = rule.cap is not None or rule.experiment is not None or rule.once_per_page
        return not scheduled and not held and rule.stale == "serve"

    @property
    def arms(self) -> dict[str, Arm]:
        """Variant → what it shows; a rule without an experiment has the one arm ""."""
        if self.rule.experiment is None:
            return {"": Arm(self.rule.show, self.rule.with_)}
        return {
            name: Arm(variant.show, {**self.rule.with_, **variant.with_})
            for name, variant in self.rule.experiment.variants.items()
        }

    @property
    def limit(self) -> Limit | None:
        """The rule's cap."""
        cap = self.rule.cap
        return None if cap is None else Limit(cap.times, duration_s(cap.per))


def draft_rules(findings: Findings, schema: Schema, *, allow_shadowed: bool) -> list[Draft]:
    """Every rule that has no error of its own, in match order; what is wrong is noted."""
    written = findings.written
    bands = {band: place for place, band in reversed([*enumerate(written.settings.bands)])}
    last = len(bands) - 1
    order = sorted(
        range(len(written.rules)), key=lambda place: bands.get(written.rules[place].band, last)
    )
    first_places: dict[str, int] = {}
    drafts: dict[int, Draft] = {}
    for place, rule in enumerate(written.rules):
        before = len(findings.problems)
        _check_rule(findings, rule, first_places, place)
        from_s, until_s = _schedule(findings, rule, place)
        hours = _hours(findings, rule, place)
        typed = checked(findings, rule.when, schema, "rules", place, "when")
        if typed and len(findings.problems) == before:
            lowered, needs = lower(typed.expr, schema), needs_of(schema, typed)
            drafts[place] = Draft(place, rule, typed, lowered, needs, from_s, until_s, hours)
    _check_layers(findings)
    in_order = [drafts[place] for place in order if place in drafts]
    if not allow_shadowed:
        _check_shadows(findings, in_order)
    return in_order


def _check_rule(findings: Findings, rule: Rule, first: dict[str, int], place: int) -> None:
    settings = findings.written.settings
    path = ("rules", place)
    check_name(findings, "rule id", rule.id, *path, "id")
    if first.setdefault(rule.id, place) != place:
        at = findings.written.where("rules", first[rule.id], "id")
        message = f'rule id "{rule.id}" is taken by {at.file}:{at.line}'
        findings.add("duplicate-rule", message, *path, "id")
    if rule.slot not in settings.slots:
        findings.unknown("slot", rule.slot, settings.slots, *path, "slot")
    if rule.band and rule.band not in settings.bands:
        findings.unknown("band", rule.band, settings.bands, *path, "band")
    if bool(rule.show) == (rule.experiment is not None):
        got = "both" if rule.show else "neither"
        message = f"expected either show or experiment, got {got}"
        findings.add("show-or-experiment", message, *path)
    if rule.show:
        check_fragment(findings, rule.show, rule.slot, *path, "show")
    if rule.experiment is not None:
        _check_experiment(findings, rule.experiment, rule.slot, *path, "experiment")
    if rule.cap is not None:
        if not 1 <= rule.cap.times <= MAX_TIMES:
            message = f"expected a cap of 1 to {MAX_TIMES} times, got {rule.cap.times}"
            findings.add("bad-cap", message, *path, "cap", "times")
        check_duration(findings, rule.cap.per, *path, "cap", "per")


def check_fragment(findings: Findings, name: str, slot: str, *path: str | int) -> None:
    """A fragment that a slot is to show: it is there, and of the slot's kind."""
    fragment = findings.written.fragments.get(name)
    if fragment is None:
        known = findings.written.fragments
        findings.unknown("fragment", name, known, *path)
        return
    decl = findings.written.settings.slots.get(slot)
    if decl is not None and decl.json != (fragment.kind == "json"):
        wanted = "json" if decl.json else "html"
        message = f"slot {slot} expected a fragment of kind {wanted}, {name} is {fragment.kind}"
        findings.add("fragment-kind", message, *path)


def _check_experiment(
    findings: Findings, experiment: Experiment, slot: str, *path: str | int
) -> None:
    goals = findings.written.settings.goals
    if experiment.unit not in UNITS:
        findings.unknown("unit", experiment.unit, UNITS, *path, "unit")
    if experiment.goal and experiment.goal not in goals:
        findings.unknown("goal", experiment.goal, goals, *path, "goal")
    if not 0 <= experiment.traffic <= 100:
        message = f"expected a percentage of 0 to 100, got {experiment.traffic:g}"
        findings.add("bad-traffic", message, *path, "traffic")
    if len(experiment.variants) > MAX_VARIANTS:
        message = f"expected at most {MAX_VARIANTS} variants, got {len(experiment.variants)}"
        findings.add("many-variants", message, *path, "variants")
    weights = [variant.weight for variant in experiment.variants.values()]
    if sum(weights) <= 0:
        message = f"expected weights with a sum above 0, got {sum(weights)}"
        findings.add("bad-weights", message, *path, "variants")
    for name, variant in experiment.variants.items():
        there = (*path, "variants", name)
        check_name(findings, "variant", name, *there)
        if variant.weight < 0:
            message = f"expected a weight of at least 0, got {variant.weight}"
            findings.add("bad-weights", message, *there, "weight")
        check_fragment(findings, variant.show, slot, *there, "show")


def _check_layers(findings: Findings) -> None:
    """The experiments of a layer exclude each other: one unit, and shares of traffic add up."""
    shares: dict[str, float] = {}
    units: dict[str, str] = {}
    for place, rule in enumerate(findings.written.rules):
        if rule.experiment is None or not rule.experiment.layer:
            continue
        layer = rule.experiment.layer
        path = ("rules", place, "experiment", "layer")
        check_name(findings, "layer", layer, *path)
        if (unit := units.setdefault(layer, rule.experiment.unit)) != rule.experiment.unit:
            message = f'expected unit {unit} as all of layer "{layer}", got {rule.experiment.unit}'
            findings.add("layer-unit", message, "rules", place, "experiment", "unit")
        shares[layer] = shares.get(layer, 0.0) + rule.experiment.traffic
        if shares[layer] > 100 + ROUNDING:
            message = f'expected at most 100 % of traffic in layer "{layer}", got {shares[layer]:g}'
            findings.add("full-layer", message, *path)


def _schedule(findings: Findings, rule: Rule, place: int) -> tuple[float, float]:
    """[from, until) in seconds since the epoch; a date counts in the playbook's time zone."""
    settings = findings.written.settings
    from_s = _moment(findings, settings, rule.from_, False, "rules", place, "from")
    until_s = _moment(findings, settings, rule.until, True, "rules", place, "until")
    if from_s >= until_s:
        message = f"expected from before until, got {rule.from_} and {rule.until}"
        findings.add("empty-schedule", message, "rules", place, "until")
    return from_s, until_s


def _hours(findings: Findings, rule: Rule, place: int) -> Edges:
    """The hours of a rule's week; () for always."""
    try:
        return edges_of(rule.hours) if rule.hours else ()
    except ValueError as error:
        findings.add("bad-hours", str(error), "rules", place, "hours")
        return ()


def _moment(
    findings: Findings, settings: Settings, text: str, is_end: bool, *path: str | int
) -> float:
    """A date (the end of it, if `is_end`) or an RFC 3339 time; without one there is no bound."""
    if not text:
        return NEVER_S if is_end else -NEVER_S
    try:
        if len(text) == len("2027-01-31"):
            day = datetime.date.fromisoformat(text) + (_DAY if is_end else _DAY * 0)
            zone = zone_of(settings)
            return datetime.datetime.combine(day, datetime.time(), zone).timestamp()
        moment = datetime.datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.timestamp()
    except (ValueError, OverflowError):
        pass
    wanted = "a date such as 2027-01-31 or a time such as 2027-01-31T18:00:00Z"
    message = f"expected {wanted}, got {text!r}"
    findings.add("bad-date", message, *path)
    return NEVER_S if is_end else -NEVER_S


def _check_shadows(findings: Findings, drafts: Iterable[Draft]) -> None:
    slots: dict[str, list[Draft]] = {}
    for draft in drafts:
        slots.setdefault(draft.rule.slot, []).append(draft)
    for rules in slots.values():
        for place, above in shadowed((draft.lowered, draft.plain) for draft in rules):
            draft = rules[place]
            names = ", ".join(rules[each].rule.id for each in above)
            message = (
                f'rule "{draft.rule.id}" is never reached: {names} above always takes the slot'
            )
            findings.add("shadowed-rule", message, "rules", draft.place, "when")

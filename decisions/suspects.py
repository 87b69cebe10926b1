"""Rules that are legal and hardly meant, each proved on its lowered clauses or on what it reads.

Drafts in match order in, warnings out. Where a clause leaves something open, nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from itertools import chain
from operator import and_, or_

from decisions import consent
from decisions.certain import certainties
from decisions.consent import AUTHENTICATED, SENSITIVE
from decisions.declaring import Declared
from decisions.domains import domain
from decisions.drafts import Draft
from decisions.errors import RuleError
from decisions.lowering import lower
from decisions.playbook import Experiment, Settings
from decisions.predicates import Clause, Member, OneOf, Predicate, Prefix
from decisions.rules.checker import Read, Typed
from decisions.schema import INTEREST, Schema
from decisions.shadows import implies
from decisions.silences import Warnings

# Known of everybody: a test that lets all of their values pass is no test.
_OF_EVERYBODY = ("time.hour", "time.weekday", "device.kind")


def suspect_rules(warnings: Warnings, declared: Declared, drafts: Iterable[Draft]) -> None:
    """Everything that this module can say of a playbook."""
    listed = list(drafts)
    settings = warnings.written.settings
    _certain(warnings, declared, listed)
    _never_matching(warnings, declared, listed)
    _out_of_reach(warnings, declared.schema, listed)
    _sensitive(warnings, declared, listed)
    _twins(warnings, listed)
    _idle_once(warnings, listed)
    for slot in settings.slots:
        mine = [draft for draft in listed if draft.rule.slot == slot]
        _catching_all(warnings, mine)
        _above_experiments(warnings, declared, mine)


def _certain(warnings: Warnings, declared: Declared, drafts: Iterable[Draft]) -> None:
    written = warnings.written
    texts: list[tuple[Typed, Schema, str, tuple[str | int, ...]]] = [
        (typed, declared.features, written.segments[name].when, ("segments", name, "when"))
        for name, typed in declared.segments.items()
    ]
    texts += [
        (typed, declared.schema, written.settings.tags[name], ("settings", "tags", name))
        for name, typed in declared.tags.items()
    ]
    texts += [
        (draft.typed, declared.schema, draft.rule.when, ("rules", draft.place, "when"))
        for draft in drafts
    ]
    for typed, schema, text, path in texts:
        for code, what, (start, end) in certainties(typed.expr, schema):
            warnings.warn_in_text(RuleError(what, text, start, end - start, code=code), *path)


def _never_matching(warnings: Warnings, declared: Declared, drafts: Iterable[Draft]) -> None:
    why = "its conditions contradict each other"
    dead: set[str] = set()
    for name, typed in declared.tags.items():
        if not lower(typed.expr, declared.schema).clauses:
            dead.add(name)
            warnings.warn(
                "never-matches", f'tag "{name}" never holds: {why}', "settings", "tags", name
            )
    for draft in drafts:
        clauses = draft.lowered.clauses
        waiting = [next(_dead_tags(clause, dead), "") for clause in clauses]
        if not all(waiting):
            continue
        reason = f'it waits for the tag "{waiting[0]}", which never holds' if waiting else why
        message = f'rule "{draft.rule.id}" never matches: {reason}'
        warnings.warn("never-matches", message, "rules", draft.place, "when")


def _dead_tags(clause: Clause, dead: set[str]) -> Iterator[str]:
    for predicate in clause.predicates:
        match predicate:
            case Member("tags", name, False) if name in dead:
                yield name


def _out_of_reach(warnings: Warnings, schema: Schema, drafts: Iterable[Draft]) -> None:
    asked = consent.mask(warnings.written.settings.purposes) | AUTHENTICATED
    for draft in drafts:
        needs = [_needs(clause, schema) for clause in draft.lowered.clauses]
        if needs and all(bits & ~asked for bits in needs):
            missing = min(bits & ~asked for bits in needs)
            message = (
                f'no grant reaches rule "{draft.rule.id}": it needs {_named(missing)}, '
                "for which purposes says that nobody is asked"
            )
            warnings.warn("out-of-reach", message, "rules", draft.place, "when")


def _needs(clause: Clause, schema: Schema) -> int:
    """The purposes without which the clause is false; a word may need more than its attribute."""
    bits = clause.needs
    for predicate in clause.predicates:
        match predicate:
            case OneOf(name, values, False):
                words = [schema.needs(name, v) for v in values if isinstance(v, str)]
                bits |= reduce(and_, words) if words else 0
    return bits


def _sensitive(warnings: Warnings, declared: Declared, drafts: Iterable[Draft]) -> None:
    places: list[tuple[str, tuple[Read, ...], tuple[str | int, ...]]] = [
        (f'tag "{name}"', typed.reads, ("settings", "tags", name))
        for name, typed in declared.tags.items()
    ]
    places += [(f'rule "{d.rule.id}"', d.typed.reads, ("rules", d.place, "when")) for d in drafts]
    for who, reads, path in places:
        needs = {read: declared.schema.needs(*read) for read in reads}
        tainted = [read for read, bits in needs.items() if bits & SENSITIVE]
        whole = {(name, None) for name, _ in tainted}
        rest = reduce(
            or_,
            (0 if bits & SENSITIVE or read in whole else bits for read, bits in needs.items()),
            0,
        )
        if tainted and rest:
            message = (
                f"{who} reads {_called(tainted[0])}, which needs sensitive as well; "
                f"the rest needs {_named(rest)} only"
            )
            warnings.warn("sensitive-read", message, *path)
    for name, segment in warnings.written.segments.items():
        purposes = [segment.purpose] if isinstance(segment.purpose, str) else segment.purpose
        tainted_segment = declared.schema.needs("segments", name) & SENSITIVE
        if tainted_segment and any(purposes) and "sensitive" not in purposes:
            message = (
                f'segment "{name}" says {" and ".join(purposes)}, and reads what is sensitive: '
                "it needs sensitive, too"
            )
            warnings.warn("sensitive-segment", message, "segments", name, "purpose")


def _named(bits: int) -> str:
    return " and ".join(consent.names(bits))


def _called(read: Read) -> str:
    name, key = read
    if key is None:
        return name
    return f'"{key}" in {name}' if name in ("segments", "tags") else f'{name} "{key}"'


def _catching_all(warnings: Warnings, drafts: list[Draft]) -> None:
    """Rules that take a slot from those below even where nothing is known of the visitor, or from
    all but a few. A cap holds none of the former back: without the functional purpose nobody counts
    what was seen."""
    for number, draft in enumerate(drafts):
        below = drafts[number + 1 : number + 4]
        if not below or draft.rule.experiment is not None or not draft.lowered.exact:
            continue
        if any(map(_holds_for_all, draft.lowered.clauses)):
            code, whom = "catches-all", "everybody, even without any grant,"
        elif draft.plain and any(map(_holds_for_most, draft.lowered.clauses)):
            code, whom = "catches-most", "everybody but those whom it rules out,"
        else:
            continue
        listed = ", ".join(other.rule.id for other in below)
        listed += " …" if len(drafts) > number + 4 else ""
        message = f'rule "{draft.rule.id}" matches {whom} and comes before {listed}'
        warnings.warn(code, message, "rules", draft.place, "when")


def _holds_for_all(clause: Clause) -> bool:
    return not clause.needs and all(map(_is_no_test, clause.predicates))


def _holds_for_most(clause: Clause) -> bool:
    left = [each for each in clause.predicates if not _is_no_test(each)]
    return bool(left) and all(map(_only_rules_out, left))


def _only_rules_out(predicate: Predicate) -> bool:
    """Whether it asks for nothing, but that something is not so."""
    return isinstance(predicate, OneOf | Member | Prefix) and predicate.negated


def _is_no_test(predicate: Predicate) -> bool:
    everything = domain(predicate) if predicate.attribute in _OF_EVERYBODY else None
    return everything is not None and implies(everything, predicate)


def _above_experiments(warnings: Warnings, declared: Declared, drafts: list[Draft]) -> None:
    """Rules that take visitors out of an experiment below by what its goal's event changes."""
    settings = warnings.written.settings
    told: set[int] = set()
    for number, draft in enumerate(drafts):
        experiment = draft.rule.experiment
        if experiment is None or not experiment.goal:
            continue
        event = settings.goals[experiment.goal].on
        for above in drafts[:number]:
            changed = next(_changed(above.typed.reads, event, settings, declared), "")
            if changed and above.place not in told:
                told.add(above.place)
                message = (
                    f'rule "{above.rule.id}" reads {changed}, which {event} changes, the goal of '
                    f'experiment "{draft.rule.id}" below: the variants lose visitors to it unevenly'
                )
                warnings.warn("above-experiment", message, "rules", above.place, "when")


def _changed(
    reads: Iterable[Read], event: str, settings: Settings, declared: Declared
) -> Iterator[str]:
    signals = [signal for signal in settings.signals if signal.on == event]
    for name, key in reads:
        if name == "tags":
            tags = [declared.tags[key]] if key else declared.tags.values()
            through = chain.from_iterable(tag.reads for tag in tags)
            yield from _changed(through, event, settings, declared)
        elif (
            (name == "counts" and key in (event, None))
            or (
                f"{name}.".startswith(INTEREST) and any(s.interest or s.preference for s in signals)
            )
            or (name.startswith("cart.") and any(signal.cart for signal in signals))
        ):
            yield _called((name, key))


def _twins(warnings: Warnings, drafts: Iterable[Draft]) -> None:
    """One experiment written into two slots is two: they are split apart."""
    first: dict[tuple[object, ...], Draft] = {}
    for draft in drafts:
        experiment = draft.rule.experiment
        if experiment is None:
            continue
        other = first.setdefault(_likeness(experiment), draft)
        if other.rule.slot != draft.rule.slot:
            message = (
                f'experiment "{draft.rule.id}" has the variants of "{other.rule.id}" in slot '
                f"{other.rule.slot}, and is split apart from it: a visitor may get one here "
                "and another there"
            )
            warnings.warn("twin-experiment", message, "rules", draft.place, "experiment")


def _idle_once(warnings: Warnings, drafts: Iterable[Draft]) -> None:
    """A rule that waits for what no slot decided before its own can show."""
    listed = list(drafts)
    before: set[str] = set()
    for slot, decl in warnings.written.settings.slots.items():
        mine = [draft for draft in listed if draft.rule.slot == slot]
        shown = [{arm.fragment for arm in draft.arms.values()} for draft in mine]
        for draft, fragments in zip(mine, shown, strict=True):
            if draft.rule.once_per_page and before.isdisjoint(fragments):
                message = (
                    f'once_per_page of rule "{draft.rule.id}" changes nothing: no slot above '
                    f"{slot} can show what it shows"
                )
                path = ("rules", draft.place, "once_per_page")
                warnings.warn("idle-once", message, *path)
        before |= {decl.default}.union(*shown)


def _likeness(experiment: Experiment) -> tuple[object, ...]:
    shown = tuple(sorted((name, variant.show) for name, variant in experiment.variants.items()))
    return experiment.unit, experiment.goal, shown

"""A written playbook in, a program out, or every error at once, each with file, line and column.

Text is parsed, checked and lowered here, at build time; what comes out has none left to interpret.
Warnings, which do not stop a build, are `lint`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from itertools import chain
from typing import NamedTuple, TypeAlias

import msgspec

from decisions.consent import AUTHENTICATED, PERSONALIZATION
from decisions.declaring import Declared, declare
from decisions.drafts import Draft, draft_rules
from decisions.experiments import (
    BUCKETS,
    Holdout,
    Split,
    holdout_salt,
    layer_salt,
    shares,
    traffic_salt,
    variant_salt,
)
from decisions.findings import Findings
from decisions.index import build
from decisions.ledger import (
    COUNTER,
    KEY,
    LAYER,
    LIST,
    MARKED,
    MEASURE,
    RULE,
    TRAFFIC,
    VARIANTS,
    Ledger,
    first_ledger,
)
from decisions.lesson import Entry, Gain, Learning, Wish
from decisions.measures import DISTINCT
from decisions.measuring import measure_of
from decisions.playbook import Experiment, Settings, SlotDecl, WrittenPlaybook, duration_s
from decisions.program import Program
from decisions.rules.checker import Typed
from decisions.schema import INTEREST, Schema
from decisions.tables import Goal, Head, Recommending, Rule, Slot, SlotHead, Tag, encoded
from decisions.timed import Timed
from decisions.tokens import compile_fragments

Catalogue: TypeAlias = Mapping[str, Iterable[str]]  # `category`, `brand`, `item` → its values

_CANONICAL = msgspec.json.Encoder(order="deterministic")

VIEWED = "category"  # what session.views is keyed by


class Compiled(NamedTuple):
    """A program, and the ledger that must be kept before anybody serves it."""

    program: Program
    ledger: Ledger


def compile_playbook(
    written: WrittenPlaybook,
    ledger: Ledger | None = None,
    catalogue: Catalogue | None = None,
    *,
    allow_shadowed: bool = False,
) -> Program:
    """The program of a playbook. Raises PlaybookErrors, which carries every error.

    ledger: the store's; without one, numbers and buckets are as in a new store. catalogue: what the
    data holds, so that its categories are learnt. allow_shadowed: for made-up rules that nobody
    wrote, where a rule that is never reached is no mistake.
    """
    return compile_with_ledger(written, ledger, catalogue, allow_shadowed=allow_shadowed).program


def compile_with_ledger(
    written: WrittenPlaybook,
    ledger: Ledger | None = None,
    catalogue: Catalogue | None = None,
    *,
    allow_shadowed: bool = False,
) -> Compiled:
    """The same, with the grown ledger."""
    findings = Findings(written)
    declared = declare(findings, catalogue)
    drafts = draft_rules(findings, declared.schema, allow_shadowed=allow_shadowed)
    fragments = compile_fragments(findings, declared.schema)
    findings.raise_errors()
    settings = written.settings
    schema = declared.schema
    typed = [*declared.tags.values(), *(draft.typed for draft in drafts)]
    learning = _learning(settings, drafts, _known(settings, schema, typed, catalogue))
    fields = _fields(schema, typed, catalogue)
    learning = msgspec.structs.replace(learning, fields=fields)
    older = ledger or first_ledger(settings.name)
    grown = older.grown(_names(learning), _weights(written), _terms(drafts))
    timed = Timed(schema, declared.tags, fragments, learning.measures, settings.holdout)
    slots = [_slot(name, decl, timed, drafts, grown) for name, decl in settings.slots.items()]
    head = _head(settings, declared, [slot.head for slot in slots], grown, learning)
    return Compiled(Program(head, slots, fragments), grown)


def _head(
    settings: Settings,
    declared: Declared,
    slots: Iterable[SlotHead],
    grown: Ledger,
    learning: Learning,
) -> Head:
    tags = (
        Tag(name, declared.schema.needs("tags", name), encoded(typed.expr), settings.tags[name])
        for name, typed in declared.tags.items()
    )
    goals = {
        name: Goal(goal.on, goal.value, duration_s(goal.window))
        for name, goal in settings.goals.items()
    }
    return Head(
        name=settings.name,
        schema=declared.schema,
        bands=tuple(settings.bands),
        slots=tuple(slots),
        tags=tuple(tags),
        goals=goals,
        learning=learning,
        timezone=settings.timezone,
        dictionary=grown.names,
        key_salt=grown.salt,
        holdout=_holdout(settings),
        recommendations=_recommending(settings),
    )


def _holdout(settings: Settings) -> Holdout | None:
    if (out := settings.holdout) is None:
        return None
    end = max(1, round(out.share * BUCKETS / 100))
    return Holdout(out.name, out.unit, holdout_salt(out.name), end, out.skips == "rules")


def _recommending(settings: Settings) -> Recommending | None:
    if (declared := settings.recommendations) is None:
        return None
    return Recommending(PERSONALIZATION | (AUTHENTICATED if declared.needs else 0))


def _learning(settings: Settings, drafts: Iterable[Draft], known: frozenset[str]) -> Learning:
    gains: dict[str, tuple[Gain, ...]] = {}
    carts: dict[str, str] = {}
    wishes: dict[str, Wish] = {}
    for signal in settings.signals:
        if signal.interest is not None:
            gain = Gain(signal.interest.key, signal.interest.add)
            gains[signal.on] = (*gains.get(signal.on, ()), gain)
        if signal.cart is not None:
            carts[signal.on] = signal.cart
        if (declared := signal.preference) is not None:
            score = None if declared.score is None else round(declared.score)
            wishes[signal.on] = Wish(declared.key, score)
    entries = _entries(settings)
    measures = {name: measure_of(decl) for name, decl in settings.measures.items()}
    measuring: dict[str, tuple[str, ...]] = {}
    for name, measure in measures.items():
        measuring[measure.on] = (*measuring.get(measure.on, ()), name)
    return Learning(
        events=frozenset(signal.on for signal in settings.signals),
        gains=gains,
        carts=carts,
        known=known,
        sensitive=frozenset(chain.from_iterable(settings.sensitive_values.values())),
        caps={d.rule.id: (d.limit.times, d.limit.per_s) for d in drafts if d.limit is not None},
        held={d.rule.id: d.rule.slot for d in drafts if d.rule.hold},
        half_life_s=duration_s(settings.interest.half_life),
        measures=measures,
        measuring=measuring,
        wishes=wishes,
        entries=entries,
        more=frozenset((*measuring, *wishes, *entries)),
    )


def _entries(settings: Settings) -> dict[str, tuple[Entry, ...]]:
    found: dict[str, tuple[Entry, ...]] = {}
    for name, decl in settings.lists.items():
        for event, adds in ((decl.add, True), (decl.remove, False)):
            if event:
                entry = Entry(name, decl.of, decl.keep, adds)
                found[event] = (*found.get(event, ()), entry)
    return found


def _known(
    settings: Settings, schema: Schema, typed: Iterable[Typed], catalogue: Catalogue | None
) -> frozenset[str]:
    """The interest keys that are learnt: of the catalogue, or words of a dimension in a rule or tag
    (`interest["shoes"]`, `page.category == "shoes"`)."""
    fields = {signal.interest.key for signal in settings.signals if signal.interest} | {VIEWED}
    fields |= {signal.preference.key for signal in settings.signals if signal.preference}
    fields |= {measure.per for measure in settings.measures.values() if measure.per}
    worded = {name for name, attribute in schema.attributes.items() if attribute.dimension}
    of_data = chain.from_iterable((catalogue or {}).get(field, ()) for field in sorted(fields))
    read = (key for each in typed for name, key in each.reads if key and name in worded)
    return frozenset(chain(of_data, read))


def _fields(
    schema: Schema, typed: Iterable[Typed], catalogue: Catalogue | None
) -> dict[str, frozenset[str]]:
    """What `interest.<field>` shows of all interest: the catalogue's values of the field; where it
    has none, the words that rules and tags read there."""
    fields = [name for name in schema.attributes if name.startswith(INTEREST)]
    found: dict[str, set[str]] = {name: set() for name in fields}
    for name, key in (pair for each in typed for pair in each.reads):
        if key and name in found:
            found[name].add(key)
    of_data = {INTEREST + field: values for field, values in (catalogue or {}).items()}
    return {name: frozenset(of_data.get(name) or found[name]) for name in fields}


def _names(learning: Learning) -> list[str]:
    """What needs a number: interest keys, events, rules that are capped or held, measures and
    lists."""
    marked = {name for name, each in learning.measures.items() if each.kind == DISTINCT}
    kinds = (
        (KEY, learning.known),
        (COUNTER, learning.events),
        (RULE, {*learning.caps, *learning.held}),
        (MEASURE, learning.measures.keys() - marked),
        (MARKED, marked),
        (LIST, {entry.list for entries in learning.entries.values() for entry in entries}),
    )
    return [prefix + name for prefix, names in kinds for name in sorted(names)]


def _weights(written: WrittenPlaybook) -> dict[str, dict[str, float]]:
    """Every bucket map that the playbook's experiments need, by its name in the ledger."""
    weights: dict[str, dict[str, float]] = {}
    for rule in written.rules:
        if rule.experiment is not None:
            variants = rule.experiment.variants
            weights[VARIANTS + rule.id] = {name: arm.weight for name, arm in variants.items()}
            entry = weights.setdefault(_entry(rule.id, rule.experiment), {})
            entry[rule.id] = rule.experiment.traffic
    for name, entering in weights.items():
        if not name.startswith(VARIANTS):
            entering[""] = max(0.0, 100.0 - sum(entering.values()))
    return weights


def _terms(drafts: Iterable[Draft]) -> dict[str, str]:
    """Experiment → 16 hex digits of all that a visitor of it could tell apart: unit, layer, traffic
    and weights in buckets, and what each variant shows."""
    found: dict[str, str] = {}
    for draft in drafts:
        if (experiment := draft.rule.experiment) is not None:
            weights = shares({name: arm.weight for name, arm in experiment.variants.items()})
            traffic = round(experiment.traffic * BUCKETS / 100)
            terms = (experiment.unit, experiment.layer, traffic, weights, draft.arms)
            canonical = _CANONICAL.encode(terms)
            found[draft.rule.id] = blake2b(canonical, digest_size=8).hexdigest()
    return found


def _entry(rule_id: str, experiment: Experiment) -> str:
    """The ledger's name of the traffic map that an experiment is part of."""
    return LAYER + experiment.layer if experiment.layer else TRAFFIC + rule_id


def _slot(name: str, decl: SlotDecl, timed: Timed, drafts: Iterable[Draft], grown: Ledger) -> Slot:
    mine = [draft for draft in drafts if draft.rule.slot == name]
    rules = tuple(_rule(draft, grown) for draft in mine)
    index = build([draft.lowered for draft in mine])
    head = SlotHead(name, decl.default, decl.json, timed.thresholds(decl.default, mine))
    return Slot(head, timed.schema, rules, index)


def _rule(draft: Draft, grown: Ledger) -> Rule:
    rule = draft.rule
    return Rule(
        id=rule.id,
        arms=draft.arms,
        tree=encoded(draft.typed.expr),
        text=rule.when,
        plain=draft.plain,
        needs=draft.needs,
        band=rule.band,
        from_s=draft.from_s,
        until_s=draft.until_s,
        limit=draft.limit,
        split=None if rule.experiment is None else _split(rule.id, rule.experiment, grown),
        serves_stale=rule.stale == "serve",
        hours=draft.hours,
        once=rule.once_per_page,
        holds=rule.hold == "session",
    )


def _split(rule_id: str, experiment: Experiment, grown: Ledger) -> Split:
    return Split(
        id=rule_id,
        unit=experiment.unit,
        goal=experiment.goal,
        entry_salt=layer_salt(layer) if (layer := experiment.layer) else traffic_salt(rule_id),
        variant_salt=variant_salt(rule_id),
        entry=grown.maps[_entry(rule_id, experiment)],
        variants=grown.maps[VARIANTS + rule_id],
        phase=grown.phases[rule_id].number,
    )

"""What a playbook processes, and for which purpose: the playbook in, a record of it out.

Everything in it is inferred: purposes travel from what is read to what reads it, as they do at the
edge. It says nothing of what only the controller knows, such as the legal basis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import msgspec

from decisions import consent
from decisions.cart import MAX_LINES
from decisions.conditions import tree_of
from decisions.consent import FUNCTIONAL, PERSONALIZATION
from decisions.measures import DISTINCT
from decisions.playbook import MeasureDecl, Signal, WrittenPlaybook
from decisions.program import Program
from decisions.rules.syntax import Attr, Binary, Expr, Index, Literal, children
from decisions.schema import MAP_DOUBLE, MAP_INT, Schema
from decisions.tables import Rule
from decisions.templates import Template

DAY_S = 86_400
REQUEST, PROFILE, MEMBERSHIP = "the request", "the profile cookie", "the membership"
_CUSTOMERS = {"traits": "trait", "scores": "score"}
_WITH_REQUESTS = {"geo", "device", "page", "referrer", "utm", "time", "local", "now", "locale"}

_Read: TypeAlias = tuple[str, str | None]  # an attribute, and the member or key of it


class Use(msgspec.Struct, frozen=True):
    """One thing that is processed. kind: attribute, segment, trait, score, tag, signal, measure,
    list, recommendation, cap, experiment, rule or fragment. needs: every purpose that must be
    granted for it. about: what it is, as the playbook has it; of an attribute, where it comes
    from."""

    kind: str
    name: str
    needs: list[str]
    about: str


class Purposed(msgspec.Struct, frozen=True):
    """A purpose. asked: whether the site asks for it; else no grant reaches what needs it. keeps:
    what is kept under it. uses: what needs it, alone or with others."""

    purpose: str
    asked: bool
    keeps: list[str]
    uses: list[Use]


class Processing(msgspec.Struct, frozen=True):
    """The record. purposes: `none` is what needs no grant, `authenticated` what needs a sign-in.
    sensitive: dimension → the values that need their own opt-in. half_life_days: in which an
    interest halves."""

    playbook: str
    purposes: list[Purposed]
    sensitive: dict[str, list[str]]
    half_life_days: float


def processing(written: WrittenPlaybook, program: Program) -> Processing:
    """The record of a playbook; the same one, the same record. program: made of it."""
    uses = [use for list_ in _USES for use in list_(written, program)]
    purposes = []
    for purpose in consent.NEEDS:
        here = [use for use in uses if purpose in (use.needs or ["none"])]
        asked = purpose not in consent.PURPOSES or purpose in written.settings.purposes
        purposes.append(Purposed(purpose, asked, list(_keeps(purpose, program)), here))
    return Processing(
        playbook=program.name,
        purposes=purposes,
        sensitive={name: list(of) for name, of in written.settings.sensitive_values.items()},
        half_life_days=program.learning.half_life_s / DAY_S,
    )


def _keeps(purpose: str, program: Program) -> Iterator[str]:
    """What is kept under a purpose beside the choice itself."""
    learning = program.learning
    if purpose == "none":
        yield "each choice, and each request to be forgotten, as proof (event log)"
    if purpose in ("functional", "analytics", "personalization"):
        yield "a random id of this browser (profile cookie)"
    if purpose == "functional":
        if learning.carts:
            yield "pieces, value and last change of the cart (profile cookie)"
            yield f"up to {MAX_LINES} products of the cart, with pieces and value (profile cookie)"
        if learning.caps:
            yield "when a rule with a cap was seen (profile cookie)"
    elif purpose == "analytics":
        yield "a row for each event and each decision (event log)"
    elif purpose == "personalization":
        yield from _keeps_personal(program)
    elif purpose == "sensitive" and (learning.sensitive or program.schema.sensitive):
        yield "all of the above as far as it is about a sensitive value"


def _keeps_personal(program: Program) -> Iterator[str]:
    learning = program.learning
    yield "first visit, number of visits, session and its campaign (profile cookie)"
    yield "how often each event happened (profile cookie)"
    yield "interests, weighed and fading; those that were declared (profile cookie)"
    if learning.measures or learning.entries:
        yield "the measures and lists below (profile cookie)"
    if any(measure.kind == DISTINCT for measure in learning.measures.values()):
        yield "3 bytes of a hash of each thing that a measure counts once (profile cookie)"
    yield "a keyed hash of the customer, until when signed in and recognised (profile cookie)"
    yield "segments, traits, scores and interests of customers (membership)"
    if program.head.recommendations is not None:
        yield "the last items that customers bought (membership)"


def _attributes(_: WrittenPlaybook, program: Program) -> Iterator[Use]:
    """What rules, tags and fragments read, but for segments, tags, traits and scores."""
    schema, found = program.schema, dict[str, int]()
    for name, key in sorted(_reads_of(program), key=lambda read: (read[0], read[1] or "")):
        root = name.partition(".")[0]
        if root in _CUSTOMERS or name in ("segments", "tags"):
            continue
        needs = schema.needs(name, key)
        is_special = key is not None and needs != schema.needs(name)
        found[f'{name}["{key}"]' if is_special else name] = needs
    for label, needs in found.items():
        root = label.partition(".")[0]
        yield _use("attribute", label, needs, REQUEST if root in _WITH_REQUESTS else PROFILE)


def _reads_of(program: Program) -> set[_Read]:
    rules = [rule for slot in program.slots.values() for rule in slot.rules]
    trees = [rule.tree for rule in rules] + [tag.tree for tag in program.head.tags]
    found = {read for tree in trees for read in _reads(tree_of(tree))}
    for name in program.fragments:
        found |= set(_tokens(program.template(name), program.schema))
    return found


def _reads(expr: Expr) -> Iterator[_Read]:
    """What an expression reads, with the key where it is written out."""
    match expr:
        case Attr(name):
            yield name, None
        case Index(Attr(name), Literal(str(key))) | Binary("in", Literal(str(key)), Attr(name)):
            yield name, key
        case _:
            for part in children(expr):
                yield from _reads(part)


def _tokens(template: Template, schema: Schema) -> Iterator[_Read]:
    """What a fragment reads; a name that is no attribute's is given by a rule."""
    for token in template.tokens:
        parent, _, key = token.name.rpartition(".")
        if token.name in schema.attributes:
            yield token.name, None
        elif (of := schema.attributes.get(parent)) and of.type in (MAP_INT, MAP_DOUBLE):
            yield parent, key


def _segments(written: WrittenPlaybook, program: Program) -> Iterator[Use]:
    needs = program.schema.members.get("segments", {})
    for name, segment in written.segments.items():
        yield _use(
            "segment", name, needs.get(name, 0) | PERSONALIZATION, segment.about or segment.when
        )


def _declared(written: WrittenPlaybook, program: Program) -> Iterator[Use]:
    """Traits, scores, and what else the site declares of its own."""
    for name in written.settings.attributes:
        root = name.partition(".")[0]
        kind, about = _CUSTOMERS.get(root, "attribute"), MEMBERSHIP
        if kind == "attribute":
            about = "declared by the playbook"
        yield _use(kind, name, program.schema.attributes[name].needs, about)


def _tags(_: WrittenPlaybook, program: Program) -> Iterator[Use]:
    for tag in program.head.tags:
        yield _use("tag", tag.name, tag.needs | PERSONALIZATION, tag.text)


def _signals(written: WrittenPlaybook, _: Program) -> Iterator[Use]:
    for signal in written.settings.signals:
        if signal.cart:
            yield _use("signal", signal.on, FUNCTIONAL, f"cart: {signal.cart}")
        yield _use("signal", signal.on, PERSONALIZATION, _taught(signal))


def _taught(signal: Signal) -> str:
    said = ["is counted"]
    if (gain := signal.interest) is not None:
        said.append(f"adds {gain.add:g} to the interest in its {gain.key}")
    if (wish := signal.preference) is not None:
        said.append(f"declares the interest in its {wish.key}")
    return "; ".join(said)


def _measures(written: WrittenPlaybook, program: Program) -> Iterator[Use]:
    for name, measure in written.settings.measures.items():
        needs = program.schema.attributes[f"measures.{name}"].needs
        yield _use("measure", name, needs, _measured(measure))


def _measured(measure: MeasureDecl) -> str:
    shown = msgspec.to_builtins(measure)
    return ", ".join(f"{field}: {text}" for field, text in shown.items() if text)


def _lists(written: WrittenPlaybook, program: Program) -> Iterator[Use]:
    for name, one in written.settings.lists.items():
        needs = program.schema.attributes[f"lists.{name}"].needs
        yield _use("list", name, needs, f"the last {one.keep} values of {one.of} of {one.add}")


def _recommendations(_: WrittenPlaybook, program: Program) -> Iterator[Use]:
    if (terms := program.head.recommendations) is not None:
        about = "items that go with the last ones that a customer bought"
        yield _use("recommendation", "recommendations", terms.needs, about)


def _caps(written: WrittenPlaybook, _: Program) -> Iterator[Use]:
    for rule in written.rules:
        if (cap := rule.cap) is not None:
            yield _use("cap", rule.id, FUNCTIONAL, f"seen {cap.times} times at most in {cap.per}")


def _experiments(written: WrittenPlaybook, _: Program) -> Iterator[Use]:
    """Who may keep an id enters; what comes of it is read from the event log."""
    for rule in written.rules:
        if (split := rule.experiment) is not None:
            goal = f", measured by {split.goal}" if split.goal else ""
            variants = ", ".join(split.variants)
            about = f"by {split.unit}, {split.traffic:g} % of traffic: {variants}{goal}"
            yield _use("experiment", rule.id, consent.ANALYTICS, about)
    if (holdout := written.settings.holdout) is not None:
        about = f"by {holdout.unit}, {holdout.share:g} % see no {holdout.skips}"
        yield _use("experiment", holdout.name, consent.ANALYTICS, about)


def _rules(_: WrittenPlaybook, program: Program) -> Iterator[Use]:
    for slot in program.slots.values():
        for rule in slot.rules:
            about = f"{slot.name}: {rule.text}"
            yield _use("rule", rule.id, rule.needs | _shown(rule, program), about)


def _shown(rule: Rule, program: Program) -> int:
    """What the fragments of a rule need."""
    needs = 0
    for arm in rule.arms.values():
        needs |= program.fragments[arm.fragment].needs
    return needs


def _fragments(_: WrittenPlaybook, program: Program) -> Iterator[Use]:
    """Those that read something: the others are the same for everybody."""
    for name in sorted(program.fragments):
        reads = dict.fromkeys(_tokens(program.template(name), program.schema))
        if reads:
            about = ", ".join(f"{of}.{key}" if key else of for of, key in reads)
            yield _use("fragment", name, program.fragments[name].needs, about)


def _use(kind: str, name: str, needs: int, about: str) -> Use:
    return Use(kind, name, consent.names(needs), " ".join(about.split()))


_USES: tuple[Callable[[WrittenPlaybook, Program], Iterable[Use]], ...] = (
    _attributes,
    _segments,
    _declared,
    _tags,
    _signals,
    _measures,
    _lists,
    _recommendations,
    _caps,
    _experiments,
    _rules,
    _fragments,
)

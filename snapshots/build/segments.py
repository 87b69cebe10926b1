"""Who is in which segment, and everybody's scores: CEL over features in, columns out.

The expressions are the playbook's (segments) and those of sources.yaml (scores). They are parsed,
checked and compiled before a row is read, so that a mistake costs no build.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

import ibis
import msgspec

from decisions import consent
from decisions.declaring import needs_of
from decisions.errors import PlaybookErrors, Position, Problem, RuleError
from decisions.features import FeatureSchema, feature_schema
from decisions.findings import inside
from decisions.playbook import WrittenPlaybook
from decisions.rules.checker import Typed
from decisions.rules.checker import problems as rule_problems
from decisions.rules.parser import parse
from decisions.rules.syntax import Expr
from decisions.schema import DOUBLE, STRING
from snapshots.build.expressions import compile_column
from snapshots.build.features import Features, Read, column_of, people
from snapshots.build.identity import TRAIT
from snapshots.build.sources import Written

SCORE, SEGMENT = "scores.", "segments."  # what the columns of the answers are called by


class Definition(msgspec.Struct, frozen=True):
    """One segment or score: its text, and the tree that was made of it."""

    text: str
    expr: Expr


class Definitions(msgspec.Struct, frozen=True):
    """Everything that is computed per customer. reads: the features it takes."""

    segments: dict[str, Definition]
    scores: dict[str, Definition]
    traits: tuple[str, ...]
    reads: frozenset[Read]
    categories: tuple[str, ...]


def define(
    playbook: WrittenPlaybook, written: Written | None, categories: Iterable[str]
) -> Definitions:
    """The definitions of a playbook and its sources.

    Raises PlaybookErrors with everything that is wrong: an expression, a trait or score that
    playbook.yaml does not declare, one that is declared for less than it is made of.
    """
    known = tuple(categories)
    schema = feature_schema(playbook.settings, {"category": known})
    defining = _Defining(schema, known)
    traits = list(written.sources.customers.traits) if written and written.sources.customers else []
    if written is not None:
        for name in traits:
            place = ("customers", "traits", name)
            defining.declared(written, f"{TRAIT}{name}", STRING, *place)
        for name, text in written.sources.scores.items():
            defining.score(written, name, text)
    segments = {
        name: defining.definition(decl.when, "bool", playbook.where("segments", name, "when"))
        for name, decl in playbook.segments.items()
    }
    if defining.problems:
        raise PlaybookErrors(defining.problems)
    return Definitions(
        {name: each for name, each in segments.items() if each},
        defining.scores,
        tuple(traits),
        frozenset(defining.reads),
        known,
    )


class _Defining:
    """Collects what is read and what is wrong."""

    def __init__(self, schema: FeatureSchema, categories: tuple[str, ...]) -> None:
        self.schema, self.categories = schema, categories
        self.problems: list[Problem] = []
        self.reads: set[Read] = set()
        self.scores: dict[str, Definition] = {}

    def declared(self, written: Written, name: str, type_: str, *place: str) -> bool:
        """Whether the playbook declares an attribute that sources.yaml fills, as the right type."""
        attribute = self.schema.attributes.get(name)
        if attribute is not None and attribute.type == type_:
            return True
        own = [each for each in self.schema.attributes if each.startswith(name.split(".")[0] + ".")]
        near = get_close_matches(name, own, 1) if attribute is None else []
        got = f"one of type {attribute.type}" if attribute else "none"
        hint = f", did you mean {near[0]}?" if near else ""
        message = f"expected an attribute {name} of type {type_} in playbook.yaml, got {got}{hint}"
        self.problems.append(written.problem("unknown-attribute", message, *place))
        return False

    def score(self, written: Written, name: str, text: str) -> None:
        """Notes a score, unless it is declared for less than what it is made of."""
        place = ("scores", name)
        if not self.declared(written, f"{SCORE}{name}", DOUBLE, *place):
            return
        typed = self.typed(text, DOUBLE, written.document.where(place))
        if typed is None:
            return
        missing = needs_of(self.schema, typed) & ~self.schema.needs(f"{SCORE}{name}")
        if missing:
            needs = " and ".join(consent.names(missing))
            message = f"this score is made of what needs {needs}: declare that of {SCORE}{name}"
            self.problems.append(written.problem("purpose", message, *place))
        self.scores[name] = Definition(text, typed.expr)

    def definition(self, text: str, kind: str, at: Position) -> Definition | None:
        typed = self.typed(text, kind, at)
        return Definition(text, typed.expr) if typed else None

    def typed(self, text: str, kind: str, at: Position) -> Typed | None:
        """The checked expression, which can be compiled; None after its errors were noted."""
        errors: list[RuleError] = []
        typed = None
        try:
            typed, errors = rule_problems(parse(text), text, self.schema, kind)
            if typed is not None:
                compile_column(typed.expr, text, self.note, self.keys)
        except RuleError as error:
            errors = [error]
        self.problems += [
            Problem(
                code=error.code,
                message=error.what,
                at=inside(at, error.text, error.start),
                text=error.text,
                start=error.start,
                length=error.length,
            )
            for error in errors
        ]
        return None if errors else typed

    def note(self, name: str, key: str | None) -> None:
        """A look-up that finds nothing and remembers what was looked for."""
        self.reads.add((name, key))

    def keys(self, name: str) -> tuple[str, ...]:
        return keys_of(self.schema, name, self.categories)


def keys_of(schema: FeatureSchema, name: str, categories: tuple[str, ...]) -> tuple[str, ...]:
    """The keys that a map of features may have."""
    return tuple(schema.members.get(name, categories))


def answers(
    definitions: Definitions,
    playbook: WrittenPlaybook,
    features: Features,
    ids: Any,
    traits: Any | None,
    now_us: int,
) -> Any:
    """One row per customer: `customer`, `segments.<name>`, `scores.<name>`, `traits.<name>`.

    ids: everybody's id as text. Segments are never null: who cannot be judged is not in it. Scores
    are null where they cannot be computed.
    """
    schema = feature_schema(playbook.settings, {"category": definitions.categories})
    own = [(f"{TRAIT}{name}", None) for name in definitions.traits]
    table = people(features, ids, traits, [*definitions.reads, *own])
    moment = ibis.literal(now_us, "int64")

    def compiled(definition: Definition, table: Any) -> Any:
        def look(name: str, key: str | None) -> Any | None:
            column = column_of(name, key)
            if name == "now":
                return moment
            return table[column] if column in table.columns else None

        def keys(name: str) -> tuple[str, ...]:
            return keys_of(schema, name, definitions.categories)

        return compile_column(definition.expr, definition.text, look, keys).value

    scores = {f"{SCORE}{name}": compiled(each, table) for name, each in definitions.scores.items()}
    scored = table.mutate(**{name: _finite(value) for name, value in scores.items()})
    members = {
        f"{SEGMENT}{name}": compiled(each, scored).fill_null(False)
        for name, each in definitions.segments.items()
    }
    there = [f"{TRAIT}{name}" for name in definitions.traits if f"{TRAIT}{name}" in scored.columns]
    return scored.select("customer", *there, *scores, **members)


def _finite(value: Any) -> Any:
    return (value.isnan() | value.isinf()).ifelse(ibis.null("float64"), value)


def texts(definitions: Mapping[str, Definition]) -> dict[str, str]:
    """What was written, by name."""
    return {name: each.text for name, each in definitions.items()}

"""What is legal and still not meant: a playbook in, warnings out; none of them stops a build.

Every warning is certain of what it says; what is merely likely is not here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from decisions.compiling import VIEWED, Catalogue
from decisions.declaring import Declared, declare
from decisions.drafts import Draft, draft_rules
from decisions.errors import Problem, TemplateError
from decisions.events import KEY_FIELDS
from decisions.findings import Findings, suggestion
from decisions.playbook import Rule, WrittenPlaybook
from decisions.rules.checker import Typed
from decisions.schema import INTEREST, Schema
from decisions.silences import Warnings
from decisions.suspects import suspect_rules
from decisions.templates import Token, parse
from decisions.tokens import compile_fragments

WARNINGS: dict[str, str] = {
    "never-matches": "The conditions of a rule or tag contradict each other: whatever is granted, "
    "it never matches.",
    "constant-condition": "A part of a condition says the same of everybody: it compares nothing "
    "with the visitor, a thing with itself, or with what every value passes.",
    "impossible-value": "A comparison with a value that the attribute never has.",
    "out-of-reach": "A rule needs a purpose that `purposes` does not list: no grant reaches it.",
    "catches-all": "A rule matches everybody, even a visitor of whom nothing is known, and others "
    "come after it.",
    "catches-most": "A rule only rules out a few, and others come after it: it matches almost "
    "everybody.",
    "above-experiment": "A rule above an experiment reads what the goal of the experiment changes.",
    "twin-experiment": "The same variants are in two slots, as two experiments that are split "
    "apart.",
    "idle-once": "`once_per_page` changes nothing: no slot above the rule's own can show its "
    "fragments.",
    "sensitive-read": "A rule or tag reads something sensitive beside what an ordinary grant "
    "gives: without the opt-in, that part is absent.",
    "sensitive-segment": "A segment names an ordinary purpose, and reads what is sensitive.",
    "many-segments": "There are more than 15 segments: few people can keep them apart, and small "
    "ones say nothing.",
    "unused-segment": "A segment is computed for every customer, and no rule or tag reads it.",
    "unused-tag": "A tag is declared, and no rule reads it.",
    "unused-fragment": "No slot, rule, variant or other fragment shows a fragment.",
    "absent-token": "A token outside a section of its own is empty for a visitor of whom the "
    "value is not known or not granted.",
    "value-not-given": "A token outside a section comes from `with`, and a rule that shows the "
    "fragment gives none.",
    "unknown-key": "A rule or tag reads an interest key that the data does not hold.",
    "unseen-sensitive-value": "A sensitive value is one that the data never holds: is it spelled "
    "as there?",
    "never-held": "The build found no purchase of a sensitive category: is it spelled as there?",
    "no-data": "The first version was published without data, so nobody is in this segment yet.",
    "idle-silence": "`silence` names something that there is no warning about.",
}
OF_DATA = ("unknown-key", "unseen-sensitive-value", "never-held", "no-data")  # of `edgewise build`
MAX_SEGMENTS = 15  # of one channel

_PARTIAL = re.compile(r"\{\{>\s*([^\s}]+)")
_OUTCOME = msgspec.json.Encoder(order="deterministic")
_INTERESTS = tuple(INTEREST + field for field in KEY_FIELDS)
_KEYED = ("interest", *_INTERESTS, "session.views")  # page.category may be no product's
_ALWAYS_THERE = ("time.", "now")  # derived from the moment of the request


def warnings(written: WrittenPlaybook, catalogue: Catalogue | None = None) -> tuple[Problem, ...]:
    """What to look at, in file order; nothing while the playbook has errors, which come first."""
    findings = Findings(written)
    declared = declare(findings, catalogue)
    drafts = draft_rules(findings, declared.schema, allow_shadowed=True)
    compile_fragments(findings, declared.schema)
    if findings.problems:
        return ()
    found = Warnings(written)
    suspect_rules(found, declared, drafts)
    _unused(found, declared, drafts)
    _tokens(found, declared.schema)
    _values(found, declared, drafts, catalogue or {})
    found.judge_silences(WARNINGS, OF_DATA)
    return found.problems


def outcomes(written: WrittenPlaybook) -> dict[str, int]:
    """Slot → how many different things it can show, its default included: fragments, each with
    the values that rules and variants give."""
    shown: dict[str, set[tuple[str, bytes]]] = {
        name: {(slot.default, _OUTCOME.encode({}))} for name, slot in written.settings.slots.items()
    }
    for rule in written.rules:
        for fragment, values in _arms(rule):
            shown[rule.slot].add((fragment, _OUTCOME.encode(values)))
    return {name: len(found) for name, found in shown.items()}


def _arms(rule: Rule) -> Iterator[tuple[str, dict[str, Any]]]:
    if rule.experiment is None:
        yield rule.show, rule.with_
        return
    for variant in rule.experiment.variants.values():
        if variant.weight:
            yield variant.show, {**rule.with_, **variant.with_}


def _reads(typed: Iterable[Typed], name: str) -> set[str | None]:
    """The members or keys of attribute `name` that are read; None for the whole of it."""
    return {key for each in typed for read, key in each.reads if read == name}


def _unused(found: Warnings, declared: Declared, drafts: Iterable[Draft]) -> None:
    written = found.written
    typed = [*declared.tags.values(), *(draft.typed for draft in drafts)]
    for what, names, path in (
        ("segment", written.segments, ("segments",)),
        ("tag", written.settings.tags, ("settings", "tags")),
    ):
        used = _reads(typed, f"{what}s")
        for name in names:
            if None not in used and name not in used:
                found.warn(f"unused-{what}", f'no rule reads {what} "{name}"', *path, name)
    for name in list(written.segments)[MAX_SEGMENTS:][:1]:
        message = f"expected at most {MAX_SEGMENTS} segments, got {len(written.segments)}"
        found.warn("many-segments", message, "segments", name, about=written.settings.name)
    shown = {slot.default for slot in written.settings.slots.values()}
    shown |= {name for name, _, _ in showings(written)}
    for fragment in written.fragments.values():
        shown |= set(_PARTIAL.findall(fragment.text))
    for name in written.fragments:
        if name not in shown:
            found.warn("unused-fragment", f"nothing shows {name}", "fragments", name)


def showings(written: WrittenPlaybook) -> Iterator[tuple[str, str, set[str]]]:
    """(fragment, who shows it, the names that it gives with `with`), for rules and variants."""
    for rule in written.rules:
        if rule.show:
            yield rule.show, f"rule {rule.id}", set(rule.with_)
        if rule.experiment is not None:
            for name, variant in rule.experiment.variants.items():
                given = {*rule.with_, *variant.with_}
                yield variant.show, f"variant {name} of rule {rule.id}", given


def _tokens(found: Warnings, schema: Schema) -> None:
    written = found.written
    texts = {name: fragment.text for name, fragment in written.fragments.items()}
    showing: dict[str, list[tuple[str, set[str]]]] = {}
    for shown, who, names in showings(written):
        showing.setdefault(shown, []).append((who, names))
    for default in sorted({slot.default for slot in written.settings.slots.values()}):
        showing.setdefault(default, []).append(("a slot's default", set()))
    for name, fragment in written.fragments.items():
        given = showing.get(name, [])
        for token in parse(fragment.text, fragment.kind, texts).tokens:
            if token.use in ("value", "raw") and not token.within and token.name != ".":
                _token(found, schema, token, given, name)


def _token(
    found: Warnings,
    schema: Schema,
    token: Token,
    given: list[tuple[str, set[str]]],
    fragment: str,
) -> None:
    name, word = token.name, token.name.split(".", 1)[0]
    without = [who for who, names in given if not names & {name, word}]
    if not without:
        return  # nobody shows it, or everybody gives it
    attribute = schema.attributes.get(name) or schema.attributes.get(name.rpartition(".")[0])
    if attribute is None:
        _in_fragment(found, "value-not-given", f"{without[0]} gives no {name}", token, fragment)
    elif not (attribute.zero or name.startswith(_ALWAYS_THERE)):
        _in_fragment(found, "absent-token", f"{name} may be absent", token, fragment)


def _in_fragment(found: Warnings, code: str, message: str, token: Token, fragment: str) -> None:
    start, end = token.span
    text = found.written.fragments[fragment].text
    error = TemplateError(message, text, start, end - start, code=code)
    found.warn_in_text(error, "fragments", fragment)


def _values(
    found: Warnings, declared: Declared, drafts: Iterable[Draft], catalogue: Catalogue
) -> None:
    for dimension, values in found.written.settings.sensitive_values.items():
        known = set(catalogue.get(dimension, ()))
        for place, value in enumerate(values):
            if dimension in catalogue and value not in known:
                message = f'the data holds no {dimension} "{value}"{suggestion(value, known)}'
                at = ("settings", "sensitive_values", dimension, place)
                found.warn("unseen-sensitive-value", message, *at)
    keys = set(catalogue.get(VIEWED, ()))
    if not keys:
        return
    fields = {s.interest.key for s in found.written.settings.signals if s.interest}
    for field in sorted(fields & catalogue.keys()):
        keys |= set(catalogue[field])
    if fields - catalogue.keys():
        return  # what the data holds is not known in full
    places: list[tuple[Typed, tuple[str | int, ...]]] = [
        (typed, ("settings", "tags", name)) for name, typed in declared.tags.items()
    ]
    places += [(draft.typed, ("rules", draft.place, "when")) for draft in drafts]
    for typed, path in places:
        for key in sorted(key for n in _KEYED for key in _reads([typed], n) if key):
            if key not in keys:
                message = f'the data holds no "{key}"{suggestion(key, keys)}'
                found.warn("unknown-key", message, *path)

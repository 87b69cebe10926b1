"""Fragments compiled: templates parsed, each token known to the schema or given by a rule's `with`.

What a fragment needs is what its tokens need: purposes travel to what is shown, too.
"""

from __future__ import annotations

from collections.abc import Iterable

from decisions.drafts import check_fragment
from decisions.errors import TemplateError
from decisions.findings import Findings, suggestion
from decisions.placing import place
from decisions.playbook import WrittenPlaybook
from decisions.schema import MAP_DOUBLE, MAP_INT, Schema
from decisions.tables import Fragment, encoded
from decisions.templates import Token, included, parse


def compile_fragments(findings: Findings, schema: Schema) -> dict[str, Fragment]:
    """Every fragment of the playbook; what is wrong with one is noted."""
    written = findings.written
    texts = {name: fragment.text for name, fragment in written.fragments.items()}
    given = given_values(written)
    for name, slot in written.settings.slots.items():
        check_fragment(findings, slot.default, name, "settings", "slots", name, "default")
    compiled = {}
    html = {name for name, attribute in schema.attributes.items() if attribute.html}
    for name, fragment in written.fragments.items():
        partials = {n: t for n, t in texts.items() if written.fragments[n].kind == fragment.kind}
        try:
            template = parse(fragment.text, fragment.kind, partials)
        except TemplateError as error:
            findings.add_in_text(error, "fragments", name)
            continue
        template, misplaced = place(template, fragment.text, html)
        for wrong in misplaced:
            findings.add_in_text(wrong, "fragments", name)
        needs = 0
        for token in template.tokens:
            bits = token_needs(token, schema, given.get(name, frozenset()))
            if bits is None:
                findings.add_in_text(_unknown(token, fragment.text, schema), "fragments", name)
            needs |= bits or 0
        compiled[name] = Fragment(fragment.kind, needs, encoded(template))
    return compiled


def given_values(written: WrittenPlaybook) -> dict[str, frozenset[str]]:
    """Fragment → the names that some rule or variant showing it gives with `with`.

    A partial is given what the fragments that take it in are.
    """
    given: dict[str, set[str]] = {}
    for rule in written.rules:
        shown = [(rule.show, rule.with_)]
        if rule.experiment is not None:
            shown += [
                (variant.show, {**rule.with_, **variant.with_})
                for variant in rule.experiment.variants.values()
            ]
        for name, values in shown:
            given.setdefault(name, set()).update(values)
    texts = {name: fragment.text for name, fragment in written.fragments.items()}
    for name in given.keys() & texts.keys():
        for partial in included(texts[name], texts) - {name}:
            given.setdefault(partial, set()).update(given[name])
    return {name: frozenset(values) for name, values in given.items()}


def token_needs(token: Token, schema: Schema, given: Iterable[str]) -> int | None:
    """The purposes that a token needs, None for a token that nothing can fill.

    An attribute of the same name as what is given counts: not all who show the fragment give it.
    """
    name = token.name
    if name in schema.attributes:
        return schema.needs(name)
    parent, _, key = name.rpartition(".")
    if parent in schema.attributes and schema.attributes[parent].type in (MAP_INT, MAP_DOUBLE):
        members = schema.members.get(parent)
        if members is None or key in members:
            return schema.needs(parent, key)
    # Inside a section of what a rule gives, a name may be a key of its items.
    words = (each.split(".", 1)[0] for each in (name, *token.within))
    return 0 if name == "." or any(word in given for word in words) else None


def _unknown(token: Token, text: str, schema: Schema) -> TemplateError:
    start, end = token.span
    what = f"unknown token {token.name}{suggestion(token.name, schema.attributes)}"
    return TemplateError(what, text, start, end - start, code="unknown-token")

"""playbook.yaml and the segments checked: the schema that rules are written against comes out.

Purposes travel here: what a segment or tag needs is what everything it reads needs, and what it
declares on top.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from decisions import consent
from decisions.errors import RuleError
from decisions.events import KEY_FIELDS, RESERVED, VALUE_FIELDS
from decisions.experiments import UNITS
from decisions.features import attribute_of, feature_schema
from decisions.findings import Findings, check_duration
from decisions.measuring import EVENT, LISTS, MEASURES, is_reserved, listed, measured
from decisions.playbook import (
    AttributeDecl,
    Goal,
    Preference,
    Settings,
    Signal,
)
from decisions.rules.checker import Typed
from decisions.rules.checker import problems as rule_problems
from decisions.rules.parser import parse
from decisions.schema import (
    BUILT_IN,
    INTEREST,
    TYPES,
    Attribute,
    Schema,
    schema_of,
)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_ATTRIBUTE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
# least: of what one customer alone bought nothing may be told. keep: a part grows with it.
RECOMMENDATION_BOUNDS = {"least": (2, 1_000), "keep": (1, 50)}
_BUILT_IN = {attribute.name: attribute for attribute in BUILT_IN}


class Declared(NamedTuple):
    """What rules may read, and what tags and segments came to. features: what segments may read."""

    schema: Schema
    tags: dict[str, Typed]
    features: Schema
    segments: dict[str, Typed]


def declare(findings: Findings, catalogue: Mapping[str, Iterable[str]] | None) -> Declared:
    """Check everything but rules, fragments and tests."""
    settings = findings.written.settings
    _check_settings(findings)
    attributes = [*_attributes(findings), *measured(findings), *listed(findings)]
    features = feature_schema(settings, catalogue)
    segments = _segments(findings, features)
    members: dict[str, dict[str, int]] = {
        "counts": {signal.on: 0 for signal in settings.signals},
        "segments": _needs_of_segments(findings, features, segments),
    }
    sensitive, keys = dict(settings.sensitive_values), settings.query_keys
    _taint_interest(settings, attributes, sensitive)
    for_tags = schema_of(attributes, members, sensitive, keys)
    for_tags.attributes.pop("tags")  # a tag over tags would be a knot
    tags: dict[str, Typed] = {}
    for name, text in settings.tags.items():
        check_name(findings, "tag", name, "settings", "tags", name)
        if typed := checked(findings, text, for_tags, "settings", "tags", name):
            tags[name] = typed
    members["tags"] = dict.fromkeys(settings.tags, 0) | {
        name: needs_of(for_tags, typed) for name, typed in tags.items()
    }
    schema = schema_of(attributes, members, sensitive, keys)
    return Declared(schema, tags, features, segments)


def checked(findings: Findings, text: str, schema: Schema, *path: str | int) -> Typed | None:
    """The checked expression at `path`, or None after everything wrong with it was noted."""
    try:
        typed, errors = rule_problems(parse(text), text, schema, "bool")
    except RuleError as error:
        findings.add_in_text(error, *path)
        return None
    for problem in errors:
        findings.add_in_text(problem, *path)
    return None if errors else typed


def needs_of(schema: Schema, typed: Typed) -> int:
    """The purposes of everything that an expression reads, all alternatives together."""
    bits = 0
    for name, key in typed.reads:
        bits |= schema.needs(name, key)
    return bits


def _segments(findings: Findings, features: Schema) -> dict[str, Typed]:
    """The segments without errors."""
    found: dict[str, Typed] = {}
    for name, segment in findings.written.segments.items():
        check_name(findings, "segment", name, "segments", name)
        if typed := checked(findings, segment.when, features, "segments", name, "when"):
            found[name] = typed
    return found


def _needs_of_segments(
    findings: Findings, features: Schema, segments: Mapping[str, Typed]
) -> dict[str, int]:
    needs: dict[str, int] = {}
    for name, segment in findings.written.segments.items():
        declared = _purposes(findings, segment.purpose, "segments", name, "purpose")
        typed = segments.get(name)
        needs[name] = declared | (needs_of(features, typed) if typed else 0)
    return needs


def check_name(findings: Findings, what: str, name: str, *path: str | int) -> None:
    if not NAME.fullmatch(name):
        rule = 'letters, digits, "_", "." and "-", at most 64'
        findings.add("bad-name", f"expected a {what} of {rule}, got {name!r}", *path)


def _purposes(findings: Findings, written: str | list[str], *path: str | int) -> int:
    names = [written] if isinstance(written, str) else written
    for name in names:
        if name and name not in consent.NEEDS:
            findings.unknown("purpose", name, consent.NEEDS, *path)
    return consent.mask(name for name in names if name in consent.NEEDS)


def _taint_interest(
    settings: Settings, attributes: list[Attribute], sensitive: dict[str, list[str]]
) -> None:
    """Interest is tainted by every field that signals key it by, not by categories alone; that in
    the values of one field is read as `interest.<field>`."""
    built_in = next((a for a in attributes if a.name == "interest"), _BUILT_IN["interest"])
    keyed_by = _keyed_by(settings)
    fields = sorted({built_in.dimension, *(keyed_by & sensitive.keys())})
    if len(fields) > 1:
        dimension = "+".join(fields)
        sensitive[dimension] = [word for each in fields for word in sensitive.get(each, ())]
        built_in = msgspec.structs.replace(built_in, dimension=dimension)
        attributes.append(built_in)
    for field in sorted(keyed_by & set(KEY_FIELDS)):
        attributes.append(msgspec.structs.replace(built_in, name=f"{INTEREST}{field}"))


def _keyed_by(settings: Settings) -> set[str]:
    """The fields of events whose values interest is taken in, or declared."""
    signals = settings.signals
    declared = {signal.preference.key for signal in signals if signal.preference}
    return declared | {signal.interest.key for signal in signals if signal.interest}


def _attributes(findings: Findings) -> list[Attribute]:
    settings = findings.written.settings
    declared = settings.attributes
    ours = {*_BUILT_IN, *(f"page.query.{key}" for key in settings.query_keys)}
    taken = {*ours, *declared}
    found = []
    for name, decl in declared.items():
        path = ("settings", "attributes", name)
        words = name.split(".")
        if not _ATTRIBUTE.fullmatch(name) or is_reserved(words):
            findings.add("bad-name", f"expected dotted words as a name, got {name!r}", *path)
        for length in range(1, len(words)):
            if (above := ".".join(words[:length])) in taken:
                findings.add("bad-name", f"{name} lies inside the attribute {above}", *path)
        if words[0] in (MEASURES, LISTS):
            findings.add("built-in", f"{name} would be one of {words[0]}: declare it there", *path)
        if below := sorted(each for each in ours if each.startswith(f"{name}.")):
            findings.add("bad-name", f"the attribute {below[0]} lies inside {name}", *path)
        _check_attribute(findings, decl, *path)
        if attribute := attribute_of(name, decl):
            found.append(_merged(findings, attribute, *path))
    return found


def _check_attribute(findings: Findings, decl: AttributeDecl, *path: str | int) -> None:
    if decl.type not in TYPES:
        findings.unknown("type", decl.type, TYPES, *path, "type")
    _purposes(findings, decl.purpose, *path, "purpose")
    _check_needs(findings, decl.needs, *path, "needs")


def _check_needs(findings: Findings, needs: str, *path: str | int) -> None:
    if needs not in {"", "authenticated"}:
        message = f'expected needs to be "authenticated", got {needs!r}'
        findings.add("unknown-need", message, *path)


def _merged(findings: Findings, own: Attribute, *path: str | int) -> Attribute:
    """A built-in attribute keeps its type and its needs; the playbook may ask for more."""
    built_in = _BUILT_IN.get(own.name)
    if built_in is None:
        return own
    if own.type != built_in.type:
        message = f"{own.name} is built in: expected {built_in.type}, got {own.type}"
        findings.add("built-in", message, *path, "type")
    dimension = own.dimension or built_in.dimension
    if built_in.dimension and dimension != built_in.dimension:  # it would lose its taint
        message = f"{own.name} is built in: expected {built_in.dimension}, got {dimension}"
        findings.add("built-in", message, *path, "dimension")
    return msgspec.structs.replace(
        built_in, needs=built_in.needs | own.needs, dimension=dimension, html=own.html
    )


def _check_settings(findings: Findings) -> None:
    settings = findings.written.settings
    if not settings.slots:
        findings.add("no-slots", "expected at least one slot, got none", "settings", "slots")
    for name in settings.slots:
        check_name(findings, "slot", name, "settings", "slots", name)
    if not settings.bands:
        findings.add("no-bands", "expected at least one band, got none", "settings", "bands")
    for place, band in enumerate(settings.bands):
        if band in settings.bands[:place]:
            message = f'band "{band}" is there twice'
            findings.add("duplicate-band", message, "settings", "bands", place)
    events = {signal.on for signal in settings.signals}
    for place, signal in enumerate(settings.signals):
        _check_signal(findings, signal, "settings", "signals", place)
    for name, goal in settings.goals.items():
        _check_goal(findings, goal, events, "settings", "goals", name)
    _check_dimensions(findings)
    _check_holdout(findings)
    _check_recommendations(findings)
    _check_consent_and_silence(findings)
    check_duration(findings, settings.interest.half_life, "settings", "interest", "half_life")
    if zone_of(settings) is None:
        got = settings.timezone
        message = f"expected an IANA time zone such as Europe/Paris, got {got!r}"
        findings.add("unknown-timezone", message, "settings", "timezone")


def _check_consent_and_silence(findings: Findings) -> None:
    settings = findings.written.settings
    for place, name in enumerate(settings.purposes):
        if name not in consent.PURPOSES:
            findings.unknown("purpose", name, consent.PURPOSES, "settings", "purposes", place)
    for code, names in settings.silence.items():
        for name, reason in names.items():
            if not reason.strip():
                message = f'expected the reason why {code} of "{name}" is meant, got none'
                findings.add("no-reason", message, "settings", "silence", code, name)


def _check_holdout(findings: Findings) -> None:
    if (holdout := findings.written.settings.holdout) is None:
        return
    path = ("settings", "holdout")
    check_name(findings, "holdout", holdout.name, *path, "name")
    if holdout.unit not in UNITS:
        findings.unknown("unit", holdout.unit, UNITS, *path, "unit")
    if not 0 < holdout.share < 100:
        message = f"expected a percentage above 0 and below 100, got {holdout.share:g}"
        findings.add("bad-share", message, *path, "share")


def _check_recommendations(findings: Findings) -> None:
    if (declared := findings.written.settings.recommendations) is None:
        return
    path = ("settings", "recommendations")
    check_duration(findings, declared.window, *path, "window")
    _check_needs(findings, declared.needs, *path, "needs")
    for name, (low, high) in RECOMMENDATION_BOUNDS.items():
        if not low <= (got := getattr(declared, name)) <= high:
            message = f"expected {low} to {high}, got {got}"
            findings.add("out-of-range", message, *path, name)


def zone_of(settings: Settings) -> ZoneInfo | None:
    """The playbook's time zone, None when nobody knows it."""
    try:
        return ZoneInfo(settings.timezone)
    except (OSError, ValueError, KeyError):  # a folder's name; "../"; ZoneInfoNotFoundError
        return None


def _check_signal(findings: Findings, signal: Signal, *path: str | int) -> None:
    if signal.on in RESERVED:
        message = f'"{signal.on}" is reserved: Edgewise handles it itself, it needs no signal'
        findings.add("reserved-event", message, *path, "on")
    elif not EVENT.fullmatch(signal.on):
        message = f'expected an event of letters, digits and "_", at most 64, got {signal.on!r}'
        findings.add("bad-name", message, *path, "on")
    if signal.interest and signal.interest.key not in KEY_FIELDS:
        findings.unknown("event field", signal.interest.key, KEY_FIELDS, *path, "interest", "key")
    if signal.interest and not 0 < abs(signal.interest.add) <= 1_000:
        message = f"expected a weight of -1000 to 1000 that is not 0, got {signal.interest.add:g}"
        findings.add("bad-weight", message, *path, "interest", "add")
    if signal.preference:
        _check_preference(findings, signal.preference, *path, "preference")


def _check_preference(findings: Findings, wish: Preference, *path: str | int) -> None:
    if wish.key not in KEY_FIELDS:
        findings.unknown("event field", wish.key, KEY_FIELDS, *path, "key")
    if wish.score is not None and not 0 <= wish.score <= 100:
        message = f"expected a score of 0 to 100, got {wish.score:g}"
        findings.add("bad-weight", message, *path, "score")


def _check_goal(findings: Findings, goal: Goal, events: set[str], *path: str | int) -> None:
    if goal.on not in events:
        findings.unknown("event", goal.on, events, *path, "on")
    if goal.value and goal.value not in VALUE_FIELDS:
        findings.unknown("event field", goal.value, VALUE_FIELDS, *path, "value")
    check_duration(findings, goal.window, *path, "window")


def _check_dimensions(findings: Findings) -> None:
    settings = findings.written.settings
    known = {attribute.dimension for attribute in BUILT_IN} - {""}
    known |= {decl.dimension for decl in settings.attributes.values() if decl.dimension}
    known |= _keyed_by(settings)
    known |= {measure.per for measure in settings.measures.values() if measure.per}
    for dimension in settings.sensitive_values:
        if dimension not in known:
            path = ("settings", "sensitive_values", dimension)
            findings.unknown("dimension", dimension, known, *path)

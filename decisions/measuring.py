"""Measures as a playbook declares them: checked, each with its place; their attributes out."""

from __future__ import annotations

import re
from collections.abc import Iterable

from decisions import consent
from decisions.events import KEY_FIELDS, VALUE_FIELDS
from decisions.findings import Findings, check_duration
from decisions.lesson import MAX_LISTED
from decisions.measures import DISTINCT, MAX_MOST, MOST, Kind, Measure
from decisions.playbook import MeasureDecl, duration_s
from decisions.rules.parser import RESERVED as GRAMMAR
from decisions.schema import DOUBLE, INT, MAP_DOUBLE, MAP_INT, SET, TIMESTAMP, Attribute

EVENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")  # counts.<event> must be a name in CEL
_RESERVED_WORDS = frozenset({"true", "false", "null", "in"})
MEASURES = "measures"  # what their attributes begin with
LISTS = "lists"
MAX_LISTS = 8  # of a playbook: their things are words, which take room
MAX_MEASURES = 32  # of a playbook; the cookie has room for a few
SESSION = "session"
_KINDS: tuple[Kind, ...] = ("count", "sum", "max", "last", DISTINCT)
_MEASURE_TYPES = {  # without and with `per`
    "count": (INT, MAP_INT),
    DISTINCT: (INT, MAP_INT),
    "last": (TIMESTAMP, ""),
}


def measured(findings: Findings) -> list[Attribute]:
    """The attribute of each measure that is without errors."""
    settings, found = findings.written.settings, []
    if len(settings.measures) > MAX_MEASURES:
        message = f"expected at most {MAX_MEASURES} measures, got {len(settings.measures)}"
        findings.add("too-many", message, "settings", MEASURES)
    for name, decl in settings.measures.items():
        if _check_measure(findings, name, decl, "settings", MEASURES, name):
            measure = measure_of(decl)
            type_ = _MEASURE_TYPES.get(measure.kind, (DOUBLE, MAP_DOUBLE))[bool(measure.per)]
            found.append(
                Attribute(
                    f"{MEASURES}.{name}",
                    type_,
                    consent.PERSONALIZATION,
                    zero=measure.kind != "last",
                    dimension=measure.per,
                    most=measure.most if measure.kind == DISTINCT else 0,
                )
            )
    return found


def listed(findings: Findings) -> list[Attribute]:
    """The attribute of each list that is without errors."""
    settings, found = findings.written.settings, []
    events = {signal.on for signal in settings.signals}
    for name, decl in settings.lists.items():
        path, before = ("settings", LISTS, name), len(findings.problems)
        if not EVENT.fullmatch(name) or is_reserved([name]):
            message = f'expected a list of letters, digits and "_", at most 64, got {name!r}'
            findings.add("bad-name", message, *path)
        _check_word(findings, "event", decl.add, events, *path, "add")
        if decl.remove:
            _check_word(findings, "event", decl.remove, events, *path, "remove")
        _check_word(findings, "event field", decl.of, KEY_FIELDS, *path, "of")
        if not 1 <= decl.keep <= MAX_LISTED:
            message = f"expected to keep 1 to {MAX_LISTED}, got {decl.keep}"
            findings.add("bad-list", message, *path, "keep")
        if decl.add == decl.remove:
            message = "expected two events, got one that adds and removes"
            findings.add("bad-list", message, *path, "remove")
        if len(findings.problems) == before:
            most = decl.keep
            found.append(Attribute(f"{LISTS}.{name}", SET, consent.PERSONALIZATION, most=most))
    if len(settings.lists) > MAX_LISTS:
        message = f"expected at most {MAX_LISTS} lists, got {len(settings.lists)}"
        findings.add("too-many", message, "settings", LISTS)
    return found


def measure_of(decl: MeasureDecl) -> Measure:
    """What a declaration without errors says."""
    kind = next(kind for kind in _KINDS if getattr(decl, kind))
    field = getattr(decl, kind)
    return Measure(
        kind=kind,
        on=decl.of or field,
        field=field if decl.of else "",
        per=decl.per,
        within_s=duration_s(decl.within) if decl.within not in ("", SESSION) else 0.0,
        session=decl.within == SESSION,
        most=MOST if decl.most is None else decl.most,
    )


def _check_measure(findings: Findings, name: str, decl: MeasureDecl, *path: str | int) -> bool:
    """Whether the declaration is without errors."""
    before = len(findings.problems)
    if not EVENT.fullmatch(name) or is_reserved([name]):
        message = f'expected a measure of letters, digits and "_", at most 64, got {name!r}'
        findings.add("bad-name", message, *path)
    given = [kind for kind in _KINDS if getattr(decl, kind)]
    if len(given) != 1:
        got = " and ".join(given) or "none"
        findings.add("bad-measure", f"expected one of {', '.join(_KINDS)}, got {got}", *path)
        return False
    (kind,) = given
    _check_kind(findings, kind, decl, *path)
    if decl.per:
        _check_word(findings, "event field", decl.per, KEY_FIELDS, *path, "per")
    if decl.within not in ("", SESSION):
        check_duration(findings, decl.within, *path, "within")
    if kind == "last" and (decl.per or decl.within):
        message = "expected neither `per` nor `within`: `last` is one moment"
        findings.add("bad-measure", message, *path)
    return len(findings.problems) == before


def _check_kind(findings: Findings, kind: Kind, decl: MeasureDecl, *path: str | int) -> None:
    """What is measured, of which event, and how many at most."""
    events = {signal.on for signal in findings.written.settings.signals}
    if kind in ("count", "last"):
        if decl.of:
            findings.add("bad-measure", f"expected no `of`: `{kind}` names the event", *path, "of")
        _check_word(findings, "event", getattr(decl, kind), events, *path, kind)
    else:
        fields = KEY_FIELDS if kind == DISTINCT else VALUE_FIELDS
        _check_word(findings, "event field", getattr(decl, kind), fields, *path, kind)
        _check_word(findings, "event", decl.of, events, *path, "of")
    if decl.most is not None and kind != DISTINCT:
        message = f"expected no `most`: `{kind}` keeps no different things"
        findings.add("bad-measure", message, *path, "most")
    elif decl.most is not None and not 1 <= decl.most <= MAX_MOST:
        message = f"expected a `most` of 1 to {MAX_MOST}, got {decl.most}"
        findings.add("bad-measure", message, *path, "most")


def _check_word(
    findings: Findings, what: str, word: str, known: Iterable[str], *path: str | int
) -> None:
    if word not in known:
        findings.unknown(what, word, known, *path)


def is_reserved(words: list[str]) -> bool:
    """Whether CEL would not read the name: a name may not begin with any word of its grammar."""
    return words[0] in GRAMMAR or not _RESERVED_WORDS.isdisjoint(words)

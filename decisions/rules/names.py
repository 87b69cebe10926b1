"""Names in a rule: dotted words to an attribute by longest match, and what was probably meant.

In: the words with their places, the schema. Out: the attribute and the words left over, or a
RuleTypeError whose caret is under the word that is wrong. It reads no facts.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from decisions.errors import RuleTypeError
from decisions.rules.syntax import Expr, Name, Select, Span
from decisions.schema import Attribute, Schema

# What a member of an attribute is called, and the code of the error that names an unknown one.
MEMBERS = {
    "segments": ("unknown segment", "unknown-segment"),
    "tags": ("unknown tag", "unknown-tag"),
    "counts": ("undeclared counter", "undeclared-counter"),
}

# Built-in attributes whose words are known: what the value has to look like, as a pattern.
KNOWN_WORDS: dict[str, tuple[str, str]] = {
    "device.kind": ("one of mobile, tablet, desktop, bot", "mobile|tablet|desktop|bot"),
    "device.os": (
        "one of ios, android, windows, macos, chromeos, linux",
        "ios|android|windows|macos|chromeos|linux",
    ),
    "device.browser": (
        "one of edge, opera, samsung, firefox, chrome, safari",
        "edge|opera|samsung|firefox|chrome|safari",
    ),
    "time.weekday": ("one of mon, tue, wed, thu, fri, sat, sun", "mon|tue|wed|thu|fri|sat|sun"),
    "time.date": ("a date such as 2026-11-21", "[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "local.weekday": ("one of mon, tue, wed, thu, fri, sat, sun", "mon|tue|wed|thu|fri|sat|sun"),
    "local.date": ("a date such as 2026-11-21", "[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "local.zone": ("an IANA time zone such as Europe/Paris", "[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*"),
    "geo.country": ("an ISO 3166 code such as FR", "[A-Z]{2}"),
    "geo.continent": ("one of AF, AN, AS, EU, NA, OC, SA", "AF|AN|AS|EU|NA|OC|SA"),
}


class Word(NamedTuple):
    """One word of a dotted name, and its place in the text."""

    text: str
    at: Span


def words(expr: Expr, text: str) -> list[Word]:
    """The words of a dotted name; [] if the expression is none."""
    if isinstance(expr, Name):
        name = expr.name.removeprefix(".")
        return [Word(name, (expr.at[1] - len(name), expr.at[1]))]
    if isinstance(expr, Select) and (head := words(expr.operand, text)):
        end = expr.at[1]
        if expr.test:  # has(a.b): the bracket, and what blank there is, lies behind the field
            end = text.rindex(expr.field, 0, end) + len(expr.field)
        end -= text[end - 1] == "`"
        return [*head, Word(expr.field, (end - len(expr.field), end))]
    return []


def longest(named: Sequence[Word], schema: Schema) -> tuple[Attribute, Sequence[Word]] | None:
    """The attribute that the most of the words name, and the words behind it."""
    for length in range(len(named), 0, -1):
        name = ".".join(word.text for word in named[:length])
        if (attribute := schema.attributes.get(name)) is not None:
            return attribute, named[length:]
    return None


def nearest(written: str, known: Iterable[str]) -> str:
    """The known word that was probably meant, or ""."""
    return next(iter(difflib.get_close_matches(written, sorted(known), n=1)), "")


def unknown_attribute(
    named: Sequence[Word], text: str, schema: Schema, variables: Collection[str]
) -> RuleTypeError:
    """What is wrong with words that name no attribute, with a caret under the wrong ones."""
    whole = ".".join(word.text for word in named)
    below = sorted(name for name in schema.attributes if name.startswith(f"{whole}."))
    if below:
        what = f"{whole} is a group; one of its attributes is meant: {', '.join(below)}"
        return _error(what, text, (named[0].at[0], named[-1].at[1]))
    known = {*schema.attributes, *variables}
    for length in range(len(named), 0, -1):
        written = ".".join(word.text for word in named[:length])
        meant = nearest(written, (name for name in known if name.count(".") == length - 1))
        if meant:
            wrong = _first_difference(named, meant.split("."))
            what = f"unknown attribute, did you mean {meant}?"
            return _error(what, text, (wrong.at[0], named[length - 1].at[1]))
    roots = ", ".join(sorted(schema.roots() | set(variables)))
    what = f"unknown attribute; what a rule may read begins with {roots}"
    return _error(what, text, (named[0].at[0], named[-1].at[1]))


def _first_difference(named: Sequence[Word], meant: Sequence[str]) -> Word:
    pairs = zip(named, meant, strict=False)
    return next(word for word, right in pairs if word.text != right)


def _error(what: str, text: str, at: Span) -> RuleTypeError:
    return RuleTypeError(what, text, at[0], at[1] - at[0], code="unknown-attribute")


def member_problem(attribute: str, member: str, schema: Schema) -> tuple[str, str] | None:
    """Message and code if the attribute's members are declared and this is none of them."""
    members = schema.members.get(attribute)
    if members is None or member in members:
        return None
    what, code = MEMBERS.get(attribute, (f"unknown key of {attribute}", "unknown-member"))
    meant = nearest(member, members)
    return (f"{what}, did you mean {meant}?" if meant else what), code


def word_problem(attribute: str, value: str) -> str | None:
    """The message if the value can never be the attribute's."""
    expected, pattern = KNOWN_WORDS.get(attribute, ("", ".*"))
    if not expected or re.fullmatch(pattern, value):
        return None
    return f"expected {expected}, got {value}: {attribute} is never that"

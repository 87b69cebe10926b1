"""Where in JSON a token may stand: a state machine that makes sure that every filling is JSON.

Inside a string a token is escaped; in the place of a value it is written as a value. A section may
stand anywhere as long as the text is JSON with it, without it and with it twice: states are sets,
for after a section there may be several.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import NamedTuple, TypeAlias

from decisions.escapes import JSON_TEXT, JSON_VALUE, RAW
from decisions.markup import Refused
from decisions.ops import Value

MAX_DEPTH = 64
MAX_STATES = 16  # a section that opens what it does not close would make ever more of them


class Place(NamedTuple):
    """within: the brackets that are open. wanted: what may come. then: after a string's end."""

    within: str
    wanted: str
    then: str = ""


States: TypeAlias = frozenset[Place]

VALUE, ITEM, KEY, MEMBER, COLON, DONE = "value", "item", "key", "member", "colon", "end"
STRING = "rest of the string"
_AFTER = {"": DONE, "[": ", or ]", "{": ", or }"}
_SAID = {
    ITEM: "a value or ]",
    VALUE: "a value",
    KEY: "a key in quotes",
    MEMBER: "a key in quotes or }",
    COLON: "a colon",
    DONE: "the end",
}

# character and what is wanted → what opens ("" for nothing, None for a close) and what comes then
_MOVES: dict[tuple[str, str], tuple[str | None, str]] = {
    ("{", VALUE): ("{", MEMBER),
    ("{", ITEM): ("{", MEMBER),
    ("[", VALUE): ("[", ITEM),
    ("[", ITEM): ("[", ITEM),
    ("}", MEMBER): (None, ""),
    ("}", _AFTER["{"]): (None, ""),
    ("]", ITEM): (None, ""),
    ("]", _AFTER["["]): (None, ""),
    (",", _AFTER["{"]): ("", KEY),
    (",", _AFTER["["]): ("", VALUE),
    (":", COLON): ("", VALUE),
}
_BODY = re.compile(
    r'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u(?!d[89a-f])[0-9a-f]{4}'
    r"|\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2})*",
    re.IGNORECASE,
)
_BLANK = re.compile(r"[ \t\n\r]*")
_ATOM = re.compile(r"(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null)\b")

START: States = frozenset({Place("", VALUE)})


def follow(states: States, text: str) -> States:
    """The states after more text. Raises Refused where it is no JSON."""
    return frozenset(_follow(place, text) for place in states)


def _follow(place: Place, text: str) -> Place:
    at = 0
    while True:
        if place.wanted == STRING:
            at = _end(_BODY, text, at)
            if at == len(text):
                return place
            if text[at] != '"':
                raise Refused("expected text of a JSON string", "json", at)
            place, at = Place(place.within, place.then), at + 1
        at = _end(_BLANK, text, at)
        if at == len(text):
            return place
        place, at = _step(place, text, at)


def _step(place: Place, text: str, at: int) -> tuple[Place, int]:
    within, wanted, _ = place
    char = text[at]
    if (move := _MOVES.get((char, wanted))) is not None:
        opened, then = move
        if opened is None:
            return Place(within[:-1], _AFTER[within[:-1][-1:]]), at + 1
        if len(within) == MAX_DEPTH:
            raise Refused(f"expected at most {MAX_DEPTH} lists and maps in one another", "json", at)
        return Place(within + opened, then), at + 1
    if char == '"' and wanted in (KEY, MEMBER):
        return Place(within, STRING, COLON), at + 1
    if wanted in (VALUE, ITEM):
        if char == '"':
            return Place(within, STRING, _AFTER[within[-1:]]), at + 1
        if found := _ATOM.match(text, at):
            return Place(within, _AFTER[within[-1:]]), found.end()
    raise Refused(f"expected {_SAID.get(wanted, wanted)}, got {char}", "json", at)


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def fill(states: States, op: Value, allowed: Container[str]) -> tuple[str, States]:
    """The escape for a token here, and the states after it. Raises Refused."""
    if op.escape == RAW:
        raise Refused(f"expected {{{{{op.name}}}}}: JSON takes no raw tokens", "raw-token")
    if all(place.wanted == STRING for place in states):
        return JSON_TEXT, states
    if all(place.wanted in (VALUE, ITEM) for place in states):
        after = frozenset(Place(within, _AFTER[within[-1:]]) for within, _, _ in states)
        return JSON_VALUE, after
    raise Refused("expected a token inside a string, or in the place of a value")


def join(one: States, other: States) -> States:
    """The states after a section that may have been left out. Raises Refused for too many."""
    both = one | other
    if len(both) > MAX_STATES:
        raise Refused("expected a section to close what it opens", "json")
    return both


def finish(states: States) -> None:
    """Raises Refused unless the text is one whole JSON value, whichever sections were shown."""
    for place in sorted(states):
        if place.wanted != DONE:
            what = _SAID.get(place.wanted, place.wanted)
            raise Refused(f"expected {what}, got the end of the JSON", "json")

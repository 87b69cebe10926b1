"""The standard's functions and arithmetic, one table each: name and kinds of arguments to result.

The evaluator calls what the tables hold, the checker reads the kinds from them, the docs list them.
Everything is a pure function of its arguments; each raises EvaluationError and nothing else.
"""

from __future__ import annotations

import datetime
import functools
import math
import operator
import re
import zoneinfo
from collections.abc import Callable
from typing import Any, NamedTuple

import re2

from decisions.errors import EvaluationError
from decisions.rules.values import (
    NS,
    Duration,
    Timestamp,
    in_order,
    int64,
    spelt,
)

_OFFSET = re.compile(r"([+-]?)([0-9]{2}):([0-9]{2})")
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}")
_NUMBER = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|(?i:inf(?:inity)?|nan))"
)
_BOOLS = {
    **dict.fromkeys(("true", "True", "TRUE", "t", "1"), True),
    **dict.fromkeys(("false", "False", "FALSE", "f", "0"), False),
}


class Overload(NamedTuple):
    """One form of a function: kinds of the arguments (a method's target first), kind of the
    result."""

    args: tuple[str, ...]
    result: str
    call: Callable[..., Any]


@functools.lru_cache(maxsize=256)
def zone(name: str) -> datetime.tzinfo:
    """A time zone by IANA name (`Europe/Paris`) or offset (`+02:00`, `-09:30`, `02:00`).

    Raises EvaluationError for a name that nobody knows.
    """
    if offset := _OFFSET.fullmatch(name):
        minutes = int(offset[2]) * 60 + int(offset[3])
        if minutes < 24 * 60 and int(offset[3]) < 60:
            sign = -1 if offset[1] == "-" else 1
            return datetime.timezone(datetime.timedelta(minutes=sign * minutes))
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; a path; a folder of the time zone database
        raise EvaluationError(
            f"expected a time zone such as Europe/Paris or +02:00, got {spelt(name)}"
        ) from None


@functools.lru_cache(maxsize=1_024)
def pattern(text: str) -> Any:
    """A compiled RE2 pattern. Raises EvaluationError for what RE2 refuses (look-ahead among it)."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]
        raise EvaluationError(f"expected an RE2 pattern, got {spelt(text)}: {reason}") from None


def matches(text: str, wanted: str) -> bool:
    """Whether the pattern is found anywhere in the text."""
    try:
        return pattern(wanted).search(text) is not None
    except UnicodeEncodeError:
        raise EvaluationError("half a surrogate pair is no character") from None


def _int_of_double(value: float) -> int:
    # Both bounds are out of range: as doubles they are not told apart from what lies beyond.
    if not -(2.0**63) < value < 2.0**63:
        raise EvaluationError(f"integer out of range: {value}")
    return math.trunc(value)


def _int_of_string(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise EvaluationError(f"expected an integer, got {spelt(text)}")
    return int64(int(text))


def _double_of_string(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise EvaluationError(f"expected a number, got {spelt(text)}")
    return float(text)


def _string_of_double(value: float) -> str:
    """The shortest text that reads back as the same double; `1.0` is `1`."""
    if math.isfinite(value):
        return repr(value).removesuffix(".0")
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def _bool_of_string(text: str) -> bool:
    if text not in _BOOLS:
        raise EvaluationError(f"expected true or false, got {spelt(text)}")
    return _BOOLS[text]


def _same(value: Any) -> Any:
    return value


def _part(read: Callable[[datetime.datetime], int]) -> tuple[Overload, ...]:
    """A part of a moment's calendar or clock, in UTC or in a zone."""

    def part(moment: Timestamp, name: str = "UTC") -> int:
        return read(moment.at(zone(name)))

    return (
        Overload(("timestamp",), "int", part),
        Overload(("timestamp", "string"), "int", part),
    )


def _whole(unit_ns: int) -> Overload:
    """A duration in whole units, towards zero."""

    def whole(length: Duration) -> int:
        return abs(length.ns) // unit_ns * (-1 if length.ns < 0 else 1)

    return Overload(("duration",), "int", whole)


def _milliseconds(length: Duration) -> int:
    """The part below a second, as the standard's suite has it; not the whole length."""
    return abs(length.ns) % NS // 10**6 * (-1 if length.ns < 0 else 1)


_STRINGS = ("string", "string")
_SIZE = tuple(Overload((kind,), "int", len) for kind in ("string", "list", "map"))
_MATCHES = (Overload(_STRINGS, "bool", matches),)

FUNCTIONS: dict[str, tuple[Overload, ...]] = {
    "size": _SIZE,
    "matches": _MATCHES,
    "bool": (
        Overload(("bool",), "bool", _same),
        Overload(("string",), "bool", _bool_of_string),
    ),
    "int": (
        Overload(("int",), "int", _same),
        Overload(("double",), "int", _int_of_double),
        Overload(("string",), "int", _int_of_string),
        Overload(("timestamp",), "int", lambda moment: moment.ns // NS),
    ),
    "double": (
        Overload(("double",), "double", _same),
        Overload(("int",), "double", float),
        Overload(("string",), "double", _double_of_string),
    ),
    "string": (
        Overload(("string",), "string", _same),
        Overload(("bool",), "string", spelt),
        Overload(("int",), "string", str),
        Overload(("double",), "string", _string_of_double),
        Overload(("timestamp",), "string", str),
        Overload(("duration",), "string", str),
    ),
    "timestamp": (
        Overload(("timestamp",), "timestamp", _same),
        Overload(("string",), "timestamp", Timestamp.parse),
        Overload(("int",), "timestamp", lambda seconds: Timestamp.of(seconds * NS)),
    ),
    "duration": (
        Overload(("duration",), "duration", _same),
        Overload(("string",), "duration", Duration.parse),
    ),
}

METHODS: dict[str, tuple[Overload, ...]] = {
    "size": _SIZE,
    "matches": _MATCHES,
    "startsWith": (Overload(_STRINGS, "bool", str.startswith),),
    "endsWith": (Overload(_STRINGS, "bool", str.endswith),),
    "contains": (Overload(_STRINGS, "bool", operator.contains),),
    "getFullYear": _part(lambda moment: moment.year),
    "getMonth": _part(lambda moment: moment.month - 1),
    "getDate": _part(lambda moment: moment.day),
    "getDayOfMonth": _part(lambda moment: moment.day - 1),
    "getDayOfWeek": _part(lambda moment: moment.isoweekday() % 7),
    "getDayOfYear": _part(lambda moment: moment.timetuple().tm_yday - 1),
    "getHours": (*_part(lambda moment: moment.hour), _whole(3_600 * NS)),
    "getMinutes": (*_part(lambda moment: moment.minute), _whole(60 * NS)),
    "getSeconds": (*_part(lambda moment: moment.second), _whole(NS)),
    "getMilliseconds": (
        *_part(lambda moment: moment.microsecond // 1_000),
        Overload(("duration",), "int", _milliseconds),
    ),
}


def _divided(left: int, right: int) -> int:
    if right == 0:
        raise EvaluationError("divide by zero")
    quotient = abs(left) // abs(right)
    return int64(quotient if (left < 0) == (right < 0) else -quotient)


def _remainder(left: int, right: int) -> int:
    if right == 0:
        raise EvaluationError("modulus by zero")
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def _ratio(left: float, right: float) -> float:
    """IEEE 754: a division by zero is an infinity, or NaN."""
    if right:
        return left / right
    if left == 0.0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def _joined(left: Any, right: Any) -> list[Any]:
    return [*in_order(left), *in_order(right)]


OPERATORS: dict[str, tuple[Overload, ...]] = {
    "+": (
        Overload(("int", "int"), "int", lambda a, b: int64(a + b)),
        Overload(("double", "double"), "double", operator.add),
        Overload(("string", "string"), "string", operator.add),
        Overload(("list", "list"), "list", _joined),
        Overload(("timestamp", "duration"), "timestamp", lambda a, b: Timestamp.of(a.ns + b.ns)),
        Overload(("duration", "timestamp"), "timestamp", lambda a, b: Timestamp.of(a.ns + b.ns)),
        Overload(("duration", "duration"), "duration", lambda a, b: Duration.of(a.ns + b.ns)),
    ),
    "-": (
        Overload(("int", "int"), "int", lambda a, b: int64(a - b)),
        Overload(("double", "double"), "double", operator.sub),
        Overload(("timestamp", "timestamp"), "duration", lambda a, b: Duration.of(a.ns - b.ns)),
        Overload(("timestamp", "duration"), "timestamp", lambda a, b: Timestamp.of(a.ns - b.ns)),
        Overload(("duration", "duration"), "duration", lambda a, b: Duration.of(a.ns - b.ns)),
    ),
    "*": (
        Overload(("int", "int"), "int", lambda a, b: int64(a * b)),
        Overload(("double", "double"), "double", operator.mul),
    ),
    "/": (
        Overload(("int", "int"), "int", _divided),
        Overload(("double", "double"), "double", _ratio),
    ),
    "%": (Overload(("int", "int"), "int", _remainder),),
}

# Before an operand.
SIGNS: dict[str, tuple[Overload, ...]] = {
    "!": (Overload(("bool",), "bool", operator.not_),),
    "-": (
        Overload(("int",), "int", lambda value: int64(-value)),
        Overload(("double",), "double", operator.neg),
    ),
}

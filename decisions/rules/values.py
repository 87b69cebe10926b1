"""CEL's values where Python's differ: timestamps, durations, 64-bit integers, equality, map keys.

Python's bool, int, float, str, None, list and dict stand for CEL's bool, int, double, string, null,
list and map; a set counts as a list in sorted order. Nothing here reads a clock or a fact.
"""

from __future__ import annotations

import datetime
import enum
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from decisions.errors import EvaluationError


class Absent(enum.Enum):
    """The type of ABSENT, so that mypy can tell it from a value."""

    ABSENT = "absent"

    def __bool__(self) -> bool:
        return False


ABSENT: Final = Absent.ABSENT  # a fact that is unknown or not granted; never a value of CEL

MIN_INT, MAX_INT = -(2**63), 2**63 - 1
NS = 10**9  # nanoseconds in a second
MIN_TIME_NS = -62_135_596_800 * NS  # 0001-01-01T00:00:00Z
MAX_TIME_NS = 253_402_300_800 * NS - 1  # 9999-12-31T23:59:59.999999999Z
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()

_RFC_3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]{1,9}))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_DURATION_PART = re.compile(r"([0-9]{0,19})(?:\.([0-9]{0,19}))?(ns|us|µs|μs|ms|s|m|h)")
_UNIT_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6} | {
    "s": NS,
    "m": 60 * NS,
    "h": 3_600 * NS,
}


def int64(value: int) -> int:
    """The value itself. Raises EvaluationError where CEL's 64 bits overflow."""
    if MIN_INT <= value <= MAX_INT:
        return value
    raise EvaluationError("integer overflow: the result does not fit 64 bits")


def _ns(seconds: float) -> int:
    """Seconds in nanoseconds; whole seconds apart, so that two floats never become one moment."""
    try:
        whole = math.floor(seconds)
    except (ValueError, OverflowError):
        raise EvaluationError(f"expected a finite number of seconds, got {seconds}") from None
    return whole * NS + round((seconds - whole) * NS)


class Duration(msgspec.Struct, frozen=True, order=True):
    """A length of time in nanoseconds, within 64 bits (about 292 years either way)."""

    ns: int

    @staticmethod
    def of(ns: int) -> Duration:
        """Raises EvaluationError out of range."""
        if MIN_INT <= ns <= MAX_INT:
            return Duration(ns)
        raise EvaluationError("duration out of range: more than 292 years")

    @staticmethod
    def of_seconds(seconds: float) -> Duration:
        """Raises EvaluationError for NaN, infinities and out of range."""
        return Duration.of(_ns(seconds))

    @staticmethod
    def parse(text: str) -> Duration:
        """`1h30m`, `-1.5s`, `100ms`, `0`; units h m s ms us ns. Raises EvaluationError."""
        body = text[1:] if text[:1] in {"-", "+"} else text
        total, at = 0, 0
        while part := _DURATION_PART.match(body, at):
            whole, fraction, unit = part[1], part[2] or "", _UNIT_NS[part[3]]
            if not whole + fraction:
                break
            total += int(whole + fraction) * unit // 10 ** len(fraction)
            at = part.end()
        if body != "0" and (not at or at < len(body)):
            raise EvaluationError(f"expected a duration such as 15m, 24h or 1.5s, got {text!r}")
        return Duration.of(-total if text[0] == "-" else total)

    def __str__(self) -> str:
        sign = "-" if self.ns < 0 else ""
        return f"{sign}{_decimal(abs(self.ns))}s"


class Timestamp(msgspec.Struct, frozen=True, order=True):
    """A moment in nanoseconds since the epoch, from the year 1 to the year 9999."""

    ns: int

    @staticmethod
    def of(ns: int) -> Timestamp:
        """Raises EvaluationError out of range."""
        if MIN_TIME_NS <= ns <= MAX_TIME_NS:
            return Timestamp(ns)
        raise EvaluationError("timestamp out of range: before the year 1 or after 9999")

    @staticmethod
    def of_seconds(seconds: float) -> Timestamp:
        """Raises EvaluationError for NaN, infinities and out of range."""
        ns = _ns(seconds)
        return Timestamp(ns) if MIN_TIME_NS <= ns <= MAX_TIME_NS else Timestamp.of(ns)

    @staticmethod
    def parse(text: str) -> Timestamp:
        """RFC 3339 with up to nine decimals, `2026-11-21T09:00:00Z`. Raises EvaluationError."""
        match = _RFC_3339.fullmatch(text)
        try:
            if match is None:
                raise ValueError
            year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
            moment = datetime.datetime(year, month, day, hour, minute, second)
            offset_h, offset_m = int(match[9] or 0), int(match[10] or 0)
            if offset_h > 23 or offset_m > 59:
                raise ValueError
        except ValueError:
            raise EvaluationError(
                f"expected a timestamp such as 2026-11-21T09:00:00Z (years 1 to 9999), got {text!r}"
            ) from None
        offset_s = (offset_h * 3_600 + offset_m * 60) * (-1 if match[8] == "-" else 1)
        days = moment.toordinal() - EPOCH_DAY
        seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset_s
        return Timestamp.of(seconds * NS + int((match[7] or "0").ljust(9, "0")))

    def at(self, offset: datetime.tzinfo) -> datetime.datetime:
        """The calendar and clock of a time zone, to the microsecond.

        Raises EvaluationError where the local calendar leaves the years 1 to 9999.
        """
        try:
            return (EPOCH + datetime.timedelta(microseconds=self.ns // 1_000)).astimezone(offset)
        except OverflowError:
            raise EvaluationError("timestamp out of range in this time zone") from None

    def __str__(self) -> str:
        day, rest = divmod(self.ns, 86_400 * NS)
        date = datetime.date.fromordinal(day + EPOCH_DAY).isoformat()
        hour, rest = divmod(rest, 3_600 * NS)
        minute, rest = divmod(rest, 60 * NS)
        second, fraction = _decimal(rest).partition(".")[::2]
        tail = f".{fraction}" if fraction else ""
        return f"{date}T{hour:02}:{minute:02}:{int(second):02}{tail}Z"


def _decimal(ns: int) -> str:
    """Nanoseconds >= 0 as seconds in exact decimals without trailing zeros."""
    whole, fraction = divmod(ns, NS)
    return f"{whole}.{fraction:09}".rstrip("0").removesuffix(".")


class KeyedMap(Mapping[Any, Any]):
    """A map with keys other than strings: `true` and 1 are two keys, 1 and 1.0 are one.

    A dict whose keys are all strings needs no such care and stays a dict.
    """

    __slots__ = ("_entries",)

    def __init__(self, entries: Iterable[tuple[Any, Any]] = ()) -> None:
        """Raises EvaluationError for a key twice, or one that is no bool, int or string."""
        self._entries: dict[tuple[bool, Any], tuple[Any, Any]] = {}
        for key, value in entries:
            if type(key) not in KEYS:
                raise EvaluationError(f"unsupported key type: {kind_of(key)}")
            place = (type(key) is bool, key)
            if place in self._entries:
                raise EvaluationError(f"repeated key: {spelt(key)}")
            self._entries[place] = (key, value)

    def __getitem__(self, key: Any) -> Any:
        return self._entries[type(key) is bool, key][1]

    def __iter__(self) -> Iterator[Any]:
        return (key for key, _ in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)


KEYS = frozenset({bool, int, str})
NUMBERS = frozenset({int, float})
ORDERED = frozenset({bool, int, float, str, Timestamp, Duration})
_COMPARABLE = tuple(ORDERED)
LISTS = (list, tuple, set, frozenset)
MAPS = (dict, KeyedMap)
KINDS: dict[type, str] = {
    bool: "bool",
    int: "int",
    float: "double",
    str: "string",
    type(None): "null",
    Timestamp: "timestamp",
    Duration: "duration",
    **dict.fromkeys(LISTS, "list"),
    **dict.fromkeys(MAPS, "map"),
}


def kind_of(value: Any) -> str:
    """CEL's name for the type of a value; Python's for what is no value of CEL."""
    kind = KINDS.get(type(value))
    if kind is None:
        kind = next((name for base, name in KINDS.items() if isinstance(value, base)), None)
    return kind or type(value).__name__


def lifted(value: Any) -> Any:
    """A Python datetime or timedelta as CEL's; anything else as it is.

    A datetime without a zone is taken for UTC. Raises EvaluationError out of CEL's ranges, that of
    64-bit integers too.
    """
    if type(value) is int:
        return int64(value)
    if isinstance(value, datetime.datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
        return Timestamp.of((aware - EPOCH) // datetime.timedelta(microseconds=1) * 1_000)
    if isinstance(value, datetime.timedelta):
        return Duration.of(value // datetime.timedelta(microseconds=1) * 1_000)
    return value


def spelt(value: Any) -> str:
    """A scalar as CEL would write it, for messages."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def in_order(value: Any) -> list[Any] | tuple[Any, ...]:
    """The items of a list; a set is sorted by kind and value, so that its order is always the
    same."""
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=lambda item: (kind_of(item), _sortable(item)))
    return value  # type: ignore[no-any-return]  # a list or a tuple by the caller's word


def _sortable(item: Any) -> Any:
    return item if isinstance(item, _COMPARABLE) else repr(item)


def items_of(value: Any) -> Iterable[Any]:
    """What a macro ranges over: a list's items, a map's keys. Raises EvaluationError otherwise."""
    if isinstance(value, LISTS):
        return in_order(value)
    if isinstance(value, MAPS):
        return value
    raise EvaluationError(
        f"no such overload: a macro ranges over lists and maps, not {kind_of(value)}"
    )


def equals(left: Any, right: Any) -> bool:
    """CEL's `==`: 1 == 1.0, true != 1, NaN equals nothing, other types are never equal."""
    type_l, type_r = type(left), type(right)
    if (type_l is type_r and type_l in ORDERED) or (type_l in NUMBERS and type_r in NUMBERS):
        return bool(left == right)
    if isinstance(left, LISTS) and isinstance(right, LISTS):
        return len(left) == len(right) and all(
            equals(a, b) for a, b in zip(in_order(left), in_order(right), strict=True)
        )
    if isinstance(left, MAPS) and isinstance(right, MAPS):
        return len(left) == len(right) and all(
            (found := find(right, key)) is not ABSENT and equals(value, found)
            for key, value in left.items()
        )
    return left is None and right is None


def find(entries: Mapping[Any, Any], key: Any) -> Any:
    """The value of a key in a map, or ABSENT. Never raises."""
    if type(key) is str:
        return entries.get(key, ABSENT)
    if type(key) not in KEYS and type(key) is not float:
        return ABSENT
    if isinstance(entries, KeyedMap):
        return entries.get(key, ABSENT)
    return next((value for other, value in entries.items() if equals(other, key)), ABSENT)


def contains(container: Any, value: Any) -> bool:
    """CEL's `in`: an item of a list, a key of a map. Raises EvaluationError for other containers.

    A string in a set is found without a scan.
    """
    if isinstance(container, (set, frozenset)) and type(value) is str:
        return value in container
    if isinstance(container, LISTS):
        return any(equals(item, value) for item in container)
    if isinstance(container, MAPS):
        return find(container, value) is not ABSENT
    raise EvaluationError(f"no such overload: {kind_of(value)} in {kind_of(container)}")

"""A playbook as people wrote it: strict frozen structs, with the place of every word.

`snapshots.build.read_playbook` makes one from a folder; `compiling.compile_playbook` makes a
program from it. Expressions and templates are still text here. Durations are text too (`15m`,
`24h`, `14d`): `duration_s` reads them.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from decisions.consent import PURPOSES
from decisions.errors import Position

WrittenPath = tuple[str | int, ...]  # ("rules", 3, "when"): a place in a WrittenPlaybook

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}


def duration_s(text: str) -> float:
    """`15m`, `1h30m`, `14d`, `-20m` in seconds. Raises ValueError for anything else."""
    body = text.removeprefix("-")
    parts = _DURATION.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise ValueError(f"expected a duration such as 15m, 24h or 14d, got {text!r}")
    total = sum(float(number) * _UNIT_S[unit] for number, unit in parts)
    return -total if text.startswith("-") else total


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A typo such as `priorty` is refused, not ignored."""


class SlotDecl(_Written, frozen=True):
    default: str  # a fragment's name
    json: bool = False  # JSON fragments in, `json` in the reply


class Goal(_Written, frozen=True):
    on: str  # an event type
    value: str = ""  # the event's field that is summed
    window: str = "7d"


class AttributeDecl(_Written, frozen=True):
    type: str
    purpose: str | list[str] = "personalization"
    needs: str = ""  # "" or "authenticated"
    dimension: str = ""
    html: bool = False


class InterestGain(_Written, frozen=True):
    key: str  # an event's field: category, item, brand
    add: float


class Preference(_Written, frozen=True):
    key: str  # an event's field: category, item, brand
    score: float | None = None  # 0 to 100; without it what was declared is forgotten


class Signal(_Written, frozen=True):
    on: str
    interest: InterestGain | None = None
    cart: Literal["add", "remove", "clear"] | None = None
    preference: Preference | None = None


class MeasureDecl(_Written, frozen=True):
    """One of `count` and `last` (an event), `sum`, `max` and `distinct` (a field, `of` an event).
    per: a field whose values are told apart. within: a duration or `session`. most: how many
    different things are kept, 16 if it is not there."""

    count: str = ""
    sum: str = ""
    max: str = ""
    last: str = ""
    distinct: str = ""
    of: str = ""
    per: str = ""
    within: str = ""
    most: int | None = None


class ListDecl(_Written, frozen=True):
    """The last things that an event was about: `add` and `remove` name events."""

    add: str
    remove: str = ""
    of: str = "item"
    keep: int = 8


class InterestSettings(_Written, frozen=True):
    half_life: str = "14d"


class Cap(_Written, frozen=True):
    times: int
    per: str  # a duration


class Variant(_Written, frozen=True):
    weight: int
    show: str
    with_: dict[str, Any] = msgspec.field(default_factory=dict, name="with")


class Experiment(_Written, frozen=True):
    """weights are shares of the traffic that enters; traffic is a percentage of all units."""

    variants: dict[str, Variant]
    unit: Literal["visitor", "customer", "session"] = "visitor"
    goal: str = ""
    traffic: float = 100.0
    layer: str = ""


class Holdout(_Written, frozen=True):
    """A share of units that experiments, or all rules, pass over; share: a percentage."""

    share: float
    unit: Literal["visitor", "customer", "session"] = "visitor"
    name: str = "holdout"  # a new name draws anew
    skips: Literal["experiments", "rules"] = "experiments"


class Rule(_Written, frozen=True):
    """`show` or `experiment`, not both; `from` and `until` are dates or RFC 3339 times, `until`
    inclusive for a date; hours: days → `17:00-22:00`, in the playbook's time zone."""

    id: str
    slot: str
    when: str
    band: str = ""  # "" is the last band
    show: str = ""
    experiment: Experiment | None = None
    with_: dict[str, Any] = msgspec.field(default_factory=dict, name="with")
    from_: str = msgspec.field(default="", name="from")
    until: str = ""
    hours: dict[str, str | list[str]] = {}
    once_per_page: bool = False  # not while a slot decided before shows one of its fragments
    cap: Cap | None = None
    hold: Literal["", "session"] = ""  # once shown in a session, the slot keeps it
    stale: Literal["serve", "default"] = "serve"  # from a snapshot that is past its date


class SegmentDecl(_Written, frozen=True):
    when: str  # CEL over the builder's features
    purpose: str | list[str] = ""  # on top of what its features need
    about: str = ""


class FragmentText(_Written, frozen=True):
    """name: `hero/cart-reminder`; kind: `html` or `json`; file: relative to the playbook."""

    name: str
    text: str
    file: str
    kind: str = "html"


class PlaybookTest(_Written, frozen=True):
    """given: facts as nested maps (times relative to now, `-20m`); expect: slot → fragment's
    name. unit: what experiments split by. seen: rule → when it was seen, for caps. held: the rules
    that this session was shown and holds."""

    expect: dict[str, str]
    given: dict[str, Any] = {}
    grants: list[str] = []
    now: str = ""  # an RFC 3339 time
    name: str = ""
    unit: str = ""
    seen: dict[str, list[str]] = {}
    held: list[str] = []


class RecommendationsDecl(_Written, frozen=True):
    """Which items go together, from purchases. window: a duration, how far back these count. least:
    customers who must have bought an item, or both of a pair. keep: neighbours an item. needs: ""
    or "authenticated", for a customer's own purchases."""

    window: str = "365d"
    least: int = 5
    keep: int = 20
    needs: str = ""


class Settings(_Written, frozen=True):
    """playbook.yaml."""

    name: str
    slots: dict[str, SlotDecl]
    bands: list[str] = msgspec.field(default_factory=lambda: ["default"])
    goals: dict[str, Goal] = {}
    attributes: dict[str, AttributeDecl] = {}
    sensitive_values: dict[str, list[str]] = {}
    signals: list[Signal] = []
    measures: dict[str, MeasureDecl] = {}
    lists: dict[str, ListDecl] = {}
    tags: dict[str, str] = {}
    interest: InterestSettings = InterestSettings()
    recommendations: RecommendationsDecl | None = None
    holdout: Holdout | None = None
    timezone: str = "UTC"
    query_keys: list[str] = []
    purposes: list[str] = msgspec.field(default_factory=lambda: list(PURPOSES))
    silence: dict[str, dict[str, str]] = {}  # a warning's code → what it is about → why it is meant


class WrittenPlaybook(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in the folder but `sources.yaml`, which only the builder reads.

    positions: where each value stands, for every path a Problem may name. A path is spelled as the
    fields are: ("settings", "tags", "cart_abandoner"), ("segments", "loyal", "when"),
    ("rules", 0, "when"), ("fragments", "hero/welcome"), ("tests", 2, "expect", "hero").
    lines: file → its lines, as far as there are files.
    """

    settings: Settings
    segments: dict[str, SegmentDecl] = {}
    rules: tuple[Rule, ...] = ()
    fragments: dict[str, FragmentText] = {}
    tests: tuple[PlaybookTest, ...] = ()
    positions: dict[WrittenPath, Position] = {}
    lines: dict[str, tuple[str, ...]] = {}

    def line(self, at: Position) -> str:
        """The line that a place is on, "" where it is not known."""
        lines = self.lines.get(at.file, ())
        return lines[at.line - 1] if 0 < at.line <= len(lines) else ""

    def where(self, *path: str | int) -> Position:
        """The place of `path`, or of the nearest thing around it that has one."""
        for length in range(len(path), 0, -1):
            if (position := self.positions.get(path[:length])) is not None:
                return position
        return Position("playbook.yaml")

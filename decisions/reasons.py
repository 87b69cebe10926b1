"""Why a decision came out as it did: the closed list of reasons, and the steps that carry them."""

from __future__ import annotations

import enum

import msgspec


class Reason(enum.StrEnum):
    """The closed vocabulary of decisions: the API, the log, the metrics and `explain` use no other
    words."""

    MATCH = "MATCH"  # the rule's expression is true and it shows a fragment
    SPLIT = "SPLIT"  # the rule's expression is true and its experiment chose a variant
    DEFAULT = "DEFAULT"  # no rule took the slot
    ABSENT = "ABSENT"  # a value the rule needs is unknown or not granted
    CAPPED = "CAPPED"  # seen as often as its cap allows, or on this page already
    PAUSED = "PAUSED"  # stopped by an operator
    OUT_OF_SCHEDULE = "OUT_OF_SCHEDULE"  # before `from`, after `until` or outside `hours`
    HOLDOUT = "HOLDOUT"  # outside an experiment's share of traffic, or in the playbook's holdout
    STALE = "STALE"  # the snapshot is past its date and the rule does not serve then
    NO_SNAPSHOT = "NO_SNAPSHOT"  # this edge has nothing to decide with yet
    UNKNOWN_SLOT = "UNKNOWN_SLOT"  # the playbook has no such slot
    ERROR = "ERROR"  # deciding failed; the default was served


class Step(msgspec.Struct, frozen=True):
    """One rule that was looked at, and what came of it.

    rule: its id, "" for the slot's default. detail: which value was absent and why, or "".
    """

    rule: str
    reason: Reason
    detail: str = ""

"""The records that a program is made of: rules, slots, fragments, tags, as the edge holds them.

Everything is checked already; nothing here is text that still has to be parsed. A rule's expression
lies in its record as undecoded bytes until the first visitor for whom the index alone cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from decisions.experiments import Holdout, Split
from decisions.hours import Edges
from decisions.index import Index
from decisions.lesson import Learning
from decisions.rules.evaluator import compile_expr
from decisions.rules.syntax import Expr
from decisions.schema import Schema

Condition: TypeAlias = Callable[[Mapping[str, Any]], Any]

NEVER_S = float("inf")
_TREE: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Expr)
_ENCODER = msgspec.msgpack.Encoder()


def encoded(value: msgspec.Struct) -> bytes:
    """A tree or template as it lies in a record until it is asked for."""
    return _ENCODER.encode(value)


class Limit(msgspec.Struct, frozen=True, array_like=True):
    """A frequency cap: at most `times` seen within any `per_s` seconds."""

    times: int
    per_s: float


class Arm(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one variant shows. values: its `with`."""

    fragment: str
    values: dict[str, Any] = {}


class Rule(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One rule, compiled.

    arms: variant → what it shows; a rule without an experiment has the one arm "". from_s, until_s:
    seconds since the epoch, [from, until). hours: minutes of the local week. tree: the checked
    expression in msgpack. plain: matching is all there is to it: no schedule, cap, experiment.
    needs: what its condition may read, all alternatives together. once: per page. holds: for the
    session, once it was shown.
    """

    id: str
    arms: dict[str, Arm]
    tree: bytes
    text: str
    plain: bool
    needs: int = 0
    band: str = ""
    from_s: float = -NEVER_S
    until_s: float = NEVER_S
    limit: Limit | None = None
    split: Split | None = None
    serves_stale: bool = True
    hours: Edges = ()
    once: bool = False
    holds: bool = False


class Thresholds(msgspec.Struct, frozen=True, array_like=True):
    """Where time alone may change which fragment a slot shows; everything in ascending order.

    ages: a timestamp's name → the seconds after it, or `session.seconds` → those seconds. moments:
    seconds since the epoch. week: minutes of the week by the playbook's clock, local: by the
    visitor's own. caps: rule → (times, seconds) of its cap. windows: `measures.…` over a window →
    seconds of its cells. signed_in: whether a rule or fragment needs `authenticated`. vague:
    whether a condition reads the clock in a way that none of these says.
    """

    ages: dict[str, tuple[float, ...]] = {}
    moments: tuple[float, ...] = ()
    week: tuple[int, ...] = ()
    local: tuple[int, ...] = ()
    caps: dict[str, tuple[int, float]] = {}
    windows: dict[str, int] = {}
    signed_in: bool = False
    vague: bool = False

    @property
    def is_personal(self) -> bool:
        """Whether some of it depends on more than the time: on who visits, and where."""
        return bool(
            self.ages or self.local or self.caps or self.windows or self.signed_in or self.vague
        )


class SlotHead(msgspec.Struct, frozen=True, array_like=True):
    """A slot but for its rules and index blocks, which are decoded one by one."""

    name: str
    default: str
    json: bool
    thresholds: Thresholds | None = None


class Slot:
    """A slot at work: its rules in match order, their index, and what was made of them so far:
    conditions, and the decisions of plain rules, which are the same for everybody."""

    __slots__ = (
        "conditions",
        "default",
        "head",
        "held",
        "index",
        "json",
        "name",
        "plain",
        "rules",
        "schema",
        "thresholds",
    )

    def __init__(
        self, head: SlotHead, schema: Schema, rules: tuple[Rule, ...], index: Index
    ) -> None:
        self.head, self.thresholds = head, head.thresholds
        self.name, self.default, self.json = head.name, head.default, head.json
        self.schema, self.rules, self.index = schema, rules, index
        self.conditions: dict[int, Condition] = {}
        self.plain: dict[int, Any] = {}  # place → Decision, which `engine` makes
        self.held = {rule.id: place for place, rule in enumerate(rules) if rule.holds}

    def condition(self, place: int) -> Condition:
        """The closure of the rule at `place`, made when it is first asked for."""
        made = self.conditions.get(place)
        if made is None:
            tree = _TREE.decode(self.rules[place].tree)
            made = self.conditions[place] = compile_expr(tree, self.schema)
        return made


class Goal(msgspec.Struct, frozen=True, array_like=True):
    """on: an event type. value: the event's field that is summed, or ""."""

    on: str
    value: str
    window_s: float


class Fragment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A fragment's template in msgpack, its kind (`html`, `json`) and what its tokens need."""

    kind: str
    needs: int
    template: bytes


class Tag(msgspec.Struct, frozen=True, array_like=True):
    """A live condition over the profile. needs: of everything that it reads."""

    name: str
    needs: int
    tree: bytes
    text: str

    def condition(self, schema: Schema) -> Condition:
        """The tag's closure."""
        return compile_expr(_TREE.decode(self.tree), schema)


class Recommending(msgspec.Struct, frozen=True, array_like=True):
    """That items are recommended. needs: of what a customer bought."""

    needs: int


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a program has besides its rules, index blocks and fragments."""

    name: str
    schema: Schema
    bands: tuple[str, ...]
    slots: tuple[SlotHead, ...]
    tags: tuple[Tag, ...] = ()
    goals: dict[str, Goal] = {}
    learning: Learning
    timezone: str = "UTC"
    dictionary: tuple[str, ...] = ()
    key_salt: str = ""
    holdout: Holdout | None = None
    recommendations: Recommending | None = None

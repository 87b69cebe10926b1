"""What a server knows of somebody in; what a flag is for them, out: OpenFeature's words for slots.

A slot is a flag whose value is what it shows; an experiment is one whose value is the variant's
name. Nothing is read of a customer, and no value of the context, that the context does not grant.
Protocol: OFREP, github.com/open-feature/protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, NamedTuple

import msgspec

from decisions import consent
from decisions.consent import AUTHENTICATED, PERSONALIZATION
from decisions.engine import Decision
from decisions.experiments import Units
from decisions.interest import scores
from decisions.ledger import visitor_key
from decisions.profile import NOBODY
from decisions.reasons import Reason
from edge.agents import BOT
from edge.cookies import NO_CHOICE
from edge.refresh import Serving
from edge.visit import Known, Shown, Visit, declared_of
from edge.wire import NO_PAGE

MAX_KEY = 256  # characters of a targeting key, and of a customer's id
PARSE_ERROR, INVALID_CONTEXT = "PARSE_ERROR", "INVALID_CONTEXT"
TARGETING_KEY_MISSING, FLAG_NOT_FOUND = "TARGETING_KEY_MISSING", "FLAG_NOT_FOUND"

# Ours to OpenFeature's (specification/types.md#resolution-reason). What held a rule back leaves the
# default, which is all that a flag's user can tell.
REASONS: dict[Reason, str] = {
    Reason.MATCH: "TARGETING_MATCH",
    Reason.SPLIT: "SPLIT",
    Reason.DEFAULT: "DEFAULT",
    Reason.ABSENT: "DEFAULT",
    Reason.CAPPED: "DEFAULT",
    Reason.PAUSED: "DISABLED",
    Reason.OUT_OF_SCHEDULE: "DEFAULT",
    Reason.HOLDOUT: "DEFAULT",
    Reason.STALE: "STALE",
    Reason.NO_SNAPSHOT: "ERROR",
    Reason.UNKNOWN_SLOT: "ERROR",
    Reason.ERROR: "ERROR",
}

Value = str | msgspec.Raw | msgspec.UnsetType
Complain = Callable[[str, BaseException], None]


class Flag(msgspec.Struct, frozen=True):
    """What a flag is. value: HTML, JSON or a variant's name; without one the caller's own default
    counts. metadata: what decided, and why in our own words."""

    key: str
    reason: Annotated[str, msgspec.Meta(extra_json_schema={"enum": sorted({*REASONS.values()})})]
    variant: str
    metadata: dict[str, str]
    value: Value = msgspec.UNSET


class BulkReply(msgspec.Struct, frozen=True):
    """Every flag that there is for a context."""

    flags: list[Flag]


class NoFlag(msgspec.Struct, frozen=True):
    """Why there is none; the names are the protocol's."""

    errorCode: str  # noqa: N815 - as the protocol spells it
    errorDetails: str  # noqa: N815 - the same
    key: str | msgspec.UnsetType = msgspec.UNSET


class Asked(NamedTuple):
    """A context, read. key: what experiments split by, "" for none. customer: an id as feeds have
    it, "" for none. facts: nested, or by dotted names."""

    key: str
    grants: int
    customer: str
    facts: Mapping[str, Any]


_OF_A_CONTEXT: dict[str, Any] = {
    "targetingKey": {"type": "string", "maxLength": MAX_KEY},
    "customer": {"type": "string", "maxLength": MAX_KEY},
    "grants": {"type": "array", "items": {"type": "string", "enum": [*consent.PURPOSES]}},
    "authenticated": {"type": "boolean"},
}


class FlagsBody(msgspec.Struct, frozen=True):
    """Who it is that a flag is for. context: `targetingKey` is what experiments split by; `grants`
    what this person granted, nothing by default; `customer` an id as the site's feeds have it, and
    `authenticated` whether they are signed in. All else is facts, nested or by dotted names."""

    context: Annotated[
        dict[str, Any], msgspec.Meta(extra_json_schema={"properties": _OF_A_CONTEXT})
    ] = {}


_DECODER = msgspec.json.Decoder(FlagsBody)


def read(raw: bytes) -> Asked | NoFlag:
    """The body of an evaluation. Never raises."""
    try:
        context = _DECODER.decode(raw).context
    except msgspec.ValidationError as error:
        return NoFlag(INVALID_CONTEXT, str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return NoFlag(PARSE_ERROR, f"expected JSON, got {type(error).__name__}")
    if problem := next(_problems(context), ""):
        return NoFlag(INVALID_CONTEXT, problem)
    grants = consent.mask(context.get("grants", ()))
    if context.get("authenticated") and grants & PERSONALIZATION:
        grants |= AUTHENTICATED
    facts = {name: value for name, value in context.items() if name not in _OF_A_CONTEXT}
    if _is_bot(facts):  # as on pages: who is no visitor is nobody
        grants = consent.NOTHING
    return Asked(context.get("targetingKey", ""), grants, context.get("customer", ""), facts)


def _problems(context: Mapping[str, Any]) -> Iterator[str]:
    """What of our own words is not as it should be."""
    for name in ("targetingKey", "customer"):
        value = context.get(name, "")
        if not isinstance(value, str) or len(value) > MAX_KEY:
            yield f"expected text of at most {MAX_KEY} characters - at `$.context.{name}`"
    if not isinstance(context.get("authenticated", False), bool):
        yield "expected true or false - at `$.context.authenticated`"
    grants = context.get("grants", [])
    if not isinstance(grants, list) or not all(
        isinstance(name, str) and name in consent.PURPOSES for name in grants
    ):
        yield f"expected some of {', '.join(consent.PURPOSES)} - at `$.context.grants`"


def _is_bot(facts: Mapping[str, Any]) -> bool:
    device = facts.get("device")
    kind = device.get("kind") if isinstance(device, Mapping) else None
    return BOT in (kind, facts.get("device.kind"))


class Flags:
    """The flags of one snapshot for one context."""

    def __init__(self, serving: Serving, asked: Asked, now_s: float, complain: Complain) -> None:
        self._serving, self._asked, self._complain = serving, asked, complain
        self._visit = Visit(serving, now_s, NO_CHOICE, NOBODY, {}, NO_PAGE)
        self._known = _known(serving, asked, now_s)

    def one(self, key: str) -> Flag | NoFlag:
        """A slot's, or else an experiment's. Never raises for what is inside a rule."""
        if key in self._serving.program.slots:
            return self._slot(self._show(key))
        slot = self._serving.names.slot_of(key)
        if slot is None:
            return NoFlag(FLAG_NOT_FOUND, "expected the name of a slot or an experiment", key)
        if not self._asked.key:
            return NoFlag(TARGETING_KEY_MISSING, "expected one: experiments split by it", key)
        return self._experiment(key, self._show(slot).decision)

    def all(self) -> list[Flag]:
        """Those of every slot, and of the experiments that this key is in."""
        found: list[Flag] = []
        for slot in self._serving.program.slots:
            shown = self._show(slot)
            found.append(self._slot(shown))
            if shown.decision.experiment:
                found.append(self._experiment(shown.decision.experiment, shown.decision))
        return found

    def _show(self, slot: str) -> Shown:
        return self._visit.show(slot, self._known, self._complain)

    def _slot(self, shown: Shown) -> Flag:
        decision = shown.decision
        value = msgspec.Raw(shown.text.encode()) if shown.is_json else shown.text
        variant = decision.variant or decision.fragment
        metadata = self._metadata(decision) | {"fragment": decision.fragment}
        return Flag(decision.slot, REASONS[decision.reason], variant, metadata, value)

    def _experiment(self, key: str, decision: Decision) -> Flag:
        """What the slot's decision says of an experiment: the variant, or why there is none."""
        metadata = self._metadata(decision)
        if decision.experiment == key:
            variant = decision.variant
            return Flag(key, REASONS[decision.reason], variant, metadata, variant)
        held_back = [step.reason for step in decision.steps if step.rule == key]
        reason = held_back[-1] if held_back else Reason.DEFAULT
        if decision.reason is Reason.PAUSED:  # the whole slot
            reason = Reason.PAUSED
        return Flag(key, REASONS[reason], "", metadata)

    def _metadata(self, decision: Decision) -> dict[str, str]:
        return {
            "slot": decision.slot,
            "rule": decision.rule,
            "why": decision.reason.value,
        }


def _known(serving: Serving, asked: Asked, now_s: float) -> Known:
    """Facts: what the context says, before what the snapshot has of the customer; of both, what is
    granted."""
    program, grants = serving.program, asked.grants
    told = program.gate.facts(asked.facts, grants, now_s)
    declared: dict[str, Any] = {}
    sure: dict[str, Any] = {}
    customer = ""
    if asked.customer and grants & PERSONALIZATION:
        key = visitor_key(program.key_salt, asked.customer)
        customer = f"{key:016x}" if grants & AUTHENTICATED else ""
        if (member := serving.member(key)) is not None:
            age_s, half_life_s = now_s - member.weighed_at_s, serving.learning.half_life_s
            sure["segments"] = member.segments
            sure["interest"] = scores(member.interests, max(age_s, 0.0), half_life_s)
            declared = declared_of(member)
    facts = program.gate.flat(declared, grants, now_s, sure, dict(told))
    units = Units(visitor=asked.key, customer=customer, session=asked.key)
    around = program.around(
        facts, unit=units, stale=serving.is_stale(now_s), control=serving.control
    )
    return Known(facts, around)

"""The compiled playbook: bytes in, decisions out; read-only, made by `compiling`, run by the edge.

The bytes are a head and chunks: a thousand rules, one block of an index, some hundred fragments
each. An edge decodes them chunk by chunk, a block plane by plane, with a pause after each for
whoever else wants the processor, and lets go of them likewise. Equal programs give equal bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Mapping
from typing import Any

import msgspec

from decisions import consent, engine
from decisions.engine import NOTHING, NOTHING_PAUSED, Circumstances, Control, Decision
from decisions.errors import ProgramError
from decisions.experiments import Units
from decisions.facts import Facts, Gate
from decisions.index import Block, Index, block_steps
from decisions.ledger import Dictionary
from decisions.reasons import Reason, Step
from decisions.tables import Fragment, Head, Rule, Slot, Thresholds
from decisions.templates import Template, overlaid
from decisions.thresholds import merged

FORMAT = 1
CHUNK = 1_000  # rules or fragments that are decoded in one step: about a millisecond

# What bytes that are no program raise on the way: bad MessagePack, bad UTF-8, a slot, operator or
# time zone that is not there, a tree too deep.
NO_PROGRAM = (msgspec.MsgspecError, ValueError, LookupError, TypeError, RecursionError)

_RULES, _BLOCK, _FRAGMENTS = 0, 1, 2
_ENVELOPE = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw])
_BODY = msgspec.msgpack.Decoder(tuple[Head, list[tuple[int, int, memoryview]]])
_RULE_CHUNK = msgspec.msgpack.Decoder(tuple[Rule, ...])
_FRAGMENT_CHUNK = msgspec.msgpack.Decoder(dict[str, Fragment])
_TEMPLATE = msgspec.msgpack.Decoder(Template)
_encode = msgspec.msgpack.Encoder(order="deterministic").encode


class Program:
    """A playbook at work. Read its attributes, change none."""

    def __init__(
        self, head: Head, slots: Iterable[Slot], fragments: Mapping[str, Fragment]
    ) -> None:
        self.head = head
        self.name, self.schema, self.bands = head.name, head.schema, head.bands
        self.timezone, self.goals, self.learning = head.timezone, head.goals, head.learning
        self.dictionary, self.key_salt = Dictionary(head.dictionary), head.key_salt
        self.slots = {slot.name: slot for slot in slots}
        self.fragments = fragments
        self.gate = Gate(
            head.schema,
            timezone=head.timezone,
            fields=head.learning.fields,
            tags={tag.name: (tag.needs, tag.condition(head.schema)) for tag in head.tags},
        )
        self._templates: dict[str, Template] = {}
        self._texts = {"": ""}  # of fragments that ask for nothing: bytes, the same for everybody

    def decide(
        self,
        slot: str,
        facts: Mapping[str, Any],
        *,
        grants: Iterable[str] | int = (),
        now: float = 0.0,
        unit: str | Units | None = None,
        seen: Iterable[tuple[str, float]] = (),
        explain: bool = False,
        control: Control = NOTHING_PAUSED,
        stale: bool = False,
        shown: Collection[str] = (),
        held: Collection[str] = (),
        forced: Mapping[str, str] = NOTHING,
    ) -> Decision:
        """What `slot` shows for these facts.

        facts: nested maps by the words of attributes, read as far as `grants` allow; or Facts,
        which bring their own grants and time. grants: names of purposes (`authenticated` too), or
        their bits. now: seconds since the epoch. unit: what experiments split by; without it none
        is entered. seen: (rule id, when) of what was seen, for caps. shown: the fragments of this
        page's slots so far. held: the rules that this session was shown and holds. forced:
        experiment → its variant, whatever chance says. Raises KeyError for a grant that is no
        purpose, nothing else.
        """
        known = self.facts(facts, grants, now)
        around = self.around(
            known,
            unit=unit,
            seen=tuple(seen),
            control=control,
            stale=stale,
            shown=shown,
            held=held,
            forced=forced,
        )
        return self.decided(slot, known, around, explain)

    def around(
        self, facts: Facts, *, forced: Mapping[str, str] = NOTHING, **more: Any
    ) -> Circumstances:
        """The circumstances of a visit with these facts; more: fields of `Circumstances`."""
        holdout = None if forced else self.head.holdout
        return Circumstances(facts.grants, facts.now_s, holdout=holdout, forced=forced, **more)

    def decided(
        self, slot: str, facts: Facts, around: Circumstances, explain: bool = False
    ) -> Decision:
        """What `decide` gives, for circumstances put together once for all slots of a page."""
        place = self.slots.get(slot)
        if place is None:
            return Decision(slot, "", Reason.UNKNOWN_SLOT, (Step("", Reason.UNKNOWN_SLOT),))
        if not explain:
            return engine.decide(place, facts, around)
        return engine.decide(place, facts, around, lambda name: self.why_absent(name, facts.grants))

    def thresholds(self, slots: Iterable[str]) -> Thresholds | None:
        """When time alone may change which fragment one of these slots shows, for `next_in`; None
        where it never does."""
        places = [self.slots[name] for name in slots if name in self.slots]
        return merged(place.thresholds for place in places if place.thresholds is not None)

    def facts(
        self, facts: Mapping[str, Any], grants: Iterable[str] | int = (), now: float = 0.0
    ) -> Facts:
        """Nested maps as Facts of this program; Facts as they are."""
        if isinstance(facts, Facts):
            return facts
        bits = grants if isinstance(grants, int) else consent.mask(grants)
        return self.gate.facts(facts, bits, now)

    def why_absent(self, name: str, grants: int) -> str:
        """`geo.country is unknown`, or `interest is not granted (personalization)`."""
        attribute, key = split_name(name)
        if attribute not in self.schema.attributes:
            return f"{name} is unknown"
        if missing := self.schema.needs(attribute, key) & ~grants:
            if not self.schema.needs(attribute) & ~grants:
                attribute = name
            return f"{attribute} is not granted ({', '.join(consent.names(missing))})"
        return f"{name} is unknown"

    def render(self, decision: Decision, facts: Mapping[str, Any]) -> str:
        """The text of the decision's fragment for these flat facts, "" for none."""
        text = self._texts.get(decision.fragment)
        if text is None:
            template = self.template(decision.fragment)
            text = template.render(overlaid(decision.with_, facts))
            if not template.asks:
                self._texts[decision.fragment] = text
        return text

    def template(self, fragment: str) -> Template:
        """The ops of a fragment, decoded when they are first asked for. Raises KeyError."""
        made = self._templates.get(fragment)
        if made is None:
            raw = self.fragments[fragment].template
            made = self._templates[fragment] = _TEMPLATE.decode(raw)
        return made

    def pieces(self) -> list[object]:
        """What it holds most of, in pieces: whoever holds these last and drops one by one frees
        the program about a millisecond at a time."""
        found: list[object] = list(_cut(tuple(self.fragments.values())))
        for slot in self.slots.values():
            for many in (slot.rules, slot.conditions.values(), slot.plain.values()):
                found += _cut(tuple(many))
            found += slot.index.blocks
        return found

    def encode(self) -> bytes:
        """The program's bytes."""
        chunks: list[tuple[int, int, bytes]] = []
        for number, slot in enumerate(self.slots.values()):
            chunks += [(_RULES, number, _encode(part)) for part in _cut(slot.rules)]
            chunks += [(_BLOCK, number, block) for block in slot.index.encode_blocks()]
        names = sorted(self.fragments)
        for part in _cut(names):
            fragments = {name: self.fragments[name] for name in part}
            chunks.append((_FRAGMENTS, 0, _encode(fragments)))
        return _encode((FORMAT, (self.head, chunks)))

    @staticmethod
    def decode_steps(raw: bytes | memoryview) -> Generator[None, None, Program]:
        """Decodes with a pause (`yield`) after every chunk; the program is the return value.

        Raises ProgramError for bytes of another format, or of no program.
        """
        try:
            found, body = _ENVELOPE.decode(raw)
            if found != FORMAT:
                raise ProgramError(f"expected a program of format {FORMAT}, got format {found}")
            return (yield from _decoded(body))
        except NO_PROGRAM as error:
            message = f"expected a program, got {len(raw)} other bytes: {error}"
            raise ProgramError(message) from error


def _decoded(body: msgspec.Raw) -> Generator[None, None, Program]:
    head, chunks = _BODY.decode(body)
    yield
    rules: list[list[Rule]] = [[] for _ in head.slots]
    blocks: list[list[Block]] = [[] for _ in head.slots]
    fragments: dict[str, Fragment] = {}
    for kind, number, part in chunks:
        if kind == _RULES:
            rules[number].extend(_RULE_CHUNK.decode(part))
        elif kind == _BLOCK:
            blocks[number].append((yield from block_steps(bytes(part))))
        elif kind == _FRAGMENTS:
            fragments |= _FRAGMENT_CHUNK.decode(part)
        else:
            raise ProgramError(f"expected a chunk of kind 0 to {_FRAGMENTS}, got {kind}")
        yield
    slots = [
        Slot(slot, head.schema, tuple(rules[number]), Index(blocks[number]))
        for number, slot in enumerate(head.slots)
    ]
    program = Program(head, slots, fragments)
    program.gate.opening(consent.EVERYTHING)  # a type of a newer version: refused here, not later
    return program


def decode(raw: bytes | memoryview) -> Program:
    """The program of these bytes, in one go; `Program.decode_steps` pauses on the way."""
    steps = Program.decode_steps(raw)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            program: Program = done.value
            return program


def split_name(name: str) -> tuple[str, str | None]:
    """`interest["shoes"]` as ("interest", "shoes"); a name without a key has None."""
    attribute, bracket, key = name.partition('["')
    return attribute, key.removesuffix('"]') if bracket else None


def _cut(items: Any) -> list[Any]:
    return [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]

"""The bitset index: facts in, the rules that may match out — one AND per attribute, no Python loop
per rule.

Built by `compiling` from what `lowering` made of the rules of one slot, encoded and decoded in
blocks of clauses in match order (so that an edge can pause between blocks), asked once per slot by
`engine`. It may return too much, never too little: `exact` says whose expression is still to be
checked. It decides nothing: schedules, caps and experiments come after.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Annotated, Any

import msgspec

from decisions.consent import allows
from decisions.errors import ProgramError
from decisions.planes import (
    PackedBits,
    PackedPlane,
    Plane,
    build_plane,
    kind_of,
    open_plane,
    pack,
    unpack,
)
from decisions.predicates import Clause, Lowered, Predicate

BLOCK = 2_048  # clauses; wider: fewer ANDs at 10,000 rules, but more memory where values are many
MAX_MASKS = 64  # remembered grant masks of a block: all there are of six bits
LATE = ("tags", "time.", "local.", "now")  # derived when read, so asked only of clauses still alive


class _PackedBlock(msgspec.Struct, frozen=True, array_like=True):
    """A `Block` on the wire."""

    rules: Annotated[
        list[int], msgspec.Meta(min_length=1)
    ]  # the first clause's rule, then the distance to the next clause's
    needs: list[tuple[int, PackedBits]]
    residual: list[int]
    planes: list[PackedPlane]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_PackedBlock)


class Block:
    """Consecutive clauses with one plane for each attribute they test (two for two predicates on
    one)."""

    __slots__ = ("living", "needs", "planes", "residual", "rules", "untested")

    def __init__(
        self,
        rules: Sequence[int],
        needs: dict[int, int],
        residual: frozenset[int],
        planes: Iterable[Plane],
    ) -> None:
        """rules: the ordinal of each clause's rule. needs: bits of purposes → clauses. residual:
        the ordinals of rules whose expression is still to be checked."""
        self.rules, self.needs, self.residual = rules, needs, residual
        # First those that leave the fewest alive: often nothing is left for the others to test.
        self.planes = tuple(sorted(planes, key=_asked_later))
        tested = 0
        for plane in self.planes:
            tested |= plane.tested
        self.untested = ((1 << len(rules)) - 1) & ~tested
        self.living: dict[int, tuple[int, int]] = {}

    def matching(self, facts: Mapping[str, Any], grants: int) -> int:
        """Bitset of the clauses whose predicates all hold and whose needs are granted."""
        alive, always = self.living.get(grants) or self._live(grants)
        for plane in self.planes:
            if not alive:
                break
            if alive & plane.tested:
                alive &= plane.match(facts[plane.attribute])
        return alive | always

    def _live(self, grants: int) -> tuple[int, int]:
        """The clauses that these grants keep alive: those with predicates, those without."""
        alive = 0
        for needs, clauses in self.needs.items():
            if allows(grants, needs):
                alive |= clauses
        if len(self.living) >= MAX_MASKS:
            self.living.clear()
        self.living[grants] = living = alive & ~self.untested, alive & self.untested
        return living

    def encode(self) -> bytes:
        """The bytes that `decode_block` takes; the same for the same clauses."""
        distances = [here - before for before, here in pairwise((0, *self.rules))]
        needs = [(bits, pack(clauses)) for bits, clauses in sorted(self.needs.items())]
        planes = [plane.pack() for plane in self.planes]
        return _ENCODER.encode(_PackedBlock(distances, needs, sorted(self.residual), planes))


def _asked_later(plane: Plane) -> tuple[int, bool]:
    return -plane.selectivity, plane.attribute.startswith(LATE)


def decode_block(data: bytes) -> Block:
    """The block that was encoded, in one go; `block_steps` pauses on the way."""
    steps = block_steps(data)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            block: Block = done.value
            return block


def block_steps(data: bytes) -> Generator[None, None, Block]:
    """Decodes some 2,000 clauses with a pause (`yield`) after every plane, which takes up to a
    millisecond; the block is the return value. Raises ProgramError."""
    planes: list[Plane] = []
    try:
        packed = _DECODER.decode(data)
        for plane in packed.planes:
            yield
            planes.append(open_plane(plane))
    except (msgspec.MsgspecError, KeyError, ValueError) as error:
        raise ProgramError(f"expected a block of the index, got {error}") from error
    rules: Sequence[int] = list(accumulate(packed.rules))
    if rules == list(range(rules[0], rules[0] + len(rules))):
        rules = range(rules[0], rules[0] + len(rules))
    needs = {bits: unpack(clauses) for bits, clauses in packed.needs}
    return Block(rules, needs, frozenset(packed.residual), planes)


class Index:
    """The rules of one slot in match order, asked for candidates."""

    __slots__ = ("blocks", "residual")

    def __init__(self, blocks: Iterable[Block]) -> None:
        self.blocks = tuple(blocks)
        self.residual: frozenset[int] = frozenset().union(
            *(block.residual for block in self.blocks)
        )

    def candidates(self, facts: Mapping[str, Any], grants: int) -> Iterator[int]:
        """The ordinals of the rules that may match, ascending, each once; lazily, block by
        block."""
        last = -1
        for block in self.blocks:
            alive = block.matching(facts, grants)
            while alive:
                lowest = alive & -alive
                alive ^= lowest
                rule = block.rules[lowest.bit_length() - 1]
                if rule != last:
                    last = rule
                    yield rule

    def exact(self, rule: int) -> bool:
        """Whether a candidate is a match; otherwise its expression is still to be checked."""
        return rule not in self.residual

    def encode_blocks(self) -> list[bytes]:
        """The blocks as bytes: `Index(map(decode_block, blocks))` is this index again."""
        return [block.encode() for block in self.blocks]


def build(rules: Sequence[Lowered], block_size: int = BLOCK) -> Index:
    """The index of a slot's rules in match order; a rule's ordinal is its place in `rules`."""
    clauses = [(rule, clause) for rule, lowered in enumerate(rules) for clause in lowered.clauses]
    residual = {rule for rule, lowered in enumerate(rules) if not lowered.exact}
    return Index(
        _build_block(clauses[start : start + block_size], residual)
        for start in range(0, len(clauses), block_size)
    )


def _build_block(clauses: Sequence[tuple[int, Clause]], residual: set[int]) -> Block:
    """One block: every predicate goes to the plane of its kind, attribute and turn."""
    common = Counter(each for _, clause in clauses for each in clause.predicates)
    needs: dict[int, int] = {}
    shelves: dict[tuple[type[Plane], str, int], dict[int, Predicate]] = {}
    for place, (_, clause) in enumerate(clauses):
        needs[clause.needs] = needs.get(clause.needs, 0) | 1 << place
        turns: Counter[tuple[type[Plane], str]] = Counter()
        # The rarest first: the first plane of an attribute then leaves few clauses to the others.
        for predicate in sorted(clause.predicates, key=common.__getitem__):
            shelf = kind_of(predicate), predicate.attribute
            shelves.setdefault((*shelf, turns[shelf]), {})[place] = predicate
            turns[shelf] += 1
    everyone = (1 << len(clauses)) - 1
    planes = [
        build_plane(kind, attribute, predicates, everyone)
        for (kind, attribute, _), predicates in shelves.items()
    ]
    rules = [rule for rule, _ in clauses]
    return Block(rules, needs, frozenset(residual.intersection(rules)), planes)

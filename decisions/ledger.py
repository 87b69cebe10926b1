"""The ledger: what a store must never renumber; append-only, one for all channels of a store.

Cookies carry integers for names, and outlive bundles: a name once numbered keeps its number for
ever. Experiments keep their bucket maps, the finished ones too, so that one that comes back finds
its visitors where they were. An experiment that changes begins a new phase: results of two phases
are not added up.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

import msgspec

from decisions.errors import ProfileError, ProgramError
from decisions.experiments import BUCKETS, Runs, remapped, shares

FORMAT = 1

# What a dictionary name stands for: the key of an interest, an event's counter, a capped rule, a
# measure, a list, a measure that counts different things.
KEY, COUNTER, RULE, MEASURE, LIST, MARKED = "k/", "c/", "r/", "m/", "l/", "d/"
LAYER = "layer/"  # the traffic map of a layer lies in `maps` under this prefix
TRAFFIC = "traffic/"  # the traffic map of an experiment without one
VARIANTS = "variants/"  # the variant map of an experiment

UNKNOWN = "\x00"  # before a number whose name is not known here: it is carried through as it came

NO_TERMS: Mapping[str, str] = {}
_DECODER = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw])


class Phase(msgspec.Struct, frozen=True, array_like=True):
    """number: from 1. terms: what the phase holds the experiment to, in 16 hex digits."""

    number: int
    terms: str


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """names: a name's place is its number. maps: prefix + name → the runs of its bucket map.
    phases: experiment → the phase it is in, or was in when it ended.

    salt: 16 hex digits that key the hash of visitor ids; it never changes in a store's life.
    """

    salt: str
    names: tuple[str, ...] = ()
    maps: dict[str, Runs] = {}
    phases: dict[str, Phase] = {}

    def grown(
        self,
        names: Iterable[str],
        weights: Mapping[str, Mapping[str, float]],
        terms: Mapping[str, str] = NO_TERMS,
    ) -> Ledger:
        """The ledger with new names at its end, the maps re-mapped to new weights, and a new phase
        for every experiment whose terms changed.

        weights: map name (with its prefix) → name → weight >= 0, with a sum > 0. Maps that are not
        mentioned stay. terms: experiment → what its phase holds it to. What the ledger knows
        already changes nothing.
        """
        known = set(self.names)
        new = [name for name in dict.fromkeys(names) if name not in known]
        maps = dict(self.maps)
        for name, wanted in weights.items():
            maps[name] = remapped(self.maps.get(name, ()), shares(wanted))
        phases = dict(self.phases)
        for experiment, agreed in terms.items():
            phase = phases.get(experiment, Phase(0, ""))
            if phase.terms != agreed:
                phases[experiment] = Phase(phase.number + 1, agreed)
        return Ledger(salt=self.salt, names=(*self.names, *new), maps=maps, phases=phases)

    def extends(self, older: Ledger) -> bool:
        """Whether nothing that `older` numbered was renumbered or forgotten."""
        return (
            self.salt == older.salt
            and self.names[: len(older.names)] == older.names
            and self.maps.keys() >= older.maps.keys()
            and all(
                name in self.phases and self.phases[name].number >= phase.number
                for name, phase in older.phases.items()
            )
        )

    def encode(self) -> bytes:
        """The ledger's bytes; equal ledgers give equal bytes."""
        return msgspec.msgpack.encode((FORMAT, self), order="deterministic")


class Numbering:
    """The names of one prefix, without it: by number, and the numbers by name."""

    __slots__ = ("dictionary", "names", "numbers", "prefix")

    def __init__(self, prefix: str, dictionary: Sequence[str]) -> None:
        cut = len(prefix)
        self.prefix, self.dictionary = prefix, dictionary
        self.names = {
            number: name[cut:] for number, name in enumerate(dictionary) if name.startswith(prefix)
        }
        self.numbers = {name: number for number, name in self.names.items()}

    def number(self, name: str) -> int | None:
        """The number of a name, None if it has none; the one that an UNKNOWN name came with."""
        number = self.numbers.get(name)
        return int(name[1:]) if number is None and name[:1] == UNKNOWN else number

    def name(self, number: int) -> str:
        """The name of a number, or what stands for it. Raises ProfileError."""
        return self.names.get(number) or self.stranger(number)

    def stranger(self, number: int) -> str:
        """What stands for a number that this edge does not know. Raises ProfileError for the number
        of a name of another kind."""
        if number < len(self.dictionary):
            name = self.dictionary[number]
            raise ProfileError(f"expected a number of {self.prefix!r}, got {number}: {name!r}")
        return f"{UNKNOWN}{number}"


class Dictionary(tuple[str, ...]):
    """The names of a ledger in the order of their numbers; sorted by kind when first asked."""

    @functools.cached_property
    def keys(self) -> Numbering:
        """What interest is taken in."""
        return Numbering(KEY, self)

    @functools.cached_property
    def counters(self) -> Numbering:
        """The event types that are counted."""
        return Numbering(COUNTER, self)

    @functools.cached_property
    def rules(self) -> Numbering:
        """The rules that are capped, or hold their slot."""
        return Numbering(RULE, self)

    @functools.cached_property
    def measures(self) -> Numbering:
        """What is measured over events."""
        return Numbering(MEASURE, self)

    @functools.cached_property
    def lists(self) -> Numbering:
        """What things are listed in."""
        return Numbering(LIST, self)

    @functools.cached_property
    def distinct(self) -> Numbering:
        """What counts different things. Not among `measures`: a mark is never read as a number."""
        return Numbering(MARKED, self)


NO_NAMES = Dictionary()


def first_ledger(seed: str) -> Ledger:
    """A ledger that knows nothing yet. seed: whatever tells stores apart; the salt is its hash."""
    return Ledger(salt=blake2b(seed.encode(), digest_size=8).hexdigest())


def decode(raw: bytes) -> Ledger:
    """The ledger of these bytes. Raises ProgramError for another format or for no ledger."""
    try:
        found, body = _DECODER.decode(raw)
        if found != FORMAT:
            raise ProgramError(f"expected a ledger of format {FORMAT}, got format {found}")
        ledger = msgspec.msgpack.decode(body, type=Ledger)
        for name, runs in ledger.maps.items():
            _check_ends([end for _, end in runs], name)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProgramError(f"expected a ledger, got {len(raw)} other bytes: {error}") from error
    return ledger


def _check_ends(ends: list[int], name: str) -> None:
    """Raises ValueError unless runs that end so share out the buckets: a map that is cut short
    would deal visitors anew."""
    if ends != sorted({*ends, BUCKETS}) or ends[0] <= 0 or ends[-1] != BUCKETS:
        raise ValueError(f"the runs of {name} end at {ends}")


def visitor_key(salt: str, customer: str) -> int:
    """The 64-bit key of a customer in the membership: blake2b keyed by the salt, little-endian."""
    digest = blake2b(customer.encode(), digest_size=8, key=bytes.fromhex(salt)).digest()
    return int.from_bytes(digest, "little")


def row_key(salt: str, id_: str) -> str:
    """How rows of the event log name a visitor or a session: the key of its id in 16 hex digits, ""
    for no id."""
    return f"{visitor_key(salt, id_):016x}" if id_ else ""

"""A site to measure the edge with: five slots of W1(1,000) rules, a million members, visitors with
cookies. Nothing is timed here."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from bench import workload
from decisions.compiling import compile_with_ledger
from decisions.consent import ANALYTICS, FUNCTIONAL, PERSONALIZATION
from decisions.ledger import visitor_key
from decisions.playbook import InterestGain, Signal, WrittenPlaybook
from decisions.profile import Profile, Session
from decisions.program import Program
from edge.app import Edge, create_services
from edge.config import Config
from edge.cookies import Choice, CookieJar, new_visitor
from edge.keyring import KeyRing, key_of
from edge.refresh import Served, settle
from snapshots.bundle import Packed, pack
from snapshots.census import Trait, encode_membership
from snapshots.contents import NEWEST
from snapshots.manifest import LedgerRef, Manifest
from snapshots.membership import Membership
from snapshots.snapshot import Snapshot

NOW_S = workload.NOW_S
SLOTS = ("s1", "s2", "s3", "s4", "s5")
KEYS = KeyRing((key_of("bench", b"b" * 32),))
GRANTS = FUNCTIONAL | PERSONALIZATION | ANALYTICS
AGENT = (
    b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    b"Chrome/130.0.0.0 Safari/537.36"
)


def playbook(rules: int = 1_000, slots: Sequence[str] = SLOTS) -> WrittenPlaybook:
    """W1(rules) in every slot, and signals to learn from."""
    written = workload.playbook([one.cel() for one in workload.w1(rules)], slots)
    signals = [
        Signal("product_view", InterestGain("category", 1.0)),
        Signal("add_to_cart", InterestGain("category", 3.0), "add"),
    ]
    settings = msgspec.structs.replace(written.settings, signals=signals)
    return msgspec.structs.replace(written, settings=settings)


def program(rules: int = 1_000, slots: Sequence[str] = SLOTS) -> Program:
    """The same, compiled."""
    catalogue = {"category": workload.CATEGORIES}
    return compile_with_ledger(playbook(rules, slots), None, catalogue, allow_shadowed=True).program


def census(members: int, known: Sequence[int] = ()) -> dict[str, bytearray]:
    """The membership parts: 200 segments, two traits. known: keys that must be among them."""
    dice = random.Random(3)
    raw = array("Q")
    raw.frombytes(dice.randbytes(8 * (members - len(known))))
    keys = array("Q", sorted({*raw, *known}))
    rows = len(keys)
    held = [bytes(dice.choices((0, 1), (32, 1), k=4_096)) * (rows // 4_096 + 1) for _ in range(20)]
    segments = [(name, held[place % 20][:rows]) for place, name in enumerate(workload.SEGMENTS)]
    codes = bytes(range(4)) * (rows // 4 + 1)
    traits = {
        "tier": Trait([None, "silver", "gold", "iron"], codes[:rows]),
        "region": Trait(["n", "e", "s", "w"], codes[1 : rows + 1]),
    }
    return encode_membership(keys, built_at_s=int(NOW_S), segments=segments, traits=traits)


def parts(rules: int, members: int) -> list[Packed]:
    """A bundle to publish: one slot of W1(rules), and members."""
    made = [pack("program", 1, program(rules, ("hero",)).encode())]
    return [
        *made,
        *(pack(name, NEWEST[name], raw) for name, raw in census(members).items()),
    ]


class Site:
    """An edge in this process, and visitors whose tokens it never saw."""

    def __init__(self, members: int, slots: Sequence[str] = SLOTS, **settings: Any) -> None:
        made = program(slots=slots)
        self.customers = [visitor_key(made.key_salt, str(number)) for number in range(5_000)]
        membership = Membership.open(census(members, self.customers))
        manifest = Manifest(
            channel="live",
            version=1,
            created_s=int(NOW_S),
            not_after_s=int(NOW_S) + 86_400,
            ledger=LedgerRef(revision=1, sha256="0" * 64),
        )
        self.program = made
        self.jar = CookieJar(lambda: KEYS)
        served = Served(Snapshot(manifest, made, membership))
        self.services = create_services(
            Config(events_per_minute=10**9, **settings),
            lambda: KEYS,
            served=served,
            clock=lambda: NOW_S,
        )
        self.edge = Edge(self.services)
        settle()  # as a worker does after a swap

    def cookies(self, count: int, seed: int = 4) -> Iterator[bytes]:
        """Cookie headers, each of another visitor with four interests and a session."""
        dice = random.Random(seed)
        for number in range(count):
            choice = Choice(GRANTS, NOW_S - number, "banner", "2026-11")
            profile = Profile(
                visitor=new_visitor(NOW_S, dice.randbytes(10)),
                seen_s=NOW_S - 60,
                at_s=NOW_S - 60,
                first_seen_s=int(NOW_S) - 90_000,
                visits=2,
                interests={
                    name: dice.uniform(0.5, 20.0) for name in dice.sample(workload.CATEGORIES, 4)
                },
                counts={"product_view": 12},
                session=Session(int(NOW_S) - 300, int(NOW_S) - 60, {"c1": bytes(9)}),
                customer=self.customers[number % len(self.customers)],
            )
            names = self.program.dictionary
            both = (
                self.jar.write_choice(choice, NOW_S),
                self.jar.write_profile(profile, names, NOW_S),
            )
            yield b"; ".join(cookie.split(b";", 1)[0] for cookie in both)


def headers(cookie: bytes) -> list[tuple[bytes, bytes]]:
    """The headers of a browser's request."""
    return [
        (b"host", b"shop.example"),
        (b"user-agent", AGENT),
        (b"accept", b"*/*"),
        (b"accept-language", b"en-GB,en;q=0.9"),
        (b"accept-encoding", b"gzip, deflate, br"),
        (b"x-geo-country", b"CK"),
        (b"sec-fetch-site", b"same-origin"),
        (b"referer", b"https://shop.example/p/1"),
        (b"cookie", cookie),
    ]

"""What is remembered of those who asked: for a moment, by every byte, and never too much."""

from __future__ import annotations

from typing import Any

from decisions.consent import FUNCTIONAL
from edge import asked
from edge.asked import Asked
from edge.config import Config
from edge.context import Context
from edge.cookies import Choice, CookieJar
from edge.keyring import KeyRing
from edge.reception import Reception
from edge.refresh import Serving
from tests.edge.shop import COOKIE_KEYS, NOW_S, snapshot

ONE, OTHER = (b"path=/", b"cookie"), (b"path=/", None)


def test_a_request_is_found_again_within_its_moment_only() -> None:
    kept: Asked[str] = Asked()

    assert kept.find(ONE, "keys", 1) is None
    kept.keep(ONE, "one")
    assert kept.find(ONE, "keys", 1) == "one"
    assert kept.find(OTHER, "keys", 1) is None
    assert kept.find(ONE, "keys", 2) is None
    assert len(kept) == 0


def test_a_second_that_comes_back_finds_nothing() -> None:
    kept: Asked[str] = Asked()

    kept.find(ONE, 1)
    kept.keep(ONE, "one")
    kept.find(ONE, 2)
    assert kept.find(ONE, 1) is None


def test_the_oldest_goes_first_and_very_long_ones_are_not_kept() -> None:
    kept: Asked[int] = Asked()
    keys = [(b"%d" % number,) for number in range(asked.MOST + 1)]

    for number, key in enumerate(keys):
        kept.find(key, 1)
        kept.keep(key, number)
    kept.keep((bytes(asked.MAX_KEY_BYTES), b"more"), 0)

    assert len(kept) == asked.MOST
    assert kept.find(keys[0], 1) is None
    assert kept.find(keys[-1], 1) == asked.MOST


def test_what_was_known_outlives_neither_its_second_nor_its_keys_nor_its_snapshot() -> None:
    ring, now_s = COOKIE_KEYS, NOW_S
    jar = CookieJar(lambda: ring)
    written = jar.write_choice(Choice(FUNCTIONAL, NOW_S), NOW_S).split(b";", 1)[0]
    reception = Reception(jar, lambda: ring, Context(Config()), lambda: now_s, lambda _: None)
    serving = Serving(snapshot())

    def ask() -> Any:
        return reception.ask(serving, {b"cookie": written}, b"path=/")

    first = ask()
    assert ask() is first
    assert first[0].choice.grants == FUNCTIONAL
    now_s += 1
    assert ask() is not first
    serving = Serving(snapshot())
    second = ask()
    assert second[0].serving is serving
    assert ask() is second
    ring = KeyRing.parse(ring.rotated("new", b"n" * 32).encode(), "here")
    assert ask()[0].choice.grants == FUNCTIONAL
    ring = KeyRing(ring.keys[:1])
    assert ask()[0].choice.grants == 0

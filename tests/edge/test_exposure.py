from __future__ import annotations

import struct
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.base64url import decode64, encode64
from edge.exposure import (
    CHARACTERS,
    MAX_AGE_S,
    NO_RULE,
    NO_VARIANT,
    NO_VISITOR,
    Exposure,
    Exposures,
    visitor_hash,
)
from edge.keyring import KeyRing, key_of
from edge.tokens import LEEWAY_S, Refusal

NOW = 1_795_000_000
KEY, OLD = key_of("2026-11", b"1" * 32), key_of("2025-11", b"2" * 32)
RING = KeyRing((KEY, OLD))
EXPOSURES = Exposures(lambda: RING)
SHOWN = Exposure(7, 1, 900, 1, 0.25, NOW, visitor_hash("v"), b"fact")

exposures = st.builds(
    Exposure,
    version=st.integers(0, 2**32 - 1),
    slot=st.integers(0, 2**16 - 1),
    rule=st.integers(0, NO_RULE),
    variant=st.integers(0, NO_VARIANT),
    probability=st.integers(0, 10_000).map(lambda buckets: buckets / 10_000),
    at_s=st.integers(NOW - int(MAX_AGE_S), NOW),
    visitor=st.binary(min_size=4, max_size=4),
    facts=st.binary(min_size=4, max_size=4),
)


@given(exposures)
def test_a_decision_comes_back_as_it_was_signed(exposure: Exposure) -> None:
    token = EXPOSURES.sign(exposure)
    assert len(token) == CHARACTERS <= 96
    assert EXPOSURES.open(token, NOW) == exposure


@given(st.integers(0, CHARACTERS - 1), st.sampled_from("ABCxyz019-_+/=. é"))
def test_a_token_with_another_character_is_refused(place: int, character: str) -> None:
    token = EXPOSURES.sign(SHOWN)
    changed = token[:place] + character + token[place + 1 :]
    if changed != token:
        assert EXPOSURES.open(changed, NOW) in (
            Refusal.FORGED, Refusal.MALFORMED, Refusal.UNKNOWN_KEY,
        )  # fmt: skip


@given(st.text(max_size=60) | st.text("abcXYZ019-_", min_size=CHARACTERS, max_size=CHARACTERS))
def test_no_text_makes_opening_fail(token: str) -> None:
    assert isinstance(EXPOSURES.open(token, NOW), Refusal)


def test_every_byte_is_covered_by_the_signature() -> None:
    raw = decode64(EXPOSURES.sign(SHOWN).encode())
    assert raw is not None
    for place in range(1, len(raw)):
        flipped = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        assert EXPOSURES.open(encode64(flipped).decode(), NOW) is Refusal.FORGED


@pytest.mark.parametrize(
    ("now_s", "expected"),
    [
        (NOW + MAX_AGE_S, SHOWN),
        (NOW + MAX_AGE_S + 1, Refusal.EXPIRED),
        (NOW - LEEWAY_S, SHOWN),
        (NOW - LEEWAY_S - 1, Refusal.NOT_YET),
    ],
)
def test_a_token_counts_for_a_week(now_s: float, expected: Exposure | Refusal) -> None:
    assert EXPOSURES.open(EXPOSURES.sign(SHOWN), now_s) == expected


def test_rotation_keeps_old_tokens_until_their_key_is_dropped() -> None:
    rings = [KeyRing((OLD,))]
    moving = Exposures(lambda: rings[-1])
    token = moving.sign(SHOWN)
    rings.append(RING)
    assert moving.open(token, NOW) == SHOWN
    assert moving.sign(SHOWN) != token
    rings.append(KeyRing((KEY,)))
    assert moving.open(token, NOW) is Refusal.UNKNOWN_KEY


def opens(name: str, token: str) -> Exposure | Refusal:
    ring = KeyRing((key_of(name, b"2" * 32),))
    return Exposures(lambda: ring).open(token, NOW)


def test_keys_whose_names_share_a_byte_are_both_tried() -> None:
    first = key_of("key-0", b"1" * 32)
    token = Exposures(lambda: KeyRing((first,))).sign(SHOWN)
    names = (f"key-{number}" for number in range(1, 10_000))
    twin = next(name for name in names if opens(name, token) is Refusal.FORGED)
    both = KeyRing((key_of(twin, b"2" * 32), first))
    assert Exposures(lambda: both).open(token, NOW) == SHOWN


def test_the_secret_is_not_the_one_of_cookies() -> None:
    raw = decode64(EXPOSURES.sign(SHOWN).encode())
    assert raw is not None
    assert blake2b(raw[:-13], key=KEY.secret, digest_size=13).digest() != raw[-13:]


def test_numbers_that_do_not_fit_are_our_own_mistake() -> None:
    with pytest.raises(struct.error):
        EXPOSURES.sign(Exposure(2**32, 0))


def test_a_default_shown_to_nobody_has_its_own_marks() -> None:
    plain = Exposure(1, 0, at_s=NOW)
    assert EXPOSURES.open(EXPOSURES.sign(plain), NOW) == plain
    assert (plain.rule, plain.variant, plain.visitor) == (NO_RULE, NO_VARIANT, NO_VISITOR)
    assert visitor_hash("") == NO_VISITOR != visitor_hash("v")

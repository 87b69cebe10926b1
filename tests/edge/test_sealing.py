from __future__ import annotations

from typing import Any

import jwt
import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.base64url import decode64, encode64
from decisions.compact import binary, pack
from decisions.profile import Profile
from edge.cookies import AIM_PROFILE_BYTES, MAX_PROFILE_BYTES, PROFILE, CookieJar
from edge.keyring import KeyRing, key_of
from edge.sealing import TAG_BYTES, Sealer, room
from edge.tokens import Refusal, sign
from tests.damage import damaged, within
from tests.decisions.profiles import NAMES, NOW_S, VISITOR, profiles
from tests.edge.shop import COOKIE_KEYS, Shop
from tests.edge.test_cookies import (
    ALL,
    CLAIMS,
    FULL,
    KEY,
    KNOWN,
    OLD,
    RING,
    header,
    token,
)

pytestmark = pytest.mark.anyio
OTHER = VISITOR[:-1] + "b"
OPEN, SEALED = CookieJar(lambda: RING), CookieJar(lambda: RING, sealed=True)
SEALER = Sealer()


def sealed_as(raw: bytes, visitor: str = VISITOR, key: Any = KEY) -> str:
    return SEALER.seal(raw, visitor, key).decode()


def cookie_of(p: str, key: Any = KEY, **changes: Any) -> bytes:
    return sign(msgspec.json.encode(CLAIMS | {"p": p} | changes), key)


def raw_of(sealed: str) -> bytes:
    raw = decode64(sealed.encode())
    assert raw is not None
    return raw


# The cipher.


@given(st.binary(min_size=1, max_size=900), st.uuids().map(str), st.sampled_from([KEY, OLD]))
def test_what_is_sealed_opens_for_the_same_visitor_and_key(
    raw: bytes, visitor: str, key: Any
) -> None:
    sealed = SEALER.seal(raw, visitor, key)
    assert Sealer().open(sealed.decode(), visitor, key) == raw
    assert room(len(sealed)) == len(raw)


@given(st.integers(0, 1_500))
def test_room_is_what_fits_to_the_byte(characters: int) -> None:
    fits = room(characters)
    assert len(encode64(bytes(max(0, fits) + TAG_BYTES))) <= characters or fits < 0
    assert len(encode64(bytes(max(0, fits + 1) + TAG_BYTES))) > characters


def test_it_opens_for_nobody_else_and_by_no_other_key() -> None:
    sealed = sealed_as(b"profile")
    assert SEALER.open(sealed, OTHER, KEY) is None
    assert SEALER.open(sealed, VISITOR, OLD) is None
    assert SEALER.open(sealed, VISITOR, key_of(KEY.kid, b"3" * 32)) is None


def test_neither_the_secret_itself_nor_half_of_it_is_the_key() -> None:
    """Who breaks the seal's key cannot sign."""
    for key in (KEY.secret, KEY.secret * 2):
        with pytest.raises(InvalidTag):
            AESSIV(key).decrypt(raw_of(sealed_as(b"profile")), [VISITOR.encode()])


@given(damaged(SEALER.seal(b"a profile of some bytes", VISITOR, KEY)))
@settings(max_examples=300)
def test_changed_text_does_not_open_and_raises_nothing(changed: bytes) -> None:
    sealed = sealed_as(b"a profile of some bytes")
    spelt = changed.decode(errors="replace")
    opened = SEALER.open(spelt, VISITOR, KEY)
    assert (opened is not None) == (spelt == sealed)


# The cookie.


@given(profiles)
@settings(max_examples=60)
def test_a_sealed_profile_comes_back_as_the_open_one_and_holds_the_limit(profile: Profile) -> None:
    cookie = SEALED.write_profile(profile, NAMES, NOW_S)
    assert len(cookie.partition(b";")[0]) <= MAX_PROFILE_BYTES
    back = OPEN.profile(token(cookie), NAMES, NOW_S)
    assert isinstance(back, Profile)
    assert msgspec.structs.replace(back.cart, lines=profile.cart.lines) == profile.cart
    assert (back.recent, back.customer) == (profile.recent, profile.customer)
    if len(binary(pack(profile, NAMES))) < 300:
        assert pack(back, NAMES) == pack(profile, NAMES), "whole, where it is small"


def test_whatever_the_setting_both_forms_are_read() -> None:
    for writes in (OPEN, SEALED):
        cookies = header(writes.write_choice(ALL, NOW_S), writes.write_profile(KNOWN, NAMES, NOW_S))
        for reads in (OPEN, SEALED):
            assert reads.read(cookies, NAMES, NOW_S) == (ALL, KNOWN)


def test_a_sealed_cookie_is_a_jwt_that_tells_its_visitor_and_dates_and_nothing_else() -> None:
    cookie = SEALED.write_profile(KNOWN, NAMES, NOW_S)
    claims = jwt.decode(token(cookie), options={"verify_signature": False})
    assert {*claims} == {"aud", "v", "iat", "exp", "sub", "p"}
    assert claims["sub"] == VISITOR
    assert binary(pack(KNOWN, NAMES)) not in raw_of(claims["p"])


def test_what_a_cookie_of_the_aimed_size_holds_it_holds_sealed_too() -> None:
    cookie = SEALED.write_profile(FULL, NAMES, NOW_S)
    assert len(cookie.partition(b";")[0]) <= AIM_PROFILE_BYTES
    assert OPEN.profile(token(cookie), NAMES, NOW_S) == FULL


@pytest.mark.parametrize(
    ("cookie", "reason"),
    [
        (cookie_of(sealed_as(binary(pack(KNOWN, NAMES)), OTHER)), Refusal.UNOPENED),
        (cookie_of(sealed_as(binary(pack(KNOWN, NAMES))), sub=OTHER), Refusal.UNOPENED),
        (cookie_of(sealed_as(binary(pack(KNOWN, NAMES)), key=OLD)), Refusal.UNOPENED),
        (cookie_of(sealed_as(binary(pack(KNOWN, NAMES))), key=OLD), Refusal.UNOPENED),
        (cookie_of(""), Refusal.UNOPENED),
        (cookie_of("AA"), Refusal.UNOPENED),
        (cookie_of("é"), Refusal.UNOPENED),
        (cookie_of(sealed_as(b"\xc1 no MessagePack")), Refusal.BAD_CLAIMS),
        (cookie_of(sealed_as(msgspec.msgpack.encode({}))), Refusal.BAD_CLAIMS),
        (cookie_of(sealed_as(msgspec.msgpack.encode([0, 0, 0, 0, [1]]))), Refusal.BAD_CLAIMS),
        (cookie_of(sealed_as(b"\x95\x00\x00\x00\x00\xa1\xff")), Refusal.BAD_CLAIMS),
        (cookie_of(sealed_as(binary(pack(KNOWN, NAMES))), exp=0), Refusal.EXPIRED),
        (cookie_of("", exp=0), Refusal.EXPIRED),
        (cookie_of("", key=key_of(KEY.kid, b"3" * 32)), Refusal.FORGED),
    ],
)
def test_what_does_not_open_or_is_no_profile_is_refused_with_a_reason(
    cookie: bytes, reason: Refusal
) -> None:
    assert SEALED.profile(cookie, NAMES, NOW_S) is reason
    assert OPEN.profile(cookie, NAMES, NOW_S) is reason


@given(damaged(binary(pack(KNOWN, NAMES))) | st.binary(min_size=1, max_size=100))
@settings(max_examples=300)
def test_whatever_a_key_of_ours_sealed_is_a_profile_or_none(raw: bytes) -> None:
    cookie = cookie_of(sealed_as(raw or b"\x90"))
    with within(0.5):
        read = SEALED.profile(cookie, NAMES, NOW_S)
    assert isinstance(read, Profile) or read in (Refusal.BAD_CLAIMS, Refusal.OVERSIZED)


def test_an_old_key_opens_what_it_sealed_until_it_is_dropped() -> None:
    rings = [KeyRing((OLD,))]
    jar = CookieJar(lambda: rings[-1], sealed=True)
    cookie = jar.write_profile(KNOWN, NAMES, NOW_S)
    rings.append(KeyRing((KEY, OLD)))
    assert jar.profile(token(cookie), NAMES, NOW_S) == KNOWN
    newer = jar.write_profile(KNOWN, NAMES, NOW_S)
    assert token(newer).startswith(KEY.header)
    rings.append(KeyRing((KEY,)))
    assert jar.profile(token(newer), NAMES, NOW_S) == KNOWN
    assert jar.profile(token(cookie), NAMES, NOW_S) is Refusal.UNKNOWN_KEY


async def test_turning_it_on_and_off_again_loses_no_visitor() -> None:
    plain, sealing = Shop(), Shop(seal_cookies=True)
    browser = plain.browser()
    await browser.consent("personalization")
    await browser.view("shoes", 6)
    visitors = []
    for shop, is_sealed in ((plain, False), (sealing, True), (plain, False)):
        again = shop.browser()
        again.cookies = browser.cookies
        assert await again.view("shoes") == "<p>Shoes</p>"
        claims = jwt.decode(again.cookies[PROFILE], options={"verify_signature": False})
        assert isinstance(claims["p"], str) == is_sealed
        visitors.append(claims["sub"])
    assert len({*visitors}) == 1


async def test_a_profile_put_into_the_cookie_of_another_is_none_and_is_counted() -> None:
    shop = Shop(seal_cookies=True)
    browser = shop.browser()
    await browser.consent("personalization")
    moved = cookie_of(sealed_as(binary(pack(KNOWN, NAMES))), key=COOKIE_KEYS.signing, sub=OTHER)
    browser.cookies[PROFILE] = moved.decode()
    await browser.hero()
    refused = 'edgewise_cookies_refused_total{cookie="user_interest_score",reason="unopened"}'
    assert shop.counted(refused) == 1

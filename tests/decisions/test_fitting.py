from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.compact import pack, text, tightened, unpack
from decisions.fitting import KEEP_INTERESTS, fit
from decisions.profile import Cart, Profile, Session
from tests.decisions.profiles import EVENTS, KEYS, NAMES, NOW_S, RULES, VISITOR, profiles


@given(profiles, st.integers(250, 1_200))
@settings(max_examples=50)
def test_what_is_kept_never_exceeds_the_limit_and_is_a_profile(
    profile: Profile, limit: int
) -> None:
    packed = fit(profile, NAMES, aim=limit * 2 // 3, limit=limit)
    assert len(packed) <= limit
    back = unpack(msgspec.json.decode(packed), NAMES, VISITOR)
    assert msgspec.structs.replace(back.cart, lines=profile.cart.lines) == profile.cart
    assert back.cart.lines.items() <= profile.cart.lines.items()
    assert back.customer == profile.customer
    assert back.recent == profile.recent


def rich(interests: int, categories: int) -> Profile:
    return Profile(
        visitor=VISITOR,
        seen_s=NOW_S,
        at_s=NOW_S,
        interests={key: 1.0 + number for number, key in enumerate(KEYS[:interests])},
        counts={event: 1 + number for number, event in enumerate(EVENTS)},
        cart=Cart(2, 5.0, int(NOW_S)),
        session=Session(int(NOW_S), int(NOW_S), dict.fromkeys(KEYS[:categories], b"abc" * 8)),
        caps={rule: (int(NOW_S) - number,) for number, rule in enumerate(RULES)},
        recent=tuple(range(8)),
    )


def kept(profile: Profile, *, aim: int, limit: int) -> Profile:
    packed = fit(profile, NAMES, aim=aim, limit=limit)
    return unpack(msgspec.json.decode(packed), NAMES, VISITOR)


def test_a_profile_within_the_aim_is_kept_whole() -> None:
    profile = rich(20, 8)
    whole = fit(profile, NAMES, aim=2_000, limit=3_000)
    read = msgspec.json.decode(whole)
    packed = msgspec.to_builtins(pack(profile, NAMES))
    assert packed[: len(read)] == read
    assert not any(packed[len(read) :]), "what is empty at the end is left out"
    assert unpack(msgspec.json.decode(whole), NAMES) == unpack(pack(profile, NAMES), NAMES)


def test_above_the_aim_weak_interests_and_old_views_go_and_the_rest_stays() -> None:
    back = kept(rich(20, 8), aim=100, limit=3_000)
    assert list(back.interests) == list(KEYS[20 - KEEP_INTERESTS : 20])
    assert back.session is not None
    assert list(back.session.views) == list(KEYS[4:8])
    assert len(back.counts) == len(EVENTS)
    assert len(back.caps) == len(RULES)


def test_what_reaches_the_aim_is_enough() -> None:
    whole = len(text(tightened(pack(rich(20, 8), NAMES))))
    back = kept(rich(20, 8), aim=whole - 1, limit=3_000)
    assert list(back.interests) == list(KEYS[1:20])


def test_before_anything_goes_numbers_are_written_as_bytes() -> None:
    whole = unpack(pack(rich(20, 8), NAMES), NAMES, VISITOR)
    plain = text(pack(rich(20, 8), NAMES))
    for limit in (len(plain) - 1, len(text(tightened(pack(rich(20, 8), NAMES))))):
        packed = fit(rich(20, 8), NAMES, aim=limit, limit=limit)
        assert len(packed) <= limit
        assert unpack(msgspec.json.decode(packed), NAMES, VISITOR) == whole


def test_bytes_are_not_taken_where_they_are_longer() -> None:
    words = Profile(seen_s=NOW_S, interests={KEYS[0]: 1e-7}, session=Session(0, 0, campaign="x"))
    assert fit(words, NAMES, aim=1, limit=500) == text(pack(words, NAMES))


def test_above_the_limit_views_then_old_caps_then_rare_counts_go() -> None:
    profile = rich(20, 8)
    small = len(text(tightened(pack(rich(KEEP_INTERESTS // 2, 0), NAMES))))
    back = kept(profile, aim=100, limit=small - 20)
    assert back.session is not None
    assert not back.session.views
    assert len(back.interests) == KEEP_INTERESTS // 2
    assert 0 < len(back.caps) < len(RULES)
    assert list(back.caps) == list(RULES[: len(back.caps)])
    back = kept(profile, aim=100, limit=300)
    assert not back.caps
    assert 0 < len(back.counts) < len(EVENTS)
    assert min(back.counts.values()) > 1


def test_at_last_only_what_every_profile_has_is_left() -> None:
    back = kept(rich(20, 8), aim=1, limit=1)
    assert (back.interests, back.counts, back.caps) == ({}, {}, {})
    assert back.cart == Cart(2, 5.0, int(NOW_S))
    assert back.recent == tuple(range(8))


def test_what_is_held_goes_before_caps_do() -> None:
    profile = rich(0, 0)
    assert profile.session is not None
    held = msgspec.structs.replace(profile.session, held=RULES[:3])
    profile = msgspec.structs.replace(profile, session=held)
    whole = len(text(tightened(pack(profile, NAMES))))
    back = kept(profile, aim=1, limit=whole - 1)
    assert (back.session, back.caps) == (rich(0, 0).session, profile.caps)


def test_a_profile_without_a_session_sheds_too() -> None:
    profile = msgspec.structs.replace(rich(2, 0), session=None)
    assert kept(profile, aim=1, limit=1).session is None

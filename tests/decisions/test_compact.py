from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.compact import WEIGHT_UNIT, Packed, binary, pack, text, tightened, unpack
from decisions.errors import ProfileError
from decisions.ledger import KEY, NO_NAMES, UNKNOWN, Dictionary
from decisions.profile import NOBODY, Profile, Session
from tests.decisions.profiles import EVENTS, KEYS, NAMES, NOW_S, RULES, VISITOR, profiles


def through_json(packed: Packed) -> list[Any]:
    read = msgspec.json.decode(msgspec.json.encode(packed))
    assert isinstance(read, list)
    return read


@given(profiles)
def test_a_profile_comes_back_as_it_was(profile: Profile) -> None:
    back = unpack(through_json(pack(profile, NAMES)), NAMES, VISITOR)
    assert back.interests == pytest.approx(profile.interests, abs=WEIGHT_UNIT)
    if not profile.customer:
        profile = msgspec.structs.replace(profile, authenticated_until_s=0, recognised_until_s=0)
    assert msgspec.structs.replace(back, interests=profile.interests) == profile
    assert pack(back, NAMES) == pack(profile, NAMES)


@given(profiles)
def test_the_tight_form_says_the_same(profile: Profile) -> None:
    packed = pack(profile, NAMES)
    tight = tightened(packed)
    for read in (
        through_json(tight),
        binary(tight),
        msgspec.json.decode(text(tight)),
    ):
        assert pack(unpack(read, NAMES), NAMES) == packed
    numbers = (packed.interests, packed.lines, packed.caps, packed.measures)
    assert bool(tight.tight) == any(numbers)


def test_an_older_edge_reads_of_the_tight_form_what_it_knows() -> None:
    last = Packed.__struct_fields__.index("tight")
    profile = Profile(seen_s=NOW_S, visits=3, interests={KEYS[0]: 2.0}, counts={EVENTS[0]: 5})
    older = unpack(through_json(tightened(pack(profile, NAMES)))[:last], NAMES)
    assert older == msgspec.structs.replace(profile, interests={}, at_s=older.at_s)


@given(profiles, st.integers(0, len(NAMES)))
def test_an_edge_with_an_older_dictionary_carries_everything_through(
    profile: Profile, known: int
) -> None:
    cookie = pack(profile, NAMES)
    older = Dictionary(NAMES[:known])
    assert pack(unpack(cookie, older), older) == cookie


def test_unknown_numbers_fade_as_the_rest_and_are_told_apart_from_names() -> None:
    back = unpack(pack(Profile(interests={"tea": 2.0}), Dictionary([KEY + "tea"])), NO_NAMES)
    assert back.interests == pytest.approx({f"{UNKNOWN}0": 2.0})


def test_what_has_no_number_is_left_out() -> None:
    assert pack(Profile(interests={"tea": 2.0}), NO_NAMES) == Packed()


def test_nobody_is_a_short_list() -> None:
    assert unpack(through_json(pack(NOBODY, NAMES)), NAMES) == NOBODY
    assert unpack([], NAMES) == NOBODY


def test_fields_of_newer_versions_are_passed_over() -> None:
    newer = [*through_json(pack(Profile(visits=3), NAMES)), {"anything": [1]}, "new"]
    assert unpack(newer, NAMES).visits == 3


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=12,
)
NUMBERS = st.lists(st.integers(-1, len(NAMES) + 3) | st.just(2**53 - 1), max_size=6)
TEXTS = st.text("AQgw-_+=/\u00e9\ud800", max_size=12)


@given(ANYTHING | st.lists(NUMBERS | TEXTS | st.integers(-1, 2**53) | ANYTHING, max_size=14))
@settings(max_examples=400)
def test_hostile_claims_are_refused_in_one_way_or_make_a_whole_profile(raw: Any) -> None:
    try:
        profile = unpack(raw, NAMES)
    except ProfileError:
        return
    assert unpack(pack(profile, NAMES), NAMES) == profile


@given(profiles, st.data())
def test_a_changed_claim_is_refused_or_makes_a_whole_profile(
    profile: Profile, data: st.DataObject
) -> None:
    raw = through_json(pack(profile, NAMES))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] = data.draw(NUMBERS | TEXTS | st.integers(-1, 2**53))
    try:
        back = unpack(raw, NAMES)
    except ProfileError:
        return
    assert unpack(pack(back, NAMES), NAMES) == back


A_KEY, A_RULE = NAMES.index(KEY + KEYS[0]), NAMES.index("r/" + RULES[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"interests": [A_KEY]}, "expected pairs of numbers, got 1 numbers"),
        ({"interests": [A_RULE, 5]}, "expected a number of 'k/'"),
        ({"interests": [A_KEY, 5, A_KEY, 6]}, f"expected each number once, got {A_KEY} twice"),
        ({"interests": [A_KEY, 10**15]}, "expected a compact profile: Expected `int` <="),
        ({"seen_ms": -1}, "expected a compact profile: Expected `int` >= 0"),
        ({"cart": [1, 2]}, "expected a cart of 3 numbers, got 2"),
        ({"session": [1]}, "expected a session of 2 numbers, got 1"),
        ({"views": [A_KEY, 1]}, "expected a session of 2 numbers, got 0"),
        ({"session": [1, 2], "views": [A_KEY, 2], "items": "AAAA"}, "of 6 bytes, got 3"),
        ({"caps": [[]]}, "expected the number of a rule, got an empty list"),
        ({"recent": "AAAA"}, "expected hashes of 4 bytes, got 3 bytes"),
        ({"recent": "AAA+AA"}, "expected base64url, got 'AAA+AA'"),
        ({"recent": "AAAAAB"}, "expected base64url, got 'AAAAAB'"),
        ({"recent": "A"}, "expected base64url, got 'A'"),
        ({"recent": "AA=="}, "expected base64url, got 'AA=='"),
        ({"recent": "é"}, "expected base64url"),
        ({"tight": "AAAAAAA="}, "as bytes: expected no number after the last list, got more"),
        ({"tight": "AgD/AAAA"}, "expected numbers as bytes: "),
        ({"tight": "AAAAAA=="[:7]}, "expected a compact profile: Invalid base64"),
        ({"tight": "AAAAAA", "interests": [A_KEY, 5]}, "expected a compact profile: Invalid base"),
        (
            {"tight": "AAAAAA==", "interests": [A_KEY, 5]},
            "expected numbers as lists or as bytes, got some of both",
        ),
        ({"customer": "AAAA"}, "expected a customer of 8 bytes, got 3"),
    ],
)
def test_an_error_says_what_was_expected_and_what_came(
    changes: dict[str, Any], message: str
) -> None:
    raw = through_json(msgspec.structs.replace(Packed(), **changes))
    with pytest.raises(ProfileError) as error:
        unpack(raw, NAMES)
    assert message in str(error.value)
    assert isinstance(error.value, ValueError)


def test_a_cookie_from_before_holds_reads_and_holds_nothing() -> None:
    profile = Profile(session=Session(int(NOW_S), int(NOW_S), {}, (RULES[0],)), seen_s=NOW_S)
    packed = through_json(pack(profile, NAMES))
    assert unpack(packed, NAMES).session == profile.session
    assert unpack(packed[:14], NAMES).session == Session(int(NOW_S), int(NOW_S))

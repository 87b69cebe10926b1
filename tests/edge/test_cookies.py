from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.compact import pack
from decisions.consent import ANALYTICS, EVERYTHING, FUNCTIONAL, MARKETING, PERSONALIZATION
from decisions.ledger import Dictionary
from decisions.profile import NOBODY, Cart, Line, Profile, Session
from edge.cookies import (
    AIM_PROFILE_BYTES,
    CONSENT,
    DAY_S,
    FORMAT,
    MAX_DUPLICATES,
    MAX_PROFILE_BYTES,
    NO_CHOICE,
    PROFILE,
    Choice,
    CookieJar,
    found,
    new_visitor,
)
from edge.keyring import KeyRing, key_of
from edge.tokens import LEEWAY_S, Refusal, sign
from tests.damage import damaged, within
from tests.decisions.profiles import DISTINCT, KEYS, NAMES, NOW_S, VISITOR, profiles

NOW = int(NOW_S)
KEY, OLD = key_of("2026-11", b"1" * 32), key_of("2025-11", b"2" * 32)
RING = KeyRing((KEY, OLD))
ALL = Choice(FUNCTIONAL | ANALYTICS | PERSONALIZATION | MARKETING, NOW_S, "banner", "2026-11")
KNOWN = Profile(visitor=VISITOR, seen_s=NOW_S, visits=3, cart=Cart(2, 5.0, NOW))
RICH = msgspec.structs.replace(
    KNOWN,
    interests={key: 20.123456 - number for number, key in enumerate(KEYS[:20])},
    at_s=NOW_S - 5,
    recent=tuple(2**32 - 1 - number for number in range(8)),
    caps={f"rule-{number}": (NOW - 40_000, NOW - 100) for number in range(5)},
    measures={
        f"measure-{number}": {"": tuple((NOW - step * n, 7) for n in range(7, -1, -1))}
        for number, step in enumerate((450, 10_800, 75_600))
    },
)
LINES = {f"{1_127_831 + n}": Line(1 + n % 3, 349 + n * 451) for n in range(5)}
# What DESIGN says that a cookie of the aimed size holds: 12 interests, a cart of 5 lines, three
# windows and 5 caps.
FULL = msgspec.structs.replace(
    RICH,
    first_seen_s=NOW - 40 * DAY_S,
    interests={key: 20.25 - number for number, key in enumerate(KEYS[:12])},
    cart=Cart(9, 123.45, NOW - 90, LINES),
)
HTTP_API = (Path(__file__).parents[2] / "docs" / "http-api.md").read_text(encoding="utf-8")
LARGE = Dictionary((*(f"k/other-{n}" for n in range(400)), *NAMES))  # so many, for three digits
CLAIMS: dict[str, Any] = {
    "aud": "profile",
    "v": FORMAT,
    "sub": VISITOR,
    "iat": NOW,
    "exp": NOW + 1_000,
    "p": msgspec.to_builtins(pack(KNOWN, NAMES)),
}


class Told(list[tuple[str, Refusal]]):
    """Remembers what was refused."""

    def __call__(self, name: str, reason: Refusal) -> None:
        self.append((name, reason))


def jar_of(ring: KeyRing = RING, told: Told | None = None) -> CookieJar:
    return CookieJar(lambda: ring, refused=told if told is not None else Told())


JAR = jar_of()


def token(cookie: bytes) -> bytes:
    return cookie.partition(b";")[0].partition(b"=")[2]


def header(*cookies: bytes) -> bytes:
    return b"; ".join(cookie.partition(b";")[0] for cookie in cookies)


def signed(claims: object, key: Any = KEY) -> bytes:
    return sign(msgspec.json.encode(claims), key)


def test_what_a_jar_writes_it_reads() -> None:
    cookies = header(JAR.write_choice(ALL, NOW_S), JAR.write_profile(KNOWN, NAMES, NOW_S))
    assert JAR.read(cookies, NAMES, NOW_S) == (ALL, KNOWN)
    assert JAR.read(cookies, NAMES, NOW_S) == (ALL, KNOWN), "the second time from memory"


def test_no_cookie_is_nobody_who_chose_nothing() -> None:
    for raw in (None, b"", b"session=1; theme=dark"):
        assert JAR.read(raw, NAMES, NOW_S) == (NO_CHOICE, NOBODY)


def test_cookies_are_kept_from_scripts_and_other_sites_and_bound_to_the_mount() -> None:
    assert JAR.write_choice(ALL, NOW_S).partition(b"; ")[2] == (
        b"Max-Age=15724800; Path=/_ew; HttpOnly; Secure; SameSite=Lax"
    )
    wide = CookieJar(lambda: RING, path="/", secure=False, profile_days=1)
    assert wide.write_profile(KNOWN, NAMES, NOW_S).partition(b"; ")[2] == (
        b"Max-Age=86400; Path=/; HttpOnly; SameSite=Lax"
    )
    assert b"Domain" not in JAR.write_profile(KNOWN, NAMES, NOW_S)


def test_a_cookie_is_deleted_under_the_same_path() -> None:
    gone = b"user_interest_score=; Max-Age=0; Path=/_ew; HttpOnly; Secure; SameSite=Lax"
    assert JAR.forget(PROFILE) == gone
    assert JAR.write_profile(NOBODY, NAMES, NOW_S) == gone


def test_any_jwt_library_reads_what_we_write() -> None:
    profile = jwt.decode(
        token(JAR.write_profile(KNOWN, NAMES, NOW_S)), KEY.secret, ["HS256"],
        audience="profile", options={"verify_exp": False, "verify_iat": False},
    )  # fmt: skip
    assert {name: profile[name] for name in ("aud", "v", "sub", "iat")} == {
        "aud": "profile", "v": 1, "sub": VISITOR, "iat": NOW,
    }  # fmt: skip
    assert profile["exp"] == NOW + 390 * DAY_S
    consent = jwt.decode(
        token(JAR.write_choice(ALL, NOW_S)), KEY.secret, ["HS256"],
        audience="consent", options={"verify_exp": False, "verify_iat": False},
    )  # fmt: skip
    assert consent["g"] == ["functional", "analytics", "personalization", "marketing"]
    assert (consent["how"], consent["at"], consent["policy"]) == ("banner", NOW, "2026-11")


# PyJWT is the oracle: what it signs under our header we take, what it refuses we refuse.


def pyjwt_accepts(text: bytes, now_s: float) -> bool:
    options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    try:
        key = RING.by_kid[jwt.get_unverified_header(text)["kid"]]
        claims = jwt.decode(text, key.secret, ["HS256"], audience="profile", options=options)
    except (jwt.PyJWTError, KeyError):
        return False
    in_time = claims["exp"] > now_s - LEEWAY_S and claims.get("nbf", 0) <= now_s + LEEWAY_S
    return bool(in_time and claims["v"] == FORMAT)


@given(
    st.fixed_dictionaries(
        {
            "aud": st.sampled_from(["profile", "consent", "edgewise-identify", ""]),
            "v": st.sampled_from([1, 1, 2]),
            "exp": st.integers(NOW - 200, NOW + 10),
            "iat": st.integers(NOW - 10**6, NOW + 10**6),
        },
        optional={"nbf": st.integers(NOW - 10, NOW + 200), "new": st.text(max_size=3)},
    ),
    st.sampled_from([KEY, OLD, key_of("2024-11", b"3" * 32), key_of("2026-11", b"4" * 32)]),
)
def test_a_token_that_pyjwt_signed_is_accepted_or_refused_as_pyjwt_does(
    changes: dict[str, Any], key: Any
) -> None:
    text = jwt.encode(CLAIMS | changes, key.secret, "HS256", headers={"kid": key.kid}).encode()
    read = JAR.profile(text, NAMES, NOW_S)
    assert isinstance(read, Profile) == pyjwt_accepts(text, NOW_S)
    if isinstance(read, Profile):
        assert read == KNOWN


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        (CLAIMS | {"aud": "consent"}, Refusal.WRONG_AUDIENCE),
        ({"aud": "consent", "v": 1, "exp": NOW, "g": []}, Refusal.WRONG_AUDIENCE),
        (CLAIMS | {"v": 2}, Refusal.WRONG_VERSION),
        (CLAIMS | {"v": 2, "p": {"new": "form"}}, Refusal.WRONG_VERSION),
        (CLAIMS | {"v": True}, Refusal.BAD_CLAIMS),
        (CLAIMS | {"p": {}}, Refusal.BAD_CLAIMS),
        (CLAIMS | {"p": [0, 0, 0, 0, [1]]}, Refusal.BAD_CLAIMS),
        (CLAIMS | {"sub": "somebody"}, Refusal.BAD_CLAIMS),
        (CLAIMS | {"sub": VISITOR + "\n"}, Refusal.BAD_CLAIMS),
        (CLAIMS | {"exp": "tomorrow"}, Refusal.BAD_CLAIMS),
        (CLAIMS | {"exp": NOW - LEEWAY_S}, Refusal.EXPIRED),
        (CLAIMS | {"nbf": NOW + LEEWAY_S + 1}, Refusal.NOT_YET),
        ([], Refusal.BAD_CLAIMS),
        ("text", Refusal.BAD_CLAIMS),
        (CLAIMS | {"new": "x" * MAX_PROFILE_BYTES}, Refusal.OVERSIZED),
    ],
)
def test_signed_claims_that_do_not_fit_are_refused_with_a_reason(
    claims: object, reason: Refusal
) -> None:
    assert JAR.profile(signed(claims), NAMES, NOW_S) is reason


@pytest.mark.parametrize("payload", [b"", b"\xff", b"{", b"[" * 900, b'{"a":' * 200])
def test_signed_bytes_that_are_no_claims_are_refused(payload: bytes) -> None:
    assert JAR.profile(sign(payload, KEY), NAMES, NOW_S) is Refusal.BAD_CLAIMS


def test_an_iat_of_the_future_does_not_matter() -> None:
    assert JAR.profile(signed(CLAIMS | {"iat": NOW + 10**6}), NAMES, NOW_S) == KNOWN


def test_a_remembered_token_expires_too() -> None:
    text = signed(CLAIMS)
    assert JAR.profile(text, NAMES, NOW_S) == KNOWN
    assert JAR.profile(text, NAMES, NOW_S + 2_000) is Refusal.EXPIRED


def test_a_bad_cookie_is_a_new_visitor_and_a_reason_to_count() -> None:
    told = Told()
    jar = jar_of(told=told)
    raw = header(
        jar.write_choice(ALL, NOW_S), b"user_interest_score=broken", b"user_interest_score=a.b.c"
    )
    assert jar.read(raw, NAMES, NOW_S) == (ALL, NOBODY)
    assert jar.read(b"consent=yes", NAMES, NOW_S) == (NO_CHOICE, NOBODY)
    assert told == [
        (PROFILE, Refusal.MALFORMED), (PROFILE, Refusal.UNKNOWN_KEY), (CONSENT, Refusal.MALFORMED),
    ]  # fmt: skip


@given(st.binary(max_size=200) | st.text(max_size=60).map(str.encode))
def test_no_header_makes_reading_fail(raw: bytes) -> None:
    assert JAR.read(raw, NAMES, NOW_S) == (NO_CHOICE, NOBODY)
    garbled = b"user_interest_score=" + raw + b"; consent=" + raw
    assert JAR.read(garbled, NAMES, NOW_S) == (NO_CHOICE, NOBODY)


GOOD = msgspec.json.encode(CLAIMS)
CHOSEN = msgspec.json.encode({"aud": "consent", "v": FORMAT, "exp": NOW + 9, "g": ["functional"]})


@given(damaged(GOOD, CHOSEN) | st.binary(max_size=100))
@settings(max_examples=300)
def test_whatever_a_key_of_ours_signed_is_a_cookie_or_none(payload: bytes) -> None:
    """An older or newer edge signed it, or one with a fault."""
    signed = sign(payload, KEY)
    with within(0.5):
        choice, profile = JAR.read(b"user_interest_score=" + signed, NAMES, NOW_S)
        JAR.read(b"consent=" + signed, NAMES, NOW_S)
    assert choice == NO_CHOICE
    again = JAR.write_profile(profile, NAMES, NOW_S) if profile is not NOBODY else b""
    assert len(again.partition(b";")[0]) <= MAX_PROFILE_BYTES


# Rotation.


def test_an_old_key_still_reads_and_a_dropped_one_does_not() -> None:
    rings = [KeyRing((OLD,))]
    jar = CookieJar(lambda: rings[-1])
    cookies = header(jar.write_choice(ALL, NOW_S), jar.write_profile(KNOWN, NAMES, NOW_S))
    rings.append(KeyRing((KEY, OLD)))
    assert jar.read(cookies, NAMES, NOW_S) == (ALL, KNOWN)
    assert token(jar.write_profile(KNOWN, NAMES, NOW_S)).startswith(KEY.header)
    rings.append(KeyRing((KEY,)))
    assert jar.read(cookies, NAMES, NOW_S) == (NO_CHOICE, NOBODY)


# Consent.


def test_without_a_grant_that_needs_an_id_the_profile_is_not_looked_at() -> None:
    told = Told()
    jar = jar_of(told=told)
    choice = Choice(MARKETING, NOW_S)
    raw = header(jar.write_choice(choice, NOW_S), b"user_interest_score=broken")
    assert jar.read(raw, NAMES, NOW_S) == (choice, NOBODY)
    assert told == []


@pytest.mark.parametrize(
    ("grants", "expected"),
    [
        (FUNCTIONAL, Profile(visitor=VISITOR, seen_s=NOW_S, cart=KNOWN.cart)),
        (PERSONALIZATION, Profile(visitor=VISITOR, seen_s=NOW_S, visits=3)),
        (ANALYTICS, Profile(visitor=VISITOR, seen_s=NOW_S)),
    ],
)
def test_a_profile_shows_only_what_is_granted_now(grants: int, expected: Profile) -> None:
    raw = header(JAR.write_profile(KNOWN, NAMES, NOW_S), JAR.write_choice(Choice(grants), NOW_S))
    assert JAR.read(raw, NAMES, NOW_S)[1] == expected


def test_a_choice_of_a_newer_version_keeps_the_purposes_we_know() -> None:
    claims = {"aud": "consent", "v": 1, "exp": NOW, "g": ["functional", "telepathy"]}
    assert JAR.choice(signed(claims), NOW_S) == Choice(FUNCTIONAL)


def test_a_choice_never_grants_a_sign_in() -> None:
    claims = {"aud": "consent", "v": 1, "exp": NOW, "g": ["authenticated", "none"]}
    assert JAR.choice(signed(claims), NOW_S) == NO_CHOICE
    written = JAR.choice(token(JAR.write_choice(Choice(EVERYTHING), NOW_S)), NOW_S)
    assert isinstance(written, Choice)
    assert written.grants == sum((1, 2, 4, 8, 16))


def test_long_words_of_a_choice_are_cut_so_that_it_can_be_read() -> None:
    written = JAR.write_choice(Choice(1, NOW_S, "h" * 900, "p" * 900), NOW_S)
    assert JAR.choice(token(written), NOW_S) == Choice(1, NOW_S, "h" * 64, "p" * 64)


def test_a_profile_is_no_choice() -> None:
    assert JAR.choice(signed(CLAIMS), NOW_S) is Refusal.WRONG_AUDIENCE


# Size.


@given(profiles)
@settings(max_examples=60)
def test_no_profile_makes_a_cookie_above_the_limit(profile: Profile) -> None:
    cookie = JAR.write_profile(profile, NAMES, NOW_S)
    assert len(cookie.partition(b";")[0]) <= MAX_PROFILE_BYTES
    back = JAR.profile(token(cookie), NAMES, NOW_S)
    assert isinstance(back, Profile)
    assert msgspec.structs.replace(back.cart, lines=profile.cart.lines) == profile.cart


def test_a_rich_profile_stays_within_the_aim() -> None:
    cookie = JAR.write_profile(RICH, NAMES, NOW_S)
    assert len(cookie.partition(b";")[0]) <= AIM_PROFILE_BYTES
    back = JAR.profile(token(cookie), NAMES, NOW_S)
    assert isinstance(back, Profile)
    assert len(back.interests) >= 12
    assert (back.cart, back.caps, back.measures) == (RICH.cart, RICH.caps, RICH.measures)


@pytest.mark.parametrize("names", [NAMES, LARGE])
def test_twelve_interests_five_lines_three_windows_and_five_caps_stay_within_the_aim(
    names: Dictionary,
) -> None:
    assert (len(FULL.interests), len(FULL.cart.lines)) == (12, 5)
    assert (len(FULL.measures), len(FULL.caps)) == (3, 5)
    cookie = JAR.write_profile(FULL, names, NOW_S)
    size = len(cookie.partition(b";")[0])
    assert size <= AIM_PROFILE_BYTES
    assert JAR.profile(token(cookie), names, NOW_S) == FULL
    assert f"{size} bytes" in HTTP_API


def test_what_was_looked_at_in_the_session_comes_on_top() -> None:
    session = Session(NOW - 300, NOW, dict.fromkeys(KEYS[:4], b"abc" * 3))
    visiting = msgspec.structs.replace(FULL, session=session)
    cookie = JAR.write_profile(visiting, NAMES, NOW_S)
    assert f"it is {len(cookie.partition(b';')[0])} bytes" in HTTP_API
    assert JAR.profile(token(cookie), NAMES, NOW_S) == visiting


def test_sixteen_different_things_of_a_week_come_on_top() -> None:
    cells = tuple((NOW - 75_600 * (n // 2) - 9, 2**24 - 1 - n) for n in range(15, -1, -1))
    looked_at = msgspec.structs.replace(FULL, distinct={DISTINCT[0]: {"": cells}})
    cookie = JAR.write_profile(looked_at, NAMES, NOW_S)
    assert f"makes it {len(cookie.partition(b';')[0])} bytes" in HTTP_API
    assert JAR.profile(token(cookie), NAMES, NOW_S) == looked_at


# The header.


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        (b"consent=a", [b"a"]),
        (b"x=1; consent=a; y=2", [b"a"]),
        (b"x=1;consent=a;y=2", [b"a"]),
        (b"x=1;\tconsent=a", [b"a"]),
        (b'consent="a.b"', [b"a.b"]),
        (b'consent="', [b""]),
        (b"xconsent=a; consent=b", [b"b"]),
        (b"x=consent=a", []),
        (b"x=y consent=a", []),
        (b"consent=a; consent=b", [b"a", b"b"]),
        (b"consent=", [b""]),
        (b"consent", []),
        (b"Consent=a", []),
        (b";;; ; consent=a ;;", [b"a"]),
        (b"consent=a=b", [b"a=b"]),
        (b"consent=a;" * 9, [b"a"] * MAX_DUPLICATES),
    ],
)
def test_a_cookie_is_found_among_others_and_garbage(raw: bytes, values: list[bytes]) -> None:
    assert list(found(raw, CONSENT)) == values


def test_of_two_cookies_the_first_good_one_counts() -> None:
    mine, other = (JAR.write_choice(Choice(grants), NOW_S) for grants in (FUNCTIONAL, ANALYTICS))
    assert JAR.read(header(b"consent=forged", mine, other), NAMES, NOW_S)[0].grants == FUNCTIONAL


# Ids.


@given(st.floats(0, 2**47 / 1000), st.binary(min_size=10, max_size=10))
def test_a_new_visitor_is_a_uuid_of_version_7(now_s: float, random: bytes) -> None:
    made = uuid.UUID(new_visitor(now_s, random))
    assert str(made) == new_visitor(now_s, random)
    assert (made.int >> 80, made.int >> 76 & 15) == (int(now_s * 1000), 7)
    assert made.variant == uuid.RFC_4122
    claims = CLAIMS | {"sub": str(made)}
    assert isinstance(JAR.profile(signed(claims), NAMES, NOW_S), Profile)

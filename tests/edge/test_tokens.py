from __future__ import annotations

import base64
import hmac
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.base64url import decode64, encode64
from edge.keyring import Key, KeyRing, key_of
from edge.tokens import LEEWAY_S, Refusal, sign, timely, verify

KEY, OTHER = key_of("one", b"1" * 32), key_of("two", b"2" * 32)
RING = KeyRing((KEY, OTHER))
LIMIT = 1_600
CLAIMS = {"aud": "profile", "v": 1}
PAYLOAD = json.dumps(CLAIMS).encode()
VECTORS = Path(__file__).parent.parent / "spec" / "jose" / "json_web_signature_test.json"


@given(st.binary(max_size=200))
def test_base64url_is_what_the_standard_library_says(raw: bytes) -> None:
    text = encode64(raw)
    assert text == base64.urlsafe_b64encode(raw).rstrip(b"=")
    assert decode64(text) == raw


@given(st.binary(max_size=40) | st.text("AQgw-_+/=. \n", max_size=12).map(str.encode))
def test_only_the_canonical_spelling_is_read(text: bytes) -> None:
    raw = decode64(text)
    assert raw is None or encode64(raw) == text


@given(st.binary(max_size=600), st.sampled_from([KEY, OTHER]))
def test_what_a_ring_signs_it_verifies(payload: bytes, key: Key) -> None:
    assert verify(sign(payload, key), RING, LIMIT) == payload


def test_our_token_is_a_jwt_to_pyjwt_and_its_token_is_ours() -> None:
    ours = sign(PAYLOAD, KEY)
    assert jwt.decode(ours, KEY.secret, ["HS256"], audience="profile") == CLAIMS
    assert jwt.get_unverified_header(ours) == {"alg": "HS256", "kid": "one", "typ": "JWT"}
    theirs = jwt.encode(CLAIMS, KEY.secret, "HS256", headers={"kid": "one"}).encode()
    read = verify(theirs, RING, LIMIT)
    assert isinstance(read, bytes)
    assert json.loads(read) == CLAIMS


def pyjwt_accepts(token: bytes) -> bool:
    """The oracle: PyJWT with the key that the header names."""
    try:
        key = RING.by_kid[jwt.get_unverified_header(token)["kid"]]
        jwt.decode(token, key.secret, ["HS256"], audience="profile")
    except (jwt.PyJWTError, KeyError, ValueError):
        return False
    return True


@given(st.data())
def test_a_changed_token_is_refused_here_and_by_pyjwt(data: st.DataObject) -> None:
    token = bytearray(sign(PAYLOAD, KEY))
    place = data.draw(st.integers(0, len(token) - 1))
    change = data.draw(st.sampled_from(["replace", "insert", "delete"]))
    byte = data.draw(st.integers(0, 255) | st.sampled_from(list(b"AQgw-_+/=. \n")))
    if change == "replace":
        token[place] = byte
    elif change == "insert":
        token.insert(place, byte)
    else:
        del token[place]
    changed = bytes(token)
    if changed != sign(PAYLOAD, KEY):
        assert isinstance(verify(changed, RING, LIMIT), Refusal)
        lenient = changed.translate(None, b"=") == sign(PAYLOAD, KEY) or unused_bits(changed)
        assert lenient or not pyjwt_accepts(changed)


def unused_bits(token: bytes) -> bool:
    """Whether only the signature's last two bits differ: PyJWT does not look at them."""
    return token[:-1] == sign(PAYLOAD, KEY)[:-1]


@given(st.binary(max_size=300))
def test_no_bytes_make_verifying_fail(token: bytes) -> None:
    assert isinstance(verify(token, RING, LIMIT), Refusal)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (b"", Refusal.MALFORMED),
        (b"a.b", Refusal.MALFORMED),
        (b"a.b.c", Refusal.UNKNOWN_KEY),
        (sign(PAYLOAD, key_of("three", b"1" * 32)), Refusal.UNKNOWN_KEY),
        (sign(PAYLOAD, key_of("one", b"3" * 32)), Refusal.FORGED),
        (sign(PAYLOAD, KEY) + b".", Refusal.FORGED),
        (sign(PAYLOAD, KEY)[:-1], Refusal.FORGED),
        (sign(b"x" * LIMIT, KEY), Refusal.OVERSIZED),
    ],
)
def test_a_refusal_has_its_reason(token: bytes, reason: Refusal) -> None:
    assert verify(token, RING, LIMIT) is reason


@pytest.mark.parametrize("algorithm", ["none", "HS384", "HS512"])
def test_no_other_algorithm_exists(algorithm: str) -> None:
    key = "" if algorithm == "none" else KEY.secret * 2
    token = jwt.encode(CLAIMS, key, algorithm, headers={"kid": "one"})
    assert verify(token.encode(), RING, LIMIT) is Refusal.UNKNOWN_KEY


@pytest.mark.parametrize("payload", [b"AB", b"AA==", b"A+", b"A", b"AA\n", b"A=AA"])
def test_a_payload_in_another_spelling_is_refused_even_if_it_is_signed(payload: bytes) -> None:
    signed = KEY.header + b"." + payload
    mac = encode64(hmac.digest(KEY.secret, signed, "sha256"))
    assert verify(signed + b"." + mac, RING, LIMIT) is Refusal.MALFORMED


@pytest.mark.parametrize(
    ("exp", "nbf", "expected"),
    [
        (1_000.0, 0.0, None),
        (1_000.0 - LEEWAY_S, 0.0, Refusal.EXPIRED),
        (1_001.0 - LEEWAY_S, 0.0, None),
        (2_000.0, 1_000.0 + LEEWAY_S, None),
        (2_000.0, 1_001.0 + LEEWAY_S, Refusal.NOT_YET),
    ],
)
def test_time_has_leeway_on_both_sides(exp: float, nbf: float, expected: Refusal | None) -> None:
    assert timely(exp, nbf, 1_000.0) is expected


# The vectors of Wycheproof (tests/spec/jose): most of them are attacks.

EXCLUDED = {
    367: "its bytes are those of the valid 357",
    370: "its bytes are those of the valid 357",
    372: "calls base64 with an inserted character valid; one spelling is enough",
    373: "calls base64 with an inserted character valid; one spelling is enough",
}


def vectors() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    groups = json.loads(VECTORS.read_text(encoding="utf-8"))["testGroups"]
    return [
        (group.get("private") or group["public"], case)
        for group in groups
        for case in group["tests"]
        if case["tcId"] not in EXCLUDED
    ]


def ring_of(jwk: dict[str, Any], token: bytes, *, valid: bool) -> KeyRing:
    """A ring that signs under the headers the vectors use, or, for a valid one, under its own."""
    secret = decode64(str(jwk.get("k", "")).encode()) or b"these vectors are not for HS256"
    kid = jwk.get("kid", "")
    headers = [
        json.dumps(header, separators=(",", ":")).encode()
        for header in ({"alg": "HS256", "kid": kid}, {"kid": kid, "alg": "HS256"})
    ]
    spelt = [token.partition(b".")[0]] if valid else [encode64(header) for header in headers]
    return KeyRing(tuple(Key(kid, secret, header) for header in spelt))


@pytest.mark.parametrize(("jwk", "case"), vectors(), ids=lambda value: str(value.get("tcId", "")))
def test_every_attack_of_wycheproof_is_refused(jwk: dict[str, Any], case: dict[str, Any]) -> None:
    token = case["jws"] if isinstance(case["jws"], str) else json.dumps(case["jws"])
    raw = token.encode()
    valid = jwk["kty"] == "oct" and case["result"] == "valid"
    assert isinstance(verify(raw, ring_of(jwk, raw, valid=valid), 64 * 1024), bytes) == valid

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import jwt
import pytest

from snapshots.errors import BadSignature, Malformed, UnknownKey, Untrusted
from snapshots.keys import b64encode, parse_private
from snapshots.signing import LEDGER, MANIFEST, sign, sign_bytes, signer, verify, verify_bytes
from tests.snapshots.bundles import KEY, OTHER
from tests.snapshots.test_keys import RFC8037, jwks
from tests.snapshots.test_manifest import MANIFEST as A_MANIFEST

VECTORS = Path(__file__).parent.parent / "spec" / "jose" / "json_web_signature_test.json"
EXCLUDED = {367, 370, 372, 373}  # tests/spec/jose/README.md says why
CASES = [
    case | {"key": group.get("public") or group["private"]}
    for group in json.loads(VECTORS.read_text(encoding="utf-8"))["testGroups"]
    for case in group["tests"]
    if case["tcId"] not in EXCLUDED
]
TOKEN = sign(A_MANIFEST, KEY)


def header(**members: Any) -> str:
    return b64encode(json.dumps(members, separators=(",", ":")).encode())


def with_header(**members: Any) -> bytes:
    """The token's payload under another header, with a good signature of our key."""
    signed = f"{header(**members)}.{TOKEN.decode().split('.')[1]}"
    return f"{signed}.{b64encode(KEY.key.sign(signed.encode()))}".encode()


GOOD = {"alg": "EdDSA", "kid": KEY.kid, "typ": MANIFEST}


def test_a_signed_manifest_is_read_back_and_names_its_key() -> None:
    assert verify(TOKEN, KEY.public()) == A_MANIFEST
    assert verify(TOKEN, {**OTHER.public(), **KEY.public()}) == A_MANIFEST
    assert signer(TOKEN) == KEY.kid
    assert verify(with_header(**GOOD), KEY.public()) == A_MANIFEST


def test_the_same_manifest_and_key_give_the_same_bytes() -> None:
    assert sign(A_MANIFEST, KEY) == TOKEN


def test_any_jwt_library_can_verify_it() -> None:
    public = KEY.key.public_key()
    assert jwt.PyJWS().decode(TOKEN, public, ["EdDSA"]).startswith(b'{"channel":"live"')


def test_the_example_of_rfc_8037_has_our_signature() -> None:
    key = parse_private(jwks(RFC8037), "rfc")
    expected = (
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )
    signed = expected.rpartition(".")[0]
    assert b64encode(key.key.sign(signed.encode())) == expected.rpartition(".")[2]
    assert jwt.PyJWS(["EdDSA"]).decode(expected, key.key.public_key(), ["EdDSA"])
    ours = sign_bytes(b"Example of Ed25519 signing", key, MANIFEST)
    assert verify_bytes(ours, key.public(), MANIFEST) == b"Example of Ed25519 signing"
    with pytest.raises(Malformed, match="missing required field `kid`"):
        verify_bytes(expected.encode(), key.public(), MANIFEST)


def test_every_flipped_byte_of_a_manifest_is_refused_by_its_reason() -> None:
    reasons = set()
    for place in range(len(TOKEN)):
        for flip in (1, 0x20, 0x80):
            broken = bytearray(TOKEN)
            broken[place] ^= flip
            with pytest.raises(Untrusted) as refused:
                verify(bytes(broken), KEY.public())
            reasons.add(refused.value.reason)
    assert reasons == {"malformed", "bad-signature", "unknown-key"}


def test_every_truncation_and_every_extra_byte_is_refused() -> None:
    for end in range(len(TOKEN)):
        with pytest.raises(Untrusted):
            verify(TOKEN[:end], KEY.public())
    for extra in (b".", b"=", b"A", b"\n", b" ", b".A"):
        for broken in (TOKEN + extra, extra + TOKEN):
            with pytest.raises(Untrusted):
                verify(broken, KEY.public())


def test_another_key_is_refused_by_name_and_a_forged_name_by_signature() -> None:
    with pytest.raises(UnknownKey, match=f"expected one of the keys {OTHER.kid}, got '{KEY.kid}'"):
        verify(TOKEN, OTHER.public())
    with pytest.raises(UnknownKey, match="no key is known here"):
        verify(TOKEN, {})
    with pytest.raises(BadSignature, match=f"expected a signature by {KEY.kid}"):
        verify(TOKEN, {KEY.kid: OTHER.key.public_key()})


def test_a_signed_ledger_cannot_pass_for_a_manifest() -> None:
    ledger = sign_bytes(b"{}", KEY, LEDGER)
    with pytest.raises(BadSignature, match="expected typ edgewise-manifest, got 'edgewise-ledger'"):
        verify(ledger, KEY.public())


@pytest.mark.parametrize(
    "members",
    [
        {"alg": "none", "kid": KEY.kid, "typ": MANIFEST},
        {"alg": "HS256", "kid": KEY.kid, "typ": MANIFEST},
        {"alg": "eddsa", "kid": KEY.kid, "typ": MANIFEST},
        {"alg": "Ed25519", "kid": KEY.kid, "typ": MANIFEST},
        {"alg": "EdDSA", "typ": MANIFEST},
        {"alg": "EdDSA", "kid": KEY.kid},
        {"alg": "EdDSA", "kid": 1, "typ": MANIFEST},
        {"kid": KEY.kid, "typ": MANIFEST},
        GOOD | {"crit": ["exp"]},
        GOOD | {"b64": False},
        GOOD | {"jwk": {"kty": "OKP"}},
        GOOD | {"jku": "https://example.org"},
        GOOD | {"zip": "DEF"},
    ],
)
def test_a_header_that_is_not_exactly_ours_is_refused_though_well_signed(
    members: dict[str, Any],
) -> None:
    with pytest.raises(Untrusted):
        verify(with_header(**members), KEY.public())


def test_a_public_key_used_as_an_hmac_secret_is_refused() -> None:
    raw = KEY.key.public_key().public_bytes_raw()
    forged = jwt.PyJWS().encode(b"{}", raw, "HS256", {"kid": KEY.kid, "typ": MANIFEST})
    with pytest.raises(Untrusted):
        verify(forged.encode(), KEY.public())


def test_signature_bits_beyond_the_last_byte_must_be_zero() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(chr(TOKEN[-1]))
    twin = TOKEN[:-1] + alphabet[last ^ 1].encode()
    assert base64.urlsafe_b64decode(twin.rpartition(b".")[2] + b"==") == base64.urlsafe_b64decode(
        TOKEN.rpartition(b".")[2] + b"=="
    )
    with pytest.raises(Malformed, match="canonical"):
        verify(twin, KEY.public())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['tcId']}-{case['comment']}")
def test_no_vector_of_wycheproof_passes_for_one_of_ours(case: dict[str, Any]) -> None:
    """Valid or not: none is EdDSA, and whatever key they name, we hold ours under that name."""
    token = case["jws"] if isinstance(case["jws"], str) else json.dumps(case["jws"])
    named = {case["key"].get("kid", ""): KEY.key.public_key()} | KEY.public()
    with pytest.raises(Untrusted):
        verify_bytes(token.encode(), named, MANIFEST)


def split() -> tuple[str, str, str]:
    one, two, three = TOKEN.decode().split(".")
    return one, two, three


def mutations() -> dict[str, str]:
    """The structural attacks of the same suite, done to a good EdDSA token."""
    head, body, mac = split()
    none = header(alg="none", kid=KEY.kid, typ=MANIFEST)
    return {
        "rejectsMissingSignature": f"{head}.{body}.",
        "rejectsMissingSignatureAndSeparator": f"{head}.{body}",
        "rejectsMissingPayload": f"{head}..{mac}",
        "rejectsMissingPayloadAndSeparator": f"{head}.{mac}",
        "rejectsMissingHeader": f".{body}.{mac}",
        "rejectsMissingHeaderAndSeparator": f"{body}.{mac}",
        "rejectsEmptyString": "",
        "rejectsExtraEmptyComponent": f"{head}.{body}.{mac}.",
        "rejectsExtraComponent": f"{head}.{body}.{mac}.{mac}",
        "rejectsNoneAlgorithmAndMissingSignature": f"{none}.{body}.",
        "rejectsValidJsonSerialization": json.dumps(
            {"protected": head, "payload": body, "signature": mac}
        ),
        "rejectsSpacesInMac": f"{head}.{body}.{mac[:9]} {mac[9:]}",
        "rejectsInvalidCharacterInsertedInMac": f"{head}.{body}.{mac[:9]}@{mac[9:]}",
        "spacesInHeader": f"{head[:5]} {head[5:]}.{body}.{mac}",
        "invalidBase64Padding": f"{head}.{body}.{mac}==",
        "invalidBase64PaddingInPayload": f"{head}.{body}=.{mac}",
        "spacesInPayload": f"{head}.{body[:5]} {body[5:]}.{mac}",
        "lowerCaseEncoding": f"{head}.{body}.{mac}".swapcase(),
        "standardAlphabet": f"{head}.{body}.{mac.replace('-', '+').replace('_', '/')}+",
        "signatureTooLong": f"{head}.{body}.{mac}AA",
        "trailingZeros": f"{head}.{body}.{mac[:-1]}AAAA",
        "zeroSignature": f"{head}.{body}.{'A' * 86}",
    }


@pytest.mark.parametrize("name", mutations())
def test_the_same_attacks_on_an_eddsa_token_are_refused(name: str) -> None:
    with pytest.raises(Untrusted):
        verify(mutations()[name].encode(), KEY.public())

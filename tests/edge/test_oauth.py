"""Access tokens (RFC 9068) of an authorization server: what lets in, and what attacks find."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given

from edge import oauth
from edge.callers import FAILURES_PER_MINUTE, MAX_CREDENTIAL
from edge.config import Config
from edge.errors import CannotServe, SettingError
from edge.oauth import LONGEST_S, MAX_KEYS, OAUTH_FILE, AccessTokens, Client, TokenKeys
from edge.settings import load
from edge.tokens import LEEWAY_S, Refusal
from edge.worker import oauth_keys
from tests.damage import damaged, within
from tests.edge.shop import NOW_S, Shop

pytestmark = pytest.mark.anyio

ISSUER, AUDIENCE = "https://login.example/realms/shop", "https://shop.example/_ew"
FLAG = "ofrep/v1/evaluate/flags/hero"
KEYS: dict[str, tuple[Any, str]] = {
    "ed": (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    "ec": (ec.generate_private_key(ec.SECP256R1()), "ES256"),
    "rsa": (rsa.generate_private_key(65_537, 2_048), "RS256"),
}
STRANGER = ed25519.Ed25519PrivateKey.generate()


def public(of: str, /, **changes: Any) -> dict[str, Any]:
    """The key as an authorization server publishes it; None takes a member away."""
    key, name = KEYS[of]
    algorithm: Any = jwt.get_algorithm_by_name(name)
    jwk = dict(algorithm.to_jwk(key.public_key(), as_dict=True)) | {"kid": of} | changes
    return {member: value for member, value in jwk.items() if value is not None}


def jwks(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


PUBLISHED = jwks(*map(public, KEYS))
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "shop-backend",
    "client_id": "shop-backend",
    "iat": int(NOW_S) - 10,
    "exp": int(NOW_S) + 290,
    "jti": "1",
    "scope": "openid edgewise.ofrep other.recommendations",
}


def token(kid: str = "ed", header: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """What the authorization server gives; a claim that is None is left out."""
    key, algorithm = KEYS[kid]
    claims = {name: value for name, value in (CLAIMS | changes).items() if value is not None}
    headers = {"kid": kid, "typ": "at+jwt"} | (header or {})
    return jwt.encode(claims, key, algorithm, headers).encode()


def tokens(raw: bytes = PUBLISHED) -> AccessTokens:
    keys = TokenKeys.parse(raw, "here")
    return AccessTokens(lambda: keys, ISSUER, AUDIENCE)


def encoded(part: Any) -> bytes:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def by_hand(header: dict[str, Any], sign: Any = lambda _: b"") -> bytes:
    """A token as no library would make it."""
    signed = encoded({"kid": "rsa", "typ": "at+jwt"} | header) + b"." + encoded(CLAIMS)
    return signed + b"." + encoded(sign(signed))


@pytest.mark.parametrize("kid", KEYS)
def test_a_token_of_the_issuer_for_us_tells_the_client_and_its_scopes(kid: str) -> None:
    one = tokens()
    expected = Client("shop-backend", frozenset({"ofrep"}))

    assert one.read(token(kid), NOW_S) == expected
    assert one.read(token(kid, header={"typ": "application/AT+JWT"}), NOW_S) == expected
    assert one.read(token(kid, aud=["another", AUDIENCE]), NOW_S) == expected


def pem() -> bytes:
    """What a public key looks like that is taken for the secret of an HMAC."""
    encoding = Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    return bytes(KEYS["rsa"][0].public_key().public_bytes(*encoding))


def attacks() -> Iterator[tuple[str, bytes, Refusal]]:
    def hmac_of(signed: bytes) -> bytes:
        return hmac.digest(pem(), signed, hashlib.sha256)

    yield "none", by_hand({"alg": "none"}), Refusal.UNKNOWN_KEY
    yield "none in capitals", by_hand({"alg": "NONE"}), Refusal.UNKNOWN_KEY
    yield "the public key as a secret", by_hand({"alg": "HS256"}, hmac_of), Refusal.UNKNOWN_KEY
    yield "the same as RS256", by_hand({"alg": "RS256"}, hmac_of), Refusal.FORGED
    yield "no signature", by_hand({"alg": "RS256"}), Refusal.FORGED
    yield "another algorithm of the key", token("rsa", {"alg": "PS256"}), Refusal.UNKNOWN_KEY
    yield "the kid of another's key", token("ed", {"kid": "ec"}), Refusal.UNKNOWN_KEY
    yield "an unknown kid", token("ed", {"kid": "../../ed"}), Refusal.UNKNOWN_KEY
    yield "no kid", token("ed", {"kid": ""}), Refusal.UNKNOWN_KEY
    yield "an ID token", token("ed", {"typ": "JWT"}), Refusal.MALFORMED
    yield "crit", token("ed", {"crit": ["b64"], "b64": False}), Refusal.MALFORMED
    yield "crit of nothing", token("ed", {"crit": []}), Refusal.MALFORMED
    told = {"jku": "https://evil.example/jwks", "x5u": "https://evil.example/x",
            "jwk": public("ed")}  # fmt: skip
    forged = jwt.encode(CLAIMS, STRANGER, "EdDSA", {"kid": "ed", "typ": "at+jwt", **told})
    yield "a key that it brings itself", forged.encode(), Refusal.FORGED
    yield "another issuer", token(iss="https://login.example/realms/other"), Refusal.BAD_CLAIMS
    yield "an issuer with a slash", token(iss=ISSUER + "/"), Refusal.BAD_CLAIMS
    yield "another audience", token(aud="https://shop.example"), Refusal.WRONG_AUDIENCE
    yield "no audience", token(aud=None), Refusal.BAD_CLAIMS
    for name in ("iss", "sub", "client_id", "iat", "exp"):
        yield f"no {name}", token("ed", None, **{name: None}), Refusal.BAD_CLAIMS
    yield "an empty client", token(client_id=""), Refusal.BAD_CLAIMS
    yield "a client that is a number", token(client_id=7), Refusal.BAD_CLAIMS
    yield "expired", token(iat=int(NOW_S) - 600, exp=int(NOW_S) - LEEWAY_S), Refusal.EXPIRED
    yield "of the future", token(iat=int(NOW_S) + LEEWAY_S + 1), Refusal.NOT_YET
    yield "not yet", token(nbf=int(NOW_S) + LEEWAY_S + 1), Refusal.NOT_YET
    yield "for too long", token(exp=CLAIMS["iat"] + LONGEST_S + 1), Refusal.BAD_CLAIMS
    yield "for ever", token(exp=float("inf")), Refusal.BAD_CLAIMS
    yield "no time", token(exp=float("nan")), Refusal.BAD_CLAIMS
    good = token()
    yield "padded", good + b"=", Refusal.MALFORMED
    yield "five parts", good + b".a.b", Refusal.MALFORMED
    yield "nothing", b"", Refusal.MALFORMED
    yield "no JSON", b"YQ.YQ.YQ", Refusal.MALFORMED
    yield "brackets", encoded(b"[" * 3_000) + b".YQ.YQ", Refusal.MALFORMED
    yield "no text", b"\xff.\xff.\xff", Refusal.MALFORMED
    head, body, mac = good.split(b".")
    raw = bytearray(base64.urlsafe_b64decode(mac + b"=="))
    raw[0] ^= 1
    yield "a flipped bit", b".".join((head, body, encoded(bytes(raw)))), Refusal.FORGED
    claims = encoded(CLAIMS | {"scope": "edgewise.recommendations"})
    yield "other claims", b".".join((head, claims, mac)), Refusal.FORGED


@pytest.mark.parametrize(("sent", "refusal"), [pytest.param(*a[1:], id=a[0]) for a in attacks()])
def test_what_does_not_hold_is_refused(sent: bytes, refusal: Refusal) -> None:
    one = tokens()

    assert one.read(sent, NOW_S) is refusal
    assert one.recall(sent, NOW_S) is None


def test_clocks_may_differ_a_little() -> None:
    one = tokens()

    late = token(iat=int(NOW_S) - 600, exp=int(NOW_S) - LEEWAY_S + 1)
    early = token(iat=int(NOW_S) + LEEWAY_S, nbf=int(NOW_S) + LEEWAY_S)
    assert isinstance(one.read(late, NOW_S), Client)
    assert isinstance(one.read(early, NOW_S), Client)


def test_a_token_is_remembered_until_it_ends_or_its_keys_change() -> None:
    keys = [TokenKeys.parse(PUBLISHED, "here")]
    one = AccessTokens(lambda: keys[-1], ISSUER, AUDIENCE)
    sent = token()
    assert one.recall(sent, NOW_S) is None
    client = one.read(sent, NOW_S)

    assert one.recall(sent, NOW_S) == client
    assert one.recall(sent, CLAIMS["exp"] + LEEWAY_S) is None
    assert one.read(sent, CLAIMS["exp"] + LEEWAY_S) is Refusal.EXPIRED
    keys.append(TokenKeys.parse(jwks(public("rsa")), "here"))
    assert one.recall(sent, NOW_S) is None, "the key that signed it is gone"
    assert one.read(sent, NOW_S) is Refusal.UNKNOWN_KEY


def test_keys_for_something_else_are_passed_over() -> None:
    raw = jwks(
        public("rsa", use="enc", alg="RSA-OAEP"),
        public("ec", alg="ES384"),
        public("rsa", key_ops=["encrypt"]),
        {"kty": "EC", "crv": "P-521", "kid": "p", "x": "", "y": ""},
        {"kty": "AKP", "kid": "new"},
        public("ed", use="sig", alg="EdDSA", key_ops=["verify"], x5u="https://evil.example"),
    )

    assert TokenKeys.parse(raw, "here").by_kid.keys() == {"ed"}


SMALL: Any = jwt.get_algorithm_by_name("RS256")
WEAK = SMALL.to_jwk(rsa.generate_private_key(65_537, 1_024).public_key(), as_dict=True)  # noqa: S505 - it is refused


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{", "expected a JWKS of public keys, got DecodeError"),
        (b"\xff", "expected a JWKS"),
        (b"{}", "expected a JWKS of public keys, got 'keys'"),
        (b'{"keys": 5}', "expected a JWKS of public keys"),
        (b'{"keys": [5]}', "expected a JWKS of public keys"),
        (jwks(), "expected 1 to 64 keys for EdDSA, ES256 or RS256, each kid once, got 0"),
        (jwks(public("ed"), public("rsa", kid="ed")), "each kid once, got 2"),
        (jwks(*(public("ed", kid=f"k{n}") for n in range(MAX_KEYS + 1))), "got 65"),
        (jwks(public("ed", kid=None)), "a key without a kid"),
        (jwks(public("ed", d="c2VjcmV0")), "a secret in 'ed'"),
        (jwks({"kty": "oct", "kid": "s", "k": "c2VjcmV0"}), "a secret in 's'"),
        (jwks(public("ed", x="****")), "expected a JWKS of public keys"),
        (jwks(public("ed", x="YQ")), "expected a JWKS of public keys"),
        (jwks({**WEAK, "kid": "weak"}), "1024 bits in 'weak'"),
    ],
    ids=range(14),  # keys are new each time
)
def test_an_unusable_jwks_is_refused_with_its_place_and_no_secret(raw: bytes, message: str) -> None:
    with pytest.raises(CannotServe) as refused:
        TokenKeys.parse(raw, "oauth.jwks")

    assert message in str(refused.value)
    assert str(refused.value).endswith("- at oauth.jwks")
    assert "c2VjcmV0" not in str(refused.value)


GOOD = [token(kid) for kid in KEYS]


@given(damaged(*GOOD))
def test_a_damaged_token_is_refused_in_time(sent: bytes) -> None:
    one = tokens()
    with within(0.5):
        found = one.read(sent, NOW_S)
    assert isinstance(found, Refusal) or sent in GOOD


@given(damaged(PUBLISHED))
def test_a_damaged_jwks_is_read_or_refused_in_time(raw: bytes) -> None:
    with within(0.5), suppress(CannotServe):
        assert TokenKeys.parse(raw, "here").by_kid


# The vectors of Wycheproof (tests/spec/jose) for keys that could be an authorization server's.

VECTORS = Path(__file__).parent.parent / "spec" / "jose" / "json_web_signature_test.json"
OURS = ({"kty": "RSA"}, {"kty": "EC", "crv": "P-256"})
CASES = [
    (group["public"], case)
    for group in json.loads(VECTORS.read_text(encoding="utf-8"))["testGroups"]
    for case in group["tests"]
    if any(kind.items() <= group.get("public", {}).items() for kind in OURS)
]
NO_SIGNATURE = {Refusal.MALFORMED, Refusal.UNKNOWN_KEY, Refusal.FORGED}


@pytest.mark.parametrize(("jwk", "case"), CASES, ids=[case["tcId"] for _, case in CASES])
def test_a_signature_counts_if_wycheproof_calls_it_valid_and_its_algorithm_is_ours(
    jwk: dict[str, Any], case: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = case["jws"] if isinstance(case["jws"], str) else json.dumps(case["jws"])
    is_for_us = jwk.get("alg") in ("RS256", "ES256") and jwk.get("use", "sig") == "sig"
    monkeypatch.setattr(oauth, "TYPES", ("", "jwt", "at+jwt"))
    keys = TokenKeys({})
    with suppress(CannotServe):  # one for something else
        keys = TokenKeys.parse(jwks(jwk), "here")
    found = AccessTokens(lambda: keys, ISSUER, AUDIENCE).read(sent.encode(), NOW_S)

    # These are signed texts and no claims: what is signed goes as far as that.
    assert (found is Refusal.BAD_CLAIMS) == (case["result"] == "valid" and is_for_us)
    assert found is Refusal.BAD_CLAIMS or found in NO_SIGNATURE


# At the server routes.


def guarded(**settings: Any) -> Shop:
    keys = TokenKeys.parse(PUBLISHED, "here")
    settings = {"oauth_issuer": ISSUER, "oauth_audience": AUDIENCE} | settings
    return Shop(oauth=lambda: keys, **settings)


async def test_a_client_asks_with_its_token_beside_servers_with_keys() -> None:
    shop = guarded()

    for _ in range(2):
        bearer = await shop.ask(FLAG, authorization=f"Bearer {token().decode()}")
        assert bearer.status_code == 200
    assert (await shop.ask(FLAG)).status_code == 200
    assert shop.counted('edgewise_server_calls_total{caller="oauth:*",result="ok"}') == 2


async def test_a_client_without_the_scope_may_not_and_each_has_a_limit_of_its_own() -> None:
    shop = guarded(server_calls_per_minute=1)

    async def status(**changes: Any) -> int:
        sent = token(**changes).decode()
        return (await shop.ask(FLAG, authorization=f"Bearer {sent}")).status_code

    assert await status(scope="openid ofrep edgewise.recommendations") == 403
    assert await status(scope=None) == 403
    assert [await status(), await status(jti="2")] == [200, 429]
    assert await status(client_id="mailer") == 200


async def test_where_too_much_failed_no_signature_is_verified_and_what_was_still_counts() -> None:
    shop = guarded()
    good = f"Bearer {token().decode()}"
    assert (await shop.ask(FLAG, authorization=good)).status_code == 200
    for number in range(FAILURES_PER_MINUTE):
        bad = token(aud="another", jti=str(number)).decode()
        assert (await shop.ask(FLAG, authorization=f"Bearer {bad}")).status_code == 401

    fresh = f"Bearer {token(jti='fresh').decode()}"
    assert (await shop.ask(FLAG, authorization=fresh)).status_code == 429
    assert (await shop.ask(FLAG, authorization=good)).status_code == 200
    shop.clock.now_s += 2
    assert (await shop.ask(FLAG, authorization=fresh)).status_code == 200


async def test_an_oversized_token_and_one_that_ended_are_told_apart() -> None:
    shop = guarded()
    ended = token(exp=int(NOW_S) - 200, iat=int(NOW_S) - 500).decode()

    reply = await shop.ask(FLAG, authorization=f"Bearer {ended}")
    assert "got one that is past its date" in reply.json()["detail"]
    long = token(scope="a" * MAX_CREDENTIAL).decode()
    reply = await shop.ask(FLAG, authorization=f"Bearer {long}")
    assert "got another" in reply.json()["detail"]
    assert shop.counted('edgewise_server_calls_total{caller="",result="oversized"}') == 1
    assert "eyJ" not in str(shop.services.metrics.values())


# The settings.


def test_an_issuer_needs_an_audience_and_a_key_file(tmp_path: Path) -> None:
    for half in ({"oauth_issuer": ISSUER}, {"oauth_audience": AUDIENCE}):
        with pytest.raises(SettingError, match="expected oauth_issuer and oauth_audience"):
            load(half)
    with pytest.raises(SettingError, match="expected oauth_issuer beside oauth_jwks"):
        load({"oauth_jwks": "{}"})
    config = Config(oauth_issuer=ISSUER, oauth_audience=AUDIENCE, keys=str(tmp_path))
    with pytest.raises(CannotServe, match=r"expected a key file, got No such file .*oauth.jwks"):
        oauth_keys(config)
    assert oauth_keys(Config(keys=str(tmp_path))) is None


def test_keys_of_the_issuer_change_with_their_file_and_the_last_good_ones_stay(
    tmp_path: Path,
) -> None:
    path = tmp_path / OAUTH_FILE
    path.write_bytes(jwks(public("ed")))
    source = oauth_keys(Config(oauth_issuer=ISSUER, oauth_audience=AUDIENCE, keys=str(tmp_path)))
    assert source is not None
    for content, known in ((b"{}", {"ed"}), (PUBLISHED, {"ed", "ec", "rsa"})):
        path.write_bytes(content)
        source.refresh()
        assert source().by_kid.keys() == known
    assert source.trouble == ""

    text = Config(oauth_issuer=ISSUER, oauth_audience=AUDIENCE, oauth_jwks=PUBLISHED.decode())
    given = oauth_keys(text)
    assert given is not None
    assert given().by_kid.keys() == set(KEYS)

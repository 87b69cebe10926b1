from __future__ import annotations

import hmac
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import CannotServe
from edge.keyring import MAX_KEYS, KeyFile, KeyRing, key_of

ONE, TWO = key_of("one", b"1" * 32), key_of("two", b"2" * 32)
RING = KeyRing((ONE, TWO))
ONES = "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE"


def test_the_first_key_signs_and_all_are_known() -> None:
    assert RING.signing is ONE
    assert RING.by_kid == {"one": ONE, "two": TWO}


def test_a_ring_is_read_as_it_was_written() -> None:
    again = KeyRing.parse(RING.encode(), "cookie.jwks")
    assert [key.secret for key in again.keys] == [b"1" * 32, b"2" * 32]
    assert RING.encode() == again.encode()


@given(st.binary(min_size=32, max_size=200), st.binary(max_size=300))
def test_a_mac_is_what_the_standard_library_says(secret: bytes, signed: bytes) -> None:
    key = key_of("any", secret)

    assert key.mac(signed) == hmac.digest(secret, signed, "sha256")
    assert key.mac(signed) == key.mac(signed), "the key stays what it was"


def test_rotation_puts_a_new_key_first() -> None:
    rotated = RING.rotated("three", b"3" * 32)
    assert [key.kid for key in rotated.keys] == ["three", "one", "two"]
    assert rotated.signing.kid == "three"


def test_a_key_that_is_added_only_verifies_until_it_is_put_first() -> None:
    ring = RING.added("three", b"3" * 32)
    assert [key.kid for key in ring.keys] == ["one", "two", "three"]
    assert ring.signing is ONE
    led = ring.led_by("three")
    assert led is not None
    assert [key.kid for key in led.keys] == ["three", "one", "two"]
    assert led.signing.secret == b"3" * 32
    assert ring.led_by("four") is None


def test_a_secret_is_never_printed() -> None:
    assert repr(ONE) == "Key('one')"
    assert "111" not in repr(RING.keys)


def test_demo_keys_are_told_by_their_names() -> None:
    assert not RING.is_demo
    assert RING.rotated("demo-cookie", b"3" * 32).is_demo


def jwk(**changes: str) -> dict[str, str]:
    return {
        "kty": "oct",
        "kid": "one",
        "k": ONES,
    } | changes


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ([], "expected a JWKS of oct keys"),
        ([jwk(kty="RSA")], "expected key 'one' to be oct, HS256 and for sig, got RSA, HS256, sig"),
        ([jwk(alg="HS512")], "got oct, HS512, sig"),
        ([jwk(use="enc")], "got oct, HS256, enc"),
        ([jwk(k="MTEx")], "expected at least 32 bytes in 'one', got 3"),
        ([jwk(k="*" * 43)], "expected k of 'one' in base64url"),
        ([jwk(k="é" * 43)], "expected k of 'one' in base64url"),
        ([jwk(k=ONES + "=")], "expected k of 'one' in base64url, unpadded"),
        ([jwk(k=ONES[:-1] + "F")], "expected k of 'one' in base64url, unpadded"),
        ([jwk(k=ONES[:-2] + "+E")], "expected k of 'one' in base64url, unpadded"),
        ([jwk(kid=f"k{number}") for number in range(MAX_KEYS + 1)], "expected a JWKS of oct keys"),
        ([jwk(kid="")], "expected a JWKS of oct keys"),
        ([jwk(), jwk()], "expected each kid once"),
        ([{"kty": "oct"}], "missing required field"),
        ("none", "expected a JWKS of oct keys"),
    ],
)
def test_unusable_keys_are_refused_with_their_place_and_without_their_secret(
    keys: object, message: str
) -> None:
    with pytest.raises(CannotServe) as error:
        KeyRing.parse(msgspec.json.encode({"keys": keys}), "cookie.jwks")
    assert message in str(error.value)
    assert str(error.value).endswith("- at cookie.jwks")
    assert "MTEx" not in str(error.value)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[]"])
def test_what_is_no_jwks_is_refused(text: bytes) -> None:
    with pytest.raises(CannotServe, match="expected a JWKS of oct keys"):
        KeyRing.parse(text, "cookie.jwks")


def rewrite(path: Path, content: bytes) -> None:
    """As an operator would: a new file in place of the old one."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    os.replace(fresh, path)  # noqa: PTH105  # atomic on every system


def test_a_key_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "cookie.jwks"
    path.write_bytes(RING.encode())
    keys = KeyFile(path)
    assert keys.ring.signing.secret == ONE.secret
    assert not keys.refresh()
    rewrite(path, RING.rotated("three", b"3" * 32).encode())
    assert keys.refresh()
    assert keys.ring.signing.kid == "three"
    assert not keys.refresh()


def test_a_key_file_that_became_unusable_is_said_once_and_the_old_keys_serve_on(
    tmp_path: Path,
) -> None:
    path = tmp_path / "cookie.jwks"
    path.write_bytes(RING.encode())
    keys = KeyFile(path)
    rewrite(path, b"{}")
    with pytest.raises(CannotServe, match="missing required field"):
        keys.refresh()
    assert not keys.refresh()
    assert keys.ring.signing.secret == ONE.secret
    path.unlink()
    with pytest.raises(CannotServe, match="No such file"):
        keys.refresh()
    assert not keys.refresh()
    assert keys.ring.signing.secret == ONE.secret


def test_a_key_file_that_is_missing_or_a_folder_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(CannotServe, match=r"expected a key file, got No such file .* - at "):
        KeyFile(tmp_path / "cookie.jwks")
    with pytest.raises(CannotServe, match="expected a key file, got Is a directory"):
        KeyFile(tmp_path)

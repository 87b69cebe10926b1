from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from snapshots.errors import KeysRefused
from snapshots.keys import (
    PRIVATE_FILE,
    PUBLIC_FILE,
    b64decode,
    is_demo,
    new_key,
    parse_private,
    parse_public,
    private_key,
    private_text,
    public_text,
    read_private,
    read_public,
    thumbprint,
    write_keys,
)
from tests.snapshots.bundles import KEY, OTHER

# RFC 8037, appendix A.1 and A.3
RFC8037 = {
    "kty": "OKP",
    "crv": "Ed25519",
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}


def jwks(*rows: dict[str, Any]) -> bytes:
    return json.dumps({"keys": rows}).encode()


def test_the_id_of_a_key_is_the_thumbprint_that_rfc_8037_gives() -> None:
    key = parse_private(jwks(RFC8037), "rfc")
    assert key.kid == thumbprint(key.key.public_key())
    assert key.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_keys_written_to_files_are_read_back_and_the_private_one_is_the_owners_only(
    tmp_path: Path,
) -> None:
    key = new_key()
    write_keys(tmp_path / "keys", key)
    assert read_private(tmp_path / "keys" / PRIVATE_FILE).kid == key.kid
    assert list(read_public(tmp_path / "keys" / PUBLIC_FILE)) == [key.kid]
    assert stat.S_IMODE((tmp_path / "keys" / PRIVATE_FILE).stat().st_mode) == 0o600


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    write_keys(tmp_path, KEY)
    with pytest.raises(KeysRefused, match="File exists"):
        write_keys(tmp_path, OTHER)
    assert read_private(tmp_path / PRIVATE_FILE).kid == KEY.kid


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(KeysRefused, match=r"got No such file.*edgewise keys new"):
        read_public(tmp_path / "none.jwks")


def test_a_set_of_two_keys_keeps_both_so_that_they_can_overlap() -> None:
    both = parse_public(public_text({**KEY.public(), **OTHER.public()}).encode(), "here")
    assert list(both) == [KEY.kid, OTHER.kid]


def test_demo_keys_are_told_by_their_name() -> None:
    demo = private_key(b"\x03" * 32, demo=True)
    assert is_demo(demo.kid) and not is_demo(KEY.kid)
    assert parse_private(private_text(demo).encode(), "demo").kid == demo.kid


PUBLIC = {key: value for key, value in RFC8037.items() if key != "d"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"{}", "expected a JWK set"),
        (b"\xff", "expected a JWK set"),
        (jwks(), "expected 1 to 64 keys, got 0"),
        (jwks(*[PUBLIC] * 65), "got 65"),
        (jwks(RFC8037), "got a private one"),
        (jwks({"kty": "oct", "k": "AA"}), "expected kty OKP, crv Ed25519, got kty oct"),
        (jwks(PUBLIC | {"crv": "X25519"}), "crv X25519"),
        (jwks(PUBLIC | {"use": "enc"}), "another use"),
        (jwks(PUBLIC | {"key_ops": ["encrypt"]}), "another use"),
        (jwks(PUBLIC | {"alg": "HS256"}), "expected alg EdDSA, got HS256"),
        (jwks(PUBLIC | {"x": "AAAA"}), "expected 32 bytes in x, got 3"),
        (jwks(PUBLIC | {"x": "AA="}), "canonical form"),
        (jwks(PUBLIC | {"x": "A"}), "expected base64url"),
        (jwks(PUBLIC | {"kid": "mine"}), "got mine"),
        (jwks(PUBLIC, PUBLIC), "again - at here: keys[1]".replace("[", r"\[").replace("]", r"\]")),
    ],
)
def test_a_set_that_cannot_be_trusted_is_refused_with_its_place(text: bytes, said: str) -> None:
    with pytest.raises(KeysRefused, match=said):
        parse_public(text, "here")


def test_two_halves_of_two_keys_are_refused() -> None:
    other = json.loads(private_text(OTHER))["keys"][0]
    with pytest.raises(KeysRefused, match="they belong to two"):
        parse_private(jwks(RFC8037 | {"x": other["x"]}), "here")


def test_a_public_set_cannot_sign() -> None:
    with pytest.raises(KeysRefused, match="expected 32 bytes in d, got 0"):
        parse_private(jwks(PUBLIC), "here")


@pytest.mark.parametrize("text", ["AB", "AA==", "A+", "A/", "A A", "\u00e9"])
def test_base64_has_one_spelling(text: str) -> None:
    with pytest.raises(ValueError, match="expected base64url"):
        b64decode(text)

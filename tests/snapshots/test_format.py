"""The format that is written down is the one that is spoken: tests/spec/bundle.json, both ways."""

from __future__ import annotations

import hashlib
import json
import struct
from array import array
from pathlib import Path
from typing import Any

import msgspec

from decisions import ledger as ledgers
from snapshots import manifest as manifests
from snapshots import signing
from snapshots.bundle import unpack
from snapshots.census import Interests, Score, Trait, encode_membership
from snapshots.contents import CONTENTS
from snapshots.erased import Erased, erased_part
from snapshots.keys import parse_public, private_key
from snapshots.membership import AS_OF_BUILD, INTERESTS, KEYS, NO_INTEREST, Membership

ROOT = Path(__file__).parent.parent.parent
VECTORS: dict[str, Any] = json.loads((ROOT / "tests/spec/bundle.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "bundle-format.md").read_text(encoding="utf-8")


def test_the_manifest_of_the_vectors_is_verified_with_their_keys_and_signs_to_the_same() -> None:
    keys = parse_public(json.dumps(VECTORS["keys"]).encode(), "vectors")
    token = VECTORS["jws"].encode()
    manifest = signing.verify(token, keys)
    assert manifests.encode(manifest).decode() == VECTORS["manifest"]
    assert signing.sign(manifest, private_key(bytes.fromhex(VECTORS["seed"]))) == token


def test_the_ledger_of_the_vectors_is_the_one_that_their_manifest_names() -> None:
    keys = parse_public(json.dumps(VECTORS["keys"]).encode(), "vectors")
    named = manifests.decode(VECTORS["manifest"].encode()).ledger
    token, raw = VECTORS["ledger_jws"].encode(), bytes.fromhex(VECTORS["ledger"])
    payload = msgspec.msgpack.encode((named.revision, raw))
    assert signing.verify_bytes(token, keys, signing.LEDGER) == payload
    key = private_key(bytes.fromhex(VECTORS["seed"]))
    assert signing.sign_bytes(payload, key, signing.LEDGER) == token
    assert named.sha256 == hashlib.sha256(raw).hexdigest()
    ledger = ledgers.decode(raw)
    assert ledger.encode() == raw
    assert ledger.names == ("k/shoes", "c/view")
    assert ledger.phases == {"offer": ledgers.Phase(1, "0123456789abcdef")}
    assert ledger.maps == {"variants/offer": (("plain", 5_000), ("code", 10_000))}


def test_the_stored_part_of_the_vectors_is_the_one_that_their_manifest_names() -> None:
    (part,) = manifests.decode(VECTORS["manifest"].encode()).parts
    assert unpack(part, bytes.fromhex(VECTORS["stored"])) == b"hello"


def test_the_membership_of_the_vectors_is_written_and_read_as_they_say() -> None:
    written = encode_membership(
        array("Q", [5, 2**40]),
        built_at_s=1_795_000_000,
        segments=[("loyal", b"\1\0"), ("dormant", b"\0\1")],
        traits={"tier": Trait([None, "gold"], b"\0\1")},
        scores={"propensity": Score(b"\0\xff")},
        interests=Interests(
            ["shoes"], 1, array("H", [0, NO_INTEREST]), struct.pack("<2e", 1.5, 0.0), 1_794_000_000
        ),
    )
    assert {name: part.hex() for name, part in written.items()} == VECTORS["membership"]
    parts = {name: bytes.fromhex(text) for name, text in VECTORS["membership"].items()}
    first, second = (Membership.open(parts).lookup(key) for key in (5, 2**40))
    assert first and second
    assert (first.segments, first.interests) == (frozenset({"loyal"}), {"shoes": 1.5})
    assert first.weighed_at_s == 1_794_000_000
    assert (second.traits, second.scores) == ({"tier": "gold"}, {"propensity": 1.0})


def test_the_erasures_of_the_vectors_are_written_and_read_as_they_say() -> None:
    raw = bytes.fromhex(VECTORS["erased"])
    times = {5: 1_794_000_000, 2**63 + 9: 1_795_000_000}
    part = erased_part(times)
    assert unpack(part.ref, part.stored) == raw
    assert Erased(raw).times() == times


def test_interests_as_of_the_build_are_written_and_read_as_releases_before_format_2_did() -> None:
    written = encode_membership(
        array("Q", [5, 2**40]),
        built_at_s=1_795_000_000,
        interests=Interests(
            ["shoes"], 1, array("H", [0, NO_INTEREST]), struct.pack("<2e", 1.5, 0.0)
        ),
        interests_format=AS_OF_BUILD,
    )
    older = bytes.fromhex(VECTORS["interests_as_of_build"])
    assert bytes(written[INTERESTS]) == older
    keys = bytes.fromhex(VECTORS["membership"][KEYS])
    member = Membership.open({KEYS: keys, INTERESTS: older}).lookup(5)
    assert member
    assert (member.interests, member.weighed_at_s) == ({"shoes": 1.5}, 1_795_000_000)


def test_every_format_that_is_read_and_written_is_on_the_page() -> None:
    for name, content in CONTENTS.items():
        assert f"| `{name}` | {content.listed} |" in PAGE


def test_every_part_and_every_reason_of_a_refusal_is_on_the_page() -> None:
    for name in CONTENTS:
        assert f"`{name}`" in PAGE or f"`…/{name.partition('/')[2]}`" in PAGE
    from snapshots import errors

    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.Untrusted | errors.StoreUnavailable):
            assert kind is errors.Untrusted or f"`{kind.reason}`" in PAGE

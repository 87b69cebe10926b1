"""Commands that publish, tidy up and change keys: what they do, and what they tell as JSON."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from decisions.ledger import first_ledger
from edge.cli import main
from edge.keyring import KeyFile
from snapshots.bundle import pack
from snapshots.keys import PRIVATE_FILE, PUBLIC_FILE, read_private, read_public
from snapshots.publish import publish_built
from snapshots.store import open_writable
from tests.edge.nodes import publish


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Keys and a store with one version."""
    assert main(["keys", "new", str(tmp_path / "keys")]) == 0
    publish(tmp_path)
    return tmp_path


def commanded(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What a command tells as JSON, with exit code 0."""
    assert main([*words, "--json"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_a_publisher_key_is_rotated_and_the_old_one_retired(
    published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys, store = published / "keys", str(published / "store")
    old = next(iter(read_public(keys / PUBLIC_FILE)))
    capsys.readouterr()

    told = commanded(capsys, "keys", "rotate", str(keys), "--of", "publisher")

    new = told["kid"]
    assert list(read_public(keys / PUBLIC_FILE)) == [new, old]
    assert read_private(keys / PRIVATE_FILE).kid == new
    assert stat.S_IMODE((keys / PRIVATE_FILE).stat().st_mode) == 0o600
    publish(published)
    assert commanded(capsys, "inspect", store, "--keys", str(keys))["signer"] == new
    assert main(["keys", "retire", str(keys), new, "--of", "publisher"]) == 1
    assert "expected a key that no longer signs" in capsys.readouterr().err
    commanded(capsys, "keys", "retire", str(keys), old, "--of", "publisher")
    assert list(read_public(keys / PUBLIC_FILE)) == [new]
    assert main(["keys", "retire", str(keys), old, "--of", "publisher"]) == 1
    assert f"got {old}" in capsys.readouterr().err


def test_a_cookie_key_that_only_verifies_is_retired_and_one_that_signs_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = tmp_path / "keys"
    main(["keys", "new", str(keys)])
    old = KeyFile(keys / "cookie.jwks").ring.signing.kid

    assert main(["keys", "retire", str(keys), old]) == 1
    assert f"(none: rotate first), got {old}" in capsys.readouterr().err
    assert main(["keys", "rotate", str(keys)]) == 0
    assert main(["keys", "retire", str(keys), old]) == 0

    assert old not in KeyFile(keys / "cookie.jwks").ring.by_kid
    assert main(["keys", "retire", str(keys)]) == 2
    capsys.readouterr()
    assert main(["keys", "rotate", str(keys), "some-kid"]) == 1
    assert "some-kid" in capsys.readouterr().err


def test_a_version_is_renewed_rolled_back_and_promoted(
    published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, keys = str(published / "store"), ["--keys", str(published / "keys")]
    capsys.readouterr()

    assert main(["renew", store, *keys]) == 0
    assert capsys.readouterr().out.startswith("renewed   live version 2, good until 20")

    publish(published, "<h1>Worse</h1>")
    back = commanded(capsys, "rollback", store, *keys)
    assert (back["from"], back["made"]["version"]) == (2, 4)
    assert commanded(capsys, "rollback", store, *keys, "--to", "3")["made"]["version"] == 5
    assert main(["rollback", store, *keys, "--to", "9"]) == 1
    assert "expected channels/live/9.jws in" in capsys.readouterr().err

    sandbox = commanded(capsys, "promote", store, "live", "sandbox", *keys)
    assert (sandbox["from"], sandbox["channel"]) == (5, "live")
    assert (sandbox["made"]["channel"], sandbox["made"]["version"]) == ("sandbox", 1)
    assert main(["promote", store, "nowhere", "live", *keys]) == 1
    assert "publish one, or mend the channel" in capsys.readouterr().err


def test_what_no_version_needs_is_listed_and_then_removed(
    published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, keys = str(published / "store"), ["--keys", str(published / "keys")]
    publish(published, "<h1>Second</h1>")
    capsys.readouterr()
    asked = ["gc", store, *keys, "--keep", "1", "--older-than", "0"]

    assert main(asked) == 0
    assert "1 versions, 1 parts, 0 ledgers: 0.00 MiB; --delete removes" in capsys.readouterr().out
    told = commanded(capsys, *asked, "--delete")
    assert [one["path"] for one in told["found"]["versions"]] == ["channels/live/1.jws"]
    assert main(asked) == 0
    assert capsys.readouterr().out == "can go    0 versions, 0 parts, 0 ledgers: 0.00 MiB\n"
    assert main(["verify", store, *keys]) == 0
    assert main(["gc", store, *keys, "--keep", "0"]) == 2


def test_looking_and_checking_are_told_as_json(
    published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, keys = str(published / "store"), ["--keys", str(published / "keys")]
    capsys.readouterr()

    assert commanded(capsys, "inspect", store)["signer"] is None
    seen = commanded(capsys, "inspect", store, *keys)
    assert seen["manifest"]["version"] == 1
    checked = commanded(capsys, "verify", store, *keys)
    assert (checked["version"], checked["wrong"], checked["rules"]) == (1, {}, 5)
    assert checked["signer"] == seen["signer"]


def test_a_first_build_without_data_counts_from_this_moment_and_says_who_is_in_no_segment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site, store, keys = str(tmp_path / "site"), str(tmp_path / "store"), str(tmp_path / "keys")
    assert main(["new", site]) == main(["keys", "new", keys]) == 0
    capsys.readouterr()
    before_s = int(time.time())

    assert main(["build", site, "--store", store, "--keys", keys]) == 0

    said = " ".join(capsys.readouterr().out.split())
    assert "segments.yaml:3:1: warning: loyal: nobody is in this segment yet" in said
    made = commanded(capsys, "inspect", store, "--keys", keys)["manifest"]
    assert before_s <= made["created_s"] <= time.time()


def test_a_version_without_a_program_cannot_be_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, keys = str(tmp_path / "store"), tmp_path / "keys"
    assert main(["keys", "new", str(keys)]) == 0
    publish_built(
        open_writable(store),
        "live",
        lambda ledger: ([pack("other", 1, b"no program")], ledger or first_ledger("tests")),
        read_private(keys / PRIVATE_FILE),
        now_s=time.time(),
    )
    capsys.readouterr()

    assert main(["decide", store, "--keys", str(keys), "--slot", "hero"]) == 1

    assert "expected a part program in version 1" in capsys.readouterr().err

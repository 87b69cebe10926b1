"""API keys: hashes in a file, a secret that is shown once, and what `edgewise keys api` does."""

from __future__ import annotations

import json
import stat
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given

from edge.apikeys import API_KEY_FILE, MAX_API_KEYS, ApiKey, ApiKeys, spelt
from edge.cli import main
from edge.commands import keys_api
from edge.errors import CannotServe
from edge.keyring import Watched
from edge.tokens import Refusal
from tests.damage import damaged, within
from tests.edge.shop import NOW_S, SECRET, SERVER, api_key

DAY_S = 86_400.0
DAY = timedelta(days=1)
NOW = datetime.fromtimestamp(NOW_S, UTC)


def test_a_key_is_found_by_what_its_server_sends() -> None:
    other = api_key("other", b"o" * 32)

    found = ApiKeys([other, SERVER]).find(SECRET.encode(), NOW_S)

    assert found is SERVER
    assert SECRET.startswith("ewk_")
    assert len(SECRET) == 77


@pytest.mark.parametrize(
    ("sent", "refusal"),
    [
        ("", Refusal.MALFORMED),
        ("ewk_", Refusal.MALFORMED),
        (SECRET.upper(), Refusal.MALFORMED),
        (SECRET[:-1], Refusal.MALFORMED),
        (f"{SECRET}0", Refusal.MALFORMED),
        (f"{SECRET}\n", Refusal.MALFORMED),
        (spelt("00000000", b"s" * 32), Refusal.UNKNOWN_KEY),
        (spelt(SERVER.kid, b"S" * 32), Refusal.FORGED),
        (spelt(SERVER.kid, bytes.fromhex(SERVER.sha256)), Refusal.FORGED),  # who stole the file
    ],
)
def test_what_is_no_key_of_ours_is_refused(sent: str, refusal: Refusal) -> None:
    assert ApiKeys([SERVER]).find(sent.encode(), NOW_S) is refusal


def test_a_key_ends_at_its_date_and_only_its_holder_is_told() -> None:
    ending = api_key("shop", b"s" * 32, expires=NOW + DAY)
    keys = ApiKeys([ending])

    assert keys.find(SECRET.encode(), NOW_S + DAY_S - 1) is ending
    assert keys.find(SECRET.encode(), NOW_S + DAY_S) is Refusal.EXPIRED
    forged = spelt(ending.kid, b"S" * 32)
    assert keys.find(forged.encode(), NOW_S + DAY_S) is Refusal.FORGED


def test_the_last_key_of_a_name_that_ends_soon_is_told() -> None:
    old = api_key("shop", b"1" * 32, kid="0" * 8, expires=NOW + DAY)
    new = api_key("shop", b"2" * 32)
    gone = api_key("batch", b"3" * 32, expires=NOW - DAY)
    later = api_key("later", b"4" * 32, expires=NOW + 30 * DAY)

    assert ApiKeys([old]).ending(NOW_S) == [(old, DAY_S)]
    assert ApiKeys([old, new, gone, later]).ending(NOW_S) == [(gone, -DAY_S)]


def written(**changes: object) -> bytes:
    key = json.loads(ApiKeys([SERVER]).encode())["keys"][0] | changes
    return json.dumps({"keys": [key]}).encode()


def test_a_file_is_read_as_it_was_written_and_a_scope_of_a_newer_edge_passes() -> None:
    assert ApiKeys.parse(ApiKeys([SERVER]).encode(), "here").keys == (SERVER,)
    assert ApiKeys.parse(written(scopes=["ofrep", "newer"]), "here").keys[0].scopes[1] == "newer"
    assert SERVER.sha256 not in repr(SERVER)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{", "expected API keys, got Input data was truncated"),
        (b"\xff", "expected API keys"),
        (written(sha256="s" * 32), "matching regex"),
        (written(name="Shop\n"), "matching regex"),
        (written(scopes=[]), "length >= 1"),
        (written(created="2026-11-18T11:06:40"), "timezone"),
        (ApiKeys([SERVER, SERVER]).encode(), "expected each kid once"),
    ],
)
def test_an_unusable_file_is_refused_with_its_place(raw: bytes, message: str) -> None:
    with pytest.raises(CannotServe, match=message) as refused:
        ApiKeys.parse(raw, "api.keys.json")
    assert str(refused.value).endswith("- at api.keys.json")


@given(damaged(ApiKeys([SERVER]).encode()))
def test_a_damaged_file_is_read_or_refused_in_time(raw: bytes) -> None:
    with within(0.5), suppress(CannotServe):
        ApiKeys.parse(raw, "here").find(SECRET.encode(), NOW_S)


@given(damaged(SECRET.encode()))
def test_a_damaged_key_is_refused(sent: bytes) -> None:
    assert isinstance(ApiKeys([SERVER]).find(sent, NOW_S), Refusal) or sent == SECRET.encode()


def test_a_file_may_come_later_and_once_it_was_there_it_must_stay(tmp_path: Path) -> None:
    path = tmp_path / API_KEY_FILE
    file = Watched(path, ApiKeys.parse, absent=ApiKeys())
    assert not file.value.keys

    path.write_bytes(ApiKeys([SERVER]).encode())
    assert file.refresh()
    assert file.value.keys == (SERVER,)

    path.unlink()
    with pytest.raises(CannotServe, match="expected a key file, got No such file"):
        file.refresh()
    assert file.value.keys == (SERVER,), "to take a key away is to revoke it"


# The command.


def api(tmp_path: Path, *words: str) -> int:
    return main(["keys", "api", *words, "--keys", str(tmp_path)])


def kept(tmp_path: Path) -> tuple[ApiKey, ...]:
    return keys_api.read(tmp_path / API_KEY_FILE).keys


def test_a_new_key_is_shown_once_and_the_file_has_its_hash_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--name", "shop", "--scopes", "ofrep,recommendations", "--expires", "365d")
    assert api(tmp_path, "new", *words) == 0

    sent, told, _ = capsys.readouterr().out.splitlines()
    path = tmp_path / API_KEY_FILE
    (key,) = kept(tmp_path)
    assert ApiKeys([key]).find(sent.encode(), key.created.timestamp()) is key
    assert (key.name, key.scopes) == ("shop", ("ofrep", "recommendations"))
    assert key.expires == key.created + 365 * DAY
    assert sent.rpartition("_")[2] not in path.read_text()
    assert key.sha256 not in told
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    assert api(tmp_path, "new", *words) == 1
    assert "shop has a key: rotate it" in capsys.readouterr().err


def test_rotation_makes_a_second_key_and_gives_the_old_one_a_date(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api(tmp_path, "new", "--name", "shop", "--scopes", "ofrep", "--json")
    first = json.loads(capsys.readouterr().out)["key"].encode()

    assert api(tmp_path, "rotate", "--name", "shop", "--json") == 0

    second = json.loads(capsys.readouterr().out)["key"].encode()
    old, new = kept(tmp_path)
    keys, now_s = ApiKeys([old, new]), new.created.timestamp()
    assert (old.name, new.name, new.scopes, new.expires) == ("shop", "shop", ("ofrep",), None)
    assert keys.find(first, now_s + 6.9 * DAY_S) is old
    assert keys.find(first, now_s + 7.1 * DAY_S) is Refusal.EXPIRED
    assert keys.find(second, now_s + 7.1 * DAY_S) is new

    assert api(tmp_path, "rotate", "--name", "shop", "--grace", "30d") == 0
    assert kept(tmp_path)[0] == old, "an end that was given is not put off"


def test_keys_are_listed_without_their_hashes_and_revoked_by_kid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert api(tmp_path, "list") == 0
    assert "no API keys" in capsys.readouterr().out
    api(tmp_path, "new", "--name", "shop", "--scopes", "ofrep")
    api(tmp_path, "new", "--name", "mail", "--scopes", "recommendations", "--expires", "1d")
    shop, mail = kept(tmp_path)
    capsys.readouterr()

    assert api(tmp_path, "list") == 0
    listed = capsys.readouterr().out
    assert f"{shop.kid}  shop  ofrep  made " in listed
    assert "never ends" in listed
    assert ", ends " in listed
    assert shop.sha256 not in listed
    assert api(tmp_path, "list", "--json") == 0
    assert "sha256" not in capsys.readouterr().out

    assert api(tmp_path, "revoke", shop.kid) == 0
    assert kept(tmp_path) == (mail,)


@pytest.mark.parametrize(
    ("code", "words", "message"),
    [
        (2, ("new", "--name", "My shop", "--scopes", "ofrep"), "expected a name of small letters"),
        (2, ("new", "--name", "shop", "--scopes", "all"), "expected some of ofrep, recom"),
        (2, ("new", "--name", "shop", "--scopes", ","), "got none - at --scopes"),
        (2, ("new", "--name", "a", "--scopes", "ofrep", "--expires", "soon"), "- at --expires"),
        (2, ("new", "--name", "a", "--scopes", "ofrep", "--expires=-1d"), "- at --expires"),
        (1, ("rotate", "--name", "shop"), "expected a name of a key that counts (none), got shop"),
        (1, ("revoke", "12345678"), "expected the KID of a key (none), got 12345678"),
        (2, (), "ACTION"),
    ],
)
def test_what_cannot_be_done_is_said_and_makes_no_file(
    code: int,
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert api(tmp_path, *words) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / API_KEY_FILE).exists()


def test_a_file_that_cannot_be_read_or_is_full_is_said(tmp_path: Path) -> None:
    path = tmp_path / API_KEY_FILE
    many = [api_key(f"k{number}", b"s" * 32) for number in range(MAX_API_KEYS)]
    path.write_bytes(ApiKeys(many).encode())
    with pytest.raises(CannotServe, match="expected fewer than 64 keys, revoke one first"):
        keys_api.new(path, "more", ["ofrep"], NOW_S)

    path.unlink()
    path.mkdir()
    with pytest.raises(CannotServe, match="expected API keys, got Is a directory"):
        keys_api.read(path)

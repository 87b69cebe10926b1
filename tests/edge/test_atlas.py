"""The atlas: where an address is, by a file that may be replaced, or broken, at any time."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import httpx
import pytest

from edge.atlas import COPIES, MAX_FOUND, NOWHERE, Atlas
from edge.config import Config
from edge.errors import CannotServe
from tests.decisions.written import rule
from tests.edge.mmdb import mmdb, place
from tests.edge.nodes import Node, publish, wait_until
from tests.edge.shop import Shop

LYON = place("FR", "ARA", "Lyon", "EU", "Europe/Paris")
WORLD = {"203.0.113.0/24": LYON, "2001:db8:7::/48": place("DE"), "198.51.100.7/32": ["nonsense"]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "city.mmdb"
    path.write_bytes(mmdb(WORLD))
    return path


def opened(file: Path) -> Atlas:
    (folder := file.parent / "run").mkdir(exist_ok=True)
    return Atlas(file, folder)


def replaced(file: Path, raw: bytes) -> None:
    """Another file in its place, as updates do it, with another time."""
    new = file.with_suffix(".new")
    new.write_bytes(raw)
    os.utime(new, ns=(0, file.stat().st_mtime_ns + 1_000_000))
    new.replace(file)


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("203.0.113.9", b"FR\nEU\nARA\nLyon\nEurope/Paris"),
        ("::ffff:203.0.113.9", NOWHERE),
        ("2001:db8:7::1", b"DE\n\n\n\n"),
        ("2001:db8:8::1", NOWHERE),
        ("192.0.2.1", NOWHERE),
        ("198.51.100.7", NOWHERE),
        ("unknown", NOWHERE),
        ("", NOWHERE),
    ],
)
def test_an_address_is_somewhere_or_nowhere(file: Path, address: str, found: bytes) -> None:
    atlas = opened(file)

    assert [atlas.find(address), atlas.find(address)] == [found, found]


def test_what_a_record_says_stays_on_its_line(file: Path) -> None:
    replaced(file, mmdb({"203.0.113.0/24": place("FR", "A\nB", " Ly\ton ", "")}))

    assert opened(file).find("203.0.113.9") == b"FR\n\nA B\nLy on\n"


def test_what_is_remembered_of_addresses_is_bounded(file: Path) -> None:
    atlas = opened(file)

    for number in range(MAX_FOUND + 5):
        atlas.find(f"10.0.{number // 256}.{number % 256}")

    assert atlas._opened is not None
    assert len(atlas._opened[1]) == 5


def test_at_the_start_a_missing_or_broken_file_is_an_error_that_names_it(file: Path) -> None:
    for raw in (b"", b"no mmdb", mmdb(WORLD)[:-60]):
        file.write_bytes(raw)
        with pytest.raises(CannotServe, match=r"expected an mmdb file, got .* - at .*city\.mmdb"):
            opened(file)
    file.unlink()
    with pytest.raises(CannotServe, match="expected an mmdb file, got No such file"):
        opened(file)


def test_a_newer_file_is_taken_and_the_copy_before_it_goes(file: Path) -> None:
    atlas = opened(file)
    assert not atlas.is_newer

    replaced(file, mmdb({"203.0.113.0/24": place("BE")}))

    assert atlas.is_newer
    atlas.refresh()
    assert not atlas.is_newer
    assert atlas.find("203.0.113.9") == b"BE\n\n\n\n"
    assert len(list((file.parent / "run").iterdir())) == 1


def test_a_file_that_broke_is_told_once_and_the_last_good_one_serves_on(file: Path) -> None:
    atlas = opened(file)

    replaced(file, b"broken")
    assert atlas.is_newer
    atlas.refresh()
    assert not atlas.is_newer
    assert atlas.trouble == f"expected an mmdb file, got something else - at {file}"

    file.unlink()
    atlas.refresh()
    assert not atlas.is_newer
    assert "No such file" in atlas.trouble
    assert atlas.find("203.0.113.9").startswith(b"FR")

    file.write_bytes(mmdb(WORLD))
    assert atlas.is_newer
    atlas.refresh()
    assert atlas.trouble == ""


def test_overwriting_the_file_in_place_pulls_nothing_from_under_a_worker(file: Path) -> None:
    atlas = opened(file)

    with file.open("r+b") as same:
        same.truncate(0)

    assert atlas.find("203.0.113.9").startswith(b"FR")


def test_a_worker_that_starts_again_while_the_file_is_broken_finds_the_copy(file: Path) -> None:
    opened(file)
    file.unlink()

    again = opened(file)

    assert again.find("203.0.113.9").startswith(b"FR")
    assert "No such file" in again.trouble


def test_a_second_worker_takes_the_copy_of_the_first(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(file)
    monkeypatch.setattr(shutil, "copyfile", None)

    assert opened(file).find("203.0.113.9").startswith(b"FR")


def test_a_file_that_changes_while_it_is_copied_is_not_taken(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atlas, copyfile = opened(file), shutil.copyfile

    def slowly(source: Path, target: Path) -> None:
        copyfile(source, target)
        replaced(file, mmdb({}))

    replaced(file, mmdb({"203.0.113.0/24": place("BE")}))
    monkeypatch.setattr(shutil, "copyfile", slowly)
    atlas.refresh()

    assert "one that is being written" in atlas.trouble
    assert atlas.is_newer
    assert atlas.find("203.0.113.9").startswith(b"FR")


@pytest.mark.anyio
@pytest.mark.anyio
async def test_the_place_is_that_of_the_client_where_no_header_tells_one(file: Path) -> None:
    (file.parent / "run").mkdir()
    shop = Shop(mmdb=str(file), cache=str(file.parent))

    async def promo(**headers: str) -> str:
        reply = await shop.browser(**headers).visit(slots=("promo",))
        return str(reply["decisions"][0]["html"])

    assert await promo(**{"x-forwarded-for": "203.0.113.9"}) == "<p>Bonjour</p>"
    assert await promo(**{"x-forwarded-for": "192.0.2.1"}) == ""
    assert await promo(**{"x-forwarded-for": "203.0.113.9", "x-geo-country": "BE"}) == ""
    assert await promo(**{"x-forwarded-for": "203.0.113.9", "x-geo-country": "XX"}) == ""
    assert await promo(**{"x-forwarded-for": "192.0.2.1", "x-geo-country": "FR"}) != ""
    assert await promo(**{"x-forwarded-for": "192.0.2.1", ":place": "FR\n\n\n\n"}) == ""


@pytest.mark.anyio
@pytest.mark.anyio
async def test_no_row_tells_the_address(file: Path) -> None:
    (file.parent / "run").mkdir()
    shop = Shop(mmdb=str(file), cache=str(file.parent))
    browser = shop.browser(**{"x-forwarded-for": "203.0.113.9"})
    await browser.consent("functional", "analytics", "personalization")

    await browser.visit(browser.event("article_read"), slots=("promo",))

    assert shop.rows()
    assert "203.0.113.9" not in str(shop.rows())


def asked(node: Node, address: str) -> str:
    url = f"{node.url}/v1/fragments/hero"
    return httpx.get(url, headers={"X-Forwarded-For": address}).text


def test_a_node_refuses_to_start_without_its_file_and_follows_it_later(tmp_path: Path) -> None:
    file = tmp_path / "city.mmdb"
    file.write_bytes(b"broken")
    node = Node(tmp_path, "--mmdb", str(file), "--workers", "2")
    publish(tmp_path, rules=[rule("french", 'geo.country == "FR"', show="hero/loyal")])
    with pytest.raises(AssertionError), node.running():
        pass
    assert f"expected an mmdb file, got something else - at {file}" in node.said

    file.write_bytes(mmdb(WORLD))
    with node.running():
        wait_until(lambda: node.answers("readyz") == 200)
        assert asked(node, "192.0.2.1") == "<h1>Welcome</h1>"
        assert asked(node, "203.0.113.9") != "<h1>Welcome</h1>"

        replaced(file, mmdb({"192.0.2.0/24": LYON}))
        wait_until(lambda: {asked(node, "203.0.113.9") for _ in range(9)} == {"<h1>Welcome</h1>"})
        assert asked(node, "192.0.2.1") != "<h1>Welcome</h1>"

        file.write_bytes(b"broken")
        wait_until(lambda: any("mmdb: expected" in one for one in node.status()["troubles"]))
        assert asked(node, "192.0.2.1") != "<h1>Welcome</h1>"
        assert len(list((tmp_path / "cache" / "run").glob(COPIES))) == 1


def test_nothing_is_read_where_no_file_is_named() -> None:
    assert Shop().services.proxies.atlas is None
    assert Config().mmdb == ""

"""Proxies: a visitor's place and address are what a trusted peer says, and nobody else."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge.config import Config
from edge.errors import SettingError
from edge.proxies import MAX_VERDICTS, UNTRUSTED, Proxies, bare, household
from edge.settings import load
from tests.decisions.written import rule
from tests.edge.nodes import Node, publish, wait_until
from tests.edge.shop import Shop


def proxies(*trusted: str, **settings: Any) -> Proxies:
    networks = trusted or Config().trusted_proxies
    return Proxies(Config(trusted_proxies=networks, **settings), lambda _: None)


@pytest.mark.parametrize(
    ("trusted", "peer", "is_trusted"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "2001:db8::1", False),
        ("2001:db8::/32", "2001:db8::1", True),
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.70", False),
        ("0.0.0.0/0", "198.51.100.7", True),
        ("0.0.0.0/0", "unknown", False),
        ("192.0.2.7", "", True),
    ],
)
def test_a_peer_is_trusted_by_its_network(trusted: str, peer: str, is_trusted: bool) -> None:
    assert proxies(trusted).trusts(peer) is is_trusted


@pytest.mark.parametrize(
    ("address", "who"),
    [
        ("2001:db8:1:2:3:4:5:6", "20010db800010002::"),
        ("2001:db8:1:2::", "20010db800010002::"),
        ("2001:db8:1:3::", "20010db800010003::"),
        ("fe80::1%eth0", "fe80000000000000::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("192.0.2.7", "192.0.2.7"),
        ("some:thing", "some:thing"),
        ("", ""),
    ],
)
def test_all_addresses_of_a_household_are_one_client(address: str, who: str) -> None:
    assert household(address) == who


def test_this_machine_is_trusted_unless_somebody_says_otherwise() -> None:
    ours = proxies()

    assert ours.trusts("127.0.0.1")
    assert ours.trusts("::1")
    assert not ours.trusts("10.0.0.1")
    assert not ours.trusts("198.51.100.7")


def test_what_is_remembered_of_peers_is_bounded() -> None:
    ours = proxies("10.0.0.0/8")

    for number in range(2 * MAX_VERDICTS):
        assert not ours.trusts(f"192.0.{number // 256}.{number % 256}")

    assert len(ours._verdicts) <= MAX_VERDICTS
    assert ours.trusts("")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"trusted_proxies": "10.0.0.1/8"}, "expected addresses and networks, got 10.0.0.1/8"),
        ({"trusted_proxies": "proxy.example"}, "at trusted_proxies"),
        ({"cdn": "akamay"}, "expected one of none, cloudflare, .*, got 'akamay' - at cdn"),
        ({"city_header": "x geo"}, "expected a header's name, got 'x geo' - at city_header"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(flags: dict[str, str], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        load(flags)


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("198.51.100.7", None, "198.51.100.7"),
        ("198.51.100.7", b"203.0.113.9", "198.51.100.7"),
        ("::ffff:198.51.100.7", None, "198.51.100.7"),
        ("::ffff:127.0.0.1", b"203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", b"203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", b"6.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", b"203.0.113.9, 10.0.0.1", "203.0.113.9"),
        ("127.0.0.1", b"203.0.113.9:4711, [::1]:80", "203.0.113.9"),
        ("127.0.0.1", b"10.0.0.1", "10.0.0.1"),
        ("", b"203.0.113.9", "203.0.113.9"),
        (None, None, ""),
    ],
)
def test_only_trusted_proxies_are_believed_about_the_client(
    peer: str | None, forwarded: bytes | None, client: str
) -> None:
    headers = {b"x-forwarded-for": forwarded} if forwarded else {}
    scope = {"client": None if peer is None else (peer, 1)}

    assert proxies("127.0.0.1", "::1", "10.0.0.1").client(scope, headers) == client


@pytest.mark.parametrize(
    ("cdn", "header", "told", "client"),
    [
        ("cloudflare", b"cf-connecting-ip", b"203.0.113.9", "203.0.113.9"),
        ("cloudfront", b"cloudfront-viewer-address", b"203.0.113.9:46532", "203.0.113.9"),
        ("cloudfront", b"cloudfront-viewer-address", b"2001:db8::7:443", "2001:db8::7"),
        ("fastly", b"fastly-client-ip", b"2001:db8::7", "2001:db8::7"),
        ("akamai", b"true-client-ip", b"203.0.113.9", "203.0.113.9"),
        ("vercel", b"x-vercel-forwarded-for", b"6.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("vercel", b"x-real-ip", b"6.6.6.6", "192.0.2.1"),
    ],
)
def test_behind_a_cdn_its_own_header_tells_the_client(
    cdn: str, header: bytes, told: bytes, client: str
) -> None:
    headers = {header: told, b"x-forwarded-for": b"192.0.2.1"}

    assert proxies(cdn=cdn).client({"client": ("127.0.0.1", 1)}, headers) == client


@pytest.mark.parametrize(
    ("told", "address"),
    [
        ("203.0.113.9:80", "203.0.113.9"),
        ("[2001:db8::7]:80", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        (" unknown ", "unknown"),
        ("a:b", "a:b"),
    ],
)
def test_an_address_is_read_without_its_port(told: str, address: str) -> None:
    assert bare(told) == address


@pytest.mark.anyio
async def test_a_place_that_a_stranger_claims_is_dropped_and_counted() -> None:
    shop = Shop(trusted_proxies=("10.0.0.0/8",))
    browser = shop.browser(**{"x-geo-country": "FR"})  # its peer is 127.0.0.1

    reply = await browser.visit(slots=("promo",))

    assert reply["decisions"][0]["html"] == ""
    assert shop.counted(UNTRUSTED) == 1
    await shop.browser().visit()
    assert shop.counted(UNTRUSTED) == 1, "who claims nothing is not counted"


def asked_from(address: str, port: int) -> str:
    """What a peer of this address, who claims to be in France, gets for the slot `hero`."""
    transport = httpx.HTTPTransport(local_address=address)
    with httpx.Client(transport=transport) as client:
        url = f"http://127.0.0.1:{port}/_ew/v1/fragments/hero"
        return client.get(url, headers={"X-Geo-Country": "FR"}).text


def test_a_real_server_believes_the_peer_that_is_listed_and_no_other(tmp_path: Path) -> None:
    node = Node(tmp_path, "--trusted-proxies", "127.0.0.1")
    publish(tmp_path, rules=[rule("french", 'geo.country == "FR"', show="hero/loyal")])
    with node.running():
        wait_until(lambda: node.answers("readyz") == 200)

        assert asked_from("127.0.0.2", node.port) == "<h1>Welcome</h1>"
        assert asked_from("127.0.0.1", node.port) != "<h1>Welcome</h1>"
        assert asked_from("127.0.0.2", node.port) == "<h1>Welcome</h1>"


APPLICATION = """
from edge.config import Config
from edge.proxies import Proxies

PROXIES = Proxies(Config(), print)

async def app(scope, receive, send):
    if scope["type"] == "http":
        body = PROXIES.headers(scope).get(b"x-geo-country", b"nothing")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
"""


def listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def test_who_speaks_through_a_unix_socket_is_believed(tmp_path: Path) -> None:
    (tmp_path / "application.py").write_text(APPLICATION)
    path = tmp_path / "edge.sock"
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--uds", str(path)]
    command += ["--no-ws", "application:app"]
    server = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: listens(path))
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
            reply = client.get("http://edge/", headers={"X-Geo-Country": "FR"})
    finally:
        server.terminate()
        server.wait()

    assert reply.text == "FR"

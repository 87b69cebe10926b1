"""A peer's address in; whether its word counts, and whose request it is, out.

What only a proxy can know (where a visitor is, at which address) counts from the networks of
`trusted_proxies` and from a UNIX socket. From anybody else it is taken out of the headers before
anything reads them. No address is stored or logged.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path

from edge.atlas import PLACE, Atlas
from edge.cdns import WITH_PORT, parts
from edge.config import Config
from edge.exchange import Scope, headers_of

UNTRUSTED = "edgewise_untrusted_headers_total"

MAX_VERDICTS = 4_096  # addresses whose verdict is remembered; then all are forgotten
MAX_ADDRESS = 64  # characters of one, with its port
HOUSEHOLD = 64  # bits that an IPv6 client has in common with all addresses that are its own


class Proxies:
    """Who is believed."""

    def __init__(self, config: Config, count: Callable[[str], None]) -> None:
        """count: is told UNTRUSTED for a request whose headers were not believed. Raises
        CannotServe for an mmdb file that cannot be read."""
        self.atlas = Atlas(Path(config.mmdb), config.run_dir) if config.mmdb else None
        self._networks = [ip_network(text) for text in config.trusted_proxies]
        told = config.told
        self._said = sorted({parts(name)[0] for name in told if name})
        self._client = parts(told.client)[0]
        self._has_port = self._client in WITH_PORT
        self._country = parts(told.country)[0]
        self._count = count
        self._verdicts: dict[str, bool] = {"": True}
        self._ours = {""}  # those of them that are trusted

    def trusts(self, address: str) -> bool:
        """Whether this peer is a proxy of ours; "" is one at a UNIX socket. What is no address is
        nobody."""
        verdict = self._verdicts.get(address)
        if verdict is None:
            verdict = self._is_listed(address)
            if len(self._verdicts) >= MAX_VERDICTS:
                self._verdicts, self._ours = {"": True}, {""}
            self._verdicts[address] = verdict
            if verdict:
                self._ours.add(address)
        return verdict

    def _is_listed(self, address: str) -> bool:
        try:
            peer = ip_address(address)
        except ValueError:
            return False
        if isinstance(peer, IPv6Address) and peer.ipv4_mapped:  # at a socket of both families
            peer = peer.ipv4_mapped
        return any(peer in network for network in self._networks)

    def headers(self, scope: Scope) -> dict[bytes, bytes]:
        """The request's headers by lower-case name, less what this peer has no say in. Where none
        tells the country, PLACE holds what the atlas says of the client."""
        headers = headers_of(scope)
        peer = scope.get("client")
        if peer and peer[0] not in self._ours and not self.trusts(peer[0]):
            self._drop(headers)
        if self.atlas is not None and self._country not in headers:
            headers[PLACE] = self.atlas.find(self.client(scope, headers))
        return headers

    def _drop(self, headers: dict[bytes, bytes]) -> None:
        if lies := [name for name in self._said if name in headers]:
            self._count(UNTRUSTED)
            for name in lies:
                del headers[name]

    def client(self, scope: Scope, headers: dict[bytes, bytes]) -> str:
        """The address of who asks: as the CDN says it, or the last one before the peer that no
        trusted proxy vouches for. headers: of `headers`, so that what is there is believed.

        "" if nobody says. It may be any text that a trusted proxy sent.
        """
        peer = scope.get("client")
        # At a socket of both families an IPv4 address comes wrapped into an IPv6 one.
        address = str(peer[0]).removeprefix("::ffff:") if peer else ""
        if not self.trusts(address):
            return address
        if self._client and (told := headers.get(self._client)):
            return bare(told.rpartition(b",")[2].decode("latin-1"), ends_in_port=self._has_port)
        forwarded = headers.get(b"x-forwarded-for")
        for hop in reversed(forwarded.decode("latin-1").split(",")) if forwarded else ():
            address = bare(hop)
            if not self.trusts(address):
                break
        return address


def bare(told: str, *, ends_in_port: bool = False) -> str:
    """An address without its port: `192.0.2.1:80`, `[2001:db8::1]:80`. ends_in_port: whether one
    is always there; an IPv6 address need not be in brackets then."""
    text = told.strip()[:MAX_ADDRESS]
    if ends_in_port or text.startswith("[") or text.count(":") == 1:
        host, colon, port = text.rpartition(":")
        text = host if colon and port.isdecimal() else text
    return text.strip("[]")


@functools.lru_cache(maxsize=MAX_VERDICTS)
def household(address: str) -> str:
    """Who a client is, where each may have so much: of an IPv6 address its /64, for whoever has one
    address there has all of them; any other text as it is. Never raises."""
    if ":" not in address:
        return address
    try:
        one = IPv6Address(address)
    except ValueError:
        return address
    return str(one.ipv4_mapped or f"{int(one) >> (128 - HOUSEHOLD):x}::")

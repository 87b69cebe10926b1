"""Writes small mmdb files: networks and what is known of them in, the bytes of a file out.

After the format's specification 2.0: a binary tree with records of 32 bits, IPv4 under ::/96.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from ipaddress import IPv4Network, ip_network
from typing import Any

MARKER = b"\xab\xcd\xefMaxMind.com"
MAP, TEXT, UINT16, UINT32, UINT64, ARRAY = 7, 2, 5, 6, 9, 11


def place(
    country: str = "", region: str = "", city: str = "", continent: str = "", zone: str = ""
) -> dict[str, Any]:
    """A record as GeoLite2-City has them."""
    record: dict[str, Any] = {
        "country": {"iso_code": country} if country else None,
        "continent": {"code": continent} if continent else None,
        "subdivisions": [{"iso_code": region}] if region else None,
        "city": {"names": {"de": f"{city} (de)", "en": city}} if city else None,
        "location": {"time_zone": zone} if zone else None,
    }
    return {name: value for name, value in record.items() if value}


def mmdb(networks: Mapping[str, Any]) -> bytes:
    """The file. networks: `192.0.2.0/24` → its record."""
    nodes: list[list[int | None]] = [[None, None]]
    data, places = b"", list[tuple[int, int, int]]()
    for text, record in networks.items():
        network = ip_network(text)
        bits, length = int(network.network_address), network.prefixlen
        if isinstance(network, IPv4Network):
            length += 96
        at = 0
        for depth in range(length - 1):
            side = bits >> (127 - depth) & 1
            following = nodes[at][side]
            if following is None:
                nodes.append([None, None])
                following = nodes[at][side] = len(nodes) - 1
            at = following
        places.append((at, bits >> (128 - length) & 1, len(data)))
        data += _encoded(record)
    count = len(nodes)
    for at, side, offset in places:
        nodes[at][side] = count + 16 + offset
    tree = b"".join(
        struct.pack(">I", count if value is None else value) for node in nodes for value in node
    )
    about: dict[str, Any] = {"node_count": (UINT32, count), "record_size": (UINT16, 32)}
    about |= {"ip_version": (UINT16, 6), "build_epoch": (UINT64, 1_795_000_000)}
    about |= {"binary_format_major_version": (UINT16, 2)}
    about |= {"binary_format_minor_version": (UINT16, 0), "database_type": "Test-City"}
    about |= {"languages": ["en"], "description": {"en": "a test"}}
    return tree + bytes(16) + data + MARKER + _encoded(about)


def _encoded(value: Any) -> bytes:
    if isinstance(value, str):
        raw = value.encode()
        return _head(TEXT, len(raw)) + raw
    if isinstance(value, Mapping):
        pairs = (_encoded(key) + _encoded(one) for key, one in value.items())
        return _head(MAP, len(value)) + b"".join(pairs)
    if isinstance(value, list):
        return _head(ARRAY, len(value)) + b"".join(map(_encoded, value))
    kind, number = value
    raw = int(number).to_bytes(8).lstrip(b"\0")
    return _head(kind, len(raw)) + raw


def _head(kind: int, size: int) -> bytes:
    """The control byte, that of an extended kind, and the rest of a size above 28."""
    low, more = (size, b"") if size < 29 else (29, bytes([size - 29]))
    if kind > 7:
        return bytes([low, kind - 7]) + more
    return bytes([kind << 5 | low]) + more

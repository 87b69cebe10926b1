"""Purposes and grants as bits: what data may be used for, and what this visitor granted.

A *need* is the union of the bits a value was computed from; it may be used when `need & ~grants ==
0`. `AUTHENTICATED` travels the same way: it is granted by a live sign-in, never by a consent
choice.
"""

from __future__ import annotations

from collections.abc import Iterable

FUNCTIONAL = 1
ANALYTICS = 2
PERSONALIZATION = 4
MARKETING = 8
SENSITIVE = 16
AUTHENTICATED = 32

PURPOSES: dict[str, int] = {
    "functional": FUNCTIONAL,
    "analytics": ANALYTICS,
    "personalization": PERSONALIZATION,
    "marketing": MARKETING,
    "sensitive": SENSITIVE,
}
NEEDS: dict[str, int] = {"none": 0, **PURPOSES, "authenticated": AUTHENTICATED}

# What a browser that sends Global Privacy Control takes away, by how the site reads it.
GPC: dict[str, int] = {
    "marketing": MARKETING,  # sale and sharing, as the signal is defined
    "strict": ANALYTICS | PERSONALIZATION | MARKETING | SENSITIVE,
}

NOTHING = 0
EVERYTHING = sum(NEEDS.values())

# An id may be kept on the device while one of these is granted; with the last of them it goes.
NEED_AN_ID = FUNCTIONAL | ANALYTICS | PERSONALIZATION


def mask(names: Iterable[str]) -> int:
    """The bits of purpose names (`authenticated` included). Raises KeyError for a name not in
    NEEDS."""
    bits = 0
    for name in names:
        bits |= NEEDS[name]
    return bits


def names(bits: int) -> list[str]:
    """The names of the bits set, in the order of PURPOSES, `authenticated` last."""
    return [name for name, bit in NEEDS.items() if bits & bit]


def allows(grants: int, need: int) -> bool:
    """Whether everything in `need` is granted."""
    return not need & ~grants

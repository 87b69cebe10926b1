"""What a TC string grants of our purposes: by the strictest reading, and never `sensitive`.

docs/consent.md has the table with its reasons. Only consent grants; a legitimate interest does not.
Who is asked for is either a vendor of the Global Vendor List or the publisher itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from decisions.consent import ANALYTICS, FUNCTIONAL, MARKETING, PERSONALIZATION
from decisions.errors import TcStringError
from decisions.tcstring import REQUIRE_CONSENT, TcString

PUBLISHER = 0  # no vendor has this id
_SCOPE_BIT = 138  # where IsServiceSpecific stands

# One of ours is granted when all of these of TCF are. 1 is storage on the device, which each needs.
TCF_PURPOSES: Mapping[int, frozenset[int]] = {
    FUNCTIONAL: frozenset({1, 11}),
    ANALYTICS: frozenset({1, 8, 9}),
    PERSONALIZATION: frozenset({1, 5, 6}),
    MARKETING: frozenset({1, 2, 3, 4, 7}),
}


def grants(tc: TcString, vendor: int = PUBLISHER) -> int:
    """The purposes that this string grants, as bits.

    vendor: the id under which this site's Edgewise stands in the Global Vendor List; PUBLISHER for
    what was agreed to with the site itself. Raises TcStringError for a string of global scope,
    which is void since 2021-09-01.
    """
    if not tc.is_service_specific:
        what = "expected a string of this service (IsServiceSpecific 1), got one of global scope"
        raise TcStringError(what, bit=_SCOPE_BIT)
    agreed = _with_publisher(tc) if vendor == PUBLISHER else _with_vendor(tc, vendor)
    bits = 0
    for purpose, needed in TCF_PURPOSES.items():
        if needed <= agreed:
            bits |= purpose
    return bits


def _with_publisher(tc: TcString) -> frozenset[int]:
    """What the Publisher TC says. The core speaks to vendors; without this segment nobody was asked
    for the publisher, or the segment was cut off."""
    return tc.publisher_tc.purposes_consent if tc.publisher_tc else frozenset()


def _with_vendor(tc: TcString, vendor: int) -> frozenset[int]:
    """The purposes to which this vendor has consent, and that the publisher leaves to it."""
    named = (tc.vendor_consents, tc.disclosed_vendors, tc.allowed_vendors)
    if not all(vendor in vendors for vendors in named if vendors is not None):
        return frozenset()
    forbidden = {
        restriction.purpose
        for restriction in tc.publisher_restrictions
        if restriction.type != REQUIRE_CONSENT and vendor in restriction.vendors
    }
    return tc.purposes_consent - forbidden

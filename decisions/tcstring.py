"""An IAB TC string in, what it says out, field by field; or the one thing that is wrong, and where.

TCF 2.2 and 2.3 (IAB Tech Lab, "Transparency and Consent String", CC BY 3.0), the segments of
disclosed vendors, allowed vendors and Publisher TC included. Read to the letter: what is too long,
ends early, goes on or contradicts itself is refused, and nothing is ever more than its bits say.
The work is bounded by the length of the string: ranges are kept as ranges. What a string means for
us is said in `tcf`.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from decisions.errors import TcStringError

MAX_CHARACTERS = 4_096  # as long as a browser lets a cookie be; those of the wild are below 2,000
MAX_PADDING = 23  # bits; encoders fill up a byte, or three of them, with zeros
MAX_RESTRICTIONS = 72  # 24 purposes, three types: more of them would be the same ones again
DISCLOSED_FROM_S = 1_772_323_200.0  # 2026-03-01, UTC: from then on (TCF 2.3) they must be named

VERSION = 2
CORE, DISCLOSED, ALLOWED, PUBLISHER = 0, 1, 2, 3  # types of segments
NOT_ALLOWED, REQUIRE_CONSENT, REQUIRE_INTEREST = 0, 1, 2  # types of restrictions
PURPOSES = 24  # bits for them
SPECIAL_FEATURES = 12

_STRANGE = re.compile(r"[^A-Za-z0-9_-]")
_RANGE_BITS, _SINGLE_BITS = 33, 17
_RANGE = (1 << _RANGE_BITS) - 1
_LAST_VENDOR = 0xFFFF


class Vendors(msgspec.Struct, frozen=True):
    """Ids of vendors as the string has them: `field`, whose bit `most - id` is the vendor's, or
    `ranges`, first and last. `id in vendors` says whether one is among them."""

    most: int = 0
    field: int = 0
    ranges: tuple[tuple[int, int], ...] = ()

    def __contains__(self, vendor: int) -> bool:
        if not 0 < vendor <= self.most:
            return False
        if self.field >> (self.most - vendor) & 1:
            return True
        return any(first <= vendor <= last for first, last in self.ranges)


class Restriction(msgspec.Struct, frozen=True):
    """What the publisher forbids some vendors. type: NOT_ALLOWED, REQUIRE_CONSENT, …"""

    purpose: int
    type: int
    vendors: Vendors


class PublisherTC(msgspec.Struct, frozen=True, kw_only=True):
    """What was agreed to with the publisher itself."""

    purposes_consent: frozenset[int]
    purposes_li_transparency: frozenset[int]
    num_custom_purposes: int = 0
    custom_purposes_consent: frozenset[int] = frozenset()
    custom_purposes_li_transparency: frozenset[int] = frozenset()


class TcString(msgspec.Struct, frozen=True, kw_only=True):
    """What a string says, under the names of the specification; times in seconds since the epoch.
    A segment that is not there is None."""

    created_s: float
    last_updated_s: float
    cmp_id: int
    cmp_version: int
    consent_screen: int
    consent_language: str
    vendor_list_version: int
    tcf_policy_version: int
    is_service_specific: bool
    use_non_standard_texts: bool
    special_feature_opt_ins: frozenset[int]
    purposes_consent: frozenset[int]
    purposes_li_transparency: frozenset[int]
    purpose_one_treatment: bool
    publisher_cc: str
    vendor_consents: Vendors
    vendor_legitimate_interests: Vendors
    publisher_restrictions: tuple[Restriction, ...]
    disclosed_vendors: Vendors | None = None
    allowed_vendors: Vendors | None = None
    publisher_tc: PublisherTC | None = None


def decode(text: str) -> TcString:
    """What this string says. Raises TcStringError.

    text: at most MAX_CHARACTERS of base64url, segments parted by dots. One that was made from 2026-
    03-01 on must name its disclosed vendors.
    """
    if len(text) > MAX_CHARACTERS:
        raise TcStringError(f"expected at most {MAX_CHARACTERS} characters, got {len(text)}")
    core, *rest = text.split(".", 4)
    if len(rest) > 3:
        raise TcStringError("expected the core and at most 3 segments, got more", segment=5)
    fields = _core(_Bits(core, 1))
    made_s = max(fields["created_s"], fields["last_updated_s"])
    for number, segment in enumerate(rest, 2):
        bits = _Bits(segment, number)
        name, value = _segment(bits, made_s)
        if name in fields:
            raise bits.wrong(f"expected one segment of {name}, got a second", 0)
        fields[name] = value
    if made_s >= DISCLOSED_FROM_S and "disclosed_vendors" not in fields:
        what = "expected a segment of disclosed vendors, as TCF 2.3 asks for since 2026-03-01"
        raise TcStringError(f"{what}, got none", segment=len(rest) + 2)
    return TcString(**fields)


class _Bits:
    """The bits of one segment, taken from the left, each only if it is there."""

    __slots__ = ("_bytes", "at", "length", "segment")

    def __init__(self, characters: str, segment: int) -> None:
        """characters: six bits each. segment: its number, the core's is 1. Raises TcStringError."""
        self.segment, self.at, self.length = segment, 0, 6 * len(characters)
        if strange := _STRANGE.search(characters):
            got = ascii(strange.group())
            raise self.wrong(f"expected base64url, got {got}", 6 * strange.start())
        filled = characters.translate({45: "+", 95: "/"}) + "A" * (-len(characters) % 4)
        self._bytes = binascii.a2b_base64(filled) + bytes(5)  # whoever looks ahead sees zeros

    def wrong(self, what: str, bit: int) -> TcStringError:
        """The error that says so."""
        return TcStringError(what, segment=self.segment, bit=bit)

    def take(self, width: int, what: str) -> int:
        """The next field, as a number. Raises TcStringError."""
        at, end = self.at, self.at + width
        if end > self.length:
            raise self.wrong(f"expected {width} bits of {what}, got {self.length - at}", at)
        self.at = end
        field = int.from_bytes(self._bytes[at >> 3 : (end + 7) >> 3], "big")
        return field >> (-end & 7) & ((1 << width) - 1)

    def flag(self, what: str) -> bool:
        return bool(self.take(1, what))

    def moment(self, what: str) -> float:
        """Tenths of a second, as seconds."""
        return self.take(36, what) / 10

    def letters(self, what: str) -> str:
        """Two letters of six bits each."""
        at = self.at
        first, second = divmod(self.take(12, what), 64)
        if first > 25 or second > 25:
            raise self.wrong(f"expected two letters of {what}, got {first} and {second}", at)
        return chr(65 + first) + chr(65 + second)

    def numbers(self, width: int, what: str) -> frozenset[int]:
        """The places of the bits that are set, from 1 on."""
        field = self.take(width, what)
        return frozenset(n for n in range(1, width + 1) if field >> (width - n) & 1)

    def vendors(self, *, may_end_early: bool = False) -> Vendors:
        """A section of vendors. may_end_early: the bits that a field lacks at its end are 0."""
        most = self.take(16, "MaxVendorId")
        if self.flag("IsRangeEncoding"):
            return Vendors(most, ranges=self.ranges(most))
        there = min(most, self.length - self.at) if may_end_early else most
        return Vendors(most, self.take(there, "BitField") << (most - there))

    def ranges(self, most: int) -> tuple[tuple[int, int], ...]:
        """Ranges of vendors, each of ids from 1 to `most`."""
        count = self.take(12, "NumEntries")
        if self.at + count * _SINGLE_BITS > self.length:
            left = self.length - self.at
            raise self.wrong(f"expected {count} entries, got {left} bits", self.at)
        packed, at, length = self._bytes, self.at, self.length
        found: list[tuple[int, int]] = []
        for _ in range(count):
            byte = at >> 3  # five bytes hold an entry wherever it begins
            entry = int.from_bytes(packed[byte : byte + 5], "big") >> (7 - (at & 7)) & _RANGE
            first = entry >> 16 & _LAST_VENDOR
            last = entry & _LAST_VENDOR if entry >> 32 else first
            end = at + (_RANGE_BITS if entry >> 32 else _SINGLE_BITS)
            if end > length:
                raise self.wrong(f"expected {end - at} bits of an entry, got {length - at}", at)
            if not 0 < first <= last <= most:
                told = f"got {first} to {last}"
                raise self.wrong(f"expected vendors between 1 and {most} in order, {told}", at)
            found.append((first, last))
            at = end
        self.at = at
        return tuple(found)

    def end(self) -> None:
        """Raises TcStringError unless only padding is left."""
        at, left = self.at, self.length - self.at
        if left > MAX_PADDING:
            raise self.wrong(f"expected at most {MAX_PADDING} bits of padding, got {left}", at)
        if self.take(left, "padding"):
            raise self.wrong("expected zeros after the last field, got ones", at)


def _core(bits: _Bits) -> dict[str, Any]:
    """The fields of the core; evaluated in the order of the specification."""
    if (version := bits.take(6, "Version")) != VERSION:
        raise bits.wrong(f"expected version {VERSION}, got {version}", 0)
    fields = {
        "created_s": bits.moment("Created"),
        "last_updated_s": bits.moment("LastUpdated"),
        "cmp_id": bits.take(12, "CmpId"),
        "cmp_version": bits.take(12, "CmpVersion"),
        "consent_screen": bits.take(6, "ConsentScreen"),
        "consent_language": bits.letters("ConsentLanguage"),
        "vendor_list_version": bits.take(12, "VendorListVersion"),
        "tcf_policy_version": bits.take(6, "TcfPolicyVersion"),
        "is_service_specific": bits.flag("IsServiceSpecific"),
        "use_non_standard_texts": bits.flag("UseNonStandardTexts"),
        "special_feature_opt_ins": bits.numbers(SPECIAL_FEATURES, "SpecialFeatureOptIns"),
        "purposes_consent": bits.numbers(PURPOSES, "PurposesConsent"),
        "purposes_li_transparency": bits.numbers(PURPOSES, "PurposesLITransparency"),
        "purpose_one_treatment": bits.flag("PurposeOneTreatment"),
        "publisher_cc": bits.letters("PublisherCC"),
        "vendor_consents": bits.vendors(),
        "vendor_legitimate_interests": bits.vendors(),
        "publisher_restrictions": _restrictions(bits),
    }
    bits.end()
    return fields


def _restrictions(bits: _Bits) -> tuple[Restriction, ...]:
    at = bits.at
    if (count := bits.take(12, "NumPubRestrictions")) > MAX_RESTRICTIONS:
        raise bits.wrong(f"expected at most {MAX_RESTRICTIONS} restrictions, got {count}", at)
    return tuple(_restriction(bits) for _ in range(count))


def _restriction(bits: _Bits) -> Restriction:
    at = bits.at
    purpose = bits.take(6, "PurposeId")
    if not 0 < purpose <= PURPOSES:
        raise bits.wrong(f"expected a purpose from 1 to {PURPOSES}, got {purpose}", at)
    kind = bits.take(2, "RestrictionType")
    if kind > REQUIRE_INTEREST:
        raise bits.wrong(f"expected a restriction of type 0 to 2, got {kind}", at + 6)
    return Restriction(purpose, kind, Vendors(_LAST_VENDOR, ranges=bits.ranges(_LAST_VENDOR)))


_SEGMENTS: Mapping[int, str] = {
    DISCLOSED: "disclosed_vendors",
    ALLOWED: "allowed_vendors",
    PUBLISHER: "publisher_tc",
}


def _segment(bits: _Bits, made_s: float) -> tuple[str, Vendors | PublisherTC]:
    """Name and content of a segment after the core."""
    kind = bits.take(3, "SegmentType")
    if (name := _SEGMENTS.get(kind)) is None:
        raise bits.wrong(f"expected a segment of type 1, 2 or 3, got {kind}", 0)
    # Strings of before TCF 2.3, where this segment had no force, are met without the zeros at its
    # end; read as zeros they can only say less.
    may_end_early = kind == DISCLOSED and made_s < DISCLOSED_FROM_S
    found = _publisher_tc(bits) if kind == PUBLISHER else bits.vendors(may_end_early=may_end_early)
    bits.end()
    return name, found


def _publisher_tc(bits: _Bits) -> PublisherTC:
    consent = bits.numbers(PURPOSES, "PubPurposesConsent")
    interest = bits.numbers(PURPOSES, "PubPurposesLITransparency")
    custom = bits.take(6, "NumCustomPurposes")
    return PublisherTC(
        purposes_consent=consent,
        purposes_li_transparency=interest,
        num_custom_purposes=custom,
        custom_purposes_consent=bits.numbers(custom, "CustomPurposesConsent"),
        custom_purposes_li_transparency=bits.numbers(custom, "CustomPurposesLITransparency"),
    )

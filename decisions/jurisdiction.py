"""Country and region in; whether grants need a yes there, or hold until a no, out.

A place is OPT_OUT only where a law of its own says so; every other place, known or not, is OPT_IN,
the stricter. The table is of 2026-11-27; docs/consent.md shows it with its sources.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec


class Regime(enum.StrEnum):
    """What counts while a visitor has made no choice."""

    OPT_IN = "opt-in"
    OPT_OUT = "opt-out"


class Law(msgspec.Struct, frozen=True):
    """A law that a place has, where to read it, and since when it holds (ISO date)."""

    regime: Regime
    name: str
    source: str
    since: str


_GDPR = Law(Regime.OPT_IN, "GDPR and ePrivacy Directive", "(EU) 2016/679; 2002/58/EC", "2018-05-25")
_EEA = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK"


def _state(name: str, source: str, since: str) -> Law:
    return Law(Regime.OPT_OUT, name, source, since)


# By ISO 3166-1 country, or ISO 3166-2 region where the law is a region's.
LAWS: Mapping[str, Law] = {
    **dict.fromkeys(_EEA.split(), _GDPR),
    "GB": Law(Regime.OPT_IN, "UK GDPR and PECR", "Data Protection Act 2018; SI 2003/2426",
              "2018-05-25"),
    "BR": Law(Regime.OPT_IN, "LGPD", "Lei 13.709/2018", "2020-09-18"),
    "US-CA": _state("CCPA", "Cal. Civ. Code § 1798.100", "2020-01-01"),
    "US-VA": _state("VCDPA", "Va. Code § 59.1-575", "2023-01-01"),
    "US-CO": _state("CPA", "Colo. Rev. Stat. § 6-1-1301", "2023-07-01"),
    "US-CT": _state("CTDPA", "Conn. Gen. Stat. § 42-515", "2023-07-01"),
    "US-UT": _state("UCPA", "Utah Code § 13-61-101", "2023-12-31"),
    "US-TX": _state("TDPSA", "Tex. Bus. & Com. Code § 541.001", "2024-07-01"),
    "US-OR": _state("OCPA", "Or. Rev. Stat. § 646A.570", "2024-07-01"),
    "US-MT": _state("MTCDPA", "Mont. Code § 30-14-2801", "2024-10-01"),
    "US-DE": _state("DPDPA", "Del. Code tit. 6, ch. 12D", "2025-01-01"),
    "US-IA": _state("ICDPA", "Iowa Code ch. 715D", "2025-01-01"),
    "US-NE": _state("NDPA", "Neb. Rev. Stat. § 87-1101", "2025-01-01"),
    "US-NH": _state("NHPA", "N.H. Rev. Stat. ch. 507-H", "2025-01-01"),
    "US-NJ": _state("NJDPA", "N.J. Stat. § 56:8-166.4", "2025-01-15"),
    "US-TN": _state("TIPA", "Tenn. Code § 47-18-3301", "2025-07-01"),
    "US-MN": _state("MCDPA", "Minn. Stat. ch. 325M", "2025-07-31"),
    "US-MD": _state("MODPA", "Md. Code, Com. Law § 14-4701", "2025-10-01"),
    "US-IN": _state("INCDPA", "Ind. Code § 24-15", "2026-01-01"),
    "US-KY": _state("KCDPA", "Ky. Rev. Stat. § 367.3611", "2026-01-01"),
    "US-RI": _state("RIDTPPA", "R.I. Gen. Laws ch. 6-48.1", "2026-01-01"),
}  # fmt: skip


def regime(country: str, region: str = "") -> Regime:
    """What counts at this place while a visitor has made no choice.

    country: ISO 3166-1 alpha-2. region: `CA` or `US-CA`. What is unknown, "" or spelt in another
    way is OPT_IN.
    """
    code = region if region.startswith(f"{country}-") else f"{country}-{region}"
    law = LAWS.get(country) or LAWS.get(code)
    return law.regime if law else Regime.OPT_IN

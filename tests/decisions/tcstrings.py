"""TC strings for tests: what one shall say in, its characters out; the decoder's counterpart, made
from the same specification and nothing else."""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from decisions.tcstring import PublisherTC, Restriction, TcString, Vendors

SPEC = Path(__file__).parent.parent / "spec" / "tcf"
REAL: list[str] = json.loads((SPEC / "tc_strings_v2.json").read_text(encoding="utf-8"))
CHARACTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
DAY_S = 86_400
MADE_S = 1_794_960_000.0  # 2026-11-18, midnight
ALL = frozenset(range(1, 12))


def said(**changes: Any) -> TcString:
    """What a string of today says: one of the site itself, with everything agreed to."""
    fields: dict[str, Any] = {
        "created_s": MADE_S,
        "last_updated_s": MADE_S,
        "cmp_id": 31,
        "cmp_version": 640,
        "consent_screen": 1,
        "consent_language": "EN",
        "vendor_list_version": 143,
        "tcf_policy_version": 5,
        "is_service_specific": True,
        "use_non_standard_texts": False,
        "special_feature_opt_ins": frozenset(),
        "purposes_consent": ALL,
        "purposes_li_transparency": frozenset(),
        "purpose_one_treatment": False,
        "publisher_cc": "FR",
        "vendor_consents": among(7, 755),
        "vendor_legitimate_interests": Vendors(),
        "publisher_restrictions": (),
        "disclosed_vendors": among(7, 755),
        "publisher_tc": publisher(ALL),
    }
    return TcString(**fields | changes)


def publisher(consent: Collection[int], **changes: Any) -> PublisherTC:
    return PublisherTC(
        **{"purposes_consent": frozenset(consent), "purposes_li_transparency": frozenset()}
        | changes
    )


def among(*ids: int) -> Vendors:
    """A bit field of these vendors."""
    most = max(ids, default=0)
    return Vendors(most, sum(1 << most - id_ for id_ in set(ids)))


def restricted(purpose: int, type_: int, *ids: int) -> Restriction:
    return Restriction(purpose, type_, Vendors(0xFFFF, ranges=tuple((id_, id_) for id_ in ids)))


def encode(tc: TcString) -> str:
    """The characters, each segment filled up with zeros to whole characters."""
    return ".".join(map(characters, segments(tc)))


def characters(bits: str) -> str:
    bits += "0" * (-len(bits) % 6)
    return "".join(CHARACTERS[int(bits[at : at + 6], 2)] for at in range(0, len(bits), 6))


def bits_of(text: str) -> list[str]:
    """The bits of each segment."""
    return [
        "".join(f"{CHARACTERS.index(character):06b}" for character in segment)
        for segment in text.split(".")
    ]


def shortest(first: int, last: int) -> str:
    """The bits of one entry: a single vendor by its id alone."""
    return f"0{first:016b}" if first == last else f"1{first:016b}{last:016b}"


def in_any_spelling(first: int, last: int) -> str:
    """A pattern of the bits of one entry: a single vendor may be a range of one, too."""
    spelled = f"1{first:016b}{last:016b}"
    return f"(?:0{first:016b}|{spelled})" if first == last else spelled


def segments(tc: TcString, entry: Callable[[int, int], str] = shortest) -> list[str]:
    """The bits of each segment, without padding, in the order of their types. entry: writes one."""
    made = [core(tc, entry)]
    if tc.disclosed_vendors is not None:
        made.append("001" + section(tc.disclosed_vendors, entry))
    if tc.allowed_vendors is not None:
        made.append("010" + section(tc.allowed_vendors, entry))
    if (own := tc.publisher_tc) is not None:
        most = own.num_custom_purposes
        made.append(
            "011"
            + flags(own.purposes_consent, 24)
            + flags(own.purposes_li_transparency, 24)
            + f"{most:06b}"
            + flags(own.custom_purposes_consent, most)
            + flags(own.custom_purposes_li_transparency, most)
        )
    return made


def core(tc: TcString, entry: Callable[[int, int], str] = shortest) -> str:
    return "".join(
        (
            f"{2:06b}",
            f"{round(tc.created_s * 10):036b}",
            f"{round(tc.last_updated_s * 10):036b}",
            f"{tc.cmp_id:012b}{tc.cmp_version:012b}{tc.consent_screen:06b}",
            letters(tc.consent_language),
            f"{tc.vendor_list_version:012b}{tc.tcf_policy_version:06b}",
            f"{tc.is_service_specific:b}{tc.use_non_standard_texts:b}",
            flags(tc.special_feature_opt_ins, 12),
            flags(tc.purposes_consent, 24),
            flags(tc.purposes_li_transparency, 24),
            f"{tc.purpose_one_treatment:b}",
            letters(tc.publisher_cc),
            section(tc.vendor_consents, entry),
            section(tc.vendor_legitimate_interests, entry),
            f"{len(tc.publisher_restrictions):012b}",
            *(
                f"{r.purpose:06b}{r.type:02b}{entries(r.vendors, entry)}"
                for r in tc.publisher_restrictions
            ),
        )
    )


def section(vendors: Vendors, entry: Callable[[int, int], str] = shortest) -> str:
    head = f"{vendors.most:016b}"
    if vendors.ranges:
        return f"{head}1{entries(vendors, entry)}"
    return f"{head}0" + (f"{vendors.field:0{vendors.most}b}" if vendors.most else "")


def entries(vendors: Vendors, entry: Callable[[int, int], str] = shortest) -> str:
    told = [entry(first, last) for first, last in vendors.ranges]
    return f"{len(told):012b}" + "".join(told)


def flags(numbers: Collection[int], width: int) -> str:
    return "".join("01"[number in numbers] for number in range(1, width + 1))


def letters(text: str) -> str:
    return "".join(f"{ord(letter) - 65:06b}" for letter in text)

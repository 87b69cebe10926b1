"""What a TC string grants: all that a purpose needs, from the right party, and nothing more."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions import consent
from decisions.consent import ANALYTICS, FUNCTIONAL, MARKETING, PERSONALIZATION, SENSITIVE
from decisions.errors import TcStringError
from decisions.tcf import TCF_PURPOSES, grants
from decisions.tcstring import NOT_ALLOWED, REQUIRE_CONSENT, REQUIRE_INTEREST, decode
from tests.decisions.tcstrings import ALL, REAL, among, encode, publisher, restricted, said

US = 755
OURS = FUNCTIONAL | ANALYTICS | PERSONALIZATION | MARKETING
PAGE = (Path(__file__).parent.parent.parent / "docs" / "consent.md").read_text(encoding="utf-8")
SETS = st.frozensets(st.integers(1, 24))


@given(SETS, SETS)
def test_a_purpose_is_granted_when_all_that_it_needs_is_agreed_to(
    agreed: frozenset[int], interests: frozenset[int]
) -> None:
    own = publisher(agreed, purposes_li_transparency=interests)
    tc = said(purposes_consent=agreed, purposes_li_transparency=interests, publisher_tc=own)
    expected = sum(bit for bit, needed in TCF_PURPOSES.items() if not needed - agreed)

    assert grants(tc) == grants(tc, US) == expected


def test_everything_agreed_to_is_everything_but_what_is_sensitive() -> None:
    everything = frozenset(range(1, 25))
    tc = said(
        purposes_consent=everything,
        special_feature_opt_ins=frozenset(range(1, 13)),
        publisher_tc=publisher(everything),
    )

    assert grants(tc) == grants(tc, US) == OURS == sum(consent.PURPOSES.values()) - SENSITIVE


def test_without_storage_on_the_device_nothing_is_granted() -> None:
    tc = said(publisher_tc=publisher(ALL - {1}), purpose_one_treatment=True)

    assert grants(tc) == consent.NOTHING


def test_the_publisher_has_what_was_agreed_to_with_itself_only() -> None:
    assert grants(said(publisher_tc=publisher({1, 11}))) == FUNCTIONAL
    assert grants(said(publisher_tc=None)) == consent.NOTHING


def test_a_vendor_needs_the_consent_to_itself_and_has_nothing_of_the_publishers() -> None:
    own = publisher(ALL)

    assert grants(said(publisher_tc=None), US) == OURS
    assert grants(said(vendor_consents=among(7), publisher_tc=own), US) == consent.NOTHING
    assert grants(said(purposes_consent=frozenset({1}), publisher_tc=own), US) == consent.NOTHING
    only_interest = said(vendor_consents=among(7), vendor_legitimate_interests=among(US))
    assert grants(only_interest, US) == consent.NOTHING


def test_a_vendor_that_was_not_disclosed_or_not_allowed_has_nothing() -> None:
    old = {"created_s": 0.0, "last_updated_s": 0.0}

    assert grants(said(disclosed_vendors=among(7)), US) == consent.NOTHING
    assert grants(said(allowed_vendors=among(7)), US) == consent.NOTHING
    assert grants(said(allowed_vendors=among(US)), US) == OURS
    assert grants(said(disclosed_vendors=None, **old), US) == OURS


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        (NOT_ALLOWED, OURS & ~PERSONALIZATION),
        (REQUIRE_INTEREST, OURS & ~PERSONALIZATION),
        (REQUIRE_CONSENT, OURS),
    ],
)
def test_what_the_publisher_forbids_a_vendor_is_not_granted(kind: int, left: int) -> None:
    assert grants(said(publisher_restrictions=(restricted(5, kind, 7, US),)), US) == left
    assert grants(said(publisher_restrictions=(restricted(5, kind, 7),)), US) == OURS


def test_a_string_of_global_scope_is_void() -> None:
    with pytest.raises(TcStringError, match="got one of global scope - at bit 138 of segment 1"):
        grants(said(is_service_specific=False))


@pytest.mark.parametrize("text", REAL, ids=lambda text: text[:10])
def test_no_real_string_of_before_purpose_11_is_functional(text: str) -> None:
    tc = decode(text)
    if tc.is_service_specific:
        assert not grants(tc, 2) & FUNCTIONAL or 11 in tc.purposes_consent


@given(st.data())
def test_a_string_that_is_cut_grants_no_more_than_the_whole(data: st.DataObject) -> None:
    agreed, own = data.draw(SETS), data.draw(SETS)
    tc = said(purposes_consent=agreed, publisher_tc=publisher(own), allowed_vendors=among(US))
    text = encode(tc)
    for cut in range(len(text)):
        try:
            part = decode(text[:cut])
        except TcStringError:
            continue
        assert not grants(part) & ~grants(tc)
        assert not grants(part, US) & ~grants(tc, US)


@pytest.mark.parametrize("name", consent.PURPOSES)
def test_the_page_says_which_purposes_of_tcf_each_of_ours_needs(name: str) -> None:
    table = PAGE.partition("| ours | purposes of TCF |")[2]
    (needs,) = re.findall(rf"^\| `{name}` \| ([^|]*) \|", table, re.MULTILINE)
    needed = TCF_PURPOSES.get(consent.PURPOSES[name], frozenset())

    assert {int(number) for number in re.findall(r"\d+", needs)} == needed

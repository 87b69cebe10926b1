"""Purposes as bits: what a name is worth, what a mask is called, what a need is granted by."""

from __future__ import annotations

import pytest

from decisions.consent import (
    ANALYTICS,
    AUTHENTICATED,
    EVERYTHING,
    FUNCTIONAL,
    MARKETING,
    NEED_AN_ID,
    NEEDS,
    NOTHING,
    PERSONALIZATION,
    PURPOSES,
    SENSITIVE,
    allows,
    mask,
    names,
)

BITS = [FUNCTIONAL, ANALYTICS, PERSONALIZATION, MARKETING, SENSITIVE, AUTHENTICATED]


def test_every_purpose_has_one_bit_of_its_own_that_programs_and_cookies_carry() -> None:
    assert BITS == [1, 2, 4, 8, 16, 32]
    assert list(PURPOSES.values()) == BITS[:-1]
    assert (NOTHING, EVERYTHING) == (0, 63)


def test_a_mask_is_the_union_of_its_names() -> None:
    assert mask([]) == NOTHING
    assert mask(["functional", "marketing", "functional"]) == FUNCTIONAL | MARKETING
    assert mask(["none", "authenticated"]) == AUTHENTICATED
    assert mask(NEEDS) == EVERYTHING


def test_a_name_that_is_no_purpose_is_refused() -> None:
    with pytest.raises(KeyError, match="profiling"):
        mask(["functional", "profiling"])


@pytest.mark.parametrize("bits", range(EVERYTHING + 1))
def test_a_mask_and_its_names_say_the_same(bits: int) -> None:
    assert mask(names(bits)) == bits


def test_names_come_in_one_order_with_the_sign_in_last() -> None:
    assert names(EVERYTHING) == [
        "functional", "analytics", "personalization", "marketing", "sensitive", "authenticated",
    ]  # fmt: skip


def test_a_need_is_met_only_by_all_of_its_purposes() -> None:
    both = PERSONALIZATION | SENSITIVE
    assert allows(NOTHING, NOTHING)
    assert allows(both | FUNCTIONAL, both)
    assert not allows(PERSONALIZATION, both)
    assert not allows(EVERYTHING & ~SENSITIVE, both)


def test_an_id_is_kept_for_three_purposes_and_no_other() -> None:
    assert names(NEED_AN_ID) == ["functional", "analytics", "personalization"]

"""The ledger: numbers stay, maps move the least, bytes come back."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions import ledger
from decisions.errors import ProgramError
from decisions.ledger import Ledger, first_ledger, row_key, visitor_key

BAD_TEXT = b"\x92\x01\x81\xa4salt\xa2\xff\xfe"
NAMES = st.lists(st.sampled_from([f"k/{letter}" for letter in "abcdefgh"]), max_size=10)


@given(NAMES, NAMES)
def test_a_name_keeps_its_number_for_ever(first: list[str], second: list[str]) -> None:
    older = first_ledger("grocer").grown(first, {})
    newer = older.grown(second, {})
    assert newer.names[: len(older.names)] == older.names
    assert set(newer.names) == set(first) | set(second)
    assert len(set(newer.names)) == len(newer.names)
    assert newer.extends(older)


def test_a_finished_experiment_keeps_its_map() -> None:
    running = first_ledger("grocer").grown((), {"variants/offer": {"a": 1, "b": 1}})
    finished = running.grown((), {"variants/other": {"x": 1}})
    assert finished.maps["variants/offer"] == (("a", 5000), ("b", 10000))
    assert finished.maps["variants/other"] == (("x", 10000),)


def test_a_ledger_that_renumbers_does_not_extend() -> None:
    older = first_ledger("grocer").grown(["k/a", "k/b"], {})
    assert not first_ledger("grocer").grown(["k/b", "k/a"], {}).extends(older)
    assert not first_ledger("bakery").grown(["k/a", "k/b"], {}).extends(older)


def test_a_ledger_comes_back_from_its_bytes() -> None:
    grown = first_ledger("grocer").grown(["k/pets"], {"variants/offer": {"a": 1, "b": 2}})
    assert ledger.decode(grown.encode()) == grown


@pytest.mark.parametrize(
    "raw", [b"", b"\xc1", b"not a ledger", b"\x92\x01\x01", b"\x92\x01\x80", BAD_TEXT]
)
def test_bytes_that_are_no_ledger_are_refused(raw: bytes) -> None:
    with pytest.raises(ProgramError, match="expected a ledger, got"):
        ledger.decode(raw)


def test_bytes_that_are_nested_without_end_are_refused() -> None:
    with pytest.raises(ProgramError, match="expected a ledger, got"):
        ledger.decode(b"\x92\x01" + b"\x91" * 200_000)


@pytest.mark.parametrize("ends", [(), (9_999,), (0, 10_000), (5, 3, 10_000), (10_000, 10_001)])
def test_a_bucket_map_that_shares_out_more_or_less_is_refused(ends: tuple[int, ...]) -> None:
    damaged = Ledger(salt="0" * 16, maps={"variants/a": tuple(("x", end) for end in ends)})
    with pytest.raises(ProgramError, match="the runs of variants/a end at"):
        ledger.decode(damaged.encode())


def test_a_ledger_of_a_newer_format_is_refused() -> None:
    raw = msgspec.msgpack.encode((ledger.FORMAT + 1, {}))
    with pytest.raises(ProgramError, match="expected a ledger of format 1, got format 2"):
        ledger.decode(raw)


def test_a_visitor_key_is_64_bits_and_belongs_to_its_store() -> None:
    salt = "00112233445566778899aabbccddeeff"[:16]
    assert visitor_key(salt, "household-7") == visitor_key(salt, "household-7")
    assert visitor_key(salt, "household-7") != visitor_key("f" * 16, "household-7")
    assert 0 <= visitor_key(salt, "household-7") < 2**64
    assert row_key(salt, "household-7") == f"{visitor_key(salt, 'household-7'):016x}"
    assert row_key(salt, "") == ""


def test_changed_terms_open_a_new_phase_and_the_same_ones_none() -> None:
    ledgers = [first_ledger("grocer")]
    for terms in ({"a": "11", "b": "22"}, {"a": "11", "b": "33"}, {"b": "33"}, {"a": "44"}):
        ledgers.append(ledgers[-1].grown((), {}, terms))
    numbers = [{name: p.number for name, p in each.phases.items()} for each in ledgers[1:]]
    assert numbers == [{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 1, "b": 2}, {"a": 2, "b": 2}]
    assert all(new.extends(old) for old, new in pairwise(ledgers))
    assert not ledgers[1].extends(ledgers[2])
    assert not ledgers[0].extends(ledgers[1])
    assert ledger.decode(ledgers[-1].encode()) == ledgers[-1]

"""Programs: bytes out and in, step by step, and what they render."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.consent import EVERYTHING, FUNCTIONAL, PERSONALIZATION
from decisions.errors import ProgramError
from decisions.index import Block
from decisions.program import CHUNK, FORMAT, Program, decode
from tests.decisions.written import program, rule

NOW = 1_795_000_000.0
RAW = program().encode()


def test_equal_playbooks_give_equal_bytes_and_bytes_come_back() -> None:
    raw = program().encode()
    assert program().encode() == raw
    assert decode(raw).encode() == raw


def test_bytes_are_the_same_in_another_process_with_another_hash_seed() -> None:
    code = "from tests.decisions.written import program; print(program().encode().hex())"
    root = Path(__file__).parent.parent.parent
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            cwd=root,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert printed == {f"{program().encode().hex()}\n".encode()}


def test_decoding_pauses_after_every_chunk_and_every_plane_of_a_block() -> None:
    rules = [rule(f"r{number}", f"cart.items == {number + 1}") for number in range(CHUNK + 1)]
    compiled = program(rules=rules)
    steps = Program.decode_steps(compiled.encode())
    pauses = 0
    while True:
        try:
            next(steps)
        except StopIteration as done:
            decoded = done.value
            break
        pauses += 1
    blocks = compiled.slots["hero"].index.blocks
    assert pauses == 1 + 2 + sum(1 + len(block.planes) for block in blocks) + 1
    assert [each.id for each in decoded.slots["hero"].rules] == [each["id"] for each in rules]
    facts = {"cart": {"items": CHUNK}}
    assert decoded.decide("hero", facts, grants={"functional"}).rule == f"r{CHUNK - 1}"


def test_its_pieces_hold_what_it_is_made_of_a_thousand_of_a_kind_at_most() -> None:
    rules = [rule(f"r{number}", f"cart.items == {number + 1}") for number in range(CHUNK + 1)]
    compiled = program(rules=rules)
    hero = compiled.slots["hero"]
    decided = compiled.decide("hero", {"cart": {"items": 1}}, grants={"functional"}, now=NOW)

    portions = [piece for piece in compiled.pieces() if isinstance(piece, tuple)]

    held = {id(each) for portion in portions for each in portion}
    assert held >= {id(each) for each in (*hero.rules, *compiled.fragments.values(), decided)}
    assert max(len(portion) for portion in portions) == CHUNK
    assert set(hero.index.blocks) <= {one for one in compiled.pieces() if isinstance(one, Block)}


def test_a_program_is_read_from_a_view_of_memory() -> None:
    raw = program().encode()
    assert decode(memoryview(raw)).encode() == raw


def test_a_newer_format_is_refused() -> None:
    raw = msgspec.msgpack.encode((FORMAT + 1, {"anything": "at all"}))
    with pytest.raises(ProgramError, match="expected a program of format 1, got format 2"):
        decode(raw)


@pytest.mark.parametrize("cut", [0, 1, 10, 500, -1])
def test_bytes_that_are_no_program_are_refused(cut: int) -> None:
    with pytest.raises(ProgramError, match="expected a program, got"):
        decode(program().encode()[:cut])


@pytest.mark.parametrize("chunk", [(0, 9, b"\x90"), (1, 0, b"\x90"), (7, 0, b"\x90")])
def test_chunks_that_belong_to_no_program_are_refused(chunk: Any) -> None:
    found, (head, chunks) = msgspec.msgpack.decode(program().encode())
    raw = msgspec.msgpack.encode((found, (head, [*chunks, chunk])))
    with pytest.raises(ProgramError):
        decode(raw)


def test_an_attribute_of_a_type_of_a_newer_version_is_refused_before_anybody_asks() -> None:
    found, (head, chunks) = msgspec.msgpack.decode(program().encode())
    head["schema"]["attributes"]["geo.city"]["type"] = "geometry"
    with pytest.raises(ProgramError, match="geometry"):
        decode(msgspec.msgpack.encode((found, (head, chunks))))


@settings(max_examples=300)
@given(st.data())
def test_damaged_bytes_are_a_program_or_refused_and_nothing_else(data: st.DataObject) -> None:
    raw = bytearray(RAW)
    places = st.tuples(st.integers(0, len(raw) - 1), st.integers(0, 255))
    for place, value in data.draw(st.lists(places, min_size=1, max_size=3)):
        raw[place] = value
    with contextlib.suppress(ProgramError):
        # What it decides is not judged (parts are checked by their hash), only that it does.
        assert decode(bytes(raw)).decide("hero", {}, grants=EVERYTHING).steps


def test_a_fragment_is_filled_with_facts_and_with_what_its_rule_gives() -> None:
    compiled = program()
    nested = {"cart": {"items": 2, "updated_at": NOW - 3_600}, "scores": {"propensity": 0.9}}
    facts = compiled.facts(nested, {"functional", "personalization"}, NOW)
    decision = compiled.decide("hero", facts)
    assert compiled.render(decision, facts) == "<p>2 in your cart. <a>Take it home</a></p>"


def test_a_token_that_is_not_granted_is_empty() -> None:
    compiled = program()
    nested = {"interest": {"shoes": 62.0}, "traits": {"first_name": "Ada"}}
    for grants, text in ((4, "<p>Shoes</p>"), (36, "<p>Shoes for Ada</p>")):
        facts = compiled.facts(nested, grants, NOW)
        assert compiled.render(compiled.decide("hero", facts), facts) == text


def test_nothing_is_rendered_for_no_fragment() -> None:
    compiled = program()
    assert compiled.render(compiled.decide("unheard-of", {}), {}) == ""


def test_grants_are_names_or_bits() -> None:
    compiled = program()
    nested = {"interest": {"shoes": 62.0}, "cart": {"items": 0}}
    named = compiled.facts(nested, {"functional", "personalization"}, NOW)
    assert named == compiled.facts(nested, FUNCTIONAL | PERSONALIZATION, NOW)
    assert compiled.facts(named) is named


def test_a_name_that_is_no_attribute_is_just_unknown() -> None:
    assert program().why_absent("cartoon", 0) == "cartoon is unknown"

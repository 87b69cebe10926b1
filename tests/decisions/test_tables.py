"""Records at work: conditions are made when they are first asked for, and once."""

from __future__ import annotations

from tests.decisions.written import program


def test_a_condition_is_made_once_and_only_when_it_is_asked_for() -> None:
    slot = program().slots["hero"]
    assert slot.conditions == {}
    assert slot.condition(2) is slot.condition(2)
    assert slot.conditions.keys() == {2}


def test_no_text_is_left_to_parse_in_what_an_edge_asks() -> None:
    compiled = program()
    shoes = compiled.slots["hero"].rules[2]
    assert b"interest" in shoes.tree
    assert shoes.text == 'interest["shoes"] >= 40'  # for people: `explain` quotes it

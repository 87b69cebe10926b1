from __future__ import annotations

from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.playbook import PlaybookTest, Rule, SegmentDecl, Settings
from snapshots.build.shapes import Mismatch, mismatches, said


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    size: int
    kind: Literal["a", "b"] = "a"


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    inner: Inner | None = None
    many: list[Inner] = []
    by_name: dict[str, float] = {}
    one_or_more: str | list[str] = ""
    flag: bool = False
    anything: Any = None
    from_: str = msgspec.field(default="", name="from")


def found(value: Any, type_: Any = Outer) -> list[tuple[str, Any]]:
    return [(mismatch.message, mismatch.path) for mismatch in mismatches(value, type_)]


def test_what_fits_has_no_mismatch() -> None:
    assert found({"name": "x"}) == []
    assert found(
        {
            "name": "x", "inner": {"size": 1, "kind": "b"}, "many": [{"size": 2}], "flag": True,
            "by_name": {"a": 1, "b": 1.5}, "one_or_more": ["a"], "anything": [{}], "from": "y",
        }
    ) == []  # fmt: skip
    assert found({"name": "x", "inner": None, "one_or_more": "a"}) == []


def test_every_mismatch_is_told_with_its_path() -> None:
    value = {
        "inner": {"size": "x", "kind": "c"},
        "many": [{"size": 1}, {"siz": 2}, 3],
        "by_name": {"a": True},
        "one_or_more": [1],
        "flag": "true",
        "from": None,
    }
    text = "text (in quotes, if it looks like something else)"
    assert found(value) == [
        ("expected a whole number, got the text 'x'", ("inner", "size")),
        ("expected a or b, got the text 'c'", ("inner", "kind")),
        ("unknown key siz, did you mean size; expected one of size, kind", ("many", 1, "siz")),
        ("expected the key size, got none", ("many", 1)),
        ("expected a map of size, kind, got the number 3", ("many", 2)),
        ("expected a number, got true", ("by_name", "a")),
        (f"expected {text}, got the number 1", ("one_or_more", 0)),
        ("expected true or false, got the text 'true'", ("flag",)),
        (f"expected {text}, got nothing", ("from",)),
        ("expected the key name, got none", ()),
    ]


def test_a_list_or_map_that_is_missing_is_told_as_one() -> None:
    assert found({"name": "x", "many": {}, "by_name": []}) == [
        ("expected a list, got a map", ("many",)),
        ("expected a map, got a list", ("by_name",)),
    ]
    assert found({"name": "x", "inner": 3, "one_or_more": {}}) == [
        ("expected a map of size, kind, got the number 3", ("inner",)),
        ("expected text (in quotes, if it looks like something else), got a map", ("one_or_more",)),
    ]


def test_a_key_that_other_tools_have_is_led_to_ours() -> None:
    rule = {"id": "x", "slot": "hero", "when": "true", "priorty": 2, "zzz": 1}
    messages = [message for message, _ in found(rule, Rule)]
    assert messages[0].startswith("unknown key priorty, did you mean band; expected one of id, ")
    assert messages[1].startswith("unknown key zzz; expected one of id, slot")


def test_a_word_we_know_for_another_struct_is_not_suggested() -> None:
    assert found({"name": "x", "priority": 1})[0][0].startswith("unknown key priority; expected")


def test_codes_are_a_closed_list() -> None:
    codes = {mismatch.code for mismatch in mismatches({"nam": 1, "flag": 2}, Outer)}
    assert codes == {"unknown-key", "missing-key", "wrong-type"}
    assert Mismatch("a", "b", ()).path == ()


@pytest.mark.parametrize(
    ("value", "words"),
    [({}, "a map"), ([], "a list"), (None, "nothing"), (False, "false"), ("a", "the text 'a'")],
)
def test_values_are_said_in_words(value: Any, words: str) -> None:
    assert said(value) == words


LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.sampled_from("ab")
KEYS = st.sampled_from(["name", "inner", "many", "by_name", "one_or_more", "flag", "size", "kind"])
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


def converts(value: Any, type_: Any) -> bool:
    try:
        msgspec.convert(value, type_)
    except msgspec.ValidationError:
        return False
    return True


@given(VALUES | st.dictionaries(KEYS, VALUES))
def test_what_has_no_mismatch_is_what_msgspec_converts(value: Any) -> None:
    if not found(value):
        assert converts(value, Outer)
    elif converts(value, Outer):
        # msgspec takes 1.0 for an int; people who write 1.0 are told
        assert all("whole number" in message for message, _ in found(value))


@pytest.mark.parametrize("type_", [Settings, Rule, SegmentDecl, PlaybookTest])
def test_every_struct_of_a_playbook_can_be_compared(type_: Any) -> None:
    assert found(3, type_)
    assert found({}, type_)

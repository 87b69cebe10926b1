from __future__ import annotations

from typing import Any

import msgspec
import pytest

from decisions.compiling import compile_playbook
from decisions.playbook import (
    FragmentText,
    PlaybookTest,
    Rule,
    SegmentDecl,
    Settings,
    WrittenPlaybook,
)
from decisions.program import Program
from decisions.reasons import Reason
from decisions.rehearsal import Rehearsed, moment_s, rehearse
from tests.decisions.written import SETTINGS as WRITTEN
from tests.decisions.written import playbook, rule

NOW_S = 1_795_000_000.0
SETTINGS = {
    "name": "shop",
    "slots": {"hero": {"default": "welcome"}},
    "attributes": {
        "traits.since": {"type": "timestamp"},
        "traits.visit": {"type": "duration", "purpose": "functional"},
    },
    "signals": [{"on": "view"}],
    "tags": {"left": 'cart.items > 0 && now - cart.updated_at >= duration("15m")'},
    "timezone": "Europe/Paris",
}
RULES = [
    {"id": "left", "slot": "hero", "when": '"left" in tags', "show": "cart",
     "cap": {"times": 1, "per": "1h"}},
    {"id": "loyal", "slot": "hero", "when": '"loyal" in segments', "show": "loyal"},
    {"id": "old", "slot": "hero", "when": "now - traits.since > duration('24h')", "show": "old"},
    {"id": "long", "slot": "hero", "when": "traits.visit > duration('1h')", "show": "long"},
    {"id": "even", "slot": "hero", "when": "time.hour == 18", "experiment": {
        "variants": {"a": {"weight": 50, "show": "a"}, "b": {"weight": 50, "show": "b"}}}},
]  # fmt: skip


@pytest.fixture(scope="module")
def program() -> Program:
    names = ["welcome", "cart", "loyal", "old", "long", "a", "b"]
    return compile_playbook(
        WrittenPlaybook(
            settings=msgspec.convert(SETTINGS, Settings),
            rules=msgspec.convert(RULES, tuple[Rule, ...]),
            segments={"loyal": SegmentDecl('purchases.orders["90d"] >= 3')},
            fragments={name: FragmentText(name, name, f"{name}.html") for name in names},
        )
    )


def run(program: Program, **test: Any) -> Rehearsed:
    (result,) = rehearse(program, [msgspec.convert(test, PlaybookTest)], NOW_S)
    return result


def faults(program: Program, **test: Any) -> list[tuple[Any, str]]:
    result = run(program, **{"expect": {"hero": "welcome"}, **test})
    assert not result.passed
    return [(fault.path, fault.message) for fault in result.faults]


ALL = ["functional", "personalization"]


def test_a_test_that_gets_what_it_expects_passes(program: Program) -> None:
    assert run(program, expect={"hero": "welcome"}, name="x") == Rehearsed(0, "x")
    assert run(program, expect={"hero": "loyal"}, given={"segments": ["loyal"]}, grants=ALL).passed


def test_times_count_from_now(program: Program) -> None:
    given = {"cart": {"items": 2, "updated_at": "-20m"}}
    assert run(program, expect={"hero": "cart"}, given=given, grants=ALL).passed
    given = {"cart": {"items": 2, "updated_at": "-5m"}}
    assert run(program, expect={"hero": "welcome"}, given=given, grants=ALL).passed
    given = {"cart": {"items": 2, "updated_at": "2026-12-24T10:00:00Z"}}
    now = "2026-12-24T10:20:00Z"
    assert run(program, expect={"hero": "cart"}, given=given, grants=ALL, now=now).passed
    given = {"cart": {"items": 2, "updated_at": NOW_S - 1200}}
    assert run(program, expect={"hero": "cart"}, given=given, grants=ALL).passed


def test_declared_times_and_durations_are_read_too(program: Program) -> None:
    assert run(program, expect={"hero": "old"}, given={"traits.since": "-2d"}, grants=ALL).passed
    given = {"traits": {"visit": "90m"}}
    assert run(program, expect={"hero": "long"}, given=given, grants=ALL).passed


def test_what_is_not_granted_is_no_fault_and_decides_nothing(program: Program) -> None:
    given = {"segments": ["loyal"]}
    assert run(program, expect={"hero": "welcome"}, given=given, grants=["functional"]).passed


def test_a_difference_says_what_came_and_why(program: Program) -> None:
    result = run(program, expect={"hero": "loyal"}, given={"segments": ["loyal"]})
    assert not result.passed
    (difference,) = result.differences
    assert (difference.slot, difference.expected, difference.got) == ("hero", "loyal", "welcome")
    assert [(step.rule, step.reason) for step in difference.steps][-1] == ("", Reason.DEFAULT)
    text = str(difference)
    assert text.startswith("hero: expected loyal, got welcome (DEFAULT)\n  left: ABSENT tags is")
    assert text.endswith("\n  default: DEFAULT")


def test_a_cap_looks_at_what_the_test_says_was_seen(program: Program) -> None:
    test = {"given": {"cart": {"items": 2, "updated_at": "-20m"}}, "grants": ALL}
    assert run(program, expect={"hero": "welcome"}, seen={"left": ["-10m"]}, **test).passed
    assert run(program, expect={"hero": "cart"}, seen={"left": ["-2h"]}, **test).passed


def test_an_experiment_is_entered_by_the_unit_the_test_names(program: Program) -> None:
    now = "2026-12-24T18:30:00"  # in the playbook's own time zone
    assert run(program, expect={"hero": "welcome"}, now=now).passed
    test = {"expect": {"hero": "a"}, "now": now, "grants": ALL}
    outcomes = [run(program, unit=f"v{i}", **test).passed for i in range(20)]
    assert {True, False} == set(outcomes)


@pytest.mark.parametrize(
    ("test", "path", "message"),
    [
        ({"given": {"geo": {"contry": "FR"}}}, ("given", "geo", "contry"),
         "unknown attribute geo.contry, did you mean geo.country?"),
        ({"given": {"xyz": 1}}, ("given", "xyz"), "unknown attribute xyz"),
        ({"given": {"cart": {"items": "2"}}}, ("given", "cart", "items"),
         "expected cart.items to be of type int"),
        ({"given": {"segments": ["loyl"]}}, ("given", "segments"),
         "unknown member loyl of segments (set), did you mean loyal?"),
        ({"given": {"segments": [["a"]]}}, ("given", "segments"),
         "unknown member ['a'] of segments (set)"),
        ({"given": {"interest": {"shoes": "many"}}}, ("given", "interest"),
         "unknown member shoes of interest (map<double>)"),
        ({"given": {"cart": {"updated_at": "yesterday"}}}, ("given", "cart", "updated_at"),
         "expected a time such as -20m, 2026-12-24 or 2026-12-24T18:00:00Z, got 'yesterday'"),
        ({"grants": ["functionl"]}, ("grants", 0),
         "unknown purpose functionl, did you mean functional?"),
        ({"now": "soon"}, ("now",),
         "expected a time such as -20m, 2026-12-24 or 2026-12-24T18:00:00Z, got 'soon'"),
        ({"seen": {"left": ["x"]}}, ("seen", "left"),
         "expected a time such as -20m, 2026-12-24 or 2026-12-24T18:00:00Z, got 'x'"),
        ({"expect": {"herro": "welcome"}}, ("expect", "herro"),
         "unknown slot herro, did you mean hero?"),
        ({"expect": {"hero": "welcom"}}, ("expect", "hero"),
         "unknown fragment welcom, did you mean welcome?"),
    ],
)  # fmt: skip
def test_a_test_that_would_mean_nothing_is_at_fault(
    program: Program, test: dict[str, Any], path: Any, message: str
) -> None:
    assert faults(program, **test) == [(path, message)]


def test_tests_are_numbered_as_they_stand(program: Program) -> None:
    tests = [PlaybookTest({"hero": "welcome"}), PlaybookTest({"hero": "cart"}, name="b")]
    assert [(done.place, done.name, done.passed) for done in rehearse(program, tests, NOW_S)] == [
        (0, "", True),
        (1, "b", False),
    ]


def test_the_slots_of_a_test_are_one_page_in_the_order_of_the_playbook() -> None:
    rules = [
        rule("first", "true"),
        rule("second", "true", slot="promo", show="hero/loyal", once_per_page=True),
    ]
    compiled = compile_playbook(playbook(rules=rules))
    assert run(compiled, expect={"promo": "promo/none", "hero": "hero/loyal"}).passed
    assert run(compiled, expect={"promo": "hero/loyal"}).passed


def test_a_slot_may_be_expected_to_show_nothing(program: Program) -> None:
    (difference,) = run(program, expect={"hero": ""}).differences
    assert difference.got == "welcome"


def test_moments_are_relative_dates_or_times() -> None:
    assert moment_s("-20m", 10_000.0) == 8_800.0
    assert moment_s("1970-01-02", 0.0) == 86_400.0
    assert moment_s("1970-01-01T01:00:00", 0.0, "Europe/Paris") == 0.0
    assert moment_s("1970-01-01T01:00:00+01:00", 0.0) == 0.0
    with pytest.raises(ValueError, match="expected a time"):
        moment_s("soon", 0.0)


LEARNT = [
    rule("spent", 'measures.spent["shoes"] >= 99.5 && measures.viewed >= 3', show="hero/shoes"),
    rule("wished", '"4711" in lists.wishes && session.campaign == "spring"', show="hero/loyal"),
    rule("brand", 'interest.brand["acme"] >= 40.0', show="hero/loyal"),
    rule("away", 'now - measures.bought > duration("24h")', show="hero/loyal"),
]


@pytest.fixture(scope="module")
def learning() -> Program:
    """A program with measures, a list, interest in brands, and what a session came by."""
    gain = {"on": "product_view", "interest": {"key": "brand", "add": 1}}
    return compile_playbook(
        playbook(
            rules=LEARNT,
            fragments={"hero/cart": ""},
            signals=[*WRITTEN["signals"], gain],
            lists={"wishes": {"add": "article_read"}},
            measures={
                "spent": {"sum": "price", "of": "purchase", "per": "category"},
                "viewed": {"count": "product_view", "within": "1h"},
                "bought": {"last": "purchase"},
            },
        )
    )


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"measures": {"spent": {"shoes": 120}, "viewed": 3}}, "hero/shoes"),
        ({"measures": {"spent": {"shoes": 99.4}, "viewed": 3}}, "hero/welcome"),
        ({"measures": {"spent": {"shoes": 120}}}, "hero/welcome"),
        ({"lists": {"wishes": ["4711"]}, "session": {"campaign": "spring"}}, "hero/loyal"),
        ({"lists": {"wishes": ["4711"]}}, "hero/welcome"),
        ({"interest": {"acme": 40.0}}, "hero/loyal"),
        ({"interest.brand": {"acme": 40.0}}, "hero/loyal"),
        ({"measures": {"bought": "-25h"}}, "hero/loyal"),
        ({"measures": {"bought": "-23h"}}, "hero/welcome"),
    ],
)
def test_what_events_teach_may_be_given(
    learning: Program, given: dict[str, Any], shown: str
) -> None:
    result = run(learning, given=given, grants=["personalization"], expect={"hero": shown})
    assert (result.differences, result.faults) == ((), ())
    result = run(learning, given=given, expect={"hero": "hero/welcome"})
    assert result.passed


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"measures": {"spend": 1.0}}, "unknown attribute measures.spend, did you mean"),
        ({"measures": {"viewed": {"shoes": 1}}}, "expected measures.viewed to be of type int"),
        ({"lists": {"wishes": "4711"}}, "expected lists.wishes to be of type set"),
        ({"interest": {"brand": {"acme": 50.0}}}, 'expected "interest.brand" as one name'),
    ],
)
def test_what_no_measure_or_list_can_be_is_a_fault(
    learning: Program, given: dict[str, Any], message: str
) -> None:
    (fault,) = run(learning, given=given, expect={"hero": "hero/welcome"}).faults
    assert message in fault.message

from __future__ import annotations

from typing import Any

from decisions.changes import Changed, Share, Visitor, changes, compared, shares
from decisions.compiling import compile_playbook
from decisions.consent import EVERYTHING
from decisions.engine import Decision
from decisions.program import Program
from decisions.reasons import Reason
from tests.decisions.written import RULES, SETTINGS, playbook

NOW_S = 1_795_000_000.0


def made(**parts: Any) -> Program:
    return compile_playbook(playbook(**parts), catalogue={"category": ["shoes", "pharmacy"]})


OLD = made()


def test_a_program_differs_in_nothing_from_itself() -> None:
    found = changes(OLD, made())

    assert found.reordered == ()
    kinds = (found.slots, found.rules, found.fragments, found.tags, found.segments)
    assert set(kinds) == {Changed()}


def test_what_came_went_and_changed_is_told_by_name_and_kind() -> None:
    rules = [{**rule, "when": 'geo.country == "DE"'} if rule["id"] == "spring" else rule
             for rule in RULES if rule["id"] != "shoes"]  # fmt: skip
    rules.append({"id": "mobile", "slot": "hero", "when": 'device.kind == "mobile"',
                  "show": "hero/small"})  # fmt: skip
    settings = {
        "slots": {"hero": {"default": "hero/cart"}, "promo": SETTINGS["slots"]["promo"]},
        "tags": SETTINGS["tags"] | {"engaged_reader": "counts.article_read >= 4"},
    }
    segments = {"loyal": 'purchases.orders["90d"] >= 10', "new": 'purchases.orders["90d"] == 1'}
    new = made(
        rules=rules,
        segments=segments,
        fragments={"hero/small": "<p>Small</p>", "promo/spring": "<p>Spring!</p>"},
        **settings,
    )

    found = changes(OLD, new)

    assert found.slots == Changed(removed=("feed",), changed=("hero",))
    assert found.rules == Changed(added=("mobile",), removed=("shoes",), changed=("spring",))
    assert found.fragments == Changed(
        added=("hero/small",),
        removed=("hero/shoes",),
        changed=("promo/spring",),
    )
    assert found.tags == Changed(changed=("engaged_reader",))
    assert found.segments == Changed(added=("new",), removed=("patient",))


def test_a_segment_that_is_computed_otherwise_is_told_where_that_is_known() -> None:
    found = changes(OLD, made(), ({"loyal": "a", "patient": "c"}, {"loyal": "b", "patient": "c"}))

    assert found.segments == Changed(changed=("loyal",))


def test_rules_in_another_order_are_told_by_slot_and_a_new_one_between_them_is_not() -> None:
    between = {"id": "between", "slot": "promo", "when": "true", "show": "promo/spring"}
    swapped = [RULES[0], between, RULES[4], *RULES[1:4]]
    by_band = [{**each, "band": "campaign"} if each["id"] == "shoes" else each for each in RULES]

    assert changes(OLD, made(rules=swapped)).reordered == ("hero",)
    assert changes(OLD, made(rules=by_band)).reordered == ("hero",)
    assert changes(OLD, made(rules=[*RULES, between])).reordered == ()


def test_of_a_population_it_is_told_who_gets_another_fragment_and_who_other_text() -> None:
    new = made(
        rules=[{**each, "when": 'interest["shoes"] >= 80'} if each["id"] == "shoes" else each
               for each in RULES],
        fragments={"hero/welcome": "<h1>Hello</h1>"},
    )  # fmt: skip
    population = [
        Visitor({"interest": {"shoes": weight}}, EVERYTHING, NOW_S, "v")
        for weight in (0.0, 50.0, 90.0, 95.0)
    ]

    told = shares(OLD, new, iter(population))

    assert told["hero"] == Share(visitors=4, moved=1, changed=2)
    assert told["hero"].percent == 50.0
    assert told["promo"] == told["feed"] == Share(visitors=4)


def test_errors_that_the_old_program_did_not_make_are_counted() -> None:
    new, visitor = made(), Visitor({"interest": {"shoes": 50.0}}, EVERYTHING, NOW_S, "v")

    def failing(decision: Decision, facts: Any) -> str:
        raise ZeroDivisionError

    new.render = failing  # type: ignore[method-assign]

    told = shares(OLD, new, [visitor, Visitor({})])

    assert told["hero"].errors == told["feed"].errors == 2
    assert shares(new, new, [visitor])["hero"].errors == 0, "no worse than it was"
    undecided = Decision("hero", "hero/welcome", Reason.ERROR, ())
    new.decide = lambda slot, facts, **more: undecided  # type: ignore[method-assign]
    assert shares(OLD, new, [visitor])["hero"].errors == 1


def test_each_program_is_asked_with_what_it_knows_of_a_visitor() -> None:
    stranger, lover = Visitor({}, EVERYTHING, NOW_S), Visitor(
        {"interest": {"shoes": 90.0}}, EVERYTHING, NOW_S
    )  # fmt: skip
    told = compared(OLD, OLD, [(stranger, lover), (lover, lover)])
    assert told["hero"] == Share(visitors=2, moved=1, changed=1)
    assert told["hero"].moved_percent == 50.0


def test_what_is_not_granted_changes_nothing_and_of_nobody_the_share_is_none() -> None:
    new = made(rules=[each for each in RULES if each["id"] != "shoes"])
    stranger = Visitor({"interest": {"shoes": 90.0}}, 0, NOW_S)

    assert shares(OLD, new, [stranger])["hero"] == Share(visitors=1)
    assert shares(OLD, new, [])["hero"].percent == 0.0


def test_a_slot_that_only_one_has_has_no_share() -> None:
    slots = {name: SETTINGS["slots"][name] for name in ("hero", "promo")}

    assert list(shares(OLD, made(slots=slots), [Visitor({})])) == ["hero", "promo"]

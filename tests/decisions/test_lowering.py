from __future__ import annotations

import pytest

from decisions.consent import FUNCTIONAL, PERSONALIZATION, SENSITIVE
from decisions.lowering import SPLIT, lower
from decisions.predicates import Clause, Lowered, Member, OneOf, Prefix, Present, Within
from decisions.rules.checker import check
from decisions.rules.parser import parse
from tests.decisions.expressions import SCHEMA

FR, DE = OneOf("geo.country", ("FR",)), OneOf("geo.country", ("DE",))
LOYAL = Member("segments", "loyal")
NOT_LOYAL = Member("segments", "loyal", True)


def lowered(text: str) -> Lowered:
    return lower(check(parse(text), text, SCHEMA).expr, SCHEMA)


def clauses(text: str) -> list[tuple[object, ...]]:
    found = lowered(text)
    assert found.exact
    return [clause.predicates for clause in found.clauses]


def test_a_conjunction_is_one_clause_that_needs_what_all_its_parts_need() -> None:
    found = lowered('geo.country == "FR" && "loyal" in segments && "ill" in segments')
    assert found == Lowered(
        (Clause((FR, LOYAL, Member("segments", "ill")), PERSONALIZATION | SENSITIVE),)
    )


def test_a_disjunction_is_split_into_clauses_that_need_only_their_own() -> None:
    found = lowered('"loyal" in segments || page.path.startsWith("/vip")')
    assert found == Lowered(
        (Clause((LOYAL,), PERSONALIZATION), Clause((Prefix("page.path", "/vip"),)))
    )


def test_alternatives_of_one_attribute_are_one_predicate() -> None:
    either = OneOf("geo.country", ("FR", "DE"))
    assert clauses('geo.country == "FR" || geo.country == "DE" || geo.country == "FR"') == [
        (either,)
    ]
    assert clauses("cart.items < 2 || cart.items >= 5") == [
        (Within("cart.items", None, ((None, False, 2, False), (5, True, None, False))),)
    ]
    assert clauses('page.path.startsWith("/a") || page.path.startsWith("/a")') == [
        (Prefix("page.path", "/a"),)
    ]
    assert clauses('"loyal" in segments || !("loyal" in segments)') == [(LOYAL,), (NOT_LOYAL,)]
    assert clauses('geo.country == "FR" || geo.country != "DE"') == [
        (FR,),
        (OneOf("geo.country", ("DE",), True),),
    ]
    assert (
        len(clauses('(geo.country == "FR" && traits.flag) || (geo.country == "DE" && traits.flag)'))
        == 2
    )


def test_a_range_is_one_predicate() -> None:
    assert clauses("cart.items >= 2 && cart.items < 5") == [
        (Within("cart.items", None, ((2, True, 5, False),)),)
    ]


@pytest.mark.parametrize(
    ("text", "values", "negated"),
    [
        ('geo.country in ["FR", "DE"] && geo.country in ["DE", "IT"]', ("DE",), False),
        ('geo.country in ["FR", "DE"] && geo.country != "FR"', ("DE",), False),
        ('geo.country != "FR" && geo.country in ["FR", "DE"]', ("DE",), False),
        ('geo.country != "FR" && geo.country != "DE"', ("FR", "DE"), True),
    ],
)
def test_two_tests_of_one_word_are_merged(
    text: str, values: tuple[str, ...], negated: bool
) -> None:
    assert clauses(text) == [(OneOf("geo.country", values, negated),)]


@pytest.mark.parametrize(
    "text",
    [
        "false",
        "!true",
        "true && false",
        'geo.country == "FR" && geo.country == "DE"',
        "cart.items < 2 && cart.items > 5",
        '"loyal" in segments && !("loyal" in segments)',
        "has(geo.country) && !has(geo.country)",
        'page.path.startsWith("/a") && !page.path.startsWith("/a")',
        "geo.country in []",
    ],
)
def test_what_contradicts_itself_has_no_clauses(text: str) -> None:
    assert lowered(text) == Lowered(())


@pytest.mark.parametrize("text", ["true", "!false", 'geo.country == "FR" || true', "true || true"])
def test_what_is_always_true_is_one_empty_clause(text: str) -> None:
    assert lowered(text) == Lowered((Clause(),))


def test_negation_goes_down_to_the_leaves() -> None:
    assert clauses('!(geo.country == "FR" || !("loyal" in segments))') == [
        (OneOf("geo.country", ("FR",), True), LOYAL)
    ]
    assert clauses('!("loyal" in segments && has(geo.country))') == [
        (NOT_LOYAL,),
        (Present("geo.country", True),),
    ]
    assert clauses("!(cart.value >= 5.0)") == [
        (Within("cart.value", None, ((None, False, 5.0, False),), nan=True),)
    ]


def test_a_choice_is_two_alternatives() -> None:
    assert clauses('traits.flag ? geo.country == "FR" : "loyal" in segments') == [
        (OneOf("traits.flag", (True,)), FR),
        (OneOf("traits.flag", (True,), True), LOYAL),
    ]


def test_what_no_predicate_can_say_leaves_the_rest_of_its_clause_in_the_index() -> None:
    found = lowered('geo.country == "FR" && now - cart.updated_at >= duration("15m")')
    assert found == Lowered((Clause((FR, Present("cart.updated_at")), FUNCTIONAL),), exact=False)


def test_an_exact_alternative_stands_for_an_inexact_one_with_the_same_predicates() -> None:
    text = "cart.updated_at < now || has(cart.updated_at)"
    assert lowered(text) == Lowered((Clause((Present("cart.updated_at"),), FUNCTIONAL),))


def test_what_contradicts_itself_beside_a_residual_is_dropped_and_the_rule_is_exact() -> None:
    text = "traits.flag || (traits.flag && !traits.flag && size(geo.country) == 3)"
    assert clauses(text) == [(OneOf("traits.flag", (True,)),)]


def test_a_conjunction_of_too_many_alternatives_keeps_one_side() -> None:
    sides = [
        " || ".join(f'"{name}{n}" in interest' for n in range(SPLIT // 4)) for name in ("a", "b")
    ]
    found = lowered(f"({sides[0]}) && ({sides[1]})")
    assert not found.exact
    assert len(found.clauses) == SPLIT // 4
    assert found.clauses[0] == Clause((Member("interest", "a0"),), PERSONALIZATION)


def test_too_many_alternatives_keep_what_they_have_in_common() -> None:
    text = " || ".join(
        f'(geo.country == "FR" && "k{n}" in interest && cart.items == {n})'
        for n in range(SPLIT + 1)
    )
    found = lowered(text)
    assert found == Lowered((Clause((FR,), PERSONALIZATION | FUNCTIONAL),), exact=False)


def test_ever_so_many_words_of_one_attribute_are_no_split() -> None:
    text = " || ".join(f'geo.city == "c{n}"' for n in range(10 * SPLIT))
    assert len(clauses(text)) == 1

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from decisions.consent import PERSONALIZATION
from decisions.facts import Facts, Gate
from decisions.ops import Value, looked_up, overlaid
from decisions.rules.values import ABSENT
from decisions.schema import schema_of
from decisions.templates import Template, parse

FACTS: dict[str, Any] = {
    "traits.first_name": "Ann",
    "cart.items": 2,
    "cart.value": 0,
    "segments": frozenset({"loyal", "big"}),
    "interest": {"shoes": 62.0, "a.b": 7},
    "session.views": {"shoes": 3},
    "visitor.new": False,
    "empty.list": [],
}


def rendered(text: str, facts: dict[str, Any] = FACTS, **extra: Any) -> str:
    return parse(text).render(overlaid(extra, facts))


def test_a_name_with_dots_is_an_attribute() -> None:
    assert rendered("{{traits.first_name}} has {{cart.items}}") == "Ann has 2"


def test_a_name_that_is_no_attribute_is_a_key_of_the_longest_one_that_is() -> None:
    assert rendered("{{interest.shoes}} {{interest.a.b}} {{session.views.shoes}}") == "62 7 3"
    assert rendered("[{{interest.hats}}{{nothing.at.all}}{{cart.items.more}}]") == "[]"


def test_a_member_of_a_set_can_be_asked_for() -> None:
    assert rendered("{{#segments.loyal}}thanks{{/segments.loyal}}") == "thanks"
    assert rendered("{{^segments.dormant}}here{{/segments.dormant}}") == "here"


def test_an_absent_value_is_nothing_and_opens_the_inverted_section() -> None:
    text = "{{geo.city}}{{#geo.city}}in {{.}}{{/geo.city}}{{^geo.city}}anywhere{{/geo.city}}"
    assert rendered(text, {"geo.city": ABSENT}) == rendered(text, {}) == "anywhere"


@pytest.mark.parametrize("name", ["cart.value", "visitor.new", "empty.list", "unknown"])
def test_zero_false_and_empty_count_as_not_there(name: str) -> None:
    assert rendered(f"{{{{#{name}}}}}yes{{{{/{name}}}}}{{{{^{name}}}}}no{{{{/{name}}}}}") == "no"


def test_a_section_of_a_value_shows_once_and_calls_it_dot() -> None:
    assert rendered("{{#traits.first_name}}Hi {{.}}!{{/traits.first_name}}") == "Hi Ann!"


def test_a_set_shows_in_alphabetical_order() -> None:
    assert rendered("{{#segments}}{{.}} {{/segments}}") == "big loyal "


def test_what_a_rule_gives_goes_before_the_facts() -> None:
    assert rendered("{{cta}} {{traits.first_name}}", cta="Go") == "Go Ann"
    assert parse("{{a.b}}").render(overlaid({"a.b": "many"}, {"a.b": "few"})) == "many"
    assert rendered("{{cta.text.long}}|{{cta.none}}", cta={"text": {"long": "Go on"}}) == "Go on|"


def test_lists_that_a_rule_gives_show_each_item_by_its_keys() -> None:
    items = [{"name": "A", "at": {"x": 1}}, {"name": "B"}]
    text = "{{#items}}{{name}}{{at.x}} for {{traits.first_name}};{{/items}}"
    assert rendered(text, items=items) == "A1 for Ann;B for Ann;"


def test_outside_of_sections_a_dot_is_nothing() -> None:
    assert rendered("[{{.}}]") == "[]"


def test_what_is_not_granted_reads_as_absent_instead_of_failing_the_page() -> None:
    gate = Gate(schema_of(sensitive={"category": ["pharmacy"]}))
    nested = {"interest": {"pharmacy": 80.0, "shoes": 20.0}}
    facts = Facts.of(gate, nested, PERSONALIZATION, 0.0)
    text = "{{interest.shoes}}{{interest.pharmacy}}{{#interest}}{{pharmacy}}{{/interest}}"
    assert parse(text).render(facts) == "20"


def test_facts_derive_what_a_token_asks_for() -> None:
    facts = Gate(schema_of()).facts({}, PERSONALIZATION, 0.0)
    assert parse("{{time.weekday}} {{visitor.visits}}").render(facts) == "thu 0"


def test_a_look_up_of_a_plain_map_answers_none_for_what_it_lacks() -> None:
    assert looked_up({"a": 1})("b") is None
    assert overlaid({}, {"a": 1})("a") == 1


def test_a_template_survives_its_bytes() -> None:
    template = parse("a{{b}}{{#c}}{{{d}}}{{^e}}f{{/e}}{{/c}}")
    packed = msgspec.msgpack.encode(template)
    assert msgspec.msgpack.decode(packed, type=Template) == template


def test_an_op_puts_its_own_escape() -> None:
    template = Template("html", (Value("x", "url"), Value("x", "json"), Value("x", "raw")))
    assert template.render({"x": '"&'}) == '%22%26\\"&"&'

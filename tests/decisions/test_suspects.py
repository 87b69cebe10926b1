"""Rules that are legal and hardly meant: each warning, and what is close to it and none."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from decisions.lint import warnings
from tests.decisions.written import OFFER, SETTINGS, playbook, rule

FR = 'geo.country == "FR"'


def found(code: str, *rules: dict[str, Any], **changes: Any) -> list[str]:
    """What the warnings of this code say of these rules."""
    return [w.message for w in warnings(playbook(rules=[*rules], **changes)) if w.code == code]


def test_a_tag_that_never_holds_takes_the_rules_that_wait_for_it_along() -> None:
    tags = {"never": f'{FR} && geo.country == "DE"', "reader": "counts.article_read > 3"}
    said = found(
        "never-matches",
        rule("a", '"never" in tags && cart.items > 0'),
        rule("b", '"never" in tags || "reader" in tags'),
        rule("c", 'device.kind == "mobile" && !("never" in tags)'),
        tags=tags,
    )
    assert sorted(said) == [
        'rule "a" never matches: it waits for the tag "never", which never holds',
        'tag "never" never holds: its conditions contradict each other',
    ]


@pytest.mark.parametrize(
    ("when", "missing"),
    [
        ("cart.items > 0", "functional"),
        ('interest["pharmacy"] > 3.0', "sensitive"),
        ('page.category == "pharmacy"', "sensitive"),
        ('"patient" in segments && cart.items > 0', "functional and sensitive"),
        ("cart.items > 3 || cart.value > 9.0", "functional"),
    ],
)
def test_a_rule_that_needs_what_nobody_is_asked_for_is_out_of_reach(
    when: str, missing: str
) -> None:
    said = found("out-of-reach", rule("a", when), purposes=["personalization"])
    assert said == [
        f'no grant reaches rule "a": it needs {missing}, for which purposes says that nobody is '
        "asked"
    ]
    assert found("out-of-reach", rule("a", when)) == []


@pytest.mark.parametrize(
    "when",
    [
        'cart.items > 0 || geo.country == "FR"',
        'page.category in ["pharmacy", "shoes"]',
        'traits.first_name != ""',
        'visitor.new && geo.country == "FR"',
        "session.views.exists(c, session.views[c] > 5)",
        f'{FR} && geo.country == "DE"',
    ],
)
def test_a_rule_with_one_way_to_match_is_not_out_of_reach(when: str) -> None:
    assert found("out-of-reach", rule("a", when), purposes=["personalization"]) == []


@pytest.mark.parametrize(
    ("when", "read", "rest"),
    [
        (
            '"loyal" in segments && interest["pharmacy"] > 3.0',
            'interest "pharmacy"',
            "personalization",
        ),
        (
            '"loyal" in segments || "patient" in segments',
            '"patient" in segments',
            "personalization",
        ),
        (
            'page.category == "pharmacy" && cart.items > 0 && visitor.new',
            'page.category "pharmacy"',
            "functional and personalization",
        ),
    ],
)
def test_something_sensitive_beside_what_an_ordinary_grant_gives_is_named(
    when: str, read: str, rest: str
) -> None:
    assert found("sensitive-read", rule("a", when)) == [
        f'rule "a" reads {read}, which needs sensitive as well; the rest needs {rest} only'
    ]


@pytest.mark.parametrize(
    "when",
    [
        '"patient" in segments',
        'page.category == "pharmacy"',
        f'{FR} && "patient" in segments',
        'interest["pharmacy"] > 3.0 && !interest.exists(c, interest[c] > interest["pharmacy"])',
        '"loyal" in segments && cart.items > 0',
    ],
)
def test_what_is_sensitive_throughout_or_not_at_all_needs_no_word(when: str) -> None:
    assert found("sensitive-read", rule("a", when)) == []


def test_a_tag_that_reads_something_sensitive_besides_is_named_too() -> None:
    tags = {"cold": 'cart.items > 0 && interest["pharmacy"] > 3.0'}
    (said,) = found("sensitive-read", rule("a", '"cold" in tags'), tags=tags)
    assert said.startswith('tag "cold" reads interest "pharmacy"')


def test_a_whole_attribute_that_is_sensitive_is_called_by_its_name() -> None:
    attributes = SETTINGS["attributes"] | {
        "traits.diet": {"type": "string", "purpose": "sensitive"}
    }
    when = 'traits.diet.startsWith("v") && cart.items > 0'
    (said,) = found("sensitive-read", rule("a", when), attributes=attributes)
    assert said.startswith('rule "a" reads traits.diet, which needs sensitive')


@pytest.mark.parametrize("when", ["true", "time.hour >= 0", "time.hour < 24"])
@pytest.mark.parametrize(
    "held", [{"until": "2027-01-31"}, {"cap": {"times": 3, "per": "24h"}}, {"stale": "default"}]
)
def test_a_rule_for_everybody_above_others_is_told_with_those_below(
    when: str, held: dict[str, Any]
) -> None:
    others = [rule(name, f'geo.city == "{name}"') for name in "bcde"]
    assert found("catches-all", rule("a", when, **held), *others) == [
        'rule "a" matches everybody, even without any grant, and comes before b, c, d …'
    ]


@pytest.mark.parametrize(
    "when",
    [
        'time.weekday in ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]',
        'device.kind in ["mobile", "tablet", "desktop", "bot"]',
        'time.hour <= 23 || geo.country == "FR"',
    ],
)
def test_a_test_that_everybody_passes_is_none(when: str) -> None:
    said = found("catches-all", rule("a", when, until="2027-01-31"), rule("b", FR))
    assert said == ['rule "a" matches everybody, even without any grant, and comes before b']


@pytest.mark.parametrize(
    "when",
    [
        "time.hour >= 1",
        "has(geo.country)",
        'geo.country != "FR"',
        "cart.items >= 0",
        'device.kind in ["mobile", "desktop"]',
        "session.views.exists(c, session.views[c] > 5)",
    ],
)
def test_a_rule_that_leaves_somebody_out_does_not_match_everybody(when: str) -> None:
    held = {"cap": {"times": 3, "per": "24h"}}
    assert found("catches-all", rule("a", when, **held), rule("b", FR)) == []


@pytest.mark.parametrize(
    "when",
    [
        'geo.country != "FR"',
        '!(geo.country in ["FR", "DE"]) && time.hour <= 23',
        '!("loyal" in segments)',
        '!page.path.startsWith("/legal/") || geo.country == "FR"',
    ],
)
def test_a_rule_that_only_rules_out_a_few_matches_almost_everybody(when: str) -> None:
    assert found("catches-most", rule("a", when), rule("b", FR)) == [
        'rule "a" matches everybody but those whom it rules out, and comes before b'
    ]
    limited = {"until": "2027-01-31"}
    assert found("catches-most", rule("a", when, **limited), rule("b", FR)) == []


@pytest.mark.parametrize(
    "when",
    [
        'geo.country != "FR" && cart.items > 0',
        "cart.items >= 0",
        'geo.country != "FR" && page.path.endsWith("/sale")',
        FR,
        "true",
    ],
)
def test_a_rule_that_asks_for_something_does_not_match_almost_everybody(when: str) -> None:
    assert found("catches-most", rule("a", when), rule("b", 'geo.city == "Paris"')) == []


def test_the_last_rule_of_a_slot_and_an_experiment_may_be_for_everybody() -> None:
    assert found("catches-all", rule("a", FR), rule("b", "true", until="2027-01-31")) == []
    assert found("catches-all", rule("a", "true", experiment=OFFER), rule("b", FR)) == []


@pytest.mark.parametrize(
    ("when", "read"),
    [
        ("cart.items > 0", "cart.items"),
        ('"cart_abandoner" in tags', "cart.items"),
        ('interest["shoes"] > 40.0', 'interest "shoes"'),
        ("counts.purchase > 3", 'counts "purchase"'),
        ('tags.exists(t, t.startsWith("cart"))', "cart.items"),
    ],
)
def test_a_rule_above_an_experiment_that_reads_what_its_goal_changes(when: str, read: str) -> None:
    said = found("above-experiment", rule("a", when), rule("b", FR, experiment=OFFER))
    assert said == [
        f'rule "a" reads {read}, which purchase changes, the goal of experiment "b" below: the '
        "variants lose visitors to it unevenly"
    ]


@pytest.mark.parametrize(
    "when",
    ["counts.article_read > 3", '"engaged_reader" in tags', '"loyal" in segments', "visitor.new"],
)
def test_a_rule_above_an_experiment_may_read_what_its_goal_leaves_alone(when: str) -> None:
    assert found("above-experiment", rule("a", when), rule("b", FR, experiment=OFFER)) == []


def test_a_rule_below_or_beside_an_experiment_or_above_one_without_a_goal_says_nothing() -> None:
    aimless = OFFER | {"goal": ""}
    reading, split = rule("a", "cart.items > 0"), rule("b", FR, experiment=OFFER)
    assert found("above-experiment", reading | {"slot": "promo"}, split) == []
    assert found("above-experiment", reading, split | {"experiment": aimless}) == []
    assert found("above-experiment", split, reading) == []


def test_a_rule_above_two_experiments_is_told_once() -> None:
    both = [rule("b", FR, experiment=OFFER), rule("c", "visitor.new", experiment=OFFER)]
    assert len(found("above-experiment", rule("a", "cart.items > 0"), *both)) == 1


def test_one_experiment_in_two_slots_is_two_experiments() -> None:
    again = OFFER | {"traffic": 20}
    rules = rule("b", FR, experiment=OFFER), rule("c", FR, slot="promo", experiment=again)
    assert found("twin-experiment", *rules) == [
        'experiment "c" has the variants of "b" in slot hero, and is split apart from it: '
        "a visitor may get one here and another there"
    ]
    other = OFFER | {"unit": "session"}
    rules = rule("b", FR, experiment=OFFER), rule("c", FR, slot="promo", experiment=other)
    assert found("twin-experiment", *rules) == []
    rules = rule("b", FR, experiment=OFFER), rule("c", "visitor.new", experiment=again)
    assert found("twin-experiment", *rules) == []


@pytest.mark.parametrize(
    ("purpose", "said"),
    [
        ("marketing", "marketing"),
        (["analytics", "marketing"], "analytics and marketing"),
        ("", ""),
        (["marketing", "sensitive"], ""),
    ],
)
def test_a_segment_that_reads_what_is_sensitive_under_an_ordinary_purpose(
    purpose: Any, said: str
) -> None:
    written = playbook(rules=[rule("a", '"patient" in segments && "loyal" in segments')])
    segments = {
        name: msgspec.structs.replace(segment, purpose=purpose)
        for name, segment in written.segments.items()
    }
    written = msgspec.structs.replace(written, segments=segments)
    messages = [w.message for w in warnings(written) if w.code == "sensitive-segment"]
    message = f'segment "patient" says {said}, and reads what is sensitive: it needs sensitive, too'
    assert messages == ([message] if said else [])


def test_a_rule_waits_only_for_what_a_slot_above_its_own_can_show() -> None:
    once = {"once_per_page": True}
    rules = [
        rule("top", FR, **once),
        rule("other", FR, slot="promo", show="promo/spring", **once),
        rule("again", "cart.items > 0", slot="promo", **once),
        rule("offer", "cart.items > 2", slot="promo", experiment=OFFER, **once),
        rule("default", "cart.items > 4", slot="promo", show="hero/welcome", **once),
    ]
    changes = "changes nothing: no slot above"
    assert found("idle-once", *rules) == [
        f'once_per_page of rule "top" {changes} hero can show what it shows',
        f'once_per_page of rule "other" {changes} promo can show what it shows',
        f'once_per_page of rule "offer" {changes} promo can show what it shows',
    ]


def test_a_condition_that_is_certain_is_pointed_at_in_rules_tags_and_segments() -> None:
    written = playbook(
        rules=[rule("a", f"{FR} && cart.items < 0")],
        tags={"reader": "counts.article_read >= 0"},
        segments={"loyal": 'purchases.orders["90d"] >= 10 || 1 == 1'},
    )

    said = {
        (w.code, w.text[w.start : w.start + w.length])
        for w in warnings(written)
        if w.code in ("constant-condition", "impossible-value")
    }

    assert said == {
        ("impossible-value", "cart.items < 0"),
        ("constant-condition", "counts.article_read >= 0"),
        ("constant-condition", "1 == 1"),
    }


def test_a_certain_condition_is_silenced_by_the_name_of_its_rule() -> None:
    silence = {"impossible-value": {"a": "Kept as an example."}}
    assert found("impossible-value", rule("a", "cart.items < 0"), silence=silence) == []
    assert found("impossible-value", rule("b", "cart.items < 0"), silence=silence) != []

"""Measures: what is counted, for how long, and that no window is off by more than a cell."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.compact import pack, unpack
from decisions.compiling import compile_playbook
from decisions.consent import FUNCTIONAL, NEED_AN_ID, PERSONALIZATION, SENSITIVE
from decisions.errors import ProfileError
from decisions.events import Event
from decisions.fitting import fit
from decisions.learn import begin, learn, signed_out, withdraw
from decisions.ledger import MEASURE, UNKNOWN, Dictionary
from decisions.lesson import Learning
from decisions.measures import CELLS, MAX_AMOUNT, MAX_KEYS, Measure, measured
from decisions.profile import IDLE_S, Profile
from tests.decisions.written import SETTINGS, playbook, problems, rule

NOW_S = 1_795_000_000.0
DAY_S = 86_400.0
GRANTS = FUNCTIONAL | PERSONALIZATION
VISITOR = "01a1c0de-0000-7000-8000-00000000000a"


def learning(**measures: Measure) -> Learning:
    measuring: dict[str, tuple[str, ...]] = {}
    for name, measure in measures.items():
        measuring[measure.on] = (*measuring.get(measure.on, ()), name)
    return Learning(
        events=frozenset({"view", "buy", "scroll"}),
        known=frozenset({"shoes", "garden", "pharmacy", *(f"c{n}" for n in range(20))}),
        sensitive=frozenset({"pharmacy"}),
        measures=measures,
        measuring=measuring,
        more=frozenset(measuring),
    )


def told(
    learnt: Learning, *events: tuple[float, Event], grants: int = GRANTS
) -> tuple[Profile, float]:
    """The profile after events, each so many seconds after NOW_S; and when the last one was."""
    profile, at_s = Profile(), NOW_S
    for number, (after_s, event) in enumerate(events):
        at_s = NOW_S + after_s
        profile = begin(profile, grants, at_s, VISITOR)
        event = Event(
            **{f: getattr(event, f) for f in event.__struct_fields__} | {"id": f"e{number}"}
        )
        profile = learn(profile, event, learnt, grants, at_s)
    return profile, at_s


def read(
    learnt: Learning, profile: Profile, now_s: float, name: str = "m", nothing: Any = None
) -> Any:
    return measured(profile, learnt.measures, now_s).get(f"measures.{name}", nothing)


VIEW, BUY, SCROLL = Event(type="view"), Event(type="buy"), Event(type="scroll")


def test_a_count_counts_a_sum_sums_pieces_and_a_maximum_keeps_the_highest() -> None:
    learnt = learning(
        m=Measure(kind="count", on="buy"),
        spent=Measure(kind="sum", on="buy", field="price"),
        pieces=Measure(kind="sum", on="buy", field="quantity"),
        deep=Measure(kind="max", on="scroll", field="value"),
        dear=Measure(kind="max", on="buy", field="price"),
    )
    profile, now_s = told(
        learnt,
        (0, Event(type="buy", price=9.99, quantity=2)),
        (1, Event(type="buy", price=0.02, quantity=1)),
        (2, Event(type="scroll", value=75.5)),
        (3, Event(type="scroll", value=30.0)),
    )

    assert measured(profile, learnt.measures, now_s) == {
        "measures.m": 2,
        "measures.spent": 20.0,
        "measures.pieces": 3.0,
        "measures.deep": 75.5,
        "measures.dear": 9.99,
    }


def test_last_is_a_moment_and_absent_before() -> None:
    learnt = learning(m=Measure(kind="last", on="buy"))

    assert read(learnt, Profile(), NOW_S) is None
    profile, _ = told(learnt, (0, BUY), (90, BUY))
    assert read(learnt, profile, NOW_S + DAY_S) == NOW_S + 90


def test_a_window_forgets_with_its_cells() -> None:
    learnt = learning(m=Measure(kind="count", on="view", within_s=DAY_S))
    profile, _ = told(learnt, (0, VIEW), (10, VIEW), (12 * 3_600, VIEW))

    assert read(learnt, profile, NOW_S + 20 * 3_600) == 3
    assert read(learnt, profile, NOW_S + 25 * 3_600) == 1, "the one of noon"
    assert read(learnt, profile, NOW_S + 3 * DAY_S) is None
    later = learn(profile, VIEW, learnt, GRANTS, NOW_S + 3 * DAY_S)
    assert [len(cells) for cells in later.measures["m"].values()] == [1], "dead cells are let go"


@given(
    st.lists(st.floats(0, 3 * DAY_S), max_size=30),
    st.floats(60.0, 2 * DAY_S),
    st.floats(0, DAY_S),
)
def test_a_window_is_exact_to_an_eighth(ages: list[float], within_s: float, more_s: float) -> None:
    """Beside a plain list of moments: what is younger than the window less a cell counts, what is
    older than the window does not."""
    measure = Measure(kind="count", on="view", within_s=within_s)
    learnt = learning(m=measure)
    moments = sorted(ages)
    profile, last_s = told(learnt, *((at, VIEW) for at in moments))
    now_s = last_s + more_s

    found = read(learnt, profile, now_s, nothing=0)

    cell_s = measure.cell_s
    window_s = CELLS * cell_s
    surely = sum(now_s - (NOW_S + at) < window_s - cell_s - 1 for at in moments)
    perhaps = sum(now_s - (NOW_S + at) <= window_s + 1 for at in moments)
    assert surely <= found <= perhaps
    assert all(len(cells) <= CELLS + 1 for cells in profile.measures.get("m", {}).values())


def test_a_sessions_measure_ends_with_it() -> None:
    learnt = learning(m=Measure(kind="max", on="scroll", field="value", session=True))
    profile, _ = told(learnt, (0, Event(type="scroll", value=40.0)))

    assert read(learnt, profile, NOW_S + 60) == 40.0
    assert read(learnt, profile, NOW_S + IDLE_S) is None
    again, now_s = told(
        learnt,
        (0, Event(type="scroll", value=40.0)),
        (2 * IDLE_S, Event(type="scroll", value=5.0)),
    )
    assert read(learnt, again, now_s) == 5.0
    assert learn(Profile(), SCROLL, learnt, GRANTS, NOW_S).measures == {"m": {}}, "no session yet"


def test_per_tells_known_values_apart_and_the_oldest_go_first() -> None:
    learnt = learning(m=Measure(kind="count", on="view", per="category"))
    categories = [f"c{n}" for n in range(MAX_KEYS + 2)]
    events = [Event(type="view", category=c) for c in ["c0", *categories, "c3", "never heard of"]]
    profile, now_s = told(learnt, *((n, event) for n, event in enumerate(events)))

    found = read(learnt, profile, now_s)

    assert found == dict.fromkeys(categories[2:], 1) | {"c3": 2}
    assert [*found][-1] == "c3"


def test_a_sensitive_category_is_measured_under_its_opt_in_only() -> None:
    learnt = learning(
        m=Measure(kind="count", on="view", per="category"),
        n=Measure(kind="count", on="view"),
        b=Measure(kind="count", on="view", per="brand"),
    )
    pills = Event(type="view", category="pharmacy", brand="shoes")
    tainted = Event(type="view", brand="pharmacy", category="shoes")

    profile, now_s = told(learnt, (0, pills), (1, tainted))
    assert measured(profile, learnt.measures, now_s) == {
        "measures.m": {"shoes": 1},
        "measures.n": 1,
    }
    profile, now_s = told(learnt, (0, pills), (1, tainted), grants=GRANTS | SENSITIVE)
    assert read(learnt, profile, now_s) == {"pharmacy": 1, "shoes": 1}
    kept = withdraw(profile, GRANTS, frozenset({"pharmacy"}), SENSITIVE)
    assert read(learnt, kept, now_s) == {"shoes": 1}
    assert read(learnt, kept, now_s, "b") == {"shoes": 1}


def test_without_the_grant_nothing_is_measured_and_with_it_all_goes() -> None:
    learnt = learning(m=Measure(kind="count", on="view"))
    profile, _ = told(learnt, (0, VIEW), grants=FUNCTIONAL)
    assert profile.measures == {}

    profile, _ = told(learnt, (0, VIEW))
    assert withdraw(profile, FUNCTIONAL).measures == {}
    assert signed_out(profile).measures == {}
    assert withdraw(profile, NEED_AN_ID & ~PERSONALIZATION).measures == {}


def test_a_repeated_event_is_measured_once_and_amounts_are_bounded() -> None:
    learnt = learning(m=Measure(kind="sum", on="buy", field="price"))
    event = Event(type="buy", id="same", price=1e9, quantity=10_000)
    profile = begin(Profile(), GRANTS, NOW_S, VISITOR)
    for _ in range(3):
        profile = learn(profile, event, learnt, GRANTS, NOW_S)

    assert read(learnt, profile, NOW_S) == MAX_AMOUNT / 100


def test_measures_of_another_program_are_carried_on_and_not_read() -> None:
    older = learning(m=Measure(kind="count", on="view", per="category"))
    profile, now_s = told(older, (0, Event(type="view", category="shoes")))

    newer = learning(m=Measure(kind="count", on="view"))
    assert read(newer, profile, now_s) is None, "it was told apart by category"
    assert read(learning(), profile, now_s) is None
    unknown = pack(profile, Dictionary((f"{MEASURE}m", "k/shoes")))
    there = unpack(unknown, Dictionary(()))
    assert there.measures == {f"{UNKNOWN}0": {f"{UNKNOWN}1": ((int(NOW_S), 1),)}}
    assert unpack(pack(there, Dictionary(())), Dictionary((f"{MEASURE}m", "k/shoes"))) == unpack(
        unknown, Dictionary((f"{MEASURE}m", "k/shoes"))
    )
    assert pack(profile, Dictionary(())).measures == [], "what has no number is left out"


MEASURES: dict[str, Any] = {
    "views": {"count": "product_view", "within": "24h"},
    "seen": {"count": "product_view", "per": "category", "within": "session"},
    "spent": {"sum": "price", "of": "purchase"},
    "per_brand": {"sum": "quantity", "of": "purchase", "per": "brand"},
    "dearest": {"max": "price", "of": "purchase", "within": "30d"},
    "last_order": {"last": "purchase"},
}


@pytest.mark.parametrize(
    "when",
    [
        'measures.views >= 5 && measures.seen["garden"] > 2 && measures.spent > 10.0',
        'measures.per_brand["acme"] > 1.0 || measures.dearest > 99.5',
        'now - measures.last_order > duration("720h")',
    ],
)
def test_rules_read_measures_by_their_types(when: str) -> None:
    made = compile_playbook(playbook(measures=MEASURES, rules=[rule("r", when)]))
    facts = {
        "measures": {
            "views": 5,
            "seen": {"garden": 3},
            "spent": 11.0,
            "dearest": 100.0,
            "last_order": NOW_S - 31 * DAY_S,
        }
    }

    assert made.decide("hero", facts, grants={"personalization"}, now=NOW_S).rule == "r"
    assert made.decide("hero", {}, grants={"personalization"}, now=NOW_S).rule == "", "0 is not 5"
    assert made.decide("hero", facts, grants={"functional"}, now=NOW_S).rule == ""


def test_what_is_declared_is_what_is_learnt_by() -> None:
    learnt = compile_playbook(playbook(measures=MEASURES)).learning

    assert learnt.measuring["product_view"] == ("views", "seen")
    assert learnt.measures["seen"] == Measure(
        kind="count", on="product_view", per="category", session=True
    )
    assert learnt.measures["dearest"] == Measure(
        kind="max", on="purchase", field="price", within_s=30 * DAY_S
    )


@pytest.mark.parametrize(
    ("decl", "code", "says"),
    [
        ({}, "bad-measure", "expected one of count, sum, max, last, distinct, got none"),
        ({"count": "purchase", "last": "purchase"}, "bad-measure", "got count and last"),
        ({"count": "purhase"}, "unknown-event", "did you mean purchase?"),
        ({"sum": "prize", "of": "purchase"}, "unknown-event-field", "did you mean price?"),
        ({"sum": "price"}, "unknown-event", 'unknown event ""'),
        ({"count": "purchase", "of": "purchase"}, "bad-measure", "expected no `of`"),
        ({"count": "purchase", "per": "colour"}, "unknown-event-field", "brand, category, item"),
        ({"count": "purchase", "within": "soon"}, "bad-duration", "such as 15m"),
        ({"last": "purchase", "within": "7d"}, "bad-measure", "`last` is one moment"),
        ({"last": "purchase", "per": "item"}, "bad-measure", "`last` is one moment"),
    ],
)
def test_a_measure_that_says_nothing_is_refused_where_it_stands(
    decl: dict[str, str], code: str, says: str
) -> None:
    found = problems(measures={"m": decl})

    assert [(one.code, says in one.message) for one in found] == [(code, True)], found


def test_names_of_measures_are_words_and_nobodys_attributes() -> None:
    (bad,) = problems(measures={"in": {"count": "purchase"}})
    assert bad.code == "bad-name"
    declared = SETTINGS["attributes"] | {"measures.x": {"type": "int"}}
    (bad,) = problems(attributes=declared)
    assert bad.message == "measures.x would be one of measures: declare it there"
    many = {f"m{n}": {"count": "purchase"} for n in range(33)}
    (bad,) = problems(measures=many)
    assert (bad.code, bad.message) == ("too-many", "expected at most 32 measures, got 33")


def test_values_of_per_may_be_sensitive() -> None:
    sensitive = {"category": ["pharmacy"], "brand": ["acme"]}
    rules = [rule("r", 'measures.per_brand["acme"] > 1.0')]
    made = compile_playbook(playbook(measures=MEASURES, sensitive_values=sensitive, rules=rules))
    facts = {"measures": {"per_brand": {"acme": 2.0}}}

    assert made.decide("hero", facts, grants={"personalization"}, now=NOW_S).rule == ""
    assert (
        made.decide("hero", facts, grants={"personalization", "sensitive"}, now=NOW_S).rule == "r"
    )


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([[0, 0, 5]], "expected a measure of 4, or 6 numbers and more, got 3"),
        ([[0, 0, 5, 60, 1]], "or 6 numbers and more, got 5"),
        ([[1, 0, 1, 1]], "expected a number of 'm/', got 1: 'k/shoes'"),
        ([[0, 1, 1, 1]], "expected a number of 'k/', got 0: 'm/m'"),
    ],
)
def test_a_cookie_whose_measures_are_none_is_refused(rows: list[list[int]], says: str) -> None:
    names = Dictionary((f"{MEASURE}m", "k/shoes"))
    packed = msgspec.structs.replace(pack(Profile(seen_s=NOW_S), names), measures=rows)

    with pytest.raises(ProfileError, match=re.escape(says)):
        unpack(packed, names)


def test_a_key_without_a_number_is_not_carried() -> None:
    names = Dictionary((f"{MEASURE}m", "k/shoes"))
    cells = ((int(NOW_S), 1),)
    profile = Profile(seen_s=NOW_S, measures={"m": {"shoes": cells, "garden": cells, "": ()}})

    assert unpack(pack(profile, names), names).measures == {"m": {"shoes": cells}}


def test_a_full_cookie_lets_go_of_measures_before_caps() -> None:
    now = int(NOW_S)
    names = Dictionary((*(f"r/rule-{n}" for n in range(5)), "m/a", "m/b"))
    profile = Profile(
        seen_s=NOW_S,
        caps={f"rule-{n}": (now - 60,) for n in range(5)},
        measures={"a": {"": ((now - 9, 1),)}, "b": {"": ((now - 5, 1),)}},
    )
    whole = fit(profile, names, aim=10_000, limit=10_000)

    poorer = msgspec.json.decode(fit(profile, names, aim=0, limit=len(whole) - 1))

    there = unpack(poorer, names)
    assert (len(there.caps), [*there.measures]) == (5, ["b"])

"""Different things that events were about: how many, for how long, and that none is told twice."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.compact import pack, text, unpack
from decisions.compiling import compile_playbook
from decisions.consent import FUNCTIONAL, PERSONALIZATION, SENSITIVE
from decisions.errors import ProfileError
from decisions.events import Event
from decisions.fitting import fit
from decisions.learn import begin, learn, signed_out, withdraw
from decisions.ledger import MARKED, UNKNOWN, Dictionary
from decisions.lesson import mark_of
from decisions.lint import warnings
from decisions.measures import CELLS, MAX_KEYS, Measure, measured
from decisions.profile import IDLE_S, Profile
from decisions.thresholds import next_in
from tests.decisions.test_measures import learning, read, told
from tests.decisions.written import playbook, problems, rule

NOW_S = 1_795_000_000.0
DAY_S = 86_400.0
GRANTS = FUNCTIONAL | PERSONALIZATION
NAMES = Dictionary((f"{MARKED}m", "k/shoes", "k/garden", "m/m", "c/view"))
EVER = Measure(kind="distinct", on="view", field="item")
WEEK = msgspec.structs.replace(EVER, within_s=7 * DAY_S)
DECLARED = {"distinct": "item", "of": "product_view"}


def view(item: str, category: str = "shoes", brand: str = "") -> Event:
    return Event(type="view", item=item, category=category, brand=brand)


def views(*items: str) -> list[tuple[float, Event]]:
    """A second apart."""
    return [(float(at), view(item)) for at, item in enumerate(items)]


def test_a_thing_counts_once_however_often_it_comes() -> None:
    learnt = learning(m=EVER, brands=msgspec.structs.replace(EVER, field="brand"))
    profile, now_s = told(learnt, *views("a", "b", "a", "c", "a"), (6, view("d", brand="acme")))

    assert read(learnt, profile, now_s) == 4
    assert read(learnt, profile, now_s, "brands") == 1, "an event without a brand is of none"
    assert read(learnt, profile, now_s + 900 * DAY_S) == 4, "for all time"
    assert read(learnt, Profile(), now_s) is None


def test_a_window_forgets_what_did_not_come_again() -> None:
    learnt = learning(m=WEEK)
    profile, _ = told(learnt, (0, view("a")), (1, view("b")), (5 * DAY_S, view("a")))

    assert read(learnt, profile, NOW_S + 6 * DAY_S) == 2
    assert read(learnt, profile, NOW_S + 8 * DAY_S) == 1, "a came again, b did not"
    assert read(learnt, profile, NOW_S + 13 * DAY_S) is None
    later = learn(profile, view("c"), learnt, GRANTS, NOW_S + 8 * DAY_S)
    assert [len(cells) for cells in later.distinct["m"].values()] == [2], "b is let go"


def test_a_session_forgets_with_its_end() -> None:
    learnt = learning(m=msgspec.structs.replace(EVER, session=True))
    profile, now_s = told(learnt, *views("a", "b"))

    assert read(learnt, profile, now_s) == 2
    assert read(learnt, profile, now_s + IDLE_S) is None
    again, now_s = told(learnt, *views("a", "b"), (2 * IDLE_S, view("a")))
    assert read(learnt, again, now_s) == 1
    assert learn(Profile(), view("a"), learnt, GRANTS, NOW_S).distinct == {"m": {}}, "no session"


ITEMS = [f"item {number}" for number in range(40)]
MARKS = {item: mark_of(item) for item in ITEMS}


def test_the_items_of_the_property_below_have_marks_of_their_own() -> None:
    assert len({*MARKS.values()}) == len(ITEMS)


@given(
    st.lists(st.tuples(st.floats(0, 3 * DAY_S), st.sampled_from(ITEMS)), max_size=60),
    st.floats(60.0, 2 * DAY_S),
    st.floats(0, DAY_S),
    st.integers(1, 32),
)
def test_a_window_is_exact_to_an_eighth_up_to_what_is_kept(
    seen: list[tuple[float, str]], within_s: float, more_s: float, most: int
) -> None:
    """Beside all events in a plain list: a thing whose last event is younger than the window less a
    cell counts, one whose last event is older than the window does not; of more than `most` as many
    count. Through the cookie after every event."""
    measure = msgspec.structs.replace(EVER, within_s=within_s, most=most)
    learnt = learning(m=measure)
    profile, now_s = Profile(), NOW_S
    for number, (after_s, item) in enumerate(sorted(seen)):
        now_s = NOW_S + after_s
        profile = begin(profile, GRANTS, now_s, "v")
        event = Event(type="view", item=item, id=f"e{number}")
        profile = learn(profile, event, learnt, GRANTS, now_s)
        profile = unpack(msgspec.json.decode(text(pack(profile, NAMES))), NAMES, "v")
    now_s += more_s

    found = read(learnt, profile, now_s, nothing=0)

    last = {item: NOW_S + after_s for after_s, item in sorted(seen)}
    window_s = CELLS * measure.cell_s
    surely = sum(now_s - at_s < window_s - measure.cell_s - 1 for at_s in last.values())
    perhaps = sum(now_s - at_s <= window_s + 1 for at_s in last.values())
    assert min(surely, most) <= found <= min(perhaps, most)
    cell_s = measure.cell_s
    left = (int(now_s) // cell_s - CELLS) * cell_s  # what opened no later than this is gone
    assert found == min(most, sum(int(at) // cell_s * cell_s > left for at in last.values()))


@given(st.lists(st.sampled_from(ITEMS), max_size=60), st.integers(1, 32))
def test_for_all_time_it_is_exact_up_to_what_is_kept(items: list[str], most: int) -> None:
    learnt = learning(m=msgspec.structs.replace(EVER, most=most))
    profile, now_s = told(learnt, *views(*items))

    assert read(learnt, profile, now_s, nothing=0) == min(len({*items}), most)
    newest = [*dict.fromkeys(reversed(items))][:most]
    kept = [mark for cells in profile.distinct.get("m", {}).values() for _, mark in cells]
    assert kept == [MARKS[item] for item in reversed(newest)], "those that came last"


def test_keys_are_told_apart_and_share_what_is_kept() -> None:
    learnt = learning(m=msgspec.structs.replace(EVER, per="category", most=4))
    shoes = [(float(n), view(f"s{n}", "shoes")) for n in range(3)]
    profile, now_s = told(learnt, *shoes, (3, view("g", "garden")), (4, view("x", "never heard")))
    assert read(learnt, profile, now_s) == {"shoes": 3, "garden": 1}

    more = [(float(n), view(f"c{n}", "c1")) for n in range(5, 8)]
    profile, now_s = told(learnt, *shoes, (3, view("g", "garden")), *more)
    assert read(learnt, profile, now_s) == {"garden": 1, "c1": 3}, "who changed longest ago gives"
    profile, now_s = told(learnt, *shoes, (3, view("g", "garden")), *more[:2])
    assert read(learnt, profile, now_s) == {"shoes": 1, "garden": 1, "c1": 2}

    many = learning(m=msgspec.structs.replace(EVER, per="category", most=32))
    of_each = [(float(n), view("a", f"c{n}")) for n in range(MAX_KEYS + 2)]
    profile, now_s = told(many, *of_each)
    assert [*read(many, profile, now_s)] == [f"c{n}" for n in range(2, MAX_KEYS + 2)]


@pytest.mark.parametrize("grants", [GRANTS, GRANTS | SENSITIVE])
def test_nothing_sensitive_is_counted_whatever_is_granted(grants: int) -> None:
    keyed = msgspec.structs.replace(EVER, per="category")
    learnt = learning(m=EVER, keyed=keyed, of=msgspec.structs.replace(EVER, field="category"))
    told_of = [(0.0, view("pill", "pharmacy")), (1.0, view("pharmacy")), (2.0, view("b", "", "b"))]
    profile, now_s = told(learnt, *told_of, grants=grants)

    assert measured(profile, learnt.measures, now_s) == {"measures.m": 1}
    assert profile.distinct == {"m": {"": ((0, mark_of("b")),)}}


def test_what_became_sensitive_goes_with_its_key_and_all_with_the_purpose() -> None:
    learnt = learning(m=msgspec.structs.replace(EVER, per="category"))
    profile, _ = told(learnt, (0, view("a", "shoes")), (1, view("b", "garden")))

    assert [*withdraw(profile, GRANTS, frozenset({"garden"})).distinct["m"]] == ["shoes"]
    stranger = msgspec.structs.replace(profile, distinct={"m": {f"{UNKNOWN}7": ((0, 1),)}})
    assert withdraw(stranger, GRANTS, lost=SENSITIVE).distinct == {"m": {}}
    assert withdraw(profile, FUNCTIONAL).distinct == {}
    assert signed_out(profile).distinct == {}


def test_a_thing_that_a_later_playbook_calls_sensitive_leaves_without_its_opt_in() -> None:
    learnt = learning(
        kinds=msgspec.structs.replace(EVER, field="category"),
        keyed=msgspec.structs.replace(EVER, per="category"),
    )
    profile, _ = told(learnt, (0, view("a", "shoes")), (1, view("b", "garden")))
    kinds = {"": ((0, mark_of("shoes")),)}
    keyed = {"shoes": ((0, mark_of("a")),)}

    now = frozenset({"garden"})
    assert withdraw(profile, GRANTS, now).distinct == {"kinds": kinds, "keyed": keyed}
    assert withdraw(profile, GRANTS, frozenset({"b"})).distinct["keyed"] == keyed
    assert withdraw(profile, GRANTS | SENSITIVE, now).distinct == profile.distinct
    assert withdraw(profile, GRANTS, frozenset({"other"})).distinct is profile.distinct


def test_without_the_grant_nothing_is_counted() -> None:
    profile, _ = told(learning(m=EVER), *views("a"), grants=FUNCTIONAL)
    assert profile.distinct == {}


def test_marks_are_never_read_as_numbers_nor_numbers_as_marks() -> None:
    count = learning(m=Measure(kind="count", on="view"))
    distinct = learning(m=EVER)
    was, now_s = told(count, *views("a", "a", "a"))
    assert read(distinct, was, now_s) is None
    both = learn(was, view("a"), distinct, GRANTS, now_s)
    assert (read(distinct, both, now_s), read(count, both, now_s)) == (1, 3)
    assert unpack(pack(both, NAMES), NAMES) == msgspec.structs.replace(both, visitor="")
    assert read(learning(), both, now_s) is None, "another program's is carried on"
    fewer = learning(m=msgspec.structs.replace(EVER, most=2))
    many, now_s = told(distinct, *views("a", "b", "c"))
    assert read(fewer, many, now_s) == 2


def test_a_declaration_that_changes_its_window_reads_what_is_there() -> None:
    profile, now_s = told(learning(m=EVER), *views("a", "b"))
    week = learning(m=WEEK)
    assert read(week, profile, now_s) is None, "nobody knows when they came"
    profile = learn(profile, view("c"), week, GRANTS, now_s)
    assert read(week, profile, now_s) == 1

    profile, now_s = told(week, *views("a", "b"))
    ever = learning(m=EVER)
    mixed = learn(profile, view("c"), ever, GRANTS, now_s)
    assert read(ever, mixed, now_s) == 3
    mixed = learn(mixed, view("a"), week, GRANTS, now_s)
    assert unpack(pack(mixed, NAMES), NAMES).distinct == mixed.distinct


def test_cookies_from_before_and_for_edges_from_before_still_read() -> None:
    profile, _ = told(learning(m=WEEK), *views("a", "b"))
    raw = msgspec.json.decode(text(pack(profile, NAMES)))
    before = unpack(raw[:-2], NAMES)
    assert before == msgspec.structs.replace(profile, visitor="", distinct={})
    unknown = unpack(raw, Dictionary(()))
    assert [*unknown.distinct] == [f"{UNKNOWN}0"]
    assert pack(unknown, Dictionary(())).distinct == pack(profile, NAMES).distinct
    assert pack(profile, Dictionary(())).distinct == [], "what has no number is left out"


@pytest.mark.parametrize(
    ("rows", "marks", "says"),
    [
        ([[0, 0, 5]], "", "expected a measure of 4, or 6 numbers and more, got 3"),
        ([[0, 0, 5, 2]], "AAAA", "expected marks of 6 bytes, got 3"),
        ([[0, 0, 5, 2**53 - 1]], "AAAA", "bytes, got 3"),
        ([[0, 0, 5, 1]], "AAAAAAAA", "expected marks of 3 bytes, got 6"),
        ([], "AAAA", "expected marks of 0 bytes, got 3"),
        ([[3, 0, 5, 1]], "AAAA", "expected a number of 'd/', got 3: 'm/m'"),
        ([[0, 4, 5, 1]], "AAAA", "expected a number of 'k/', got 3: 'm/m'"),
    ],
)
def test_a_cookie_whose_marks_are_none_is_refused(
    rows: list[list[int]], marks: str, says: str
) -> None:
    packed = pack(Profile(seen_s=NOW_S), NAMES)
    with pytest.raises(ProfileError, match=re.escape(says)):
        unpack(msgspec.structs.replace(packed, distinct=rows, marks=marks), NAMES)


def test_a_full_cookie_lets_go_of_them_before_other_measures() -> None:
    profile, _ = told(learning(m=WEEK, n=Measure(kind="count", on="view")), (0, view("a", "")))
    names = Dictionary((*NAMES, "m/n"))
    whole = fit(profile, names, aim=10_000, limit=10_000)
    poorer = unpack(msgspec.json.decode(fit(profile, names, aim=0, limit=len(whole) - 1)), names)
    assert (poorer.distinct, [*poorer.measures]) == ({}, ["n"])


@pytest.mark.parametrize(
    ("decl", "code", "says"),
    [
        ({"distinct": "price", "of": "purchase"}, "unknown-event-field", "brand, category, item"),
        ({"distinct": "item"}, "unknown-event", 'unknown event ""'),
        ({**DECLARED, "most": 33}, "bad-measure", "expected a `most` of 1 to 32, got 33"),
        ({**DECLARED, "most": 0}, "bad-measure", "expected a `most` of 1 to 32, got 0"),
        ({"count": "purchase", "most": 3}, "bad-measure", "`count` keeps no different things"),
        ({**DECLARED, "last": "purchase"}, "bad-measure", "got last and distinct"),
    ],
)
def test_what_says_nothing_is_refused_where_it_stands(
    decl: dict[str, Any], code: str, says: str
) -> None:
    found = problems(measures={"m": decl})
    assert [(one.code, says in one.message) for one in found] == [(code, True)], found


DECLARATIONS = {
    "looked_at": {**DECLARED, "within": "7d"},
    "few": {**DECLARED, "per": "category", "within": "session", "most": 4},
    "spent": {"sum": "price", "of": "purchase"},
    "last_order": {"last": "purchase"},
}


def test_rules_read_it_as_a_whole_number_and_the_clock_knows_when_it_falls() -> None:
    rules = [rule("r", 'measures.looked_at >= 3 || measures.few["shoes"] > 2')]
    made = compile_playbook(playbook(measures=DECLARATIONS, rules=rules))
    assert made.learning.measures["looked_at"] == Measure(
        kind="distinct", on="product_view", field="item", within_s=7 * DAY_S
    )
    assert (made.learning.measures["few"].most, made.learning.measures["few"].session) == (4, True)
    assert {f"{MARKED}few", f"{MARKED}looked_at"} <= {*made.dictionary}
    profile, now_s = Profile(), NOW_S
    for number in range(3):
        assert _rule(made, profile, now_s) == ""
        now_s += DAY_S
        profile = begin(profile, GRANTS, now_s, "v")
        event = Event(type="product_view", item=f"i{number}", category="shoes")
        profile = learn(profile, event, made.learning, GRANTS, now_s)
    assert _rule(made, profile, now_s) == "r"
    assert next_in(made.thresholds(("hero",)), made.gate.flat({}, GRANTS, now_s)) == 0

    cell_s, found = made.learning.measures["looked_at"].cell_s, made.thresholds(("hero",))
    assert found is not None
    assert found.windows == {"measures.looked_at": cell_s}
    at_s = now_s + cell_s - now_s % cell_s - 60  # a minute before a cell ends
    while _rule(made, profile, at_s) == "r":
        values = measured(profile, made.learning.measures, at_s)
        assert next_in(found, made.gate.flat(values, GRANTS, at_s)) == 60
        at_s += cell_s
    assert now_s + 4 * DAY_S < at_s < now_s + 7 * DAY_S


def _rule(made: Any, profile: Profile, now_s: float) -> str:
    values = measured(profile, made.learning.measures, now_s)
    return str(made.decide("hero", made.gate.flat(values, GRANTS, now_s)).rule)


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("measures.looked_at > 16", "no measures.looked_at is like this: it is 0 to 16"),
        ("measures.looked_at < 0", "no measures.looked_at is like this: it is 0 to 16"),
        ("measures.looked_at >= 0", "every measures.looked_at is like this: it is 0 to 16"),
        ('measures.few["a"] == 5', 'no measures.few["a"] is like this: it is 0 to 4'),
        ("measures.spent < 0.0", "no measures.spent is like this: it is 0 or more"),
        ("now - measures.last_order < duration('0s') || measures.looked_at > 15", ""),
    ],
)
def test_what_no_count_can_be_is_told(when: str, says: str) -> None:
    found = warnings(playbook(measures=DECLARATIONS, rules=[rule("r", when)]))
    codes = ("impossible-value", "constant-condition")
    told_of = [one.message for one in found if one.code in codes]
    assert told_of == [says] * bool(says)

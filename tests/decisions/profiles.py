"""Profiles as hypothesis draws them, with a dictionary that knows some of their names."""

from __future__ import annotations

from hypothesis import strategies as st

from decisions.ledger import COUNTER, KEY, LIST, MARKED, MEASURE, RULE, UNKNOWN, Dictionary
from decisions.profile import NO_CART, VIEW_BYTES, Cart, Line, Profile, Session

NOW_S = 1_795_000_000.0
VISITOR = "01a1c0de-0000-7000-8000-00000000000a"
KEYS = tuple(f"category-{number}" for number in range(40))
EVENTS = tuple(f"event-{number}" for number in range(20))
MEASURES = tuple(f"measure-{number}" for number in range(6))
LISTS = ("recent", "wishes")
DISTINCT = ("looked_at", "brands")
RULES = tuple(f"rule-{number}" for number in range(20))
NAMES = Dictionary(
    (
        *(KEY + key for key in KEYS),
        *(COUNTER + event for event in EVENTS),
        *(RULE + rule for rule in RULES),
        *(MEASURE + measure for measure in MEASURES),
        *(LIST + name for name in LISTS),
        *(MARKED + name for name in DISTINCT),
    )
)

times = st.integers(int(NOW_S) - 10**7, int(NOW_S))
unknown = st.integers(len(NAMES), 10**6).map(lambda number: f"{UNKNOWN}{number}")
keys = st.sampled_from(KEYS) | unknown
lines = st.dictionaries(
    st.text(max_size=10), st.builds(Line, st.integers(1, 900), st.integers(0, 10**7)), max_size=10
)


def cart(items: int, cents: int, at_s: int, lines: dict[str, Line]) -> Cart:
    """One with so many pieces and cents beside its lines."""
    items += sum(line.pieces for line in lines.values())
    cents += sum(line.cents for line in lines.values())
    return Cart(items, cents / 100, at_s, lines)


carts = st.just(NO_CART) | st.builds(
    cart, st.integers(0, 900), st.integers(0, 10**8), times, st.just({}) | lines
)
sessions = st.none() | st.builds(
    Session,
    times,
    times,
    st.dictionaries(
        keys,
        st.integers(0, 8).flatmap(
            lambda items: st.binary(min_size=VIEW_BYTES * items, max_size=VIEW_BYTES * items)
        ),
        max_size=8,
    ),
    st.lists(st.sampled_from(RULES) | unknown, max_size=4, unique=True).map(tuple),
    st.text(max_size=20),
)
profiles = st.builds(
    Profile,
    visitor=st.just(VISITOR),
    seen_s=st.just(NOW_S + 0.125),
    at_s=times.map(float),
    first_seen_s=times,
    visits=st.integers(0, 10**6),
    interests=st.dictionaries(keys, st.floats(1e-6, 1e6), max_size=30),
    counts=st.dictionaries(st.sampled_from(EVENTS) | unknown, st.integers(1, 10**6), max_size=20),
    cart=carts,
    session=sessions,
    caps=st.dictionaries(
        st.sampled_from(RULES) | unknown,
        st.lists(times, min_size=1, max_size=8).map(tuple),
        max_size=20,
    ),
    recent=st.lists(st.integers(0, 2**32 - 1), max_size=8).map(tuple),
    customer=st.integers(0, 2**64 - 1),
    authenticated_until_s=times,
    recognised_until_s=st.just(0) | st.integers(int(NOW_S), int(NOW_S) + 10**8),
    lists=st.dictionaries(
        st.sampled_from(LISTS) | unknown,
        st.lists(st.text(max_size=10), min_size=1, max_size=4, unique=True).map(tuple),
        max_size=3,
    ),
    preferences=st.dictionaries(keys, st.integers(0, 100), max_size=5),
    measures=st.dictionaries(
        st.sampled_from(MEASURES) | unknown,
        st.dictionaries(
            st.just("") | keys,
            st.dictionaries(times, st.integers(1, 10**12), min_size=1, max_size=4).map(
                lambda cells: tuple(sorted(cells.items()))
            ),
            min_size=1,
            max_size=3,
        ),
        max_size=4,
    ),
    distinct=st.dictionaries(
        st.sampled_from(DISTINCT) | unknown,
        st.dictionaries(
            st.just("") | keys,
            st.lists(st.tuples(st.just(0) | times, st.integers(0, 2**24 - 1)), min_size=1).map(
                tuple
            ),
            min_size=1,
            max_size=2,
        ),
        max_size=2,
    ),
)

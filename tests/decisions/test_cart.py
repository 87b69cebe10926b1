"""The lines of a cart: what lies in it by product, as far as it may be known by name."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.cart import MAX_ITEMS, MAX_LINES, MAX_THING, MAX_VALUE, changed
from decisions.compact import Packed, pack, unpack
from decisions.compiling import compile_playbook
from decisions.consent import EVERYTHING, FUNCTIONAL, PERSONALIZATION, SENSITIVE
from decisions.errors import ProfileError
from decisions.events import Event
from decisions.fitting import fit
from decisions.learn import begin, learn, signed_out, withdraw
from decisions.ledger import NO_NAMES
from decisions.lesson import Learning
from decisions.profile import NO_CART, NOBODY, Cart, Line, Profile, profile_facts
from tests.decisions.profiles import carts
from tests.decisions.written import playbook, rule

NOW = 1_795_000_000
LEARNING = Learning(
    events=frozenset({"add", "remove", "clear"}),
    carts={"add": "add", "remove": "remove", "clear": "clear"},
    sensitive=frozenset({"pharmacy", "pill", "Cure"}),
)
OLD = Cart(3, 9.0, NOW - 60)  # as cookies from before lines have it


def event(action: str, item: str = "", quantity: int = 1, price: float = 0.0, **of: Any) -> Event:
    return Event(action, item=item, quantity=quantity, price=price, **of)


def after(*events: Event, cart: Cart = NO_CART) -> Cart:
    for each in events:
        cart = changed(cart, each.type, each, NOW, LEARNING.sensitive)
    return cart


def totals(cart: Cart) -> tuple[int, float]:
    return cart.items, cart.value


def test_each_product_has_a_line_and_the_one_added_to_comes_last() -> None:
    cart = after(event("add", "a", 2, 2.5), event("add", "b", 1, 10.0), event("add", "a", 1, 2.5))

    assert cart == Cart(4, 17.5, NOW, {"b": Line(1, 1_000), "a": Line(3, 750)})
    assert [*cart.lines] == ["b", "a"]
    assert after(event("clear"), cart=cart) == Cart(0, 0.0, NOW)


def test_what_is_removed_goes_at_the_price_it_came_with_unless_it_says_another() -> None:
    cart = after(event("add", "a", 4, 2.5), event("add", "b", 1, 1.0))

    assert after(event("remove", "a"), cart=cart) == Cart(
        4, 8.5, NOW, {"a": Line(3, 750), "b": Line(1, 100)}
    )
    assert after(event("remove", "a", price=2.0), cart=cart).lines["a"] == Line(3, 800)
    assert after(event("remove", "a", price=99.0), cart=cart).lines["a"] == Line(3, 0)


def test_pieces_that_came_at_two_prices_go_at_the_average_and_the_last_takes_the_rest() -> None:
    cart = after(event("add", "a", 2, 1.0), event("add", "a", 1, 1.01), event("add", "b", 1, 5.0))

    values = []
    for _ in range(3):
        cart = after(event("remove", "a"), cart=cart)
        values.append(cart.value)
    assert values == [7.01, 6.01, 5.0]
    assert cart.lines == {"b": Line(1, 500)}


def test_no_more_is_removed_than_is_there_of_that_product() -> None:
    cart = after(event("add", "a", 2, 2.5), event("add", "b", 3, 1.0))

    assert after(event("remove", "a", 9, 2.5), cart=cart) == Cart(3, 3.0, NOW, {"b": Line(3, 300)})
    assert after(event("remove", "a", 9), event("remove", "b", 9), cart=cart) == Cart(0, 0.0, NOW)


@pytest.mark.parametrize("other", [event("remove", "c"), event("remove"), event("remove", "a", 0)])
def test_what_was_never_added_is_not_removed_once_all_of_the_cart_is_in_lines(other: Event) -> None:
    cart = after(event("add", "a", 2, 2.5))

    assert after(other, cart=cart) is cart
    assert after(other) is NO_CART


def test_what_a_cookie_from_before_lines_holds_may_be_of_any_product() -> None:
    cart = after(event("add", "a", 1, 2.0), cart=OLD)
    assert (cart.unnamed, cart.distinct) == (Line(3, 900), 2)

    assert totals(after(event("remove", "c", 1, 3.0), cart=cart)) == (3, 8.0)
    assert totals(after(event("remove", "c"), cart=cart)) == (3, 11.0), "of no known price"
    assert after(event("remove", "a", 2, 3.0), cart=cart) == Cart(2, 6.0, NOW)
    assert after(event("remove", "c", 9), cart=cart) == Cart(1, 2.0, NOW, {"a": Line(1, 200)})


def test_the_line_added_to_longest_ago_gives_way_and_stays_in_the_totals() -> None:
    items = [f"sku-{number}" for number in range(MAX_LINES + 2)]
    cart = after(*(event("add", item, 1, 2.0) for item in items))

    assert [*cart.lines] == items[2:]
    assert (totals(cart), cart.unnamed, cart.distinct) == ((12, 24.0), Line(2, 400), MAX_LINES + 1)
    assert totals(after(event("remove", items[0], 1, 2.0), cart=cart)) == (11, 22.0)


@pytest.mark.parametrize(
    "of",
    [
        {"item": "a", "category": "pharmacy"},
        {"item": "pill"},
        {"item": "a", "brand": "Cure"},
        {"item": ""},
        {"item": "x" * (MAX_THING + 1)},
        {"item": "ä" * 21},
        {"item": "\ud800"},
        {"item": "a\nb"},
    ],
)
def test_what_is_sensitive_or_no_short_word_counts_without_a_name(of: dict[str, str]) -> None:
    start = begin(NOBODY, EVERYTHING, NOW, "v")
    for grants in (FUNCTIONAL, EVERYTHING):
        put = learn(start, event("add", quantity=2, price=3.0, **of), LEARNING, grants, NOW)
        assert put.cart == Cart(2, 6.0, NOW)
        gone = learn(put, event("remove", quantity=2, price=3.0, **of), LEARNING, grants, NOW)
        assert totals(gone.cart) == (0, 0.0)


EVENTS = st.builds(
    event,
    st.sampled_from(["add", "add", "remove"]),
    st.sampled_from("abcd"),
    st.integers(0, 4),
    st.sampled_from([0.0, 0.5, 2.0]),
)


@given(st.lists(EVENTS, max_size=12))
def test_the_lines_hold_the_pieces_that_plain_counting_finds(events: list[Event]) -> None:
    pieces = dict.fromkeys("abcd", 0)
    for each in events:
        more = each.quantity if each.type == "add" else -each.quantity
        pieces[each.item] = max(0, pieces[each.item] + more)
    cart = after(*events)

    assert {item: line.pieces for item, line in cart.lines.items()} == {
        item: count for item, count in pieces.items() if count
    }
    assert (cart.unnamed, cart.items) == (Line(), sum(pieces.values()))


@given(carts, st.lists(st.builds(
    event,
    st.sampled_from(["add", "remove", "clear"]),
    st.sampled_from(["", "a", "b", "pill"]),
    st.integers(-1, 10**5),
    st.floats(),
), max_size=8))  # fmt: skip
def test_whatever_a_page_sends_lines_are_no_more_than_the_cart_and_travel(
    cart: Cart, events: list[Event]
) -> None:
    profile = Profile(seen_s=NOW, cart=after(*events, cart=cart))
    pieces, cents = (sum(each) for each in zip(Line(), *profile.cart.lines.values(), strict=True))

    assert pieces <= profile.cart.items <= max(MAX_ITEMS, cart.items)
    assert cents <= round(profile.cart.value * 100) <= round(max(MAX_VALUE, cart.value) * 100)
    assert unpack(pack(profile, NO_NAMES), NO_NAMES) == profile


def test_lines_go_with_the_grant_and_with_the_person() -> None:
    profile = Profile(visitor="v", cart=after(event("add", "a")))

    assert withdraw(profile, PERSONALIZATION).cart == NO_CART
    assert withdraw(profile, FUNCTIONAL).cart == profile.cart
    assert signed_out(profile).cart == NO_CART


def test_a_product_that_became_sensitive_loses_its_name_without_the_opt_in() -> None:
    cart = after(event("add", "a", 2, 1.0), event("add", "b"))
    profile = Profile(visitor="v", cart=cart)

    kept = withdraw(profile, FUNCTIONAL | PERSONALIZATION, frozenset({"a"})).cart
    assert ({*kept.lines}, totals(kept)) == ({"b"}, (3, 2.0))
    assert withdraw(profile, FUNCTIONAL, frozenset({"a"})).cart == kept
    assert withdraw(profile, FUNCTIONAL | SENSITIVE, frozenset({"a"})).cart == cart


def test_rules_and_fragments_read_the_products_as_a_set() -> None:
    text = (
        "{{#cart.products}}<i>{{.}}</i>{{/cart.products}}{{^cart.products}}none{{/cart.products}}"
    )
    rules = [rule("r", '"sku-7" in cart.products && cart.lines > 1', show="hero/list")]
    program = compile_playbook(playbook(rules=rules, fragments={"hero/list": text}))

    def shown(facts: dict[str, Any], *grants: str) -> str:
        return program.decide("hero", facts, grants=grants, now=NOW).rule

    facts = {"cart": {"products": ["sku-7", "<b>"], "lines": 2}}
    assert shown(facts, "functional") == "r"
    assert shown(facts, "personalization") == shown({}, "functional") == ""
    decision = program.decide("hero", facts, grants={"functional"}, now=NOW)
    rendered = program.render(decision, program.facts(facts, FUNCTIONAL, NOW))
    assert rendered == "<i>&lt;b&gt;</i><i>sku-7</i>"


def test_of_nobody_there_are_no_lines_and_no_products() -> None:
    stranger = compile_playbook(playbook()).facts({}, FUNCTIONAL, NOW)
    assert (stranger["cart.lines"], stranger["cart.products"]) == (0, frozenset())
    known = profile_facts(Profile(cart=OLD), FUNCTIONAL, NOW)
    assert known["cart.lines"] == 1
    assert "cart.products" not in known
    emptied = profile_facts(Profile(cart=after(event("clear"))), FUNCTIONAL, NOW)
    assert emptied["cart.lines"] == 0


BASKET = Profile(seen_s=NOW, cart=after(event("add", "ä", 2, 0.5), event("add", '"', 1, 7.0)))


def test_a_cookie_from_before_lines_reads_and_a_newer_one_does_on_an_older_edge() -> None:
    packed = msgspec.json.decode(msgspec.json.encode(pack(BASKET, NO_NAMES)))
    last = Packed.__struct_fields__.index("campaign") + 1

    older = unpack(packed[:last], NO_NAMES).cart
    assert older == Cart(3, 8.0, NOW)
    assert unpack([*packed, {"new": 1}], NO_NAMES) == BASKET


def test_where_a_cookie_is_full_lines_go_one_by_one_and_the_cart_stays() -> None:
    whole = fit(BASKET, NO_NAMES, aim=10_000, limit=10_000)
    poorer = msgspec.json.decode(fit(BASKET, NO_NAMES, aim=0, limit=len(whole) - 1))

    assert unpack(poorer, NO_NAMES).cart == Cart(3, 8.0, NOW, {'"': Line(1, 700)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cart": []}, "expected a cart of 3 numbers, got 0"),
        ({"lines": [1]}, "two numbers for each of 1 products, each once, got 1 numbers"),
        ({"lines": []}, "two numbers for each of 1 products, each once, got 0 numbers"),
        ({"products": []}, "two numbers for each of 0 products, each once, got 2 numbers"),
        (
            {"lines": [1, 1, 1, 1], "products": ["a", "a"]},
            "two numbers for each of 2 products, each once, got 4 numbers",
        ),
        ({"lines": [3, 1]}, "expected lines of at most 2 pieces and 500 cents, got more"),
        ({"lines": [1, 501]}, "expected lines of at most 2 pieces and 500 cents, got more"),
    ],
)
def test_lines_that_do_not_add_up_are_refused(changes: dict[str, Any], message: str) -> None:
    good = {"cart": [2, 500, 0], "lines": [1, 250], "products": ["a"]}
    with pytest.raises(ProfileError, match=message):
        unpack(msgspec.structs.replace(Packed(), **(good | changes)), NO_NAMES)

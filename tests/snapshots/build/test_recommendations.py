"""Which items go together, against the definition, customer by customer in plain Python."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import pyarrow as pa
import pytest

from decisions.ledger import visitor_key
from snapshots.build.recommendations import MOST_ITEMS
from snapshots.errors import DataRefused
from snapshots.publish import erased_in
from snapshots.recommendations import FULL, RECOMMENDATIONS, SEEDS, SLOTS, Recommendations
from snapshots.reissue import erase
from tests.snapshots.build.market import NOW_S, PLAYBOOK, Market, goods, sales
from tests.snapshots.build.test_pipeline import CLOCK_S, Published, built

LEAST = 3
SECTION = f"recommendations: {{window: 30d, least: {LEAST}, keep: 4}}\n"
WARES = [(f"w{number:02}", "Food", ("Bread", "Tins")[number % 2]) for number in range(12)]
WARES += [("petrol", "Fuel", "Fuel"), ("pill", "Nursery", "x"), ("lead", "Pets", "x")]
Line = tuple[int, str, float]  # customer, item, days ago


def lines(seed: int = 1, customers: int = 14) -> list[Line]:
    dice = random.Random(seed)
    wares = [sku for sku, _, _ in WARES[:14]] + ["not in the catalogue"]
    return [
        (customer, wares[dice.randrange(15)], dice.randrange(1, 45))
        for customer in range(1, customers + 1)
        for _ in range(dice.randrange(1, 16))
    ]


def sold(rows: Iterable[Line]) -> pa.Table:
    return sales(
        [
            (who, number, sku, datetime.fromtimestamp(NOW_S - days * 86_400, UTC).strftime(
                "%Y-%m-%dT%H:%M:%S"), 1.0, 1, 0.0)
            for number, (who, sku, days) in enumerate(rows)
        ]
    )  # fmt: skip


def offer(market: Market, rows: list[Line], section: str = SECTION) -> None:
    market.write("playbook.yaml", PLAYBOOK + section)
    market.put("goods", goods(WARES))
    market.put("sales", sold(rows))


def opened(published: Published) -> Recommendations:
    parts = published.parts
    return Recommendations(parts[RECOMMENDATIONS], parts[SEEDS], published.members())


def plainly(
    rows: Iterable[Line], least: int = LEAST, keep: int = 4
) -> tuple[list[str], dict[str, list[tuple[str, float]]], dict[int, list[str]]]:
    """Items by popularity, each one's neighbours, each customer's last items: the definition."""
    last: dict[int, dict[str, float]] = defaultdict(dict)
    offered = {sku for sku, hall, _ in WARES if hall != "Fuel"}
    for who, sku, days in rows:
        if days < 30 and sku in offered:
            last[who][sku] = min(days, last[who].get(sku, days))
    bought = Counter(sku for items in last.values() for sku in items)
    popular = sorted((s for s in bought if bought[s] >= least), key=lambda s: (-bought[s], s))
    place = {sku: number for number, sku in enumerate(popular)}
    kept = {
        who: sorted((s for s in items if s in place), key=lambda s: (items[s], place[s]))
        for who, items in last.items()
    }
    sets = [set(items[:MOST_ITEMS]) for items in kept.values()]
    held = Counter(sku for items in sets for sku in items)
    both = Counter(pair for items in sets for pair in combinations(sorted(items), 2))
    near: dict[str, list[tuple[str, float]]] = {sku: [] for sku in popular}
    for (one, other), count in both.items():
        if count >= least:
            alike = count / math.sqrt(held[one] * held[other])
            near[one].append((other, alike))
            near[other].append((one, alike))
    for sku, others in near.items():
        near[sku] = sorted(others, key=lambda pair: (-pair[1], place[pair[0]]))[:keep]
    return popular, near, {who: items[:SLOTS] for who, items in kept.items()}


def assert_as_defined(published: Published, rows: list[Line], customers: Iterable[int]) -> None:
    found = opened(published)
    popular, near, last = plainly(rows)
    assert [found.id(item) for item in range(len(found))] == popular
    assert len(popular) > 6
    for item, sku in enumerate(popular):
        others = list(found.neighbours(item))
        assert [found.id(other) for other, _ in others] == [other for other, _ in near[sku]]
        alike = [each for _, each in near[sku]]
        assert [each for _, each in others] == pytest.approx(alike, abs=1 / FULL)
    salt = published.program().key_salt
    for who in customers:
        numbers = found.bought(visitor_key(salt, str(who)))
        assert [found.id(item) for item in numbers] == last.get(who, [])


def test_neighbours_popular_items_and_seeds_are_what_the_definition_says(market: Market) -> None:
    rows = lines()
    offer(market, rows)

    report = built(market)

    assert {RECOMMENDATIONS, SEEDS} <= report.parts.keys()
    published = Published(market)
    assert_as_defined(published, rows, range(1, 16))
    found = opened(published)
    assert {found.category(item) for item in range(len(found))} == {"bakery", "pantry", "baby"}
    assert published.program().head.recommendations is not None


def test_the_same_inputs_give_the_same_bytes(market: Market) -> None:
    rows = lines()
    offer(market, rows)
    built(market)
    first = Published(market).parts
    market.put("sales", sold(rows[::-1]))
    built(market)

    assert Published(market).parts == first


def test_what_few_bought_is_nowhere_in_the_part(market: Market) -> None:
    rows = [(who, "w00", 1.0) for who in range(1, 4)] + [(1, "w01", 1.0), (2, "w01", 1.0)]
    offer(market, rows)
    built(market)

    found = opened(Published(market))
    assert [found.id(item) for item in range(len(found))] == ["w00"]
    assert b"w01" not in Published(market).parts[RECOMMENDATIONS]


def test_of_one_customer_the_last_hundred_items_count(market: Market) -> None:
    many = [(f"m{number:03}", "Food", "Bread") for number in range(MOST_ITEMS + 20)]
    at = [(sku, 1 + place / 10) for place, (sku, _, _) in enumerate(many)]
    rows = [(who, sku, days) for who in (1, 2, 3) for sku, days in at]
    offer(market, rows)
    market.put("goods", goods(many + WARES))
    built(market)

    found = opened(Published(market))
    alone = [item for item in range(len(found)) if not list(found.neighbours(item))]
    assert (len(found), len(alone)) == (MOST_ITEMS + 20, 20)


def test_a_playbook_without_the_section_has_no_part(market: Market) -> None:
    offer(market, lines(), "")

    assert not built(market).parts.keys() & {RECOMMENDATIONS, SEEDS}
    assert Published(market).program().head.recommendations is None


def test_who_is_erased_has_no_seeds_and_is_counted_with_nobody(market: Market) -> None:
    rows = lines()
    offer(market, rows)
    built(market)
    published = Published(market)
    salt = published.program().key_salt
    key = visitor_key(salt, "3")
    assert opened(published).bought(key)
    from snapshots.keys import PRIVATE_FILE, read_private

    erase(
        published.store, "live", {key: int(CLOCK_S)}, read_private(market.keys / PRIVATE_FILE),
        published.keys, now_s=CLOCK_S,
    )  # fmt: skip

    built(market)

    published = Published(market)
    assert erased_in(published.store, published.manifest)
    assert opened(published).bought(key) == []
    rest = [row for row in rows if row[0] != 3]
    assert plainly(rest)[1] != plainly(rows)[1]
    assert_as_defined(published, rest, [1, 2, 4, 5])


def test_a_changed_rule_keeps_them_and_a_changed_way_asks_for_the_data(market: Market) -> None:
    offer(market, lines())
    built(market)
    first = Published(market).parts
    built(market, data=False)
    assert Published(market).parts == first

    market.write("playbook.yaml", PLAYBOOK + SECTION.replace("30d", "60d"))
    with pytest.raises(DataRefused, match="items are recommended in another way"):
        built(market, data=False)
    needy = SECTION.replace("keep: 4", "keep: 4, needs: authenticated")
    market.write("playbook.yaml", PLAYBOOK + needy)
    built(market, data=False)  # who may see it is the program's
    market.write("playbook.yaml", PLAYBOOK)
    built(market, data=False)
    assert not Published(market).parts.keys() & {RECOMMENDATIONS, SEEDS}
    market.write("playbook.yaml", PLAYBOOK + SECTION)
    with pytest.raises(DataRefused, match="recommendations are new"):
        built(market, data=False)


def with_columns(**columns: list[Any]) -> pa.Table:
    table = goods(WARES)
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    return table


@pytest.mark.parametrize("kind", [int, bool, str])
def test_what_is_out_of_stock_is_not_recommended(market: Market, kind: type) -> None:
    rows = lines()
    offer(market, rows)
    market.sources("columns: {item: sku}", "columns: {item: sku, stock: left}")
    left = [0 if sku in ("w00", "w03") else 1 for sku, _, _ in WARES]
    values: list[Any] = [kind(each) for each in left]
    values[1] = None  # nobody knows
    market.put("goods", with_columns(left=values))
    built(market)

    found = opened(Published(market))
    ids = {found.id(item) for item in range(len(found))}
    assert not ids & {"w00", "w03"}
    assert "w01" in ids


def test_what_is_of_a_sensitive_brand_is_not_recommended(market: Market) -> None:
    offer(market, lines())
    text = (PLAYBOOK + SECTION).replace("{category: [baby]}", "{category: [baby], brand: [quiet]}")
    text = text.replace("signals: [", "signals: [{on: look, interest: {key: brand, add: 1}}, ")
    market.write("playbook.yaml", text)
    market.put("goods", with_columns(maker=[*["quiet", None] * 7, None]))
    with pytest.raises(DataRefused, match="expected a column for brand"):
        built(market)

    market.sources("columns: {item: sku}", "columns: {item: sku, brand: maker}")
    built(market)

    found = opened(Published(market))
    ids = {found.id(item) for item in range(len(found))} - {"pill"}
    assert ids
    assert all(int(id_[1:]) % 2 for id_ in ids)

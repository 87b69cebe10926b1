"""Which rows are one customer: ids of all feeds in one spelling, and the key that hides each.

A customer is whoever has a purchase that is kept or a row in the customers feed. Ids are compared
as text, so that 900 in one file and "900" in another are one customer. The snapshot never carries
an id, only its hash keyed by the ledger's salt.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Any

import ibis
import pyarrow as pa

from decisions.errors import Position, Problem
from decisions.ledger import visitor_key
from snapshots.build.clean import identifier
from snapshots.build.feeds import Feed
from snapshots.build.sources import OTHERS, Customers, Written
from snapshots.errors import DataRefused

TRAIT = "traits."


def as_text(customer: Any) -> Any:
    """A customer id in the spelling that all feeds share."""
    return customer.cast("string")


def read_customers(written: Written, feed: Feed, section: Customers) -> Any:
    """customer, and `traits.<name>` of every trait; each customer once.

    Raises DataRefused for a customer that is there twice, and for words that a value map lacks.
    """
    customer = as_text(identifier(feed.table[section.columns.customer]))
    columns = {f"{TRAIT}{name}": feed.table[trait.column] for name, trait in section.traits.items()}
    rows = feed.table.select(
        customer=customer,
        **{name: column.cast("string").nullif("") for name, column in columns.items()},
    )
    rows = rows.filter(rows["customer"].notnull())
    mapped = {f"{TRAIT}{name}": trait.map for name, trait in section.traits.items() if trait.map}
    found = _surveyed(feed, rows, list(mapped))
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    for column, mapping in mapped.items():
        problems += _unknown(written, column.removeprefix(TRAIT), mapping, found[column])
        values[column] = _looked_up(rows[column], mapping, found[column])
    if problems:
        raise DataRefused(problems)
    return rows.mutate(**values) if values else rows


def everybody(buyers: Any, customers: Any | None) -> Any:
    """The ids of all customers, as text."""
    ids = buyers.select(customer=as_text(buyers["customer"]))
    return ids if customers is None else ids.union(customers.select("customer"), distinct=True)


def visitor_keys(salt: str, customers: Sequence[str]) -> pa.Array:
    """The key of each customer in the snapshot, unsigned 64 bits.

    Raises DataRefused if two customers have one key: one would be served as the other. (A chance of
    one in 370,000 for ten million customers; another salt, that is another store, parts them.)
    """
    keys = [visitor_key(salt, customer) for customer in customers]
    if len(set(keys)) < len(keys):
        first: dict[int, str] = {}
        both = next(
            (first[key], who)
            for key, who in zip(keys, customers, strict=True)
            if first.setdefault(key, who) != who
        )
        message = f"expected a key for every customer, got one for both of {' and '.join(both)}"
        raise DataRefused([Problem(code="collision", message=message, at=Position("customers"))])
    return pa.array(keys, pa.uint64())


def without(table: pa.Table, salt: str, erased: Collection[int]) -> pa.Table:
    """The rows of those who are not listed. table: has a column `customer`. erased: their keys."""
    if not erased:
        return table
    kept = [visitor_key(salt, who) not in erased for who in table["customer"].to_pylist()]
    return table.filter(pa.array(kept, pa.bool_()))


def _surveyed(feed: Feed, rows: Any, columns: Sequence[str]) -> dict[str, list[str]]:
    """The words of each column, sorted. Raises DataRefused for a customer in several rows."""
    words = {column: rows[column].collect(distinct=True) for column in columns}
    survey = rows.aggregate(__rows=rows.count(), __ids=rows["customer"].nunique(), **words)
    found = survey.to_pyarrow().to_pylist()[0]
    if found["__rows"] == found["__ids"]:
        return {column: sorted(found[column] or ()) for column in columns}
    counted = rows.group_by("customer").aggregate(n=ibis._.count())
    twice = counted.filter(counted["n"] > 1).order_by("customer")
    shown = twice.limit(3).to_pyarrow().to_pylist()
    examples = ", ".join(f"{row['customer']} in {row['n']}" for row in shown)
    message = f"expected every customer in one row, got {examples} rows"
    raise DataRefused([Problem(code="twice", message=message, at=feed.where())])


def _unknown(
    written: Written, name: str, mapping: dict[str, str | None], words: Sequence[str]
) -> list[Problem]:
    problems = []
    for word in words:
        if word not in mapping and OTHERS not in mapping:
            near = get_close_matches(word, mapping, 1)
            hint = f", did you mean {near[0]}?" if near else f" nor for {OTHERS}"
            message = f"expected an entry for {word} in the map of {name}, found none{hint}"
            place = ("customers", "traits", name, "map")
            problems.append(written.problem("unknown-word", message, *place))
    return problems


def _looked_up(column: Any, mapping: dict[str, str | None], words: Sequence[str]) -> Any:
    """The mapped words; null and unknown ones are absent."""
    others = mapping.get(OTHERS)
    known = [(word, mapping.get(word, others)) for word in words]
    branches = [(column == word, ibis.literal(value)) for word, value in known if value is not None]
    return ibis.cases(*branches) if branches else ibis.null("string")

"""A market of five customers: feeds small enough to reckon by hand, and their playbook."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from snapshots import keys
from snapshots.build.sources import Written, read_sources

NOW_S = 1_767_225_600  # 2026-01-01T00:00:00Z, a Thursday

SOURCES = """\
purchases:
  files: sales.parquet
  columns: {customer: who, order: slip, item: sku, at: when, amount: paid, quantity: n, saved: off}
  keep: {quantity: {min: 1, max: 50}, amount: {min: 0.01, max: 900}}
catalogue:
  files: goods.parquet
  columns: {item: sku}
  category:
    columns: [hall, shelf]
    map: {Food: {Bread: bakery, "*": pantry}, Pets: pet, Nursery: baby, Fuel: null}
customers:
  files: people.parquet
  columns: {customer: who}
  traits:
    tier: {column: tier}
    home: {column: lives, map: {own: owner, rent: renter, "*": null}}
interests: {line: 2.0, top: 2}
scores:
  weekly: double(purchases.weeks["90d"]) / 13.0
"""
PLAYBOOK = """\
name: market
slots: {hero: {default: hero/plain}}
attributes:
  traits.tier: {type: string}
  traits.home: {type: string}
  scores.weekly: {type: double}
sensitive_values: {category: [baby]}
signals: [{on: product_view, interest: {key: category, add: 1}}]
"""
SEGMENTS = """\
dormant: now - purchases.last_at > duration("720h")
pet_owner: orders_90d["pet"] >= 1
gold: traits.tier == "gold"
parent: lines_all["baby"] > 0
steady: scores.weekly > 0.1
"""
RULES = """\
- {id: pets, slot: hero, when: '"pet_owner" in segments', show: hero/pets}
"""
GOODS = [
    ("bread", "Food", "Bread"),
    ("beans", "Food", "Tins"),
    ("bone", "Pets", "Dogs"),
    ("nappy", "Nursery", None),
    ("petrol", "Fuel", None),
]
SALES = [  # who, slip, sku, when, paid, n, off
    (1, 10, "bread", "2025-12-31T12:00:00", 2.50, 1, 0.5),
    (1, 10, "beans", "2025-12-31T12:00:00", 1.10, 2, 0.0),
    (1, 11, "bone", "2025-12-20T09:30:00", 7.99, 1, 0.0),
    (1, 12, "bone", "2025-06-01T09:30:00", 7.99, 1, 0.01),
    (2, 20, "bread", "2025-10-01T08:00:00", 2.50, 1, 0.0),
    (2, 21, "nappy", "2024-02-29T08:00:00", 19.90, 1, 0.0),
    (3, 30, "petrol", "2025-12-30T08:00:00", 40.0, 31000, 0.0),
    (3, 31, "unknown", "2025-12-30T09:00:00", 3.33, 1, 0.0),
    (4, 40, "beans", "2026-01-01T00:00:01", 1.10, 1, 0.0),
    (4, 41, "beans", "2025-12-30T09:00:00", 1.10, 51, 0.0),
    (4, 42, "beans", "2025-12-30T09:00:00", 0.0, 1, 0.0),
    (None, 50, "beans", "2025-12-30T09:00:00", 1.10, 1, 0.0),
]
PEOPLE = [(1, "gold", "own"), (2, "tin", "boat"), (5, "gold", "rent"), (3, None, None)]
Row = tuple[Any, ...]


def sales(rows: list[Row] | None = None) -> pa.Table:
    who, slip, sku, when, paid, n, off = zip(*(SALES if rows is None else rows), strict=True)
    times = [None if each is None else datetime.fromisoformat(each) for each in when]
    return pa.table(
        {
            "who": pa.array(who, pa.int64()),
            "slip": pa.array(slip, pa.int64()),
            "sku": pa.array(sku, pa.string()),
            "when": pa.array(times, pa.timestamp("us")),
            "paid": pa.array(paid, pa.float64()),
            "n": pa.array(n, pa.int64()),
            "off": pa.array(off, pa.float64()),
        }
    )


def goods(rows: list[Row] | None = None) -> pa.Table:
    sku, hall, shelf = zip(*(GOODS if rows is None else rows), strict=True)
    return pa.table({"sku": sku, "hall": hall, "shelf": pa.array(shelf, pa.string())})


def people(rows: list[Row] | None = None) -> pa.Table:
    who, tier, lives = zip(*(PEOPLE if rows is None else rows), strict=True)
    return pa.table({"who": who, "tier": pa.array(tier), "lives": pa.array(lives)})


class Market:
    """A playbook's folder, a data folder, a store and keys below one folder."""

    def __init__(self, folder: Path) -> None:
        self.playbook, self.data = folder / "playbook", folder / "data"
        self.store, self.keys = folder / "store", folder / "keys"
        (self.playbook / "fragments" / "hero").mkdir(parents=True)
        self.data.mkdir()
        self.write("playbook.yaml", PLAYBOOK)
        self.write("segments.yaml", SEGMENTS)
        self.write("rules.yaml", RULES)
        self.write("sources.yaml", SOURCES)
        self.write("fragments/hero/plain.html", "<p>Hello</p>")
        self.write("fragments/hero/pets.html", "<p>Woof</p>")
        self.put("sales", sales())
        self.put("goods", goods())
        self.put("people", people())
        keys.write_keys(self.keys, keys.private_key(b"m" * 32, demo=True))

    def write(self, file: str, text: str) -> None:
        (self.playbook / file).write_text(text, encoding="utf-8")

    def sources(self, old: str = "", new: str = "") -> Written:
        """The sources as read, after a change to their text."""
        self.write("sources.yaml", (self.playbook / "sources.yaml").read_text().replace(old, new))
        return read_sources(self.playbook)

    def put(self, name: str, table: pa.Table) -> None:
        pq.write_table(table, self.data / f"{name}.parquet")

    def as_csv(self, name: str) -> None:
        """Turns a Parquet file into a CSV file of the same rows."""
        path = self.data / name
        with duckdb.connect() as connection:
            connection.execute(f"COPY (FROM '{path}.parquet') TO '{path}.csv' (HEADER)")
        path.with_suffix(".parquet").unlink()

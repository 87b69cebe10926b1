"""Event logs for the builder's tests: rows as an edge writes them, in a store in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ibis
import msgspec
import zstandard

from decisions.ledger import row_key, visitor_key
from decisions.lesson import Learning
from edge.sinks.row import Row, encode
from snapshots.build.ahead import given
from snapshots.build.interests import factors_of
from snapshots.build.sources import (
    Catalogue,
    CatalogueColumns,
    Interests,
    PurchaseColumns,
    Purchases,
    Sources,
    Written,
)
from snapshots.build.taught import Log, Taught, for_customers, learn
from snapshots.build.yaml12 import load
from snapshots.erased import Times
from snapshots.eventfiles import StoredEvents, path_of
from snapshots.store import MemoryStore

NOW_S = 1_767_225_600.0  # 2026-01-01T00:00:00Z
SALT = "5a17" * 4
ALL = ["functional", "analytics", "personalization"]
CUSTOMER = "Ann"


def row(id_: str, type_: str = "product_view", received: float = 0.0, **more: Any) -> Row:
    """A row of a visitor who is signed in as CUSTOMER, with all grants but `sensitive`."""
    said = {"visitor": row_key(SALT, "v"), "customer": key_of(CUSTOMER), "grants": ALL}
    return Row(id=id_, type=type_, received=received, **(said | more))


def key_of(customer: str) -> str:
    """How rows name a customer."""
    return f"{visitor_key(SALT, customer):016x}"


def stored(*files: Sequence[Row | bytes]) -> StoredEvents:
    """A store that holds these files."""
    store = MemoryStore()
    for number, rows in enumerate(files):
        text = b"".join(
            (each if isinstance(each, bytes) else encode(each)) + b"\n" for each in rows
        )
        packed = zstandard.ZstdCompressor().compress(text)
        store.create(path_of(NOW_S, f"paris-1-{number}.ndjson.zst"), packed)
    return StoredEvents(store)


def written(**interests: Any) -> Written:
    """A sources.yaml with these settings of interests."""
    sources = Sources(
        purchases=Purchases("p.csv", PurchaseColumns("c", "o", "i", "a", "m")),
        catalogue=Catalogue("c.csv", CatalogueColumns("i"), "k"),
        interests=Interests(**interests),
    )
    return Written(sources, load(msgspec.yaml.encode(sources).decode(), "sources.yaml"))


class Lessons:
    """What a builder learnt of a log."""

    def __init__(
        self, taught: Taught, rows: list[dict[str, Any]], left_out: dict[str, int]
    ) -> None:
        self.taught, self.left_out = taught, left_out
        self._rows = rows

    def of(self, customer: str = CUSTOMER) -> dict[str, float]:
        """Key → weight as of the next landmark."""
        found = [row for row in self._rows if row["customer"] == customer]
        return {row["key"]: row["weight"] for row in found}


def learnt(
    learning: Learning,
    files: StoredEvents,
    now_s: float,
    *,
    categories: Sequence[str] = (),
    customers: Iterable[str] = (CUSTOMER,),
    erased: Times | None = None,
    **interests: Any,
) -> Lessons:
    """What the builder learns of these files of these customers."""
    with engine() as connection:
        factors = given(connection, "factors", factors_of(learning.half_life_s))
        log = Log(files, SALT, erased or {})
        taught = learn(connection, log, learning, written(**interests), categories, factors, now_s)
        ids = ibis.memtable({"customer": list(customers)}, schema={"customer": "string"})
        named = for_customers(connection, taught, lambda: connection.to_pyarrow(ids))
        rows = connection.to_pyarrow(named.weights).to_pylist()
    names = (*categories, *taught.more)
    rows = [each | {"key": names[each["category"]]} for each in rows]
    return Lessons(taught, rows, named.left_out)


@contextmanager
def engine() -> Iterator[Any]:
    connection = ibis.duckdb.connect(threads=2)
    try:
        yield connection
    finally:
        connection.disconnect()

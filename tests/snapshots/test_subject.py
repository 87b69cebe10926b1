"""Whose rows these are: a customer's are those of every visitor who was that customer."""

from __future__ import annotations

import msgspec

from snapshots.eventfiles import StoredEvents, path_of
from snapshots.store import MemoryStore
from snapshots.subject import (
    Consented,
    Entered,
    Met,
    Row,
    consents,
    experiments,
    rows_about,
    visitors_of,
)

ANN, BOB = "a" * 16, "b" * 16


def files(*rows: Row) -> StoredEvents:
    store = MemoryStore()
    lines = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    store.create(path_of(0.0, "n-1-1.ndjson"), lines)
    return StoredEvents(store)


def row(received: float, visitor: str = "", customer: str = "", **more: object) -> Row:
    fields = {"id": str(received), "type": "seen", "received": received}
    return msgspec.convert(fields | {"visitor": visitor, "customer": customer} | more, Row)


def received(found: StoredEvents, hash_: str, visitors: frozenset[str]) -> list[float]:
    return [placed.row.received for placed in rows_about(found, hash_, visitors)]


def test_rows_from_before_a_sign_in_are_the_customers_too() -> None:
    found = files(row(1, "v1"), row(2, "v1", ANN), row(3, "v2"), row(4, customer=ANN), row(5))

    visitors = visitors_of(found, ANN)

    assert visitors == {"v1"}
    assert received(found, ANN, visitors) == [1, 2, 4]


def test_no_row_of_another_customer_is_told_whatever_visitor_it_names() -> None:
    found = files(row(1, "v1", ANN), row(2, "v1", BOB), row(3, BOB, ANN))

    assert received(found, ANN, frozenset({"v1"})) == [1, 3]
    assert received(found, "v1", frozenset()) == [1, 2]


def test_a_row_of_nobody_is_nobodys() -> None:
    assert received(files(row(1), row(2, "v1")), ANN, frozenset()) == []


def test_consent_is_told_in_spans() -> None:
    some = [
        row(3, grants=["analytics"], policy="p1"),
        row(1, grants=["analytics"], policy="p1"),
        row(2),
    ]

    assert consents(some) == [
        Consented(["analytics"], "p1", 1.0, 3.0, 2),
        Consented([], "", 2.0, 2.0, 1),
    ]


def test_an_experiment_is_told_by_phase_with_what_was_served_seen_and_acted_on() -> None:
    first, second = Met("hero", "offer", "a", 1), Met("hero", "offer", "a", 2)
    held = Met("hero", "all", "", 0, "control")
    rows = [
        msgspec.structs.replace(row(at), type=kind, x=met)
        for at, kind, met in [
            (9, "served", second), (1, "served", first), (2, "seen", first), (3, "purchase", first),
            (4, "served", held), (5, "served", Met("hero", "plain")),
        ]
    ]  # fmt: skip

    assert experiments([*rows, row(0)]) == [
        Entered("offer", "a", 1, "", 1.0, 1, 1, 1),
        Entered("", "", 0, "control", 4.0, 1, 0, 0),
        Entered("offer", "a", 2, "", 9.0, 1, 0, 0),
    ]

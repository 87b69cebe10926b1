from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions import consent
from edge.sinks.row import Row
from snapshots.build import eventrows
from snapshots.build.eventrows import COLUMNS, Told, tables
from snapshots.errors import Malformed
from snapshots.eventfiles import PACKED, rows_of
from tests.snapshots.build.eventlogs import NOW_S, row, stored


def test_rows_become_columns_in_the_order_in_which_they_are_read() -> None:
    log = stored([row("a", item="x"), row("b", grants=["sensitive", "unheard"])], [row("c")])
    found = [one for table in tables(log) for one in table.to_pylist()]
    assert [(one["id"], one["place"]) for one in found] == [("a", 0), ("b", 1), ("c", 2)]
    assert list(found[0]) == list(COLUMNS)
    assert (found[0]["item"], found[0]["type"]) == ("x", "product_view")
    assert found[1]["grants"] == consent.SENSITIVE


def test_files_of_hours_that_are_too_old_are_passed_over() -> None:
    assert list(tables(stored([row("a")]), from_s=NOW_S + 30 * 86_400.0)) == []


def test_a_file_of_many_rows_is_decoded_a_block_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventrows, "BLOCK_BYTES", 10_000)
    noise = random.Random(7)
    rows = [row(f"{noise.getrandbits(128):x}") for _ in range(2_000)]
    found = list(tables(stored(rows)))
    assert len(found) == 3
    assert [each for table in found for each in table["id"].to_pylist()] == [r.id for r in rows]
    assert [each for table in found for each in table["place"].to_pylist()] == [*range(2_000)]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"null", "expected a row of the event log: Expected `object`, got `null`"),
        (b"", "expected a row of the event log: Input data was truncated"),
        (b'{"id": "a"}', "missing required field `type`"),
        (b'{"id": "a", "type": "t", "received": 1} {}', "expected a row of the event log"),
        (b'{"id": "\xff", "type": "t", "received": 1}', "expected a row of the event log"),
        (b'{"id": "\\ud800", "type": "t", "received": 1}', "expected a row of the event log"),
        (b'{"id": "a", "type": "t", "received": 1e999}', "Number out of range"),
        (
            b'{"id": "a", "type": "t", "received": 1, "visitor": "somebody"}',
            "expected a hash of 16 hex digits, got 'somebody' for visitor",
        ),
        (
            b'{"id": "a", "type": "t", "received": 1, "customer": "00000000000000FF"}',
            "expected a hash of 16 hex digits, got '00000000000000FF' for customer",
        ),
    ],
)
def test_what_is_no_row_is_refused_with_file_and_line(line: bytes, what: str) -> None:
    log = stored([row("a"), row("b")], [row("c"), row("d"), line, row("e")])
    with pytest.raises(Malformed, match=what) as refused:
        list(tables(log))
    assert str(refused.value).endswith(f"paris-1-1{PACKED}:3")


WORDS = st.text(max_size=5)
ROWS = st.builds(
    row,
    WORDS,
    WORDS,
    st.floats(-1e18, 1e18),
    at=st.floats(allow_nan=False, allow_infinity=False),
    item=WORDS,
    category=WORDS,
    brand=WORDS,
    grants=st.lists(st.sampled_from([*consent.PURPOSES, "later"])),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(ROWS, max_size=8))
def test_columns_say_what_reading_row_by_row_says(rows: list[Row]) -> None:
    log = stored(rows)
    (path,) = (one.path for one in log.look())
    one_by_one = [msgspec.structs.asdict(each.row) for each in rows_of(log.read(path), path, Told)]
    for each in one_by_one:
        each["grants"] = consent.mask(name for name in each["grants"] if name != "later")
    columns = [one for table in tables(log) for one in table.to_pylist()]
    assert columns == [each | {"place": place} for place, each in enumerate(one_by_one)]

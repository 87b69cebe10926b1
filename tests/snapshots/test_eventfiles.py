from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
import zstandard

from snapshots import eventfiles
from snapshots.errors import Malformed, StoreUnavailable, TooLarge
from snapshots.eventfiles import (
    FolderEvents,
    Logged,
    Seen,
    StoredEvents,
    hour_of,
    open_events,
    path_of,
    read_rows,
    rows_of,
)
from snapshots.store import MemoryStore, open_writable
from tests.snapshots.bundles import NOW_S

NAME = "paris-2-1795000000.ndjson.zst"


def line(id_: str, type_: str = "article_read", received: float = NOW_S, **more: object) -> bytes:
    return json.dumps({"id": id_, "type": type_, "received": received} | more).encode() + b"\n"


def packed(*lines: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(b"".join(lines))


def ids(found: Iterable[eventfiles.Placed[Logged]]) -> list[str]:
    return [placed.row.id for placed in found]


def test_a_file_lies_in_the_utc_hour_of_its_first_row() -> None:
    path = path_of(NOW_S, NAME)
    assert path == f"events/dt=2026-11-18/hour=11/{NAME}"
    began_s = hour_of(path)
    assert began_s is not None
    assert 0.0 <= NOW_S - began_s < 3_600.0


@pytest.mark.parametrize(
    "path",
    [
        f"events/{NAME}",
        f"events/dt=2026-13-18/hour=06/{NAME}",
        f"events/dt=2026-11-18/hour=25/{NAME}",
        f"events/dt=2026-11-18/hour=06/deep/{NAME}",
        "events/dt=2026-11-18/hour=06/notes.txt",
    ],
)
def test_what_has_no_hour_or_another_name_is_no_event_file_of_a_store(path: str) -> None:
    assert hour_of(path) is None
    store = MemoryStore()
    store.create(path, b"of somebody")
    assert StoredEvents(store).look() == []


def test_rows_come_hour_by_hour_in_their_order_with_file_line_and_bytes() -> None:
    store = MemoryStore()
    store.create(path_of(NOW_S + 3_600, NAME), packed(line("late")))
    store.create(path_of(NOW_S, NAME), packed(line("b", visitor="v"), line("a")))
    found = list(read_rows(StoredEvents(store), Logged))
    assert ids(found) == ["b", "a", "late"]
    assert [(placed.file, placed.line) for placed in found[:2]] == [
        (path_of(NOW_S, NAME), 1),
        (path_of(NOW_S, NAME), 2),
    ]
    assert found[0].raw == line("b", visitor="v").rstrip()
    assert found[0].row == Logged(id="b", type="article_read", received=NOW_S, visitor="v")


def test_a_row_that_is_there_twice_comes_once() -> None:
    store = MemoryStore()
    store.create(path_of(NOW_S, NAME), packed(line("a"), line("b"), line("a")))
    twin = NAME.replace(".ndjson", f"-{'0' * 32}.ndjson")
    store.create(path_of(NOW_S, twin), packed(line("b"), line("c", received=NOW_S + 5)))
    repeated = packed(line("c", received=NOW_S + 9))  # a client that was not answered sends again
    store.create(path_of(NOW_S + 3_600, NAME), repeated)
    assert sorted(ids(read_rows(StoredEvents(store), Logged))) == ["a", "b", "c"]


def test_events_that_came_without_an_id_are_told_apart_by_all_that_they_say() -> None:
    rows = [line("", visitor="v", item=item) for item in ("a", "b", "a")]
    store = MemoryStore()
    store.create(path_of(NOW_S, NAME), packed(*rows, line("", visitor="v", received=NOW_S + 1)))
    assert len(list(read_rows(StoredEvents(store), Logged))) == 3


def test_an_id_of_one_visitor_says_nothing_of_anothers() -> None:
    data = packed(line("1", visitor="v"), line("1", visitor="w"), line("1"), line("1"))
    store = MemoryStore()
    store.create(path_of(NOW_S, NAME), data)
    visitors = [placed.row.visitor for placed in read_rows(StoredEvents(store), Logged)]
    assert visitors == ["v", "w", ""]


def test_decisions_of_one_second_for_nobody_in_particular_are_two() -> None:
    served = [line("x", "served", NOW_S + moment) for moment in (0.25, 0.5, 0.25)]
    store = MemoryStore()
    store.create(path_of(NOW_S, NAME), packed(*served))
    assert len(list(read_rows(StoredEvents(store), Logged))) == 2


def test_only_the_files_of_a_time_are_read() -> None:
    store = MemoryStore()
    for hours in range(-30, 3):
        id_ = str(hours)
        store.create(path_of(NOW_S + hours * 3_600, NAME), packed(line(id_)))
    found = ids(read_rows(StoredEvents(store), Logged, from_s=NOW_S, to_s=NOW_S + 60))
    assert found == [str(hours) for hours in range(-24, 1)]


def test_a_nodes_folder_and_a_store_that_is_one_are_read_the_same(tmp_path: Path) -> None:
    node = tmp_path / "cache" / "events"
    node.mkdir(parents=True)
    (node / "paris-2-1.ndjson").write_bytes(line("a") + line("b"))
    (node / "paris-2-1.ndjson.zst").write_bytes(packed(line("a") + line("b")))
    (node / "paris-2-2.ndjson.part").write_bytes(line("still written"))
    (node / "notes.ndjson").write_bytes(b"of somebody")
    for where in (node, tmp_path / "cache"):
        assert ids(read_rows(open_events(str(where)), Logged)) == ["a", "b"]
    store = open_writable(str(tmp_path / "store"))
    store.create(path_of(NOW_S, NAME), packed(line("c")))
    for events in (open_events(f"file://{tmp_path}/store"), StoredEvents(store)):
        assert ids(read_rows(events, Logged)) == ["c"]
        assert str(tmp_path / "store") in events.where


def test_a_place_that_cannot_be_listed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="expected a folder of event files, got nothing"):
        open_events(str(tmp_path / "nowhere")).look()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="expected a folder of event files, got a file"):
        open_events(str(tmp_path / "file")).look()
    with pytest.raises(StoreUnavailable, match="read-only origin"):
        open_events("https://example.com/store")
    with pytest.raises(StoreUnavailable, match="expected an event file, No such file"):
        FolderEvents(tmp_path).read("gone.ndjson")
    assert open_events("s3://bucket/path").where == "s3://bucket/path"


def test_a_file_that_no_node_wrote_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eventfiles, "MAX_FILE_BYTES", 3)
    (tmp_path / "a").write_bytes(b"123")
    (tmp_path / "b").write_bytes(b"1234")
    files = FolderEvents(tmp_path)
    assert files.read("a") == b"123"
    with pytest.raises(TooLarge, match="expected at most 3 bytes, got more - at b"):
        files.read("b")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (line("a") + b"{}\n", r"missing required field `id` - at f\.ndjson:2"),
        (line("a") + b"nonsense\n", r"expected a row of the event log: .* - at f\.ndjson:2"),
        (line("a") + b'{"id": "\xff"}\n', r"expected a row of the event log: .* - at f\.ndjson:2"),
        (line("a") + line("b")[:-1], r"expected a whole row, got one cut off - at f\.ndjson:2"),
        (line("a") * 9 + b"x" * 2_000_000, r"row of at most 1048576 bytes, got more.*:10"),
    ],
)
def test_what_is_no_row_is_refused_with_file_and_line(data: bytes, what: str) -> None:
    with pytest.raises(Malformed, match=what):
        list(rows_of(data, "f.ndjson", Logged))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "expected one zstd frame"),
        (b"not zstd", "expected a zstd frame: .* - at"),
        (packed(line("a"))[:-1], "expected one zstd frame, no more, no less - at"),
        (packed(line("a")) + b"\n", "expected one zstd frame, no more, no less - at"),
        (packed(line("a") * 99_999) + bytes(3_000), "expected one zstd frame, no more"),
        (packed(line("a")) * 2, "expected one zstd frame, no more, no less - at"),
    ],
)
def test_a_packed_file_that_is_broken_is_refused(data: bytes, what: str) -> None:
    with pytest.raises(Malformed, match=what):
        list(rows_of(data, NAME, Logged))


def test_a_file_that_inflates_without_end_is_refused_before_it_is_in_memory() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(200 * 2**20))
    with pytest.raises(Malformed, match="got more"):
        list(rows_of(bomb, NAME, Logged))


def test_what_is_remembered_of_rows_is_bounded() -> None:
    seen = Seen(most=2)
    rows = [Logged(id=str(number), type="t", received=0.0) for number in range(5)]
    assert [seen.is_new(row) for row in rows] == [True] * 5
    assert [seen.is_new(row) for row in reversed(rows)] == [False, False, False, True, True]

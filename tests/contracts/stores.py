"""What every store must do. An implementation's tests inherit a class and give its fixtures."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from snapshots import pauses
from snapshots.errors import AlreadyThere, DiskRefused, NotThere, StoreUnavailable, TooLarge
from snapshots.pauses import MAX_BYTES, Paused, Pauses, control_path, controls_prefix
from snapshots.pausing import change
from snapshots.store import ReadableStore, Store
from tests.snapshots.bundles import KEY, NOW_S

PATH = "channels/live.jws"
CONTROL, LISTS = control_path("live"), controls_prefix("live")
DATA = b"signed bytes"


class ReadableStoreContract:
    """What an edge counts on. Fixtures: `store`, `absent` (a store that is not there), and
    `written`, which puts bytes at PATH or another path, and may be called again to change them."""

    def test_what_was_written_is_read(self, store: ReadableStore, written: Written) -> None:
        written(DATA)
        assert store.read(PATH, 100) == DATA

    def test_a_path_with_nothing_there_is_named(self, store: ReadableStore) -> None:
        with pytest.raises(NotThere, match=r"expected parts/none in .*, found nothing") as refused:
            store.read("parts/none", 100)
        assert refused.value.path == "parts/none"
        with pytest.raises(NotThere):
            store.read_if_changed("parts/none", "", 100)

    def test_no_more_bytes_are_read_than_were_asked_for(
        self, store: ReadableStore, written: Written
    ) -> None:
        written(DATA)
        assert store.read(PATH, len(DATA)) == DATA
        with pytest.raises(TooLarge, match=f"expected at most {len(DATA) - 1} bytes"):
            store.read(PATH, len(DATA) - 1)

    def test_what_has_not_changed_is_not_read_again(
        self, store: ReadableStore, written: Written
    ) -> None:
        written(DATA)
        first = store.read_if_changed(PATH, "", 100)
        assert first and first.data == DATA
        assert first.etag
        assert store.read_if_changed(PATH, first.etag, 100) is None
        written(b"other bytes, longer")
        second = store.read_if_changed(PATH, first.etag, 100)
        assert second and second.data == b"other bytes, longer"

    def test_a_control_is_not_there_until_somebody_pauses_then_read_once_for_each_change(
        self, store: ReadableStore, written: Written
    ) -> None:
        written(DATA)  # the manifest beside it has a tag of its own
        manifest = store.read_if_changed(PATH, "", 100)
        with pytest.raises(NotThere) as refused:
            store.read_if_changed(CONTROL, "", MAX_BYTES)
        assert refused.value.path == CONTROL
        for data in (b"one list", b"another list, longer"):
            written(data, CONTROL)
            found = store.read_if_changed(CONTROL, "", MAX_BYTES)
            assert found and found.data == data
            assert found.etag
            assert store.read_if_changed(CONTROL, found.etag, MAX_BYTES) is None
        assert manifest
        assert store.read_if_changed(PATH, manifest.etag, 100) is None
        with pytest.raises(TooLarge):
            store.read_if_changed(CONTROL, "", 10)

    @pytest.mark.parametrize("start", [0, 1, 11, 12, 13])
    def test_what_comes_from_a_place_on_is_the_rest_and_nothing_beyond_the_end(
        self, start: int, store: ReadableStore, written: Written
    ) -> None:
        written(DATA)
        taken = bytearray()
        store.read_from(PATH, start, len(DATA), taken.extend)
        assert taken == DATA[start:]

    @pytest.mark.parametrize("start", [0, 5])
    def test_a_rest_that_makes_the_whole_too_large_is_refused(
        self, start: int, store: ReadableStore, written: Written
    ) -> None:
        written(DATA)
        with pytest.raises(TooLarge, match=f"expected at most {len(DATA) - 1} bytes"):
            store.read_from(PATH, start, len(DATA) - 1, bytearray().extend)

    @pytest.mark.parametrize("start", [0, 5])
    def test_the_rest_of_nothing_is_named(self, start: int, store: ReadableStore) -> None:
        with pytest.raises(NotThere, match=r"expected parts/none in "):
            store.read_from("parts/none", start, 100, bytearray().extend)

    def test_what_the_taker_raises_is_not_taken_for_the_stores_fault(
        self, store: ReadableStore, written: Written
    ) -> None:
        def full(piece: bytes) -> None:
            raise DiskRefused("expected room")

        written(DATA)
        with pytest.raises(DiskRefused):
            store.read_from(PATH, 0, 100, full)

    def test_a_store_says_where_it_is_without_secrets(self, store: ReadableStore) -> None:
        assert store.where
        assert "secret" not in store.where

    def test_a_store_that_is_not_there_is_one_clear_error(self, absent: ReadableStore) -> None:
        with pytest.raises(StoreUnavailable, match="expected"):
            absent.read(PATH, 100)


class StoreContract(ReadableStoreContract):
    """What a publisher counts on besides."""

    def test_a_path_is_created_once(self, store: Store) -> None:
        store.create(PATH, DATA)
        with pytest.raises(AlreadyThere, match=f"expected to be the first to write {PATH}"):
            store.create(PATH, b"late")
        assert store.read(PATH, 100) == DATA

    def test_of_many_who_create_a_path_at_once_one_wins(self, store: Store) -> None:
        def create(number: int) -> int | None:
            try:
                store.create(PATH, b"%d" % number)
            except AlreadyThere:
                return None
            return number

        with ThreadPoolExecutor(8) as threads:
            winners = [number for number in threads.map(create, range(16)) if number is not None]
        assert len(winners) == 1
        assert store.read(PATH, 100) == b"%d" % winners[0]

    def test_replacing_takes_what_is_there(self, store: Store) -> None:
        store.replace(PATH, DATA)
        store.replace(PATH, b"new")
        assert store.read(PATH, 100) == b"new"

    def test_a_folder_lists_what_lies_under_it_and_nothing_beside(self, store: Store) -> None:
        for path in ("channels/live/10.jws", "channels/live/2.jws", "channels/livelier/1.jws"):
            store.create(path, DATA)
        store.create(PATH, DATA)
        assert store.list("channels/live/") == ["channels/live/10.jws", "channels/live/2.jws"]
        assert store.list("parts/") == []

    def test_a_look_tells_sizes_and_when_each_was_written(self, store: Store) -> None:
        store.create("parts/one", b"12345")
        store.create(PATH, DATA)
        (one,) = store.look("parts/")
        assert (one.path, one.bytes) == ("parts/one", 5)
        assert abs(one.modified_s - time.time()) < 300.0
        store.replace("parts/one", b"123456")
        (again,) = store.look("parts/")
        assert again.bytes == 6
        assert again.modified_s >= one.modified_s

    def test_what_is_deleted_is_gone_and_may_be_created_again(self, store: Store) -> None:
        store.create(PATH, DATA)
        store.delete(PATH)
        store.delete(PATH)
        with pytest.raises(NotThere):
            store.read(PATH, 100)
        store.create(PATH, b"new")
        assert store.read(PATH, 100) == b"new"

    def test_lists_of_pauses_are_created_once_and_lie_apart_from_versions(
        self, store: Store
    ) -> None:
        version = "channels/live/1.jws"
        for path in (f"{LISTS}1.jws", f"{LISTS}2.jws", version, CONTROL, PATH):
            store.create(path, DATA)
        with pytest.raises(AlreadyThere, match=f"expected to be the first to write {LISTS}2"):
            store.create(f"{LISTS}2.jws", b"late")
        assert store.read(f"{LISTS}2.jws", 100) == DATA
        assert store.list(LISTS) == [f"{LISTS}1.jws", f"{LISTS}2.jws"]
        assert store.list("channels/live/") == [version]

    def test_of_many_who_pause_at_once_nobody_loses_a_change_and_edges_see_the_last(
        self, store: Store
    ) -> None:
        def pause(name: str) -> Pauses:
            stop = Paused(kind="rule", id=name, since_s=0)
            return change(store, "live", lambda paused: (*paused, stop), KEY, {}, now_s=NOW_S)

        names = [f"rule-{number}" for number in range(6)]
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(pause, names))

        found = pauses.verify(store.read(CONTROL, MAX_BYTES), KEY.public())
        assert (found.number, found.rules) == (6, frozenset(names))
        assert len(store.list(LISTS)) == 6
        pause("once more")
        assert pauses.verify(store.read(CONTROL, MAX_BYTES), KEY.public()).number == 7

    def test_bytes_of_any_size_come_back(self, store: Store) -> None:
        large = bytes(range(256)) * 30_000
        store.create("parts/large", large)
        store.create("parts/empty", b"")
        assert store.read("parts/large", len(large)) == large
        assert store.read("parts/empty", 0) == b""


class Written:
    """Puts bytes at a path, however that is done behind the store."""

    def __call__(self, data: bytes, path: str = PATH) -> None:
        raise NotImplementedError


class WrittenTo(Written):
    """Through the store itself."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __call__(self, data: bytes, path: str = PATH) -> None:
        self.store.replace(path, data)

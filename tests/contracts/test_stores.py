from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from snapshots.errors import NotThere
from snapshots.store import HttpStore, MemoryStore, ReadableStore, Store, open_store, open_writable
from tests.contracts.stores import PATH, ReadableStoreContract, StoreContract, Written, WrittenTo
from tests.snapshots.store.buckets import BUCKET
from tests.snapshots.store.origins import FileOrigin, NginxOrigin, Origin


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()

    @pytest.fixture
    def absent(self) -> ReadableStore:
        return MemoryStore()

    @pytest.fixture
    def written(self, store: Store) -> Written:
        return WrittenTo(store)


class TestFolderStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return open_writable(str(tmp_path / "store"))

    @pytest.fixture
    def absent(self, tmp_path: Path) -> ReadableStore:
        return open_store(str(tmp_path / "nowhere"))

    @pytest.fixture
    def written(self, store: Store) -> Written:
        return WrittenTo(store)


class TestFolderStoreByUrl(TestFolderStore):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return open_writable(f"file://{tmp_path}/by url")


@pytest.mark.needs("s3")
class TestBucket(StoreContract):
    @pytest.fixture
    def store(self, s3_url: str) -> Store:
        return open_writable(s3_url)

    @pytest.fixture
    def absent(self, s3_url: str) -> ReadableStore:
        return open_store(s3_url.replace(BUCKET, "no-such-bucket"))

    @pytest.fixture
    def written(self, store: Store) -> Written:
        return WrittenTo(store)


class WrittenBehind(Written):
    def __init__(self, origin: Origin) -> None:
        self.origin = origin

    def __call__(self, data: bytes, path: str = PATH) -> None:
        self.origin.put(path, data)


class TestHttpStore(ReadableStoreContract):
    @pytest.fixture
    def origin(self, tmp_path: Path) -> Origin:
        return FileOrigin(tmp_path)

    @pytest.fixture
    def store(self, origin: Origin) -> Iterator[ReadableStore]:
        address = origin.start().replace("http://", "http://user:secret@") + "/store"
        yield HttpStore(address)
        origin.stop()

    @pytest.fixture
    def absent(self) -> ReadableStore:
        return HttpStore("http://127.0.0.1:9")  # nobody listens there

    @pytest.fixture
    def written(self, origin: Origin) -> Written:
        return WrittenBehind(origin)


@pytest.mark.needs("nginx")
class TestHttpStoreBehindNginx(TestHttpStore):
    @pytest.fixture
    def origin(self, tmp_path: Path) -> Origin:
        return NginxOrigin(tmp_path)


def test_the_error_of_a_store_that_is_not_there_is_the_contracts_for_a_fake_too() -> None:
    with pytest.raises(NotThere):
        MemoryStore().read("channels/live.jws", 1)

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from snapshots.errors import AlreadyThere, StoreUnavailable
from snapshots.store import HttpStore, ObjectStore, open_store, open_writable


def test_an_address_says_what_kind_of_store_it_is(tmp_path: Path) -> None:
    assert isinstance(open_store("https://origin.test/edge"), HttpStore)
    assert isinstance(open_store(str(tmp_path)), ObjectStore)
    assert isinstance(open_store(f"file://{tmp_path}"), ObjectStore)
    assert isinstance(open_store("s3://bucket/prefix"), ObjectStore)


def test_an_unknown_kind_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(StoreUnavailable, match=r"expected a folder, .*, got ftp:// - at ftp://"):
        open_store("ftp://somewhere")


def test_nothing_can_be_published_to_an_origin() -> None:
    with pytest.raises(StoreUnavailable, match="got a read-only origin - at https://"):
        open_writable("https://origin.test")


def test_a_reader_makes_no_folder_and_says_what_to_do(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "typo"))
    with pytest.raises(StoreUnavailable, match=r"found no folder - at .*typo: publish into it"):
        store.read("channels/live.jws", 10)
    assert not (tmp_path / "typo").exists()


def test_a_reader_finds_a_store_that_comes_later(tmp_path: Path) -> None:
    reader = open_store(str(tmp_path / "store"))
    with pytest.raises(StoreUnavailable):
        reader.read("parts/a", 10)
    open_writable(str(tmp_path / "store")).create("parts/a", b"x")
    assert reader.read("parts/a", 10) == b"x"


def test_a_publisher_makes_the_folder_with_its_first_call_and_not_before(tmp_path: Path) -> None:
    store = open_writable(str(tmp_path / "a" / "store"))
    assert not (tmp_path / "a").exists()
    assert store.list("channels/") == []
    assert (tmp_path / "a" / "store").is_dir()


def test_a_file_where_the_folder_should_be_is_an_unavailable_store(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(StoreUnavailable, match="expected"):
        open_writable(str(tmp_path / "store")).list("channels/")


def test_a_folder_that_cannot_be_read_is_an_unavailable_store(tmp_path: Path) -> None:
    store = open_writable(str(tmp_path))
    (tmp_path / "parts").write_text("a file where a folder should be")
    with pytest.raises((StoreUnavailable, AlreadyThere)):
        store.create("parts/a", b"x")


def test_a_bucket_that_cannot_be_opened_is_an_unavailable_store() -> None:
    with pytest.raises(StoreUnavailable, match="expected an answer"):
        open_store("s3://").read("channels/live.jws", 10)


@pytest.mark.parametrize("opens", [open_store, open_writable])
@pytest.mark.parametrize("address", ["ftp://user:secret@host/x?key=secret", "ftp://[secret@::1"])
def test_an_address_that_is_refused_is_shown_without_its_secrets(
    opens: Callable[[str], object], address: str
) -> None:
    with pytest.raises(StoreUnavailable, match="expected a") as refused:
        opens(address)
    assert "secret" not in str(refused.value)


def test_what_a_publisher_is_told_of_an_origin_has_no_secret_in_it() -> None:
    with pytest.raises(StoreUnavailable, match=r"at https://origin\.test/a: publish"):
        open_writable("https://user:secret@origin.test/a?token=secret")


def test_a_bucket_says_where_it_is_without_secrets() -> None:
    assert ObjectStore("s3://key:secret@bucket/prefix?token=secret").where == "s3://bucket/prefix"


def test_a_folder_may_be_called_anything(tmp_path: Path) -> None:
    store = open_writable(str(tmp_path / "what?"))
    store.create("parts/a", b"x")
    assert store.where == str(tmp_path / "what?")
    assert open_store(store.where).read("parts/a", 1) == b"x"

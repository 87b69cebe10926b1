"""A URL in, a store out; nothing is contacted yet."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from urllib.request import url2pathname

from snapshots.errors import StoreUnavailable
from snapshots.store.objects import ObjectStore
from snapshots.store.origin import HttpStore
from snapshots.store.protocol import ReadableStore, Store, without_secrets

BUCKETS = {"s3", "s3a", "gs", "az", "adl", "abfs", "abfss", "azure"}


def open_store(url: str) -> ReadableStore:
    """The store at an address: a folder's path, `file://`, `http(s)://` (read-only), or a bucket.

    Raises StoreUnavailable for an address of no kind that is known.
    """
    if _split(url).scheme in ("http", "https"):
        return HttpStore(url)
    return _objects(url, make=False)


def open_writable(url: str) -> Store:
    """The store at an address that can be published to; a folder is made if it is missing.

    Raises StoreUnavailable for an address of no kind that can be written to.
    """
    if _split(url).scheme in ("http", "https"):
        raise StoreUnavailable(
            f"expected a store to write to, got a read-only origin - at {without_secrets(url)}: "
            "publish into the folder or the bucket behind it"
        )
    return _objects(url, make=True)


def _objects(url: str, *, make: bool) -> ObjectStore:
    parts = _split(url)
    if "://" not in url:
        return ObjectStore(Path(url).absolute(), make=make)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return ObjectStore(Path(url2pathname(parts.path)), make=make)
    if parts.scheme in BUCKETS:
        return ObjectStore(url)
    known = "a folder, file://, s3://, gs://, az:// or http(s)://"
    raise StoreUnavailable(f"expected {known}, got {parts.scheme}:// - at {without_secrets(url)}")


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        what = f"expected a store's address, {error} - at {without_secrets(url)}"
        raise StoreUnavailable(what) from None

"""Stores: where bundles live centrally. A path in, bytes out, and never more bytes than were asked.

Read in this order; a module imports only from the ones above it:

    protocol      what a store must do
    memory        in memory: the fake that passes the same contract
    objects       a folder, S3, GCS, Azure: through obstore
    origin        a read-only HTTP origin, through httpx
    opening       a URL in, a store out
"""

from __future__ import annotations

from snapshots.store.memory import MemoryStore
from snapshots.store.objects import ObjectStore
from snapshots.store.opening import open_store, open_writable
from snapshots.store.origin import HttpStore
from snapshots.store.protocol import Fetched, Listed, ReadableStore, Store, Take

__all__ = [
    "Fetched",
    "HttpStore",
    "Listed",
    "MemoryStore",
    "ObjectStore",
    "ReadableStore",
    "Store",
    "Take",
    "open_store",
    "open_writable",
]

"""The thread of a node that brings event files into the store: settings in, a status out.

It ends what dead workers left, keeps the folder within its bytes, and uploads. Whatever it waits
for, neither the syncer nor the admin listener waits with it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from edge.config import AUTO, Config
from snapshots.spool import Spool
from snapshots.store import ObjectStore, Store, open_store, open_writable
from snapshots.upload import Uploader, UploadStatus

PAUSE_S = 1.0  # between two looks at the folder
LAST_S = 5.0  # for the last files, after the workers have ended

_LOG = logging.getLogger("edgewise")


class Uploads:
    """Runs from `start` to `stop`. Raises StoreUnavailable for an address that takes no files."""

    def __init__(self, config: Config, clock: Callable[[], float] = time.time) -> None:
        self._uploader = Uploader(
            Spool(config.event_dir, config.log_bytes),
            destination(config),
            clock=clock,
            node=config.node_name,
        )
        self._stopping = threading.Event()
        self._until_s = float("inf")
        self._thread = threading.Thread(target=self._run, name="uploads", daemon=True)

    @property
    def status(self) -> UploadStatus:
        """How uploads go now."""
        return self._uploader.status

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Uploads what the workers left, for LAST_S at most; what is not done by then waits on the
        disk for the next start."""
        self._until_s = time.monotonic() + LAST_S
        self._stopping.set()
        self._thread.join(timeout=LAST_S)

    def _run(self) -> None:
        while not self._stopping.wait(PAUSE_S):
            self._pass(lambda: not self._stopping.is_set())
        self._pass(lambda: time.monotonic() < self._until_s, at_once=True)

    def _pass(self, goes_on: Callable[[], bool], *, at_once: bool = False) -> None:
        before = self.status.trouble
        try:
            self._uploader.once(at_once=at_once, goes_on=goes_on)
        except Exception:  # the shell of the thread: whatever it was, try again
            _LOG.exception("uploads failed in a way that they should not")
        if (trouble := self.status.trouble) not in ("", before):
            _LOG.warning("uploads: %s", trouble)


def destination(config: Config) -> Store | None:
    """Where event files go, None where they stay. Raises StoreUnavailable for an address, given by
    name, that cannot be written to."""
    if config.events != AUTO:
        return open_writable(config.events) if config.events else None
    store = open_store(config.store)
    if not isinstance(store, ObjectStore):  # an HTTP origin
        return None
    folder = Path(store.where)
    is_read_only = folder.is_dir() and not os.access(folder, os.W_OK)
    return None if is_read_only else store

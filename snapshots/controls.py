"""Follows a channel's control object: poll, verify, hold against the one before, keep on disk.

Beside the manifest and before it, so that a stop need not wait for a download. Whatever fails, what
is stopped stays stopped: nothing but a later list that was signed takes a pause away.
"""

from __future__ import annotations

from snapshots import pauses
from snapshots.errors import NotThere, SnapshotError
from snapshots.local import LocalCopy
from snapshots.pauses import MAX_BYTES, Pauses, control_path
from snapshots.store.protocol import ReadableStore


class Controls:
    """What one node obeys. obeyed: the list in force. trouble: why a newer one is not, or ""."""

    def __init__(self, store: ReadableStore, local: LocalCopy, channel: str) -> None:
        self._store, self._local, self._channel = store, local, channel
        self._etag = ""
        self.obeyed = Pauses(channel=channel)
        self.trouble = ""

    def start(self) -> None:
        """What was obeyed before this start. A list of a retired key, or of another channel, counts
        no more."""
        try:
            kept = self._local.control()
        except SnapshotError as error:
            self.trouble = f"{error.reason}: {error}"
            return
        if kept is not None and kept.channel == self._channel:
            self.obeyed = kept

    def once(self) -> None:
        """One look. Never raises what this package raises."""
        try:
            self._look()
        except SnapshotError as error:
            self.trouble = f"{error.reason}: {error}"
        else:
            self.trouble = ""

    def _look(self) -> None:
        try:
            found = self._store.read_if_changed(control_path(self._channel), self._etag, MAX_BYTES)
        except NotThere:  # nobody ever paused anything; or it was deleted, which ends no pause
            self._etag = ""
            return
        if found is None:
            return
        offered = pauses.verify(found.data, self._local.keys)
        known = self.obeyed if self.obeyed.number else None
        newer = pauses.accept(offered, known, channel=self._channel)
        if newer is not None:
            self._local.obey(found.data)
            self.obeyed = newer
        self._etag = found.etag

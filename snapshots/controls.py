"""Follows a channel's control object: poll, verify, hold against the one before, keep on disk.

Beside the manifest and before it, so that a stop need not wait for a download. Whatever fails, what
is stopped stays stopped: nothing but a later list that was signed takes a pause away.
"""

from __future__ import annotations

from snapshots import pauses, signing
from snapshots.errors import NotThere, SnapshotError, StoreUnavailable
from snapshots.local import LocalCopy
from snapshots.pauses import MAX_BYTES, Pauses, control_path
from snapshots.store.protocol import ReadableStore


class Controls:
    """What one node obeys. obeyed: the list in force. trouble: why a newer one is not, or ""."""

    def __init__(self, store: ReadableStore, local: LocalCopy, channel: str) -> None:
        self._store, self._local, self._channel = store, local, channel
        self._etag = ""
        self._signer = ""  # the id of the key that signed what is obeyed
        self._not_before_s = 0.0  # what the store asked for
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
            self.obeyed, self._signer = kept, self._local.control_signer()

    def once(self, now_s: float) -> None:
        """One look, unless the store asked to be left alone. Never raises what this package
        raises."""
        if now_s < self._not_before_s:
            return
        try:
            self._look()
        except SnapshotError as error:
            self.trouble = f"{error.reason}: {error}"
            if isinstance(error, StoreUnavailable) and error.retry_after_s:
                self._not_before_s = now_s + error.retry_after_s
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
        # A list of a key that was retired is obeyed on, and sets no floor: however far ahead a
        # stolen key has counted, the next one is heard.
        counts = self.obeyed.number and self._signer in self._local.keys
        known = self.obeyed if counts else None
        newer = pauses.accept(offered, known, channel=self._channel)
        if newer is not None:
            self._local.obey(found.data)
            self.obeyed, self._signer = newer, signing.signer(found.data)
        self._etag = found.etag

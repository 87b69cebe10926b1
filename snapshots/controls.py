"""Follows a channel's control object: poll, verify, hold against the one before, keep on disk.

Beside the manifest and apart from it: a stop waits for no download, and a control object that does
not come delays no version. Whatever fails, what is stopped stays stopped: nothing but a later list
that was signed takes a pause away.
"""

from __future__ import annotations

from snapshots import pauses, signing
from snapshots.errors import NotThere, SnapshotError, StoreUnavailable
from snapshots.local import LocalCopy
from snapshots.pauses import MAX_BYTES, Pauses, control_path
from snapshots.polling import INTERVAL_S, next_poll_s
from snapshots.store.protocol import ReadableStore


class Controls:
    """What one node obeys. obeyed: the list in force. trouble: why a newer one is not, or "".
    last_success_s: when a look last found nothing wrong, in seconds since the epoch."""

    def __init__(
        self,
        store: ReadableStore,
        local: LocalCopy,
        channel: str,
        *,
        node: str = "",
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._store, self._local, self._channel = store, local, channel
        self._name = f"{node} control"  # another share of the interval than the manifest's
        self._interval_s = interval_s
        self._etag = ""
        self._token = b""  # what is obeyed, as it was signed
        self._failures = 0  # of the store, since it answered last
        self.obeyed = Pauses(channel=channel)
        self.trouble = ""
        self.last_success_s = 0.0

    def start(self) -> None:
        """What was obeyed before this start. A list of a retired key, or of another channel, counts
        no more."""
        try:
            kept = self._local.control()
        except SnapshotError as error:
            self.trouble = f"{error.reason}: {error}"
            return
        if kept is not None and kept.channel == self._channel:
            self.obeyed, self._token = kept, self._local.control_token()

    def once(self, now_s: float) -> float:
        """One look; how long to wait before the next. Never raises what this package raises. Only a
        store that does not answer is left alone for longer: one whose list is refused is mended by
        the next list."""
        asked_s: float | None = None
        try:
            self._look()
        except StoreUnavailable as error:
            self.trouble, self._failures = f"{error.reason}: {error}", self._failures + 1
            asked_s = error.retry_after_s
        except SnapshotError as error:
            self.trouble, self._failures = f"{error.reason}: {error}", 0
        else:
            self.trouble, self._failures, self.last_success_s = "", 0, now_s
        return next_poll_s(self._name, self._interval_s, self._failures, asked_s)

    def _look(self) -> None:
        if self._token and not self._local.has_control():  # somebody cleared the cache
            self._local.obey(self._token)
        try:
            found = self._store.read_if_changed(control_path(self._channel), self._etag, MAX_BYTES)
        except NotThere:  # nobody ever paused anything; or it was deleted, which ends no pause
            self._etag = ""
            return
        if found is None:
            return
        keys = self._local.keys  # the manifest's loop may take new ones meanwhile
        offered = pauses.verify(found.data, keys)
        # A list of a key that was retired is obeyed on, and sets no floor: however far ahead a
        # stolen key has counted, the next one is heard.
        counts = self.obeyed.number and signing.signer(self._token) in keys
        known = self.obeyed if counts else None
        newer = pauses.accept(offered, known, channel=self._channel)
        if newer is not None:
            self._local.obey(found.data)
            self.obeyed, self._token = newer, found.data
        self._etag = found.etag

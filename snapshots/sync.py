"""The syncer: poll, trust, fetch, verify, open, point. One catch; the last good stays.

It lives in the node's process. Everything it believes comes from `signing`, `trust` and `bundle`;
it only carries bytes, in an order that loses nothing: parts, then the open, then the mark on disk,
then the pointer that workers follow. The control object is followed beside it (`controls`), by a
loop of its own: neither waits for the other.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from snapshots import signing
from snapshots.contents import passed_over, wanted
from snapshots.controls import Controls
from snapshots.download import download
from snapshots.errors import (
    DiskRefused,
    NotThere,
    SnapshotError,
    StoreUnavailable,
    Unreadable,
    Untrusted,
)
from snapshots.local import LocalCopy
from snapshots.manifest import LedgerRef, Manifest, channel_path
from snapshots.pauses import NO_PAUSES, Pauses
from snapshots.polling import INTERVAL_S, next_poll_s
from snapshots.snapshot import PathOf, open_snapshot
from snapshots.store.protocol import Fetched, ReadableStore
from snapshots.trust import Limits, accept
from snapshots.upgrade import upgrade

Opens = Callable[[Manifest, PathOf], object]


class Refusal(msgspec.Struct, frozen=True):
    """What was refused and why. reason: the slug of an error class. version: what was offered, 0
    if it could not be read."""

    reason: str
    what: str
    at_s: float
    version: int = 0


class SyncStatus(msgspec.Struct, frozen=True, kw_only=True):
    """All that an operator asks of a node's snapshots. Times in seconds since the epoch, 0 never.

    version, created_s, not_after_s, ledger: what is served, 0 and None for nothing. from_disk: it
    was opened from the local copy, and no store has confirmed it since the start. refused: the last
    attempt's error, None after a good one. failures: attempts since the last good one. pauses:
    the control object that is obeyed; control_trouble: why a newer one is not.
    """

    channel: str
    source: str
    version: int = 0
    created_s: int = 0
    not_after_s: int = 0
    ledger: LedgerRef | None = None
    stale: bool = False
    from_disk: bool = False
    highest_version: int = 0
    last_attempt_s: float = 0.0
    last_success_s: float = 0.0
    failures: int = 0
    refused: Refusal | None = None
    passed_over: tuple[str, ...] = ()
    next_poll_s: float = 0.0
    next_poll_at_s: float = 0.0
    pauses: Pauses = NO_PAUSES
    control_trouble: str = ""
    control_last_success_s: float = 0.0


class Syncer:
    """Keeps a local copy at the newest version of a channel that can be trusted.

    opens: tries what was fetched before it is trusted; whatever does not open is refused. controls:
    follows the control object; `once` of either may run while the other's does.
    """

    def __init__(
        self,
        store: ReadableStore,
        local: LocalCopy,
        *,
        channel: str,
        clock: Callable[[], float],
        node: str = "",
        interval_s: float = INTERVAL_S,
        limits: Limits | None = None,
        opens: Opens = open_snapshot,
    ) -> None:
        self.store, self.local, self.channel = store, local, channel
        self._clock, self._node, self._interval_s = clock, node, interval_s
        self._limits, self._opens = limits or Limits(), opens
        self._active: Manifest | None = None
        self._signer = ""  # the id of the key that signed it
        self._etag = ""
        self._offered = 0
        self._verified: set[str] = set()
        self._status = SyncStatus(channel=channel, source=store.where)
        self.controls = Controls(store, local, channel, node=node, interval_s=interval_s)

    @property
    def status(self) -> SyncStatus:
        """The state of things now; `stale` is judged by the clock at this moment."""
        stale = self._active is not None and self._active.is_stale(self._clock())
        return msgspec.structs.replace(
            self._status,
            stale=stale,
            pauses=self.controls.obeyed,
            control_trouble=self.controls.trouble,
            control_last_success_s=self.controls.last_success_s,
        )

    def start(self) -> SyncStatus:
        """What a node does first, without the store: take the pointer down, and put it up again if
        the copy that was trusted before is here, whole, and opens — even past its date."""
        now_s = self._clock()
        refused: SnapshotError | None = None
        try:
            self.local.prepare()
        except DiskRefused as error:  # read-only: the pointer stays up, so look at what it names
            refused = error
        self.controls.start()
        try:
            if refused is None or self.local.is_pointed():
                self._reopen()
        except SnapshotError as error:
            refused = refused or error
        if refused is not None:
            self._status = self._failed(refused, now_s, failures=0)
        return self.status

    def once(self) -> SyncStatus:
        """One attempt. Never raises what this package raises: the status tells."""
        now_s, self._offered = self._clock(), 0
        try:
            self._attempt(now_s)
        except SnapshotError as error:
            self._status = self._failed(error, now_s, self._status.failures + 1)
        else:
            self._status = self._succeeded(now_s)
        return self.status

    def _reopen(self) -> None:
        self.local.check_owners()
        manifest = self.local.trusted()
        if manifest is None or manifest.channel != self.channel:
            return
        if not all(self.local.verify(part) for part in wanted(manifest)):
            return  # `once` fetches what is missing
        self._verified.update(part.raw_sha256 for part in wanted(manifest))
        token = self.local.trusted_token()
        self.local.point(token)  # it opened before: workers need not wait
        try:
            self._opens(manifest, self.local.path_of)
        except SnapshotError:  # not with this release
            self.local.unpoint()
            raise
        self._serve(manifest, token, from_disk=True)

    def _attempt(self, now_s: float) -> None:
        trusted = self._trusted()
        whole = trusted is not None and trusted is self._active and self._is_whole(trusted)
        fetched = self._poll(self._etag if whole else "")
        if fetched is None:
            return
        offered = signing.verify(fetched.data, self.local.keys)
        self._offered = offered.version
        newer = accept(
            offered,
            trusted,
            channel=self.channel,
            now_s=now_s,
            limits=self._limits,
            highest=self.local.highest(self.channel),
        )
        if newer is not None or not whole:  # not whole: the same once more
            self._take(offered, fetched.data)
        self._etag = fetched.etag

    def _take(self, manifest: Manifest, token: bytes) -> None:
        """Everything between an accepted offer and workers that open it."""
        self.local.prune(coming=manifest)  # what was refused before must not fill the disk
        self._fetch(manifest)
        self._opens(manifest, self.local.path_of)
        self.local.trust(token)
        self.local.point(token)
        self._serve(manifest, token, from_disk=False)
        self.local.prune()

    def _is_whole(self, manifest: Manifest) -> bool:
        """Whether workers that start now find what is served: somebody may have cleared the
        cache."""
        return self.local.is_pointed() and all(map(self.local.has, wanted(manifest)))

    def _poll(self, etag: str) -> Fetched | None:
        path = channel_path(self.channel)
        try:
            return self.store.read_if_changed(path, etag, self._limits.manifest_bytes)
        except NotThere:
            advice = f"publish to the channel {self.channel}, or mend the address or the channel"
            raise NotThere(path, self.store.where, advice) from None

    def _trusted(self) -> Manifest | None:
        """What was trusted last, by a key that still counts; of the disk though its parts are
        gone, so that a node that lost them takes the same again, even past its date."""
        if self._active is not None and self._signer in self.local.keys:
            return self._active
        try:
            trusted = self.local.trusted()
        except (Untrusted, Unreadable):  # broken, of a retired key, or of a newer release
            return None
        return trusted if trusted and trusted.channel == self.channel else None

    def _fetch(self, manifest: Manifest) -> None:
        for part in wanted(manifest):
            if part.raw_sha256 in self._verified and self.local.has(part):
                continue
            if not self.local.verify(part) and not upgrade(
                self.store, self.local, part, manifest.patches
            ):
                download(self.store, self.local, part)
            self._verified.add(part.raw_sha256)

    def _serve(self, manifest: Manifest, token: bytes, *, from_disk: bool) -> None:
        self._active, self._signer = manifest, signing.signer(token)
        self._status = msgspec.structs.replace(
            self._status,
            version=manifest.version,
            created_s=manifest.created_s,
            not_after_s=manifest.not_after_s,
            ledger=manifest.ledger,
            from_disk=from_disk,
            highest_version=max(self.local.highest(self.channel), manifest.version),
            passed_over=passed_over(manifest),
        )

    def _succeeded(self, now_s: float) -> SyncStatus:
        return self._polled(now_s, 0, None, refused=None, from_disk=False, last_success_s=now_s)

    def _failed(self, error: SnapshotError, now_s: float, failures: int) -> SyncStatus:
        wait_s = error.retry_after_s if isinstance(error, StoreUnavailable) else None
        refused = Refusal(error.reason, str(error), now_s, self._offered)
        return self._polled(now_s, failures, wait_s, refused=refused)

    def _polled(
        self, now_s: float, failures: int, retry_after_s: float | None, **changes: object
    ) -> SyncStatus:
        wait_s = next_poll_s(self._node, self._interval_s, failures, retry_after_s)
        return msgspec.structs.replace(
            self._status,
            failures=failures,
            last_attempt_s=now_s,
            next_poll_s=wait_s,
            next_poll_at_s=now_s + wait_s,
            **changes,
        )

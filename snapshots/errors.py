"""What can go wrong between the store and the edge:

SnapshotError                 keep serving what you have
├── StoreUnavailable          try again later (carries retry_after_s)
│   └── NotThere              the store answers and has no such object (carries its path)
├── AlreadyThere              somebody else wrote it first: read again
│   └── LedgerMoved           another publisher grew the ledger: read it again and build again
├── DiskRefused               this node's disk is full, read-only or broken: mend the machine
├── Unreadable                a newer format than this version reads: upgrade this edge
├── Unwritable                a format that this version does not write: name another
├── KeysRefused               a key file cannot be used: mend it
├── Unapproved                a version that would change too much: look, and say so
├── DataRefused               feeds that nothing can be built from: mend them or sources.yaml
└── Untrusted                 never try these bytes again
    ├── Malformed             not what it claims to be: not a manifest, not a part
    ├── UnknownKey            signed by a key that is not, or no longer, ours
    ├── BadSignature          our key's name is on it, and the signature is wrong
    ├── WrongChannel          good, and meant for another channel
    ├── Rollback              older than what we trust
    ├── Conflict              the version we trust with other content, or another ledger than named
    ├── Expired               past its date when it was offered
    ├── TooLarge              more bytes or parts than the limits allow
    └── HashMismatch          a part's bytes are not those that the manifest names
"""

from __future__ import annotations

from collections.abc import Iterable

from decisions.errors import Problem


class SnapshotError(Exception):
    """The root of what this package raises on purpose.

    reason: a stable slug, one per class, for `/status`, logs and metrics.
    """

    reason = "snapshot"


class StoreUnavailable(SnapshotError):
    """The store does not answer as a store; retry_after_s is what it asked for, or None."""

    reason = "store-unavailable"

    def __init__(self, what: str, *, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(what)


class NotThere(StoreUnavailable):
    """The store answers, and has nothing under this path."""

    reason = "not-there"

    def __init__(self, path: str, where: str, advice: str = "") -> None:
        self.path = path
        tail = f": {advice}" if advice else ""
        super().__init__(f"expected {path} in {where}, found nothing there{tail}")


class AlreadyThere(SnapshotError):
    """A create-only write lost: the path is taken."""

    reason = "already-there"

    def __init__(self, path: str, where: str) -> None:
        self.path = path
        super().__init__(f"expected to be the first to write {path} in {where}, it is taken")


class LedgerMoved(AlreadyThere):
    """The ledger has grown since it was read; what was compiled against the old one is void."""

    reason = "ledger-moved"


class DiskRefused(SnapshotError):
    """This node's disk did not take or give back what the local copy needs."""

    reason = "disk-refused"


class Unreadable(SnapshotError):
    """Trusted bytes in a format that this version does not read."""

    reason = "unreadable-format"


class Unwritable(SnapshotError):
    """A part or a format that a publisher was told to write, and cannot."""

    reason = "unwritable-format"


class KeysRefused(SnapshotError):
    """A key file that is missing, malformed, or of the wrong kind."""

    reason = "keys-refused"


class DataRefused(SnapshotError):
    """Feeds that nothing can be built from; `problems` holds everything that is wrong with them."""

    reason = "data-refused"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.at))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Unapproved(SnapshotError):
    """A build that would change more than its policy allows; nothing was published."""

    reason = "unapproved"

    def __init__(self, version: int, too_much: Iterable[str]) -> None:
        self.too_much = tuple(too_much)
        lines = "".join(f"\n  {line}" for line in self.too_much)
        super().__init__(
            f"expected less to change from version {version}, got{lines}\n"
            "Nothing was published. Mend it, or publish it all the same with --approve."
        )


class Untrusted(SnapshotError):
    """Bytes that must not be served, however often they come."""

    reason = "untrusted"


class Malformed(Untrusted):
    """Bytes that are not what their name says."""

    reason = "malformed"


class UnknownKey(Untrusted):
    """The signature names a key that is not among ours."""

    reason = "unknown-key"


class BadSignature(Untrusted):
    """The signature does not fit the bytes, or is of a kind that we do not accept."""

    reason = "bad-signature"


class WrongChannel(Untrusted):
    """A manifest of another channel."""

    reason = "wrong-channel"


class Rollback(Untrusted):
    """A version below the highest that was ever trusted here, or one with an older ledger."""

    reason = "rollback"


class Conflict(Untrusted):
    """The version that is trusted here, with other content; to a publisher, a store whose ledger is
    not the one that its versions name."""

    reason = "conflict"


class Expired(Untrusted):
    """An offer past its date."""

    reason = "expired"


class TooLarge(Untrusted):
    """More bytes or parts than the limits, or the manifest itself, allow."""

    reason = "too-large"


class HashMismatch(Untrusted):
    """Bytes whose SHA-256 is not the one that the manifest names."""

    reason = "hash-mismatch"

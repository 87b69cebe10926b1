"""What can go wrong at the edge, and what to do about it:

EdgeError                  the root; never raised itself
├── SettingError           mend the command line, the environment or the settings file
├── CannotServe            mend the machine: a port that is taken, a folder in use, keys missing
├── NotKept                mend the disk: an erasure was not promised
└── Refused                mend the request (carries what an RFC 9457 problem document says)
"""

from __future__ import annotations


class EdgeError(Exception):
    """The root of what this package raises on purpose."""


class SettingError(EdgeError):
    """A setting that does not exist or cannot have this value; says where it was given."""


class CannotServe(EdgeError):
    """The node cannot start, and says what it found and what it needs."""


class NotKept(EdgeError):
    """An erasure could not be written to this node's disk: nothing was promised."""


class Refused(EdgeError):
    """A request that gets a problem document instead of its reply.

    code: the last word of the problem's `type`, a stable slug. detail: what was expected, what
    came, where. retry_after_s: > 0 where waiting helps. challenge: which credential would help
    (RFC 6750), "" for none.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, retry_after_s: int = 0, challenge: str = ""
    ) -> None:
        self.status, self.code, self.detail = status, code, detail
        self.retry_after_s, self.challenge = retry_after_s, challenge
        super().__init__(detail)

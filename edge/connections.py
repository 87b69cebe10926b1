"""How many connections a worker holds, and whether replies end theirs so that others get a turn.

A server that has as many as it takes lets nobody else in until one of them ends, and a proxy keeps
its own for as long as it can. So a worker that is nearly full ends each with its next reply. Those
on which nobody asks are not closed here: the server does that, when they have idled too long.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

SHORT = "edgewise_connections_short_total"
CLOSE = (b"connection", b"close")
FULL = 7 / 8  # of what a worker takes; the rest is for those who come until the next look
OWN_FILES = 256  # that a worker may hold besides: parts, logs, sockets of its own
_OPEN = Path("/proc/self/fd")


class Connections:
    """Of one worker, counted by the files that it opened since this was made."""

    __slots__ = ("_count", "_many", "are_short")

    def __init__(self, most: int, count: Callable[[], int] | None = None) -> None:
        """most: that the server takes. count: of open files."""
        self._count = count or open_files
        self._many = most * FULL + self._count()
        self.are_short = False

    def look(self) -> bool:
        """Whether they are short now; for Edge to know until the next look."""
        self.are_short = self._count() > self._many
        return self.are_short


def open_files(where: Path = _OPEN) -> int:
    """Of this process; 0 where the system does not say."""
    try:
        return where.stat().st_size or sum(1 for _ in where.iterdir())  # Linux < 6.2 only lists
    except OSError:
        return 0


def room_for(most: int) -> int:
    """How many connections each worker can have, at most this many: every one is an open file, and
    the limit of those is raised as far as the system lets a process raise its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + OWN_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return most if soft == resource.RLIM_INFINITY else max(1, min(most, soft - OWN_FILES))

"""Who asks and how much in; whether that is within their limit out."""

from __future__ import annotations

from collections.abc import Callable

from cachetools import LRUCache

WINDOW_S = 60


class RateLimit:
    """A leaky bucket for each client address: so many events at once, and as many a minute after
    that. The addresses that are remembered are bounded; who was silent longest is forgotten."""

    def __init__(self, per_minute: int, most_clients: int, clock: Callable[[], float]) -> None:
        """clock: seconds, monotonic or not; a jump forward forgives, a jump back does not hurt."""
        self._most, self._leak, self._clock = per_minute, per_minute / WINDOW_S, clock
        # Client -> how full its bucket was, and when.
        self._buckets: LRUCache[str, tuple[float, float]] = LRUCache(most_clients)

    def is_spent(self, client: str) -> bool:
        """Whether not one more is within the limit."""
        return self._level(client, self._clock()) + 1 > self._most

    def allows(self, client: str, events: int) -> bool:
        """Whether this many more are within the limit; if so they are counted."""
        now_s = self._clock()
        level = self._level(client, now_s) + events
        if level > self._most:
            return False
        self._buckets[client] = level, now_s
        return True

    def _level(self, client: str, now_s: float) -> float:
        level, at_s = self._buckets.get(client, (0.0, now_s))
        return max(0.0, level - self._leak * max(0.0, now_s - at_s))

"""The parts that routes share, made once by `app.create_app`, and two that are theirs alone.

RateLimit bounds what one client may send; Complaints says what went wrong inside without saying it
ten thousand times a second.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import LRUCache, TTLCache

from edge.config import Config
from edge.connections import Connections
from edge.erasures import Erasures
from edge.exchange import Scope
from edge.exposure import Exposures
from edge.fresh import FreshFacts
from edge.intake import Intake
from edge.metrics import Metrics
from edge.previews import Previews
from edge.proxies import Proxies, household
from edge.reception import Reception
from edge.refresh import Served
from edge.sinks.sink import Sink

DECIDE = "edgewise_decide_seconds"
ERRORS = 'edgewise_errors_total{{where="{}"}}'
WINDOW_S = 60
SILENCE_S = 60

_LOG = logging.getLogger("edgewise")


class RateLimit:
    """A leaky bucket for each client address: so many events at once, and as many a minute after
    that. The addresses that are remembered are bounded; who was silent longest is forgotten."""

    def __init__(self, per_minute: int, most_clients: int, clock: Callable[[], float]) -> None:
        """clock: seconds, monotonic or not; a jump forward forgives, a jump back does not hurt."""
        self._most, self._leak, self._clock = per_minute, per_minute / WINDOW_S, clock
        # Client -> how full its bucket was, and when.
        self._buckets: LRUCache[str, tuple[float, float]] = LRUCache(most_clients)

    def allows(self, client: str, events: int) -> bool:
        """Whether this many more are within the limit; if so they are counted."""
        now_s = self._clock()
        level, at_s = self._buckets.get(client, (0.0, now_s))
        level = max(0.0, level - self._leak * max(0.0, now_s - at_s)) + events
        if level > self._most:
            return False
        self._buckets[client] = level, now_s
        return True


class Complaints:
    """Errors that must not fall through to a visitor: counted always, logged once a minute each."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._metrics = metrics
        self._said: TTLCache[tuple[str, str], bool] = TTLCache(256, SILENCE_S, timer=clock)

    def about(self, where: str, error: BaseException) -> None:
        """Counts it, and logs it with its traceback unless that was done within a minute."""
        self._metrics.count(ERRORS.format(where))
        kind = (where, type(error).__name__)
        if kind not in self._said:
            self._said[kind] = True
            _LOG.error("%s failed and was answered without: %r", where, error, exc_info=error)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a route may use. took: counts the nanoseconds that deciding took."""

    config: Config
    clock: Callable[[], float]
    proxies: Proxies
    served: Served
    reception: Reception
    exposures: Exposures
    previews: Previews
    fresh: FreshFacts
    intake: Intake
    sink: Sink
    metrics: Metrics
    took: Callable[[int], None]
    limit: RateLimit
    erasures: Erasures
    complaints: Complaints
    connections: Connections

    def allows(self, scope: Scope, headers: dict[bytes, bytes], events: int) -> bool:
        """Whether who asks may send this many events more."""
        return self.limit.allows(household(self.proxies.client(scope, headers)), events)

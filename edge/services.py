"""The parts that routes share, made once by `app.create_app`, and two that are theirs alone.

RateLimit bounds what one client may send; Complaints says what went wrong inside without saying it
ten thousand times a second.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import TTLCache

from edge.config import Config
from edge.exchange import Scope, client_address
from edge.exposure import Exposures
from edge.intake import Intake
from edge.metrics import Metrics
from edge.previews import Previews
from edge.refresh import Served
from edge.sinks.sink import Sink
from edge.visit import Reception

DECIDE = "edgewise_decide_seconds"
ERRORS = 'edgewise_errors_total{{where="{}"}}'
WINDOW_S = 60
SILENCE_S = 60

_LOG = logging.getLogger("edgewise")


class RateLimit:
    """How many events a client sent in this minute of the clock; the addresses that are remembered
    are bounded: the one that came first goes."""

    def __init__(self, per_minute: int, most_clients: int, clock: Callable[[], float]) -> None:
        """clock: seconds, monotonic or not; a jump, forward or back, forgives."""
        self._per_minute, self._most, self._clock = per_minute, most_clients, clock
        self._minute, self._spent = 0.0, dict[str, int]()

    def allows(self, client: str, events: int) -> bool:
        """Whether this many more are within the limit; if so they are counted."""
        minute, spent = self._clock() // WINDOW_S, self._spent
        if minute != self._minute:
            self._minute = minute
            spent.clear()
        total = spent.get(client, 0) + events
        if total > self._per_minute:
            return False
        if client not in spent and len(spent) >= self._most:
            del spent[next(iter(spent))]
        spent[client] = total
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
    """Everything a route may use. took: counts the seconds that deciding took."""

    config: Config
    clock: Callable[[], float]
    served: Served
    reception: Reception
    exposures: Exposures
    previews: Previews
    intake: Intake
    sink: Sink
    metrics: Metrics
    took: Callable[[float], None]
    limit: RateLimit
    complaints: Complaints

    def allows(self, scope: Scope, headers: dict[bytes, bytes], events: int) -> bool:
        """Whether who asks may send this many events more."""
        client = client_address(scope, headers, self.config.trusted_proxies)
        return self.limit.allows(client, events)

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
    """How many events a client sent in this minute; the addresses that are remembered are
    bounded."""

    def __init__(self, per_minute: int, most_clients: int, clock: Callable[[], float]) -> None:
        """clock: seconds, monotonic or not; a jump forward forgives, a jump back does not hurt."""
        self._per_minute = per_minute
        self._spent: TTLCache[str, list[int]] = TTLCache(most_clients, WINDOW_S, timer=clock)

    def allows(self, client: str, events: int) -> bool:
        """Whether this many more are within the limit; if so they are counted."""
        spent = self._spent.get(client)
        if spent is None:
            spent = self._spent[client] = [0]
        if spent[0] + events > self._per_minute:
            return False
        spent[0] += events
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

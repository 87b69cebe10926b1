"""The parts that routes share, made once by `app.create_services`, and one that is theirs alone.

Complaints says what went wrong inside without saying it ten thousand times a second.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import TTLCache

from edge.callers import Callers
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
from edge.ratelimit import RateLimit
from edge.reception import Reception
from edge.refresh import Served
from edge.sinks.sink import Sink

DECIDE = "edgewise_decide_seconds"
ERRORS = 'edgewise_errors_total{{where="{}"}}'
SILENCE_S = 60

_LOG = logging.getLogger("edgewise")


class Complaints:
    """Errors that must not fall through to a visitor: counted always, logged once a minute each, by
    type and place alone. What an error says may be about a visitor: an id, a cookie, a product."""

    def __init__(
        self, metrics: Metrics, clock: Callable[[], float], *, verbatim: bool = False
    ) -> None:
        """verbatim: whether what they say is logged, too; on a developer's machine it is."""
        self._metrics, self._verbatim = metrics, verbatim
        self._said: TTLCache[tuple[str, str], bool] = TTLCache(256, SILENCE_S, timer=clock)

    def about(self, where: str, error: BaseException) -> None:
        """Counts it, and logs it with its traceback unless that was done within a minute."""
        self._metrics.count(ERRORS.format(where))
        kind = (where, type(error).__name__)
        if kind not in self._said:
            self._said[kind] = True
            told = error if self._verbatim else None
            _LOG.error(
                "%s failed and was answered without: %s", where, _placed(error), exc_info=told
            )


def _placed(error: BaseException) -> str:
    """Types and lines of code: of what an error came of first, then its own."""
    found: list[str] = []
    known: list[BaseException] = []  # an error may be its own cause
    cause: BaseException | None = error
    while cause is not None and cause not in known:
        known.append(cause)
        places = map(str.rstrip, traceback.format_tb(cause.__traceback__))
        found.append("\n".join([type(cause).__name__, *places]))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\nwhich led to ".join(reversed(found))


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
    callers: Callers
    erasures: Erasures
    complaints: Complaints
    connections: Connections

    def allows(self, scope: Scope, headers: dict[bytes, bytes], events: int) -> bool:
        """Whether who asks may send this many events more."""
        return self.limit.allows(household(self.proxies.client(scope, headers)), events)

"""GET and PUT v1/consent: what is granted, and a new choice, which takes effect at once.

A TC string that is older than the choice there, or says the same, changes nothing and is no error.
Every new choice goes into the log, whatever is granted; a client that makes too many of them is
refused what it would add, and never what it takes back.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import msgspec

from edge import answers, choosing, exchange, wire
from edge.cookies import Choice
from edge.errors import Refused
from edge.exchange import Reply, Scope
from edge.ratelimit import WINDOW_S
from edge.services import Services

COST = 2  # events that one choice counts as: it leaves so many rows
CHOICES = 'edgewise_choices_total{{log="{}"}}'


def read(services: Services, _: Scope, headers: dict[bytes, bytes], __: bytes) -> Reply:
    """What is granted now."""
    started_ns = time.perf_counter_ns()
    return _told(services, headers, services.reception.choice(headers), started_ns)


def write(services: Services, scope: Scope, headers: dict[bytes, bytes], body: bytes) -> Reply:
    """Stores a choice; what it takes back leaves the profile, or the profile goes. A bot chooses
    nothing. Raises Refused."""
    exchange.check_may_write(headers, services.config.origins)
    asked, grants = wire.consent_body(body)
    started_ns = time.perf_counter_ns()
    if services.reception.is_bot(headers):
        return _told(services, headers, services.reception.choice(headers), started_ns)
    before, now_s = services.reception.choice(headers), services.clock()
    choice = _chosen(services, asked, grants, before, now_s)
    cookies: list[bytes] = []
    if choice is not before:
        is_logged = _is_logged(services, scope, headers, choice.grants & ~before.grants)
        fresh = services.intake.fresh_id(now_s)
        cookies, who = services.reception.choose(choice, headers, services.served.current, fresh)
        services.metrics.count((CHOICES, "written" if is_logged else "limited"))
        if is_logged:
            denied = services.reception.terms.denied(headers)
            services.intake.agree(choice, who, now_s, asked.tcf or "", denied)
    return _told(services, headers, choice, started_ns, cookies)


def _chosen(
    services: Services, asked: wire.ConsentBody, grants: int, before: Choice, now_s: float
) -> Choice:
    """The choice that counts from now on; `before` itself where nothing changes. Raises Refused."""
    config = services.config
    policy = asked.policy or config.policy
    if asked.tcf is msgspec.UNSET:
        return Choice(grants, now_s, asked.how, policy)
    return choosing.from_tc_string(
        asked.tcf,
        before,
        vendor=config.tcf_vendor,
        policy=policy,
        days=config.consent_days,
        now_s=now_s,
        is_told=bool(asked.policy),
    )


def _is_logged(services: Services, scope: Scope, headers: dict[bytes, bytes], adds: int) -> bool:
    """Whether a choice is written to the log: a client has so many. Raises Refused for one more
    that adds a grant."""
    if services.allows(scope, headers, COST):
        return True
    if adds:
        most = services.config.events_per_minute // COST
        raise Refused(
            429, "too-many-events", f"expected at most {most} a minute", retry_after_s=WINDOW_S
        )
    return False


def _told(
    services: Services,
    headers: dict[bytes, bytes],
    choice: Choice,
    started_ns: int,
    cookies: Iterable[bytes] = (),
) -> Reply:
    told = answers.granted(services, headers, choice)
    return answers.json_reply(services, told, started_ns, cookies)

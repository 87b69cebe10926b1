"""GET and PUT v1/consent: what is granted, and a new choice, which takes effect at once.

A TC string that is older than the choice there is changes nothing, and is no error.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import msgspec

from edge import answers, choosing, exchange, wire
from edge.cookies import NO_CHOICE, Choice
from edge.exchange import Reply, Scope
from edge.services import Services


def read(services: Services, _: Scope, headers: dict[bytes, bytes], __: bytes) -> Reply:
    """What is granted now."""
    started_ns = time.perf_counter_ns()
    return _told(services, headers, services.reception.choice(headers), started_ns)


def write(services: Services, _: Scope, headers: dict[bytes, bytes], body: bytes) -> Reply:
    """Stores a choice; what it takes back leaves the profile, or the profile goes. A bot chooses
    nothing. Raises Refused."""
    exchange.check_may_write(headers, services.config.origins)
    asked, grants = wire.consent_body(body)
    started_ns = time.perf_counter_ns()
    if services.reception.is_bot(headers):
        return _told(services, headers, NO_CHOICE, started_ns)
    config, now_s = services.config, services.clock()
    policy = asked.policy or config.policy
    choice = Choice(grants, now_s, asked.how, policy)
    if asked.tcf is not msgspec.UNSET:
        before = services.reception.choice(headers)
        choice = choosing.from_tc_string(
            asked.tcf,
            before,
            vendor=config.tcf_vendor,
            policy=policy,
            days=config.consent_days,
            now_s=now_s,
        )
        if choice is before:
            return _told(services, headers, choice, started_ns)
    cookies = services.reception.choose(choice, headers, services.served.current)
    return _told(services, headers, choice, started_ns, cookies)


def _told(
    services: Services,
    headers: dict[bytes, bytes],
    choice: Choice,
    started_ns: int,
    cookies: Iterable[bytes] = (),
) -> Reply:
    told = answers.granted(services, headers, choice)
    return answers.json_reply(services, told, started_ns, cookies)

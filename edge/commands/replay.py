"""`edgewise replay X --facts FILE --store URL`: a decision made once more from its `x` token.

Offline: the token opens with the cookie keys, its snapshot comes from the store, its moment and
place are its own. What it cannot carry is given: the facts with their grants (their digest is in
the token), the visitor's id, what caps had counted, and what else stood on the page. Some of it
stands in the event log, if that is named: the grants, what was seen, and the moment itself.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from decisions.engine import Decision
from decisions.events import SEEN, SERVED
from decisions.experiments import Units
from decisions.explain import because, why_not
from decisions.facts import Facts
from decisions.lesson import Learning
from edge.commands.decide import GRANTS, read_facts, read_grants, read_moment
from edge.errors import EdgeError, SettingError
from edge.exposure import NO_VISITOR, Exposure, Exposures, visitor_hash
from edge.keyring import KeyFile
from edge.published import Published, keys_in
from edge.refresh import Names
from edge.sinks.row import Decided, Row
from edge.tokens import Refusal
from edge.worker import COOKIE_FILE
from snapshots.errors import NotThere
from snapshots.eventfiles import open_events, read_rows

ALMOST_S = 0.999999  # a token says the second of a decision, not its fraction


class NotReplayed(EdgeError):
    """This token, or these facts, cannot give the decision again; the message says which."""


class Logged(NamedTuple):
    """What the event log knows of a decision. moments: the one it was made at, or none. seen: what
    the visitor saw within the longest window of a cap."""

    grants: Sequence[str]
    moments: Sequence[float] = ()
    seen: Sequence[tuple[str, float]] = ()


UNLOGGED = Logged(GRANTS.split(","))


def configure(parser: argparse.ArgumentParser) -> None:
    """Which decision, and what the token does not carry."""
    parser.add_argument("x", metavar="X", help="the token of the decision")
    parser.add_argument(
        "--facts", metavar="FILE", required=True, help="its facts as YAML or JSON, - for stdin"
    )
    parser.add_argument("--store", metavar="URL", required=True, help="where its snapshot is")
    parser.add_argument(
        "--keys", metavar="DIR", required=True, help=f"the site's keys: {COOKIE_FILE} opens tokens"
    )
    parser.add_argument("--channel", default="live", help="of the store (default live)")
    parser.add_argument(
        "--events", metavar="WHERE", help="event files, a folder or a store, that have its row"
    )
    parser.add_argument(
        "--grants", help=f"granted purposes, comma-separated (default: the row's, or {GRANTS})"
    )
    parser.add_argument("--visitor", default="", help="the visitor's id, to split experiments by")
    parser.add_argument("--customer", default="", help="the customer's id in 16 hex digits")
    parser.add_argument("--session", default="", help="the session's id")
    parser.add_argument(
        "--seen", metavar="RULE=TIME", action="append", default=[], help="seen before, for caps"
    )
    parser.add_argument(
        "--held", metavar="RULE", action="append", default=[], help="held by the session"
    )
    parser.add_argument(
        "--on-page", metavar="FRAGMENT", action="append", default=[], help="shown by other slots"
    )


def run(arguments: argparse.Namespace) -> int:
    """Says what was decided then, and what comes of it now; 1 unless it is the same."""
    exposure = _opened(arguments)
    published = _published(arguments, exposure.version)
    program = published.program()
    try:
        then = Names(program).decided(exposure)
    except IndexError:
        raise NotReplayed(f"version {exposure.version} has no such slot, rule or variant") from None
    _check_visitor(arguments.visitor, exposure)
    given = read_facts(arguments.facts, program, exposure.at_s)
    logged = _logged(arguments, exposure, program.learning) if arguments.events else UNLOGGED
    granted = ",".join(logged.grants) if arguments.grants is None else arguments.grants
    grants = read_grants(granted)
    seen = [*_seen(arguments.seen, exposure, program.timezone), *logged.seen]
    units = Units(visitor=arguments.visitor, customer=arguments.customer, session=arguments.session)
    asked = {
        "unit": units,
        "seen": seen,
        "stale": published.manifest.is_stale(exposure.at_s),
        "held": arguments.held,
        "shown": arguments.on_page,
    }
    print(f"then: {_named(then)}, version {then.snapshot}, {_date(exposure.at_s)}")
    for moment_s in logged.moments or (exposure.at_s, exposure.at_s + ALMOST_S):
        facts = program.facts(given, grants, moment_s)
        _check_facts(facts, exposure)
        decision = program.decide(then.slot, facts, explain=True, **asked)
        if _is_same(decision, then):
            print(f"reproduced: {because(program, decision, facts)}")
            return 0
    print(f"not reproduced: {because(program, decision, facts)}")
    if then.rule:
        for sentence in why_not(program, then.rule, decision, facts, **asked).sentences[:-1]:
            print(f"  {sentence}")
    return 1


def _opened(arguments: argparse.Namespace) -> Exposure:
    ring = KeyFile(Path(arguments.keys) / COOKIE_FILE).ring
    opened = Exposures(lambda: ring, max_age_s=math.inf).open(arguments.x, time.time())
    if isinstance(opened, Refusal):
        reason = opened.value.replace("_", " ")
        raise NotReplayed(f"expected an x token signed by these keys, got one that is {reason}")
    return opened


def _logged(arguments: argparse.Namespace, exposure: Exposure, learning: Learning) -> Logged:
    """What the event log says. Raises NotReplayed where it has no row of this decision."""
    events, at_s = open_events(arguments.events), float(exposure.at_s)
    rows = (one.row for one in read_rows(events, Row, from_s=at_s, to_s=at_s + 1.0))
    row = next((row for row in rows if row.id == arguments.x and row.type == SERVED), None)
    if row is None:
        raise NotReplayed(f"expected a row of this decision, found none - at {events.where}")
    moment_s, seen = row.received, list[tuple[str, float]]()
    longest_s = max((window_s for _, window_s in learning.caps.values()), default=0.0)
    if row.visitor and longest_s:
        for one in read_rows(events, Row, from_s=moment_s - longest_s, to_s=moment_s):
            told = one.row
            if told.type == SEEN and told.visitor == row.visitor and told.received < moment_s:
                seen += [(told.x.rule, int(told.received))] if told.x and told.x.rule else []
    return Logged(row.grants, (moment_s,), seen)


def _published(arguments: argparse.Namespace, version: int) -> Published:
    try:
        keys = keys_in(arguments.keys)
        return Published(arguments.store, arguments.channel, keys, version=version)
    except NotThere as error:
        raise NotReplayed(f"version {version} of {arguments.channel} is gone: {error}") from error


def _check_visitor(visitor: str, exposure: Exposure) -> None:
    if visitor and visitor_hash(visitor) != exposure.visitor:
        other = "nobody" if exposure.visitor == NO_VISITOR else exposure.visitor.hex()
        raise NotReplayed(
            f"this is not the visitor: {visitor_hash(visitor).hex()}, the token says {other}"
        )


def _check_facts(facts: Facts, exposure: Exposure) -> None:
    if facts.digest() != exposure.facts:
        raise NotReplayed(
            f"these are not the facts (with their grants): digest {facts.digest().hex()},"
            f" the token says {exposure.facts.hex()}"
        )


def _seen(texts: list[str], exposure: Exposure, timezone: str) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for text in texts:
        rule, equals, moment = text.partition("=")
        if not equals:
            raise SettingError(f"expected RULE=TIME, got {text!r} - at --seen")
        found.append((rule, read_moment(moment, exposure.at_s, timezone, "--seen")))
    return found


def _is_same(decision: Decision, then: Decided) -> bool:
    return (decision.rule, decision.variant) == (then.rule, then.variant)


def _named(then: Decided) -> str:
    variant = f", variant {then.variant}" if then.variant else ""
    return f"{then.slot} by {f'rule {then.rule}' if then.rule else 'its default'}{variant}"


def _date(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

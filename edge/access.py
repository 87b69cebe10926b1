"""What is held of who asks, and why they see what they see: a visit in, what may be told of it out.

What is not granted is not told: facts come through the program's gate, the profile as its cookie
was read. To ask changes nothing: nothing is learnt, held, counted as shown, or logged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from decisions import consent, schema
from decisions.consent import AUTHENTICATED
from decisions.ledger import UNKNOWN
from decisions.plainly import FAILED, plainly
from decisions.program import Program
from decisions.rules.values import ABSENT
from edge.config import Config
from edge.cookies import DAY_S
from edge.recommending import bought
from edge.visit import Known, Visit
from edge.wire import ConsentReply

Told = dict[str, Any]  # attribute → value; moments are whole seconds since the epoch

# The first words of what comes with the membership; the profile has all but this and the request.
CUSTOMER = ("segments", "traits", "scores")


class InCart(msgspec.Struct, frozen=True):
    """A product in the cart. value: what its pieces cost together."""

    product: str
    pieces: int
    value: float


class Profiled(msgspec.Struct, frozen=True):
    """What the profile cookie holds. visitor: the id that stands for this browser. changed: when
    it last did. cart: what of it is kept by product, the one added to last at the end. seen: when
    something was seen that may be shown only so often. declared: the interests that the visitor
    told us, 0 to 100. events: how many of the last event ids it remembers, as hashes, so that
    none counts twice. facts: what follows from it now; interests have faded until now."""

    visitor: str
    changed: int
    cart: list[InCart]
    seen: list[int]
    declared: dict[str, int]
    events: int
    facts: Told


class Recognised(msgspec.Struct, frozen=True):
    """What the site knows of the customer whom the profile names. signed_in: what a shared device
    must not show may be told; until: then no more. recognised_until: from then on this device is
    nobody's in particular. bought: the items bought last, by which others are recommended."""

    signed_in: bool
    until: int
    recognised_until: int
    facts: Told
    bought: list[str]


class Because(msgspec.Struct, frozen=True):
    """One slot of the site's pages, and why it shows what it shows."""

    slot: str
    because: str


class Cookie(msgspec.Struct, frozen=True):
    """A cookie, and for how many days it is kept after the last visit, or the choice."""

    name: str
    days: int


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. unused: the purposes that are not granted: what needs them is neither read nor
    told. logged: whether what happens now is written into the event log. request: what this request
    itself tells. tags: what follows from all that just now. forget, choose: the requests that do
    so."""

    choice: ConsentReply
    unused: list[str]
    logged: bool
    profile: Profiled | None
    customer: Recognised | None
    request: Told
    tags: list[str]
    slots: list[Because]
    cookies: list[Cookie]
    forget: str
    choose: str


def access(
    visit: Visit,
    shown_to: Visit,
    choice: ConsentReply,
    config: Config,
    complain: Callable[[str, BaseException], None],
) -> Access:
    """What there is to tell. shown_to: the visit as pages see it, the same but for who is taken for
    a bot: what they hold is told, and they are shown what a stranger is. Never raises."""
    profile, program = visit.profile, visit.serving.program
    facts = visit.facts(visit.grants)
    values = _told(program, facts.items())
    tags = facts["tags"]
    return Access(
        choice=choice,
        unused=[name for name, bit in consent.PURPOSES.items() if not visit.choice.grants & bit],
        logged=shown_to.is_logged,
        profile=_profiled(visit, values) if profile.visitor else None,
        customer=_recognised(visit, values, config.recognised_days * DAY_S)
        if profile.customer
        else None,
        request={name: value for name, value in values.items() if name in visit.context},
        tags=[] if tags is ABSENT else sorted(tags),
        slots=_slots(shown_to, complain),
        cookies=[Cookie("consent", config.consent_days)]
        + [Cookie("user_interest_score", config.profile_days)] * bool(profile.visitor),
        forget=f"DELETE {config.mount}/v1/me",
        choose=f"PUT {config.mount}/v1/consent",
    )


def _profiled(visit: Visit, values: Mapping[str, Any]) -> Profiled:
    profile = visit.profile
    return Profiled(
        visitor=profile.visitor,
        changed=int(profile.seen_s),
        cart=[
            InCart(product, line.pieces, line.cents / 100)
            for product, line in profile.cart.lines.items()
            if product in values.get("cart.products", ())
        ],
        seen=sorted(at_s for times in profile.caps.values() for at_s in times),
        declared={
            name: score for name, score in profile.preferences.items() if name[:1] != UNKNOWN
        },
        events=len(profile.recent),
        facts={
            name: value
            for name, value in values.items()
            if name not in visit.context and not _is_customers(name)
        },
    )


def _recognised(visit: Visit, values: Mapping[str, Any], recognised_s: float) -> Recognised:
    """recognised_s: for how long after the sign-in a profile counts that does not say it."""
    profile = visit.profile
    return Recognised(
        signed_in=bool(visit.grants & AUTHENTICATED),
        until=profile.authenticated_until_s,
        recognised_until=profile.recognised_until_s
        or profile.authenticated_until_s + int(recognised_s),
        facts={name: value for name, value in values.items() if _is_customers(name)},
        bought=bought(visit.serving, profile.customer, visit.grants),
    )


def _is_customers(name: str) -> bool:
    return name.partition(".")[0] in CUSTOMER


def _told(program: Program, facts: Iterable[tuple[str, Any]]) -> Told:
    """Facts in as many digits as mean something; what is empty says nothing."""
    found: Told = {}
    for name, value in facts:
        kind = program.schema.attributes[name].type
        if kind == schema.SET:
            value = sorted(value)
        elif kind in (schema.MAP_INT, schema.MAP_DOUBLE):
            value = {key: round(each, 1) for key, each in sorted(value.items())}
        elif kind == schema.TIMESTAMP:
            value = int(value)
        elif kind in (schema.DOUBLE, schema.DURATION):
            value = round(value, 4)
        if value not in ([], {}):
            found[name] = value
    return found


def _slots(visit: Visit, complain: Callable[[str, BaseException], None]) -> list[Because]:
    """Every slot in the order in which a page is decided; each knows what those before it show."""
    page: set[str] = set()
    known = visit.known(page)
    return [
        Because(slot, _because(visit, slot, known, page, complain))
        for slot in visit.serving.program.slots
    ]


def _because(
    visit: Visit,
    slot: str,
    known: Known,
    page: set[str],
    complain: Callable[[str, BaseException], None],
) -> str:
    shown = visit.show(slot, known, complain)
    if shown.text:
        page.add(shown.decision.fragment)
    try:
        return plainly(visit.serving.program, shown.decision, known.facts)
    except Exception as error:  # the rest can be told all the same
        complain("explain", error)
        return FAILED

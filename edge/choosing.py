"""What counts besides and instead of the choice that is there: signals, places, TC strings.

The newest explicit choice wins, and signals only take away. A TC string that is none, of another
time or void is refused; where it cannot be told which choice is newer, only what both grant stays.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import msgspec

from decisions import consent, tcf, tcstring
from decisions.errors import TcStringError
from decisions.jurisdiction import Regime, regime
from edge.config import Config
from edge.cookies import DAY_S, NO_CHOICE, Choice
from edge.errors import Refused
from edge.tokens import LEEWAY_S
from edge.wire import invalid

HOW = "tcf"
# https://w3c.github.io/gpc/: `1` says no to sale and sharing; no other value says anything.
SEC_GPC = b"sec-gpc"


class Terms(msgspec.Struct, frozen=True):
    """What the site lets count besides a visitor's choice. gpc: the purposes that Sec-GPC takes
    away. unasked: what holds until a no, where the law leaves it so."""

    gpc: int = consent.MARKETING
    unasked: Choice = NO_CHOICE

    def denied(self, headers: Mapping[bytes, bytes]) -> int:
        """The purposes that a signal takes away: it never gives any."""
        return self.gpc if headers.get(SEC_GPC) == b"1" else 0

    def before_any(self, context: Mapping[str, Any]) -> Choice:
        """What counts before any choice, at the place that `context` tells. Unknown: nothing."""
        if not self.unasked.grants:
            return NO_CHOICE
        place = regime(context.get("geo.country", ""), context.get("geo.region", ""))
        return self.unasked if place is Regime.OPT_OUT else NO_CHOICE


def terms_of(config: Config) -> Terms:
    """The terms of these settings."""
    grants = consent.mask(config.opt_out_grants)
    unasked = Choice(grants, how=Regime.OPT_OUT.value) if grants else NO_CHOICE
    return Terms(consent.GPC[config.gpc], unasked)


def must_ask(choice: Choice, policy: str) -> bool:
    """Whether the page has to ask: no choice was made where one is needed, or it was to another
    text. policy: the text of now; "" is every text."""
    if not choice.at_s:
        return (
            choice.how != Regime.OPT_OUT
        )  # that is ours; the `how` of a choice is the page's word
    return bool(policy) and choice.policy != policy


def from_tc_string(
    text: str,
    before: Choice,
    *,
    vendor: int,
    policy: str,
    days: int,
    now_s: float,
    is_told: bool = True,
) -> Choice:
    """The choice that counts when this string comes: `before` itself where that is newer, or the
    same.

    vendor: `tcf_vendor`. policy: the text that was shown. is_told: whether the page says so; the
    same string once more does not agree to the text of now by itself. days: how long a choice
    counts. Raises Refused, with what is wrong with the string and where.
    """
    try:
        tc = tcstring.decode(text)
        grants = tcf.grants(tc, vendor)
    except TcStringError as error:
        raise invalid(f"{error} of `$.tcf`") from error
    given_s = tc.last_updated_s
    if given_s > now_s + LEEWAY_S:
        raise _of_another_time("by now", given_s)
    if given_s <= now_s - days * DAY_S:
        raise _of_another_time(f"within {days} days", given_s)
    told = Choice(grants, min(given_s, now_s), HOW, policy)
    if _is_same(told if is_told else msgspec.structs.replace(told, policy=before.policy), before):
        return before
    if told.at_s >= before.at_s:
        return told
    if given_s % DAY_S == 0 and before.at_s - given_s < DAY_S:  # it says the day and no more
        both = before.grants & grants
        return before if both == before.grants else msgspec.structs.replace(before, grants=both)
    return before


def _is_same(one: Choice, other: Choice) -> bool:
    """Whether two choices say the same, of the same second: a cookie keeps no less."""
    return one == msgspec.structs.replace(other, at_s=one.at_s) and int(one.at_s) == int(other.at_s)


def _of_another_time(when: str, given_s: float) -> Refused:
    day = datetime.datetime.fromtimestamp(given_s, datetime.UTC).date()
    return invalid(f"expected a TC string that was updated {when}, got one of {day} - at `$.tcf`")

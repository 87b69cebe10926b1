"""A TC string in, beside the choice that is there; the choice that counts from now on out.

The newest explicit choice wins. Where it cannot be told which is newer, only what both grant is
granted. What is no TC string, of another time or void is refused.
"""

from __future__ import annotations

import datetime

import msgspec

from decisions import tcf, tcstring
from decisions.errors import TcStringError
from edge.cookies import DAY_S, Choice
from edge.errors import Refused
from edge.tokens import LEEWAY_S
from edge.wire import invalid

HOW = "tcf"


def from_tc_string(
    text: str, before: Choice, *, vendor: int, policy: str, days: int, now_s: float
) -> Choice:
    """The choice that counts when this string comes: `before` itself where that is newer.

    vendor: `tcf_vendor`. policy: the text that was shown. days: how long a choice counts. Raises
    Refused, with what is wrong with the string and where.
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
    if told.at_s >= before.at_s:
        return told
    if given_s % DAY_S == 0 and before.at_s - given_s < DAY_S:  # it says the day and no more
        both = before.grants & grants
        return before if both == before.grants else msgspec.structs.replace(before, grants=both)
    return before


def _of_another_time(when: str, given_s: float) -> Refused:
    day = datetime.datetime.fromtimestamp(given_s, datetime.UTC).date()
    return invalid(f"expected a TC string that was updated {when}, got one of {day} - at `$.tcf`")

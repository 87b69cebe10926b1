"""The calendar of one time zone, by arithmetic: a moment in; its hour, weekday and date out.

The playbook's zone has one; a visitor's is made when the first of that zone comes.
"""

from __future__ import annotations

import datetime
import functools
import math
from bisect import bisect_right
from collections.abc import Sequence
from zoneinfo import ZoneInfo

_QUARTER_S = 900  # no zone has changed its offset within a quarter of an hour since 1972
_DAY_S = 86_400
_EPOCH_DAY = 719_163  # datetime's ordinal of 1970-01-01
_THURSDAY = 3  # of the week that the epoch began in
_AHEAD = 5  # quarters in which a change of the offset is looked for: an hour, and what is begun

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEK_MIN = 7 * 1_440


class Calendar:
    """The zone is asked once per quarter of an hour, the date is spelt once per day.

    Where the calendar ends (before the year 1, after 9999) each method raises ValueError or
    OverflowError.
    """

    def __init__(self, timezone: str) -> None:
        """timezone: an IANA name. Raises ZoneInfoNotFoundError or ValueError for another."""
        self._zone = ZoneInfo(timezone)
        self._offset: tuple[int | None, int] = (None, 0)
        self._date: tuple[int | None, str] = (None, "")
        self._change: tuple[int | None, float] = (None, 0.0)

    def hour(self, now_s: float) -> int:
        """0 to 23."""
        return self._local_s(now_s) % _DAY_S // 3_600

    def weekday(self, now_s: float) -> str:
        """`mon` to `sun`."""
        return DAYS[(self._local_s(now_s) // _DAY_S + _THURSDAY) % 7]

    def minute(self, now_s: float) -> int:
        """Of the week, by the clock on the wall: 0 is Monday 00:00, 10,079 the last."""
        return (self._local_s(now_s) // 60 + _THURSDAY * 1_440) % WEEK_MIN

    def date(self, now_s: float) -> str:
        """`2026-11-21`."""
        today = self._local_s(now_s) // _DAY_S
        day, date = self._date
        if day != today:
            date = datetime.date.fromordinal(today + _EPOCH_DAY).isoformat()
            self._date = (today, date)
        return date

    def until(self, now_s: float, minutes: Sequence[int]) -> float:
        """Seconds, above 0, until the clock on the wall comes to one of these minutes of the week,
        or is put forward or back. Good for the hour ahead: later changes of the offset are not
        looked for.

        minutes: 0 to 10,079, ascending, one at least.
        """
        week_s = (self._local_s(now_s) + _THURSDAY * _DAY_S) % (WEEK_MIN * 60) + now_s % 1
        place = bisect_right(minutes, week_s // 60)
        minute = minutes[place] if place < len(minutes) else minutes[0] + WEEK_MIN
        return min(minute * 60 - week_s, self._change_s(now_s) - now_s)

    def _change_s(self, now_s: float) -> float:
        """When the offset changes within the hour ahead, infinity if it does not."""
        first = int(now_s // _QUARTER_S)
        quarter, change_s = self._change
        if quarter != first:
            offset = self._offset_s(first * _QUARTER_S)
            starts = (each * _QUARTER_S for each in range(first + 1, first + 1 + _AHEAD))
            change_s = next((at for at in starts if self._offset_s(at) != offset), math.inf)
            self._change = (first, change_s)
        return change_s

    def _offset_s(self, second: int) -> int:
        moment = datetime.datetime.fromtimestamp(second, self._zone)
        return int((moment.utcoffset() or datetime.timedelta()).total_seconds())

    def _local_s(self, now_s: float) -> int:
        second = int(now_s // 1)
        quarter, offset = self._offset
        if quarter != second // _QUARTER_S:
            offset = self._offset_s(second)
            self._offset = (second // _QUARTER_S, offset)
        return second + offset


@functools.lru_cache(maxsize=1_024)  # there are 600 zones
def calendar_of(zone: str) -> Calendar | None:
    """The calendar of a visitor's zone; None for what is no IANA name. The first look at a zone
    reads its file; whoever lets strangers name zones must know the names."""
    try:
        return Calendar(zone)
    except (LookupError, ValueError, OSError):
        return None

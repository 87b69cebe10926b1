"""The calendar of one time zone, by arithmetic: a moment in; its hour, weekday and date out.

The playbook's zone has one; a visitor's is made when the first of that zone comes.
"""

from __future__ import annotations

import datetime
import functools
from zoneinfo import ZoneInfo

_QUARTER_S = 900  # no zone has changed its offset within a quarter of an hour since 1972
_DAY_S = 86_400
_EPOCH_DAY = 719_163  # datetime's ordinal of 1970-01-01
_THURSDAY = 3  # of the week that the epoch began in

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

    def _local_s(self, now_s: float) -> int:
        second = int(now_s // 1)
        quarter, offset = self._offset
        if quarter != second // _QUARTER_S:
            moment = datetime.datetime.fromtimestamp(second, self._zone)
            offset = int((moment.utcoffset() or datetime.timedelta()).total_seconds())
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

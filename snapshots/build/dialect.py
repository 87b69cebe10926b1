"""The functions of DuckDB that Ibis has no word for; another engine would bring its own.

Moments are microseconds since the epoch, 64-bit integers.
"""

from __future__ import annotations

from typing import Any

import ibis


def _one(name: str, kind: str, result: str) -> Any:
    return ibis.udf.scalar.builtin(lambda a: ..., name=name, signature=((kind,), result))


def _two(name: str, kind: str, result: str) -> Any:
    return ibis.udf.scalar.builtin(lambda a, b: ..., name=name, signature=((kind, kind), result))


epoch_us = _one("epoch_us", "timestamp", "int64")
make_timestamp = _one("make_timestamp", "int64", "timestamp")
divide = _two("divide", "int64", "int64")  # towards zero, exact; Ibis divides as floats and floors
rest = _two("mod", "int64", "int64")  # with the sign of the dividend
truncated = _one("trunc", "float64", "float64")
rounded = _one("round", "float64", "float64")  # half away from zero; Ibis casts to whole numbers
tried = _one("try", "int64", "int64")  # null instead of an overflow or a division by zero

# Parts of a calendar and a clock.
YEAR, MONTH, DAY, YEARDAY = (
    _one(name, "timestamp", "int64") for name in ("year", "month", "day", "dayofyear")
)
HOUR, MINUTE, SECOND = (_one(name, "timestamp", "int64") for name in ("hour", "minute", "second"))
WEEKDAY_FROM_SUNDAY = _one("dayofweek", "timestamp", "int64")  # Sunday is 0
WEEKDAY_FROM_MONDAY = _one("isodow", "timestamp", "int64")  # Monday is 1

# 128 bits of a text, a number that is only compared: Ibis knows no whole number so wide.
md5 = _one("md5_number", "string", "decimal(38, 0)")

"""Columns in, typed values out; what cannot be parsed is refused, what is impossible is left out.

A cell that is no number is a broken feed: the build stops and shows it. A line that is a number and
no purchase (a quantity of nothing, a moment after the build's) is counted with its reason and left
out. Money becomes whole cents and moments become microseconds here, and floats are gone from then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ibis

from decisions.errors import Problem
from snapshots.build import dialect
from snapshots.build.feeds import Feed
from snapshots.build.sources import Bounds, Purchases
from snapshots.errors import DataRefused

CENTS = 100  # of the feed's currency; finer fractions are rounded, half away from zero
EXAMPLES = 3  # cells that a message shows

# Why a line is left out; the first that applies counts. A line's code is its place here, 0 is kept.
REASONS = (
    "",
    "no customer",
    "no order",
    "no time",
    "no amount",
    "after the moment of the build",
    "quantity out of bounds",
    "amount out of bounds",
    "not of a department of the shop",
)
NOT_SOLD = REASONS.index("not of a department of the shop")


def identifier(column: Any) -> Any:
    """An id: whole numbers stay, text is trimmed, empty text is none."""
    return column if column.type().is_integer() else column.cast("string").strip().nullif("")


def moment(column: Any) -> Any:
    """Microseconds since the epoch; a time without a zone is taken as UTC."""
    known = column.try_cast("timestamp") if column.type().is_string() else column
    return dialect.epoch_us(known.cast("timestamp"))


def cents(column: Any) -> Any:
    """An amount of money in whole cents."""
    if column.type().is_string():
        column = column.try_cast("decimal(18, 6)")
    if column.type().is_floating():  # NaN and infinities are no amount
        return dialect.rounded(column * float(CENTS)).try_cast("int64")
    return (column * CENTS).round().cast("int64")


def number(column: Any) -> Any:
    """A number as it is."""
    return column.try_cast("float64") if column.type().is_string() else column


def _is_id(type_: Any) -> bool:
    return bool(type_.is_integer() or type_.is_string() or type_.is_uuid())


def _is_moment(type_: Any) -> bool:
    return bool(type_.is_timestamp() or type_.is_date() or type_.is_string())


def _is_number(type_: Any) -> bool:
    return bool(type_.is_numeric() or type_.is_string())


# kind → what messages call it, which column types can be it, how it is parsed
KINDS: dict[str, tuple[str, Callable[[Any], bool], Callable[[Any], Any]]] = {
    "id": ("an id (whole numbers or text)", _is_id, identifier),
    "moment": ("a time such as 2026-11-21T09:00:00", _is_moment, moment),
    "money": ("an amount such as 12.50", _is_number, cents),
    "number": ("a number", _is_number, number),
}


def parsed(feed: Feed, wanted: dict[str, str]) -> dict[str, Any]:
    """The columns of a feed as typed expressions, by column name.

    wanted: column → one of KINDS. Raises DataRefused with every column of a wrong type, or else
    with every column that has cells which cannot be parsed, examples and row numbers included.
    """
    problems: list[Problem] = []
    typed: dict[str, Any] = {}
    for column, kind in wanted.items():
        title, fits, parse = KINDS[kind]
        raw = feed.table[column]
        if fits(raw.type()):
            typed[column] = parse(raw)
        else:
            message = f"expected {title} in column {column}, got {raw.type()}"
            problems.append(Problem(code="wrong-type", message=message, at=feed.where()))
    problems = problems or list(_unparsable(feed, wanted, typed))
    if problems:
        raise DataRefused(problems)
    return typed


def _unparsable(feed: Feed, wanted: dict[str, str], typed: dict[str, Any]) -> Iterator[Problem]:
    """Text cells that hold something and not what they should; other types parse by their type."""
    texts = [
        column
        for column, kind in wanted.items()
        if kind != "id" and feed.table[column].type().is_string()
    ]
    if not texts:
        return
    bad = {column: _filled(feed.table[column]) & typed[column].isnull() for column in texts}
    counts = feed.table.aggregate(**{column: bad[column].sum() for column in texts})
    for column, count in counts.to_pyarrow().to_pylist()[0].items():
        if not count:
            continue
        rows = feed.table.mutate(__row=ibis.row_number(), __bad=bad[column])
        shown = rows.filter(rows["__bad"]).order_by("__row").limit(EXAMPLES)
        cells = shown.select("__row", column).to_pyarrow().to_pylist()
        examples = ", ".join(f"{cell[column]!r} in row {cell['__row'] + 2}" for cell in cells)
        more = f" and {count - len(cells)} more" if count > len(cells) else ""
        message = f"expected {KINDS[wanted[column]][0]} in column {column}, got {examples}{more}"
        at = feed.where(cells[0]["__row"] + 2)
        yield Problem(code="unparsable", message=message, at=at)


def _filled(column: Any) -> Any:
    return column.strip() != ""


def purchase_lines(feed: Feed, purchases: Purchases, now_us: int) -> Any:
    """Every line of the feed as customer, order, item, at, cents, saved, left_out.

    left_out: a place in REASONS, 0 for what is kept. Raises DataRefused as `parsed` does.
    """
    names = purchases.columns
    saved = [names.saved] if isinstance(names.saved, str) else names.saved
    wanted = {names.customer: "id", names.order: "id", names.item: "id", names.at: "moment"}
    wanted |= dict.fromkeys([names.amount, *saved], "money")
    if names.quantity:
        wanted[names.quantity] = "number"
    typed = parsed(feed, wanted)
    customer, order, at = typed[names.customer], typed[names.order], typed[names.at]
    amount, keep = typed[names.amount], purchases.keep
    quantity = typed.get(names.quantity)
    impossible = [
        (customer.isnull(), "no customer"),
        (order.isnull(), "no order"),
        (at.isnull(), "no time"),
        (amount.isnull(), "no amount"),
        (at > now_us, "after the moment of the build"),
    ]
    if quantity is not None:
        impossible += [
            (outside, "quantity out of bounds") for outside in beyond(quantity, keep.quantity)
        ]
    impossible += [
        (outside, "amount out of bounds") for outside in beyond(amount, keep.amount, CENTS)
    ]
    branches = [(case, ibis.literal(REASONS.index(why), "int8")) for case, why in impossible]
    nothing = ibis.literal(0, "int64")
    return feed.table.select(
        customer=customer,
        order=order,
        item=typed[names.item],
        at=at,
        cents=amount,
        saved=sum((typed[column].fill_null(0) for column in saved), nothing),
        left_out=ibis.cases(*branches, else_=ibis.literal(0, "int8")),
    )


def beyond(value: Any, bounds: Bounds, scale: int = 1) -> Iterator[Any]:
    """The conditions under which a value is outside its bounds."""
    if bounds.min is not None:
        yield value < bounds.min * scale
    if bounds.max is not None:
        yield value > bounds.max * scale

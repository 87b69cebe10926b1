"""Spans of a line: comparisons with literals in, disjoint spans out; it knows no attributes.

A span is (low, low is in, high, high is in), `None` for no bound. Inside this module its ends are
cuts, which compare as they lie on the line: before a value, or just after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from decisions.predicates import EVERYWHERE, Bound, Span

Spans: TypeAlias = tuple[Span, ...]
_Cut: TypeAlias = tuple[Any, ...]  # (-1,) < (0, value, 0: before it, 1: after it) < (1,)

_START: _Cut = (-1,)
_END: _Cut = (1,)


def compared(op: str, value: Bound) -> Spans:
    """Where `x op value` is true, for `== != < <= > >=`. Raises KeyError for another operator."""
    return {
        "==": ((value, True, value, True),),
        "!=": ((None, False, value, False), (value, False, None, False)),
        "<": ((None, False, value, False),),
        "<=": ((None, False, value, True),),
        ">": ((value, False, None, False),),
        ">=": ((value, True, None, False),),
    }[op]


def meet(left: Spans, right: Spans) -> Spans:
    """Where both are."""
    pieces = []
    for one in map(_cuts, left):
        for other in map(_cuts, right):
            low, high = max(one[0], other[0]), min(one[1], other[1])
            if low < high:
                pieces.append((low, high))
    return tuple(_span(*piece) for piece in sorted(pieces))


def without(spans: Spans) -> Spans:
    """Where none of `spans` is; they may overlap and come in any order."""
    pieces, start = [], _START
    for low, high in sorted(map(_cuts, spans)):
        if start < low:
            pieces.append(_span(start, low))
        start = max(start, high)
    if start < _END:
        pieces.append(_span(start, _END))
    return tuple(pieces)


def join(*parts: Iterable[Span]) -> Spans:
    """Where any is."""
    return without(without(tuple(span for part in parts for span in part)))


def _cuts(span: Span) -> tuple[_Cut, _Cut]:
    low, low_in, high, high_in = span
    return (
        _START if low is None else (0, low, int(not low_in)),
        _END if high is None else (0, high, int(high_in)),
    )


def _span(low: _Cut, high: _Cut) -> Span:
    nothing, out, _, _ = EVERYWHERE
    return (
        *((nothing, out) if low == _START else (low[1], low[2] == 0)),
        *((nothing, out) if high == _END else (high[1], high[2] == 1)),
    )

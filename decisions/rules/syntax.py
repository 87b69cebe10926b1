"""The tree a CEL expression parses to: plain frozen structs that msgspec can encode and decode.

Every node carries `at`, the character span in the text it came from, so that errors can point.
The parser makes all but `Attr`; the checker resolves names to `Attr`.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

Span: TypeAlias = tuple[int, int]  # [start, end) in characters


class Literal(msgspec.Struct, frozen=True, tag="lit", array_like=True):
    """null, bool, int (64 bits), double or string."""

    value: bool | int | float | str | None
    at: Span = (0, 0)


class Name(msgspec.Struct, frozen=True, tag="name", array_like=True):
    """A name not yet resolved, or a macro's variable."""

    name: str
    at: Span = (0, 0)


class Attr(msgspec.Struct, frozen=True, tag="attr", array_like=True):
    """An attribute of the schema, by its whole dotted name."""

    name: str
    kind: str  # one of schema.TYPES
    at: Span = (0, 0)


class Select(msgspec.Struct, frozen=True, tag="sel", array_like=True):
    """`operand.field`, or `has(operand.field)` when `test`."""

    operand: Expr
    field: str
    test: bool = False
    at: Span = (0, 0)


class Index(msgspec.Struct, frozen=True, tag="idx", array_like=True):
    """`operand[index]`."""

    operand: Expr
    index: Expr
    at: Span = (0, 0)


class Unary(msgspec.Struct, frozen=True, tag="un", array_like=True):
    """`!` or `-` before an operand."""

    op: str
    operand: Expr
    at: Span = (0, 0)


class Binary(msgspec.Struct, frozen=True, tag="bin", array_like=True):
    """`&& || == != < <= > >= in + - * / %`."""

    op: str
    left: Expr
    right: Expr
    at: Span = (0, 0)


class Ternary(msgspec.Struct, frozen=True, tag="if", array_like=True):
    """`test ? then : other`."""

    test: Expr
    then: Expr
    other: Expr
    at: Span = (0, 0)


class Call(msgspec.Struct, frozen=True, tag="call", array_like=True):
    """`function(args)`, or `target.function(args)`."""

    function: str
    target: Expr | None
    args: tuple[Expr, ...]
    at: Span = (0, 0)


class ListOf(msgspec.Struct, frozen=True, tag="list", array_like=True):
    """`[a, b]`."""

    items: tuple[Expr, ...]
    at: Span = (0, 0)


class MapOf(msgspec.Struct, frozen=True, tag="map", array_like=True):
    """`{k: v}`, in written order."""

    entries: tuple[tuple[Expr, Expr], ...]
    at: Span = (0, 0)


class Macro(msgspec.Struct, frozen=True, tag="mac", array_like=True):
    """`target.kind(variable, body)`: all, exists, exists_one, map, filter; `guard` is map's middle
    argument."""

    kind: str
    target: Expr
    variable: str
    body: Expr
    guard: Expr | None = None
    at: Span = (0, 0)


Expr: TypeAlias = (
    Literal
    | Name
    | Attr
    | Select
    | Index
    | Unary
    | Binary
    | Ternary
    | Call
    | ListOf
    | MapOf
    | Macro
)


def children(expr: Expr) -> tuple[Expr, ...]:
    """The expressions right below one, in written order (a macro's variable is no expression)."""
    match expr:
        case Select(operand=operand) | Unary(operand=operand):
            return (operand,)
        case Index(operand=operand, index=index):
            return (operand, index)
        case Binary(left=left, right=right):
            return (left, right)
        case Ternary(test=test, then=then, other=other):
            return (test, then, other)
        case Call(target=target, args=args):
            return args if target is None else (target, *args)
        case ListOf(items=items):
            return items
        case MapOf(entries=entries):
            return tuple(part for entry in entries for part in entry)
        case Macro(target=target, body=body, guard=guard):
            return (target, body) if guard is None else (target, guard, body)
    return ()

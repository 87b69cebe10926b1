"""The evaluator: a tree in, a closure over facts out; `evaluate` for plain CEL over nested facts.

Closures are made once and called per visitor. Every error of CEL is an EvaluationError; `&&`, `||`,
`all` and `exists` absorb it where the other side settles the answer, nothing else does.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any, NoReturn

from decisions.errors import EvaluationError
from decisions.rules import reading
from decisions.rules.functions import FUNCTIONS, METHODS, OPERATORS, SIGNS, Overload, pattern
from decisions.rules.parser import MESSAGE, parse
from decisions.rules.reading import Context, Run, Scope
from decisions.rules.syntax import (
    Attr,
    Binary,
    Call,
    Expr,
    Index,
    ListOf,
    Literal,
    Macro,
    MapOf,
    Name,
    Select,
    Ternary,
    Unary,
)
from decisions.rules.values import (
    KINDS,
    NUMBERS,
    ORDERED,
    KeyedMap,
    contains,
    equals,
    items_of,
    kind_of,
)
from decisions.schema import Schema

_TYPES: dict[str, list[type]] = {
    kind: [type_ for type_, name in KINDS.items() if name == kind] for kind in KINDS.values()
}
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def evaluate(text: str, facts: Mapping[str, Any]) -> Any:
    """The value of a plain CEL expression: no schema, no type check, no consent.

    facts: names to values, nested mappings for dotted names; datetimes and timedeltas count as
    CEL's timestamps and durations. Raises RuleSyntaxError and EvaluationError.
    """
    return _compiled(text)(facts)


@functools.lru_cache(maxsize=1_024)
def _compiled(text: str) -> Run:
    return compile_expr(parse(text))


def compile_expr(expr: Expr, schema: Schema | None = None) -> Run:
    """A closure from flat facts (attribute name to value) to the expression's value.

    With the schema that the tree was checked against, an unknown key of a `zero` map counts as 0,
    and where the facts carry `.grants`, "not in", "has not" and 0 are errors for a member or key
    whose purpose is not granted. Raises nothing; the closure raises EvaluationError, with `absent`
    naming the attribute or key whose absence caused it.
    """
    return _compile(expr, Context(schema))


def _compile(expr: Expr, context: Context) -> Run:
    run = _NODES[type(expr)](expr, context)
    return _folded(expr, run) if isinstance(expr, (Call, Unary)) else run


def _folded(expr: Call | Unary, run: Run) -> Run:
    """What depends on no fact is computed once; an error stays, to be raised when asked for."""
    parts = (expr.operand,) if isinstance(expr, Unary) else (expr.target, *expr.args)
    if not all(part is None or isinstance(part, Literal) for part in parts):
        return run
    try:
        value = run({})
    except EvaluationError:
        return run
    return lambda _: value


def _literal(expr: Literal, _: Context) -> Run:
    value = expr.value
    return lambda _: value


def _attr(expr: Attr, _: Context) -> Run:
    return reading.attribute(expr)


def _name(expr: Name, context: Context) -> Run:
    if expr.name in context.variables:
        key = f"@{expr.name}"
        return lambda facts: facts[key]
    return reading.path(reading.words(expr, context))


def _select(expr: Select, context: Context) -> Run:
    name, operand = expr.field, _compile(expr.operand, context)
    if expr.test and isinstance(expr.operand, Attr):
        return reading.membership(expr.operand.name, lambda _: name, operand, context)
    if expr.test:
        return reading.has_field(operand, name)
    if words := reading.words(expr, context):
        return reading.path(words)
    return lambda facts: reading.field(operand(facts), name, name)


def _index(expr: Index, context: Context) -> Run:
    operand, index = _compile(expr.operand, context), _compile(expr.index, context)
    if isinstance(expr.operand, Attr):
        return reading.keyed(expr.operand, operand, index, context)
    return reading.indexed(operand, index, ".".join(reading.words(expr.operand, context)))


# Operators.


def _unary(expr: Unary, context: Context) -> Run:
    return _dispatch(expr.op, SIGNS[expr.op], [_compile(expr.operand, context)])


def _binary(expr: Binary, context: Context) -> Run:
    if expr.op in {"&&", "||"}:
        return _settled([_compile(term, context) for term in _terms(expr, expr.op)], expr.op)
    left, right = _compile(expr.left, context), _compile(expr.right, context)
    if expr.op == "in":
        return _member(expr, left, right, context)
    if expr.op in {"==", "!="}:
        return _equality(expr, left, right)
    if expr.op in _COMPARISONS:
        return _comparison(expr.op, left, right)
    return _dispatch(expr.op, OPERATORS[expr.op], [left, right])


def _terms(expr: Expr, op: str) -> list[Expr]:
    """The operands of a whole chain of one operator, in written order."""
    if isinstance(expr, Binary) and expr.op == op:
        return [*_terms(expr.left, op), *_terms(expr.right, op)]
    return [expr]


def _settled(terms: list[Run], op: str) -> Run:
    """`&&` and `||`: one `false` (or `true`) settles it whatever errors stand beside it."""
    settling = op == "||"

    def run(facts: Mapping[str, Any]) -> bool:
        failed: EvaluationError | None = None
        for term in terms:
            try:
                value = term(facts)
            except EvaluationError as error:
                failed = failed or error
                continue
            if type(value) is not bool:
                failed = failed or _overload(op, value)
            elif value is settling:
                return settling
        return _unsettled(not settling, failed)

    return run


def _unsettled(value: bool, failed: EvaluationError | None) -> bool:
    try:
        if failed is not None:
            raise failed
        return value
    finally:
        failed = None  # the traceback holds this frame: no cycle may keep both alive


def _overload(name: str, *values: Any) -> EvaluationError:
    kinds = ", ".join(kind_of(value) for value in values)
    return EvaluationError(f"no such overload: {name} of ({kinds})")


def _equality(expr: Binary, left: Run, right: Run) -> Run:
    """A string beside one side is compared without a look at the other's type twice."""
    same = expr.op == "=="
    if isinstance(expr.right, Literal) and isinstance(expr.right.value, str):
        text = expr.right.value
        return lambda facts: (left(facts) == text) is same
    return lambda facts: equals(left(facts), right(facts)) is same


def _comparison(op: str, left: Run, right: Run) -> Run:
    compare = _COMPARISONS[op]

    def run(facts: Mapping[str, Any]) -> bool:
        first, second = left(facts), right(facts)
        type_l, type_r = type(first), type(second)
        if (type_l in NUMBERS and type_r in NUMBERS) or (type_l is type_r and type_l in ORDERED):
            return bool(compare(first, second))
        raise _overload(op, first, second)

    return run


def _member(expr: Binary, left: Run, right: Run, context: Context) -> Run:
    if isinstance(expr.right, Attr):
        return reading.membership(expr.right.name, left, right, context)
    if isinstance(expr.right, ListOf) and all(
        isinstance(item, Literal) and type(item.value) is str for item in expr.right.items
    ):
        words = frozenset(right({}))
        return lambda facts: contains(words, left(facts))
    return lambda facts: contains(right(facts), left(facts))


def _ternary(expr: Ternary, context: Context) -> Run:
    test, then, other = (_compile(part, context) for part in (expr.test, expr.then, expr.other))

    def run(facts: Mapping[str, Any]) -> Any:
        answer = test(facts)
        if answer is True:
            return then(facts)
        if answer is False:
            return other(facts)
        raise _overload("?:", answer)

    return run


# Calls, literals of lists and maps, macros.


def _call(expr: Call, context: Context) -> Run:
    name, target, args = expr.function, expr.target, expr.args
    if name == "has" and len(args) == 1 and isinstance(args[0], Attr):
        return reading.presence(args[0].name, context)
    overloads = (FUNCTIONS if target is None else METHODS).get(name.removeprefix("."))
    if overloads is None:
        return _unbound("a message" if name == MESSAGE else f"{name}()")
    parts = args if target is None else (target, *args)
    runs = [_compile(part, context) for part in parts]
    if name == "matches" and len(parts) == 2 and isinstance(parts[1], Literal):
        _warm(parts[1].value)
    return _dispatch(name, overloads, runs)


def _warm(wanted: Any) -> None:
    """A constant pattern is compiled before the first visitor comes."""
    try:
        pattern(wanted) if isinstance(wanted, str) else None
    except EvaluationError:
        return


def _unbound(what: str) -> Run:
    def run(_: Mapping[str, Any]) -> NoReturn:
        raise EvaluationError(f"unbound function: {what} is not known here")

    return run


def _dispatch(name: str, overloads: Iterable[Overload], runs: list[Run]) -> Run:
    """The overload that fits the types of the arguments, one look in a table."""
    calls = {
        types: overload.call
        for overload in overloads
        for types in product(*(_TYPES[kind] for kind in overload.args))
    }
    if len(runs) == 2:
        return _dispatch_two(name, calls, *runs)

    def run(facts: Mapping[str, Any]) -> Any:
        values = [part(facts) for part in runs]
        call = calls.get(tuple(map(type, values)))
        if call is None:
            raise _overload(name, *values)
        return call(*values)

    return run


def _dispatch_two(
    name: str, calls: Mapping[tuple[type, ...], Callable[..., Any]], left: Run, right: Run
) -> Run:
    """The same for two arguments, which most have: no list, no loop."""

    def run(facts: Mapping[str, Any]) -> Any:
        first, second = left(facts), right(facts)
        call = calls.get((type(first), type(second)))
        if call is None:
            raise _overload(name, first, second)
        return call(first, second)

    return run


def _list(expr: ListOf, context: Context) -> Run:
    items = [_compile(item, context) for item in expr.items]
    return lambda facts: [item(facts) for item in items]


def _map(expr: MapOf, context: Context) -> Run:
    entries = [(_compile(key, context), _compile(value, context)) for key, value in expr.entries]

    def run(facts: Mapping[str, Any]) -> Mapping[Any, Any]:
        made = KeyedMap((key(facts), value(facts)) for key, value in entries)
        return dict(made) if all(type(key) is str for key in made) else made

    return run


def _macro(expr: Macro, context: Context) -> Run:
    target = _compile(expr.target, context)
    inner = context._replace(variables=context.variables | {expr.variable})
    body = _compile(expr.body, inner)
    guard = _compile(expr.guard, inner) if expr.guard is not None else None
    variable, collect = f"@{expr.variable}", _MACROS[expr.kind]

    def answers(run: Run, scope: Scope, item: Any) -> Any:
        scope[variable] = item
        return run(scope)

    def run(facts: Mapping[str, Any]) -> Any:
        items, scope = items_of(target(facts)), Scope(facts)
        if guard is not None:
            items = _kept(items, functools.partial(answers, guard, scope))
        return collect(items, functools.partial(answers, body, scope))

    return run


Answer = Callable[[Any], Any]


def _quantified(items: Iterable[Any], answer: Answer, *, settling: bool) -> bool:
    """`all` and `exists` absorb errors as `&&` and `||` do."""
    failed: EvaluationError | None = None
    for item in items:
        try:
            value = answer(item)
        except EvaluationError as error:
            failed = failed or error
            continue
        if type(value) is not bool:
            failed = failed or _overload("exists" if settling else "all", value)
        elif value is settling:
            return settling
    return _unsettled(not settling, failed)


def _kept(items: Iterable[Any], answer: Answer) -> list[Any]:
    kept = []
    for item in items:
        value = answer(item)
        if type(value) is not bool:
            raise _overload("filter", value)
        if value:
            kept.append(item)
    return kept


_MACROS: dict[str, Callable[[Iterable[Any], Answer], Any]] = {
    "all": functools.partial(_quantified, settling=False),
    "exists": functools.partial(_quantified, settling=True),
    "exists_one": lambda items, answer: len(_kept(items, answer)) == 1,
    "filter": _kept,
    "map": lambda items, answer: [answer(item) for item in items],
}
_NODES: dict[type, Callable[[Any, Context], Run]] = {
    Literal: _literal,
    Name: _name,
    Attr: _attr,
    Select: _select,
    Index: _index,
    Unary: _unary,
    Binary: _binary,
    Ternary: _ternary,
    Call: _call,
    ListOf: _list,
    MapOf: _map,
    Macro: _macro,
}

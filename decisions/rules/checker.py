"""The checker: a tree and a schema in, the tree with its names resolved out, or every error.

What it hands on is plainer than what was written: `interest.shoes` is `interest["shoes"]`,
`has(interest.shoes)` is `"shoes" in interest`, `has(geo.country)` is the call has(Attr). What rules
may not use of CEL is refused here by name; so are bad constants and comparisons that never hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from decisions.errors import EvaluationError, RuleError, RuleTypeError
from decisions.rules import kinds, names, subset
from decisions.rules.functions import FUNCTIONS, METHODS, OPERATORS, SIGNS, Overload
from decisions.rules.kinds import UNKNOWN, Kind
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
    children,
)
from decisions.rules.values import KeyedMap, kind_of
from decisions.schema import Attribute, Schema

MAX_NODES = 2_000  # of one tree; a list that long wants to be a segment
MAX_NESTED_MACROS = 3  # one in another; each level multiplies the work per visitor

Read = tuple[str, str | None]
Variables = dict[str, Kind]
Checked = tuple[Expr, Kind]


class Typed(msgspec.Struct, frozen=True):
    """A tree that means something: what the lowering and the evaluator take.

    kind: of its value, "bool" for a rule. reads: every attribute it reads, with the member, key or
    compared word where that is written out; None stands for the whole attribute.
    """

    expr: Expr
    kind: str
    reads: tuple[Read, ...]


def check(expr: Expr, text: str, schema: Schema, want: str = "bool") -> Typed:
    """The checked tree. Raises RuleTypeError for the first error of `problems`."""
    typed, errors = problems(expr, text, schema, want)
    if typed is None:
        raise errors[0]
    return typed


def problems(
    expr: Expr, text: str, schema: Schema, want: str = "bool"
) -> tuple[Typed | None, list[RuleError]]:
    """The checked tree and no errors, or None and every error in the order of the text.

    text: what `expr` was parsed from. want: the kind of the whole, "" for any.
    """
    if (size := _size(expr)) > MAX_NODES:
        what = f"expected at most {MAX_NODES} names, literals and operators, got {size}"
        return None, [RuleTypeError(what, text, *_extent(expr), code="too-complex")]
    checker = _Checker(text, schema)
    checked, kind = checker.visit(expr, {})
    if want and kind not in {UNKNOWN, Kind(want)}:
        checker.complain(f"expected {want}, got {kind}", expr)
    errors = sorted(checker.errors, key=lambda error: (error.start, error.length))
    return (None, errors) if errors else (Typed(checked, str(kind), tuple(checker.reads)), [])


def _size(expr: Expr) -> int:
    size, waiting = 0, [expr]
    while waiting:
        waiting += children(waiting.pop())
        size += 1
    return size


def _extent(expr: Expr) -> tuple[int, int]:
    return expr.at[0], expr.at[1] - expr.at[0]


class _Checker:
    """One walk over one tree; `errors` and `reads` fill on the way."""

    def __init__(self, text: str, schema: Schema) -> None:
        self.text, self.schema = text, schema
        self.errors: list[RuleError] = []
        self.reads: dict[Read, None] = {}
        self.macros = 0

    def complain(self, what: str, expr: Expr, code: str = "type") -> Checked:
        """Notes an error; the node counts as UNKNOWN from here on."""
        self.errors.append(RuleTypeError(what, self.text, *_extent(expr), code=code))
        return expr, UNKNOWN

    def visit(self, expr: Expr, variables: Variables) -> Checked:
        """The node with its names resolved, and its kind; an attribute by itself is read whole."""
        checked, kind = self.resolve(expr, variables)
        if isinstance(checked, Attr):
            self.reads[checked.name, None] = None
        return checked, kind

    def resolve(self, expr: Expr, variables: Variables) -> Checked:
        return _NODES[type(expr)](self, expr, variables)

    def literal(self, expr: Literal, _: Variables) -> Checked:
        return expr, Kind(kind_of(expr.value))

    # Names, fields and keys.

    def name(self, expr: Name, variables: Variables) -> Checked:
        if expr.name in variables:
            return expr, variables[expr.name]
        return self.dotted(expr, names.words(expr, self.text), variables)

    def select(self, expr: Select, variables: Variables) -> Checked:
        named = names.words(expr, self.text)
        if expr.test:
            return self.presence(expr, named, variables)
        if named and named[0].text not in variables:
            return self.dotted(expr, named, variables)
        operand, kind = self.visit(expr.operand, variables)
        return self.field(expr, operand, kind)

    def dotted(self, expr: Expr, named: Sequence[names.Word], variables: Variables) -> Checked:
        """An attribute by its dotted name, or a key of a map attribute."""
        found = names.longest(named, self.schema)
        if found is None and named[0].text in subset.TYPES:
            return self.complain(
                "types as values are not part of a rule's CEL", expr, "unsupported"
            )
        if found is None:
            self.errors.append(names.unknown_attribute(named, self.text, self.schema, variables))
            return expr, UNKNOWN
        attribute, rest = found
        attr = _attr(attribute, (expr.at[0], named[-len(rest) - 1].at[1]))
        kind = kinds.of_type(attribute.type)
        if not rest:
            return attr, kind
        if kind.name != "map" or len(rest) > 1:
            return self.complain(f"{attribute.name} is a {kind} and has no such field", expr)
        self.key(attr, rest[0].text, rest[0].at)
        return Index(attr, Literal(rest[0].text, rest[0].at), expr.at), kind.item or UNKNOWN

    def presence(self, expr: Select, named: Sequence[names.Word], variables: Variables) -> Checked:
        """`has(a.b)`: of an attribute, or of a key in a map."""
        local = not named or named[0].text in variables
        found = None if local else names.longest(named, self.schema)
        if found is not None and not found[1]:
            attr = _attr(found[0], (named[0].at[0], named[-1].at[1]))
            self.reads[attr.name, None] = None
            return Call("has", None, (attr,), expr.at), kinds.BOOL
        if found is None and not local:
            return self.dotted(expr, named, variables)
        operand, kind = self.resolve(expr.operand, variables)
        at = (expr.at[1] - 1 - len(expr.field), expr.at[1] - 1) if not named else named[-1].at
        field = Literal(expr.field, at)
        if kind.name not in {"map", "unknown"}:
            return self.complain(f"a {kind} has no fields to look for", expr)
        return self.within(Binary("in", field, operand, expr.at), field, kinds.STRING, kind)

    def field(self, expr: Select, operand: Expr, kind: Kind) -> Checked:
        """`operand.field` of what is no attribute: a map made in the rule."""
        if kind.name not in {"map", "unknown"} or kind.key not in {None, kinds.STRING, UNKNOWN}:
            return self.complain(f"a {kind} has no field {expr.field}", expr)
        key = Literal(expr.field, (expr.at[1] - len(expr.field), expr.at[1]))
        return Index(operand, key, expr.at), kind.item or UNKNOWN

    def key(self, attr: Attr, key: str, at: tuple[int, int]) -> None:
        """Notes the read of one member or key, and complains of an undeclared one."""
        self.reads[attr.name, key] = None
        if problem := names.member_problem(attr.name, key, self.schema):
            self.complain(problem[0], Literal(key, at), problem[1])

    def index(self, expr: Index, variables: Variables) -> Checked:
        operand, kind = self.resolve(expr.operand, variables)
        index, wanted = self.visit(expr.index, variables)
        if isinstance(operand, Attr):
            if isinstance(index, Literal) and isinstance(index.value, str):
                self.key(operand, index.value, index.at)
            else:
                self.reads[operand.name, None] = None
        if kind.name == "set":
            return self.complain('a set has no order: ask `"…" in` it', expr)
        if kind.name not in {"list", "map", "unknown"}:
            return self.complain(f"a {kind} cannot be indexed", expr)
        key = kinds.INT if kind.name == "list" else kind.key or UNKNOWN
        if not kinds.may_equal(key, wanted) or wanted == kinds.DOUBLE:
            self.complain(f"expected an index of kind {key}, got {wanted}", expr.index)
        return Index(operand, index, expr.at), kind.item or UNKNOWN

    # Operators.

    def unary(self, expr: Unary, variables: Variables) -> Checked:
        operand, kind = self.visit(expr.operand, variables)
        found = self.overload(expr.op, SIGNS[expr.op], [kind], expr)
        return Unary(expr.op, operand, expr.at), found

    def binary(self, expr: Binary, variables: Variables) -> Checked:
        look = self.visit if expr.op != "in" else self.resolve
        left, kind_l = self.visit(expr.left, variables)
        right, kind_r = look(expr.right, variables)
        made = Binary(expr.op, left, right, expr.at)
        if expr.op in {"&&", "||"}:
            self.expect_bool(left, kind_l)
            self.expect_bool(right, kind_r)
            return made, kinds.BOOL
        if expr.op == "in":
            return self.within(made, left, kind_l, kind_r)
        if expr.op in {"==", "!="}:
            self.equality(made, kind_l, kind_r)
            return made, kinds.BOOL
        if expr.op in OPERATORS:
            return made, self.overload(expr.op, OPERATORS[expr.op], [kind_l, kind_r], expr)
        if not kinds.may_order(kind_l, kind_r):
            self.complain(f"{kind_l} {expr.op} {kind_r} has no meaning", expr)
        return made, kinds.BOOL

    def expect_bool(self, expr: Expr, kind: Kind) -> None:
        if kind not in {kinds.BOOL, UNKNOWN}:
            self.complain(f"expected bool, got {kind}", expr)

    def equality(self, expr: Binary, left: Kind, right: Kind) -> None:
        if not kinds.may_equal(left, right):
            hint = ": ask has() for what may be absent" if kinds.NULL in {left, right} else ""
            self.complain(f"{left} and {right} are never equal{hint}", expr, "never-equal")
        for attr, word in ((expr.left, expr.right), (expr.right, expr.left)):
            self.word(attr, word)

    def word(self, attr: Expr, word: Expr) -> None:
        """A written word beside an attribute: one it can be, and one that may be sensitive."""
        if not isinstance(attr, Attr) or not isinstance(word, Literal):
            return
        if not isinstance(word.value, str):
            return
        if problem := names.word_problem(attr.name, word.value):
            self.complain(problem, word, "unknown-value")
        if attr.kind == "string" and self.schema.attributes[attr.name].dimension:
            self.reads[attr.name, word.value] = None

    def within(self, expr: Binary, value: Expr, kind: Kind, container: Kind) -> Checked:
        """`value in container`, `has(container.value)` too."""
        if isinstance(expr.right, Attr):
            if isinstance(value, Literal) and isinstance(value.value, str):
                self.key(expr.right, value.value, value.at)
            else:
                self.reads[expr.right.name, None] = None
        if container.name not in {"list", "set", "map", "unknown"}:
            return self.complain(f"`in` asks a list, a set or a map, not {container}", expr)
        held = container.key if container.name == "map" else container.item
        if not kinds.may_equal(kind, held or UNKNOWN):
            self.complain(f"a {container} never holds {kind}", expr, "never-equal")
        if isinstance(expr.right, ListOf):
            for item in expr.right.items:
                self.word(value, item)
        return expr, kinds.BOOL

    def ternary(self, expr: Ternary, variables: Variables) -> Checked:
        test, kind = self.visit(expr.test, variables)
        self.expect_bool(test, kind)
        then, first = self.visit(expr.then, variables)
        other, second = self.visit(expr.other, variables)
        both = kinds.common([first, second])
        if both in {None, kinds.NUMBER}:
            what = f"expected one kind on both sides of `:`, got {first} and {second}"
            return self.complain(what, expr)
        return Ternary(test, then, other, expr.at), both or UNKNOWN

    def overload(
        self, name: str, overloads: Sequence[Overload], args: Sequence[Kind], expr: Expr
    ) -> Kind:
        """The kind of the result, or a complaint that names what came and what fits."""
        fitting = kinds.fitting(overloads, args)
        if fitting:
            return kinds.result(fitting, args)
        came = [str(kind) for kind in args]
        if name in FUNCTIONS or name in METHODS:
            fits = " or ".join(f"({', '.join(overload.args)})" for overload in overloads)
            self.complain(f"expected {name}{fits}, got ({', '.join(came)})", expr)
            return UNKNOWN
        mixed = len(args) == 2 and args[0] != args[1] and set(args) <= kinds.NUMBERS
        hint = ": convert one side with double() or int()" if mixed else ""
        self.complain(f"{' '.join([*came[:-1], name, came[-1]])} has no meaning{hint}", expr)
        return UNKNOWN

    # Calls, lists, maps, macros.

    def call(self, expr: Call, variables: Variables) -> Checked:
        name, method = expr.function.removeprefix("."), expr.target is not None
        table = METHODS if method else FUNCTIONS
        if name not in table:
            return self.refuse(expr, name, variables)
        target = self.visit(expr.target, variables) if expr.target is not None else None
        args = [self.visit(arg, variables) for arg in expr.args]
        parts = args if target is None else [target, *args]
        kind = self.overload(name, table[name], [part[1] for part in parts], expr)
        written = [part[0] for part in parts]
        if kind != UNKNOWN and (what := subset.constant_problem(name, written, table[name])):
            self.complain(what, written[-1], "bad-constant")
        checked = tuple(part[0] for part in args)
        return Call(name, target[0] if target else None, checked, expr.at), kind

    def refuse(self, expr: Call, name: str, variables: Variables) -> Checked:
        what, code = subset.refusal(name)
        if name not in subset.REFUSED:
            for arg in expr.args:
                self.visit(arg, variables)
        return self.complain(what, expr, code)

    def list_of(self, expr: ListOf, variables: Variables) -> Checked:
        items = [self.visit(item, variables) for item in expr.items]
        checked = ListOf(tuple(item[0] for item in items), expr.at)
        return checked, Kind("list", self.one_kind([item[1] for item in items], expr))

    def one_kind(self, found: Sequence[Kind], expr: Expr) -> Kind:
        kind = kinds.common(found)
        if kind is None:
            came = " and ".join(sorted({str(one) for one in found}))
            self.complain(f"expected items of one kind, got {came}", expr)
        return kind or UNKNOWN

    def map_of(self, expr: MapOf, variables: Variables) -> Checked:
        keys = [self.visit(key, variables) for key, _ in expr.entries]
        values = [self.visit(value, variables) for _, value in expr.entries]
        key_kind = self.one_kind([kind for _, kind in keys], expr)
        value_kind = self.one_kind([kind for _, kind in values], expr)
        if any(kind.name not in {"bool", "int", "string", "unknown"} for _, kind in keys):
            return self.complain("expected keys of kind bool, int or string", expr)
        try:
            KeyedMap((key.value, None) for key, _ in keys if isinstance(key, Literal))
        except EvaluationError as error:
            self.complain(str(error), expr, "bad-constant")
        entries = tuple((key[0], value[0]) for key, value in zip(keys, values, strict=True))
        return MapOf(entries, expr.at), Kind("map", value_kind, key_kind)

    def macro(self, expr: Macro, variables: Variables) -> Checked:
        target, kind = self.visit(expr.target, variables)
        if kind.name not in {"list", "set", "map", "unknown"}:
            self.complain(f"{expr.kind}() ranges over a list, a set or a map, not {kind}", target)
        if expr.variable in self.schema.roots():
            what = f"{expr.variable} is an attribute: call the variable something else"
            self.complain(what, expr, "shadowed-name")
        item = (kind.key if kind.name == "map" else kind.item) or UNKNOWN
        inner = {**variables, expr.variable: item}
        self.macros += 1
        if self.macros > MAX_NESTED_MACROS:
            what = f"expected at most {MAX_NESTED_MACROS} macros inside each other"
            self.complain(what, expr, "too-complex")
        guard = self.condition(expr.guard, inner) if expr.guard is not None else None
        if expr.kind != "map":
            body, found = self.condition(expr.body, inner), kinds.BOOL
        else:
            body, found = self.visit(expr.body, inner)
        self.macros -= 1
        made = Macro(expr.kind, target, expr.variable, body, guard, expr.at)
        lists = {"map": Kind("list", found), "filter": Kind("list", item)}
        return made, lists.get(expr.kind, kinds.BOOL)

    def condition(self, expr: Expr, variables: Variables) -> Expr:
        checked, kind = self.visit(expr, variables)
        self.expect_bool(checked, kind)
        return checked


def _attr(attribute: Attribute, at: tuple[int, int]) -> Attr:
    return Attr(attribute.name, attribute.type, at)


_NODES: dict[type, Callable[[_Checker, Any, Variables], Checked]] = {
    Literal: _Checker.literal,
    Name: _Checker.name,
    Select: _Checker.select,
    Index: _Checker.index,
    Unary: _Checker.unary,
    Binary: _Checker.binary,
    Ternary: _Checker.ternary,
    Call: _Checker.call,
    ListOf: _Checker.list_of,
    MapOf: _Checker.map_of,
    Macro: _Checker.macro,
}

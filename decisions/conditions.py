"""A checked expression and one visitor's facts in; what each of its conditions found out, in words.

Every answer is the evaluator's own: here is only told which conditions settled the whole, and what
they saw. Values come from Facts, so that what is not granted cannot be told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

from decisions.errors import EvaluationError
from decisions.rules.evaluator import compile_expr
from decisions.rules.spelling import spelling
from decisions.rules.syntax import (
    Attr,
    Binary,
    Call,
    Expr,
    Index,
    Literal,
    Macro,
    Name,
    Select,
    Ternary,
    Unary,
    children,
)
from decisions.rules.values import ABSENT, Duration, in_order, items_of, spelt
from decisions.schema import Schema

WhyAbsent: TypeAlias = Callable[[str], str]  # an absent name → a sentence

MOST_ITEMS = 6  # of a set or map that are told
MOST_CHARACTERS = 80  # of a string
_TREE: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Expr)
_PLAIN = (Attr, Index, Select)  # operands whose value stands beside them without brackets
_QUANTIFIERS = {"exists": True, "all": False}  # the answer of one item that settles them
VERBS: dict[str, tuple[str, str]] = {
    "startsWith": ("starts with", "does not start with"),
    "endsWith": ("ends with", "does not end with"),
    "contains": ("contains", "does not contain"),
    "matches": ("matches", "does not match"),
}


def tree_of(raw: bytes) -> Expr:
    """The tree that the record of a rule or tag carries."""
    tree: Expr = _TREE.decode(raw)
    return tree


class Condition(msgspec.Struct, frozen=True):
    """One condition of an expression, for one visitor.

    text: as CEL. holds: None where a value was absent. said: what was found, such as
    `scores.propensity 0.62 > 0.4` or `geo.country is unknown`.
    """

    text: str
    holds: bool | None
    said: str


class Weighing:
    """One visitor before the conditions of expressions of one schema.

    why_absent: says why a name has no value.
    """

    def __init__(self, schema: Schema, facts: Mapping[str, Any], why_absent: WhyAbsent) -> None:
        self._schema, self._facts, self._why_absent = schema, facts, why_absent

    def holds(self, expr: Expr) -> bool | None:
        """Whether a bool expression is true of this visitor; None is CEL's error value."""
        try:
            return self.value(expr) is True
        except EvaluationError:
            return None

    def every(self, expr: Expr) -> Iterator[Condition]:
        """Each condition of the expression, in written order."""
        match expr:
            case Unary("!") | Binary("&&" | "||") | Ternary():
                for part in children(expr):
                    yield from self.every(part)
            case _:
                yield self._condition(expr)

    def deciding(self, expr: Expr) -> Iterator[Condition]:
        """The conditions that made the expression what it is: what a `&&` found true of all, or
        false of some; of a ternary the test and the branch it took."""
        return map(self._condition, self.settling(expr))

    def settling(self, expr: Expr) -> Iterator[Expr]:
        """The same, as they are written."""
        match expr:
            case Unary("!", operand):
                yield from self.settling(operand)
            case Binary("&&" | "||", left, right):
                whole = self.holds(expr)
                for part in (left, right):
                    if self.holds(part) is whole:
                        yield from self.settling(part)
            case Ternary(test, then, other):
                yield from self.settling(test)
                if (taken := self.holds(test)) is not None:
                    yield from self.settling(then if taken else other)
            case _:
                yield expr

    def value(self, expr: Expr) -> Any:
        """What an expression comes to. Raises EvaluationError."""
        return compile_expr(expr, self._schema)(self._facts)

    def witness(self, expr: Expr, holds: bool | None) -> Expr | None:
        """What settled an `exists` or `all` (or made it an error): its body for the first such
        item; None where no item did."""
        if not isinstance(expr, Macro) or expr.kind not in _QUANTIFIERS:
            return None
        if holds is not None and holds is not _QUANTIFIERS[expr.kind]:
            return None
        try:
            items = list(items_of(self.value(expr.target)))
        except EvaluationError:
            return None
        bodies = (_replaced(expr.body, expr.variable, Literal(item)) for item in items)
        return next((body for body in bodies if self.holds(body) is holds), None)

    def _condition(self, expr: Expr) -> Condition:
        try:
            holds = self.value(expr) is True
        except EvaluationError as error:
            why = self._why_absent(error.absent) if error.absent else str(error)
            return Condition(spelling(expr), None, self._witnessed(expr, None) or why)
        said = self._witnessed(expr, holds) or self._said(expr, holds)
        return Condition(spelling(expr), holds, said)

    def _said(self, expr: Expr, holds: bool) -> str:
        match expr:
            case Literal():
                return "it is for everybody" if holds else "it is for nobody"
            case Binary("in", left, Attr(name)):
                verb = "contains" if holds else "does not contain"
                return f"{name} {verb} {self._member(left)}"
            case Binary("in", left, right):
                verb = "is one of" if holds else "is none of"
                return f"{self._operand(left)} {verb} {told(self.value(right))}"
            case Binary("==" | "!=" as op, left, right):
                return self._equality(left, right, holds is (op == "=="))
            case Binary("<" | "<=" | ">" | ">=" as op, left, right):
                return self._compared(left, op if holds else f"is not {op}", right)
            case Call("has", None, (Attr(name),)):
                return f"{name} is known" if holds else f"{name} is not known"
            case Call(function, target, args) if function in VERBS:
                text, part = args if target is None else (target, *args)
                verb = VERBS[function][not holds]
                return f"{self._operand(text)} {verb} {self._operand(part)}"
        return self._summed_up(expr, holds)

    def _summed_up(self, expr: Expr, holds: bool) -> str:
        """For whatever has no words of its own: its text, its value, and what it read."""
        whole = f"{spelling(expr)} is {spelt(holds)}"
        if isinstance(expr, Macro) and expr.kind in _QUANTIFIERS:
            which = "every" if holds else "no"
            whole = f"{which} {expr.variable} in {spelling(expr.target)} has {spelling(expr.body)}"
        values = [(name, self._facts[name]) for name in reads(expr)]
        known = ", ".join(f"{name} {told(value)}" for name, value in values if value is not ABSENT)
        return whole if isinstance(expr, Attr) or not known else f"{whole} ({known})"

    def _equality(self, left: Expr, right: Expr, same: bool) -> str:
        if not reads(left):
            left, right = right, left
        if same:
            return f"{spelling(left)} is {self._operand(right)}"
        return self._compared(left, "is not", right)

    def _compared(self, left: Expr, words: str, right: Expr) -> str:
        """Two operands with their values; should these look alike, to the last digit."""
        alike = told(self.value(left)) == told(self.value(right))
        say = spelt if alike else told
        return f"{self._operand(left, say)} {words} {self._operand(right, say)}"

    def _operand(self, expr: Expr, say: Callable[[Any], str] | None = None) -> str:
        """`scores.propensity 0.62`, `now - cart.updated_at (20m)`, or a constant's value."""
        value = (say or told)(self.value(expr))
        if not reads(expr):
            return value
        return f"{spelling(expr)} {value if isinstance(expr, _PLAIN) else f'({value})'}"

    def _member(self, expr: Expr) -> str:
        if isinstance(expr, Literal) and isinstance(expr.value, str):
            return expr.value
        return self._operand(expr)

    def _witnessed(self, expr: Expr, holds: bool | None) -> str:
        body = self.witness(expr, holds)
        return "" if body is None else joined(self.deciding(body))


def joined(conditions: Iterable[Condition], most: int = 12) -> str:
    """What conditions found, in one sentence; each is said once."""
    said = list(dict.fromkeys(condition.said for condition in conditions))
    if len(said) > most:
        said[most:] = [f"{len(said) - most} more"]
    return " and ".join(said)


def told(value: Any) -> str:
    """A value in few characters: numbers to six digits, long texts and collections cut."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return spelt(value if len(value) <= MOST_CHARACTERS else value[:MOST_CHARACTERS] + "…")
    if isinstance(value, Duration):
        return _length(value)
    if isinstance(value, Mapping):
        entries = [f"{key} {told(value[key])}" for key in sorted(value, key=str)]
        return f"{{{_cut(entries)}}}"
    if isinstance(value, (list, tuple, set, frozenset)):
        return f"[{_cut([told(item) for item in in_order(value)])}]"
    return spelt(value)


def _cut(items: list[str]) -> str:
    more = len(items) - MOST_ITEMS
    return ", ".join(items if more <= 0 else [*items[:MOST_ITEMS], f"{more} more"])


def _length(duration: Duration) -> str:
    """`1d2h`, `20m`, `1.5s`: from a minute on to the second."""
    seconds = abs(duration.ns) / 1e9
    sign = "-" if duration.ns < 0 else ""
    if seconds < 60:
        return f"{sign}{seconds:g}s"
    rest, parts = round(seconds), []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        parts += [f"{count}{unit}"] if count else []
    return sign + "".join(parts)


def reads(expr: Expr) -> list[str]:
    """The attributes that an expression reads, each once."""
    own = [expr.name] if isinstance(expr, Attr) else []
    below = (name for part in children(expr) for name in reads(part))
    return list(dict.fromkeys((*own, *below)))


def _replaced(expr: Any, variable: str, by: Literal) -> Any:
    """The expression with a macro's variable replaced by one of the values that it took."""
    match expr:
        case Name(name):
            return by if name == variable else expr
        case Macro(variable=inner) if inner == variable:  # hidden below by one of the same name
            return msgspec.structs.replace(expr, target=_replaced(expr.target, variable, by))
        case tuple():
            return tuple(_replaced(part, variable, by) for part in expr)
        case msgspec.Struct():
            fields = {
                name: _replaced(getattr(expr, name), variable, by)
                for name in expr.__struct_fields__
                if name != "at"
            }
            return msgspec.structs.replace(expr, **fields)
    return expr

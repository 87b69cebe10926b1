"""Mutants: a module's text in, its trees with one small fault each out; it runs nothing.

A fault is a comparison, operator or truth turned round, a number, word or truth changed, a step
left out. What cannot change an answer is left alone: annotations, docstrings, the words of
errors, a class's keywords.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import NamedTuple

SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult, ast.Mod: ast.Mult, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitOr,
}  # fmt: skip


class Mutant(NamedTuple):
    """One fault: where it is, what stood there and what does now, and the whole faulty tree."""

    where: str
    line: int
    before: str
    after: str
    tree: ast.Module

    @property
    def key(self) -> str:
        """Its name in reasons.toml; outlives a change elsewhere in the file."""
        return f"{self.where}: {self.before} → {self.after}"


class Site(NamedTuple):
    """A node that can be changed: its number in `ast.walk`, its function and the change's name."""

    number: int
    where: str
    change: str


def mutants(text: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its text."""
    tree, found = ast.parse(text), []
    for site in sorted(_sites(tree), key=lambda site: _line(tree, site)):
        faulty = copy.deepcopy(tree)
        node = list(ast.walk(faulty))[site.number]
        before = ast.unparse(node)
        after = CHANGES[site.change](node)
        line = getattr(node, "lineno", 0)
        found.append(Mutant(site.where, line, _short(before), _short(after), faulty))
    return found


def _line(tree: ast.Module, site: Site) -> tuple[int, int]:
    node = list(ast.walk(tree))[site.number]
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def _short(text: str) -> str:
    """One line of it that fits in a table."""
    line = text.split("\n")[0]
    return line if len(line) <= 90 else line[:89] + "…"


def _sites(tree: ast.Module) -> Iterator[Site]:
    numbers = {id(node): number for number, node in enumerate(ast.walk(tree))}

    def below(node: ast.AST, where: str) -> Iterator[Site]:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            where = f"{where}.{node.name}".lstrip(".")
        yield from (Site(numbers[id(node)], where, change) for change in _fitting(node))
        for child in ast.iter_child_nodes(node):
            if not _left_alone(node, child):
                yield from below(child, where)

    yield from below(tree, "")


def _left_alone(parent: ast.AST, child: ast.AST) -> bool:
    """Whether no fault below `child` could show, or only in a text for people."""
    match parent, child:
        case ast.Expr(), ast.Constant():
            return True
        case ((ast.AnnAssign() | ast.arg() | ast.FunctionDef()), _) if child in {
            getattr(parent, "annotation", None),
            getattr(parent, "returns", None),
        }:
            return True
        case ast.AnnAssign(annotation=ast.Name("TypeAlias")), _:
            return True
        case ast.Assign(targets=[ast.Name("__slots__")]), _:
            return True
        case (ast.ClassDef(), ast.keyword()) | (ast.Raise(), _):
            return True
    return isinstance(child, (ast.Import, ast.ImportFrom))


def _fitting(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Compare(ops=[op]) if type(op) in SWAPPED:
            yield "comparison"
        case ast.BoolOp() | ast.BinOp() | ast.AugAssign() if type(node.op) in SWAPPED:
            yield "operator"
        case ast.UnaryOp():
            yield "sign"
        case ast.Constant(value=bool() | int() | float() | str()):
            yield "constant"
        case ast.If() | ast.IfExp() | ast.While():
            yield "test"
        case ast.Return(value=ast.expr()):
            yield "return"
        case ast.Expr(value=ast.Call()):
            yield "step"
        case ast.Break() | ast.Continue():
            yield "turn"


def _comparison(node: ast.AST) -> str:
    node.ops[0] = SWAPPED[type(node.ops[0])]()  # type: ignore[attr-defined]  # by _fitting
    return ast.unparse(node)


def _operator(node: ast.AST) -> str:
    node.op = SWAPPED[type(node.op)]()  # type: ignore[attr-defined]  # by _fitting
    return ast.unparse(node)


def _sign(node: ast.AST) -> str:
    """`not x`, `-x` and `~x` become `+x`, or x itself where that is a truth."""
    negated = isinstance(node.op, ast.Not)  # type: ignore[attr-defined]  # by _fitting
    if negated:
        node.operand = ast.UnaryOp(ast.Not(), node.operand)  # type: ignore[attr-defined]
    else:
        node.op = ast.UAdd()  # type: ignore[attr-defined]  # by _fitting
    return ast.unparse(ast.fix_missing_locations(node))


def _constant(node: ast.AST) -> str:
    value = node.value  # type: ignore[attr-defined]  # by _fitting
    node.value = (  # type: ignore[attr-defined]  # by _fitting
        not value if isinstance(value, bool) else value + ("X" if isinstance(value, str) else 1)
    )
    return ast.unparse(node)


def _test(node: ast.AST) -> str:
    node.test = ast.UnaryOp(ast.Not(), node.test)  # type: ignore[attr-defined]  # by _fitting
    return ast.unparse(ast.fix_missing_locations(node))


def _return(node: ast.AST) -> str:
    node.value = None  # type: ignore[attr-defined]  # by _fitting
    return "return"


def _step(node: ast.AST) -> str:
    node.value = ast.Constant(None)  # type: ignore[attr-defined]  # by _fitting
    ast.fix_missing_locations(node)
    return "nothing"


def _turn(node: ast.AST) -> str:
    other = ast.Continue if isinstance(node, ast.Break) else ast.Break
    node.__class__ = other  # the one node type for the other: neither has fields
    return ast.unparse(node)


CHANGES = {
    "comparison": _comparison,
    "operator": _operator,
    "sign": _sign,
    "constant": _constant,
    "test": _test,
    "return": _return,
    "step": _step,
    "turn": _turn,
}

"""CEL's parser: text in, the tree out; the whole grammar, macros expanded to nodes of their own.

Precedence climbing over a list of tokens. Chains of `&&` and `||` become balanced trees, so that a
rule of a hundred alternatives is seven deep. What the tree has no node for becomes a call that no
function answers: `1u` is `uint(1)`, `b"x"` is `bytes("x")`, `Type{field: 1}` is the call MESSAGE on
the type's name. Raises RuleSyntaxError, and nothing else, on any text.
"""

from __future__ import annotations

from typing import NoReturn

from decisions.errors import RuleSyntaxError
from decisions.rules import lexer
from decisions.rules.lexer import Token
from decisions.rules.syntax import (
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
    Span,
    Ternary,
    Unary,
    children,
)
from decisions.rules.values import MAX_INT

MAX_TEXT = 20_000  # characters; a rule that long is a list that wants to be a segment
MAX_DEPTH = 64  # nodes from root to leaf; every later walk over the tree is recursive

MESSAGE = "{}"  # the function's name of `Type{field: value}`
MACROS = {"all": 2, "exists": 2, "exists_one": 2, "existsOne": 2, "filter": 2, "map": 2}
RANKS = {
    "||": 0,
    "&&": 1,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in"), 2),
    **dict.fromkeys(("+", "-"), 3),
    **dict.fromkeys(("*", "/", "%"), 4),
}
LITERALS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
RESERVED = frozenset(
    {"as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop"}
    | {"package", "namespace", "return", "var", "void", "while"}
)


def parse(text: str) -> Expr:
    """The tree of one CEL expression. Raises RuleSyntaxError with the place of the first error."""
    if len(text) > MAX_TEXT:
        raise RuleSyntaxError(
            f"expected at most {MAX_TEXT} characters, got {len(text)}", text, MAX_TEXT, 1
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RuleSyntaxError("half a surrogate pair is no character", text, error.start) from None
    expr = _Parser(text).whole()
    _measure(expr, text)
    return expr


def _measure(expr: Expr, text: str) -> None:
    """Refuses a tree deeper than MAX_DEPTH: `1 + 1 + …` grows one without nesting a bracket."""
    level = [expr]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in children(node)]
        if not level:
            return
    start, end = level[0].at
    raise _too_deep(text, start, end - start)


def _too_deep(text: str, start: int, length: int) -> RuleSyntaxError:
    return RuleSyntaxError(
        f"expected at most {MAX_DEPTH} levels of nesting", text, start, length, code="too-complex"
    )


class _Parser:
    """One pass over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.rest = iter(lexer.tokens(text))
        self.depth = 0
        self.look()

    def look(self) -> None:
        """Looks at the next token; after the end there is the end."""
        self.token = next(self.rest, Token(lexer.END, "", len(self.text), len(self.text)))
        self.operator = self.token.value if self.token.kind == lexer.OPERATOR else ""

    def taken(self) -> Token:
        """The token looked at; the next one is looked at from now on."""
        token = self.token
        self.look()
        return token

    def sees(self, operator: str) -> bool:
        return bool(self.operator == operator)

    def skips(self, operator: str) -> bool:
        """Whether the operator was there; it is taken."""
        if self.operator != operator:
            return False
        self.look()
        return True

    def expects(self, operator: str) -> Token:
        return self.taken() if self.sees(operator) else self.fail(f"`{operator}`")

    def fail(self, expected: str) -> NoReturn:
        token = self.token
        written = self.text[token.start : token.end]
        came = f"`{written}`" if written else "the end"
        start = token.start if written else max(0, len(self.text.rstrip()) - 1)
        length = max(1, token.end - token.start)
        raise RuleSyntaxError(f"expected {expected}, got {came}", self.text, start, length)

    def whole(self) -> Expr:
        expr = self.expression()
        if self.token.kind != lexer.END:
            self.fail("an operator or the end")
        return expr

    def expression(self) -> Expr:
        """ConditionalOr ["?" ConditionalOr ":" Expr]"""
        test = self.binary(0)
        if not self.skips("?"):
            return test
        then = self.binary(0)
        self.expects(":")
        self.deeper()
        other = self.expression()
        self.depth -= 1
        return Ternary(test, then, other, _span(test, other))

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _too_deep(self.text, self.token.start, 1)

    def binary(self, rank: int) -> Expr:
        """Operands joined by operators that bind at least as tightly as `rank`."""
        self.deeper()
        left = self.unary()
        while (found := RANKS.get(self.operator, -1)) >= rank:
            operator = self.taken().value
            right = self.binary(found + 1)
            if found > RANKS["&&"]:
                left = Binary(operator, left, right, _span(left, right))
                continue
            terms = [left, right]
            while self.skips(operator):
                terms.append(self.binary(found + 1))
            left = _balanced(operator, terms)
        self.depth -= 1
        return left

    def unary(self) -> Expr:
        """Member | "!" {"!"} Member | "-" {"-"} Member"""
        signs: list[Token] = []
        if self.operator in {"!", "-"}:
            sign = self.operator
            while self.operator == sign:
                signs.append(self.taken())
        if signs and signs[-1].value == "-" and self.token.kind in {lexer.INT, lexer.DOUBLE}:
            expr = self.member(signs.pop())
        else:
            expr = self.member()
        for token in reversed(signs):
            expr = Unary(token.value, expr, (token.start, expr.at[1]))
        return expr

    def member(self, minus: Token | None = None) -> Expr:
        """Primary, then any number of `.field`, `.method(…)`, `[index]` and `{…}` of a message."""
        expr = self.primary() if minus is None else self.negative(minus)
        while True:
            if self.skips("."):
                expr = self.selected(expr)
            elif self.skips("["):
                index = self.expression()
                end = self.expects("]").end
                expr = Index(expr, index, (expr.at[0], end))
            elif self.sees("{") and _is_path(expr):
                expr = self.message(expr)
            else:
                return expr

    def selected(self, operand: Expr) -> Expr:
        token = self.token
        if token.kind not in {lexer.IDENT, lexer.ESCAPED} or token.value in LITERALS:
            self.fail("a field's name")
        self.taken()
        if token.kind == lexer.ESCAPED or not self.skips("("):
            return Select(operand, token.value, at=(operand.at[0], token.end))
        args, end = self.listed(")")
        at = (operand.at[0], end)
        if token.value in MACROS and len(args) in {2, 3 if token.value == "map" else 2}:
            return self.macro(token.value, operand, args, at)
        return Call(token.value, operand, args, at)

    def macro(self, kind: str, target: Expr, args: tuple[Expr, ...], at: Span) -> Expr:
        variable, body = args[0], args[-1]
        if not isinstance(variable, Name) or variable.name.startswith("."):
            start, end = variable.at
            raise RuleSyntaxError(
                f"expected a variable's name as the first argument of {kind}()",
                self.text,
                start,
                end - start,
            )
        kind = "exists_one" if kind == "existsOne" else kind
        return Macro(kind, target, variable.name, body, args[1] if len(args) == 3 else None, at)

    def primary(self) -> Expr:
        token = self.token
        if token.kind == lexer.IDENT or self.sees("."):
            return self.named()
        if self.skips("("):
            inner = self.expression()
            self.expects(")")
            return inner
        if self.skips("["):
            items, end = self.listed("]")
            return ListOf(items, (token.start, end))
        if self.skips("{"):
            entries, end = self.entries()
            return MapOf(entries, (token.start, end))
        return self.literal()

    def literal(self) -> Expr:
        token = self.token
        at = (token.start, token.end)
        if token.kind == lexer.INT and token.value > MAX_INT:
            raise RuleSyntaxError(
                "this number does not fit 64 bits", self.text, token.start, at[1] - at[0]
            )
        if token.kind in {lexer.INT, lexer.DOUBLE, lexer.STRING}:
            self.taken()
            return Literal(token.value, at)
        if token.kind in {lexer.UINT, lexer.BYTES}:
            self.taken()
            # More than an int holds: the function refuses the text as well as the number.
            value = token.value if token.kind == lexer.BYTES else str(token.value)
            return Call(token.kind, None, (Literal(value, at),), at)
        return self.fail("an expression")

    def negative(self, minus: Token) -> Expr:
        token = self.taken()
        return Literal(-token.value, (minus.start, token.end))

    def named(self) -> Expr:
        """["."] IDENT ["(" [ExprList] ")"], `has(…)` among them."""
        start = self.token.start
        dot = "." if self.skips(".") else ""
        token = self.token
        if token.kind != lexer.IDENT or (dot and token.value in LITERALS):
            self.fail("a name")
        if token.value in RESERVED:
            self.fail(f"a name (`{token.value}` is reserved)")
        self.taken()
        if not self.skips("("):
            if token.value in LITERALS:
                return Literal(LITERALS[token.value], (start, token.end))
            return Name(dot + token.value, (start, token.end))
        args, end = self.listed(")")
        if token.value == "has" and len(args) == 1:
            return self.presence(args[0], (start, end))
        return Call(dot + token.value, None, args, (start, end))

    def presence(self, arg: Expr, at: Span) -> Expr:
        if isinstance(arg, Select) and not arg.test:
            return Select(arg.operand, arg.field, test=True, at=at)
        start, end = arg.at
        raise RuleSyntaxError(
            "expected a field in has(), such as has(geo.country)", self.text, start, end - start
        )

    def listed(self, closing: str) -> tuple[tuple[Expr, ...], int]:
        """Expressions up to the closing bracket, and where it ends; a list may end in a comma."""
        items: list[Expr] = []
        while not self.sees(closing):
            items.append(self.expression())
            if not self.skips(","):
                break
            if closing == ")" and self.sees(")"):
                self.fail("an expression")
        return tuple(items), self.expects(closing).end

    def entries(self) -> tuple[tuple[tuple[Expr, Expr], ...], int]:
        entries: list[tuple[Expr, Expr]] = []
        while not self.sees("}"):
            key = self.expression()
            self.expects(":")
            entries.append((key, self.expression()))
            if not self.skips(","):
                break
        return tuple(entries), self.expects("}").end

    def message(self, path: Expr) -> Expr:
        """`Type{field: value}`: its fields are names, kept as strings."""
        opening = self.taken()
        fields: list[tuple[Expr, Expr]] = []
        while not self.sees("}"):
            token = self.token
            if token.kind not in {lexer.IDENT, lexer.ESCAPED}:
                self.fail("a field's name")
            self.taken()
            self.expects(":")
            fields.append((Literal(token.value, (token.start, token.end)), self.expression()))
            if not self.skips(","):
                break
        end = self.expects("}").end
        return Call(MESSAGE, path, (MapOf(tuple(fields), (opening.start, end)),), (path.at[0], end))


def _span(first: Expr, last: Expr) -> Span:
    return first.at[0], last.at[1]


def _balanced(operator: str, terms: list[Expr]) -> Expr:
    """`&&` and `||` associate, so the flattest tree means the same as the written one."""
    if len(terms) == 1:
        return terms[0]
    half = (len(terms) + 1) // 2
    left, right = _balanced(operator, terms[:half]), _balanced(operator, terms[half:])
    return Binary(operator, left, right, _span(left, right))


def _is_path(expr: Expr) -> bool:
    while isinstance(expr, Select) and not expr.test:
        expr = expr.operand
    return isinstance(expr, Name)

"""The grammar: what becomes which tree, and where the caret stands when it becomes none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.errors import RuleSyntaxError
from decisions.rules.parser import MAX_DEPTH, MAX_TEXT, MESSAGE, parse
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
    Ternary,
    Unary,
    children,
)

ALPHABET = st.sampled_from(
    [*"abxin!&|=<>+-*/%?:.,()[]{}'\"\\`0129eu \n", "&&", "||", "has(", "all(", "true", "'''", "//"]
)
NOISE = st.lists(ALPHABET, max_size=40).map("".join) | st.text(max_size=40)


@settings(max_examples=600)
@given(NOISE)
def test_any_text_parses_or_is_a_syntax_error(text: str) -> None:
    try:
        expr = parse(text)
    except RuleSyntaxError as error:
        assert 0 <= error.start <= len(text)
        assert "^" in str(error)
    else:
        assert deepest(expr) <= MAX_DEPTH


def deepest(expr: Expr) -> int:
    return 1 + max((deepest(child) for child in children(expr)), default=0)


def bare(expr: Expr) -> str:
    """The tree in one line, without its places."""
    match expr:
        case Literal(value):
            return repr(value)
        case Name(name):
            return name
        case Select(operand, field, test):
            return f"(has {bare(operand)} {field})" if test else f"{bare(operand)}.{field}"
        case Call(function, target, args):
            head = f"{bare(target)}." if target is not None else ""
            return f"{head}{function}({', '.join(map(bare, args))})"
        case Macro(kind, target, variable, body, guard):
            middle = f" if {bare(guard)}" if guard is not None else ""
            return f"({kind} {variable} {bare(target)}{middle} {bare(body)})"
        case MapOf(entries):
            return f"{{{', '.join(f'{bare(key)}: {bare(item)}' for key, item in entries)}}}"
    return joined(expr, [bare(child) for child in children(expr)])


def joined(expr: Expr, parts: list[str]) -> str:
    match expr:
        case Index():
            return f"{parts[0]}[{parts[1]}]"
        case ListOf():
            return f"[{', '.join(parts)}]"
        case Ternary():
            return f"(? {' '.join(parts)})"
        case Unary(op) | Binary(op):
            return f"({op} {' '.join(parts)})"
    raise AssertionError(expr)


TREES = {
    "1 + 2 * 3 - 4": "(- (+ 1 (* 2 3)) 4)",
    "a || b && c == d": "(|| a (&& b (== c d)))",
    "a < b == c": "(== (< a b) c)",
    "a in [1, 2,] + b": "(in a (+ [1, 2] b))",
    "a ? b : c ? d : e": "(? a b (? c d e))",
    "!!a": "(! (! a))",
    "--1": "(- -1)",
    "-1.5": "-1.5",
    "-a.b": "(- a.b)",
    "-(1)": "(- 1)",
    "2-1": "(- 2 1)",
    "a.b['c'].d(1, 2)[0]": "a.b['c'].d(1, 2)[0]",
    "a.`x-y z`": "a.x-y z",
    ".a.b(c)": ".a.b(c)",
    ".f(1)": ".f(1)",
    "f()": "f()",
    "has(a.b.c)": "(has a.b c)",
    "has(a, b)": "has(a, b)",
    "{'k': 1, 2: [],}": "{'k': 1, 2: []}",
    "l.all(x, x > 0)": "(all x l (> x 0))",
    "l.existsOne(x, x)": "(exists_one x l x)",
    "l.map(x, x > 0, x * 2)": "(map x l if (> x 0) (* x 2))",
    "l.map(x, x)": "(map x l x)",
    "l.all(x)": "l.all(x)",
    "l.filter(x, y, z)": "l.filter(x, y, z)",
    "1u": "uint('1')",
    "0xFFu": "uint('255')",
    "b'\\xff'": "bytes('ÿ')",
    "rb": "rb",
    "a.b.C{x: 1, `y-z`: 2,}": f"a.b.C.{MESSAGE}({{'x': 1, 'y-z': 2}})",
    "C{}": f"C.{MESSAGE}({{}})",
    "a // a remark": "a",
}


@pytest.mark.parametrize(("text", "tree"), TREES.items())
def test_a_text_becomes_this_tree(text: str, tree: str) -> None:
    assert bare(parse(text)) == tree


BROKEN = {
    "": ("expected an expression, got the end", 0, 1),
    "a ==": ("expected an expression, got the end", 3, 1),
    "a b": ("expected an operator or the end, got `b`", 2, 1),
    "(a": ("expected `)`, got the end", 1, 1),
    "[a": ("expected `]`, got the end", 1, 1),
    "{a}": ("expected `:`, got `}`", 2, 1),
    "f(a,)": ("expected an expression, got `)`", 4, 1),
    "a.1": ("expected an operator or the end, got `.1`", 1, 2),
    "a.true": ("expected a field's name, got `true`", 2, 4),
    "a.(b)": ("expected a field's name, got `(`", 2, 1),
    "for": ("expected a name (`for` is reserved), got `for`", 0, 3),
    ".true": ("expected a name, got `true`", 1, 4),
    "!-a": ("expected an expression, got `-`", 1, 1),
    "has(a)": ("expected a field in has(), such as has(geo.country)", 4, 1),
    "has(has(a.b))": ("expected a field in has(), such as has(geo.country)", 4, 8),
    "l.all(1, true)": ("expected a variable's name as the first argument of all()", 6, 1),
    "l.all(.x, true)": ("expected a variable's name as the first argument of all()", 6, 2),
    "C{1: 2}": ("expected a field's name, got `1`", 2, 1),
    "a ? b": ("expected `:`, got the end", 4, 1),
    "a = b": ("unexpected character '='", 2, 1),
    "a & b": ("unexpected character '&'", 2, 1),
    "'abc": ("this string is never closed: expected '", 0, 1),
    "'a\nb'": ("this string is never closed: expected '", 0, 1),
    "r'''abc''": ("this string is never closed: expected '''", 0, 3),
    r"'\q'": (r"unknown escape; a backslash is written \\", 1, 2),
    r"b'\u0041'": (r"unknown escape; a backslash is written \\", 2, 2),
    r"'\ud800'": ("this escape is no Unicode character", 1, 6),
    r"'\U00110000'": ("this escape is no Unicode character", 1, 10),
    "9223372036854775808": ("this number does not fit 64 bits", 0, 19),
    "18446744073709551616u": ("this number does not fit 64 bits", 0, 21),
    "9" * 5_000: ("this number does not fit 64 bits", 0, 5_000),
    "1e999": ("this number does not fit a double", 0, 5),
    "a\ud800": ("half a surrogate pair is no character", 1, 1),
}


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:20].encode("ascii", "replace"))
def test_a_broken_text_is_told_what_was_expected_and_where(text: str) -> None:
    with pytest.raises(RuleSyntaxError) as caught:
        parse(text)
    assert (caught.value.what, caught.value.start, caught.value.length) == BROKEN[text]


def test_the_caret_stands_under_the_offending_span() -> None:
    with pytest.raises(RuleSyntaxError) as caught:
        parse("geo.country == 'FR' &&\n  cart..items > 0")
    assert str(caught.value) == (
        "expected a field's name, got `.`\n    cart..items > 0\n         ^"
    )


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5_000 + "1" + ")" * 5_000,
        "[" * 5_000,
        "{1:" * 3_000,
        "!" * 10_000 + "true",
        "-" * 10_000 + "1",
        "1" + " + 1" * 4_000,
        "a" + ".b" * 9_000,
        "a" + "[0]" * 5_000,
        "true ? 1 : " * 1_500 + "2",
        "a.b(" * 4_000,
        "a.all(x, " * 2_000,
    ],
    ids=lambda text: text[:12],
)
def test_what_nests_too_deep_is_refused_and_never_a_recursion_error(text: str) -> None:
    with pytest.raises(RuleSyntaxError) as caught:
        parse(text)
    assert caught.value.code == "too-complex"


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(RuleSyntaxError, match="expected at most 20000 characters, got 20001"):
        parse(" " * MAX_TEXT + "1")


def test_a_hundred_alternatives_make_a_flat_tree() -> None:
    chain = parse(" || ".join(f"a == {number}" for number in range(128)))
    assert deepest(chain) == 7 + 2
    mixed = parse("a && b && c || d && e || f")
    assert bare(mixed) == "(|| (|| (&& (&& a b) c) (&& d e)) f)"


def test_every_node_knows_its_span() -> None:
    text = "has(a.b) && -c[0] in [1, {2: x.map(y, y)}] ? !f(d) : (1 + 2).g()"
    waiting: list[Expr] = [parse(text)]
    while waiting:
        node = waiting.pop()
        start, end = node.at
        assert 0 <= start < end <= len(text)
        for child in children(node):
            assert start <= child.at[0] <= child.at[1] <= end
            waiting.append(child)

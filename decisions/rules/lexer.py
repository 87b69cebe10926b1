"""CEL's lexer: text in, tokens with their places out; every literal already holds its value.

Bytes and unsigned integers are read too, so that the checker can refuse them by name. Raises
RuleSyntaxError, pointing at the characters that no token fits, and nothing else.
"""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

from decisions.errors import RuleSyntaxError
from decisions.rules.values import MAX_INT

# What a token may be: a literal (its kind of value), a name, an operator or bracket, the end.
INT, UINT, DOUBLE, STRING, BYTES = "int", "uint", "double", "string", "bytes"
IDENT, ESCAPED, OPERATOR, END = "identifier", "escaped", "operator", "end"


class Token(NamedTuple):
    """value: what a literal stands for; the word of anything else ("" at the end)."""

    kind: str
    value: Any
    start: int
    end: int


_BLANK = re.compile(r"(?:[\t\n\f\r ]+|//[^\r\n]*)+")
_WORD = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_ESCAPED = re.compile(r"`([_a-zA-Z0-9\-./ ]+)`")
_DOUBLE = re.compile(r"[0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+")
_INT = re.compile(r"(0x[0-9a-fA-F]+|[0-9]+)([uU]?)")
_OPERATOR = re.compile(r"&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]{}]")
_QUOTE = re.compile(r"([bB]?)([rR]?)('''|\"\"\"|'|\")")
_PLAIN = re.compile(r"[^\\'\"\r\n]+")  # what a string holds most: no escape, quote or line's end
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\?\"'`])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})"
    r"|([0-3][0-7]{2}))"
)
_SIMPLE = dict(zip("abfnrtv\\?\"'`", "\a\b\f\n\r\t\v\\?\"'`", strict=True))
_MAX_DIGITS = 4_000  # Python refuses to convert more; no number of CEL needs them


def tokens(text: str) -> list[Token]:
    """Every token of the text, an END token last."""
    found: list[Token] = []
    at = 0
    while True:
        if blank := _BLANK.match(text, at):
            at = blank.end()
        if at >= len(text):
            return [*found, Token(END, "", len(text), len(text))]
        token = _next(text, at)
        found.append(token)
        at = token.end


def _next(text: str, at: int) -> Token:
    if quote := _QUOTE.match(text, at):
        return _quoted(text, quote)
    if word := _WORD.match(text, at):
        kind = OPERATOR if word[0] == "in" else IDENT
        return Token(kind, word[0], at, word.end())
    if number := _DOUBLE.match(text, at):
        return _double(text, number)
    if number := _INT.match(text, at):
        return _int(text, number)
    if operator := _OPERATOR.match(text, at):
        return Token(OPERATOR, operator[0], at, operator.end())
    if name := _ESCAPED.match(text, at):
        return Token(ESCAPED, name[1], at, name.end())
    raise RuleSyntaxError(f"unexpected character {text[at]!r}", text, at)


def _double(text: str, number: re.Match[str]) -> Token:
    value = float(number[0])
    if math.isinf(value):
        raise _misfit("a double", text, number)
    return Token(DOUBLE, value, number.start(), number.end())


def _int(text: str, number: re.Match[str]) -> Token:
    """Up to 2**63 for an int: the parser takes the minus before it, and refuses it without."""
    digits, unsigned = number[1], bool(number[2])
    if len(digits) > _MAX_DIGITS:
        raise _misfit("64 bits", text, number)
    value = int(digits, 16) if digits.startswith("0x") else int(digits)
    if value > (2**64 - 1 if unsigned else MAX_INT + 1):
        raise _misfit("64 bits", text, number)
    return Token(UINT if unsigned else INT, value, number.start(), number.end())


def _misfit(what: str, text: str, number: re.Match[str]) -> RuleSyntaxError:
    start, end = number.span()
    return RuleSyntaxError(f"this number does not fit {what}", text, start, end - start)


def _quoted(text: str, opening: re.Match[str]) -> Token:
    """A string or bytes from its opening quote on; a triple-quoted one may span lines."""
    kind, raw, quote = (BYTES if opening[1] else STRING), bool(opening[2]), opening[3]
    pieces: list[str] = []
    at = opening.end()
    while not text.startswith(quote, at):
        if at >= len(text) or (len(quote) == 1 and text[at] in "\r\n"):
            raise RuleSyntaxError(
                f"this string is never closed: expected {quote}", text, opening.start(), len(quote)
            )
        if text[at] == "\\" and not raw:
            piece, at = _escape(text, at, octets=kind == BYTES)
        elif plain := _PLAIN.match(text, at):
            piece, at = plain[0], plain.end()
        else:
            piece, at = text[at], at + 1
        pieces.append(piece)
    return Token(kind, "".join(pieces), opening.start(), at + len(quote))


def _escape(text: str, at: int, *, octets: bool) -> tuple[str, int]:
    """The character that an escape stands for, and where the text goes on."""
    match = _ESCAPE.match(text, at)
    if match is None or (octets and (match[3] or match[4])):
        raise RuleSyntaxError(r"unknown escape; a backslash is written \\", text, at, 2)
    if match[1]:
        return _SIMPLE[match[1]], match.end()
    code = int(match[5], 8) if match[5] else int(match[2] or match[3] or match[4], 16)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise RuleSyntaxError("this escape is no Unicode character", text, at, match.end() - at)
    return chr(code), match.end()

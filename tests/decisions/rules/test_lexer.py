"""Tokens: what the characters of a text become."""

from __future__ import annotations

import pytest

from decisions.rules.lexer import tokens

LITERALS = {
    "0x1F": ("int", 31),
    "12u": ("uint", 12),
    ".5": ("double", 0.5),
    "1e3": ("double", 1000.0),
    "'it''s'": ("string", "it"),
    r"'\'\"\`\?'": ("string", "'\"`?"),
    r"'\a\b\f\n\r\t\v\\'": ("string", "\a\b\f\n\r\t\v\\"),
    r"'\x41\X41\u00e9\U0001F600\101'": ("string", "AAé\U0001f600A"),
    r"r'\n'": ("string", r"\n"),
    r"R'''a'b\'''": ("string", "a'b\\"),
    '"""a"b\n"""': ("string", 'a"b\n'),
    r"b'\x00\377'": ("bytes", "\x00\xff"),
    "bR'\\'": ("bytes", "\\"),
    "in": ("operator", "in"),
    "inner": ("identifier", "inner"),
    "`a-b.c/d e`": ("escaped", "a-b.c/d e"),
    "<=": ("operator", "<="),
}


@pytest.mark.parametrize(("text", "wanted"), LITERALS.items())
def test_a_token_holds_its_value(text: str, wanted: tuple[str, object]) -> None:
    first = tokens(text)[0]
    assert (first.kind, first.value) == wanted
    assert type(first.value) is type(wanted[1])


def test_blanks_and_remarks_lie_between_tokens() -> None:
    found = tokens(" a // b\n\t+ // c\r\n 'd' ")
    assert [(token.kind, token.value, token.start, token.end) for token in found] == [
        ("identifier", "a", 1, 2),
        ("operator", "+", 9, 10),
        ("string", "d", 18, 21),
        ("end", "", 22, 22),
    ]

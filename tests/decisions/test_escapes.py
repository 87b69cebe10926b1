from __future__ import annotations

import html
import json
import math
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.escapes import ESCAPES, html_text, json_text, json_value, shown, url_part, url_start
from decisions.rules.values import ABSENT


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Ann", "Ann"),
        ("", ""),
        (True, "true"),
        (False, "false"),
        (3, "3"),
        (0, "0"),
        (3.0, "3"),
        (12.5, "12.5"),
        (0.1 + 0.2, "0.3"),
        (-0.0, "0"),
        (1e15, "1e+15"),
        (math.nan, ""),
        (math.inf, ""),
        (None, ""),
        (ABSENT, ""),
        ({}, ""),
        ({"a": 1}, ""),
        ([1, "b", 2.0], "1, b, 2"),
        (("x",), "x"),
        (frozenset({"b", "a"}), "a, b"),
    ],
)
def test_values_read_as_people_write_them(value: Any, text: str) -> None:
    assert shown(value) == text


def test_anything_else_shows_its_own_text() -> None:
    assert shown(1 + 2j) == "(1+2j)"
    assert json_value(1 + 2j) == '"(1+2j)"'


def test_html_escapes_what_could_end_text_or_a_quoted_value() -> None:
    assert html_text("""<a b='c' d="`">&""") == ("&lt;a b=&#39;c&#39; d=&quot;&#96;&quot;&gt;&amp;")
    assert html_text("plain text") == "plain text"
    assert html_text(3.0) == "3"


def test_a_url_part_keeps_only_what_has_no_meaning_in_a_url() -> None:
    assert url_part("a/b?c=d&e f#ü..") == "a%2Fb%3Fc%3Dd%26e%20f%23%C3%BC.."
    assert url_part("\ud800") == "%3F"


def test_an_empty_first_part_of_a_path_cannot_make_a_host_of_the_next() -> None:
    assert (url_start(""), url_start(ABSENT), url_start("de")) == (".", ".", "de")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('a\n"', '"a\\n\\""'),
        (3, "3"),
        (3.0, "3"),
        (2.5, "2.5"),
        (True, "true"),
        (math.nan, "null"),
        (None, "null"),
        (ABSENT, "null"),
        (frozenset({"b", "a"}), '["a", "b"]'),
        ([1.0, None], "[1, null]"),
        ({"a": {"b": "ü"}}, '{"a": {"b": "ü"}}'),
    ],
)
def test_a_json_value_is_written_whole(value: Any, text: str) -> None:
    assert json_value(value) == text


@given(st.text())
def test_every_escape_gives_the_text_back_to_who_reads_its_place(text: str) -> None:
    assert html.unescape(html_text(text)) == text or "&" in text or "\r" in text
    assert unquote(url_part(text), errors="replace") == text
    assert json.loads(f'"{json_text(text)}"') == text


def test_there_is_one_escape_for_each_place() -> None:
    assert set(ESCAPES) == {"html", "raw", "url", "url start", "json", "value"}

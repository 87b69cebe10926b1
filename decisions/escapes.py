"""A value in, its text out, safe for the one place where it stands: HTML, a URL, JSON.

Numbers and collections print here too, so that a fragment reads alike wherever a token stands.
Nothing here knows where a token stands: `markup` finds out at build time and names the escape.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring
from typing import Any
from urllib.parse import quote

HTML, RAW, URL, URL_START = "html", "raw", "url", "url start"
JSON_TEXT, JSON_VALUE = "json", "value"

_SPECIAL = re.compile("[&<>\"'`]")
_ENTITIES = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
    "`": "&#96;",  # old browsers took it for a quote
}
_EXACT = 1e15  # below it a double without a fraction is a whole number to the reader too


def shown(value: Any) -> str:
    """A value as a reader expects it; whatever is absent, null or not a number is "".

    3.0 is `3`, 0.1 + 0.2 is `0.3` (12 significant digits), True is `true`; a list is joined by
    commas, a set too, in alphabetical order; a map has no text.
    """
    if type(value) is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(shown(item) for item in value)
    if isinstance(value, (set, frozenset)):
        return ", ".join(sorted(shown(item) for item in value))
    if isinstance(value, Mapping) or (not value and not isinstance(value, int)):
        return ""
    return str(value)


def _number(value: float) -> str:
    if not math.isfinite(value):
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < _EXACT else format(value, ".12g")


def html_text(value: Any) -> str:
    """For HTML text and quoted attribute values alike."""
    text = value if type(value) is str else shown(value)
    if _SPECIAL.search(text) is None:
        return text
    return _SPECIAL.sub(lambda found: _ENTITIES[found[0]], text)


def url_part(value: Any) -> str:
    """For one part of a URL: everything but letters, digits and `_.-~` is percent-encoded."""
    return quote(shown(value), safe="", errors="replace")


def url_start(value: Any) -> str:
    """For the first part of a path; "." when it is empty, for `//x` is a host and `/./x` is not."""
    return url_part(value) or "."


def json_text(value: Any) -> str:
    """For the inside of a JSON string."""
    return encode_basestring(shown(value))[1:-1]


def json_value(value: Any) -> str:
    """For the place of a whole JSON value; what is absent or not a number is null."""
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) < _EXACT else value
    if isinstance(value, (set, frozenset)):
        return sorted(shown(item) for item in value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return str(value) if value else None


ESCAPES: dict[str, Callable[[Any], str]] = {
    HTML: html_text,
    RAW: shown,
    URL: url_part,
    URL_START: url_start,
    JSON_TEXT: json_text,
    JSON_VALUE: json_value,
}

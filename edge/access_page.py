"""What is held of a visitor, as a page to read: self-contained, without a script, every value
escaped.

Words come from `decisions.plainly`; what it shows is `access.Access` and nothing besides.
"""

from __future__ import annotations

import datetime
import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from decisions.consent import PURPOSES
from decisions.plainly import words
from decisions.schema import TIMESTAMP, Schema
from edge.access import Access, Profiled, Recognised
from edge.problems import Headers
from edge.wire import ConsentReply

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;overflow-wrap:anywhere;"
    "border-bottom:1px solid #8886;font-weight:inherit}th{width:45%}"
)
_STYLE_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest())
HEADERS: Headers = [
    (b"content-type", b"text/html; charset=utf-8"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'sha256-%b'; base-uri 'none'; form-action 'none'; "
        b"frame-ancestors 'none'" % _STYLE_HASH,
    ),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
USES: dict[str, str] = {
    "functional": "your cart, and how often you were shown something",
    "analytics": "a log of what happens here, to learn what works",
    "personalization": "what you look at and who you are here, to choose what you are shown",
    "marketing": "advertising",
    "sensitive": "what could tell something intimate, such as health",
}
LOGGED = (
    "<p>What you do here and what you are shown is written into a log, with the address of the "
    "page and under keyed numbers in place of your ids; neither your network address nor your "
    "browser stands in it. Ask whoever runs this site for a copy.</p>"
)
NOT_LOGGED = (
    "<p>Nothing of what you do here is written down, but for what you choose about this, as a "
    "proof of it.</p>"
)
BOUGHT = "what you bought last, by which other products are recommended"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>What is held of you</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>What is held of you</h1>
<p>This page was made just now from the cookies that your browser sent. Only this browser can
ask for it, and to look at it stores nothing.</p>
{sections}
</main>
</body>
</html>
"""


def page(told: Access, schema: Schema) -> str:
    """The whole page. schema: the program's, which says what is a moment."""
    sections = [
        ("What you allowed", _choice(told.choice, told.unused)),
        ("On this device", _profile(told.profile, schema)),
        ("In the site's log", LOGGED if told.logged else NOT_LOGGED),
        ("As a customer", _customer(told.customer, schema)),
        ("What this request tells", _request(told, schema)),
        ("Why you see what you see", _slots(told)),
        ("How long, and what you can do", _rights(told)),
    ]
    body = "\n".join(f"<h2>{title}</h2>\n{text}" for title, text in sections)
    return _PAGE.format(style=_STYLE, sections=body)


def _choice(choice: ConsentReply, unused: list[str]) -> str:
    if choice.at:
        how = f" ({escape(choice.how)})" if choice.how else ""
        text = f", to the text “{escape(choice.policy)}”" if choice.policy else ""
        said = f"<p>You chose at {moment(choice.at)}{how}{text}.</p>"
    elif choice.grants:
        said = "<p>You have not chosen. Where you are, this holds until you say no:</p>"
    else:
        said = "<p>You have not chosen, so nothing may be used.</p>"
    rows = [(name, f"allowed: {USES[name]}") for name in choice.grants]
    rows += [
        (name, f"not allowed, and so neither read nor told: {USES[name]}")
        for name in PURPOSES
        if name in unused
    ]
    if choice.withheld:
        said += "<p>Your browser says no to selling and sharing (Global Privacy Control). "
        said += f"That takes away: {escape(', '.join(choice.withheld))}.</p>"
    return said + _table((escape(name), escape(use)) for name, use in rows)


def _profile(profile: Profiled | None, schema: Schema) -> str:
    if profile is None:
        return "<p>No profile was read: there is none, or nothing that you allowed needs one.</p>"
    rows = [
        ("the number that stands for this browser", f"<code>{escape(profile.visitor)}</code>"),
        ("last changed", moment(profile.changed)),
        *_rows(profile.facts, schema),
    ]
    if profile.cart:
        lines = (f"{one.pieces} of “{one.product}” for {one.value:.2f}" for one in profile.cart)
        rows.append(("what lies in your cart", escape(", ".join(lines))))
    if profile.seen:
        seen = ", ".join(map(moment, profile.seen))
        rows.append(("when you saw something that may be shown only so often", seen))
    if profile.declared:
        declared = ", ".join(f"{name}: {score}" for name, score in profile.declared.items())
        rows.append(("interests that you told us", escape(declared)))
    if profile.events:
        kept = "fingerprints of the last things you did, so that none counts twice"
        rows.append((kept, str(profile.events)))
    return "<p>A signed cookie on this device, and nowhere else.</p>" + _table(rows)


def _customer(customer: Recognised | None, schema: Schema) -> str:
    if customer is None:
        return "<p>You are not known as a customer here.</p>"
    if customer.signed_in:
        said = f"<p>You are signed in, until {moment(customer.until)}.</p>"
    else:
        said = f"<p>You were signed in on this device until {moment(customer.until)}. "
        said += "Whatever a shared device must not show is not told here.</p>"
    if customer.recognised_until > customer.until:
        till = moment(customer.recognised_until)
        said += f"<p>This device is known as yours until {till}, or until you sign out.</p>"
    rows = _rows(customer.facts, schema)
    if customer.bought:
        rows.append((BOUGHT, escape(", ".join(customer.bought))))
    return said + (_table(rows) or "<p>Nothing else is known.</p>")


def _request(told: Access, schema: Schema) -> str:
    said = "<p>It comes anew with each request, and is not kept in your profile.</p>" + _table(
        _rows(told.request, schema)
    )
    if told.tags:
        said += f"<p>What fits you just now: {escape(', '.join(told.tags))}.</p>"
    return said


def _slots(told: Access) -> str:
    return _table((f"“{escape(one.slot)}”", escape(one.because)) for one in told.slots)


def _rights(told: Access) -> str:
    kept = _table(
        (f"the cookie <code>{escape(cookie.name)}</code>", f"{cookie.days} days")
        for cookie in told.cookies
    )
    return (
        f"{kept}<p>Deleting your cookies in this browser takes all of this off the device. To be "
        "forgotten everywhere, or to choose anew, use what this site offers for it, or ask whoever "
        f"runs it. A program does it with <code>{escape(told.forget)}</code> and "
        f"<code>{escape(told.choose)}</code>.</p>"
    )


def _rows(facts: Mapping[str, Any], schema: Schema) -> list[tuple[str, str]]:
    kinds = ((name, value, schema.attributes[name].type) for name, value in facts.items())
    return [(_label(name), _value(value, kind)) for name, value, kind in kinds]


def _label(name: str) -> str:
    return escape(words(name))


def _value(value: Any, kind: str) -> str:
    if kind == TIMESTAMP:
        return moment(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return escape(", ".join(f"{key}: {each:g}" for key, each in value.items()))
    if isinstance(value, list):
        return escape(", ".join(value))
    return escape(f"{value:g}" if isinstance(value, float) else str(value))


def moment(at_s: float) -> str:
    """A moment for people; a number that is none as it is."""
    try:
        at = datetime.datetime.fromtimestamp(at_s, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        return escape(str(at_s))
    return f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}">{at:%Y-%m-%d %H:%M} UTC</time>'


def _table(rows: Iterable[tuple[str, str]]) -> str:
    """A table of what is escaped already; nothing for no rows."""
    lines = "".join(f'<tr><th scope="row">{name}</th><td>{text}</td></tr>\n' for name, text in rows)
    return f"<table>\n{lines}</table>" if lines else ""

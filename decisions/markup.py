"""Where in HTML a token may stand: a state machine over a fragment's text, and its verdicts.

Text and quoted attribute values take escaped tokens; URLs take percent-encoded ones behind a fixed
beginning; scripts, styles, comments, names, unquoted values and attributes that hold code take
none. The text itself is its author's and trusted; it is followed as a browser does, so that a
token is never taken to be elsewhere than it is. Where that cannot be told, the verdict is no.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Container
from typing import NamedTuple

from decisions.escapes import HTML, RAW, URL, URL_START
from decisions.ops import Value

TEXT, RCDATA = "text", "rcdata"
OPEN, DECLARATION, COMMENT, BOGUS = "open", "declaration", "comment", "bogus"
NAME, INSIDE, ATTRIBUTE, AFTER_NAME, EDGE = "name", "inside", "attribute", "after name", "edge"
BEFORE_VALUE, UNQUOTED, DOUBLE, SINGLE = "before value", "unquoted", "double", "single"
CODE, UNKNOWN, LOST = "code", "unknown", "lost"

SETTLED, UNSURE = "\0settled", "\0unsure"  # of a URL that sections have made one of several

_SPACE = " \t\n\r\f"
_LETTER = re.compile(r"[A-Za-z]")
_MARKUP = re.compile(r"<[A-Za-z/!?]")
_CODE_TAGS = frozenset(
    ("script", "style", "xmp", "iframe", "noembed", "noframes", "noscript", "plaintext")
)
_TEXT_TAGS = frozenset(("title", "textarea"))
# What these load, or set on others, is not for data to say.
_CLOSED_TAGS = frozenset(
    ("script", "style", "link", "base", "meta", "object", "embed", "applet", "param", "frame")
) | frozenset(("set", "animate", "animatemotion", "animatetransform"))
_CLOSED = frozenset(("style", "srcdoc", "http-equiv", "nonce", "integrity", "sandbox", "allow"))
_CODE_STARTS = ("on", "v-", "x-", "ng-", "hx-")  # event handlers, and other people's of them
_URLS = frozenset(("action", "formaction", "poster", "data", "cite", "background", "ping"))
_URL_WORDS = ("href", "src", "url", "uri")  # also in names of a site's own: data-url
_HTMX_URLS = frozenset(("hx-get", "hx-post", "hx-put", "hx-patch", "hx-delete"))
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(.*)", re.IGNORECASE | re.DOTALL)


class Refused(Exception):
    """Why a token or a section cannot stand here; offset: in the text that was followed."""

    def __init__(self, what: str, code: str = "token-place", offset: int | None = None) -> None:
        self.what, self.code, self.offset = what, code, offset
        super().__init__(what)


class State(NamedTuple):
    """How far a browser has come. held: what of a mark, or of a URL, has been read so far."""

    mode: str = TEXT
    tag: str = ""
    attribute: str = ""
    held: str = ""


START = State()


def follow(state: State, text: str) -> State:
    """The state after more text. Raises Refused where a section's end left two ways to read on."""
    place = 0
    while place < len(text):
        if state.mode == TEXT:
            place = text.find("<", place)
            if place < 0:
                break
        state = STEPS[state.mode](state, text[place])
        if state.mode == LOST:
            what = "expected a space or the end of the tag after a section within it"
            raise Refused(what, "html", place)
        place += 1
    return state


def fill(state: State, op: Value, allowed: Container[str]) -> tuple[str, State]:
    """The escape for a token here. allowed: names that may be put in unescaped. Raises Refused."""
    if state.mode == TEXT and op.escape == RAW:
        if op.name in allowed:
            return RAW, state
        what = f"expected {{{{{op.name}}}}}, or an attribute declared html: true"
        raise Refused(what, "raw-token")
    if state.mode not in (TEXT, RCDATA, DOUBLE, SINGLE):
        raise Refused(NOT_HERE[state.mode].format(tag=state.tag.lstrip("/")))
    if state.mode == RCDATA and state.held:
        raise Refused(NOT_HERE[OPEN])
    if op.escape == RAW:
        raise Refused(f"expected {{{{{op.name}}}}} here: only text may hold HTML", "raw-token")
    return _in_value(state) if state.attribute else (HTML, state)


def _in_value(state: State) -> tuple[str, State]:
    """The escape for a token in an attribute's value, and the state after it."""
    name = state.attribute
    if state.tag.lstrip("/") in _CLOSED_TAGS:
        raise Refused(f"no token may stand in an attribute of <{state.tag}>")
    if name in _CLOSED or holds_code(name):
        raise Refused(f"no token may stand in {name}: it holds code, or rules what code may do")
    if not is_url(name):
        return HTML, state
    if (fixed := reach(state.held)) == 0:
        what = "a token in a URL must come after a fixed /, ? or #, and after the host's name"
        raise Refused(what, "token-url")
    return (URL, state) if fixed == 2 else (URL_START, state._replace(held=state.held + "."))


def holds_code(name: str) -> bool:
    """Whether an attribute of this name may be run, by the browser or by a library."""
    plain = name.removeprefix("data-")
    if plain in _HTMX_URLS or name.startswith(("xlink:", "xml:")):
        return False
    return plain.startswith(_CODE_STARTS) or not _LETTER.match(plain) or ":" in plain


def is_url(name: str) -> bool:
    """Whether an attribute of this name holds a URL."""
    plain = name.removeprefix("data-")
    return plain in _URLS | _HTMX_URLS or any(word in plain for word in _URL_WORDS)


def reach(held: str) -> int:
    """How far the fixed beginning of a URL goes.

    0: a token could still choose scheme or host. 1: it is `/`; an empty token here would make a
    host of what comes after the next slash (`/{{a}}/{{b}}`). 2: nothing can.
    """
    if held in (SETTLED, UNSURE):
        return 2 if held == SETTLED else 0
    url = html.unescape(held).lstrip("".join(map(chr, range(33))))
    url = re.sub(r"[\t\r\n]", "", url).replace("\\", "/")
    if found := _SCHEME.match(url):
        scheme, rest = found[1].lower(), found[2]
        if scheme in ("mailto", "tel", "sms"):
            return 2 if "?" in rest else 0
        return _after_host(rest) if scheme in ("http", "https") else 0
    if url.startswith("//"):
        return _after_host(url)
    if url == "/":
        return 1
    return 2 if re.search("[/?#]", url) else 0


def _after_host(rest: str) -> int:
    return 2 if re.search("[/?#]", rest.lstrip("/")) else 0


def join(one: State, other: State) -> State:
    """The state after a section that may have been left out. Raises Refused if there is none."""
    if one == other:
        return one
    if one.mode == other.mode and one[:3] == other[:3] and one.attribute:
        both = reach(one.held) == reach(other.held) == 2
        return one._replace(held=SETTLED if both else UNSURE)
    modes = {one.mode, other.mode}
    if modes <= WITHIN_A_TAG and one.tag == other.tag:
        return State(EDGE, one.tag) if modes & {NAME, EDGE} else State(ATTRIBUTE, one.tag, "?")
    raise Refused("expected a section to leave the HTML as it found it", "html")


def finish(state: State) -> None:
    """Raises Refused unless the fragment ends where another text may follow."""
    if state.mode not in (TEXT, UNKNOWN):
        what = "comment" if state.mode in (COMMENT, BOGUS, DECLARATION) else "tag or value"
        if state.mode in (CODE, RCDATA):
            what = f"<{state.tag}>"
        raise Refused(f"expected the fragment to close its {what}, got the end", "html")


# One step each: a state and the next character in, the next state out.


def _text(state: State, char: str) -> State:
    return State(OPEN)  # `follow` stops at "<" only


def _open(state: State, char: str) -> State:
    """After `<` or `</` (held)."""
    if _LETTER.match(char):
        return State(NAME, state.held + char.lower())
    if char == "/" and not state.held:
        return State(OPEN, held="/")
    if state.held:
        return START if char == ">" else State(BOGUS)
    return {"!": State(DECLARATION), "?": State(BOGUS), "<": State(OPEN)}.get(char, START)


def _declaration(state: State, char: str) -> State:
    held = state.held + char
    if held == "--":
        return State(COMMENT, held="<!--")
    if held == "[":
        return State(UNKNOWN, "![CDATA[")  # it ends elsewhere within <svg> and <math>
    if char == ">":
        return START
    return State(DECLARATION, held=held) if held == "-" else State(BOGUS)


def _bogus(state: State, char: str) -> State:
    return START if char == ">" else state


def _comment(state: State, char: str) -> State:
    """Held: the dashes that may be its end, or its beginning, for `<!-->` is a whole comment."""
    held = state.held + char
    if held in ("<!-->", "<!--->", "-->", "--!>"):
        return START
    if held in ("<!---", "-", "--", "--!"):
        return State(COMMENT, held=held)
    if held == "---":
        return State(COMMENT, held="--")
    return State(COMMENT, held="--" if held == "<!----" else "-" if char == "-" else "")


def _name(state: State, char: str) -> State:
    if char in _SPACE or char == "/":
        return State(INSIDE, state.tag)
    return _tag_end(state) if char == ">" else state._replace(tag=state.tag + char.lower())


def _inside(state: State, char: str) -> State:
    if char in _SPACE or char == "/":
        return State(INSIDE, state.tag)
    return _tag_end(state) if char == ">" else State(ATTRIBUTE, state.tag, char.lower())


def _attribute(state: State, char: str) -> State:
    if char in _SPACE:
        return state._replace(mode=AFTER_NAME)
    if char == "=":
        return state._replace(mode=LOST if state.attribute == "?" else BEFORE_VALUE)
    if char in "/>":
        return _inside(state, char)
    return state._replace(attribute=state.attribute + char.lower())


def _after_name(state: State, char: str) -> State:
    if char == "=":
        return state._replace(mode=BEFORE_VALUE)
    return state if char in _SPACE else _inside(state, char)


def _before_value(state: State, char: str) -> State:
    if char in _SPACE:
        return state
    if char == ">":
        return _tag_end(state)
    return state._replace(mode={'"': DOUBLE, "'": SINGLE}.get(char, UNQUOTED))


def _unquoted(state: State, char: str) -> State:
    if char == ">":
        return _tag_end(state)
    return State(INSIDE, state.tag) if char in _SPACE else state


def _quoted(state: State, char: str) -> State:
    if char == ('"' if state.mode == DOUBLE else "'"):
        return State(INSIDE, state.tag)
    if not is_url(state.attribute) or state.held in (SETTLED, UNSURE):
        return state
    return state._replace(held=state.held + char)


def _edge(state: State, char: str) -> State:
    """After a section within a tag: the word before it may have been the tag's name or not."""
    return _inside(state, char) if char in _SPACE or char in "/>" else State(LOST)


def _tag_end(state: State) -> State:
    if state.tag in _CODE_TAGS:
        return State(CODE, state.tag)
    return State(RCDATA, state.tag) if state.tag in _TEXT_TAGS else START


def _until_closed(state: State, char: str) -> State:
    """In an element whose content is no markup; held: what may be the beginning of its end.

    Within <svg> and <math> the content of such an element is markup after all, and in a script
    `<!--` changes where it ends: from what looks like a tag in it nothing is certain.
    """
    held = (state.held + char).lower()
    end = f"</{state.tag}"
    if state.held == end and (char in _SPACE or char == "/"):
        return State(INSIDE, end[1:])
    if state.held == end and char == ">":
        return START
    if end.startswith(held):
        return state._replace(held=held)
    if len(held) > 1 and _MARKUP.match(held):
        return State(UNKNOWN, state.tag)
    return state._replace(held="<" if char == "<" else "")


def _unknown(state: State, char: str) -> State:
    return state


Step = Callable[[State, str], State]

STEPS: dict[str, Step] = {
    TEXT: _text,
    RCDATA: _until_closed,
    CODE: _until_closed,
    UNKNOWN: _unknown,
    OPEN: _open,
    DECLARATION: _declaration,
    COMMENT: _comment,
    BOGUS: _bogus,
    NAME: _name,
    INSIDE: _inside,
    ATTRIBUTE: _attribute,
    AFTER_NAME: _after_name,
    EDGE: _edge,
    BEFORE_VALUE: _before_value,
    UNQUOTED: _unquoted,
    DOUBLE: _quoted,
    SINGLE: _quoted,
}

WITHIN_A_TAG = frozenset((NAME, INSIDE, ATTRIBUTE, AFTER_NAME, EDGE))

_A_NAME = "no token may stand among the names within a tag: put it into a quoted value"
_A_VALUE = "no token may stand in a value without quotes: put quotes around it"
_A_COMMENT = "no token may stand in an HTML comment; {{{{! this }}}} comments a token out"

NOT_HERE: dict[str, str] = {
    OPEN: "no token may stand after <: write &lt;, or the tag's name",
    DECLARATION: _A_COMMENT,
    COMMENT: _A_COMMENT,
    BOGUS: _A_COMMENT,
    NAME: _A_NAME,
    INSIDE: _A_NAME,
    ATTRIBUTE: _A_NAME,
    AFTER_NAME: _A_NAME,
    EDGE: _A_NAME,
    BEFORE_VALUE: _A_VALUE,
    UNQUOTED: _A_VALUE,
    UNKNOWN: "no token may stand after a tag in <{tag}>: write &lt; for < there, \\x3c in a script",
    CODE: "no token may stand in <{tag}>: put it into a data- attribute and read it from there",
}

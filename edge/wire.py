"""Bodies and queries in, typed values out; replies out. Nothing past this module meets raw bytes.

What a client sends is read leniently (unknown keys pass) and bounded strictly. One event that
cannot be read is refused by itself: a page re-sends a batch until it is acknowledged, so a bad
event must not hold up the good ones beside it.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias, TypeVar
from urllib.parse import unquote_plus

import msgspec

from decisions import consent
from decisions.events import MAX_ID, MAX_PRICE, MAX_QUANTITY, MAX_TOKEN, MAX_WORD, Event
from decisions.reasons import Step
from edge.errors import Refused

MAX_TEXT = 2_048  # characters of a path, a query value, a referrer


def _at_most(characters: int) -> msgspec.Meta:
    """A limit for the OpenAPI document; who decodes checks it, to say how long the text was."""
    return msgspec.Meta(extra_json_schema={"maxLength": characters})


Text: TypeAlias = Annotated[str, _at_most(MAX_TEXT)]
Word: TypeAlias = Annotated[str, _at_most(MAX_WORD)]
Short: TypeAlias = Annotated[str, _at_most(MAX_ID)]
Note: TypeAlias = Annotated[
    str, msgspec.Meta(extra_json_schema={"maxLength": MAX_ID, "pattern": "^[ -~]*$"})
]
TcString: TypeAlias = Annotated[str, msgspec.Meta(extra_json_schema={"format": "iab-tcf"})]
Purpose: TypeAlias = Annotated[str, msgspec.Meta(extra_json_schema={"enum": [*consent.PURPOSES]})]


class Page(msgspec.Struct, frozen=True):
    """Where the visitor is, as the page says it; `path` may carry the query, too."""

    path: Text = ""
    category: Word = ""
    query: Text | dict[Word, Text] = ""
    referrer: Text = ""
    locale: Short = ""
    zone: Short = ""


class VisitBody(msgspec.Struct, frozen=True):
    """The body of POST v1/visit; `events` are read one by one. preview: a token of `edgewise
    preview`. facts: one of the site's server."""

    slots: list[Word] = []
    page: Page = Page()
    events: list[msgspec.Raw] = []
    preview: str = ""
    facts: str = ""


class EventsBody(msgspec.Struct, frozen=True):
    """The body of POST v1/events. resend: the page keeps these events and sends them again with its
    next visit, which then learns from them; here they are only logged."""

    events: list[msgspec.Raw]
    page: Page = Page()
    resend: bool = False


class ConsentBody(msgspec.Struct, frozen=True):
    """The body of PUT v1/consent. grants: names of purposes, or instead of them tcf: a TC string.
    how: `banner`, `settings`, …; policy: the text that was shown."""

    grants: list[Purpose] | msgspec.UnsetType = msgspec.UNSET
    tcf: TcString | msgspec.UnsetType = msgspec.UNSET
    how: Note = "banner"
    policy: Note = ""


class RefusedEvent(msgspec.Struct, frozen=True):
    """One event that was not taken: its place in the batch, and why."""

    index: int
    code: str
    detail: str


class Shown(msgspec.Struct, frozen=True, omit_defaults=True):
    """One decision in a reply: `html` or `json`; the rest only for people who build the site."""

    slot: str
    html: str | msgspec.UnsetType = msgspec.UNSET
    json: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    x: str = ""
    fragment: str | msgspec.UnsetType = msgspec.UNSET
    variant: str | msgspec.UnsetType = msgspec.UNSET
    reason: str | msgspec.UnsetType = msgspec.UNSET
    because: str | msgspec.UnsetType = msgspec.UNSET
    steps: list[Step] | msgspec.UnsetType = msgspec.UNSET
    snapshot: int | msgspec.UnsetType = msgspec.UNSET


class VisitReply(msgspec.Struct, frozen=True, omit_defaults=True):
    """keep: the page may keep events on the device until they are acknowledged. refused: events
    that were not taken; it is no use to send them again, unless `retry` asks for the batch.
    next_in: after how many seconds time alone could change a decision; 0 for never."""

    decisions: list[Shown]
    keep: bool = False
    retry: bool = False
    refused: list[RefusedEvent] = []
    next_in: int = 0


class EventsReply(msgspec.Struct, frozen=True, omit_defaults=True):
    """accepted: how many events were taken."""

    accepted: int
    refused: list[RefusedEvent] = []


class ConsentReply(msgspec.Struct, frozen=True):
    """What is granted now; `at` is when it was given, seconds since the epoch, 0 if never.
    ask: whether the page has to ask, or ask again. withheld: what was chosen, and is not granted as
    long as the browser says so."""

    grants: list[Purpose]
    at: int = 0
    how: str = ""
    policy: str = ""
    ask: bool = False
    withheld: list[Purpose] | msgspec.UnsetType = msgspec.UNSET


class ForgottenReply(msgspec.Struct, frozen=True):
    """Who is forgotten: the visitor whom the cookie knew, and the customer who was signed in."""

    visitor: bool
    customer: bool


_VISIT = msgspec.json.Decoder(VisitBody)
_EVENTS = msgspec.json.Decoder(EventsBody)
_CONSENT = msgspec.json.Decoder(ConsentBody)
_EVENT, _BATCH = msgspec.json.Decoder(Event), msgspec.json.Decoder(list[Event])
encode = msgspec.json.Encoder().encode

Body = TypeVar("Body")


def visit_body(raw: bytes, max_slots: int, max_events: int) -> VisitBody:
    """The body of a visit. Raises Refused."""
    body = _decoded(_VISIT, raw)
    _check_page(body.page)
    _check_batch(body.events, max_events)
    check_slots(body.slots, max_slots)
    return body


def events_body(raw: bytes, max_events: int) -> EventsBody:
    """The body of a batch. Raises Refused."""
    body = _decoded(_EVENTS, raw)
    _check_page(body.page)
    _check_batch(body.events, max_events)
    return body


def consent_body(raw: bytes) -> tuple[ConsentBody, int]:
    """The body of a choice, and its grants as bits, 0 with a TC string. Raises Refused."""
    body = _decoded(_CONSENT, raw)
    for name, text in (("how", body.how), ("policy", body.policy)):
        _within(name, text, MAX_ID)
        if not text.isascii() or not text.isprintable():  # the cookie has no room for more
            raise invalid(f"expected letters, digits and signs of ASCII - at `$.{name}`")
    if (body.grants is msgspec.UNSET) is (body.tcf is msgspec.UNSET):
        raise invalid("expected one of `grants` and `tcf`")
    bits = 0
    for place, name in enumerate(body.grants or ()):
        if name not in consent.PURPOSES:
            known = ", ".join(consent.PURPOSES)
            raise invalid(f"expected one of {known}, got {name!r} - at `$.grants[{place}]`")
        bits |= consent.PURPOSES[name]
    return body, bits


def invalid(detail: str) -> Refused:
    """A request that is understood and wrong."""
    return Refused(400, "invalid-request", detail)


def _decoded(decoder: msgspec.json.Decoder[Body], raw: bytes) -> Body:
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise invalid(_lower(str(error))) from error
    except msgspec.DecodeError as error:
        raise Refused(400, "malformed-json", _lower(str(error))) from error
    except UnicodeDecodeError as error:
        raise Refused(400, "malformed-json", "expected UTF-8, got bytes that are not") from error
    except RecursionError as error:
        raise Refused(400, "malformed-json", "expected fewer levels of brackets") from error


def _lower(text: str) -> str:
    return text if text.startswith("JSON") else text[:1].lower() + text[1:]


def _within(name: str, text: str, most: int) -> None:
    if len(text) > most:
        raise invalid(f"expected at most {most} characters, got {len(text)} - at `$.{name}`")


def _check_page(page: Page) -> None:
    query = page.query if isinstance(page.query, str) else ""
    texts = len(page.path) + len(page.referrer) + len(query)
    words = len(page.category) + len(page.locale) + len(page.zone)
    if texts <= MAX_TEXT and words <= MAX_ID and query is page.query:
        return  # the usual page, in one look
    _within("page.path", page.path, MAX_TEXT)
    _within("page.category", page.category, MAX_WORD)
    _within("page.referrer", page.referrer, MAX_TEXT)
    _within("page.locale", page.locale, MAX_ID)
    _within("page.zone", page.zone, MAX_ID)
    if isinstance(page.query, str):
        _within("page.query", page.query, MAX_TEXT)
        return
    for key, value in page.query.items():
        _within("page.query", key, MAX_WORD)
        _within("page.query", value, MAX_TEXT)


def _check_batch(batch: list[msgspec.Raw], most: int) -> None:
    if len(batch) > most:
        raise invalid(f"expected at most {most} events, got {len(batch)} - at `$.events`")


def check_slots(slots: list[str], most: int) -> None:
    """Raises Refused for too many slots, or a name nobody would give one."""
    if len(slots) > most:
        raise invalid(f"expected at most {most} slots, got {len(slots)} - at `$.slots`")
    if slots and len(max(slots, key=len)) > MAX_WORD:
        for slot in slots:
            _within("slots", slot, MAX_WORD)


Batch = list[tuple[int, Event]]  # events with their places in the body


class _Unbounded(Event, frozen=True):
    """An event of any size, to say what about it is too much."""

    type: str
    id: str = ""
    item: str = ""
    category: str = ""
    brand: str = ""
    price: float = 0.0
    quantity: int = 1
    value: float = 0.0
    x: str = ""
    token: str = ""


_UNBOUNDED = msgspec.json.Decoder(_Unbounded)


def events(raws: list[msgspec.Raw]) -> tuple[Batch, list[RefusedEvent]]:
    """The events that can be read, and those that cannot, each with its reason."""
    try:
        return list(enumerate(_BATCH.decode(b"[%b]" % b",".join(raws)))), []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # one by one, then
    taken: Batch = []
    refused: list[RefusedEvent] = []
    for index, raw in enumerate(raws):
        try:
            taken.append((index, _EVENT.decode(raw)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            refused.append(RefusedEvent(index, *_why_refused(raw)))
    return taken, refused


def _why_refused(raw: msgspec.Raw) -> tuple[str, str]:
    """Code and detail of an event that is none."""
    try:
        event = _UNBOUNDED.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return "unreadable", _lower(str(error))
    return "out-of-bounds", _out_of_bounds(event)


_BOUNDS = {"type": MAX_ID, "id": MAX_ID, "item": MAX_WORD, "category": MAX_WORD, "brand": MAX_WORD}
_BOUNDS |= {"x": MAX_WORD, "token": MAX_TOKEN}


def _out_of_bounds(event: Event) -> str:
    """What about an event is beyond its limit."""
    for name, most in _BOUNDS.items():
        if (length := len(getattr(event, name))) > most:
            return f"expected at most {most} characters, got {length} - at `$.{name}`"
    for name in ("price", "value"):
        if not 0.0 <= (number := getattr(event, name)) <= MAX_PRICE:
            return f"expected 0 <= {name} <= {MAX_PRICE:.0f}, got {number} - at `$.{name}`"
    if not 0 <= event.quantity <= MAX_QUANTITY:
        return f"expected 0 <= quantity <= {MAX_QUANTITY}, got {event.quantity} - at `$.quantity`"
    return "expected a type, got an empty one - at `$.type`"


def query(raw: bytes) -> dict[str, str]:
    """A query string's first value per key; bytes that are no UTF-8 are replaced. Never raises."""
    found: dict[str, str] = {}
    if not raw:
        return found
    text = raw.decode("utf-8", "replace")
    plain = "%" not in text and "+" not in text
    for pair in text.split("&"):
        key, _, value = pair.partition("=")
        if not plain:
            key, value = unquote_plus(key), unquote_plus(value)
        found.setdefault(key, value)
    return found


def page_of(asked: dict[str, str]) -> Page:
    """The page that a query describes; what is too long is left out, for a fragment never fails."""
    kept: dict[str, Any] = {
        name: value
        for name, most in _PAGE_KEYS.items()
        if (value := asked.get(name)) and len(value) <= most
    }
    return Page(**kept) if kept else NO_PAGE


_PAGE_KEYS = {"path": MAX_TEXT, "category": MAX_WORD, "referrer": MAX_TEXT, "locale": MAX_ID}
_PAGE_KEYS["zone"] = MAX_ID
NO_PAGE = Page()

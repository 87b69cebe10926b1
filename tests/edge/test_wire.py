"""The wire: bodies in bounds become values, all else becomes a problem that says what was wrong."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions import consent
from decisions.events import Event
from edge import wire
from edge.errors import Refused
from tests.damage import damaged, within


def raws(*events: Any) -> list[msgspec.Raw]:
    return [msgspec.Raw(msgspec.json.encode(event)) for event in events]


def test_a_visit_is_read_with_its_slots_page_and_events() -> None:
    body = wire.visit_body(
        b'{"slots":["hero"],"page":{"path":"/p","query":"a=b"},"events":[{"type":"x"}],"new":1}',
        20,
        50,
    )

    assert body.slots == ["hero"]
    assert (body.page.path, body.page.query) == ("/p", "a=b")
    assert wire.events(body.events) == ([(0, Event("x"))], [])


@pytest.mark.parametrize(
    ("raw", "code", "detail"),
    [
        (b"", "malformed-json", "input data was truncated"),
        (b"{]", "malformed-json", "malformed"),
        (b'{"slots":["\xff"]}', "malformed-json", "UTF-8"),
        (b'{"slots":5}', "invalid-request", r"expected `array`, got `int` - at `\$.slots`"),
        (b"[]", "invalid-request", "expected `object`, got `array`"),
        (b'{"slots":["a","b","c"]}', "invalid-request", "expected at most 2 slots, got 3"),
        (
            b'{"slots":["' + b"a" * 129 + b'"]}',
            "invalid-request",
            "at most 128 characters, got 129",
        ),
        (b'{"page":{"path":"' + b"a" * 2049 + b'"}}', "invalid-request", r"at `\$.page.path`"),
        (b'{"page":{"query":"' + b"a" * 2049 + b'"}}', "invalid-request", r"at `\$.page.query`"),
        (b'{"page":{"query":{"a":"' + b"a" * 2049 + b'"}}}', "invalid-request", "page.query"),
    ],
)
def test_a_body_out_of_bounds_is_refused_with_what_was_expected(
    raw: bytes, code: str, detail: str
) -> None:
    with pytest.raises(Refused, match=detail) as caught:
        wire.visit_body(raw, 2, 50)

    assert (caught.value.status, caught.value.code) == (400, code)


def test_a_page_with_every_field_at_its_limit_is_read() -> None:
    text, word, id_ = "t" * 2_048, "w" * 128, "i" * 64
    page = {
        "path": text,
        "referrer": text,
        "query": text,
        "category": word,
        "locale": id_,
        "zone": id_,
    }
    asked = {"slots": [word, "hero"], "page": page}

    body = wire.visit_body(msgspec.json.encode(asked), 2, 50)
    assert (body.page.category, body.slots) == (word, [word, "hero"])

    asked["page"] = page | {"query": {word: text}}
    assert wire.visit_body(msgspec.json.encode(asked), 2, 50).page.query == {word: text}


def test_one_bad_event_does_not_hold_up_the_good_ones_beside_it() -> None:
    taken, refused = wire.events(
        raws({"type": "a"}, {"type": 5}, {"type": "b", "price": "x"}, {"price": 1}, {"type": "c"})
    )

    assert [(place, event.type) for place, event in taken] == [(0, "a"), (4, "c")]
    assert [(one.index, one.code) for one in refused] == [
        (1, "unreadable"),
        (2, "unreadable"),
        (3, "unreadable"),
    ]
    assert "expected `float`, got `str` - at `$.price`" in refused[1].detail


@pytest.mark.parametrize(
    ("event", "detail"),
    [
        ({"type": "a" * 65}, "expected at most 64 characters, got 65 - at `$.type`"),
        ({"type": "a", "id": "a" * 65}, "at `$.id`"),
        ({"type": "a", "item": "a" * 129}, "at `$.item`"),
        ({"type": "a", "token": "a" * 4097}, "at `$.token`"),
        ({"type": "a", "price": -1}, "expected 0 <= price <= 1000000000, got -1.0"),
        ({"type": "a", "price": 1e300}, "at `$.price`"),
        ({"type": "a", "quantity": -1}, "expected 0 <= quantity <= 10000, got -1"),
        ({"type": ""}, "expected a type, got an empty one"),
    ],
)
def test_an_event_out_of_bounds_is_refused_by_itself(event: dict[str, Any], detail: str) -> None:
    taken, refused = wire.events(raws(event))

    assert not taken
    assert detail in refused[0].detail


def test_an_event_with_every_field_at_its_limit_is_taken() -> None:
    event = {"type": "a" * 64, "id": "b" * 64, "item": "c" * 128, "category": "d" * 128}

    assert wire.events(raws(event))[1] == []


def test_a_choice_is_read_as_bits() -> None:
    body, bits = wire.consent_body(b'{"grants":["functional","analytics"],"policy":"2026-11"}')

    assert bits == consent.FUNCTIONAL | consent.ANALYTICS
    assert (body.how, body.policy) == ("banner", "2026-11")


def test_an_unknown_purpose_is_refused_with_those_there_are() -> None:
    with pytest.raises(Refused, match=r"expected one of functional, analytics, .*, got 'everyth"):
        wire.consent_body(b'{"grants":["everything"]}')


def test_a_grant_of_authentication_cannot_be_asked_for() -> None:
    with pytest.raises(Refused, match="got 'authenticated'"):
        wire.consent_body(b'{"grants":["authenticated"]}')


def test_a_batch_says_whether_it_comes_again() -> None:
    body = wire.events_body(b'{"events":[{"type":"a"}],"resend":true}', 1)

    assert body.resend
    with pytest.raises(Refused, match="expected at most 1 events, got 2"):
        wire.events_body(b'{"events":[1,2]}', 1)
    with pytest.raises(Refused, match="missing required field `events`"):
        wire.events_body(b"{}", 1)


def test_a_query_gives_the_first_value_of_each_key() -> None:
    assert wire.query(b"a=1&b=x%20y+z&a=2&c") == {"a": "1", "b": "x y z", "c": ""}
    assert wire.query(b"slots=hero,promo&path=/p/1") == {"slots": "hero,promo", "path": "/p/1"}
    assert wire.query(b"") == {}


def test_a_fragments_page_leaves_out_what_is_too_long() -> None:
    page = wire.page_of({"path": "/p", "category": "a" * 129, "slots": "hero"})

    assert page == wire.Page(path="/p")
    assert wire.page_of({}) is wire.NO_PAGE


@given(st.binary(max_size=200))
def test_no_query_is_too_strange_to_read(raw: bytes) -> None:
    assert isinstance(wire.page_of(wire.query(raw)), wire.Page)


EVENT = b'{"type":"product_view","id":"1","at":1.5,"item":"4711","category":"shoes","price":59.9}'
PAGE = b'{"path":"/p","category":"shoes","query":{"a":"b"},"referrer":"https://a.example/"}'
BODIES = (
    b'{"slots":["hero"],"page":%b,"events":[%b,%b],"preview":"a.b.c"}' % (PAGE, EVENT, EVENT),
    b'{"events":[%b],"page":%b,"resend":true}' % (EVENT, PAGE),
    b'{"grants":["functional"],"how":"banner","policy":"2026-11"}',
    b'{"tcf":"CQ","how":"banner"}',
)
READERS = (
    lambda raw: wire.visit_body(raw, 20, 50),
    lambda raw: wire.events_body(raw, 50),
    wire.consent_body,
)


@given(damaged(*BODIES) | st.binary(max_size=200))
@settings(max_examples=300)
def test_no_body_is_too_strange_to_refuse(raw: bytes) -> None:
    for read in READERS:
        try:
            with within(0.5):
                read(raw)
        except Refused as refused:
            assert (refused.status, bool(refused.detail)) == (400, True)


@given(st.lists(damaged(EVENT), max_size=4))
@settings(max_examples=300)
def test_every_event_is_taken_or_refused_by_itself_with_a_reason(batch: list[bytes]) -> None:
    with within(0.5):
        taken, refused = wire.events([msgspec.Raw(raw) for raw in batch])
    places = [place for place, _ in taken] + [one.index for one in refused]
    if b",".join(batch).count(b"{") == len(batch):  # else one may be several, between brackets
        assert sorted(places) == [*range(len(batch))]
    assert all(one.code in ("unreadable", "out-of-bounds") and one.detail for one in refused)

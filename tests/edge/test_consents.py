"""The consent log: every new choice leaves a record; records hold each other, and rows can go."""

from __future__ import annotations

import hashlib
from pathlib import Path

import jwt
import pytest

from decisions.ledger import row_key
from edge.cookies import Choice
from edge.refresh import Served
from edge.sinks.consents import ConsentRows
from edge.sinks.row import encode
from edge.sinks.trail import FILE, End, Trail
from tests.decisions.tcstrings import encode as tc_string
from tests.decisions.tcstrings import said
from tests.edge.shop import NOW_S, Browser, Shop, identify_token

pytestmark = pytest.mark.anyio


def visitor_of(shop: Shop, browser: Browser) -> str:
    """The hash by which rows name who browses."""
    visitor = _claims(browser.cookies["user_interest_score"])["sub"]
    serving = shop.served.current
    assert serving is not None
    return row_key(serving.program.key_salt, visitor)


def _claims(token: str) -> dict[str, str]:
    claims: dict[str, str] = jwt.decode(token, options={"verify_signature": False})
    return claims


async def test_a_choice_leaves_who_chose_what_when_how_to_which_text() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent("functional", "analytics")

    agreed, record = shop.choices()
    assert agreed["visitor"] == visitor_of(shop, browser)
    for row in (agreed, record):
        told = {name: row[name] for name in ("at", "received", "grants", "how", "policy")}
        assert told == {
            "at": NOW_S, "received": NOW_S, "grants": ["functional", "analytics"],
            "how": "banner", "policy": "p1",
        }  # fmt: skip
    assert record["number"] == 1
    assert not {"before", "visitor"} & record.keys()
    assert record["proof"] == hashlib.sha256(encode(shop.sink.rows[0])).hexdigest()
    await browser.view("shoes")
    assert shop.rows()[0]["visitor"] == agreed["visitor"]  # the same id goes on


async def test_a_choice_that_came_with_a_signal_says_what_that_took_away_of_it() -> None:
    shop = Shop()
    browser = shop.browser()
    body = {"grants": ["functional", "marketing"], "how": "banner"}
    for headers in ({"sec-gpc": "1"}, {}):
        await browser.send("PUT", "/_ew/v1/consent", json=body, headers=headers)

    withheld = [row.get("withheld") for row in shop.choices()]
    assert withheld == [["marketing"], ["marketing"], None, None]
    assert all(row["grants"] == ["functional", "marketing"] for row in shop.choices())


async def test_a_refusal_of_a_stranger_is_a_record_of_nobody() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent()
    await browser.consent("marketing")

    assert [(row["type"], row.get("proof")) for row in shop.choices()] == [("consent", None)] * 2
    assert set(browser.cookies) == {"consent"}


async def test_who_takes_back_is_known_by_the_id_that_goes() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent("functional")
    visitor = visitor_of(shop, browser)
    await browser.consent()

    _, given, taken_by, taken = shop.choices()
    assert (taken_by["visitor"], "grants" in taken) == (visitor, False)
    assert taken["before"] == hashlib.sha256(encode(shop.sink.rows[1])).hexdigest()
    assert (given["trail"], given["number"] + 1) == (taken["trail"], taken["number"])


async def test_a_customer_is_named_while_signed_in_only() -> None:
    shop = Shop()
    browser = shop.browser()
    await browser.consent("personalization")
    await browser.visit(browser.event("identify", token=identify_token("ann")))
    await browser.consent("personalization", "functional")
    shop.clock.now_s += 1_801
    await browser.consent("personalization")

    named = ["customer" in row for row in shop.choices() if row["type"] == "agreed"]
    assert named == [False, True, False]


async def test_a_tc_string_is_kept_with_who_it_is_of_and_once() -> None:
    shop = Shop()
    browser = shop.browser()
    text = tc_string(said())
    for _ in range(3):  # a page may send it with every view
        await browser.send("PUT", "/_ew/v1/consent", json={"tcf": text})

    agreed, record = shop.choices()
    assert (agreed["tcf"], record["how"]) == (text, "tcf")
    assert "tcf" not in encode(shop.sink.rows[1]).decode().replace('"how":"tcf"', "")


async def test_without_a_snapshot_a_choice_is_recorded_and_nobody_named() -> None:
    shop = Shop(Served())
    await shop.browser().consent("functional")

    assert [row["type"] for row in shop.choices()] == ["consent"]


async def test_too_many_choices_of_a_client_are_refused_where_they_add() -> None:
    shop = Shop(events_per_minute=2)
    browser = shop.browser()
    await browser.consent("functional")

    more = await browser.consent("functional", "analytics")
    less = await browser.consent()

    assert (more.status_code, more.headers["retry-after"]) == (429, "60")
    assert (less.status_code, less.json()["grants"]) == (200, [])
    assert len(shop.choices()) == 2
    assert shop.counted('edgewise_choices_total{log="written"}') == 1
    assert shop.counted('edgewise_choices_total{log="limited"}') == 1


def rows_of(trail: Trail, visitor: str = "") -> ConsentRows:
    return ConsentRows(trail, Choice(1, NOW_S, "banner"), NOW_S, visitor, "", "")


def test_rows_are_the_same_each_time_and_their_number_is_known_before() -> None:
    trail = Trail()
    one, other = rows_of(trail, "ab"), rows_of(trail)

    assert (len(one), len(other)) == (2, 1)
    assert list(one) == list(one)
    assert [row.type for row in (*one, *other)] == ["agreed", "consent", "consent"]


def records(trail: Trail, times: int) -> list[tuple[str, int, str]]:
    rows = [row for _ in range(times) for row in rows_of(trail)]
    return [(row.trail, row.number, row.before) for row in rows]  # type: ignore[attr-defined]


def test_processes_of_a_node_add_to_one_trail(tmp_path: Path) -> None:
    Trail(tmp_path).begin()
    one, other = Trail(tmp_path), Trail(tmp_path)

    found = records(one, 1) + records(other, 1) + records(one, 1)
    assert [number for _, number, _ in found] == [1, 2, 3]
    assert len({trail for trail, _, _ in found}) == 1


def test_a_node_that_starts_again_begins_another_after_the_last_record(tmp_path: Path) -> None:
    Trail(tmp_path).begin()
    row = next(iter(rows_of(Trail(tmp_path))))
    Trail(tmp_path).begin()

    ((trail, number, before),) = records(Trail(tmp_path), 1)
    assert (number, before) == (1, hashlib.sha256(encode(row)).hexdigest())
    assert not row.id.startswith(trail)


@pytest.mark.parametrize("broken", [b"", b"{", b"\xff", b'{"trail": 7}'])
def test_an_end_that_cannot_be_read_begins_a_trail(tmp_path: Path, broken: bytes) -> None:
    (tmp_path / FILE).write_bytes(broken)

    assert records(Trail(tmp_path), 1)[0][1:] == (1, "")


def test_a_record_that_cannot_be_made_leaves_the_end_where_it_was(tmp_path: Path) -> None:
    trail = Trail(tmp_path)
    records(trail, 1)

    def fails(_: End) -> ConsentRows:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        trail.add(fails)  # type: ignore[type-var]
    assert records(trail, 1)[0][1] == 2

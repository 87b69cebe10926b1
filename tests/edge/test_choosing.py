"""What counts besides the choice there is: TC strings of now, and what holds until a no."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.consent import ANALYTICS, FUNCTIONAL, MARKETING, PERSONALIZATION
from edge.choosing import SEC_GPC, Terms, from_tc_string, must_ask, terms_of
from edge.config import Config
from edge.cookies import NO_CHOICE, Choice, CookieJar
from edge.errors import Refused
from edge.keyring import KeyRing, key_of
from tests.decisions.tcstrings import DAY_S, MADE_S, encode, publisher, said
from tests.edge.shop import NOW_S, Shop

OURS = FUNCTIONAL | ANALYTICS | PERSONALIZATION | MARKETING
ONE = publisher({1, 11})


def of(at_s: float, **changes: Any) -> str:
    """A string that was last updated then."""
    return encode(said(created_s=at_s, last_updated_s=at_s, **changes))


def chosen(text: str, before: Choice = NO_CHOICE, vendor: int = 0) -> Choice:
    return from_tc_string(text, before, vendor=vendor, policy="p1", days=182, now_s=NOW_S)


def test_a_string_is_a_choice_of_when_it_was_updated() -> None:
    assert chosen(of(NOW_S - 60)) == Choice(OURS, NOW_S - 60, "tcf", "p1")
    assert chosen(of(NOW_S - 60, publisher_tc=ONE)).grants == FUNCTIONAL
    assert chosen(of(NOW_S - 60, publisher_tc=None), vendor=755).grants == OURS


def test_a_clock_that_is_a_little_ahead_makes_no_choice_of_the_future() -> None:
    assert chosen(of(NOW_S + 100)).at_s == NOW_S


@pytest.mark.parametrize(
    ("at_s", "why"),
    [
        (NOW_S + 121, "expected a TC string that was updated by now, got one of 2026-11-18"),
        (NOW_S + 400 * DAY_S, "updated by now, got one of 2027-12-23"),
        (NOW_S - 182 * DAY_S, "updated within 182 days, got one of 2026-05-20"),
        (0.0, "updated within 182 days, got one of 1970-01-01"),
    ],
)
def test_a_string_of_another_time_is_refused(at_s: float, why: str) -> None:
    with pytest.raises(Refused, match=why):
        chosen(of(at_s))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("B" + of(NOW_S)[1:], r"expected version 2, got 1 - at bit 0 of segment 1 of `\$\.tcf`"),
        (of(NOW_S, is_service_specific=False), "got one of global scope - at bit 138"),
    ],
)
def test_what_is_wrong_with_a_string_is_told(text: str, why: str) -> None:
    with pytest.raises(Refused, match=why) as raised:
        chosen(text)
    assert (raised.value.status, raised.value.code) == (400, "invalid-request")


def test_a_string_of_before_the_last_choice_changes_nothing() -> None:
    refused = Choice(0, NOW_S - 10, "banner", "p0")

    assert chosen(of(NOW_S - 11), refused) is refused
    assert chosen(of(MADE_S - DAY_S), refused) is refused
    assert chosen(of(NOW_S - 10), refused) == Choice(OURS, NOW_S - 10, "tcf", "p1")


def test_of_two_strings_of_one_day_the_later_one_counts() -> None:
    first = chosen(of(MADE_S))

    assert chosen(of(MADE_S, publisher_tc=ONE), first) == Choice(FUNCTIONAL, MADE_S, "tcf", "p1")


def test_a_string_that_says_only_the_day_takes_away_from_a_choice_of_that_day() -> None:
    banner = Choice(FUNCTIONAL | ANALYTICS, NOW_S - 10, "banner", "p0")

    assert chosen(of(MADE_S, publisher_tc=ONE), banner) == Choice(
        FUNCTIONAL, NOW_S - 10, "banner", "p0"
    )
    assert chosen(of(MADE_S), banner) is banner


@given(st.integers(0, 31), st.integers(0, 31), st.integers(-DAY_S, DAY_S), st.booleans())
def test_an_older_string_never_adds_a_grant(
    grants: int, agreed: int, apart_s: int, is_day: bool
) -> None:
    before = Choice(grants, NOW_S, "banner", "p0")
    at_s = MADE_S if is_day else NOW_S - abs(apart_s) - 1
    purposes = {n for n in range(1, 12) if agreed >> n % 5 & 1}

    after = chosen(of(at_s, publisher_tc=publisher(purposes)), before)
    assert not after.grants & ~grants


@pytest.mark.anyio
@pytest.mark.parametrize("at_s", [NOW_S - 60, MADE_S])
async def test_the_same_string_once_more_is_no_consent_to_another_text(at_s: float) -> None:
    browser = Shop(policy="v1").browser()
    await browser.send("PUT", "/_ew/v1/consent", json={"tcf": of(at_s)})
    later = Shop(policy="v2").browser()
    later.cookies = browser.cookies

    told = (await later.send("PUT", "/_ew/v1/consent", json={"tcf": of(at_s)})).json()
    assert (told["policy"], told["ask"]) == ("v1", True)

    fewer = of(at_s, publisher_tc=ONE)  # of the same second, or day: a choice of its own
    told = (await later.send("PUT", "/_ew/v1/consent", json={"tcf": fewer})).json()
    assert (told["grants"], told["policy"], told["ask"]) == (["functional"], "v2", False)
    body = {"tcf": fewer, "policy": "v3"}
    assert (await later.send("PUT", "/_ew/v1/consent", json=body)).json()["policy"] == "v3"


@pytest.mark.anyio
async def test_a_string_comes_in_over_http_and_lasts_from_when_it_was_given() -> None:
    shop = Shop(tcf_vendor=755)
    browser = shop.browser()
    week = NOW_S - 7 * DAY_S

    reply = await browser.send("PUT", "/_ew/v1/consent", json={"tcf": of(week), "policy": "p1"})

    names = ["functional", "analytics", "personalization", "marketing"]
    assert reply.json() == {"grants": names, "at": week, "how": "tcf", "policy": "p1", "ask": False}
    assert f"Max-Age={175 * DAY_S};" in reply.headers["set-cookie"]
    assert (await browser.send("GET", "/_ew/v1/consent")).json() == reply.json()
    shop.clock.now_s += 174 * DAY_S
    assert (await browser.send("GET", "/_ew/v1/consent")).json()["grants"] == names
    shop.clock.now_s += DAY_S + 121
    assert (await browser.send("GET", "/_ew/v1/consent")).json()["grants"] == []


@pytest.mark.anyio
async def test_a_string_that_takes_back_takes_the_profile_with_it() -> None:
    browser = Shop().browser()
    await browser.send("PUT", "/_ew/v1/consent", json={"tcf": of(NOW_S - 9)})
    await browser.view("shoes", 6)
    assert "user_interest_score" in browser.cookies

    await browser.send("PUT", "/_ew/v1/consent", json={"tcf": of(NOW_S, publisher_tc=None)})

    assert "user_interest_score" not in browser.cookies


@pytest.mark.anyio
async def test_an_older_string_leaves_the_cookies_alone() -> None:
    browser = Shop().browser()
    await browser.consent()

    reply = await browser.send("PUT", "/_ew/v1/consent", json={"tcf": of(NOW_S - 9)})

    assert (reply.json()["grants"], reply.json()["how"]) == ([], "banner")
    assert "set-cookie" not in reply.headers


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"tcf": "nonsense"}, "expected version 2, got 39 - at bit 0 of segment 1 of `$.tcf`"),
        ({"tcf": "C" * 60_000}, "expected at most 4096 characters, got 60000 - at bit 0"),
        ({"tcf": "CQ", "grants": []}, "expected one of `grants` and `tcf`"),
        ({}, "expected one of `grants` and `tcf`"),
        ({"tcf": 7}, "expected `str`, got `int` - at `$.tcf`"),
    ],
)
async def test_what_is_no_string_is_a_problem_that_says_what_was_expected(
    body: dict[str, Any], why: str
) -> None:
    reply = await Shop().browser().send("PUT", "/_ew/v1/consent", json=body)

    assert (reply.status_code, reply.headers["content-type"]) == (400, "application/problem+json")
    assert why in reply.json()["detail"]
    assert "set-cookie" not in reply.headers


CALIFORNIA = {"x-geo-country": "US", "x-geo-region": "CA"}
PLACES = st.sampled_from(["US", "DE", "BR", "ZZ", ""])
UNTIL_A_NO = ("functional", "personalization")


def test_by_default_nothing_counts_before_a_choice() -> None:
    terms = terms_of(Config())

    assert terms == Terms(MARKETING, NO_CHOICE)
    assert terms.before_any({"geo.country": "US", "geo.region": "CA"}) is NO_CHOICE


@given(PLACES, st.sampled_from(["CA", "TX", "NY", "", "US-CA"]))
def test_what_holds_until_a_no_holds_where_the_law_leaves_it_so(country: str, region: str) -> None:
    terms = terms_of(Config(opt_out_grants=UNTIL_A_NO))
    context = {"geo.country": country, "geo.region": region}
    is_there = country == "US" and region in ("CA", "TX", "US-CA")

    found = terms.before_any({name: value for name, value in context.items() if value})
    expected = Choice(FUNCTIONAL | PERSONALIZATION, how="opt-out") if is_there else NO_CHOICE
    assert found == expected


@pytest.mark.parametrize(
    ("choice", "policy", "asks"),
    [
        (NO_CHOICE, "", True),
        (Choice(0, 1.0, "banner", ""), "", False),
        (Choice(0, 1.0, "banner", "v1"), "", False),
        (Choice(0, 1.0, "banner", "v1"), "v1", False),
        (Choice(1, 1.0, "banner", "v1"), "v2", True),
        (Choice(1, 1.0, "banner", ""), "v2", True),
        (Choice(1, 0.0, "opt-out", ""), "v2", False),
        (Choice(1, 1.0, "opt-out", "v1"), "v2", True),  # a page's own word for how it asked
    ],
)
def test_the_page_asks_where_a_choice_is_missing_or_was_to_another_text(
    choice: Choice, policy: str, asks: bool
) -> None:
    assert must_ask(choice, policy) is asks


def test_a_signal_denies_by_one_value_only() -> None:
    assert [Terms(4).denied({SEC_GPC: value}) for value in (b"1", b"0", b"11")] == [4, 0, 0]
    assert Terms(4).denied({}) == 0


@pytest.mark.anyio
async def test_before_a_choice_a_visitor_from_california_is_known_if_the_site_says_so() -> None:
    shop = Shop(opt_out_grants=UNTIL_A_NO, consent_days=365)
    browser = shop.browser(**CALIFORNIA)

    assert await browser.view("shoes", 6) == "<p>Shoes</p>"
    assert set(browser.cookies) == {"user_interest_score"}
    told = (await browser.send("GET", "/_ew/v1/consent")).json()
    assert told == {
        "grants": list(UNTIL_A_NO), "at": 0, "how": "opt-out", "policy": "", "ask": False,
    }  # fmt: skip


@pytest.mark.anyio
async def test_with_a_no_the_profile_goes_and_with_a_yes_it_stays() -> None:
    shop = Shop(opt_out_grants=UNTIL_A_NO, consent_days=365)
    one, other = shop.browser(**CALIFORNIA), shop.browser(**CALIFORNIA)
    for browser in (one, other):
        await browser.view("shoes", 6)

    await one.consent()
    await other.consent("personalization")

    assert set(one.cookies) == {"consent"}
    assert await one.view("shoes", 6) == "<h1>Welcome</h1>"
    assert await other.hero() == "<p>Shoes</p>"


@pytest.mark.anyio
async def test_elsewhere_what_was_known_before_a_choice_is_let_go_of() -> None:
    shop = Shop(opt_out_grants=UNTIL_A_NO, consent_days=365)
    browser = shop.browser(**CALIFORNIA)
    await browser.view("shoes", 6)

    berlin = {"x-geo-country": "DE", "x-geo-region": "BE"}
    body = {"slots": ["hero"]}
    reply = await browser.send("POST", "/_ew/v1/visit", json=body, headers=berlin)

    assert reply.json()["decisions"][0]["html"] == "<h1>Welcome</h1>"
    assert browser.cookies == {}
    assert (await browser.send("GET", "/_ew/v1/consent", headers=berlin)).json()["ask"] is True


@pytest.mark.anyio
async def test_a_signal_takes_away_from_what_holds_until_a_no() -> None:
    shop = Shop(opt_out_grants=("functional", "personalization"), consent_days=365, gpc="strict")
    browser = shop.browser(**CALIFORNIA)
    await browser.view("shoes", 6)

    for headers, shown in (({}, "<p>Shoes</p>"), ({"sec-gpc": "1"}, "<h1>Welcome</h1>")) * 2:
        reply = await browser.send("GET", "/_ew/v1/fragments/hero", headers=headers)
        assert reply.text == shown
    told = await browser.send("GET", "/_ew/v1/consent", headers={"sec-gpc": "1"})
    assert (told.json()["grants"], told.json()["withheld"]) == (["functional"], ["personalization"])


@pytest.mark.anyio
async def test_an_erasure_does_not_turn_a_no_into_what_holds_until_one(tmp_path: Path) -> None:
    shop = Shop(opt_out_grants=UNTIL_A_NO, consent_days=365, cache=str(tmp_path))
    browser = shop.browser(**CALIFORNIA)
    await browser.view("shoes", 6)
    assert (await browser.send("DELETE", "/_ew/v1/me")).json()["visitor"] is True

    told = (await browser.send("GET", "/_ew/v1/consent")).json()
    assert (told["grants"], told["how"], told["ask"]) == ([], "erasure", False)
    assert await browser.view("shoes", 6) == "<h1>Welcome</h1>"


@pytest.mark.anyio
@pytest.mark.parametrize("key", ["test-0", "test-1"])
async def test_a_no_whose_key_was_retired_does_not_turn_into_what_holds_until_one(key: str) -> None:
    shop = Shop(opt_out_grants=UNTIL_A_NO, consent_days=365)
    ring = KeyRing((key_of(key, b"o" * 32),))
    no = CookieJar(lambda: ring).write_choice(Choice(0, NOW_S, "banner"), NOW_S)
    browser = shop.browser(**CALIFORNIA)
    browser.cookies["consent"] = no.partition(b";")[0].decode().removeprefix("consent=")

    assert await browser.view("shoes", 6) == "<h1>Welcome</h1>"
    told = (await browser.send("GET", "/_ew/v1/consent")).json()
    assert (told["grants"], told["ask"]) == ([], True)

    browser.cookies["consent"] = "somebody-elses"
    assert await browser.view("shoes", 6) == "<p>Shoes</p>"


@pytest.mark.anyio
async def test_a_changed_policy_asks_again_and_lets_hold_what_was_granted() -> None:
    shop = Shop(policy="v1")
    browser = shop.browser()
    await browser.send("PUT", "/_ew/v1/consent", json={"grants": ["functional"]})
    later = Shop(policy="v2").browser()
    later.cookies = browser.cookies

    told = (await later.send("GET", "/_ew/v1/consent")).json()
    assert (told["grants"], told["policy"], told["ask"]) == (["functional"], "v1", True)
    body = {"grants": ["functional"], "policy": "v1"}  # a page that was open all the while
    assert (await later.send("PUT", "/_ew/v1/consent", json=body)).json()["ask"] is True
    del body["policy"]
    assert (await later.send("PUT", "/_ew/v1/consent", json=body)).json()["ask"] is False

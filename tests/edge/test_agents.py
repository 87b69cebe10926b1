"""Agents: what a browser says of itself, in hints or in a user agent, in the playbook's words."""

from __future__ import annotations

import json
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.rules.names import KNOWN_WORDS
from edge.agents import BROWSERS, MAX_AGENT, SYSTEMS, device
from edge.config import Config
from edge.context import Context
from edge.wire import NO_PAGE
from tests.edge.test_context import IPHONE

CHROME = (
    b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    b"Chrome/130.0.0.0 Safari/537.36"
)
PIXEL = (
    b"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    b"Chrome/130.0.0.0 Safari/537.36"
)
MAC = b"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
Found = tuple[str, str | None, str | None]


def read(agent: bytes, *hints: bytes) -> Found:
    found = device(agent, *hints)
    return found["device.kind"], found.get("device.os"), found.get("device.browser")


@pytest.mark.parametrize(
    ("agent", "found"),
    [
        (IPHONE, ("mobile", "ios", "safari")),
        (CHROME, ("desktop", "windows", "chrome")),
        (CHROME + b" Edg/130.0", ("desktop", "windows", "edge")),
        (CHROME + b" OPR/114.0.0.0", ("desktop", "windows", "opera")),
        (CHROME + b" Vivaldi/7.0", ("desktop", "windows", "chrome")),
        (MAC + b"Version/18.0 Safari/605.1.15", ("desktop", "macos", "safari")),
        (b"Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X) AppleWebKit/605.1 (KHTML, like Gecko) "
         b"Version/17.0 Mobile/15E148 Safari/604.1", ("tablet", "ios", "safari")),
        (b"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1 "
         b"CriOS/130.0 Mobile/15E148 Safari/604.1", ("mobile", "ios", "chrome")),
        (b"Mozilla/5.0 (Linux; Android 14; SM-X210) Chrome/130.0", ("tablet", "android", "chrome")),
        (b"Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) "
         b"SamsungBrowser/26.0 Chrome/122.0 Mobile Safari/537.36",
         ("mobile", "android", "samsung")),
        (b"Mozilla/5.0 (Linux; U; Android 4.0; de-de) AppleWebKit/534.30 (KHTML, like Gecko) "
         b"Version/4.0 Mobile Safari/534.30", ("mobile", "android", None)),
        (b"Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0",
         ("desktop", "linux", "firefox")),
        (b"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) "
         b"Chrome/130.0.0.0 Safari/537.36", ("desktop", "chromeos", "chrome")),
        (b"Mozilla/5.0 (PlayStation 5 3.11) AppleWebKit/605.1.15 Safari/605.1.15",
         ("desktop", None, "safari")),
        (b"Mozilla/5.0", ("desktop", None, None)),
        (b"\xff\xfe", ("desktop", None, None)),
    ],
)  # fmt: skip
def test_a_user_agent_gives_kind_system_and_browser(agent: bytes, found: Found) -> None:
    assert read(agent) == found


@pytest.mark.parametrize(
    ("hints", "found"),
    [
        ((b"?0", b'"Windows"', b'"Chromium";v="130", "Microsoft Edge";v="130", "Not?A";v="99"'),
         ("desktop", "windows", "edge")),
        ((b"?1", b'"Android"', b'"Chromium";v="130", "Google Chrome";v="130"'),
         ("mobile", "android", "chrome")),
        ((b"?0", b'"Android"', b'"Not A;B";v="8", "Samsung Internet";v="26", "Chromium";v="1"'),
         ("tablet", "android", "samsung")),
        ((b"?0", b'"Chrome OS"', b'"Opera";v="114", "Chromium";v="128"'),
         ("desktop", "chromeos", "opera")),
        ((b"?0", b'"macOS"', b'"Brave";v="130", "Chromium";v="130"'),
         ("desktop", "macos", "chrome")),
        ((b"?0", b'"Linux"'), ("desktop", "linux", "chrome")),
        ((b"?1",), ("mobile", "android", "chrome")),
        ((b"?0", b'"Plan 9"', b'"Mosaic";v="1"'), ("tablet", "android", "chrome")),
        ((b"1", b"\xff", b'"\\";;"'), ("tablet", "android", "chrome")),
    ],
)  # fmt: skip
def test_client_hints_come_before_the_user_agent(hints: tuple[bytes, ...], found: Found) -> None:
    assert read(PIXEL, *hints) == found


def test_a_request_brings_its_hints() -> None:
    headers = {
        b"user-agent": PIXEL,
        b"sec-ch-ua-mobile": b"?1",
        b"sec-ch-ua-platform": b'"Android"',
        b"sec-ch-ua": b'"Google Chrome";v="130"',
    }

    assert Context(Config()).facts(headers, NO_PAGE) == {
        "device.kind": "mobile",
        "device.os": "android",
        "device.browser": "chrome",
    }


def test_every_bot_of_the_list_is_one() -> None:
    listed = resources.files("crawleruseragents").joinpath("crawler-user-agents.json")
    agents = [agent for bot in json.loads(listed.read_bytes()) for agent in bot["instances"]]

    assert len(agents) > 2_000
    assert not [agent for agent in agents if read(agent.encode()[:MAX_AGENT])[0] != "bot"]


def test_hints_do_not_make_a_bot_a_person() -> None:
    assert read(b"Mozilla/5.0 (compatible; Googlebot/2.1)", b"?1", b'"Android"')[0] == "bot"


@given(*[st.binary(max_size=60)] * 4)
def test_whatever_comes_is_read(
    agent: bytes, mobile: bytes, platform: bytes, brands: bytes
) -> None:
    assert device(agent, mobile, platform, brands)["device.kind"] in KNOWN_WORDS["device.kind"][0]


def test_the_words_for_systems_and_browsers_are_those_that_rules_may_ask_for() -> None:
    for attribute, table in (("device.os", SYSTEMS), ("device.browser", BROWSERS)):
        assert KNOWN_WORDS[attribute][1].split("|") == list(table)

"""The OpenAPI document: valid, complete, and true of every reply that schemathesis can provoke."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import schemathesis
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import engine
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events

from edge import openapi, problems, wire
from edge.app import ROUTES, WELL_KNOWN
from edge.config import Config
from edge.errors import Refused
from edge.refresh import Served
from tests.decisions.tcstrings import encode, said
from tests.edge.shop import SECRET, Shop, snapshot

ROOT = Path(__file__).parent.parent.parent
HTTP_API = (ROOT / "docs" / "http-api.md").read_text(encoding="utf-8")
TOLD = json.loads(openapi.document(Config()))
OPERATIONS = {
    (method.upper(), path): operation
    for path, operations in TOLD["paths"].items()
    for method, operation in operations.items()
}
REJECTED = ["400", "401", "403", "404", "405", "408", "413", "414", "429", "503"]
EXAMPLES = 25  # of a route, where most is to be found; fewer elsewhere: seconds for all
FEWER = 10

# Whether a text is a TC string no schema can say.
schemathesis.openapi.format("iab-tcf", st.just(encode(said())))

pytestmark = pytest.mark.anyio


def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(TOLD).validate()

    assert TOLD["openapi"].startswith("3.1.")


def test_it_has_every_route_and_no_other() -> None:
    routes = {(entry.method, f"/_ew{entry.path}".replace(":path", "")) for entry in ROUTES}
    routes |= {(entry.method, entry.path) for entry in WELL_KNOWN}

    assert OPERATIONS.keys() == routes


def test_it_has_every_documented_problem_with_its_status_and_no_other() -> None:
    table = re.findall(r"^\| (`.*?) \| (\d.*?) \|", HTTP_API.partition("## Problems")[2], re.M)
    documented = {
        code: int(status)
        for codes, statuses in table
        for code, status in zip(
            re.findall(r"`([a-z-]+)`", codes), statuses.split(" · "), strict=True
        )
    }

    assert {code: status for code, (status, _) in openapi.PROBLEMS.items()} == documented
    kinds = TOLD["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]
    assert kinds == [problems.TYPE + code for code in openapi.PROBLEMS]


def test_every_route_that_reads_a_body_may_find_it_too_slow_or_too_large() -> None:
    for (method, path), operation in OPERATIONS.items():
        assert ({"408", "413"} <= operation["responses"].keys()) == (method != "GET"), path


def test_it_tells_the_mount_and_the_limits_of_this_edge() -> None:
    told = json.loads(openapi.document(Config(mount="/p", max_slots=3, max_events=4)))

    assert "/p/v1/visit" in told["paths"]
    visit = told["components"]["schemas"]["VisitBody"]["properties"]
    assert (visit["slots"]["maxItems"], visit["events"]["maxItems"]) == (3, 4)


def test_the_names_of_slots_in_a_query_are_those_that_the_route_takes() -> None:
    schema = OPERATIONS["GET", "/_ew/v1/fragments"]["parameters"][0]["schema"]
    for slots in ("", ",", "a", "a,b", ",,a,,b,,", "a," * 20, "a," * 21, "a" * 128, "a" * 129):
        names = [name for name in slots.split(",") if name]
        fits = len(names) <= 20 and all(len(name) <= 128 for name in names)
        assert bool(re.search(schema["pattern"], slots)) == fits, slots


def test_the_limits_of_a_page_are_those_that_are_checked() -> None:
    fields = TOLD["components"]["schemas"]["Page"]["properties"]
    for name in ("path", "category", "referrer", "locale", "zone"):
        most = fields[name]["maxLength"]
        for length in (most, most + 1):
            body = json.dumps({"page": {name: "a" * length}}).encode()
            if length <= most:
                wire.visit_body(body, 1, 1)
            else:
                with pytest.raises(Refused, match=f"at most {most} characters"):
                    wire.visit_body(body, 1, 1)


async def test_it_is_served_and_may_be_kept_for_a_while() -> None:
    reply = await Shop().browser().send("GET", "/_ew/openapi.json")

    assert (reply.status_code, reply.json()) == (200, TOLD)
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "public, max-age=300"


async def test_a_path_of_two_methods_tells_of_both() -> None:
    reply = await Shop().browser().send("POST", "/_ew/v1/consent")

    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, HEAD, PUT")
    assert "expected GET, HEAD, PUT, got POST" in reply.json()["detail"]


def failures(shop: Shop, examples: int, *expected: str) -> tuple[list[str], int]:
    """What schemathesis finds wrong with a shop's replies, and how many it looked at. expected:
    statuses that are no fault of a server's."""
    config = SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "continue-on-failure": True,
            "headers": {"user-agent": "Mozilla/5.0"},  # without one, who asks is a bot
            "auth": {"openapi": {"bearer": {"bearer": SECRET}, "apiKey": {"api_key": SECRET}}},
            "generation": {
                "max-examples": examples,
                "deterministic": True,  # in CI and elsewhere: it draws the same each time
                "database": "none",
            },
            "checks": {
                "negative_data_rejection": {"expected-statuses": REJECTED},
                "not_a_server_error": {"expected-statuses": expected},
            },
        }
    )
    schema = schemathesis.openapi.from_asgi(
        f"{shop.services.config.mount}/openapi.json", shop.edge, config=config
    )
    found, replies = list[str](), 0
    for event in engine.from_schema(schema).execute():
        assert not isinstance(event, events.FatalError | events.NonFatalError), event
        if not isinstance(event, events.ScenarioFinished):
            continue
        replies += len(event.recorder.interactions)
        for case, checks in event.recorder.checks.items():
            found += [
                f"{event.recorder.label}: {check.name}: {check.failure_info.failure}\n"
                f"{event.recorder.cases[case].value.as_curl_command()[:2_000]}"
                for check in checks
                if check.failure_info is not None
            ]
    return found, replies


SHOPS: dict[str, Callable[[], Shop]] = {
    "serving": lambda: Shop(
        Served(snapshot(recommendations={})),
        events_per_minute=10**9,
        server_calls_per_minute=10**9,
    ),
    "dev": lambda: Shop(events_per_minute=10**9, server_calls_per_minute=10**9, dev=True),
    "limited": lambda: Shop(events_per_minute=1, max_slots=2, max_events=1, mount="/elsewhere"),
    "empty": lambda: Shop(Served()),
}


@pytest.mark.parametrize("name", SHOPS)
def test_schemathesis_finds_no_reply_that_the_document_does_not_promise(name: str) -> None:
    shop = SHOPS[name]()

    unready = ["503"] if name == "empty" else []
    examples = EXAMPLES if name == "serving" else FEWER
    found, replies = failures(shop, examples, "2xx", "3xx", "4xx", *unready)

    assert found == []
    assert replies > 400
    assert shop.counted("edgewise_errors_total") == 0

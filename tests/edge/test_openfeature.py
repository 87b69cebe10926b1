"""OpenFeature's own SDK and provider against an edge over loopback: what the docs say works."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from tests.edge.shop import SECRET, Shop

ROOT = Path(__file__).parent.parent.parent
HTTP_API = (ROOT / "docs" / "http-api.md").read_text(encoding="utf-8")
MOBILE = {"grants": ["functional"], "device": {"kind": "mobile"}}


@contextmanager
def listening(shop: Shop) -> Iterator[str]:
    """The shop at an address of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server = Server(
        shop.edge,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    stopping = threading.Event()

    async def serve() -> None:
        serving = asyncio.create_task(server.serve())
        await asyncio.to_thread(stopping.wait)
        server.stop()  # type: ignore[no-untyped-call] # Granian's embedding has no types here
        await serving

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    try:
        until_s = time.monotonic() + 20
        while time.monotonic() < until_s:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}/_ew"
    finally:
        stopping.set()
        thread.join(timeout=20)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with listening(Shop()) as found:
        yield found


@pytest.fixture
def client(address: str) -> Iterator[Any]:
    headers = {"Authorization": f"Bearer {SECRET}"}
    api.set_provider(OFREPProvider(address, headers_factory=lambda: headers))
    yield api.get_client()
    api.clear_providers()


def test_a_slot_is_a_string_or_an_object(client: Any) -> None:
    french = EvaluationContext("somebody", {"geo": {"country": "FR"}})
    shoes = EvaluationContext(attributes={"page.category": "shoes"})

    promo = client.get_string_details("promo", "?", french)
    feed = client.get_object_details("feed", {}, shoes)

    assert (promo.value, promo.reason) == ("<p>Bonjour</p>", Reason.TARGETING_MATCH)
    assert (promo.variant, promo.flag_metadata["rule"]) == ("promo/french", "french")
    assert feed.value == {"items": [1, 2]}


def test_an_experiment_is_its_variant_and_elsewhere_the_callers_default(client: Any) -> None:
    inside = client.get_string_details("test", "mine", EvaluationContext("somebody", MOBILE))
    outside = client.get_string_details("test", "mine", EvaluationContext("somebody", {}))

    assert inside.reason is Reason.SPLIT
    assert inside.value == inside.variant
    assert inside.value in ("a", "b")
    assert (outside.value, outside.reason) == ("mine", Reason.DEFAULT)


@pytest.mark.parametrize(
    ("key", "context", "code"),
    [
        ("test", EvaluationContext(attributes=MOBILE), ErrorCode.TARGETING_KEY_MISSING),
        ("hero", EvaluationContext("a", {"grants": "all"}), ErrorCode.INVALID_CONTEXT),
        ("nothing", EvaluationContext("a"), ErrorCode.FLAG_NOT_FOUND),
    ],
)
def test_what_cannot_be_evaluated_is_told_in_the_sdks_words(
    client: Any, key: str, context: Any, code: ErrorCode
) -> None:
    told = client.get_string_details(key, "mine", context)

    assert (told.value, told.error_code) == ("mine", code)


def test_a_key_that_does_not_count_gives_the_default(address: str, client: Any) -> None:
    api.set_provider(OFREPProvider(address, headers_factory=lambda: {"X-API-Key": "ewk_"}))

    told = client.get_string_details("hero", "mine")

    assert (told.value, told.error_message) == ("mine", "unauthorized")


def test_a_provider_waits_as_long_as_it_is_told() -> None:
    with listening(Shop(server_calls_per_minute=1)) as address:
        provider = OFREPProvider(address, headers_factory=lambda: {"X-API-Key": SECRET})
        api.set_provider(provider)
        told = [api.get_client().get_string_details("hero", "mine") for _ in range(2)]
        api.clear_providers()

    assert [one.value for one in told] == ["<h1>Welcome</h1>", "mine"]
    assert provider.retry_after is not None


def test_the_example_of_the_docs_does_what_it_says(address: str) -> None:
    (example,) = (
        code for code in re.findall(r"```python\n(.*?)```", HTTP_API, re.S) if "OFREP" in code
    )
    there = "https://shop.example/_ew"
    assert there in example
    names: dict[str, Any] = {"key": SECRET}

    exec(example.replace(there, address), names)  # noqa: S102 - our own page

    api.clear_providers()
    assert names["html"] == "<h1>Welcome</h1>"

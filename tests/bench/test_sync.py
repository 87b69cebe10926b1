"""When a worker counts as having followed."""

from __future__ import annotations

import http.client
import time
from pathlib import Path

import pytest

from bench.sync import Watched, Worker

ONE, OTHER = (Worker(Path(name), http.client.HTTPConnection("localhost")) for name in "ab")


def test_what_happened_is_over_when_every_worker_has_shown_it() -> None:
    shown = iter(["new"])
    watched = Watched(0.0, lambda: next(shown))
    watched.happen()
    watched.happen()

    assert not watched.seen(ONE, "old")
    assert watched.seen(ONE, "new")
    assert not watched.seen(ONE, "new"), "only the first time is new"
    assert not watched.is_over([ONE, OTHER])
    assert watched.seen(OTHER, "new")
    assert watched.is_over([ONE, OTHER])
    assert len(watched.delays()) == 2


def test_nothing_is_seen_before_it_is_due() -> None:
    watched = Watched(time.time() + 60.0, lambda: "new")
    watched.happen()
    assert not watched.seen(ONE, "new")


def test_a_worker_that_goes_back_is_an_error() -> None:
    watched = Watched(0.0, lambda: "new")
    watched.happen()
    watched.seen(ONE, "new")
    with pytest.raises(ValueError, match="expected new from now on, got old"):
        watched.seen(ONE, "old")

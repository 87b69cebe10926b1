"""What one client may send: so many events at once, and as many a minute after that."""

from __future__ import annotations

from edge.ratelimit import RateLimit


class Clock:
    """A clock that a test sets."""

    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_client_may_send_its_minute_at_once_and_no_more() -> None:
    limit = RateLimit(6, 10, Clock())

    assert limit.allows("a", 4)
    assert not limit.allows("a", 3)
    assert limit.allows("a", 2), "what was refused is not counted"
    assert not limit.allows("a", 1)
    assert limit.allows("b", 6), "another client has a bucket of its own"


def test_what_was_sent_is_forgiven_little_by_little() -> None:
    clock = Clock()
    limit = RateLimit(6, 10, clock)
    assert limit.allows("a", 6)

    clock.now_s += 10  # a sixth of a minute
    assert limit.allows("a", 1)
    assert not limit.allows("a", 1), "no second minute's worth at the turn of one"

    clock.now_s += 60
    assert limit.allows("a", 6)


def test_a_clock_that_jumps_back_does_not_hurt() -> None:
    clock = Clock()
    limit = RateLimit(6, 10, clock)
    assert limit.allows("a", 3)

    clock.now_s -= 500
    assert limit.allows("a", 3)
    assert not limit.allows("a", 1)

    clock.now_s += 10
    assert limit.allows("a", 1)


def test_who_was_silent_longest_is_forgotten_when_there_are_too_many() -> None:
    limit = RateLimit(1, 2, Clock())
    assert limit.allows("a", 1)
    assert limit.allows("b", 1)
    assert not limit.allows("a", 1)

    assert limit.allows("c", 1)

    assert not limit.allows("a", 1)
    assert limit.allows("b", 1)

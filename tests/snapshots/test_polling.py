from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from snapshots.polling import LONGEST_BACK_OFF_S, next_poll_s


@settings(max_examples=200)
@given(st.text(max_size=20), st.floats(0.1, 600.0), st.integers(0, 2_000))
def test_waiting_is_bounded_and_never_longer_than_the_interval_while_all_is_well(
    node: str, interval_s: float, failures: int
) -> None:
    assert 0.75 * interval_s <= next_poll_s(node, interval_s) <= interval_s
    wait_s = next_poll_s(node, interval_s, failures)
    assert 0.75 * interval_s <= wait_s <= max(interval_s, LONGEST_BACK_OFF_S)
    assert next_poll_s(node, interval_s, failures, 90.0) >= 90.0


def test_each_failure_waits_longer_up_to_a_minute() -> None:
    waits = [next_poll_s("node", 5.0, failures) for failures in range(12)]
    assert waits[:4] == sorted(waits[:4])
    assert 45.0 <= waits[11] <= 60.0


def test_a_fleet_does_not_poll_in_one_beat() -> None:
    shares = sorted(next_poll_s(f"node-{number}", 4.0) for number in range(200))
    assert all(sum(low <= share < low + 0.1 for share in shares) <= 45 for low in (3.0, 3.3, 3.8))
    assert shares[0] < 3.05 and shares[-1] > 3.95
    assert next_poll_s("node-1", 4.0) == next_poll_s("node-1", 4.0)

"""What customers did, beside the feeds, in the interests of a whole build."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from decisions.interest import fade
from decisions.ledger import first_ledger, row_key
from edge.cli import main
from edge.sinks.row import Row, encode
from snapshots.build.report import STAGES, Progress
from snapshots.errors import DataRefused, Malformed
from snapshots.keys import PRIVATE_FILE, read_private
from snapshots.reissue import erase
from tests.snapshots.build.market import NOW_S, PLAYBOOK, Market
from tests.snapshots.build.test_pipeline import CLOCK_S, Published, built
from tests.snapshots.build.test_pipeline import stored as in_store

SALT = first_ledger("market").salt  # what the first build of a store makes
SIGNALS = """\
signals:
  - {on: product_view, interest: {key: category, add: 1}}
  - {on: product_view, interest: {key: item, add: 1}}
  - {on: purchase, interest: {key: category, add: 5}}
  - {on: purchase, interest: {key: item, add: -1000}}
"""
RULES = """\
- {id: pets, slot: hero, when: '"pet_owner" in segments', show: hero/pets}
- {id: bone, slot: hero, when: 'interest["bone"] > 5.0', show: hero/pets}
"""
HALF_LIFE_S = 14 * 86_400.0


def did(who: str, id_: str, type_: str = "product_view", **more: Any) -> Row:
    said: dict[str, Any] = {
        "received": NOW_S - 3_600.0,
        "visitor": row_key(SALT, f"browser of {who}"),
        "customer": row_key(SALT, who),
        "grants": ["functional", "analytics", "personalization"],
        "category": "pet",
        "item": "bone",
    }
    return Row(id=id_, type=type_, **(said | more))


DID = [
    did("1", "a"),
    did("1", "b", category="bakery", item="bread"),
    did("1", "b", category="bakery", item="bread"),
    did("1", "c", "purchase", category="bakery", item="bread"),
    did("5", "d"),
    did("5", "e", category="baby", item="nappy"),
    did("77", "f"),
    did("5", "g", customer=""),
]


@pytest.fixture
def log(market: Market) -> str:
    """Event files beside a market whose signals learn of items, too."""
    market.write("playbook.yaml", PLAYBOOK[: PLAYBOOK.index("signals:")] + SIGNALS)
    market.write("rules.yaml", RULES)
    return str(logged(market, DID))


def logged(market: Market, rows: list[Row]) -> Path:
    folder = market.data.parent / "events"
    folder.mkdir(exist_ok=True)
    text = b"".join(encode(row) + b"\n" for row in rows)
    (folder / "paris-1-1.ndjson").write_bytes(text)
    return folder


def interests(market: Market, customer: str) -> dict[str, float]:
    """As they stand now."""
    member = Published(market).member(customer)
    if member is None:
        return {}
    age_s = NOW_S - member.weighed_at_s
    return {key: fade(weight, age_s, HALF_LIFE_S) for key, weight in member.interests.items()}


def test_events_add_to_what_purchases_weigh_and_no_purchase_weighs_twice(
    market: Market, log: str
) -> None:
    built(market)
    of_feed = interests(market, "1")
    assert "pet" not in of_feed, "it is the third strongest, and two are kept"
    market.sources("top: 2", "top: 4")
    built(market)
    of_feed = interests(market, "1")

    report = built(market, events=log)

    viewed = fade(1.0, 3_600.0, HALF_LIFE_S)
    found = interests(market, "1")
    assert list(found) == ["bakery", "pet", "pantry", "bone"]
    assert found["bakery"] == pytest.approx(of_feed["bakery"] + viewed, rel=2e-3)
    assert found["pantry"] == pytest.approx(of_feed["pantry"], rel=2e-3)
    assert found["pet"] == pytest.approx(of_feed["pet"] + viewed, rel=2e-3)
    assert found["bone"] == pytest.approx(viewed, rel=2e-3)
    assert interests(market, "5") == pytest.approx({"pet": viewed, "bone": viewed}, rel=2e-3)
    assert report.rows == {"purchases": 12, "catalogue": 5, "events": 8}
    assert report.untaught == {
        "no customer": 1,
        "sensitive category without its grant": 1,
        "nothing that interest is known for, or may be learnt for": 1,
        "there before": 1,
        "of a customer whom no feed names": 1,
    }


def test_who_says_so_has_online_purchases_learnt_as_the_cookie_learns_them(
    market: Market, log: str
) -> None:
    market.sources("top: 2}", "top: 4, bought: []}")
    built(market)
    of_feed = interests(market, "1")
    built(market, events=log)
    more = fade(6.0, 3_600.0, HALF_LIFE_S)
    assert interests(market, "1")["bakery"] == pytest.approx(of_feed["bakery"] + more, rel=2e-3)


def test_two_builds_of_one_log_give_the_same_bytes(market: Market, log: str) -> None:
    built(market, events=log)
    first = Published(market).parts
    built(market, events=log)
    assert Published(market).parts == first


def test_reading_events_is_told_of(market: Market, log: str) -> None:
    heard: list[Progress] = []
    built(market, events=log, on_progress=heard.append)
    assert [*dict.fromkeys(progress.stage for progress in heard)] == list(STAGES)
    assert [each.detail for each in heard if each.stage == "events"] == [log, "8 rows"]


def test_a_changed_rule_is_published_without_the_log_and_a_changed_signal_is_not(
    market: Market, log: str
) -> None:
    built(market, events=log)
    before = interests(market, "5")
    market.write("rules.yaml", RULES.replace("> 5.0", "> 6.0"))
    assert built(market, data=False).reused
    assert interests(market, "5") == before
    market.write(
        "playbook.yaml", (market.playbook / "playbook.yaml").read_text().replace("-1000", "-2")
    )
    with pytest.raises(DataRefused, match="events teach in another way: build with --data"):
        built(market, data=False)


def test_events_without_data_are_refused(market: Market, log: str) -> None:
    with pytest.raises(DataRefused, match="expected data beside events: build with --data"):
        built(market, data=False, events=log)


def test_who_was_erased_leaves_nothing_that_their_events_taught(market: Market, log: str) -> None:
    built(market, events=log)
    published = Published(market)
    private = read_private(market.keys / PRIVATE_FILE)
    times = {int(row_key(SALT, "browser of 5"), 16): int(CLOCK_S)}
    erase(published.store, "live", times, private, published.keys, now_s=CLOCK_S)
    report = built(market, events=log)
    assert report.untaught["of somebody erased"] == 1
    assert interests(market, "5") == {}


def test_a_row_that_cannot_be_read_stops_the_build_with_file_and_line(
    market: Market, log: str
) -> None:
    path = Path(log) / "paris-1-1.ndjson"
    path.write_bytes(path.read_bytes() + b'{"id": 5}\n')
    with pytest.raises(Malformed, match=r"expected a row .* - at paris-1-1\.ndjson:9"):
        built(market, events=log)
    assert in_store(market) == []


def test_the_command_says_how_many_events_taught(
    market: Market, log: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["build", str(market.playbook), "--store", str(market.store), "--events", log]
    words += ["--keys", str(market.keys), "--now", "2026-01-01"]
    assert main(words) == 2
    assert "expected --data DIR beside --events" in capsys.readouterr().err
    assert main([*words, "--data", str(market.data)]) == 0
    said = capsys.readouterr().out
    assert "8 events" in said
    assert "events    3 taught interests" in said
    assert "did not   1 no customer, 1 sensitive category without its grant" in said


def test_a_weight_beyond_half_floats_is_kept_as_the_most_that_they_hold(market: Market) -> None:
    market.write("playbook.yaml", PLAYBOOK.replace("add: 1}", "add: 1000}"))
    rows = [did("1", str(number), received=float(NOW_S)) for number in range(120)]
    built(market, events=str(logged(market, rows)))
    member = Published(market).member("1")
    assert member is not None
    assert member.interests["pet"] == 65_504.0


def test_a_record_of_before_says_that_no_events_taught(market: Market) -> None:
    built(market)
    record = msgspec.json.decode(Published(market).parts["record"])
    assert (record["learnt"], record["keys"]) == ({}, [])

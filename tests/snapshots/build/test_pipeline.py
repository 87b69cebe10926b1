from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from decisions import ledger
from decisions import program as programs
from decisions.errors import PlaybookErrors
from decisions.ledger import visitor_key
from decisions.program import Program
from snapshots.build import pipeline
from snapshots.build.pipeline import build
from snapshots.build.report import STAGES, BuildReport, Progress
from snapshots.build.scaffold import new_playbook
from snapshots.bundle import unpack
from snapshots.contents import PROGRAM
from snapshots.errors import DataRefused, KeysRefused
from snapshots.history import read_ledger, read_manifest
from snapshots.keys import PRIVATE_FILE, PUBLIC_FILE, read_private, read_public
from snapshots.manifest import Manifest, part_path
from snapshots.membership import Member, Membership
from snapshots.publish import erased_in
from snapshots.reissue import erase
from snapshots.store import open_writable
from tests.snapshots.build.market import NOW_S, Market, goods, people, sales

CLOCK_S = NOW_S + 86_400.0


def built(market: Market, *, data: bool = True, **how: Any) -> BuildReport:
    return build(
        market.playbook,
        market.data if data else None,
        str(market.store),
        market.keys,
        now_s=NOW_S,
        clock=lambda: CLOCK_S,
        **how,
    )


class Published:
    """What lies in a market's store."""

    def __init__(self, market: Market, channel: str = "live") -> None:
        self.store = open_writable(str(market.store))
        self.keys = read_public(market.keys / PUBLIC_FILE)
        manifest = read_manifest(self.store, channel, self.keys)
        if manifest is None:
            raise AssertionError("nothing was published")
        self.manifest: Manifest = manifest
        self.parts = {
            part.name: unpack(part, self.store.read(part_path(part), part.bytes))
            for part in manifest.parts
        }

    def members(self) -> Membership:
        parts = {name: raw for name, raw in self.parts.items() if name.startswith("membership/")}
        return Membership.open(parts)

    def member(self, customer: str) -> Member | None:
        salt = (read_ledger(self.store, self.keys).ledger or ledger.first_ledger("")).salt
        return self.members().lookup(visitor_key(salt, customer))

    def program(self) -> Program:
        return programs.decode(self.parts[PROGRAM])


def test_a_build_publishes_who_everybody_is(market: Market) -> None:
    report = built(market)
    assert (report.version, report.channel, report.customers) == (1, "live", 4)
    assert report.segments == {"dormant": 1, "pet_owner": 1, "gold": 2, "parent": 1, "steady": 1}
    assert report.rows == {"purchases": 12, "catalogue": 5}
    assert sum(report.left_out.values()) == 5
    published = Published(market)
    one, two, five = (published.member(customer) for customer in ("1", "2", "5"))
    if one is None or two is None or five is None:
        raise AssertionError("they are customers")
    assert one.segments == {"pet_owner", "gold", "steady"}
    assert one.traits == {"tier": "gold", "home": "owner"}
    assert one.scores["weekly"] == pytest.approx(2 / 13, abs=1 / 508)
    assert list(one.interests) == ["bakery", "pantry"]
    assert one.interests["bakery"] == pytest.approx(2 * 2 ** (-0.5 / 14), rel=1e-3)
    assert two.segments == {"dormant", "parent"}
    assert five.segments == {"gold"}
    assert five.scores.get("weekly", 0.0) == 0.0
    assert published.member("4") is None
    assert published.member("9") is None


def test_the_program_knows_the_categories_of_the_data(market: Market) -> None:
    built(market)
    program = Published(market).program()
    assert "k/pantry" in program.dictionary
    facts = {"segments": {"pet_owner"}}
    assert program.decide("hero", facts, grants={"personalization"}).fragment == "hero/pets"


def test_a_segment_of_sensitive_things_needs_the_opt_in(market: Market) -> None:
    market.write(
        "rules.yaml", "- {id: p, slot: hero, when: '\"parent\" in segments', show: hero/pets}\n"
    )
    built(market)
    decide = Published(market).program().decide
    facts = {"segments": {"parent"}}
    assert decide("hero", facts, grants={"personalization"}).fragment == "hero/plain"
    both = {"personalization", "sensitive"}
    assert decide("hero", facts, grants=both).fragment == "hero/pets"


def test_a_segment_may_range_over_all_categories(market: Market) -> None:
    market.write("segments.yaml", "keen: orders_all.exists(c, orders_all[c] >= 2)\n")
    market.write("rules.yaml", "[]")
    assert built(market).segments == {"keen": 1}


def test_two_builds_give_the_same_bytes(tmp_path: Path) -> None:
    parts = []
    for name in ("a", "b"):
        market = Market(tmp_path / name)
        built(market)
        parts.append(Published(market).parts)
    assert parts[0] == parts[1]


def test_rows_in_another_order_give_the_same_bytes(market: Market, tmp_path: Path) -> None:
    other = Market(tmp_path / "other")
    for name, table in (("sales", sales()), ("goods", goods()), ("people", people())):
        other.put(name, table.take(list(range(table.num_rows))[::-1]))
    built(market)
    built(other)
    assert Published(market).parts == Published(other).parts


def test_a_playbook_of_csv_files_builds_the_same(market: Market, tmp_path: Path) -> None:
    other = Market(tmp_path / "other")
    for name in ("sales", "goods", "people"):
        other.as_csv(name)
        other.sources(f"{name}.parquet", f"{name}.csv")
    built(market)
    built(other)
    mine, theirs = Published(market).parts, Published(other).parts
    assert mine == theirs


def test_every_stage_is_announced_in_order(market: Market) -> None:
    heard: list[Progress] = []
    built(market, on_progress=heard.append)
    assert [progress.stage for progress in heard] == list(STAGES)
    assert [progress.place for progress in heard] == list(range(len(STAGES)))
    assert {progress.of for progress in heard} == {len(STAGES)}


def test_the_report_says_what_it_took(market: Market) -> None:
    report = built(market)
    assert report.seconds > 0
    assert report.peak_bytes > 10**6
    assert set(report.parts) == set(Published(market).parts)
    assert not report.reused


def test_on_a_mac_memory_is_counted_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    here = pipeline.peak_bytes()
    monkeypatch.setattr("sys.platform", "darwin")
    assert pipeline.peak_bytes() < here


# Without data


def test_a_changed_rule_is_published_beside_the_same_membership(market: Market) -> None:
    first = built(market)
    before = Published(market).parts
    market.write(
        "rules.yaml", (market.playbook / "rules.yaml").read_text().replace("pets,", "dogs,")
    )
    report = built(market, data=False)
    after = Published(market).parts
    assert (report.version, report.reused, report.customers) == (2, True, first.customers)
    assert report.segments == first.segments
    assert after[PROGRAM] != before[PROGRAM]
    assert {**after, PROGRAM: b""} == {**before, PROGRAM: b""}


@pytest.mark.parametrize(
    ("file", "old", "new", "what"),
    [
        ("segments.yaml", ">= 1", ">= 2", "segment pet_owner has changed"),
        ("segments.yaml", "gold:", "golden:", "segment gold is gone; segment golden is new"),
        ("sources.yaml", "13.0", "12.0", "score weekly has changed"),
        ("sources.yaml", "    tier: {column: tier}\n", "", "trait tier is gone"),
        ("sources.yaml", "line: 2.0", "line: 1.0", "interests are weighed in another way"),
        ("playbook.yaml", "name: market", "name: market\ninterest: {half_life: 7d}", "interests"),
    ],
)
def test_what_only_data_can_answer_is_refused_without_data(
    market: Market, file: str, old: str, new: str, what: str
) -> None:
    built(market)
    market.write(file, (market.playbook / file).read_text().replace(old, new))
    with pytest.raises(DataRefused) as caught:
        built(market, data=False)
    assert what in str(caught.value)
    assert "build with --data" in str(caught.value)
    assert Published(market).manifest.version == 1


def test_a_channel_without_a_version_has_no_membership_to_take(market: Market) -> None:
    with pytest.raises(DataRefused, match="expected a version of channel live with segments"):
        built(market, data=False)


def test_a_playbook_without_segments_needs_no_data(market: Market) -> None:
    (market.playbook / "sources.yaml").unlink()
    (market.playbook / "segments.yaml").unlink()
    market.write("rules.yaml", "[]")
    report = built(market, data=False)
    assert (report.version, set(report.parts)) == (1, {PROGRAM})


def test_a_new_playbook_is_published_before_there_is_data_and_says_that_nobody_is_in_its_segments(
    market: Market,
) -> None:
    folder = market.playbook.parent / "new"
    new_playbook(folder)
    market.playbook = folder
    report = built(market, data=False)
    assert (report.version, set(report.parts)) == (1, {PROGRAM})
    (warning,) = report.warnings
    assert (warning.code, warning.at.file) == ("no-data", "segments.yaml")
    assert "nobody is in this segment yet" in warning.message


def test_sources_may_go_when_nothing_of_them_is_lost(market: Market) -> None:
    built(market)
    (market.playbook / "sources.yaml").unlink()
    with pytest.raises(DataRefused, match="trait home is gone"):
        built(market, data=False)


# Bad input


def stored(market: Market) -> list[Path]:
    return sorted(path for path in market.store.rglob("*") if path.is_file())


def test_nothing_is_stored_when_the_data_is_refused(market: Market) -> None:
    (market.data / "sales.parquet").unlink()
    with pytest.raises(DataRefused, match="expected sales"):
        built(market)
    assert stored(market) == []


def test_nothing_is_stored_when_the_playbook_is_wrong(market: Market) -> None:
    market.write("segments.yaml", "odd: purchases.lats_at > now\n")
    with pytest.raises(PlaybookErrors, match="did you mean purchases"):
        built(market)
    assert stored(market) == []


def test_keys_come_before_everything_else(market: Market) -> None:
    (market.keys / "publisher.private.jwks").unlink()
    with pytest.raises(KeysRefused):
        built(market)


def test_data_without_sources_is_told_that_they_are_missing(market: Market) -> None:
    (market.playbook / "sources.yaml").unlink()
    with pytest.raises(PlaybookErrors, match="which column is what"):
        built(market)


def test_the_builders_own_key_is_enough(market: Market) -> None:
    public = market.keys / PUBLIC_FILE
    text = public.read_bytes()
    public.unlink()
    assert built(market).version == 1
    public.write_bytes(text)
    assert Published(market).manifest.version == 1


def test_a_sensitive_value_that_nobody_ever_bought_is_warned_of(market: Market) -> None:
    path = market.playbook / "playbook.yaml"
    market.write("playbook.yaml", path.read_text().replace("[baby]", "[baby, pett, wine]"))
    warnings = built(market).warnings
    assert [warning.severity for warning in warnings] == ["warning", "warning"]
    assert "never holds the sensitive category pett, did you mean pet?" in warnings[0].message
    assert warnings[1].message.endswith("category wine")
    assert warnings[0].at.file == "playbook.yaml"


def test_nobody_at_all_is_a_snapshot_too(market: Market) -> None:
    text = (market.playbook / "sources.yaml").read_text()
    start, end = text.index("customers:"), text.index("interests:")
    market.sources(text[start:end], "")
    market.sources("min: 1, max: 50", "min: 1000, max: 5000")
    market.write("segments.yaml", "dormant: purchases.orders['7d'] < 1\n")
    market.write("rules.yaml", "[]")
    report = built(market)
    assert (report.customers, report.segments) == (0, {"dormant": 0})
    assert Published(market).member("1") is None


def test_who_is_erased_is_left_out_of_the_next_build_and_of_every_count(market: Market) -> None:
    before = built(market)
    published = Published(market)
    gone = published.member("1")
    assert gone is not None
    salt = read_ledger(published.store, published.keys).ledger
    assert salt is not None
    times = {visitor_key(salt.salt, "1"): int(CLOCK_S)}
    private = read_private(market.keys / PRIVATE_FILE)
    erase(published.store, "live", times, private, published.keys, now_s=CLOCK_S)

    after = built(market)

    published = Published(market)
    assert (before.erased, after.erased) == (0, 1)
    assert (after.customers, published.members().rows) == (before.customers - 1,) * 2
    assert published.member("1") is None
    assert after.segments == {
        name: size - (name in gone.segments) for name, size in before.segments.items()
    }
    assert erased_in(published.store, published.manifest) == times

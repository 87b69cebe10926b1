"""The whole way: a playbook, data and a store in; a signed version in the store out, and a report.

Everything that can be wrong with words is looked at before a row is read; nothing is written to the
store before everything is computed; `publish` sees to it that a version is there or not there. With
no data, a changed rule is published beside the membership of the channel's current version.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import msgspec
import pyarrow as pa

from decisions.compiling import compile_with_ledger
from decisions.errors import Position, Problem
from decisions.ledger import Ledger
from decisions.lesson import Learning
from decisions.playbook import WrittenPlaybook, duration_s
from snapshots.build import assemble, features, interests, recommendations, segments, taught
from snapshots.build.ahead import Ahead, given
from snapshots.build.assemble import Record
from snapshots.build.catalogue import Items, read_catalogue, with_categories
from snapshots.build.clean import purchase_lines
from snapshots.build.feeds import Feeds, open_feeds
from snapshots.build.identity import everybody, read_customers
from snapshots.build.publisher import Publisher, publisher_of
from snapshots.build.reading import read_playbook
from snapshots.build.recommendations import Found
from snapshots.build.report import BuildReport, OnProgress, stage
from snapshots.build.review import Policy, Review
from snapshots.build.sources import FILE, Written, read_sources
from snapshots.build.taught import Log
from snapshots.build.unheld import never_held, nobody_in
from snapshots.bundle import Packed, check_stored, unpack
from snapshots.contents import RECORD, remarks
from snapshots.errors import DataRefused
from snapshots.history import read_manifest
from snapshots.manifest import part_path
from snapshots.publish import publish_built
from snapshots.recommendations import RECOMMENDATIONS

MEMORY = "1500MB"  # of DuckDB; beyond it goes to disk. The rest of 2 GiB is Python's and Arrow's
US = 1_000_000
KEPT = ("membership/", RECOMMENDATIONS)  # what a changed rule is published beside

Left: TypeAlias = Callable[[pa.Table], pa.Table]


class Population(msgspec.Struct, frozen=True):
    """What the data said: one row per customer (as `assemble.beside` gives it), and the counts."""

    table: pa.Table
    record: Record
    rows: dict[str, int]
    left_out: dict[str, int]
    untaught: dict[str, int]
    found: Found | None = None  # which items go together


def build(
    playbook: str | Path,
    data: str | Path | None,
    store: str,
    keys: str | Path,
    *,
    now_s: float,
    channel: str = "live",
    clock: Callable[[], float] = time.time,
    on_progress: OnProgress = lambda progress: None,
    policy: Policy | None = None,
    formats: Mapping[str, int] | None = None,
    events: str | None = None,
) -> BuildReport:
    """Builds a playbook and publishes it.

    data: the folder of the feeds, or None to take the membership of the channel's current version.
    events: beside data, the folder or store of event files that teach interests, too. store: a URL
    or folder. keys: the folder of the publisher's keys. now_s: the moment as of which everything is
    computed; the manifest is dated by `clock`. policy: how much it may change without being told
    to, None for whatever. formats: part → the older one to write it in. Raises PlaybookErrors,
    DataRefused, KeysRefused, Unapproved, Unwritable, StoreUnavailable, and Malformed for event
    files; then nothing was published.
    """
    started = time.perf_counter()
    publisher = publisher_of(store, channel, Path(keys), clock, policy=policy, formats=formats)
    on_progress(stage("playbook", str(playbook)))
    written = read_playbook(playbook)
    sources = read_sources(Path(playbook)) if (Path(playbook) / FILE).exists() else None
    if data is None and events is not None:
        raise _refused("expected data beside events")
    if data is None:
        report = _without_data(publisher, written, sources, on_progress)
    else:
        sources = sources or read_sources(Path(playbook))
        report = _with_data(publisher, written, sources, Path(data), now_s, on_progress, events)
    seconds = time.perf_counter() - started
    return msgspec.structs.replace(report, seconds=seconds, peak_bytes=peak_bytes())


def _with_data(
    publisher: Publisher,
    playbook: WrittenPlaybook,
    sources: Written,
    data: Path,
    now_s: float,
    on_progress: OnProgress,
    events: str | None,
) -> BuildReport:
    def check(categories: tuple[str, ...]) -> Learning:
        return compile_with_ledger(playbook, None, {"category": categories}).program.learning

    name = playbook.settings.name
    log = publisher.log(events, name) if events is not None else None
    population = compute(
        playbook,
        sources,
        data,
        now_s,
        on_progress,
        check,
        log,
        lambda all_: publisher.left(all_, name),
    )
    record = population.record

    def members(salt: str) -> list[Packed]:
        nonlocal record
        table = assemble.keyed(publisher.without_erased(population.table, salt), salt)
        record = assemble.record_for(population.record, table)
        parts = assemble.membership_parts(table, record, publisher.formats)
        parts += recommendations.parts(population.found, table, publisher.formats)
        return [*parts, assemble.record_part(record)]

    on_progress(stage("parts", f"{record.customers:,} customers"))
    report = _publish(publisher, playbook, record.categories, members, on_progress)
    return msgspec.structs.replace(
        report,
        customers=record.customers,
        segments=record.sizes,
        rows=population.rows,
        left_out=population.left_out,
        untaught=population.untaught,
        erased=population.record.customers - record.customers,
        warnings=never_held(playbook, record.held),
    )


def _without_data(
    publisher: Publisher,
    playbook: WrittenPlaybook,
    sources: Written | None,
    on_progress: OnProgress,
) -> BuildReport:
    """A changed rule beside the membership that is there; refused when that would not be the one
    that the playbook now asks for."""
    manifest = read_manifest(publisher.store, publisher.channel, publisher.trusted)
    kept = {part.name: part for part in manifest.parts} if manifest else {}
    stored = {
        name: Packed(part, publisher.store.read(part_path(part), part.bytes))
        for name, part in kept.items()
        if name == RECORD or name.startswith(KEPT)
    }
    publisher.check_kept(part.ref for part in stored.values())
    for part in stored.values():
        check_stored(part.ref, part.stored)
    if RECORD not in stored:
        if sources is not None:
            raise _refused(
                f"expected a version of channel {publisher.channel} with segments, found none"
            )
        report = _publish(publisher, playbook, (), lambda _: [], on_progress)
        return msgspec.structs.replace(report, warnings=nobody_in(playbook))
    part = stored[RECORD]
    record = msgspec.json.decode(unpack(part.ref, part.stored), type=Record)
    wanted = _wanted(playbook, sources, record)
    if differences := record.differences(wanted):
        raise _refused(
            f"expected the segments of version {manifest.version}" if manifest else "", differences
        )
    if wanted.recommended is None and record.recommended is not None:
        record = msgspec.structs.replace(record, recommended=None)
        stored = {name: p for name, p in stored.items() if not name.startswith(RECOMMENDATIONS)}
        stored[RECORD] = assemble.record_part(record)
    report = _publish(
        publisher, playbook, record.categories, lambda _: list(stored.values()), on_progress
    )
    sizes = {name: record.sizes[name] for name in playbook.segments}
    return msgspec.structs.replace(report, customers=record.customers, segments=sizes, reused=True)


def _wanted(playbook: WrittenPlaybook, sources: Written | None, record: Record) -> Record:
    """The record that the playbook asks for now, of the data that `record` is of."""
    definitions = segments.define(playbook, sources, record.categories)
    settings = sources.sources.interests if sources else record.interests
    half_life_s = duration_s(playbook.settings.interest.half_life)
    wanted = assemble.record_of(definitions, settings, half_life_s, record.now_s)
    told = recommendations.told(playbook.settings)
    wanted = msgspec.structs.replace(wanted, recommended=told)
    if record.learnt:
        program = compile_with_ledger(playbook, None, {"category": record.categories}).program
        learnt = taught.gains_of(program.learning, settings.bought)
        wanted = msgspec.structs.replace(wanted, learnt=learnt)
    return wanted


def _publish(
    publisher: Publisher,
    playbook: WrittenPlaybook,
    categories: tuple[str, ...],
    members: Callable[[str], list[Packed]],
    on_progress: OnProgress,
) -> BuildReport:
    """members: the ledger's salt in, every part but the program out."""
    packed: dict[str, int] = {}
    reviewed: list[Review | None] = []

    def parts_of(ledger: Ledger | None) -> tuple[list[Packed], Ledger]:
        compiled = compile_with_ledger(playbook, ledger, {"category": categories})
        parts = [assemble.program_part(compiled.program), *members(compiled.ledger.salt)]
        packed.update({part.ref.name: part.ref.bytes for part in parts})
        reviewed.append(publisher.review(parts))
        on_progress(stage("publish", f"{len(parts)} parts"))
        return parts, compiled.ledger

    manifest = publish_built(
        publisher.store,
        publisher.channel,
        parts_of,
        publisher.private,
        now_s=publisher.clock(),
        keys=publisher.trusted,
        patches=publisher.patches,
    )
    results = {part.raw_sha256 for part in manifest.parts}
    return BuildReport(
        channel=manifest.channel,
        version=manifest.version,
        parts=packed,
        review=reviewed[-1],
        remarks=tuple(remarks(manifest).values()),
        patches={
            step.part.name: step.part.bytes for step in manifest.patches if step.result in results
        },
    )


def compute(
    playbook: WrittenPlaybook,
    sources: Written,
    data: Path,
    now_s: float,
    on_progress: OnProgress = lambda progress: None,
    check: Callable[[tuple[str, ...]], Learning] = lambda categories: Learning(),
    log: Log | None = None,
    left: Left = lambda customers: customers,
) -> Population:
    """Everything that data says about customers, as of `now_s`, under their own ids.

    check: is told the categories before a purchase is read, and may raise; says how events teach.
    log: the events that do, if any. left: customers → those whose purchases may be counted with
    others'. Raises PlaybookErrors and DataRefused, and for a log Malformed,
    StoreUnavailable, TooLarge; the engine and its files are gone when it returns.
    """
    with tempfile.TemporaryDirectory(prefix="edgewise-") as temporary:
        connection = assemble.connect(temporary, MEMORY, os.cpu_count() or 1)
        try:
            return _computed(
                connection, playbook, sources, data, now_s, on_progress, check, log, left
            )
        finally:
            connection.disconnect()


class _Asked(NamedTuple):
    """What is asked of which data: known before a purchase is read."""

    feeds: Feeds
    items: Items
    learning: Learning
    definitions: segments.Definitions
    traits: Any | None  # ibis.Table


def _asked(
    connection: Any,
    playbook: WrittenPlaybook,
    sources: Written,
    data: Path,
    on_progress: OnProgress,
    check: Callable[[tuple[str, ...]], Learning],
) -> _Asked:
    feeds = open_feeds(connection, sources, data)
    on_progress(stage("catalogue", feeds.catalogue.called()))
    items = read_catalogue(sources, feeds.catalogue)
    learning = check(items.categories)
    definitions = segments.define(playbook, sources, items.categories)
    traits = None
    if feeds.customers is not None and sources.sources.customers is not None:
        traits = read_customers(sources, feeds.customers, sources.sources.customers)
    return _Asked(feeds, items, learning, definitions, traits)


def _computed(
    connection: Any,
    playbook: WrittenPlaybook,
    sources: Written,
    data: Path,
    now_s: float,
    on_progress: OnProgress,
    check: Callable[[tuple[str, ...]], Learning],
    log: Log | None,
    left: Left,
) -> Population:
    settings, now_us = sources.sources.interests, round(now_s * US)
    how = recommendations.told(playbook.settings, sources)
    half_life_s = duration_s(playbook.settings.interest.half_life)
    asked = _asked(connection, playbook, sources, data, on_progress, check)
    feeds, items, learning, definitions, traits = asked
    factors = given(connection, "factors", interests.factors_of(half_life_s))
    on_progress(stage("events", log.files.where if log else "none"))
    learnt = taught.learn(
        connection, log, learning, sources, items.categories, factors, now_s, _counting(on_progress)
    )
    on_progress(stage("purchases", feeds.purchases.called()))
    purchased = purchase_lines(feeds.purchases, sources.sources.purchases, now_us)
    lines = with_categories(purchased, items)
    with Ahead(connection) as ahead:
        found = features.compute(ahead, lines, items.categories, now_us)
        ids = everybody(found.totals, traits)
        answers = segments.answers(definitions, playbook, found, ids, traits, now_us)
        named = taught.for_customers(connection, learnt, lambda: ahead.rows(ids)())
        landmark_s = interests.landmark_s(now_s, half_life_s)
        strongest = interests.weigh(
            found.baskets, factors, settings, half_life_s, landmark_s, named.weights
        )
        wanted = ahead.rows(assemble.beside(answers, strongest))
        count, left_out = found.counted()
        on_progress(stage("segments", f"{count:,} lines"))
        table, held = wanted(), found.held()
    on_progress(stage("recommended", "none" if how is None else f"{items.rows:,} items"))
    together = None
    if how is not None:
        together, table = recommendations.find(
            connection, how, purchased, items, now_us, table, left(table)
        )
    record = assemble.record_of(definitions, settings, half_life_s, now_s)
    record = msgspec.structs.replace(
        record, held=held, learnt=learnt.gains, keys=learnt.more, recommended=how
    )
    rows = {"purchases": count, "catalogue": items.rows, **learnt.rows}
    record = assemble.record_for(record, table)
    return Population(table, record, rows, left_out, named.left_out, together)


def _counting(on_progress: OnProgress) -> Callable[[int], None]:
    return lambda rows: on_progress(stage("events", f"{rows:,} rows"))


def peak_bytes() -> int:
    """The most memory that this process ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1_024


def _refused(what: str, differences: Iterable[str] = ()) -> DataRefused:
    found = "".join(f"; {difference}" for difference in differences)
    message = f"{what}{found}: build with --data"
    return DataRefused([Problem(code="needs-data", message=message, at=Position("segments.yaml"))])

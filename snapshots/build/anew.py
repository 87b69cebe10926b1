"""A published version and data in; the membership that its definitions make of these data, out.

What it computed (segments, scores, traits, how interests weigh) is in its record, what that may
read in its program. Only what the feeds' columns mean is the caller's. Nothing is published.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from decisions import consent
from decisions.errors import PlaybookErrors, Position
from decisions.features import OWN_PREFIXES
from decisions.lesson import Learning
from decisions.playbook import (
    AttributeDecl,
    InterestSettings,
    SegmentDecl,
    Settings,
    WrittenPlaybook,
)
from decisions.program import Program
from snapshots.build import assemble, segments
from snapshots.build.assemble import Record
from snapshots.build.identity import without
from snapshots.build.pipeline import compute
from snapshots.build.report import OnProgress
from snapshots.build.sources import FILE, MAX_LINE, MAX_TOP, Written
from snapshots.contents import RECORD
from snapshots.errors import DataRefused, Malformed
from snapshots.membership import Membership

MIN_HALF_LIFE_S, MAX_HALF_LIFE_S = 0.001, 10 * 365 * 86_400.0  # a table grows with it


class Computed(NamedTuple):
    """members: as an edge would hold them. sizes: segment → how many are in it."""

    members: Membership
    sizes: dict[str, int]


class _Task(msgspec.Struct, frozen=True):
    """What is computed: two versions with equal ones differ in nothing that data decide."""

    playbook: WrittenPlaybook
    sources: Written


def computed_anew(
    versions: Sequence[tuple[Program, bytes | None]],
    sources: Written,
    data: Path,
    *,
    now_s: float,
    salt: str,
    erased: Collection[int] = (),
    on_progress: Callable[[int], OnProgress] = lambda place: lambda progress: None,
) -> list[Computed | None]:
    """What each version would know of the customers in `data`, as of `now_s`; None for one that
    was published without data. What two of them have in common is computed once.

    versions: programs and the raw records of their builds, None where there is none. salt: of the
    members' keys. erased: keys of those who are left out, as a build leaves them out. on_progress:
    is asked with a version's place. Raises DataRefused, also for definitions that `sources` cannot
    serve, PlaybookErrors for words of sources.yaml, and Malformed for a record that is none.
    """
    tasks = [
        None if record is None else _task(program, _record(record), sources)
        for program, record in versions
    ]
    found: list[Computed | None] = []
    for place, task in enumerate(tasks):
        if task is None:
            found.append(None)
        elif (same := tasks.index(task)) < place:
            found.append(found[same])
        else:
            found.append(_computed(task, data, now_s, salt, erased, on_progress(place)))
    return found


def _computed(
    task: _Task,
    data: Path,
    now_s: float,
    salt: str,
    erased: Collection[int],
    on_progress: OnProgress,
) -> Computed:
    def check(categories: tuple[str, ...]) -> Learning:
        try:
            segments.define(task.playbook, task.sources, categories)
        except PlaybookErrors as errors:
            raise _refused(errors) from None
        return Learning()  # no events are read

    population = compute(task.playbook, task.sources, data, now_s, on_progress, check)
    table = without(population.table, salt, erased)
    record = assemble.record_for(population.record, table)
    return Computed(
        Membership.open(assemble.membership_of(assemble.keyed(table, salt), record)), record.sizes
    )


def _refused(errors: PlaybookErrors) -> DataRefused:
    """The same problems, which are in a version that was published, not in a file."""
    what = "a published version's definition cannot be computed from these sources: "
    return DataRefused(
        msgspec.structs.replace(problem, message=f"{what}{problem.message}", at=Position(FILE))
        for problem in errors.problems
    )


def _record(raw: bytes) -> Record:
    try:
        record = msgspec.json.decode(raw, type=Record)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"expected the builder's record: {error} - at {RECORD}") from error
    settings = record.interests
    weighed = 0 < settings.line <= MAX_LINE and 1 <= settings.top <= MAX_TOP
    if not (weighed and MIN_HALF_LIFE_S <= record.half_life_s <= MAX_HALF_LIFE_S):
        raise Malformed(f"expected interests that can be weighed - at {RECORD}")
    return record


def _task(program: Program, record: Record, sources: Written) -> _Task:
    """The version's own definitions over the caller's columns."""
    schema = program.schema
    settings = Settings(
        name="anew",
        slots={},
        attributes={
            name: _declared(attribute.type, attribute.needs)
            for name, attribute in schema.attributes.items()
            if name.startswith(OWN_PREFIXES)
        },
        sensitive_values={name: sorted(values) for name, values in schema.sensitive.items()},
        interest=InterestSettings(f"{record.half_life_s:f}s"),
    )
    playbook = WrittenPlaybook(
        settings=settings,
        segments={name: SegmentDecl(text) for name, text in record.segments.items()},
    )
    customers = sources.sources.customers
    if customers:
        ours = {name: customers.traits[name] for name in record.traits if name in customers.traits}
        customers = msgspec.structs.replace(customers, traits=ours)
    if missing := sorted({*record.traits} - {*(customers.traits if customers else ())}):
        place = sources.document.where(("customers", "traits"))
        message = f"expected the traits of a published version, {', '.join(missing)} are not there"
        raise DataRefused([sources.document.problem("unknown-trait", message, place)])
    own = msgspec.structs.replace(
        sources.sources, customers=customers, interests=record.interests, scores=record.scores
    )
    return _Task(playbook, Written(own, sources.document))


def _declared(type_: str, needs: int) -> AttributeDecl:
    purposes = consent.names(needs & ~consent.AUTHENTICATED)
    return AttributeDecl(type_, purposes, "authenticated" if needs & consent.AUTHENTICATED else "")

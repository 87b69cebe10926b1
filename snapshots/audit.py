"""Event files in; which consent records of theirs hold together, and what does not, out.

A record (`consent`) has its place in a trail, the hash of the record before, and the hash of the
row (`agreed`) that says by whom. Removed, added, changed or reordered records show, and so do
changed rows. Records at the end of the newest trail that were removed show only against an earlier
report, which knew them. Rows that are not there are no fault: they were erased, or expired; and
so may the oldest records be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from decisions.events import AGREED, CONSENT
from snapshots.errors import Malformed
from snapshots.eventfiles import EventFiles, Placed, lines

MAX_PROBLEMS = 100  # told; a log that is broken everywhere need not say so a million times


class ConsentRow(msgspec.Struct, frozen=True, kw_only=True):
    """As much of a row as an audit reads; `docs/http-api.md` says what each field is."""

    id: str
    type: str
    received: float
    at: float = 0.0
    visitor: str = ""
    customer: str = ""
    grants: list[str] = []
    policy: str = ""
    how: str = ""
    withheld: list[str] = []
    trail: str = ""
    number: int = 0
    before: str = ""
    proof: str = ""


class TrailReport(msgspec.Struct, frozen=True, kw_only=True):
    """One trail. first, last: numbers of its records that are there; link: the last one's hash."""

    trail: str
    first: int
    last: int
    link: str
    records: int


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """One record and who it is proven to be of, by hashes. Times in seconds since the epoch.
    withheld: what of the grants a signal of the browser took away just then."""

    trail: str
    number: int
    received: float
    at: float
    grants: list[str]
    policy: str
    how: str
    withheld: list[str]
    visitor: str
    customer: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What an audit found. proven: records whose row is there; nameless: those that never had one;
    unnamed: those whose row is gone. problems: at most MAX_PROBLEMS, in words."""

    trails: list[TrailReport]
    proven: int
    nameless: int
    unnamed: int
    problems: list[str]
    agreements: list[Agreement] = []


class _Record(msgspec.Struct, frozen=True):
    row: ConsentRow
    link: str


Trails = dict[str, dict[int, _Record]]

_DECODER = msgspec.json.Decoder(ConsentRow)
_MARKS = (b'"consent"', b'"agreed"')  # in every row that matters, and in few others


def consent_rows(files: EventFiles) -> Iterator[Placed[ConsentRow]]:
    """All copies of all rows that an audit reads. Raises Malformed, StoreUnavailable, TooLarge."""
    for one in files.look():
        for number, raw in enumerate(lines(files.read(one.path), one.path), 1):
            if not any(mark in raw for mark in _MARKS):
                continue
            try:
                row = _DECODER.decode(raw)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                what = f"expected a row of the event log: {error} - at {one.path}:{number}"
                raise Malformed(what) from error
            yield Placed(row, one.path, number, raw)


def audit(
    rows: Iterable[Placed[ConsentRow]], *, known: Iterable[TrailReport] = (), of: str = ""
) -> Report:
    """The report on these rows; those of other types are passed over.

    known: the trails of an earlier report, which must still be there up to where they went. of: the
    hash of a visitor or customer whose agreements are listed.
    """
    trails: Trails = {}
    agreed: dict[str, ConsentRow] = {}
    problems: list[str] = []
    for placed in rows:
        if placed.row.type == CONSENT:
            problems.extend(_taken(trails, placed))
        elif placed.row.type == AGREED:
            agreed[hashlib.sha256(placed.raw).hexdigest()] = placed.row
    there = [record for records in trails.values() for record in records.values()]
    links = {record.link for record in there}
    links.add(min(there, key=lambda one: one.row.received).row.before if there else "")
    for records in trails.values():
        problems.extend(_broken(records, links))
    for report in known:
        problems.extend(_forgotten(report, trails.get(report.trail, {})))
    proofs = {record.row.proof: record.row for record in there if record.row.proof}
    problems.extend(
        f"row {row.id}: expected a record that proves it, got none: it was changed or added"
        for proof, row in agreed.items()
        if proof not in proofs
    )
    proven = sum(proof in agreed for proof in proofs)
    return Report(
        trails=[_told(trail, records) for trail, records in sorted(trails.items())],
        proven=proven,
        nameless=len(there) - len(proofs),
        unnamed=len(proofs) - proven,
        problems=problems[:MAX_PROBLEMS],
        agreements=list(_agreements(proofs, agreed, of)) if of else [],
    )


def _taken(trails: Trails, placed: Placed[ConsentRow]) -> Iterator[str]:
    """Puts a record in its place, or says why not."""
    row = placed.row
    records = trails.setdefault(row.trail, {})
    record = _Record(row, hashlib.sha256(placed.raw).hexdigest())
    there = records.setdefault(row.number, record)
    if there.link != record.link:
        yield f"trail {row.trail}: expected one record {row.number}, got two that differ"


def _broken(records: Mapping[int, _Record], links: set[str]) -> Iterator[str]:
    """Where a trail does not hold together."""
    numbers = sorted(records)
    for earlier, number in zip([0, *numbers], numbers, strict=False):
        record, row = records[number], records[number].row
        is_first = number == numbers[0]
        if is_first and number == 1 and row.before and row.before not in links:
            yield f"trail {row.trail}: expected the record before it, of another trail, got none"
        elif not is_first and number != earlier + 1:
            gone = f"{earlier + 1} to {number - 1}" if number - earlier > 2 else f"{earlier + 1}"
            yield f"trail {row.trail}: expected record {gone}, got none: lost or removed"
        elif not is_first and row.before != records[earlier].link:
            what = f"expected {row.before} as the hash of record {earlier}"
            yield f"trail {row.trail}: {what}, got {records[earlier].link}"
        if row.id != f"{row.trail}-{number}":
            yield f"trail {row.trail}: expected id {row.trail}-{number}, got {record.row.id}"


def _forgotten(known: TrailReport, records: Mapping[int, _Record]) -> Iterator[str]:
    """Why a trail is not what an earlier report knew."""
    record = records.get(known.last)
    if record is None:
        yield f"trail {known.trail}: expected record {known.last}, which was there before, got none"
    elif record.link != known.link:
        what = f"expected {known.link} as the hash of record {known.last}, as before"
        yield f"trail {known.trail}: {what}, got {record.link}"


def _told(trail: str, records: Mapping[int, _Record]) -> TrailReport:
    first, last = min(records), max(records)
    return TrailReport(
        trail=trail, first=first, last=last, link=records[last].link, records=len(records)
    )


def _agreements(
    proofs: Mapping[str, ConsentRow], agreed: Mapping[str, ConsentRow], of: str
) -> Iterator[Agreement]:
    """What one visitor or customer agreed to, as far as it is proven, in order of time."""
    for proof, who in sorted(agreed.items(), key=lambda item: item[1].received):
        record = proofs.get(proof)
        if record is not None and of in (who.visitor, who.customer):
            yield Agreement(
                trail=record.trail,
                number=record.number,
                received=record.received,
                at=record.at,
                grants=record.grants,
                policy=record.policy,
                how=record.how,
                withheld=record.withheld,
                visitor=who.visitor,
                customer=who.customer,
            )

"""`edgewise audit verify WHERE`: whether the consent records of event files hold together; with a
hash, what that visitor or customer agreed to, as far as it is proven."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from edge import publishing
from edge.errors import SettingError
from edge.publishing import date
from snapshots.audit import Agreement, Report, TrailReport, audit, consent_rows
from snapshots.eventfiles import open_events


class Earlier(msgspec.Struct, frozen=True):
    """As much of an earlier report as matters."""

    trails: list[TrailReport]


def configure(parser: argparse.ArgumentParser) -> None:
    """Which files, against what."""
    parser.add_argument("action", choices=["verify"], help="check every record")
    parser.add_argument("where", metavar="WHERE", help="a store, or a folder of event files")
    parser.add_argument(
        "--since",
        metavar="FILE",
        type=Path,
        help="what --json told before: the records that were there must still be",
    )
    parser.add_argument(
        "--of", metavar="HASH", default="", help="a visitor or customer: what they agreed to"
    )
    parser.add_argument("--json", action="store_true", help="tell it as JSON, for --since")


def run(arguments: argparse.Namespace) -> int:
    """0 if everything holds together, 1 with each thing that does not."""
    known = _earlier(arguments.since) if arguments.since else []
    files = open_events(arguments.where)
    report = audit(consent_rows(files), known=known, of=arguments.of)
    print(publishing.told(arguments, _said(report), report))
    return 1 if report.problems else 0


def _earlier(path: Path) -> list[TrailReport]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Earlier).trails
    except OSError as error:
        raise SettingError(f"expected an earlier report, {error.strerror} - at {path}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"expected an earlier report: {error} - at {path}") from error


def _said(report: Report) -> str:
    lines = [f"WRONG  {problem}" for problem in report.problems]
    lines += [
        f"trail  {trail.trail}: {trail.records} records, {trail.first} to {trail.last},"
        f" ends with {trail.link}"
        for trail in report.trails
    ]
    lines += map(_agreed, report.agreements)
    lines.append(
        f"{report.proven} proven to be of somebody, {report.nameless} of nobody in particular,"
        f" {report.unnamed} whose row was erased or is not here"
    )
    return "\n".join(lines)


def _agreed(agreement: Agreement) -> str:
    what = ", ".join(agreement.grants) or "nothing"
    text = f"text {agreement.policy!r}" if agreement.policy else "a text without a version"
    place = f"record {agreement.number} of {agreement.trail}"
    if agreement.withheld:
        what += f" (less {', '.join(agreement.withheld)}, by a signal)"
    return f"agreed {date(agreement.received)}: {what}, by {agreement.how}, to {text} ({place})"

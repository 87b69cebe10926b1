"""`edgewise build PLAYBOOK --store URL`: a snapshot made, signed and published; a table of it."""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from decisions.rehearsal import moment_s
from edge.errors import CannotServe, SettingError

if TYPE_CHECKING:
    from snapshots.build.report import BuildReport
    from snapshots.build.review import Review

MOST_MOVED = 50.0  # percent; a changed rule moves some, a broken feed most
NEEDED = ("ibis", "duckdb", "pyarrow", "rich")


def configure(parser: argparse.ArgumentParser) -> None:
    """What, from where, to where."""
    parser.add_argument("playbook", metavar="PLAYBOOK", help="its folder")
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="the feeds that sources.yaml names; without it, a changed playbook is published "
        "beside the segments that are there",
    )
    parser.add_argument(
        "--events",
        metavar="WHERE",
        help="beside --data: event files of nodes, a folder or a store; what customers did adds to "
        "their interests",
    )
    parser.add_argument("--store", required=True, metavar="URL", help="where to publish to")
    parser.add_argument("--channel", default="live", help="the line of bundles (default live)")
    parser.add_argument(
        "--keys", default="keys", metavar="DIR", help="has publisher.private.jwks (default keys)"
    )
    parser.add_argument(
        "--engine", default="duckdb", choices=["duckdb"], help="what computes (default duckdb)"
    )
    parser.add_argument(
        "--now", metavar="TIME", help="compute as of this date or RFC 3339 time (default: now)"
    )
    parser.add_argument(
        "--most-moved",
        type=float,
        default=MOST_MOVED,
        metavar="PERCENT",
        help="refuse a version that gives more of a slot's visitors another fragment "
        "(default %(default)g)",
    )
    parser.add_argument(
        "--formats",
        metavar="PART=N",
        help="write a part in an older format, for edges that do not read the newest yet; several "
        "with commas",
    )
    parser.add_argument(
        "--approve", action="store_true", help="publish it, however much it changes"
    )


def run(arguments: argparse.Namespace) -> int:
    """Builds and publishes, with progress."""
    if arguments.events and not arguments.data:
        raise SettingError("expected --data DIR beside --events, got none - at --events")
    publish(
        Path(arguments.playbook),
        data=Path(arguments.data) if arguments.data else None,
        store=arguments.store,
        keys=Path(arguments.keys),
        channel=arguments.channel,
        now=arguments.now,
        most_moved=None if arguments.approve else arguments.most_moved,
        formats=read_formats(arguments.formats or ""),
        events=arguments.events,
    )
    return 0


def publish(
    playbook: Path,
    *,
    data: Path | None,
    store: str,
    keys: Path,
    channel: str = "live",
    now: str | None = None,
    most_moved: float | None = None,
    formats: Mapping[str, int] | None = None,
    events: str | None = None,
) -> BuildReport:
    """The build with its progress and its table on the terminal. now: a date or time, None for
    this moment. most_moved: percent of a slot's visitors, None for as many as it likes. formats:
    of parts that are to be in an older one. events: where event files are. Raises what
    `pipeline.build` raises, and CannotServe without the build extra."""
    need_the_extra()
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from snapshots.build import pipeline, report
    from snapshots.build.review import Policy

    console = Console()
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("playbook", total=len(report.STAGES), detail="")

        def on_progress(progress: report.Progress) -> None:
            bar.update(
                task, description=progress.stage, completed=progress.place, detail=progress.detail
            )

        made = pipeline.build(
            playbook,
            data,
            store,
            keys,
            now_s=_moment(now),
            channel=channel,
            on_progress=on_progress,
            policy=None if most_moved is None else Policy(most_moved),
            formats=formats,
            events=events,
        )
    _tell(console, made, store)
    return made


def read_formats(text: str) -> dict[str, int]:
    """`membership/interests=1,…` as part → format. Raises SettingError."""
    found: dict[str, int] = {}
    for word in filter(None, text.split(",")):
        name, sign, number = word.partition("=")
        if not (sign and number.isascii() and number.isdigit() and len(number) < 4):
            raise SettingError(f"expected PART=N, got {word!r} - at --formats")
        found[name] = int(number)
    return found


def need_the_extra() -> None:
    """Raises CannotServe where what computes is not installed."""
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise CannotServe(
            f"expected the build extra, {', '.join(missing)} is not installed: "
            "pip install 'edgewise[build]'"
        )


def _changes(review: Review) -> str:
    """`changes   hero for 12 % of 2,001 visitors, promo for 0 %; against version 3`."""
    shares = [f"{slot} for {share.moved_percent:.0f} %" for slot, share in review.slots.items()]
    visitors = max((share.visitors for share in review.slots.values()), default=0)
    listed = ", ".join(shares) or "no slot"
    return f"changes   {listed} of {visitors:,} visitors, against version {review.version}"


def _moment(text: str | None) -> float:
    if text is None:
        return time.time()
    try:
        return moment_s(text, time.time())
    except ValueError as error:
        raise SettingError(f"{error} - at --now") from error


def _tell(console: Any, report: BuildReport, store: str) -> None:
    from rich.table import Table

    for warning in report.warnings:
        console.print(str(warning), markup=False, highlight=False, soft_wrap=True)
    if report.segments:
        table = Table("segment", "customers", "share", title=f"{report.customers:,} customers")
        table.columns[1].justify = table.columns[2].justify = "right"
        for name, size in report.segments.items():
            share = size / report.customers if report.customers else 0.0
            table.add_row(name, f"{size:,}", f"{share:.1%}")
        console.print(table)
    read = ", ".join(f"{rows:,} {feed}" for feed, rows in report.rows.items())
    left = ", ".join(f"{rows:,} {reason}" for reason, rows in report.left_out.items() if rows)
    untaught = ", ".join(f"{rows:,} {reason}" for reason, rows in report.untaught.items())
    taught = report.rows.get("events", 0) - sum(report.untaught.values())
    stored, patches = sum(report.parts.values()), sum(report.patches.values())
    for line in (
        read and f"read      {read}",
        left and f"left out  {left}",
        "events" in report.rows and f"events    {taught:,} taught interests",
        untaught and f"did not   {untaught}",
        report.reused and "segments  as they were: published without --data",
        f"published {report.channel} version {report.version} to {store}: "
        f"{len(report.parts)} parts, {stored / 2**20:.2f} MiB, {report.seconds:.1f} s",
        *(f"formats   {remark}" for remark in report.remarks),
        report.review and _changes(report.review),
        patches
        and f"patches   {patches / 2**20:.2f} MiB for {len(report.patches)} of them, "
        "to nodes that have the version before",
    ):
        if line:
            console.print(line, markup=False, highlight=False, soft_wrap=True)

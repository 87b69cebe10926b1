"""Files in, tables out: Parquet and CSV are opened, and columns that are not there are refused.

No row is read here but what tells a file's columns. CSV comes as text, cell by cell, so that
`clean` can say which cell is no number; Parquet comes with its own types.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import duckdb
import ibis
import msgspec
from ibis.common.exceptions import IbisError

from decisions.errors import Position, Problem
from snapshots.build.sources import CategoryMap, Customers, Sources, Written
from snapshots.errors import DataRefused

PARQUET, CSV = (".parquet", ".pq"), (".csv", ".csv.gz", ".csv.zst", ".tsv", ".tsv.gz")

Place = tuple[str | int, ...]


class Feed(msgspec.Struct, frozen=True):
    """An opened feed: its rows as the files have them. text: CSV, where every cell is text."""

    name: str
    files: tuple[Path, ...]
    table: Any  # ibis.Table
    text: bool

    def called(self) -> str:
        """What messages call it."""
        return ", ".join(path.name for path in self.files)

    def where(self, row: int = 1) -> Position:
        """A row of the feed, counted from 1 with the header; in the first file if in one."""
        return Position(self.called(), row)


class Feeds(msgspec.Struct, frozen=True):
    purchases: Feed
    catalogue: Feed
    customers: Feed | None


def open_feeds(connection: Any, written: Written, data: Path) -> Feeds:
    """Every feed of `sources.yaml` below the folder `data`.

    connection: an Ibis backend. Raises DataRefused with every file that is not there or cannot be
    read, and every column that is missing.
    """
    if not data.is_dir():
        got = "a file" if data.exists() else "nothing there"
        message = f"expected a folder of data, got {got}"
        raise DataRefused([Problem(code="no-data", message=message, at=Position(str(data)))])
    problems: list[Problem] = []
    sources = written.sources
    opened: dict[str, Feed] = {}
    for name in ("purchases", "catalogue", "customers"):
        if (section := getattr(sources, name)) is None:
            continue
        feed = _open(connection, written, name, section.files, data, problems)
        if feed is not None:
            opened[name] = feed
            problems += _missing(written, feed, columns_of(sources, name))
    if problems:
        raise DataRefused(problems)
    return Feeds(opened["purchases"], opened["catalogue"], opened.get("customers"))


def columns_of(sources: Sources, name: str) -> Iterator[tuple[Place, str]]:
    """Every column that a section of sources.yaml names, and where it names it."""
    section = getattr(sources, name)
    for key, value in msgspec.structs.asdict(section.columns).items():
        for i, column in enumerate([value] if isinstance(value, str) else value):
            if column:
                inner = () if isinstance(value, str) else (i,)
                yield (name, "columns", key, *inner), column
    category = getattr(section, "category", "")
    if isinstance(category, CategoryMap):
        for i, column in enumerate(category.columns):
            yield (name, "category", "columns", i), column
    elif category:
        yield (name, "category"), category
    if isinstance(section, Customers):
        for trait, decl in section.traits.items():
            yield (name, "traits", trait, "column"), decl.column


def _missing(
    written: Written, feed: Feed, columns: Iterable[tuple[Place, str]]
) -> Iterator[Problem]:
    there = feed.table.columns
    for place, column in columns:
        if column not in there:
            near = get_close_matches(column, there, 1)
            hint = f", did you mean {near[0]}?" if near else f"; it has {', '.join(there)}"
            message = f"expected a column {column} in {feed.called()}, found none{hint}"
            yield written.problem("missing-column", message, *place)


def _open(
    connection: Any,
    written: Written,
    name: str,
    patterns: str | list[str],
    data: Path,
    problems: list[Problem],
) -> Feed | None:
    """The feed, or None after its problems were noted."""
    files: list[Path] = []
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        found = sorted(data.glob(pattern)) if pattern.strip("/.") else []
        if not found:
            message = f"expected {pattern} in {data}, found none"
            problems.append(written.problem("missing-file", message, name, "files"))
        files += found
    kinds = {_kind(file) for file in files}
    if files and (len(kinds) > 1 or "" in kinds):
        got = ", ".join(sorted(file.name for file in files))
        message = f"expected files that all end in {' or all in '.join(PARQUET + CSV)}, got {got}"
        problems.append(written.problem("wrong-file", message, name, "files"))
    elif files:
        read = _parquet if kinds == {"parquet"} else _csv
        try:
            return Feed(name, tuple(files), read(connection, files), kinds == {"csv"})
        except (duckdb.Error, IbisError, OSError) as error:
            message = f"expected {kinds.pop()}, got other bytes: {str(error).splitlines()[0]}"
            names = ", ".join(file.name for file in files)
            problems.append(Problem(code="wrong-file", message=message, at=Position(names)))
    return None


def _kind(file: Path) -> str:
    kinds = (("parquet", PARQUET), ("csv", CSV))
    return next((kind for kind, ends in kinds if file.name.endswith(ends)), "")


def _parquet(connection: Any, files: list[Path]) -> ibis.Table:
    return connection.read_parquet([str(file) for file in files])


def _csv(connection: Any, files: list[Path]) -> ibis.Table:
    paths = [str(file) for file in files]
    return connection.read_csv(paths, all_varchar=True, header=True, null_padding=False)

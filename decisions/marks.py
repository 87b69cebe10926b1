"""The cells of different things as numbers and three bytes each, and back.

The numbers are cells as other measures have them: how many of the things came last in which moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from decisions.errors import ProfileError
from decisions.ledger import Numbering
from decisions.profile import VIEW_BYTES, Cells, Measured


def rows_of(
    measures: Mapping[str, Measured], kind: Numbering, keys: Numbering
) -> Iterator[tuple[list[int], Cells]]:
    """What a measure's row begins with, and its cells; those without a number are left out."""
    for name, keyed in measures.items():
        if (number := kind.number(name)) is None:
            continue
        for key, cells in keyed.items():
            of_key = keys.number(key) if key else -1
            if of_key is not None:
                yield [number, of_key + 1], cells


def tallied(cells: Cells) -> Cells:
    """How many cells in a row have one moment, for each of these moments."""
    return tuple((at_s, len([*group])) for at_s, group in groupby(cells, key=lambda cell: cell[0]))


def bytes_of(rows: Iterable[tuple[list[int], Cells]]) -> bytes:
    """The marks of all cells of rows, VIEW_BYTES each."""
    return b"".join([mark.to_bytes(VIEW_BYTES, "big") for _, cells in rows for _, mark in cells])


def marked(tallies: Mapping[str, Measured], raw: bytes) -> dict[str, Measured]:
    """Measure → key → the cells that were `tallied`. raw: all their marks, in order. Raises
    ProfileError unless these are as many."""
    wanted = VIEW_BYTES * sum(
        many for keyed in tallies.values() for cells in keyed.values() for _, many in cells
    )
    if wanted != len(raw):
        raise ProfileError(f"expected marks of {wanted} bytes, got {len(raw)}")
    places = range(0, wanted, VIEW_BYTES)
    marks = (int.from_bytes(raw[at : at + VIEW_BYTES], "big") for at in places)
    return {
        name: {
            key: tuple([(at_s, next(marks)) for at_s, many in cells for _ in range(many)])
            for key, cells in keyed.items()
        }
        for name, keyed in tallies.items()
    }

"""What one choice leaves in the log: a record that stays, and a row that says whose it is, and may
go.

The record carries the hash of that row, which has a random id: while the row is there, the two
prove each other; when it was erased, nobody can tell from the record whose it was.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Any

from decisions import consent
from decisions.events import AGREED, CONSENT
from edge.cookies import Choice
from edge.sinks.row import Row, encode
from edge.sinks.trail import End, Trail

_ID_BYTES = 16  # nobody finds the row by trying


class Record(Row, frozen=True, omit_defaults=True, kw_only=True):
    """What was chosen, when, how, to which text. withheld: what of it a signal took away in that
    request. trail, number: its place. before: the hash of the record before. proof: the hash of the
    row that says by whom, "" where nobody is known."""

    how: str = ""
    withheld: list[str] = []
    trail: str = ""
    number: int = 0
    before: str = ""
    proof: str = ""


class Agreed(Row, frozen=True, omit_defaults=True, kw_only=True):
    """The same, and by whom. tcf: the TC string it came as."""

    how: str = ""
    withheld: list[str] = []
    tcf: str = ""


class ConsentRows:
    """The rows of one choice, to be made by whoever iterates, once."""

    __slots__ = ("_made", "_row", "_trail", "_who")

    def __init__(
        self,
        trail: Trail,
        choice: Choice,
        now_s: float,
        visitor: str,
        customer: str,
        tcf: str,
        denied: int = 0,
    ) -> None:
        """visitor, customer: their hashes, "" for nobody. denied: the purposes that a signal takes
        away of whatever is chosen."""
        told: dict[str, Any] = {
            "at": choice.at_s,
            "received": now_s,
            "grants": consent.names(choice.grants),
            "policy": choice.policy,
            "how": choice.how,
            "withheld": consent.names(choice.grants & denied),
        }
        self._trail, self._row = trail, told
        who: dict[str, Any] = {"visitor": visitor, "customer": customer, "tcf": tcf}
        self._who = who if visitor else None
        self._made: list[Row] | None = None

    def __len__(self) -> int:
        return 2 if self._who else 1

    def __iter__(self) -> Iterator[Row]:
        if self._made is None:
            self._made = self._make()
        return iter(self._made)

    def _make(self) -> list[Row]:
        agreed: list[Row] = []
        proof = ""
        if self._who:
            row = Agreed(id=os.urandom(_ID_BYTES).hex(), type=AGREED, **self._row, **self._who)
            agreed, proof = [row], hashlib.sha256(encode(row)).hexdigest()

        def record(end: End) -> Record:
            number = end.number + 1
            return Record(
                id=f"{end.trail}-{number}",
                type=CONSENT,
                trail=end.trail,
                number=number,
                before=end.link,
                proof=proof,
                **self._row,
            )

        return [*agreed, self._trail.add(record)]

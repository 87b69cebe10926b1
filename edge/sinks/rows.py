"""What one visit leaves in the log: events and decisions, noted while a visitor waits; their rows,
made behind the reply.

Everything kept here is immutable, and nothing of it keeps a snapshot alive.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from decisions import consent
from decisions.consent import SENSITIVE
from decisions.engine import Decision
from decisions.events import SEEN, SERVED, Event
from decisions.ledger import row_key
from decisions.profile import Profile
from edge.cookies import Choice
from edge.exposure import Marks
from edge.sinks.row import Decided, Row
from edge.wire import Page


class Rows:
    """The rows of one visitor's visit, to be made by whoever iterates. With a sign-in or a sign-out
    they begin anew: it makes another visitor of who visits.

    snapshot: its version. salt: keys the hashes that ids become. sensitive: the values that need
    their opt-in. profile: as the visit begins; of it only the ids are told.
    """

    __slots__ = (
        "_choice",
        "_now_s",
        "_page",
        "_profile",
        "_salt",
        "_sensitive",
        "_snapshot",
        "decisions",
        "events",
    )

    def __init__(
        self,
        snapshot: int,
        salt: str,
        sensitive: frozenset[str],
        now_s: float,
        choice: Choice,
        profile: Profile,
        page: Page,
    ) -> None:
        self._snapshot, self._salt = snapshot, salt
        self._sensitive, self._now_s = sensitive, now_s
        self._choice, self._profile, self._page = choice, profile, page
        self.events: list[tuple[Event, Decided | None]] = []  # with the decision that it answers
        self.decisions: list[tuple[str, Decision, Marks]] = []  # with the row's id

    def __len__(self) -> int:
        return len(self.events) + len(self.decisions)

    def __iter__(self) -> Iterator[Row]:
        about = self._about()
        for event, decided in self.events:
            yield event_row(about, event, decided, self._withholds(event))
        for id_, decision, marks in self.decisions:
            yield served_row(about, marks, decision, id_)

    def _withholds(self, event: Event) -> bool:
        """Whether what this event is about needs an opt-in that is not there."""
        if self._choice.grants & SENSITIVE:
            return False
        return not self._sensitive.isdisjoint((event.category, event.item, event.brand))

    def _about(self) -> dict[str, Any]:
        """What every row says of its visit."""
        profile, choice, page = self._profile, self._choice, self._page
        withheld = page.category in self._sensitive and not choice.grants & SENSITIVE
        return {
            "received": self._now_s,
            "visitor": row_key(self._salt, profile.visitor),
            "customer": f"{profile.customer:016x}" if profile.customer else "",
            "session": row_key(self._salt, profile.session_id),
            "grants": consent.names(choice.grants),
            "policy": choice.policy,
            "snapshot": self._snapshot,
            "page": "" if withheld else page.path.partition("?")[0],
        }


def event_row(
    about: dict[str, Any], event: Event, decided: Decided | None, is_withheld: bool
) -> Row:
    """The log's row of an event.

    about: what every row of its visit says. is_withheld: it is about sensitive values without
    their opt-in; they are left out, and with them the item, the brand and the page that would tell
    them.
    """
    # A decision is seen once: whoever reads the log takes one row, by whatever events it was told.
    id_ = f"{SEEN}-{event.x}" if event.type == SEEN else event.id
    if is_withheld:
        about = about | {"page": ""}
        return Row(id=id_, type=event.type, at=event.at, x=decided, **about)
    return Row(
        id=id_,
        type=event.type,
        at=event.at,
        item=event.item,
        category=event.category,
        brand=event.brand,
        price=event.price,
        quantity=event.quantity,
        value=event.value,
        x=decided,
        **about,
    )


def served_row(about: dict[str, Any], marks: Marks, decision: Decision, id_: str) -> Row:
    """The log's row of a decision."""
    now_s = about["received"]
    decided = Decided(
        snapshot=about["snapshot"],
        slot=decision.slot,
        rule=decision.rule,
        variant=decision.variant,
        probability=round(decision.probability, 5),
        at=int(now_s),
        visitor=marks.visitor.hex(),
        facts=marks.facts.hex(),
        holdout=decision.holdout,
        phase=decision.phase,
    )
    return Row(id=id_, type=SERVED, at=now_s, x=decided, **about)

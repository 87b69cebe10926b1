"""`edgewise resume rule ID --store STORE`: lets go on what was paused, at each node's next poll."""

from __future__ import annotations

import argparse
import time

from decisions.findings import suggestion
from edge import publishing
from edge.errors import EdgeError
from snapshots.pauses import KINDS, Paused
from snapshots.pausing import change, newest


def configure(parser: argparse.ArgumentParser) -> None:
    """What to let go on, and where."""
    parser.add_argument("kind", choices=KINDS, help="what was paused")
    parser.add_argument("id", metavar="ID", help="the rule's id, or the slot's name")
    publishing.configure_channel(parser)


def run(arguments: argparse.Namespace) -> int:
    """Signs the next control object, without it."""
    who = publishing.publisher(arguments)
    kind, id_ = arguments.kind, arguments.id

    def is_it(one: Paused) -> bool:
        return (one.kind, one.id) == (kind, id_)

    paused, _ = newest(who.store, arguments.channel, who.trusted)
    if not any(map(is_it, paused.paused)):
        known = [one.id for one in paused.paused if one.kind == kind]
        raise EdgeError(f"{kind} {id_} is not paused{suggestion(id_, known)}")

    def without_it(paused: tuple[Paused, ...]) -> tuple[Paused, ...]:
        return tuple(one for one in paused if not is_it(one))

    made = change(
        who.store, arguments.channel, without_it, who.private, who.trusted, now_s=time.time()
    )
    said = f"resumed   {kind} {id_} on {made.channel}: control {made.number}"
    print(publishing.told(arguments, said, made))
    return 0

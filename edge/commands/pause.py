"""`edgewise pause rule ID --store STORE`: stops it at every node's next poll, without a build; and
without a name, what is stopped."""

from __future__ import annotations

import argparse
import time

from decisions.findings import suggestion
from edge import publishing
from edge.errors import EdgeError
from edge.published import Published
from edge.publishing import Publisher
from snapshots.pauses import KINDS, Kind, Paused, Pauses
from snapshots.pausing import change, newest


def configure(parser: argparse.ArgumentParser) -> None:
    """What to stop, and where."""
    parser.add_argument("kind", nargs="?", choices=KINDS, help="what to stop; nothing lists")
    parser.add_argument("id", nargs="?", metavar="ID", help="the rule's id, or the slot's name")
    parser.add_argument("--why", default="", help="for whoever reads /status")
    publishing.configure_channel(parser)


def run(arguments: argparse.Namespace) -> int:
    """Signs the next control object, or prints the one that is there."""
    who = publishing.publisher(arguments)
    if arguments.kind is None:
        return _list(arguments, who)
    kind, id_ = _named(arguments)
    _check_known(arguments, who, kind, id_)
    now_s = time.time()
    stop = Paused(kind=kind, id=id_, since_s=int(now_s), why=arguments.why)

    def with_it(paused: tuple[Paused, ...]) -> tuple[Paused, ...]:
        return paused if _find(paused, kind, id_) else (*paused, stop)

    made = change(who.store, arguments.channel, with_it, who.private, who.trusted, now_s=now_s)
    print(publishing.told(arguments, f"paused    {kind} {id_} on {_said(made)}", made))
    return 0


def _named(arguments: argparse.Namespace) -> tuple[Kind, str]:
    if not arguments.id:
        raise EdgeError(f"expected the id of a {arguments.kind} after it, got nothing")
    return arguments.kind, arguments.id


def _find(paused: tuple[Paused, ...], kind: str, id_: str) -> Paused | None:
    return next((one for one in paused if (one.kind, one.id) == (kind, id_)), None)


def _check_known(arguments: argparse.Namespace, who: Publisher, kind: str, id_: str) -> None:
    """Raises EdgeError for what the channel's newest version does not have."""
    program = Published(arguments.store, arguments.channel, who.trusted).program()
    rules = [rule for slot in program.slots.values() for rule in slot.rules]
    known = {
        "slot": set(program.slots),
        "rule": {rule.id for rule in rules},
        "experiment": {rule.id for rule in rules if rule.split is not None},
    }[kind]
    if id_ not in known:
        raise EdgeError(f"there is no {kind} {id_} in {arguments.channel}{suggestion(id_, known)}")


def _list(arguments: argparse.Namespace, who: Publisher) -> int:
    found, _ = newest(who.store, arguments.channel, who.trusted)
    lines = [f"{arguments.channel}: {len(found.paused)} paused, control {found.number}"]
    lines += [
        f"  {one.kind} {one.id}  since {publishing.date(one.since_s)}{one.why and f'  {one.why}'}"
        for one in found.paused
    ]
    print(publishing.told(arguments, "\n".join(lines), found))
    return 0


def _said(made: Pauses) -> str:
    return f"{made.channel}: control {made.number}, obeyed at each node's next poll"
